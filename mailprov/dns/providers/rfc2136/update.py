"""One UPDATE message (RFC 2136) for a zone: made and sent.

    send(session, zone, snapshot, edits, read, say, soa)      False: a prerequisite did not hold, nothing was done
    build_update(zone, snapshot, edits, …) -> message
    octets(zone, snapshot, edits) -> int                      of the message

The prerequisites hold every touched RRset as it was read, so a change by somebody else in between is never overwritten.
All but one: at the zone's own marker each inventory has a text of its own, adds and removes that alone, and would
otherwise be in the way of all the others at each try.
PowerDNS compares them with what its database has, letter for letter: `\\;` for `;` in a TXT, as zone files of BIND and
octoDNS have it, is another text to it, and of two texts that differ in case only it finds one. So when a prerequisite
fails though the set reads as before, the set is only held to exist, and the zone's serial is held instead: that too
changes with every update, and with what PowerDNS's own tools write unless they are told otherwise. What is answered and
not stored at all (a LUA record) cannot be written, and is an error.
Raises DnsFailed, DnsUnreachable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import dns.exception
import dns.rcode
import dns.rdata
import dns.update

from mailprov.dns import ownership
from mailprov.dns.providers.rfc2136 import questions
from mailprov.dns.providers.rfc2136.rdata import absolute, exact, to_rdata
from mailprov.dns.providers.rfc2136.session import Session
from mailprov.dns.providers.rfc2136.tsig_errors import NO_UPDATES, rcode_name
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot
from mailprov.dns.shown import shown
from mailprov.errors import DnsFailed
from mailprov.i18n import _, ngettext

# Codes by which a server says that a prerequisite did not hold (RFC 2136 section 3.2.5).
CHANGED_MEANWHILE = {dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN}


def send(
    session: Session,
    zone: str,
    snapshot: Snapshot,
    edits: Sequence[Edit],
    read: Callable[[Collection[Key]], Snapshot],
    say: Callable[[str], None] = lambda text: None,
    soa: RRset | None = None,
) -> bool:
    """Send one UPDATE; False when a prerequisite did not hold. `read`: sets of the zone as they are now. `say` gets
    what a person should know of it. `soa` is held, too (guard.py says what for).
    """
    if _send(session, zone, build_update(zone, snapshot, edits, soa=soa), len(edits)):
        return True
    serial, odd = _spelled_otherwise(session, zone, snapshot, edits, read)
    if not odd:
        return False
    names = ", ".join(f"{name} {kind}" for name, kind in sorted(odd))
    say(
        _(
            "{server} compares {records} in another spelling than it answers (PowerDNS: \\; in a "
            "text, or texts that differ in case only); the zone's serial was held in place of "
            "the values"
        ).format(server=session.where, records=names)
    )
    return _send(session, zone, build_update(zone, snapshot, edits, odd, serial), len(edits))


def _send(session: Session, zone: str, message: dns.update.UpdateMessage, count: int) -> bool:
    try:
        (answer,) = session.ask([message])
    except dns.exception.TooBig:
        raise DnsFailed(
            f"zone {zone}",
            ngettext(
                "{count} changed record set does not fit in one DNS message of 64 KiB",
                "{count} changed record sets do not fit in one DNS message of 64 KiB",
                count,
            ).format(count=count),
            _("Split the zone, or apply in several steps with fewer domains each"),
        ) from None
    if answer.rcode() == dns.rcode.NOERROR:
        return True
    if answer.rcode() in CHANGED_MEANWHILE:
        return False
    raise _rejected(session, zone, rcode_name(answer))


def _spelled_otherwise(
    session: Session,
    zone: str,
    snapshot: Snapshot,
    edits: Sequence[Edit],
    read: Callable[[Collection[Key]], Snapshot],
) -> tuple[RRset | None, set[Key]]:
    """The sets that read as before and whose prerequisites do not hold, and the SOA that was there before they were
    read.
    """
    keys = [(edit.name, edit.type) for edit in edits if (edit.name, edit.type) in snapshot]
    soa = _soa(session, zone)
    held = [dns.update.UpdateMessage(absolute(zone)) for __ in keys]
    for message, key in zip(held, keys, strict=True):
        for rdata in _rdatas(key, snapshot):
            message.present(absolute(key[0]), rdata)
    answers = session.ask(held)
    failed = {key for key, answer in zip(keys, answers, strict=True) if answer.rcode() == dns.rcode.NXRRSET}
    now = read(failed)
    if not failed or any(set(_rdatas(key, now)) != set(_rdatas(key, snapshot)) for key in failed):
        return None, set()
    for key, answer in zip(
        sorted(failed), session.ask([questions.proof(zone, key) for key in sorted(failed)]), strict=True
    ):
        if answer.rcode() == dns.rcode.NXRRSET:
            said = ", ".join(map(shown, snapshot[key].values))
            raise DnsFailed(
                f"zone {zone}",
                _(
                    "{server} answers {values} for {name} {type}, and has no such record: it makes the "
                    "answer up (PowerDNS: a LUA record), so nothing can be written there"
                ).format(server=session.where, values=said, name=key[0], type=key[1]),
                _("Remove that on the name server, or choose another name"),
            )
    return soa, failed


def _soa(session: Session, zone: str) -> RRset | None:
    """The zone's SOA, with its serial; None when the server gives none."""
    key = (zone, "SOA")
    (message,) = session.ask([questions.question(*key)])
    return questions.answer(session, key, message).sets.get(key)


