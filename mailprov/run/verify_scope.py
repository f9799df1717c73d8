"""After an apply: which probes a change can have touched, so that a small one is verified in seconds.

    probe_after(changes, …)                    verify.probe_into of that
    after(changes, inventory, selection)       what is looked at, and a line about what is left out
    scope_of(changes, inventory) -> Scope      everything, or some families of probes on some hosts and domains
    narrowed(selection, scope)                 the run's selection, narrowed to that

Conservative: each change that may be small has a rule here, and whatever has none touches everything on its host, or
everything there is where no host is known. A change of several things is verified at all that any of them touches.
Pure, but for `probe_after`; raises nothing. KeyboardInterrupt goes on up.

| change | probes |
|---|---|
| addresses (the maps of aliases, lists, forwards, mailboxes, senders) | ADDRESSES, of the domains whose lines changed |
| an account of Dovecot's | ADDRESSES and LOGINS, of its domain |
| a certificate or its key | CERTIFICATES, of its host |
| a record of DNS, but for a host's own addresses | RECORDS, of the domain it belongs to |
| a reload because of any of these | what these touch |
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailprov.i18n import _
from mailprov.model.events import Action, Change, Notice
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Inventory
from mailprov.model.values import dataclass
from mailprov.run import verify
from mailprov.run.event_queue import EventQueue
from mailprov.run.select import Selection

ADDRESSES = ("net", "smtp.vrfy", "relay", "unknown", "spoof", "delivery", "address", "dsn")
LOGINS = ("auth", "state", "sieve", "webmail")
CERTIFICATES = ("net", "tls", "dane", "web", "webmail", "dns.mta-sts", "delivery")
RECORDS = ("dns", "dane", "hosted", "delivery", "web", "webmail", "tls")

_MAPS = frozenset(
    f"/etc/postfix/mailprov/{name}" for name in ("virtual", "mailboxes", "logins", "redirects", "sent_on")
)
_NAMED = 3  # hosts or domains in one sentence
_CERTIFICATES = ("/etc/mailprov/tls/", "/etc/letsencrypt/")


@dataclass(frozen=True)
class Scope:
    """`probes`: families and ids; `hosts` and `domains`: names. Empty means all, of each."""

    probes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        return not (self.probes or self.hosts or self.domains)


EVERYTHING = Scope()


def probe_after(
    changes: Iterable[Change], events: EventQueue, inventory: Inventory, selection: Selection, **more: Any
) -> int:
    """As verify.probe_into, of what these changes can have touched; without any, of everything."""
    chosen, probe_ids, said = after(changes, inventory, selection)
    if said:
        events.emit(Notice("", said))
    return verify.probe_into(events, inventory, chosen, probe_ids=probe_ids, **more)


def after(
    changes: Iterable[Change], inventory: Inventory, selection: Selection
) -> tuple[Selection, tuple[str, ...], str]:
    """What is looked at after these changes, by which probes (none: by all), and a line about what is left out."""
    scope = scope_of(changes, inventory)
    chosen = narrowed(selection, scope)
    if scope.everything or chosen is None:
        return selection, (), ""
    where = ", ".join((scope.domains or scope.hosts)[:_NAMED])
    if len(scope.domains or scope.hosts) > _NAMED:
        where += ", …"
    advice = _("`mailprov verify` looks at everything, and so does --verify-scope full")
    if not scope.probes:
        form = _("this change can have touched {names} alone, so nothing else was probed; {advice}")
    elif not where:
        form = _("this change can have touched {probes} alone, so nothing else was probed; {advice}")
    else:
        form = _(
            "this change can have touched {probes} of {names} alone, so nothing else was probed; {advice}"
        )
    return chosen, scope.probes, form.format(names=where, probes=", ".join(scope.probes), advice=advice)


def narrowed(selection: Selection, scope: Scope) -> Selection | None:
    """What of it is looked at; None where nothing would be, and so all of it must be."""
    hosts = [host for host in selection.looked_at if not scope.hosts or host.name in scope.hosts]
    domains = [name for name in selection.domains if not scope.domains or name in scope.domains]
    if not hosts or not domains:
        return None
    whole = selection.whole and not (scope.hosts or scope.domains)
    by_host = scope.hosts or not selection.whole
    return selection._replace(
        whole=whole,
        looked_at=tuple(hosts) if by_host else (),
        domains=tuple(domains) if scope.domains or not selection.whole else (),
    )


@dataclass(frozen=True)
class _Touched:
    """`probes` and `domains`: None for all, of the hosts."""

    hosts: frozenset[str]
    probes: tuple[str, ...] | None = None
    domains: frozenset[str] | None = None


def scope_of(changes: Iterable[Change], inventory: Inventory) -> Scope:
    touched: list[_Touched] = []
    for change in changes:
        found = _touched(change, inventory)
        if found is None:
            return EVERYTHING
        touched += found
    if (
        not touched
    ):  # what only followed from something, or nothing: then there is no reason to leave anything out
        return EVERYTHING
    probes: dict[str, None] | None = {}
    for one in touched:
        probes = None if probes is None or one.probes is None else {**probes, **dict.fromkeys(one.probes)}
    hosts = {name for one in touched for name in one.hosts}
    if all(one.domains is not None for one in touched):
        domains = {name for one in touched for name in one.domains or ()}
        return Scope(tuple(probes or ()), (), tuple(sorted(domains)))
    for domain in inventory.domains:  # all of the hosts, so those of each domain must be among them
        if any(one.domains and domain.name in one.domains for one in touched):
            if not domain.hosts:
                return EVERYTHING
            hosts.update(domain.hosts)
    if hosts >= {host.name for host in inventory.hosts}:
        hosts = set()
    return Scope(tuple(probes or ()), tuple(sorted(hosts)))


def _touched(change: Change, inventory: Inventory) -> list[_Touched] | None:
    """None: everything."""
    if change.subject.startswith("zone "):
        return _by_record(change, inventory)
    host = next((each.name for each in inventory.hosts if each.name == change.subject), None)
    if host is None:
        return None
    whole = [_Touched(frozenset({host}))]
    if change.kind == "service":
        reloads = change.action is Action.RUN and change.detail.startswith("reload")
        return [] if reloads else whole  # what it reloads is a change, too
    if change.kind == "account":
        found = _of_domains(host, [change.name], (*ADDRESSES, *LOGINS), inventory)
        return found or whole
    if change.kind == "file" and change.name in _MAPS and change.action is Action.UPDATE and not change.drift:
        return _of_domains(host, _keys(change.diff), ADDRESSES, inventory) or whole
    if change.kind == "certificate" or change.name.startswith(_CERTIFICATES):
        return [_Touched(frozenset({host}), CERTIFICATES)]
    return whole


def _keys(diff: str) -> list[str]:
    """What the lines are about that a map has gained or lost; comments are nobody's."""
    found = []
    for line in diff.splitlines():
        if line[:1] in ("+", "-") and not line.startswith(("+++ ", "--- ")) and line[1:2] not in ("#", ""):
            found.append(line[1:].split(maxsplit=1)[0])
    return found


