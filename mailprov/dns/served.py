"""Values of others that do the same as the wanted ones: Google's five MX for its one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mailprov.dns.rrsets import Key
from mailprov.records import types


def served(
    key: Key, before: Mapping[str, int], wanted: dict[str, int], ours: Collection[str]
) -> dict[str, int]:
    """What is wanted in this set, or what others wrote in its place where that does the same (records/types), each with
    its TTL. `before`: what stands. Of `ours` nothing stays in another form than the wanted one.
    """
    for kind in {types.alone(*key, value) for value in wanted}:
        mine = [value for value in wanted if types.alone(*key, value) is kind]
        there = [value for value in before if types.alone(*key, value) is kind]
        if kind and there and not set(ours) & set(there) and kind.serves(mine, there):
            rest = {value: ttl for value, ttl in wanted.items() if value not in mine}
            wanted = {**rest, **{value: before[value] for value in there}}
    return wanted
