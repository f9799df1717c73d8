"""INVENTORY is the first argument of every command, and ./mail.yml when it is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from mailprov.cli import fastpath
from mailprov.cli.app import build_app
from mailprov.cli.commands import Command
from mailprov.errors import InputError
from tests.unit.cli.program import mailprov

# Commands that are about no inventory, or (lab) about the only lab where none is given.
WITHOUT = {"init", "schema", "explain", "selftest"}


def leaves(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*before, name))
        else:
            yield (*before, name), command


COMMANDS = dict(leaves(get_command(build_app())))
OF_AN_INVENTORY = [
    words
    for words in COMMANDS
    if words[0] not in WITHOUT
    and (words[0] != "lab" or words == ("lab", "up"))
    and words != ("dns", "providers")
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mail.yml").write_text("the usual one")
    (tmp_path / "other.yml").write_text("another one")
    (tmp_path / "ana@alpha.test").write_text("an export of her mail")
    (tmp_path / "mx1").mkdir()
    return tmp_path


def parsed(words: tuple[str, ...], *line: str) -> dict[str, Any]:
    command = COMMANDS[words]
    return command.make_context(words[-1], list(line)).params  # type: ignore[no-any-return]


@pytest.mark.parametrize("words", OF_AN_INVENTORY, ids=" ".join)
def test_it_is_the_first_argument_and_may_be_left_out(words: tuple[str, ...], folder: Path) -> None:
    command = COMMANDS[words]
    assert isinstance(command, Command)
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    assert arguments[0].name == "inventory"
    assert parsed(words)["inventory"] == Path("mail.yml")
    assert parsed(words, "other.yml")["inventory"] == Path("other.yml")
    (folder / "mail.yml").unlink()
    with pytest.raises(InputError, match="no inventory was given, and there is no"):
        parsed(words)
    assert not (folder / "mail.yml").exists()


@pytest.mark.parametrize("words", OF_AN_INVENTORY, ids=" ".join)
def test_an_empty_one_is_never_the_usual_one(words: tuple[str, ...], folder: Path) -> None:
    """As `purge "$(mailprov lab inventory)" ana@alpha.test` has it where there are two labs."""
    with pytest.raises(InputError, match=r"an argument is empty, as when a command in \$\(…\) failed"):
        parsed(words, "")


@pytest.mark.parametrize(
    ("words", "line", "inventory", "rest"),
    [
        (("purge",), ["ana@alpha.test"], "mail.yml", "ana@alpha.test"),  # also a file of that name
        (("purge",), ["bob@alpha.test", "--yes"], "mail.yml", "bob@alpha.test"),
        (("purge",), ["--yes", "other.yml", "bob@alpha.test"], "other.yml", "bob@alpha.test"),
        (("purge",), ["other.yml"], "other.yml", None),
        (("trust",), ["mx1"], "mail.yml", ["mx1"]),  # a folder is no inventory
        (("trust",), ["mx1", "mx2"], "mail.yml", ["mx1", "mx2"]),
        (("trust",), ["other.yml", "mx1"], "other.yml", ["mx1"]),
        (("trust",), ["./ana@alpha.test", "mx1"], "ana@alpha.test", ["mx1"]),  # what has a slash is a path
        (("account", "set"), ["ana@alpha.test"], "mail.yml", "ana@alpha.test"),
        (("account", "add"), ["other.yml", "bob@alpha.test"], "other.yml", "bob@alpha.test"),
        (("dkim", "rotate"), ["alpha.test", "--no-wait"], "mail.yml", ["alpha.test"]),
        (("dkim", "show"), ["other.yml", "alpha.test"], "other.yml", ["alpha.test"]),
    ],
)
def test_a_first_word_that_is_no_file_is_the_next_argument(
    words: tuple[str, ...], line: list[str], inventory: str, rest: Any, folder: Path
) -> None:
    got = parsed(words, *line)
    (other,) = (each.name for each in COMMANDS[words].params[1:] if each.param_type_name == "argument")

    assert got["inventory"] == Path(inventory)
    assert (list(got[other]) if isinstance(got[other], (list, tuple)) else got[other]) == rest


@pytest.mark.parametrize(
    "line", [["othr.yml"], ["no/such", "ana@alpha.test"], ["othr", "ana@alpha.test"]], ids=" ".join
)
def test_what_can_only_be_a_missing_file_is_told_so(line: list[str], folder: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        parsed(("purge",), *line)


def test_the_name_of_a_folder_above_may_have_an_at(folder: Path) -> None:
    home = folder / "ana@example.org"
    home.mkdir()
    (home / "mail.yml").write_text("hers")

    assert parsed(("trust",), str(home / "mail.yml"))["inventory"] == home / "mail.yml"


def test_help_needs_no_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words, command in COMMANDS.items():
        with pytest.raises(typer.Exit) as caught:
            command.make_context(words[-1], ["--help"])
        assert caught.value.exit_code == 0


def test_the_way_around_typer_knows_the_rule(folder: Path) -> None:
    assert fastpath.arguments("plan", ["--json"]) == {"json": True, "inventory": Path("mail.yml")}
    (folder / "mail.yml").unlink()
    assert fastpath.arguments("plan", ["--json"]) is None, "typer says what is missing"


GOOD = """\
hosts: {mx1: {address: 127.0.0.1, fqdn: mx1.alpha.test, ssh: {port: 1, config: none}}}
domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: HOME}}}}}
"""


def test_a_command_with_another_argument_says_which_inventory_it_took(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(GOOD)
    (tmp_path / "other.yml").write_text(GOOD)

    assert mailprov("trust", "mx1", cwd=tmp_path).stderr.startswith("inventory: mail.yml\n")
    assert mailprov("trust", "other.yml", "mx1", cwd=tmp_path).stderr.startswith("inventory: other.yml\n")
    assert "inventory:" not in mailprov("purge", "-q", cwd=tmp_path).stderr
    assert "inventory:" not in mailprov("plan", cwd=tmp_path).stderr
