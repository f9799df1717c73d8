"""Exit codes mean the same in every command, and --json ends with the same code: a walk over all of them.

What each command gives where hosts and zones take part is in the tests on real hosts; here every command meets an
inventory that is not there, that is wrong, or whose hosts cannot be reached, and a line that it cannot read.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mailprov.cli.help_page import page
from scripts.reference import man
from tests.unit.cli.program import mailprov
from tests.unit.cli.test_inventory_argument import COMMANDS, OF_AN_INVENTORY

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = """\
hosts:
  mx1: {address: 127.0.0.1, fqdn: mx1.alpha.test, ssh: {port: 1, config: none, known_hosts: known}}
domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: HOME}}}}}
"""
WRONG = NOWHERE.replace("[mx1]", "[mx2]")
LAB = {words for words in COMMANDS if words[0] == "lab"}
# What a command needs besides the inventory to get to its work.
MORE = {
    ("client",): ("--sheet",),
    ("account", "add"): ("new@alpha.test", "--password-env", "HOME", "--yes"),
    ("account", "set"): ("ana@alpha.test", "--quota", "1G", "--yes"),
    ("account", "suspend"): ("ana@alpha.test", "--yes"),
    ("account", "remove"): ("ana@alpha.test", "--yes"),
    ("apply",): ("--yes",),
    ("rollback",): ("--yes",),
    ("dns", "apply"): ("--yes",),
    ("dkim", "rotate"): ("--yes",),
    ("tls", "rotate"): ("--yes",),
    ("dns", "move"): ("--yes", "--to", "hosts"),
    ("trust",): ("--yes",),
    ("trace",): ("stranger@else.test", "ana@alpha.test", "--wait", "1"),
}
# With hosts that cannot be reached; else 3. Those that ask no host have no part in it.
REACHES_NOBODY = {
    ("client",): 0,
    ("validate",): 0,
    ("dns", "export"): 0,
    ("dns", "plan"): 0,
    ("dns", "apply"): 0,
    ("dns", "move"): 2,  # this domain is stated for one side
}
CODES = {0, 1, 2, 3, 4, 130}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(words: tuple[str, ...], *more: str, cwd: Path) -> tuple[int, list[dict[str, object]]]:
    """Without --json and with it: the same code, no traceback; the events of the second."""
    plain = mailprov(*words, *more, cwd=cwd)
    done = mailprov(*words, *more, "--json", cwd=cwd)
    assert "Traceback" not in plain.stderr + done.stderr
    assert "bug" not in plain.stderr + done.stderr
    assert plain.returncode == done.returncode, (plain, done)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "run_ended"
    assert events[-1]["exit_code"] == done.returncode
    assert [event["event"] for event in events].count("run_ended") == 1
    return done.returncode, events


@pytest.mark.parametrize("words", [w for w in OF_AN_INVENTORY if w not in LAB], ids=" ".join)
def test_an_inventory_that_is_missing_or_wrong_is_2(words: tuple[str, ...], tmp_path: Path) -> None:
    more = MORE.get(words, ())
    code, events = run(words, *more, cwd=tmp_path)
    assert (code, events[0]["event"]) in [(2, "error"), (2, "run_started")]
    assert events[-2]["event"] == "error"

    (tmp_path / "mail.yml").write_text(WRONG)
    code, events = run(words, *more, cwd=tmp_path)
    assert code == 2
    assert events[-2]["event"] == "inventory_problem"
    assert events[-2]["line"] == 3


@pytest.mark.parametrize("words", [w for w in COMMANDS if w not in LAB], ids=" ".join)
def test_a_line_that_cannot_be_read_is_2(words: tuple[str, ...], tmp_path: Path) -> None:
    code, events = run(words, "--no-such-option", cwd=tmp_path)

    assert code == 2
    assert events[-2]["event"] == "error"


@pytest.mark.parametrize("words", [w for w in OF_AN_INVENTORY if w not in LAB], ids=" ".join)
def test_hosts_that_cannot_be_reached_are_3(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(NOWHERE)
    code, _ = run(
        words, *MORE.get(words, ()), *(("--probe", "net") if words == ("verify",) else ()), cwd=tmp_path
    )

    # Whether nothing answers at a port is what `net.tcp` tests: that is a failure, not "could not tell".
    wanted = {**REACHES_NOBODY, ("verify",): 1}.get(words, 3)
    assert code == wanted


# A rollback shows its plan where nobody can say yes; an account needs an address (test_account.py).
ANSWERED = {words for words in MORE if words[0] not in ("client", "trust", "rollback", "account", "trace")}


@pytest.mark.parametrize("words", sorted(ANSWERED), ids=" ".join)
def test_what_needs_an_answer_and_has_nobody_to_give_it_is_2(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(NOWHERE)
    code, events = run(words, cwd=tmp_path)

    assert code == 2
    assert events[-2]["what"] == "there is no terminal to ask on"


def test_a_code_that_is_not_in_the_table_is_given_by_no_command() -> None:
    """The first page, docs/pipelines.md, docs/design.md and the manual page have the same table."""
    table = re.findall(r"^\| (\d+) \|", (ROOT / "docs/pipelines.md").read_text(), re.MULTILINE)
    assert {int(code) for code in table} == CODES
    assert {int(code) for code, _ in man.EXIT_CODES} == CODES
    design = (ROOT / "docs/design.md").read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    for text in (" ".join(page().split()), design):
        assert {int(code) for code in re.findall(r"(?:^|[ \n])(\d+) [a-z(]", text)} >= CODES


def test_every_option_that_gives_4_is_documented() -> None:
    (line,) = re.findall(r"^\| 4 \| (.*)\|$", (ROOT / "docs/pipelines.md").read_text(), re.MULTILINE)
    for words, command in COMMANDS.items():
        text = " ".join(
            " ".join((each.help or "") for each in command.params if hasattr(each, "help")).split()
        )
        if "with 4" in text or "exit code 4" in text:
            assert f"`{' '.join(words)} --" in line, words


def test_every_command_has_json() -> None:
    """`lab ssh` prints what the host prints."""
    without = {
        words
        for words, command in COMMANDS.items()
        if not any("--json" in each.opts for each in command.params)
    }
    assert without == {("lab", "ssh")}


def test_the_commands_of_the_lab_end_as_the_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailprov.lab.names", list)
    code, events = run(("lab", "status"), cwd=tmp_path)
    assert (code, events[-1]["summary"]) == (0, "No lab is up. Start one: mailprov lab up INVENTORY")
    code, events = run(("lab", "inventory"), cwd=tmp_path)
    assert (code, events[-2]["what"]) == (2, "no lab is up")
