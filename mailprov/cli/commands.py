"""How the commands read their line: typer's, with INVENTORY as the first argument (`inventory_argument` has the rule).

Command     a typer command; if it takes an inventory and other arguments, it says which inventory it took
Plain       one whose INVENTORY, if any, means something else
Commands    a group of commands, of `kind`

Help is translated when it is shown, so that a start which shows none looks for no catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from mailprov.cli.inventory_argument import USUAL, is_inventory, is_left_out, is_path
from mailprov.i18n import _

Function = TypeVar("Function", bound=Callable[..., Any])

_NAME = "inventory"  # of the parameter
_INSTEAD = ("zone", "server")  # options that name something of which no inventory is read


class Plain(TyperCommand):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        _translate(self, ctx)
        super().format_help(ctx, formatter)


class _Group(TyperGroup):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        _translate(self, ctx)
        for command in self.commands.values():
            command.short_help = _(command.short_help or "") or None
            command.help = _(command.help or "") or None
        super().format_help(ctx, formatter)


def _translate(command: Any, ctx: Any) -> None:
    command.help = _(command.help or "") or None
    for each in command.get_params(ctx):
        each.help = _(getattr(each, "help", None) or "") or None


class Command(Plain):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing and args and args[-1].startswith("-"):
            # Completion of this option's value. Without one the parser gives up before it comes to the arguments.
            args = args[:-1]
        if self._takes_inventory() and self._left_out(ctx, args):
            args = [str(USUAL), *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        if self._takes_inventory() and self._others():
            given = ctx.params
            if not given.get("json") and not given.get("quiet"):
                typer.echo(_("inventory: {path}").format(path=given[_NAME]), err=True)
        return super().invoke(ctx)

    def _left_out(self, ctx: Any, args: list[str]) -> bool:
        given = self.make_parser(ctx).parse_args(args=list(args))[0]
        if given.get("help"):
            return False
        if given.get(_NAME) is None and any(given.get(each) for each in _INSTEAD):
            return True
        word, others = given.get(_NAME), self._others()
        if ctx.resilient_parsing:  # completion: what is being typed is not among `args`
            return word is not None and not is_path(word) and not is_inventory(word, bool(others))
        # With ./mail.yml in front, this word would be one too many.
        spare = all(each.nargs == 1 and given.get(str(each.name)) is not None for each in others)
        return is_left_out(str(ctx.info_name), word, bool(others), spare)

    def _takes_inventory(self) -> bool:
        return any(isinstance(each, TyperArgument) and each.name == _NAME for each in self.params)

    def _others(self) -> list[TyperArgument]:
        return [each for each in self.params if isinstance(each, TyperArgument) and each.name != _NAME]


class Commands(typer.Typer):
    def __init__(self, kind: type[Plain] = Command, **options: Any) -> None:
        super().__init__(**{"cls": _Group, **options})
        self._kind = kind

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        return super().command(name, **{"cls": self._kind, **options})
