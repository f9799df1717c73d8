"""Reads back what was written: an answer that it was done proves nothing (RFC 2136 section 3.4.2.2 lets a server drop
additions silently), and without an answer it may have been done.

    not_as_wanted(driver, zone, edits, wild) -> {set: words}     empty when all of it stands
    in_time(…) -> {set: words}                         the same, once a server has had the time to sign it
    no_effect(driver, zone, missing) -> DnsFailed      it was accepted, and is not there
    after_silence(driver, zone, edits, lost)           no usable answer: returns when all of it stands, else raises

Raises DnsFailed, DnsUnreachable, and from after_silence DnsUnsure.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from mailprov.dns import ownership, reading
from mailprov.dns.driver import Driver
from mailprov.dns.rrsets import Edit
from mailprov.errors import DnsFailed, DnsUnreachable, DnsUnsure
from mailprov.i18n import _

SIGNING_SECONDS = 15.0  # signing takes milliseconds, on a busy server seconds
POLL_SECONDS = 0.2


def not_as_wanted(
    driver: Driver, zone: str, edits: Sequence[Edit], wild: Collection[str] = ()
) -> dict[str, str]:
    """Read back: which of these record sets are not as the edits make them, and how to call that. `wild`: wildcards
    that are known, which saves a round where they may say the same.
    """
    if not edits:
        return {}
    snapshot = reading.read(driver, zone, {(edit.name, edit.type) for edit in edits}, wild)
    wrong: dict[str, str] = {}
    for edit in edits:
        name = f"{edit.name} {edit.type}"
        rrset = snapshot.get((edit.name, edit.type))
        stands = set(rrset.values) if rrset else set()
        if not set(edit.add) <= stands or set(edit.remove) & stands:
            wrong[name] = name
        elif rrset and edit.add and rrset.ttl != edit.ttl and not ownership.is_marker(edit.name):
            wrong[name] = _("the TTL of {name} ({ttl}, wanted {wanted})").format(
                name=name, ttl=rrset.ttl, wanted=edit.ttl
            )
    return wrong


def in_time(driver: Driver, zone: str, edits: Sequence[Edit], wild: Collection[str] = ()) -> dict[str, str]:
    """As `not_as_wanted`. A server that keeps a signed copy of the zone (BIND's inline-signing) has done an update when
    it says so, and answers from the copy a moment later.
    """
    missing = not_as_wanted(driver, zone, edits, wild)
    if not missing or driver.reads_stored or not driver.signed([zone]).get(zone):
        return missing
    deadline = time.monotonic() + SIGNING_SECONDS
    while missing and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        missing = not_as_wanted(driver, zone, edits, wild)
    return missing


def no_effect(driver: Driver, zone: str, missing: Mapping[str, str]) -> DnsFailed:
    return DnsFailed(
        f"zone {zone}",
        _("{server} accepted the update, but when read back {records} is not as wanted").format(
            server=driver.where, records=", ".join(missing.values())
        ),
        _("Look at the zone at the provider; then run the command again")
        if driver.abilities.lists_zones
        else _("Look at the server's log; then run the command again"),
    )


def after_silence(driver: Driver, zone: str, edits: Sequence[Edit], lost: DnsUnreachable | DnsFailed) -> None:
    """No answer to an UPDATE, or one that says nothing: it may have been done. Returns when all of it stands."""
    where = f"zone {zone}: {lost.where}"
    try:
        missing = not_as_wanted(driver, zone, edits)
    except (DnsUnreachable, DnsFailed) as error:
        if isinstance(lost, DnsFailed):
            raise lost from None
        unknown = _("whether it was done is not known, because the zone could not be read after it")
        what = f"{lost.what}; {unknown}"
        advice = _("Run `mailprov dns plan`: what it does not show any more was done")
        raise DnsUnsure(where, what, advice) from error
    if missing and isinstance(lost, DnsFailed):
        raise lost
    if missing:
        seen = (
            _("read back, nothing of it was done")
            if len(missing) == len(edits)
            else _("read back, these are not as wanted: {records}").format(records=", ".join(missing))
        )
        raise DnsUnreachable(where, f"{lost.what}; {seen}", _("Run the command again")) from None
