"""Files of PACC that change: which one a domain's host gives out in this run, and which digests stand meanwhile.

    settled(inventory, say) -> Inventory     each such domain with `pacc`

A program that has fetched the file looks for its digest in DNS, where an answer of before may be remembered. So

1. an apply that finds another digest in the zone publishes the new one beside it, with the hour (UTC) from which on the
   new file may be given out: when caches have forgotten the set without it. The file stays as it is;
2. an apply after that puts the new file there, reads it back, and then takes the old digest away.

How far it is the zone says and what the host gives out, as with MTA-STS (leaving.py): so it goes on from any machine,
and from wherever a run was killed. Where nobody can get the old file any more, or no record vouches for it, there is
nothing to wait for. A name server that does not answer leaves the file as it is. Raises nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mailprov.client.pacc import wanted
from mailprov.errors import MailprovError
from mailprov.i18n import _
from mailprov.model import pacc, web
from mailprov.model.inventory import Host, Inventory

if TYPE_CHECKING:
    from mailprov.dns.rrsets import Snapshot
    from mailprov.model.dns import DnsSettings

_HOUR = "%Y%m%d%H"


def settled(inventory: Inventory, say: Callable[[str], None] = lambda text: None) -> Inventory:
    """The inventory itself where no file changes."""
    files = {
        domain.name: file
        for domain in inventory.domains
        if (file := wanted(inventory, domain)) and inventory.dns.at(domain.name).provider.publishes
    }
    if not files:
        return inventory
    stands = _standing(inventory, files)
    changes: dict[str, pacc.Change] = {}
    for domain in inventory.domains:
        if domain.name not in files:
            continue
        name, file = pacc.record_name(domain.name), files[domain.name]
        known = stands.get((name, "TXT")) if stands is not None else None
        there = pacc.stated(known.values) if known else {}
        if stands is not None and not there.keys() - {pacc.digest(file)}:
            continue  # there is no other one
        host = web.host_of(inventory, domain)
        assert host is not None, "whoever has a file has a host for it"
        before = _given_out(host, domain.name)
        if before is None or before == file or (stands is not None and pacc.digest(before) not in there):
            continue
        since = there.get(pacc.digest(file), None if known else "")
        if since is None:
            assert known is not None
            # To the hour, and a whole one more, so that a plan which is saved and applied later says the same.
            since = (_now() + datetime.timedelta(seconds=known.ttl, hours=1)).strftime(_HOUR)
        waits = stands is None or since > _now().strftime(_HOUR)
        values = (pacc.record(before), pacc.record(file, since))
        changes[domain.name] = pacc.Change(before if waits else file, before, values)
        if waits and stands is not None:
            form = _(
                "PACC of {domain}: another file is to be given out, and by {time} UTC all know its digest; an apply "
                "after that puts it there"
            )
            time = f"{since[:4]}-{since[4:6]}-{since[6:8]} {since[8:]}:00"
            say(form.format(domain=domain.name, time=time))
    domains = (replace(domain, pacc=changes.get(domain.name)) for domain in inventory.domains)
    return replace(inventory, domains=tuple(domains)) if changes else inventory


def _standing(inventory: Inventory, names: dict[str, str]) -> Snapshot | None:
    """None where nobody tells."""
    from mailprov.dns.standing import standing

    found: Snapshot = {}
    by_provider: list[tuple[DnsSettings, list[str]]] = []
    for name in names:
        settings = inventory.dns.at(name)
        some = next((known for each, known in by_provider if each.provider == settings.provider), None)
        if some is None:
            by_provider.append((settings, some := []))
        some.append(name)
    try:
        for settings, some in by_provider:
            found.update(standing(settings, [(pacc.record_name(name), "TXT") for name in some]))
    except MailprovError:
        return None
    return found


def _given_out(host: Host, name: str) -> str | None:
    from mailprov.run import policies

    try:
        return policies.fetch(host, pacc.host(name), pacc.PATH, pacc.KIND)
    except Exception:
        return None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
