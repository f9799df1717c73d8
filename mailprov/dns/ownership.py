"""The ownership marker: which values of a zone mailprov wrote itself, kept in the zone. Pure.

    marker_name(unit)                   the name of a unit's marker, a TXT record
    unit_of(name, zone, names)          the unit that a record belongs to
    digest(type, value)                 the short stand-in for a value
    term_entry(name, term)              the entry of a term in somebody else's SPF record; terms_of(entries, name)
    parse(place, text) -> Marker        None for a text of others; Marker.newer for one of a later mailprov
    gather(texts, identity)             -> Ownership: what is ours in a zone, and what other inventories own there
    named_at(unit, identity)            the names that a marker tells beside its entries
    render(unit, zone, named, entries)  -> the text to write there
    with_entries(marker, entries)       -> the text of a marker that is otherwise as it was

A unit is a mail domain or domain alias with all names below it in its zone, or, for names below none of them (hosts in
a zone of their own), the zone. Its marker stands at `_mailprov.UNIT`, in the zone of the records themselves, because
only there one UPDATE changes both or neither. One marker for a whole zone limits how many domains an UPDATE can hold;
the name can be asked for before the zone is known, which saves a round of questions.

    v=mailprov2 zone=alpha.test for=alpha.test,beta.test @/MX=<digest>,<digest> mx1/A=<digest> _dmarc/TXT=<digest>

- Value by value, so that a value that left the inventory is removed and nothing beside it is.
- Names stand in clear (relative to the unit), because records are read by name: no zone transfer is needed.
- `for` says whose it is: the unit, then the next mail domains of the inventory in alphabetical order, the first behind
  the last. So every domain is named by another one's marker, and one that leaves the inventory is found, also the
  ninth. One that could not be cleaned stays named until it is gone. Without mail domains, the hosts are named. A zone
  of addresses is named behind them while there are PTR records of ours in it.
- Several inventories may share a zone and a host; each has a marker of its own, beside each other where the unit is the
  same, and each owns an equal value. It is deleted by the last one.

Where mailprov added terms to an SPF record of somebody else (foreign_spf.py), the value is theirs and the terms are
ours: `@/TXT=+mx,+include:_spf.example`. Such a marker begins with `v=mailprov3`, which versions that know nothing of
terms take for that of a later one: they leave the zone alone and say so. Without terms it is `v=mailprov2`.

0.1.0 wrote one marker for a zone at `_mailprov.ZONE` (`v=mailprov1`, names relative to the zone). It is read, and
replaced when the zone is written. 0.1.0 looks at that name alone, and stops when a later version's marker is there: so
one stands there in every zone, without entries where no record needs it, unless one of another inventory does.

A neighbour who may write texts in the zone may forge a marker, and has what it lists removed. So a marker can speak
only of what mailprov writes (records/types), at plain names below its own.

Raises nothing: words that make no sense are passed over.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from functools import cached_property

from mailprov.model.hostnames import inside
from mailprov.model.values import dataclass
from mailprov.records import types

VERSION = "v=mailprov2"
WITH_TERMS = "v=mailprov3"
FORMER = "v=mailprov1"
# Names in one marker: enough to be recognised again when some of them have left at once.
NAMED = 8
_LABEL = "_mailprov."
# As records/desired.py makes them; all of them can be asked for (RFC 1035 section 3.1: at most 63 octets, and 253).
_ANYWHERE = ("A", "AAAA", "MX", "TXT")
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")

# Terms that records/types/spf.py writes. No digest begins with a plus.
_NAME_IN_TERM = r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}"
_TERM = re.compile(
    rf"\+(?:a|mx|(?:a|mx|include):{_NAME_IN_TERM}|ip4:[0-9./]{{1,18}}|ip6:[0-9a-f:./]{{1,49}})"
)

Entry = tuple[str, str, str]  # (absolute name, type, digest), or (name, "TXT", "+" and a term of SPF)


@dataclass(frozen=True)
class Marker:
    """One text. `zone`: where it says that it is. `newer`: written by a later mailprov, and not understood."""

    unit: str
    text: str
    zone: str = ""
    named: tuple[str, ...] = ()
    entries: frozenset[Entry] = frozenset()
    former: bool = False
    newer: bool = False


@dataclass(frozen=True)
class Identity:
    """What an inventory is known by: its mail domains and their aliases, its hosts' names.

    `departed`: names that have left it and whose markers are still its own. `pending`: those among them, and others,
    that must stay named, because they could not be cleaned, or because nothing else leads there (a zone of addresses).
    `in_use`: names that may be named without having left: of such zones.
    """

    names: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    departed: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    in_use: frozenset[str] = frozenset()

    def has(self, marker: Marker) -> bool:
        """Whether this inventory wrote it, or has a domain of it now."""
        hosts = self.hosts if marker.former and not self.names else ()
        return not marker.newer and any(name in self._own or name in hosts for name in marker.named)

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        return tuple(f"host/{host}" for host in self.hosts)

    @cached_property
    def _own(self) -> frozenset[str]:
        return frozenset((*self.names, *self.departed, *self._tokens))

    @cached_property
    def units(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset((*self.names, *self._tokens, *self.pending))

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.names or self._tokens)

    def ring(self, unit: str) -> tuple[str, ...]:
        """The first names in the order in which the marker of a unit tells them."""
        start = bisect.bisect_left(self._sorted, unit)
        return tuple([*self._sorted[start : start + NAMED], *self._sorted[: min(start, NAMED)]][:NAMED])

    def up_to_date(self, marker: Marker, zone: str) -> bool:
        """Whether it may stay as it is, apart from its entries: it names nobody who is gone, and that of a domain names
        the next one.
        """
        needed = {*self.pending, *(self.ring(marker.unit)[:2] if marker.unit in self.units else ())}
        return not marker.former and marker.zone == zone and needed <= set(marker.named) <= self._known


@dataclass(frozen=True)
class Ownership:
    """`entries`: what we own in a zone. `ours`: the markers that say so. `others`: what other inventories own there.

    `newer`: the text of a later mailprov, which this one must not touch.
    """

    entries: frozenset[Entry] = frozenset()
    ours: tuple[Marker, ...] = ()
    theirs: tuple[Marker, ...] = ()
    others: frozenset[Entry] = frozenset()
    newer: str = ""

    def terms(self, name: str) -> list[str]:
        """Those that we added to an SPF record of somebody else."""
        return terms_of(self.entries, name)

    def owns(self, name: str, kind: str, value: str) -> bool:
        return (name, kind, digest(kind, value)) in self.entries

    def shared(self, name: str, kind: str, value: str) -> bool:
        """Whether another inventory owns it."""
        return (name, kind, digest(kind, value)) in self.others


def marker_name(unit: str) -> str:
    return f"{_LABEL}{unit}"


def is_marker(name: str) -> bool:
    return name.startswith(_LABEL)


def unit_of(name: str, zone: str, names: Container[str]) -> str:
    """The longest of the mail domains `names` in this zone that `name` is in; else the zone. `names`: best a set."""
    while name != zone and inside(name, zone):
        if name in names:
            return name
        name = name.partition(".")[2]
    return zone


def digest(kind: str, value: str) -> str:
    """72 bits of SHA-256 in 12 characters that need no escaping anywhere."""
    body = f"{kind} {value}".encode("utf-8", "surrogateescape")
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:9]).decode("ascii")


def term_entry(name: str, term: str) -> Entry:
    return name, "TXT", f"+{term}"


def terms_of(entries: Iterable[Entry], name: str) -> list[str]:
    return sorted(one[1:] for at, __, one in entries if at == name and one.startswith("+"))


def parse(place: str, text: str) -> Marker | None:
    """A text that was read at the name `place`."""
    unit = place.removeprefix(_LABEL)
    version, *words = text.split(" ")
    if version not in (VERSION, WITH_TERMS, FORMER):
        return Marker(unit, text, newer=True) if version.startswith("v=mailprov") else None
    told = {key: value for key, equals, value in (word.partition("=") for word in words) if equals}
    entries = frozenset(entry for word in words for entry in _entries(unit, word))
    named = tuple(
        name for name in told.get("for", "").split(",") if _NAME.fullmatch(name.removeprefix("host/"))
    )
    return Marker(unit, text, told.get("zone", unit), named, entries, version == FORMER)


def _entries(unit: str, word: str) -> Iterable[Entry]:
    place, equals, digests = word.partition("=")
    label, slash, kind = place.rpartition("/")
    name = unit if label == "@" else f"{label}.{unit}"
    if not (equals and slash and kind in types.published() and _NAME.fullmatch(name)):
        return
    if kind not in _ANYWHERE and not types.writes_at(name, kind):  # at few names, unlike these
        return
    for one in digests.split(","):
        if not one.startswith("+") or (kind == "TXT" and _TERM.fullmatch(one)):
            yield name, kind, one


def gather(texts: Mapping[str, Iterable[str]], identity: Identity) -> Ownership:
    """Out of all texts found at markers' names: {name: texts}."""
    markers = [m for place, several in texts.items() for text in several if (m := parse(place, text))]
    ours = tuple(marker for marker in markers if identity.has(marker))
    theirs = tuple(marker for marker in markers if not identity.has(marker) and not marker.newer)
    return Ownership(
        frozenset(entry for marker in ours for entry in marker.entries if _believed(entry, identity)),
        ours,
        theirs,
        frozenset(entry for marker in theirs for entry in marker.entries),
        next((marker.text for marker in markers if marker.newer), ""),
    )


