"""The commands as one typer application. Only the command that is wanted is imported: each brings its own options."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mailprov.cli.commands import Commands
from mailprov.cli.exit_codes import PastTyper
from mailprov.cli.help_page import COMMANDS, page
from mailprov.i18n import N_


class _Root(TyperGroup):
    """The group of all commands; its help is the first page, whoever asks for it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(page())

    def invoke(self, ctx: Any) -> Any:
        """typer ends these two silently and in its own way, a closed pipe with the exit code of a failure."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, BrokenPipeError) as error:
            raise PastTyper from error


def build_app(wanted: str = "") -> typer.Typer:
    """With `wanted` the name of a command: that one alone. Else, as for errors and for completion: all."""
    app = Commands(
        cls=_Root,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    for name, (module, attribute, line) in COMMANDS.items():
        if wanted in COMMANDS and name != wanted:
            continue
        made = getattr(importlib.import_module(f"mailprov.cli.{module}"), attribute)
        if isinstance(made, typer.Typer):
            app.add_typer(made, name=name, short_help=line)
        else:
            app.command(name, short_help=line)(made)
    return app


def _main(
    version: Annotated[bool, typer.Option("--version", help=N_("Show the version."), is_eager=True)] = False,
) -> None:
    if version:
        from mailprov import __version__

        typer.echo(f"mailprov {__version__}")
        raise typer.Exit
