"""What a driver does: reads and writes the zones of a provider, and decides nothing.

    Driver         an open connection to a provider
      .query(keys, names, proofs) -> Reading      all at once: what stands at names, which zone has a name
      .write(zone, snapshot, edits, version) -> Outcome
      .signed(zones) -> {zone: bool or None}      with DNSSEC
      .weigh(zone, snapshot, edits) -> int        how much of one write() these take
    ZoneDriver     for providers that know their zones and what is stored in them: find_zones, read, write

What to read is survey.py's, what to change diff.py's, what may be overwritten publishing.py's and guard.py's, whose
values are whose ownership.py's: all of these are the same for every provider, and take over where a driver cannot do
something. What it raises are DnsUnreachable and DnsFailed, each naming what was asked; of a write it raises nothing,
for then all depends on what stands afterwards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from types import TracebackType

from mailprov.dns.abilities import Abilities
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, ancestors
from mailprov.errors import DnsFailed, DnsUnreachable, MailprovError
from mailprov.i18n import _, ngettext
from mailprov.model.hostnames import below, inside
from mailprov.model.values import dataclass, field

Proof = tuple[str, Key]  # a zone and a set in it: is it stored there, or does a wildcard make it up?
Say = Callable[[str], None]  # what a person should know of a write


@dataclass(frozen=True)
class Answer:
    """What there is for one name and type. `sets`: that set, a CNAME at the name, or a DNAME above it.

    `exists`: the name does, with this type or without. `authoritative`: it is in a zone of this provider. `zone`: that
    zone, where the answer tells it, and `apex` its SOA. `error`: it would not say.
    """

    sets: Snapshot = field(default_factory=dict)
    exists: bool = False
    authoritative: bool = True
    zone: str | None = None
    apex: RRset | None = None
    error: DnsFailed | None = None

    def known(self) -> Snapshot:
        """`sets`; raises `error`."""
        if self.error is not None:
            raise self.error
        return self.sets


@dataclass(frozen=True)
class Place:
    """Where a name belongs: `zone`, or None, and then `seen` says what was found (`alpha.test, test: REFUSED`, or a
    delegation). `dname`: the owner of a DNAME above it. `error`: this could not be learned, or is contradictory.
    """

    zone: str | None = None
    seen: str = ""
    dname: str = ""
    error: DnsFailed | None = None


@dataclass(frozen=True)
class Reading:
    """`stored`: of each proof, whether the set is."""

    answers: Mapping[Key, Answer] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    stored: Mapping[Proof, bool] = field(default_factory=dict)


class Result(Enum):
    DONE = "done"  # it was accepted; whether it stands is seen when it is read back
    CHANGED = "changed"  # a set is not as it was read: nothing of it was done, but for Outcome.done
    REFUSED = "refused"  # the provider says that it does not do it
    UNKNOWN = "unknown"  # no usable answer: it may have been done, or half of it


@dataclass(frozen=True)
class Outcome:
    """Of a write. `error`: with REFUSED and UNKNOWN, what to tell when the changes do not stand. `done`: with CHANGED,
    the edits that were done before that was seen, by a driver that is not atomic.
    """

    result: Result
    error: DnsFailed | DnsUnreachable | None = None
    done: Sequence[Edit] = ()


class Driver(ABC):
    """An open connection, as a context manager; connects at the first use. Not for several threads at once."""

    where: str  # "DNS server 10.0.0.2": as errors begin
    abilities: Abilities
    reads_stored: bool = False  # what is stored, and not what a wildcard makes up of it
    weaker: Sequence[str] = ()  # sentences: what cannot be relied on, for plans that change something

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 (nothing to close is usual)
        """Ends what the first use began."""

    @abstractmethod
    def query(
        self, keys: Collection[Key] = (), names: Collection[str] = (), proofs: Collection[Proof] = ()
    ) -> Reading:
        """In as few rounds as can be: the sets at `keys`, the zones of `names`, and `proofs`. Whether a key is in a
        zone of this provider need not be known. (ZONE, "SOA") is the zone's version, if there is one.
        """

    def signed(self, zones: Collection[str]) -> Mapping[str, bool | None]:
        """Whether each is signed with DNSSEC; None: nobody would tell. Where a provider does not tell it, the zone's
        name servers do.
        """
        from mailprov.dns import dnssec

        return dnssec.asked(zones)

    @abstractmethod
    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        """Do these edits to what was read as `snapshot`, values of others untouched. With abilities.compare_and_swap,
        only if every touched set is as in `snapshot` (the zone's own marker apart, to which every inventory adds a text
        of its own); with holds_version also only if the zone's SOA is `version`, where that is given.
        """

    def weigh(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit]) -> int:
        """How much of `abilities.capacity` one write of these would take."""
        return len(edits)

    def at(self, name: str) -> Driver:
        """The driver of the provider that has this name, where there are several (routes.py)."""
        return self

    def belongs(self, name: str, zone: str) -> bool:
        """Whether the inventory looks for this name where it looks for this zone."""
        return True

    def failure(self, name: str) -> MailprovError | None:
        """Why nothing can be known of the zone of this name, where other zones can be planned all the same."""
        return None

    def fail(self, name: str, error: MailprovError) -> None:
        """What must be known of this name cannot be: raises that, or keeps it where others need not stop for it."""
        raise error


class ZoneDriver(Driver):
    """For providers that can list their zones and give what is stored in them: such a driver has nothing to guess."""

    reads_stored = True

    @abstractmethod
    def find_zones(self) -> Collection[str]:
        """The names of all zones that can be written."""

    @abstractmethod
    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        """What is stored at these keys, and CNAME, DNAME and NS at and above their names in the zone; more is
        welcome. A set that is no plain DNS data is `special`, one that cannot be written as it stands is `fixed`.
        """

    def query(
        self, keys: Collection[Key] = (), names: Collection[str] = (), proofs: Collection[Proof] = ()
    ) -> Reading:
        zones = sorted(self.find_zones(), key=len, reverse=True)
        every = dict.fromkeys([*(name for name, __ in keys), *names])
        zone_of = {name: next((zone for zone in zones if inside(name, zone)), None) for name in every}
        asked: dict[str, set[Key]] = {}
        for key in keys:
            if zone := zone_of[key[0]]:
                asked.setdefault(zone, set()).add(key)
        for name in names:
            if zone := zone_of[name]:
                asked.setdefault(zone, set()).add((name, "NS"))
        for zone, key in proofs:
            asked.setdefault(zone, set()).add(key)
        stored = {zone: self.read(zone, wanted) for zone, wanted in asked.items()}
        places = {name: _place(name, zone_of[name], stored, zones) for name in names}
        answers = {key: _answer(key, zone_of[key[0]], stored) for key in keys}
        return Reading(answers, places, {(zone, key): key in stored[zone] for zone, key in proofs})


def _above(name: str, zone: str, kind: str, stored: Snapshot) -> str:
    """The highest name at or above this one, below the zone's own, that has a set of this type."""
    owners = [one for one in ancestors(name) if below(one, zone) and (one, kind) in stored]
    return owners[-1] if owners else ""


