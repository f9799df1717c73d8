"""--host, --domain and --only: which part of an inventory a command is about.

A host's state is always made from the whole inventory (else `--domain alpha.test` would take the other domains off
the host); a selection only says which hosts and zones are looked at in this run.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Domain, Host, Inventory

PARTS = ("hosts", "dns")


class Selection(NamedTuple):
    """`hosts` are those that a command may change or ask; `looked_at` has those of others (`managed: false`), too."""

    hosts: tuple[Host, ...]
    domains: tuple[str, ...]
    on_hosts: bool = True
    in_dns: bool = True
    whole: bool = True  # nothing was narrowed
    looked_at: tuple[Host, ...] = ()
    others: tuple[str, ...] = ()  # domains and names of hosts in the inventory that were not selected

    def covers_zone(self, zone: str) -> bool:
        """Is this zone, or name in DNS, about a selected domain or the name of a selected host?"""
        names = [*self.domains, *(host.fqdn for host in self.looked_at)]
        if self.whole or any(inside(name, zone) for name in names):
            return True
        above = [name for name in (*names, *self.others) if inside(zone, name)]
        return max(above, key=len, default="") in names


def select(
    inventory: Inventory,
    hosts: list[str] | None = None,
    domains: list[str] | None = None,
    only: list[str] | None = None,
    *,
    verifies: bool = False,
    asks: bool = False,
) -> Selection:
    """Raises InputError for a name that is not in the inventory, with the nearest one that is, and where hosts and
    domains exclude each other: a run about nothing would look like one that found all well.

    `verifies`: the command only looks, so that it may be about servers of others alone. `asks`: it does nothing but
    with what hosts tell, so there must be one that may be asked; else zones may be all there is to do.
    """
    known = {host.name: host for host in inventory.hosts}
    for name in hosts or []:
        _known("--host", name, list(known))
    aliases = {alias: domain.name for domain in inventory.domains for alias in domain.domain_aliases}
    for name in domains or []:
        _known("--domain", name, [*(domain.name for domain in inventory.domains), *aliases])
    for part in only or []:
        _known("--only", part, list(PARTS))
    chosen_domains = [
        d for d in inventory.domains if not domains or d.name in {aliases.get(n, n) for n in domains}
    ]
    if hosts:
        if domains:
            _meet(chosen_domains, hosts)
        chosen_domains = [d for d in chosen_domains if set(d.hosts) & set(hosts)]
    serving = {name for domain in chosen_domains for name in domain.hosts}
    looked_at = tuple(
        h for h in inventory.hosts if (not hosts or h.name in hosts) and (not domains or h.name in serving)
    )
    on_hosts = not only or "hosts" in only
    if hosts and looked_at and not verifies and not any(h.managed for h in looked_at):
        raise InputError(
            "--host",
            _("{host} has `managed: false` in the inventory: others built it").format(host=looked_at[0].name),
            _("Only `mailprov verify` looks at such a host"),
        )
    zones = (not only or "dns" in only) and inventory.dns.publishes and not asks
    if looked_at and not verifies and not zones and on_hosts and not any(h.managed for h in looked_at):
        raise InputError(
            inventory.source,
            _(
                "every host has `managed: false`: others built them, so there is nothing to change or to ask there"
            ),
            _("Only `mailprov verify` looks at such hosts; `mailprov dns` has their records"),
        )
    chosen_names = tuple(name for d in chosen_domains for name in (d.name, *d.domain_aliases))
    every = [*(domain.name for domain in inventory.domains), *aliases, *(h.fqdn for h in inventory.hosts)]
    return Selection(
        hosts=tuple(h for h in looked_at if h.managed),
        looked_at=looked_at,
        domains=chosen_names,
        on_hosts=on_hosts,
        in_dns=not only or "dns" in only,
        whole=not hosts and not domains,
        others=tuple(set(every).difference(chosen_names, (h.fqdn for h in looked_at))),
    )


def seeming(
    everything: Sequence[Host],
    hosts: list[str] | None = None,
    domains: list[str] | None = None,
    only: list[str] | None = None,
) -> tuple[Host, ...]:
    """Those of `everything`, the hosts of an inventory of which nothing else is known yet, that `select` will choose to
    be changed or asked. With `domains` that cannot be said; then none.
    """
    if domains or (only and "hosts" not in only):
        return ()
    return tuple(host for host in everything if host.managed and (not hosts or host.name in hosts))


def domain_named(inventory: Inventory, option: str, name: str) -> str:
    """The domain of this name, or that has this name as an alias. Raises InputError as `select` does."""
    names = {
        alias: domain.name for domain in inventory.domains for alias in (*domain.domain_aliases, domain.name)
    }
    _known(option, name, list(names))
    return names[name]


def looked_from(inventory: Inventory, option: str, name: str, selection: Selection) -> Host:
    """The host of that name, where its agent can look at others for us."""
    _known(option, name, [host.name for host in inventory.hosts])
    host = next(host for host in inventory.hosts if host.name == name)
    if not host.managed:
        what = _("mailprov did not build {name} (managed: false), so it runs no agent there")
        raise InputError(option, what.format(name=name), _("Name a host that mailprov built"))
    if not any(other.name != name for other in selection.looked_at):
        what = _("no other host is looked at, and {name} does not see itself as strangers do")
        raise InputError(
            option,
            what.format(name=name),
            _("Name another host, or leave {option} out").format(option=option),
        )
    return host


def _meet(domains: Collection[Domain], hosts: Collection[str]) -> None:
    """Each domain that was named is on a host that was named, and each of these hosts has one of these domains."""
    for domain in domains:
        if not set(domain.hosts) & set(hosts):
            what = (
                _("together with --host {hosts} this selects nothing, because it is on {others}")
                if domain.hosts
                else _("together with --host {hosts} this selects nothing, because it is on no host")
            )
            raise InputError(
                f"--domain {domain.name}",
                what.format(hosts=", ".join(hosts), others=", ".join(domain.hosts)),
                _("Leave one of the two out"),
            )
    served = {name for domain in domains for name in domain.hosts}
    for host in hosts:
        if host not in served:
            names = ", ".join(domain.name for domain in domains)
            raise InputError(
                f"--host {host}",
                _(
                    "together with --domain {domains} this selects nothing, because no such domain is on {host}"
                ).format(domains=names, host=host),
                _("Leave one of the two out"),
            )


def _known(option: str, name: str, known: list[str]) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = (
        _('Did you mean "{name}"?').format(name=near[0])
        if near
        else _("There are: {names}").format(names=", ".join(known))
    )
    raise InputError(option, _('"{name}" is not in the inventory').format(name=name), hint)