def _believed(entry: Entry, identity: Identity) -> bool:
    """Whoever may write a TXT can forge a marker. A record that is never written at a mail domain is none of ours."""
    name, kind, _digest = entry
    return name not in identity.units or types.at_domains(kind)


def named_at(unit: str, identity: Identity) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*identity.ring(unit), *sorted(identity.pending)]))


def render(unit: str, zone: str, named: Sequence[str], entries: Collection[Entry]) -> str:
    """The marker's text; the same entries give the same text."""
    words = _words(unit, entries)
    return " ".join([_version(entries), f"zone={zone}", f"for={','.join(named)}", *words])


def with_entries(marker: Marker, entries: Collection[Entry]) -> str:
    """The same marker, of whatever version it is, with other entries."""
    first, *head = (word for word in marker.text.split(" ") if not any(_entries(marker.unit, word)))
    version = first if marker.former else _version(entries)
    return " ".join([version, *head, *_words(marker.unit, entries)])


def _version(entries: Iterable[Entry]) -> str:
    return WITH_TERMS if any(one.startswith("+") for __, __, one in entries) else VERSION


def _words(unit: str, entries: Iterable[Entry]) -> list[str]:
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, kind, one in sorted(entries):
        label = "@" if name == unit else name.removesuffix(f".{unit}")
        grouped[label, kind].append(one)
    return [f"{label}/{kind}={','.join(digests)}" for (label, kind), digests in grouped.items()]
