"""No run gives a host a key that senders refuse: where a record names the key that is served, the next one has its own.

    check(inventory, host, told, back)  of a host whose zone this run does not plan; `back`: of one that goes back
    served_after(sessions)              for dns.plan_undo: the TLSA records that are right when hosts have gone back

An apply that plans the zone of a host refuses there (dns/signing.py). With `--only hosts`, where records are published
by hand, and in a rollback, the name servers are asked what stands, and only where the key of a host would change.

Raises HostFailed. Nothing was changed then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mailprov.errors import HostFailed
from mailprov.i18n import _
from mailprov.model.inventory import Host, Inventory
from mailprov.model.tls_keys import record_name, value
from mailprov.records.types import tlsa
from mailprov.run import tls_keys
from mailprov.run.hosts import HostSession


def check(inventory: Inventory, host: Host, told: tls_keys.Told, *, back: bool) -> None:
    """`told`: with the host's plan in it."""
    known = tls_keys.of(host, told)
    if known is None or not known.served or not tlsa.concerns(host, inventory):
        return
    after = tls_keys.after(host, told)
    made = known.changes and not back and not set(after) - set(known.served)  # it is still to be made
    fresh = [value(one) for one in after if one not in known.served]
    if not made and not fresh:
        return
    standing = _standing(inventory, host)
    if not any(value(one) in standing for one in known.served):
        return  # whoever goes by the records refuses this host already
    if not made and set(fresh) <= standing:
        return
    name = record_name(host.fqdn)
    if back:
        what = _(
            "the key of its certificate would be the one before again, and {name} does not have that any more: senders "
            "that check it would deliver nothing"
        )
        advice = _(
            "`mailprov tls rotate` gives it a new key in the right order; to go back all the same, apply with `tls: "
            "{tlsa: off}`, wait for the TTL of the record, then roll back with --to"
        )
    else:
        what = _(
            "the key of its certificate would change, and {name} has the old one: until they have forgotten it, "
            "senders that check it would deliver nothing"
        )
        advice = _(
            "Run `mailprov tls rotate`, which publishes the new key first; `tls: {tlsa: off}` does without"
        )
    raise HostFailed(host.name, what.format(name=name), advice)


def _standing(inventory: Inventory, host: Host) -> set[str]:
    """The TLSA records by which senders go: none in a zone that is not signed."""
    from mailprov.probe.clients.resolver import NoAnswer, Resolver, first_at

    resolver, name = Resolver(first_at(inventory.dns)), record_name(host.fqdn)
    try:
        found = set(resolver.ask(name, "TLSA").values)
        return found if found and resolver.signed(resolver.zone_of(host.fqdn)) else set()
    except NoAnswer as error:
        if not inventory.dns.at(host.fqdn).provider.publishes:
            return set()  # by hand, and perhaps nowhere yet
        raise HostFailed(
            host.name,
            _(
                "the key of its certificate would change, and whether {name} names the one that it serves could not be "
                "asked: {reason}"
            ).format(name=name, reason=error),
            _("Try again when the name servers of the zone answer; `tls: {tlsa: off}` does without"),
        ) from None


def served_after(sessions: Iterable[HostSession]) -> Mapping[str, frozenset[str]]:
    """Name of the records → their values, of hosts that have told it. Waits for the hosts' plans."""
    found: dict[str, frozenset[str]] = {}
    for session in sessions:
        session.planned.wait()
        told: Any = session.outcome.tls
        if told.told:
            keys = tls_keys.after(session.host, told)
            found[record_name(session.host.fqdn)] = frozenset(map(value, keys))
    return found