def _place(name: str, zone: str | None, stored: Mapping[str, Snapshot], zones: Sequence[str]) -> Place:
    if zone is None:
        return Place(
            None,
            ngettext(
                "looked for {name} in its {count} zone", "looked for {name} in its {count} zones", len(zones)
            ).format(name=name, count=len(zones)),
        )
    if cut := _above(name, zone, "NS", stored[zone]):
        return Place(None, _("{name} is delegated from {zone} to other servers").format(name=cut, zone=zone))
    owner = _above(name, zone, "DNAME", stored[zone])
    return Place(zone, dname=owner if owner != name else "")


def _answer(key: Key, zone: str | None, stored: Mapping[str, Snapshot]) -> Answer:
    name, kind = key
    if zone is None:
        return Answer(authoritative=False)
    there = stored[zone]
    if _above(name, zone, "NS", there) and kind != "NS":
        return Answer(exists=True, authoritative=False)
    sets = {(name, each): there[name, each] for each in (kind, "CNAME") if (name, each) in there}
    owner = _above(name, zone, "DNAME", there)
    if owner and owner != name:
        sets = {(name, "DNAME"): there[owner, "DNAME"]}
    exists = any(inside(other, name) for other, __ in there)
    return Answer(sets, exists, True, zone, there.get((zone, "SOA")))
