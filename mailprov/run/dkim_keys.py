"""Asks hosts for their DKIM keys; reads only.

ask(inventory, hosts, …) -> Told               returns when all have answered or cannot
for_zones(inventory, hosts, …) -> Told         what a run about the zones alone needs to know
Told.states    host → its keys, as its file of states says
Told.public    host → name → TXT record, for dns.export and dns.plan
Told.tls       host → the keys of its certificates, for the same
Told.errors    hosts that could not be asked
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from mailprov.errors import MailprovError, NotBelieved
from mailprov.i18n import _
from mailprov.model.dkim import Key, read
from mailprov.model.events import Emit, Ended, Notice, Progress
from mailprov.model.inventory import Host, Inventory
from mailprov.model.tls_keys import HostKeys
from mailprov.model.values import dataclass, field
from mailprov.run import believed, inquiry, tls_keys
from mailprov.run.event_queue import EventQueue
from mailprov.run.hosts import Start


@dataclass
class Told:
    states: dict[str, tuple[Key, ...]] = field(default_factory=dict)
    public: dict[str, dict[str, str]] = field(default_factory=dict)
    tls: dict[str, HostKeys] = field(default_factory=dict)
    errors: list[MailprovError] = field(default_factory=list)


def ask(inventory: Inventory, hosts: Collection[Host], *, command: str, start: Start, report: Emit) -> Told:
    """Of the domains that each host serves. KeyboardInterrupt goes on up."""

    def believe(host: Host, message: Mapping[str, Any]) -> None:
        believed.keys(inventory, host, message["dkim"], time.time())

    answers = inquiry.ask(
        hosts,
        lambda host: {"mode": "keys"},
        command=command,
        events=EventQueue(report),
        start=start,
        believe=believe,
    )
    told = Told()
    for one in answers:
        name, dkim = one.host.name, one.told.get("dkim") or {"state": "", "public": {}}
        if one.outcome.error is not None:
            told.errors.append(one.outcome.error)
            continue
        served = {domain.name for domain in inventory.domains_on(name)}
        known = tuple(key for key in read(dkim["state"]) if key.domain in served)
        if certificates := tls_keys.of(one.host, one.outcome.tls):
            told.tls[name] = certificates
        told.states[name] = known
        told.public[name] = {
            key.name: dkim["public"][key.name] for key in known if key.name in dkim["public"]
        }
    return told


def for_zones(
    inventory: Inventory, hosts: Collection[Host], *, command: str, start: Start, report: Emit
) -> Told:
    """A host that has no key yet, or cannot be asked, is left out: its records stay as they are. Whoever publishes
    records need not have a login on the hosts, so that is told and no more. One that is not believed has failed; those
    alone remain in `errors`.
    """
    report(Progress("dns", _("asking the hosts for their DKIM keys")))
    told = ask(inventory, hosts, command=command, start=start, report=lambda event: None)
    lies = [error for error in told.errors if isinstance(error, NotBelieved)]
    for lie in lies:
        report(Ended(lie.where, "failed", 0, str(lie)))
    for error in told.errors:
        if error in lies:
            continue
        what = _(
            "the DKIM records of {host} are left as they are, as it could not be asked for its keys: {reason}"
        )
        report(Notice("dns", what.format(host=error.where, reason=error.what)))
    found = {host: keys for host, keys in told.public.items() if keys}
    for host in told.public.keys() - found.keys():
        report(
            Notice(
                "dns",
                _(
                    "{host} has no DKIM keys yet, so there is nothing to publish of them; an apply makes them"
                ).format(host=host),
            )
        )
    return Told(told.states, found, told.tls, list(lies))
