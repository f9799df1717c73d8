"""What a person is told to type next: on a terminal alone, for what programs read must not change with every idea.

next_is(command, inventory)
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from mailprov.cli.inventory_argument import USUAL


def next_is(command: str, inventory: Path) -> None:
    if sys.stdout.isatty():
        print(f"Next: mailprov {command}{'' if inventory == USUAL else f' {shlex.quote(str(inventory))}'}")
