"""Every DNS provider and what its driver can do, from the list that the zones are written with.

page() -> str    docs/reference/providers.md
"""

from __future__ import annotations

from mailprov.dns.abilities import Abilities
from mailprov.dns.provider import Provider
from mailprov.dns.providers import every
from mailprov.records import types
from scripts.reference.commands import text

HEAD = """\
# DNS providers

Where `mailprov dns` can write records, and what can be relied on there. The [page about DNS](../dns.md) says how each
is set up.

- **Atomic**: a write is done as a whole or not at all. Elsewhere records are written one by one; after a failure the
  output says which of them stand, and the next `apply` does the rest.
- **Conditional**: a write is refused if somebody has changed the same records since they were read. Elsewhere they
  are read once more just before the write, and a change in the moment between can be lost.
- **Reads**: whether the names in question are read, or the whole zone, which takes longer the larger it is.
- **Zones**: whether the provider lists its zones, or is asked for each name.
- **Types**: of records that mailprov publishes; those that a provider lacks are named in the plan, to be published by
  hand.
- **One write**: how much one write takes. Where there is more, several are made, each with whole domains.

Each of these was tried with the driver before this table was made: a driver that claims what it cannot fails the tests.

| `provider` | | atomic | conditional | reads | zones | types | one write | TTL | calls a second | installed with |
|---|---|---|---|---|---|---|---|---|---|---|
"""
SCOPES = """
What the token or key of each must be allowed, and nothing more:

| `provider` | |
|---|---|
"""


def page() -> str:
    rows = [_row(each, each.abilities) for each in every() if each.abilities]
    scopes = [f"| `{each.name}` | {text(each.scope)} |" for each in every() if each.abilities and each.scope]
    limits = "".join(f"\n`{each.name}`: {text(each.limits)}.\n" for each in every() if each.limits)
    return HEAD + "\n".join(rows) + "\n" + limits + SCOPES + "\n".join(scopes) + "\n"


def _row(provider: Provider, can: Abilities) -> str:
    lowest, highest = can.ttls
    ttl = "any" if can.ttls == Abilities.ttls else f"{lowest:,} to {highest:,}"
    cells = [
        f"`{provider.name}`",
        text(provider.title),
        "yes" if can.atomic else "no",
        "yes" if can.compare_and_swap else "no",
        "by name" if can.reads_sets else "whole zones",
        "listed" if can.lists_zones else "asked for",
        _types(can),
        text(can.capacity_is) if can.capacity else "one record set at most" if not can.atomic else "",
        ttl,
        f"{can.calls_per_second:g}" if can.calls_per_second else "",
        f"`mailprov[{provider.name}]`" if provider.extra else "`mailprov`",
    ]
    return f"| {' | '.join(cells)} |"


def _types(can: Abilities) -> str:
    missing = [] if can.types is None else sorted(types.published() - can.types)
    return f"all but {', '.join(missing)}" if missing else "all"
