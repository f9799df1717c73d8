"""The way around typer gives what typer gives, or leaves the words to it."""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mailprov.cli import apply, fastpath, plan, plan_apply
from mailprov.cli.app import build_app

COMMANDS = {"apply": apply.apply, "plan": plan.plan}


def by_typer(command: str, words: list[str]) -> dict[str, Any]:
    """The parameters as the command's function would get them. Raises what click raises for wrong words."""
    context = _program(command).commands[command].make_context(command, list(words))
    got = {name: value for name, value in context.params.items() if name in _defaults(COMMANDS[command])}
    return {
        name: Path(value) if name in ("inventory", "out", "junit") and value else value
        for name, value in got.items()
    }


@cache
def _program(command: str) -> Any:
    return get_command(build_app(command))


def _defaults(function: Any) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_work_has_the_parameters_and_defaults_of_the_command(command: str) -> None:
    assert _defaults(getattr(plan_apply, command)) == _defaults(COMMANDS[command])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_word_of_the_table_means_what_it_means_to_typer(command: str) -> None:
    valued = [*fastpath.LISTS, *fastpath.PATHS[command]]
    lines = [[word] for word in fastpath.FLAGS[command]]
    lines += [[word, "x"] for word in valued] + [[f"{word}=x=y"] for word in valued]
    lines += [["--host", "a", "--host=b", "--take-over", "-q", "-v"], []]

    for words in lines:
        for line in (["mail.yml", *words], [*words, "mail.yml"]):
            mine = fastpath.arguments(command, line)
            assert mine is not None, line
            whole = {**_defaults(COMMANDS[command]), **mine}
            theirs = by_typer(command, line)
            assert whole == {name: value if value != () else None for name, value in theirs.items()}, line


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["mail.yml", "-h"],
        ["mail.yml", "more.yml"],
        ["mail.yml", "--yse"],
        ["mail.yml", "-qv"],
        ["mail.yml", "--host"],
        ["mail.yml", "--host", "--yes"],
        ["mail.yml", "--junit="],
        ["mail.yml", "--lock-timeout", "3"],
        ["--", "mail.yml"],
        ["-", "--yes"],
        [""],
    ],
)
def test_whatever_is_not_plain_is_left_to_typer(words: list[str]) -> None:
    assert fastpath.arguments("apply", words) is None


def test_completion_and_the_other_commands_are_typers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fastpath.parsed(["apply", "mail.yml"]) is not None
    assert fastpath.parsed(["verify", "mail.yml"]) is None
    assert fastpath.parsed(["--json", "apply", "mail.yml"]) is None
    monkeypatch.setenv("_MAILPROV_COMPLETE", "complete_bash")
    assert fastpath.parsed(["apply", "mail.yml"]) is None
