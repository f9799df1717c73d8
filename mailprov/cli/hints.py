"""What a person is told to type next: on a terminal alone, for what programs read must not change with every idea.

next_is(command, inventory)
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from mailprov.cli.inventory_argument import USUAL
from mailprov.i18n import _


def next_is(command: str, inventory: Path) -> None:
    if sys.stdout.isatty():
        file = "" if inventory == USUAL else f" {shlex.quote(str(inventory))}"
        print(_("Next: {command}").format(command=f"mailprov {command}{file}"))