def _rdatas(key: Key, snapshot: Snapshot) -> list[dns.rdata.Rdata]:
    return [exact(key[1], stored) for stored in snapshot[key].stored] if key in snapshot else []


def octets(zone: str, snapshot: Snapshot, edits: Iterable[Edit]) -> int:
    """Without compression, which only makes it smaller."""
    total = 0
    for section in build_update(zone, snapshot, edits).sections:
        for rrset in section:
            name = len(rrset.name.to_wire() or b"")
            total += sum(name + 10 + len(rdata.to_wire() or b"") for rdata in rrset) or name + 10
    return total


def build_update(
    zone: str,
    snapshot: Snapshot,
    edits: Iterable[Edit],
    odd: Collection[Key] = (),
    soa: RRset | None = None,
) -> dns.update.UpdateMessage:
    """The UPDATE for these edits on a zone that was read as `snapshot`. Of the sets `odd` the values are not held, but
    `soa` is.

    A value that stands and is to have another TTL is deleted before it is added: RFC 2136 section 3.4.2.2 has the TTL
    of an addition replace the old one, Knot passes over the addition of a value that it has. An MX set from which
    values go is deleted whole, and what stays is added: PowerDNS does not find a value that it keeps in mixed case.
    """
    message = dns.update.UpdateMessage(absolute(zone))
    if soa is not None:
        message.present(absolute(zone), *(exact("SOA", stored) for stored in soa.stored))
    for edit in edits:
        name = absolute(edit.name)
        rrset = snapshot.get((edit.name, edit.type))
        shared = edit.name == ownership.marker_name(zone)
        if rrset is None and not shared:
            if edit.type == "CNAME" and not any(owner == edit.name for owner, __ in snapshot):
                message.absent(name)  # it would be passed over beside anything (section 3.4.2.2)
            else:
                message.absent(name, edit.type)
            if edit.type != "CNAME" and (edit.name, "CNAME") not in snapshot:
                message.absent(name, "CNAME")
        elif rrset is not None:
            # Single rdatas, not the set as read: those get TTL 0, and servers answer FORMERR to any other
            # (RFC 2136 section 3.2.4). All of them together mean: the set is exactly this.
            if (edit.name, edit.type) in odd:
                message.present(name, edit.type)
            elif not shared:
                for stored in rrset.stored:
                    message.present(name, exact(edit.type, stored))
            going = {v for v in edit.remove if v not in edit.add}
            if edit.type == "MX" and going:
                message.delete(name, edit.type)
                for stored in rrset.stored:
                    if stored.value not in {*going, *edit.add}:
                        message.add(name, edit.ttl, exact(edit.type, stored))
            else:
                for stored in rrset.stored:
                    value = stored.value
                    if value in edit.remove or (value in edit.add and rrset.ttl != edit.ttl):
                        message.delete(name, exact(edit.type, stored))
        for value in edit.add:
            message.add(name, edit.ttl, *_spelled(rrset, edit.type, value))
    return message


def _spelled(rrset: RRset | None, kind: str, value: str) -> list[dns.rdata.Rdata]:
    """The data for a value: as it stands already (a TXT may be cut otherwise than we do), else ours."""
    same = [exact(kind, stored) for stored in (rrset.stored if rrset else ()) if stored.value == value]
    return same or [to_rdata(kind, value)]


def _rejected(session: Session, zone: str, code: str) -> DnsFailed:
    texts = {
        "REFUSED": (
            _("it refused the update"),
            _(
                "Allow updates of this zone with this TSIG key, on the zone's primary (BIND: update-policy or "
                "allow-update; PowerDNS: dnsupdate=yes, and ALLOW-DNSUPDATE-FROM and TSIG-ALLOW-DNSUPDATE of the "
                "zone); BIND also refuses an MX whose host has no address in the zone (see its log)"
            ),
        ),
        "NOTAUTH": (_("it is not the primary of the zone"), _("Name the primary server in dns.server")),
        "NOTZONE": (
            _("it says a name is outside the zone"),
            _("Check how the zone is delegated on that server"),
        ),
        "NOTIMP": (_("it takes no updates"), _(NO_UPDATES)),
        "SERVFAIL": (
            _("it failed to do the update"),
            _(
                "Look at the server's log; often it cannot write the zone's journal, or it is not the zone's primary "
                "and cannot reach that"
            ),
        ),
        "FORMERR": (_("it did not understand the update"), _("Look at the server's log")),
    }
    what, advice = texts.get(code, (_("it did not do the update"), _("Look at the server's log")))
    return DnsFailed(f"zone {zone}", f"{session.where}: {what} ({code})", advice)
