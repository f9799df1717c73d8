"""What mailprov remembers in a zone: which values there it wrote itself. Pure.

    marker_name(zone)                     the name of the one TXT record that holds the memory
    digest(type, value)                   the short stand-in for a value
    recall(zone, texts, domains)          -> Memory, from the texts found at the marker's name
    left_behind(texts, domains)           -> mail domains that were ours and are not in the inventory any more
    compose(zone, entries, domains)       -> the text to write there

The text:  v=mailprov1 for=alpha.test,beta.test @/MX=<digest>,<digest> mx1/A=<digest> _dmarc/TXT=<digest>

- Value by value, so that a value that left the inventory is removed and nothing beside it is.
- Names stand in clear, because records are read by name (no zone transfer is needed).
- `for` names mail domains of the inventory that wrote it. Several inventories may share a zone (a class
  with one zone and an inventory per student), each with a text of its own at the marker's name; without
  this one would take the other's records for leftovers and delete them. A mail domain belongs to one
  inventory, so sharing a domain means: the same one.
Raises nothing: words that make no sense are passed over; the text of a later mailprov is told as `newer`.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

VERSION = "v=mailprov1"
# Enough names to be recognised again; the text need not grow with a thousand domains.
DOMAINS_NAMED = 8

Entry = tuple[str, str, str]  # (absolute name, type, digest)


@dataclass(frozen=True)
class Memory:
    """`entries`: what we own. `texts`: the marker's values that are ours. `current`: they need no rewriting
    as such.

    `newer`: a text of a later mailprov, which this one must not touch.
    """

    entries: frozenset[Entry] = frozenset()
    texts: tuple[str, ...] = ()
    current: bool = True
    newer: str = ""

    def owns(self, name: str, kind: str, value: str) -> bool:
        return (name, kind, digest(kind, value)) in self.entries


def marker_name(zone: str) -> str:
    return f"_mailprov.{zone}"


def digest(kind: str, value: str) -> str:
    """72 bits of SHA-256 in 12 characters that need no escaping anywhere."""
    body = f"{kind} {value}".encode("utf-8", "surrogateescape")
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:9]).decode("ascii")


def recall(zone: str, texts: Iterable[str], domains: Sequence[str]) -> Memory:
    """The memory of the inventory with these mail `domains`, out of all texts found at the marker's name."""
    entries: set[Entry] = set()
    ours: list[str] = []
    current = True
    newer = ""
    for text in texts:
        version, *words = text.split(" ")
        if version != VERSION:
            newer = newer or (text if version.startswith("v=mailprov") else "")
            continue
        named = _named(words)
        if not set(named) & set(domains):
            continue
        ours.append(text)
        current = current and set(named) <= set(domains)
        for word in words:
            entries.update(_entries(zone, word))
    return Memory(frozenset(entries), tuple(ours), current and len(ours) <= 1, newer)


def left_behind(texts: Iterable[str], domains: Sequence[str]) -> tuple[str, ...]:
    """Out of the texts at a marker's name: who shares a text with our `domains` and is not one of them."""
    told = [_named(text.split(" ")) for text in texts if text.startswith(f"{VERSION} ")]
    ours = [name for names in told if set(names) & set(domains) for name in names]
    return tuple(dict.fromkeys(name for name in ours if name not in domains))


def _named(words: Iterable[str]) -> list[str]:
    return [domain for word in words if word.startswith("for=") for domain in word[4:].split(",")]


def _entries(zone: str, word: str) -> Iterable[Entry]:
    place, equals, digests = word.partition("=")
    label, slash, kind = place.rpartition("/")
    if not (equals and slash):
        return
    name = zone if label == "@" else f"{label}.{zone}"
    for one in digests.split(","):
        yield name, kind, one


def compose(zone: str, entries: Iterable[Entry], domains: Sequence[str]) -> str:
    """The marker's text for these entries; the same entries give the same text."""
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, kind, one in sorted(entries):
        label = "@" if name == zone else name.removesuffix(f".{zone}")
        grouped[label, kind].append(one)
    words = [f"{label}/{kind}={','.join(digests)}" for (label, kind), digests in grouped.items()]
    return " ".join([VERSION, f"for={','.join(domains[:DOMAINS_NAMED])}", *words])
