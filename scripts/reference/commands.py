"""Every command with its arguments and options, as its own --help has them.

all_commands() -> list[CommandHelp]    in the order of `mailprov --help`; groups before their commands
page() -> str                          docs/reference/commands.md
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

import typer.main

from mailprov.cli.app import build_app
from mailprov.cli.help_page import COMMANDS

HEAD = """\
# Commands

INVENTORY is the first argument of every command, and `./mail.yml` when it is left out. `mailprov COMMAND --help` prints
what stands here; `man mailprov` has it as well. [Exit codes](../pipelines.md#exit-codes) are the same for all commands.

"""


@dataclass(frozen=True)
class CommandHelp:
    name: str  # `dns plan`
    usage: str  # `mailprov dns plan [OPTIONS] [INVENTORY]`
    text: str  # paragraphs, with an empty line between them
    arguments: list[tuple[str, str]]  # what is typed, what it means
    options: list[tuple[str, str]]
    group: bool  # of further commands


def all_commands() -> list[CommandHelp]:
    root: Any = typer.main.get_command(build_app())
    context = root.make_context("mailprov", ["--help"], resilient_parsing=True)
    found: list[CommandHelp] = []
    for name in COMMANDS:
        _walk(root.get_command(context, name), name, context, found)
    return found


def _walk(command: Any, name: str, parent: Any, found: list[CommandHelp]) -> None:
    context = command.context_class(command, info_name=name.rpartition(" ")[2], parent=parent)
    records = [(each.param_type_name, _record(each, context)) for each in command.get_params(context)]
    subcommands = getattr(command, "commands", {})
    found.append(
        CommandHelp(
            name,
            f"mailprov {name} {' '.join(command.collect_usage_pieces(context))}",
            inspect.cleandoc(command.help or ""),
            [record for kind, record in records if kind == "argument" and record],
            [record for kind, record in records if kind == "option" and record],
            bool(subcommands),
        )
    )
    for below in subcommands:
        _walk(subcommands[below], f"{name} {below}", context, found)


def _record(parameter: Any, context: Any) -> tuple[str, str] | None:
    """What is typed and what it means; the types of Python that typer shows become words."""
    record = parameter.get_help_record(context)
    if record is None:
        return None
    names, what = record
    what = re.sub(r" *\[x>=0\]", "", what)
    if parameter.param_type_name == "argument":
        return names.partition(" ")[0], what
    return re.sub(r"<(?:list\[)?str\]?>", "TEXT", names).replace("<", "").replace(">", ""), what


def page() -> str:
    return HEAD + "\n".join(_section(command) for command in all_commands())


def _section(command: CommandHelp) -> str:
    level = "##" if " " not in command.name else "###"
    lines = [f"{level} mailprov {command.name}", "", text(command.text), ""]
    if command.group:
        return "\n".join(lines)
    lines += ["```text", command.usage, "```", ""]
    rows = [*command.arguments, *((names, what) for names, what in command.options if "--help" not in names)]
    if rows:
        lines += ["| | |", "|---|---|"]
        lines += [f"| {code(names)} | {text(what)} |" for names, what in rows]
        lines.append("")
    return "\n".join(lines)


def text(sentence: str) -> str:
    """As Markdown, within a table too: nothing in it is markup but its own backquotes."""
    parts = sentence.split("`")
    for index in range(0, len(parts), 2):  # outside of backquotes
        for sign in "\\*_<>[]":
            parts[index] = parts[index].replace(sign, f"\\{sign}")
    return "`".join(parts).replace("|", "\\|")


def code(words: str) -> str:
    """`-q, --quiet` as code, of which no line breaks within a word."""
    return ", ".join(f"`{each.strip()}`".replace("|", "\\|") for each in words.split(", "))
