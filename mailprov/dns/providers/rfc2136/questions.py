"""Questions to a name server, and what its answers tell.

    question(name, type), steps(names), proof(zone, key)      messages
    answer(session, key, message) -> Answer                   what one answer tells
    places(session, names, answers) -> {name: Place}          the zone of each name, by the SOA at its `steps`
    stands(message)                                           what the answer to a proof says

Zones are found by asking for the SOA and walking up, never by counting labels; only authoritative answers
count, so a server that also resolves for others cannot lend us its cache.

Raises nothing: an answer that is an error is in the Answer or the Place as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.update

from mailprov.dns.driver import Answer, Place
from mailprov.dns.providers.rfc2136.rdata import absolute, plain, rrset_of
from mailprov.dns.providers.rfc2136.session import Session
from mailprov.dns.providers.rfc2136.tsig_errors import rcode_name
from mailprov.dns.rrsets import Key, RRset, Snapshot, ancestors
from mailprov.errors import DnsFailed
from mailprov.i18n import N_, _
from mailprov.model.hostnames import below, inside
from mailprov.model.values import dataclass

_ADD_THE_KEY = N_(
    "Add the TSIG key to each zone there; if it is, something between here and the server changes answers"
)


@dataclass(frozen=True)
class _Look:
    """What an SOA question at one name told: the zone; or nothing, with a delegation met and the response
    code.
    """

    zone: str | None = None
    delegated: str | None = None
    rcode: str = ""
    unsigned: bool = False  # REFUSED by nobody we can know: true of a name outside all zones, and of no other


def question(name: str, kind: str) -> dns.message.QueryMessage:
    query = dns.message.make_query(absolute(name), kind)
    # The server's own data is wanted, not what it can find out elsewhere.
    query.flags &= ~dns.flags.RD
    return query


def steps(names: Iterable[str]) -> list[str]:
    """The names at which the SOA is asked for: these, and all above them."""
    return sorted({step for name in names for step in ancestors(name)})


def places(
    session: Session, names: Iterable[str], answers: Mapping[str, dns.message.Message]
) -> dict[str, Place]:
    """`answers`: to the question for the SOA at each of `steps`."""
    looks: dict[str, _Look] = {}
    return {name: _place(session, name, looks, answers) for name in sorted(names)}


def _place(
    session: Session, name: str, looks: dict[str, _Look], answers: Mapping[str, dns.message.Message]
) -> Place:
    walk = ancestors(name)
    try:
        # Only as far as a zone: what a server says about names above its zones is of no concern.
        while (step := _next_step(walk, looks)) is not None:
            looks[step] = _look(session, step, answers[step])
    except DnsFailed as error:
        return Place(None, error.what, error=error)
    asked = _as_far_as_a_zone(walk, looks)
    zone = next((looks[step].zone for step in asked if looks[step].zone), None)
    unsigned = next((step for step in asked if looks[step].unsigned), None)
    doubt = None
    if zone and unsigned:
        what = _(
            "it answered REFUSED without a signature when asked for {name} SOA, though it has zone {zone}"
        ).format(name=unsigned, zone=zone)
        doubt = DnsFailed(session.where, what, _(_ADD_THE_KEY))
    owners = [plain(r.name) for r in answers[name].answer if r.rdtype == dns.rdatatype.DNAME]
    dname = next((owner for owner in owners if below(name, owner)), "")
    # The parent zone does not hold what it has delegated away: records put there would never be seen.
    cuts = [cut for step in asked if (cut := looks[step].delegated) and zone and below(cut, zone)]
    if cuts:
        return Place(
            None,
            _("{name} is delegated from {zone} to other servers").format(name=cuts[0], zone=zone),
            dname,
            doubt,
        )
    if not zone:
        return Place(
            None,
            _("looked for {names}; it answered {code}").format(
                names=", ".join(asked), code=looks[asked[-1]].rcode
            ),
            dname,
            doubt,
        )
    return Place(zone, "", dname, doubt)


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


def _look(session: Session, name: str, answer: dns.message.Message) -> _Look:
    code = answer.rcode()
    if code in (dns.rcode.SERVFAIL, dns.rcode.FORMERR, dns.rcode.NOTIMP):
        raise DnsFailed(
            session.where,
            _("it answered {code} when asked for the SOA of {name}").format(
                code=rcode_name(answer), name=name
            ),
            _("Look at the server's log; a zone that could not be loaded or has expired answers so"),
        )
    authoritative = bool(answer.flags & dns.flags.AA)
    if not authoritative:
        cut = next((plain(r.name) for r in answer.authority if r.rdtype == dns.rdatatype.NS), None)
        above = cut if cut and cut != "." and inside(name, cut) else None
        unsigned = session.signs and not answer.had_tsig
        return _Look(
            None, above, _("only a referral") if cut else _code_of(answer, unsigned=unsigned), unsigned
        )
    # Behind a CNAME or DNAME the SOA in the answer is the target's, not this name's: the parent must be
    # asked.
    redirected = any(r.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.DNAME) for r in answer.answer)
    if not redirected:
        for rrset in (*answer.answer, *answer.authority):
            owner = plain(rrset.name)
            if rrset.rdtype == dns.rdatatype.SOA and inside(name, owner):
                return _Look(zone=owner)
    return _Look(rcode=rcode_name(answer))


def _code_of(answer: dns.message.Message, *, unsigned: bool) -> str:
    code = rcode_name(answer)
    return _("{code} without a signature").format(code=code) if unsigned else code


def answer(session: Session, key: Key, message: dns.message.Message) -> Answer:
    """The set that was asked for, a CNAME, the DNAME above it, or nothing."""
    name, kind = key
    code = message.rcode()
    authoritative = bool(message.flags & dns.flags.AA)
    zone = _soa_of(name, message) if authoritative else None
    apex = _apex_of(zone, message) if zone else None
    error = None
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        unsigned = session.signs and not message.had_tsig
        code_name = _code_of(message, unsigned=unsigned)
        error = DnsFailed(
            session.where,
            _("it answered {code} when asked for {name} {type}, though it has the zone").format(
                code=code_name, name=name, type=kind
            ),
            _(_ADD_THE_KEY)
            if unsigned
            else _("Allow queries with this TSIG key, or look at the server's log"),
        )
    sets: Snapshot = {}
    if authoritative:  # else it is below a delegation: not this zone's data
        for rrset in message.answer:
            found = dns.rdatatype.to_text(rrset.rdtype)
            if plain(rrset.name) == name and found in (kind, "CNAME"):
                sets[name, found] = rrset_of(rrset)
        above = [r for r in message.answer if r.rdtype == dns.rdatatype.DNAME and below(name, plain(r.name))]
        if above:  # RFC 6672 section 3.1: the CNAME is made up from it
            sets.pop((name, "CNAME"), None)
            sets[name, "DNAME"] = rrset_of(above[0])
    return Answer(sets, code == dns.rcode.NOERROR, authoritative, zone, apex, error)


def _soa_of(name: str, message: dns.message.Message) -> str | None:
    """The zone of a name, when an answer that there is no such record tells it (RFC 2308 section 3)."""
    if message.answer:
        return None
    owners = [plain(rrset.name) for rrset in message.authority if rrset.rdtype == dns.rdatatype.SOA]
    return next((owner for owner in owners if inside(name, owner)), None)


def _apex_of(zone: str, message: dns.message.Message) -> RRset:
    found = next(r for r in message.authority if r.rdtype == dns.rdatatype.SOA and plain(r.name) == zone)
    return rrset_of(found)


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
