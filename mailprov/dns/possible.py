"""Which of the wanted records their providers can hold, and with which TTL.

possible(desired, settings, driver) -> (records, what to know of the rest)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mailprov.dns import providers
from mailprov.dns.abilities import Abilities
from mailprov.dns.driver import Driver
from mailprov.dns.provider import Provider
from mailprov.dns.shown import shown
from mailprov.errors import MailprovError
from mailprov.i18n import _
from mailprov.model.dns import DnsSettings
from mailprov.model.records import Record
from mailprov.records import types


def possible(
    desired: Iterable[Record], settings: DnsSettings, driver: Driver
) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    kept: list[Record] = []
    notices: dict[str, None] = {}
    for record in desired:
        provider = providers.of(settings.at(record.name))
        abilities = _abilities(driver, record.name, provider)
        if abilities is None:
            continue
        lowest, highest = abilities.ttls
        if abilities.types is not None and record.type not in abilities.types:
            if types.needs_signing(record) and not record.asked:
                continue
            what = f"{record.name} {record.type} {shown(record.value)}"
            text = _("{provider} has no {type} records, so publish by hand: {record}")
            notices[text.format(provider=provider.name, type=record.type, record=what)] = None
            continue
        ttl = min(max(record.ttl, lowest), highest)
        if ttl != record.ttl:
            text = _("{provider} takes a TTL of {lowest} to {highest}: {ttl} in place of {wanted}")
            said = text.format(
                provider=provider.name, lowest=lowest, highest=highest, ttl=ttl, wanted=record.ttl
            )
            notices[said] = None
        kept.append(replace(record, ttl=ttl))
    return tuple(kept), tuple(notices)


def _abilities(driver: Driver, name: str, provider: Provider) -> Abilities | None:
    """Those of the driver; where it cannot be opened, which is told when it is asked, those of the provider."""
    try:
        return provider.abilities and driver.at(name).abilities
    except MailprovError:
        return provider.abilities
