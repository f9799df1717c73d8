"""Every type of record that mailprov publishes, from the list that the zones are planned with.

page() -> str    docs/reference/records.md
"""

from __future__ import annotations

from mailprov.records.types import TYPES
from scripts.reference.commands import text

HEAD = """\
# Records

What mailprov publishes for the hosts and domains of an inventory. `mailprov dns export` prints them, each
with its reason.

| record | needed | what it is for |
|---|---|---|
"""


def page() -> str:
    return HEAD + "".join(f"| {text(each.name)} | {each.need.value} | {text(each.why)} |\n" for each in TYPES)
