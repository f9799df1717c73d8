"""TLSA records and the zones they are for: whether these are signed, and whether a key may change now.

    settle(driver, inventory, desired, places, tls, switching) -> Settled

A TLSA record is worth something only where DNSSEC protects it (RFC 7671 section 2, RFC 7672 section 2.2): of types that
need it (records/types) records in signed zones are left, and no others. A zone is signed where its own server gives
keys and a signature over them (`Driver.signed`); whether the chain of trust from its parent is whole the probe
`dane.tlsa` says. Where that cannot be learned what stands stays as it is.

Where senders check the key that a host has now, another one would make them refuse it until they have forgotten the old
record. So a plan that changes it is refused, unless `switching`: `mailprov tls rotate` publishes the new key first, and
waits.

Raises DnsFailed, and what the driver raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mailprov.dns.driver import Driver, Place
from mailprov.errors import DnsFailed
from mailprov.i18n import _, ngettext
from mailprov.model.inventory import Host, Inventory
from mailprov.model.records import Record
from mailprov.model.tls_keys import HostKeys, ServedKeys, record_name, value
from mailprov.records import types
from mailprov.records.types import tlsa


class Settled(NamedTuple):
    """`kept`: names whose records stay, whatever is desired. `unsigned`: a host's name in DNS → its zone."""

    desired: tuple[Record, ...]
    kept: frozenset[str] = frozenset()
    unsigned: Mapping[str, str] = {}
    notices: tuple[str, ...] = ()


def settle(
    driver: Driver,
    inventory: Inventory,
    desired: Sequence[Record],
    places: Mapping[str, Place],
    tls: ServedKeys,
    switching: bool,
) -> Settled:
    """`places`: of the names of `desired`, and of hosts."""
    hosts = [
        host
        for host in inventory.hosts
        if host.name in tls and host.fqdn in places and tlsa.concerns(host, inventory)
    ]
    zones = {host.fqdn: zone for host in hosts if (zone := places[host.fqdn].zone)}
    careful = [one for one in desired if types.needs_signing(one)]
    wanted = {*zones.values(), *(zone for one in careful if (zone := places[one.name].zone))}
    if not wanted:
        return Settled(tuple(desired))
    signed = driver.signed(wanted)
    changing = [host for host in hosts if tls[host.name].changes and signed.get(zones.get(host.fqdn, ""))]
    if changing and not switching:
        names = {host.name: record_name(host.fqdn) for host in changing}
        answers = driver.query([(name, "TLSA") for name in names.values()]).answers
        for host in changing:
            stands = [
                one for rrset in answers[names[host.name], "TLSA"].sets.values() for one in rrset.values
            ]
            if any(value(one) in stands for one in tls[host.name].served):
                raise _refused(host.name, names[host.name])
    follows = () if switching else tuple(_follows(host, tls[host.name]) for host in changing)
    doubt = [zone for zone in sorted(wanted) if signed.get(zone) is None]
    notices = tuple(
        _(
            "whether {zone} is signed with DNSSEC could not be learned from its name servers, so its TLSA records stay "
            "as they are"
        ).format(zone=zone)
        for zone in doubt
    )
    return Settled(
        tuple(one for one in desired if one not in careful or signed.get(places[one.name].zone or "")),
        frozenset(record_name(name) for name, zone in zones.items() if zone in doubt),
        {name: zone for name, zone in zones.items() if signed.get(zone) is False},
        (*follows, *notices),
    )


def _follows(host: Host, keys: HostKeys) -> str:
    """Of a record that no plan shows yet, as it comes when its key is served."""
    name = record_name(host.fqdn)
    if not keys.coming:
        return _("{name} TLSA follows at the end of the apply, of the key that {host} serves then").format(
            name=name, host=host.name
        )
    return _("{name} TLSA follows at the end of the apply, when {host} serves that key: {records}").format(
        name=name, host=host.name, records=", ".join(map(value, keys.coming))
    )


def _refused(host: str, name: str) -> DnsFailed:
    return DnsFailed(
        f"host {host}",
        _(
            "the key of its certificate would change, and {name} has the old one: until they have forgotten it, "
            "senders that check it would deliver nothing"
        ).format(name=name),
        _("Run `mailprov tls rotate`, which publishes the new key first; `tls: {tlsa: off}` does without"),
    )


def task(unsigned: Mapping[str, str], fresh: Sequence[str]) -> str:
    """What to know of zones without DNSSEC; of hosts that are published for the first time alone, so that it is read
    once. Empty where there is nothing.
    """
    zones = dict.fromkeys(zone for name, zone in unsigned.items() if name in fresh)
    if not zones:
        return ""
    return ngettext(
        "the zone {zones} is not signed with DNSSEC, so no TLSA records are published; sign it where it is hosted, and "
        "the next apply adds them",
        "the zones {zones} are not signed with DNSSEC, so no TLSA records are published; sign them where they are "
        "hosted, and the next apply adds them",
        len(zones),
    ).format(zones=", ".join(zones))
