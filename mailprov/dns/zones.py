"""Reading zones from their primary: which zone a name is in, and what stands there.

    find_zones(session, names) -> {name: zone or None}, and what was seen where there is none
    read(session, zone, keys)  -> Snapshot {(name, type): RRset}; read_zones: of several zones at once
    proof(zone, key), stands   whether a set is really there, or a wildcard made it up
    finding(names)             the questions of find_zones, and what judges the answers to them; steps, judged: each
    data_of, soa_of            what one answer tells, for whoever asks by himself (survey.py)
    as_records(snapshot)       -> [Record], canonical values

Zones are found by asking for the SOA and walking up, never by counting labels; only authoritative answers
count, so a server that also resolves for others cannot lend us its cache. All questions of one step travel
at once.

Raises DnsFailed when the server answers with an error, and what session.py raises.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.update

from mailprov.dns.diff import Key
from mailprov.dns.rdata import absolute, from_rdata, plain
from mailprov.dns.session import Session, rcode_name
from mailprov.errors import DnsFailed
from mailprov.model.dataclass import dataclass
from mailprov.model.records import Record

_ADD_THE_KEY = (
    "Add the TSIG key to each zone there; if it is, something between here and the server changes answers"
)


@dataclass(frozen=True)
class RRset:
    ttl: int
    rdatas: tuple[dns.rdata.Rdata, ...]


Snapshot = dict[Key, RRset]


@dataclass
class Zones:
    """`zone_of`: for every name asked its zone, or None. `seen`: why not, for messages (`alpha.test, test:
    REFUSED`). `dname`: of names below a DNAME its owner; no record that is put there is ever seen (RFC 6672 section
    2.4).
    """

    zone_of: dict[str, str | None] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    dname: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Look:
    """What an SOA question at one name told: the zone; or nothing, with a delegation met and the response
    code.
    """

    zone: str | None = None
    delegated: str | None = None
    rcode: str = ""
    unsigned: bool = False  # REFUSED by nobody we can know: true of a name outside all zones, and of no other


def find_zones(session: Session, names: Collection[str]) -> Zones:
    """The zone of each name on this server, in one round."""
    questions, judge = finding(names)
    return judge(session, session.ask(questions))


Judge = Callable[[Session, Sequence[dns.message.Message]], Zones]


def finding(names: Collection[str]) -> tuple[list[dns.message.QueryMessage], Judge]:
    """All names above each are asked for at once."""
    ordered = steps(names)

    def judge(session: Session, told: Sequence[dns.message.Message]) -> Zones:
        return judged(session, names, dict(zip(ordered, told, strict=True)))

    return [question(name, "SOA") for name in ordered], judge


def steps(names: Iterable[str]) -> list[str]:
    """The names at which the SOA is asked for."""
    return sorted({step for name in names for step in ancestors(name)})


def judged(
    session: Session,
    names: Iterable[str],
    answers: Mapping[str, dns.message.Message],
    covers: Callable[[str], bool] = lambda name: True,
) -> Zones:
    """`answers`: to the question for the SOA at each of `steps`. A name that `covers` does not hold for has no zone
    where the answers to it are errors; of others they are raised.
    """
    walks = {name: ancestors(name) for name in sorted(names)}
    looks: dict[str, _Look] = {}
    result = Zones()
    for name, walk in walks.items():
        try:
            # Only as far as a zone: what a server says about names above its zones is of no concern.
            while (step := _next_step(walk, looks)) is not None:
                looks[step] = _look(session, step, answers[step])
        except DnsFailed as error:
            if covers(name):
                raise
            result.zone_of[name], result.seen[name] = None, error.what
    for name, walk in walks.items():
        if name in result.zone_of:
            continue
        asked = _as_far_as_a_zone(walk, looks)
        zone = next((looks[step].zone for step in asked if looks[step].zone), None)
        unsigned = next((step for step in asked if looks[step].unsigned), None)
        if zone and unsigned and covers(name):
            raise DnsFailed(
                session.where,
                f"it answered REFUSED without a signature when asked for {unsigned} SOA, though it has zone {zone}",
                _ADD_THE_KEY,
            )
        owners = [plain(r.name) for r in answers[name].answer if r.rdtype == dns.rdatatype.DNAME]
        if above := next((owner for owner in owners if name.endswith(f".{owner}")), None):
            result.dname[name] = above
        # The parent zone does not hold what it has delegated away: records put there would never be seen.
        cuts = [cut for step in asked if (cut := looks[step].delegated) and zone and cut.endswith(f".{zone}")]
        result.zone_of[name] = None if cuts else zone
        if cuts:
            result.seen[name] = f"{cuts[0]} is delegated from {zone} to other servers"
        elif not zone:
            result.seen[name] = f"looked for {', '.join(asked)}; it answered {looks[asked[-1]].rcode}"
    return result


def ancestors(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _next_step(walk: list[str], looks: dict[str, _Look]) -> str | None:
    for step in walk:
        if step not in looks:
            return step
        if looks[step].zone:
            return None
    return None


def _as_far_as_a_zone(walk: list[str], looks: dict[str, _Look]) -> list[str]:
    zone = next((number for number, step in enumerate(walk) if looks[step].zone), len(walk) - 1)
    return walk[: zone + 1]


def question(name: str, kind: str) -> dns.message.QueryMessage:
    query = dns.message.make_query(absolute(name), kind)
    # The server's own data is wanted, not what it can find out elsewhere.
    query.flags &= ~dns.flags.RD
    return query


def _look(session: Session, name: str, answer: dns.message.Message) -> _Look:
    code = answer.rcode()
    if code in (dns.rcode.SERVFAIL, dns.rcode.FORMERR, dns.rcode.NOTIMP):
        raise DnsFailed(
            session.where,
            f"it answered {rcode_name(answer)} when asked for the SOA of {name}",
            "Look at the server's log; a zone that could not be loaded or has expired answers so",
        )
    authoritative = bool(answer.flags & dns.flags.AA)
    if not authoritative:
        cut = next((plain(r.name) for r in answer.authority if r.rdtype == dns.rdatatype.NS), None)
        inside = cut if cut and cut != "." and (name == cut or name.endswith(f".{cut}")) else None
        unsigned = session.signs and not answer.had_tsig
        said = rcode_name(answer) + (" without a signature" if unsigned else "")
        return _Look(None, inside, "only a referral" if cut else said, unsigned)
    # Behind a CNAME or DNAME the SOA in the answer is the target's, not this name's: the parent must be
    # asked.
    redirected = any(r.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.DNAME) for r in answer.answer)
    if not redirected:
        for rrset in (*answer.answer, *answer.authority):
            owner = plain(rrset.name)
            if rrset.rdtype == dns.rdatatype.SOA and (name == owner or name.endswith(f".{owner}")):
                return _Look(zone=owner)
    return _Look(rcode=rcode_name(answer))


def soa_of(name: str, answer: dns.message.Message) -> str | None:
    """The zone of a name, when an answer that there is no such record tells it (RFC 2308 section 3)."""
    if not answer.flags & dns.flags.AA or answer.answer:
        return None
    owners = [plain(rrset.name) for rrset in answer.authority if rrset.rdtype == dns.rdatatype.SOA]
    return next((owner for owner in owners if name == owner or name.endswith(f".{owner}")), None)


def apex_of(zone: str, answer: dns.message.Message) -> RRset:
    """The SOA by which an answer tells its zone; `soa_of` has said that it is there."""
    found = next(r for r in answer.authority if r.rdtype == dns.rdatatype.SOA and plain(r.name) == zone)
    return RRset(found.ttl, tuple(found))


def read(session: Session, zone: str, keys: Collection[Key], wild: Collection[str] = ()) -> Snapshot:
    """The RRsets at these names and types as the primary has them, and CNAMEs met there. Missing ones are
    left out.

    What a wildcard made up is left out too: it is not there to be kept, changed or named in a prerequisite. One round,
    and one more where something reads like what a wildcard makes up; not below the wildcards `wild`, which are known.
    """
    snapshots, _ = read_zones(session, {zone: keys}, wild)
    return snapshots[zone]


def read_zones(
    session: Session, keys: Mapping[str, Collection[Key]], wild: Collection[str] = ()
) -> tuple[dict[str, Snapshot], frozenset[str]]:
    """As `read`, for several zones at once: {zone: keys}. And the wildcards that were met."""
    asked = {key for several in keys.values() for key in several}
    # Of two zones the nearer one has the name.
    zone_of = {key[0]: zone for zone in sorted(keys, key=len) for key in keys[zone]}
    # RFC 4592: what a wildcard says of this name it says of a name beside it that nobody has.
    nobody = f"mailprov-{os.urandom(8).hex()}"

    def beside(key: Key) -> Key:
        return f"{nobody}.{key[0].partition('.')[2]}", key[1]

    below = [key for key in sorted(asked) if any(f"*.{above}" in wild for above in ancestors(key[0])[1:])]
    ordered = sorted(asked | {beside(key) for key in asked if key[0] != zone_of[key[0]]})
    answers = session.ask([question(*key) for key in ordered], [proof(zone_of[key[0]], key) for key in below])
    found: Snapshot = {}
    for key, answer in zip(ordered, answers[: len(ordered)], strict=True):
        found.update(data_of(session, key, answer))
    proven = {key: stands(answer) for key, answer in zip(below, answers[len(ordered) :], strict=True)}
    doubtful = {key for key in found if key[0] in zone_of and same(found.get(beside(key)), found[key])}
    made_up = {key for key in doubtful if not proven.get(key, True)}
    made_up |= not_stored(session, {key: zone_of[key[0]] for key in doubtful - proven.keys()})
    snapshots = {
        zone: {
            key: found[key]
            for key in dict.fromkeys(one for key in several for one in (key, (key[0], "CNAME")))
            if key in found and key not in made_up
        }
        for zone, several in keys.items()
    }
    met = {name.partition(".")[2] for name, _ in found if name.startswith(nobody)}
    return snapshots, frozenset(f"*.{parent}" for parent in met)


def same(one: RRset | None, other: RRset | None) -> bool:
    """Whether both have the same data of their own; what is below a DNAME has none."""
    if one is None or other is None or any(rdata.rdtype == dns.rdatatype.DNAME for rdata in one.rdatas):
        return False
    return set(one.rdatas) == set(other.rdatas)


def not_stored(session: Session, doubtful: Mapping[Key, str]) -> set[Key]:
    """Which of these sets, each of a zone, the server answers for and does not have: a wildcard made them up."""
    ordered = sorted(doubtful)
    answers = session.ask([], [proof(doubtful[key], key) for key in ordered])
    return {key for key, answer in zip(ordered, answers, strict=True) if not stands(answer)}


def proof(zone: str, key: Key) -> dns.update.UpdateMessage:
    """An UPDATE that has a prerequisite and changes nothing: it tells what stands from what a wildcard makes up.

    From who may not update the server keeps that to itself: then all counts as made up, which costs a failed update at
    worst.
    """
    message = dns.update.UpdateMessage(absolute(zone))
    message.present(absolute(key[0]), key[1])
    return message


def stands(answer: dns.message.Message) -> bool:
    """What the answer to a proof says."""
    return answer.rcode() == dns.rcode.NOERROR


def read_plain(session: Session, keys: Collection[Key]) -> Snapshot:
    """What is answered, also by wildcards."""
    ordered = sorted(set(keys))
    snapshot: Snapshot = {}
    for key, answer in zip(ordered, session.ask([question(*key) for key in ordered]), strict=True):
        snapshot.update(data_of(session, key, answer))
    return snapshot


def data_of(session: Session, key: Key, answer: dns.message.Message) -> Snapshot:
    """What an answer to this question says of it: the set, a CNAME, the DNAME above it (as CNAME), or nothing."""
    name, kind = key
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        unsigned = session.signs and not answer.had_tsig
        said = rcode_name(answer) + (" without a signature" if unsigned else "")
        raise DnsFailed(
            session.where,
            f"it answered {said} when asked for {name} {kind}, though it has the zone",
            _ADD_THE_KEY if unsigned else "Allow queries with this TSIG key, or look at the server's log",
        )
    snapshot: Snapshot = {}
    if answer.flags & dns.flags.AA:  # else it is below a delegation: not this zone's data
        for rrset in answer.answer:
            found = dns.rdatatype.to_text(rrset.rdtype)
            if plain(rrset.name) == name and found in (kind, "CNAME"):
                snapshot[name, found] = RRset(rrset.ttl, tuple(rrset))
        above = [
            r for r in answer.answer if r.rdtype == dns.rdatatype.DNAME and name.endswith(f".{plain(r.name)}")
        ]
        if above:  # RFC 6672 section 3.1: the CNAME is made up from it
            snapshot[name, "CNAME"] = RRset(above[0].ttl, tuple(above[0]))
    return snapshot


def read_soa(session: Session, zone: str) -> dns.rdata.Rdata | None:
    """The zone's SOA, with its serial; None when the server gives none."""
    (answer,) = session.ask([question(zone, "SOA")])
    found = (r for r in answer.answer if r.rdtype == dns.rdatatype.SOA and plain(r.name) == zone)
    rrset = next(found, None)
    return next(iter(rrset)) if rrset else None


def as_records(snapshot: Snapshot) -> list[Record]:
    """The snapshot as the pure code wants it; TXT that differ only in how they are cut have the same value.

    Sorted, because servers give the records of a set in another order each time: MX by preference.
    """
    dname = dns.rdatatype.DNAME
    records = [
        Record(name, "DNAME" if rdata.rdtype == dname else kind, from_rdata(rdata), rrset.ttl)
        for (name, kind), rrset in snapshot.items()
        for rdata in rrset.rdatas
    ]
    return sorted(records, key=_rank)


def _rank(record: Record) -> tuple[str, str, int, str]:
    preference = int(record.value.split()[0]) if record.type == "MX" else 0
    return record.name, record.type, preference, record.value