def _of_domains(
    host: str, addresses: Iterable[str], probes: tuple[str, ...], inventory: Inventory
) -> list[_Touched]:
    """Nothing where an address is of no domain of the host: a user of the system, or a domain that has left."""
    served = {
        alias: each.name for each in inventory.domains_on(host) for alias in (each.name, *each.domain_aliases)
    }
    domains = {served.get(address.rpartition("@")[2].lower(), "") for address in addresses}
    return [] if not domains or "" in domains else [_Touched(frozenset({host}), probes, frozenset(domains))]


def _by_record(change: Change, inventory: Inventory) -> list[_Touched] | None:
    owner, __, kind = change.name.partition(" ")
    owner = owner.lower().rstrip(".")
    found: list[_Touched] = []
    for host in inventory.hosts:
        if owner == host.fqdn and kind in ("A", "AAAA", "CNAME"):
            found.append(_Touched(frozenset({host.name})))
        elif inside(owner, host.fqdn) and (domains := inventory.domains_on(host.name)):
            served = frozenset(each.name for each in domains)
            found.append(_Touched(frozenset({host.name}), RECORDS, served))
    names = {name: each for each in inventory.domains for name in (each.name, *each.domain_aliases)}
    if above := max((name for name in names if inside(owner, name)), key=len, default=""):
        domain = names[above]
        found.append(_Touched(frozenset(domain.hosts), RECORDS, frozenset({domain.name})))
    return found or None
