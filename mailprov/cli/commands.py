"""How the commands read their line: typer's, with INVENTORY as the first argument (`inventory_argument` has the rule).

Command     a typer command; if it takes an inventory and other arguments, it says which inventory it took
Commands    a group of such commands
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand

from mailprov.cli.inventory_argument import USUAL, is_inventory, is_left_out, is_path

Function = TypeVar("Function", bound=Callable[..., Any])

_NAME = "inventory"  # of the parameter


class Command(TyperCommand):
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
                typer.echo(f"inventory: {given[_NAME]}", err=True)
        return super().invoke(ctx)

    def _left_out(self, ctx: Any, args: list[str]) -> bool:
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        if given.get("help"):
            return False
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
    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        return super().command(name, **{"cls": Command, **options})
