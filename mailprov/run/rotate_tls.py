"""A new key for the certificates of hosts: publish its record, wait until everybody can know it, serve it.

    rotate(inventory, selection, options, waiting, …) -> exit code

RFC 7671 section 8.1, RFC 6698 appendix A.4. A new key comes by this alone, for a certificate that is renewed keeps its
key. Each step is an apply of its own, and where a rotation stands is told by the hosts and the zones: a new key lies
beside the one that is served (agent/resources/tls_keys.py), its TLSA record beside the other. So it may be interrupted
anywhere and be taken up by the same command, on any machine; whoever takes it up waits once more, since nobody knows
when the record was published.

In mode `files` the new key is that of the given files: nothing of it is put on the host before it is published. Where
no TLSA record stands (the zone is not signed) nobody need wait. Where one stands, and the host is to have keys of
another kind or of another mode than it serves, the daemons would show the new one at once: that is refused.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping
from typing import Any

from mailprov import dns
from mailprov.components.tls.material import given_key
from mailprov.desired import RotationStep, Step
from mailprov.errors import HostFailed
from mailprov.i18n import _
from mailprov.model.events import Emit
from mailprov.model.inventory import Host, Inventory, TlsMode
from mailprov.model.tls_keys import HostKeys, ServedKeys, record_name, value
from mailprov.probe.clients.resolver import NoAnswer, Resolver, first_at
from mailprov.probe.propagation import not_yet
from mailprov.records.types import tlsa
from mailprov.run import dkim_keys
from mailprov.run.deploy import Options, toward_desired
from mailprov.run.hosts import Start
from mailprov.run.select import Selection
from mailprov.run.waiting import Waiting, speaker, until_known

Wanted = Mapping[str, tuple[str, ...]]  # name in DNS → the records that must stand there


def rotate(
    inventory: Inventory,
    selection: Selection,
    options: Options,
    waiting: Waiting,
    *,
    start: Start,
    report: Emit,
) -> int:
    """0 when the new keys are served; else as an apply (1 when somebody said no). Raises the error of a host that
    cannot be asked.
    """
    say = speaker(report)
    told = dkim_keys.ask(inventory, selection.hosts, command=options.command, start=start, report=report)
    if told.errors:
        raise told.errors[0]
    for host in selection.hosts:
        _refuse_gap(inventory, host, _known(host, told.tls))
    if selection.in_dns and _unfinished(inventory, selection, told):
        say(_("the key that a rotation before this one brought is served already; its records are put right"))
        zones = selection._replace(on_hosts=False)
        return toward_desired(inventory, zones, options, "apply", start, report).run()
    given = {host.name: given_key(host) for host in selection.hosts if host.tls.mode is TlsMode.FILES}
    fresh = [host for host in selection.hosts if given.get(host.name) not in _known(host, told.tls).served]
    for host in selection.hosts:
        if host not in fresh:
            say(
                _(
                    "{host}: the key of {path} is the one that it serves; give it files with another one first"
                ).format(host=host.name, path=host.tls.certificate)
            )
    if not fresh:
        return 0
    made = tuple(host for host in fresh if host.name not in given)
    names = ", ".join(host.name for host in fresh)
    say(
        _("step 1 of 2: the new key of {hosts} is published; the old one stays in service").format(
            hosts=names
        )
    )
    ttl = max(max(inventory.dns.at(host.fqdn).ttl, _ttl(inventory, host)) for host in fresh)
    coming = {
        host.name: keys._replace(
            published=tuple(dict.fromkeys((*keys.served, *keys.published, given[host.name]))), changes=False
        )
        for host in fresh
        if host.name in given and (keys := _known(host, told.tls))
    }
    first = dataclasses.replace(
        options, rotation=RotationStep(Step.PUBLISH, frozenset(), True), switching=True, tls=coming
    )
    # Without a host that makes one, zones alone are written; the hosts keep what these were before all the same.
    narrow = (
        selection._replace(hosts=made) if made else selection._replace(hosts=tuple(fresh), on_hosts=False)
    )
    published = toward_desired(inventory, narrow, first, "apply", start, report)
    if code := published.run():
        return code
    wanted = _records(inventory, fresh, {**published.tls_keys(), **coming})
    try:
        if code := _wait(inventory, wanted, ttl, waiting, report):
            return code
    except KeyboardInterrupt:
        say(_("stopped; the old key stays in service, and the same command continues from here"))
        return 130
    say(
        _("step 2 of 2: the new key of {hosts} is put into service, and the old record goes").format(
            hosts=names
        )
    )
    asked = None if published.changed else options.confirm  # one question for both steps
    second = dataclasses.replace(
        options, rotation=RotationStep(Step.SWITCH, frozenset(), True), switching=True, confirm=asked
    )
    chosen = selection._replace(hosts=tuple(fresh))
    return toward_desired(inventory, chosen, second, "apply", start, report).run()


def _known(host: Host, told: ServedKeys) -> HostKeys:
    return told.get(host.name, HostKeys())


def _refuse_gap(inventory: Inventory, host: Host, known: HostKeys) -> None:
    """Raises HostFailed where the new key would be served before its record can be known."""
    if host.tls.mode is TlsMode.FILES or not (known.changes and known.served):
        return
    name = record_name(host.fqdn)
    if tlsa.concerns(host, inventory) and _standing(Resolver(first_at(inventory.dns)), name):
        raise HostFailed(
            host.name,
            _(
                "it is to have another mode or kind of key than it serves, and would show the new one before its "
                "record can be known; {name} has the old one"
            ).format(name=name),
            _(
                "Take the record out first: apply with `tls: {tlsa: off}` and all else as before, wait for the TTL of "
                "the record, apply the change, and leave `tlsa` out again"
            ),
        )


def _unfinished(inventory: Inventory, selection: Selection, told: dkim_keys.Told) -> bool:
    """Whether a TLSA record of ours names a key that is neither served nor going to be: a run that ended between the
    two.
    """
    if not inventory.dns.publishes:
        return False
    more: dict[str, Any] = {"covers": selection.covers_zone, "switching": True}
    plans = dns.plan(inventory, keys=told.public, tls=told.tls, **more)
    edits = [edit for plan in plans if plan.work for edit in plan.work.diff.edits if edit.type == "TLSA"]
    # One that only adds is another matter: the first step ended before it had published what it made.
    return any(set(edit.remove) - set(edit.add) for edit in edits)


def _records(inventory: Inventory, hosts: Collection[Host], keys: ServedKeys) -> Wanted:
    """Of the hosts that have TLSA records now: without one nobody is misled by another key."""
    resolver = Resolver(first_at(inventory.dns))
    wanted: dict[str, tuple[str, ...]] = {}
    for host in hosts:
        name = record_name(host.fqdn)
        known = _known(host, keys)
        if tlsa.concerns(host, inventory) and _standing(resolver, name):
            wanted[name] = tuple(value(one) for one in known.published if one not in known.served)
    return wanted


def _standing(resolver: Resolver, name: str) -> bool:
    try:
        return bool(resolver.ask(name, "TLSA").values)
    except NoAnswer:
        return True  # then it must be waited for


def _ttl(inventory: Inventory, host: Host) -> int:
    """For how long caches may remember the record that stands before anything is changed."""
    try:
        return Resolver(first_at(inventory.dns)).ask(record_name(host.fqdn), "TLSA").ttl
    except NoAnswer:
        return 0


def _wait(inventory: Inventory, wanted: Wanted, ttl: float, waiting: Waiting, report: Emit) -> int:
    if not any(wanted.values()):
        return 0
    return until_known(
        inventory.dns,
        lambda: not_yet(inventory.dns, wanted, "TLSA"),
        lambda name: "\n".join(f"publish: {name}. TLSA {one}" for one in wanted[name]),
        since=time.time(),
        ttl=ttl,
        waiting=waiting,
        report=report,
    )
