"""One UPDATE message (RFC 2136) for a zone: made, sent, and read back.

    send(session, zone, snapshot, edits) -> bool        False: a prerequisite did not hold, nothing was done
    build_update(zone, snapshot, edits) -> message
    not_as_wanted(session, zone, edits) -> {set: words} read back; empty when all of it stands
    no_effect(session, zone, missing) -> DnsFailed      it was accepted, and is not there
    after_silence(session, zone, edits, lost)           no answer came: returns when all of it stands, else raises

The prerequisites hold every touched RRset as it was read, so a change by somebody else in between is never overwritten.
Raises DnsFailed, DnsUnreachable, and from after_silence DnsUnsure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import dns.exception
import dns.rcode
import dns.rdata
import dns.update

from mailprov.dns import zones
from mailprov.dns.diff import Edit
from mailprov.dns.rdata import absolute, from_rdata, to_rdata
from mailprov.dns.session import NO_UPDATES, Session, rcode_name
from mailprov.errors import DnsFailed, DnsUnreachable, DnsUnsure

# Codes by which a server says that a prerequisite did not hold (RFC 2136 section 3.2.5).
CHANGED_MEANWHILE = {dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN}


def send(session: Session, zone: str, snapshot: zones.Snapshot, edits: Sequence[Edit]) -> bool:
    """Send one UPDATE; False when a prerequisite did not hold."""
    message = build_update(zone, snapshot, edits)
    try:
        (answer,) = session.ask([message])
    except dns.exception.TooBig:
        raise DnsFailed(
            f"zone {zone}",
            f"{len(edits)} changed record sets do not fit in one DNS message of 64 KiB",
            "Split the zone, or apply in several steps with fewer domains each",
        ) from None
    if answer.rcode() == dns.rcode.NOERROR:
        return True
    if answer.rcode() in CHANGED_MEANWHILE:
        return False
    raise _rejected(session, zone, rcode_name(answer))


def build_update(zone: str, snapshot: zones.Snapshot, edits: Iterable[Edit]) -> dns.update.UpdateMessage:
    """The UPDATE for these edits on a zone that was read as `snapshot`.

    A value that stands and is to have another TTL is deleted before it is added: RFC 2136 section 3.4.2.2 has the TTL
    of an addition replace the old one, Knot passes over the addition of a value that it has.
    """
    message = dns.update.UpdateMessage(absolute(zone))
    for edit in edits:
        name = absolute(edit.name)
        rrset = snapshot.get((edit.name, edit.type))
        if rrset is None:
            message.absent(name, edit.type)
            message.absent(name, "CNAME")
        else:
            # Single rdatas, not the set as read: those get TTL 0, and servers answer FORMERR to any other
            # (RFC 2136 section 3.2.4). All of them together mean: the set is exactly this.
            for rdata in rrset.rdatas:
                message.present(name, rdata)
            for rdata in rrset.rdatas:
                value = from_rdata(rdata)
                if value in edit.remove or (value in edit.add and rrset.ttl != edit.ttl):
                    message.delete(name, rdata)
        for value in edit.add:
            message.add(name, edit.ttl, *_spelled(rrset, edit.type, value))
    return message


def _spelled(rrset: zones.RRset | None, kind: str, value: str) -> list[dns.rdata.Rdata]:
    """The data for a value: as it stands already (a TXT may be cut otherwise than we do), else ours."""
    same = [rdata for rdata in (rrset.rdatas if rrset else ()) if from_rdata(rdata) == value]
    return same or [to_rdata(kind, value)]


def _rejected(session: Session, zone: str, code: str) -> DnsFailed:
    texts = {
        "REFUSED": (
            "it refused the update",
            "Allow updates of this zone with this TSIG key, on the zone's primary (BIND: update-policy or "
            "allow-update; PowerDNS: dnsupdate=yes, and ALLOW-DNSUPDATE-FROM and TSIG-ALLOW-DNSUPDATE of the zone); "
            "BIND also refuses an MX whose host has no address in the zone (see its log)",
        ),
        "NOTAUTH": ("it is not the primary of the zone", "Name the primary server in dns.server"),
        "NOTZONE": ("it says a name is outside the zone", "Check how the zone is delegated on that server"),
        "NOTIMP": ("it takes no updates", NO_UPDATES),
        "SERVFAIL": (
            "it failed to do the update",
            "Look at the server's log; often it cannot write the zone's journal, or it is not the zone's primary and "
            "cannot reach that",
        ),
        "FORMERR": ("it did not understand the update", "Look at the server's log"),
    }
    what, advice = texts.get(code, ("it did not do the update", "Look at the server's log"))
    return DnsFailed(f"zone {zone}", f"{session.where}: {what} ({code})", advice)


def not_as_wanted(session: Session, zone: str, edits: Sequence[Edit]) -> dict[str, str]:
    """Read back: which of these record sets are not as the edits make them, and how to call that."""
    if not edits:
        return {}
    snapshot = zones.read(session, zone, {(edit.name, edit.type) for edit in edits})
    wrong: dict[str, str] = {}
    for edit in edits:
        name = f"{edit.name} {edit.type}"
        rrset = snapshot.get((edit.name, edit.type))
        stands = {from_rdata(rdata) for rdata in rrset.rdatas} if rrset else set()
        if not set(edit.add) <= stands or set(edit.remove) & stands:
            wrong[name] = name
        elif rrset and edit.add and rrset.ttl != edit.ttl:
            wrong[name] = f"the TTL of {name} ({rrset.ttl}, wanted {edit.ttl})"
    return wrong


def no_effect(session: Session, zone: str, missing: Mapping[str, str]) -> DnsFailed:
    return DnsFailed(
        f"zone {zone}",
        f"{session.where} accepted the update, but when read back {', '.join(missing.values())} is not as wanted",
        "Look at the server's log; then run the command again",
    )


def after_silence(
    session: Session, zone: str, edits: Sequence[Edit], lost: DnsUnreachable | DnsFailed
) -> None:
    """No answer to an UPDATE, or one that says nothing: it may have been done. Returns when all of it stands."""
    where = f"zone {zone}: {lost.where}"
    try:
        missing = not_as_wanted(session, zone, edits)
    except (DnsUnreachable, DnsFailed) as error:
        if isinstance(lost, DnsFailed):
            raise lost from None
        what = f"{lost.what}; whether it was done is not known, because the zone could not be read after it"
        advice = "Run `mailprov dns plan`: what it does not show any more was done"
        raise DnsUnsure(where, what, advice) from error
    if missing and isinstance(lost, DnsFailed):
        raise lost
    if missing:
        told = (
            "nothing of it was done"
            if len(missing) == len(edits)
            else f"these are not as wanted: {', '.join(missing)}"
        )
        raise DnsUnreachable(where, f"{lost.what}; read back, {told}", "Run the command again") from None
