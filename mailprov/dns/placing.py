"""Where records belong, and what to say of those that cannot be written: in no zone, by hand, at a provider that fails.

    sort(driver, desired, found, mail_names, covers) -> ({zone: records}, notices)
    by_hand(inventory, keys, covers) -> notices          what is published by hand beside what is written
    failures(driver, …) -> [ZonePlan]                    what could not be planned while other zones could
    unreachable(driver, settings, seen, name) -> notice  of a name that has left, whose records stay

Raises DnsFailed where the zone of a mail domain is not there, but for several providers, each of which fails for itself
(driver.fail).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from mailprov.dns.driver import Driver, Place
from mailprov.dns.ownership import marker_name
from mailprov.dns.survey import Survey
from mailprov.dns.zonefile import by_domain
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import DnsFailed
from mailprov.i18n import _
from mailprov.model.dkim import PublicKeys
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Inventory
from mailprov.model.records import Record
from mailprov.records import desired_records


def sort(
    driver: Driver,
    desired: Iterable[Record],
    found: Mapping[str, Place],
    mail_names: Sequence[str],
    covers: Callable[[str], bool],
) -> tuple[dict[str, list[Record]], tuple[str, ...]]:
    """Records by zone. A mail domain without a zone is an error; a host's name elsewhere, or a _dmarc that was
    delegated to somebody, is only worth a notice.
    """
    by_zone: dict[str, list[Record]] = {}
    missing: dict[str, list[str]] = {}  # by where they are missing
    elsewhere: dict[str, list[str]] = {}
    for record in desired:
        name = record.name
        zone = found[name].zone
        if zone:
            by_zone.setdefault(zone, []).append(record)
        elif not covers(name) or driver.failure(name):
            continue
        elif name in mail_names:
            several = missing.setdefault(driver.at(name).where, [])
            several += [name] if name not in several else []
        else:
            elsewhere.setdefault(name, []).append(f"{record.type} {record.value}")
    for where, several in missing.items():
        seen = "; ".join(found[name].seen for name in several)
        lists_zones = driver.at(several[0]).abilities.lists_zones
        error = DnsFailed(
            where,
            _("the zone of {domains} is not there ({reason})").format(
                domains=", ".join(several), reason=seen
            ),
            _("Create the zone there, or use a token that may see it")
            if lists_zones
            else _("Create the zone on that server, or name the server that has it in dns.server"),
        )
        for name in several:
            driver.fail(name, error)
    notices = tuple(
        _("{name} is in no zone of {server} ({reason}); publish by hand where it belongs: {records}").format(
            name=name, server=driver.at(name).where, reason=found[name].seen, records=", ".join(values)
        )
        for name, values in elsewhere.items()
        if driver.failure(name) is None
    )
    return by_zone, notices


def by_hand(inventory: Inventory, keys: PublicKeys | None, covers: Callable[[str], bool]) -> tuple[str, ...]:
    """What is published by hand beside what is written."""
    found: dict[str, None] = {}
    for name, records in by_domain(inventory, desired_records(inventory, keys)).items():
        by_hand = [one.name for one in records if not inventory.dns.at(one.name).provider.publishes]
        found.update(dict.fromkeys(inventory.dns.entry_of(one) or name for one in filter(covers, by_hand)))
    if not found:
        return ()
    command = f"`mailprov dns export --by-hand --dkim {inventory.source}`"
    text = _("published by hand: {zones}; {command} prints their records")
    return (text.format(zones=", ".join(found), command=command),)


def failures(
    driver: Driver,
    inventory: Inventory,
    mail_names: Sequence[str],
    desired: Iterable[Record],
    covers: Callable[[str], bool],
) -> Iterator[ZonePlan]:
    """What could not be planned, by the keys of `dns.zones`."""
    known = [*mail_names, *(host.fqdn for host in inventory.hosts)]
    missed: dict[str, list[str]] = {}
    for name in dict.fromkeys(filter(covers, [*known, *(record.name for record in desired)])):
        if driver.failure(name):
            missed.setdefault(inventory.dns.entry_of(name), []).append(name)
    # Of all that are not named the name of the first stands for the error.
    for zone, several in missed.items():
        error = driver.failure(several[0])
        told = [name for name in several if name in known] or several
        notice = _("not planned: {names}").format(names=", ".join(told))
        yield ZonePlan(zone, (), () if zone else (notice,), error=error)


def unreachable(driver: Driver, settings: DnsSettings, seen: Survey, name: str) -> str:
    if not settings.at(name).provider.publishes:
        return _(
            "{name} has left the inventory, and records at its name are published by hand; remove there what was for "
            "mail"
        ).format(name=name)
    why = (seen.places[name].seen if name in seen.places else "") or _("no answer")
    return _(
        "{name} has left the inventory, and what mailprov published for it cannot be "
        "removed, because its zone is not on {server} ({reason}); remove it by hand where the "
        "zone is: all that {marker} TXT lists, and that"
    ).format(name=name, server=driver.at(name).where, reason=why, marker=marker_name(name))
