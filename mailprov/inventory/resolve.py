"""From the file as written to the inventory as meant: names resolved, defaults merged, every reference
checked.

`build(file, context)` → Inventory. What is wrong goes to `context.problems`; the result is good only if
there are none. Domains are in `domains`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from mailprov.components import registry
from mailprov.i18n import _
from mailprov.inventory import dns, domains, ssh
from mailprov.inventory.host_settings import check_services, merged, settings
from mailprov.inventory.schema import File
from mailprov.inventory.schema_hosts import HostEntry
from mailprov.model import web
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Accepted, Host, Inventory, Profile, SshSettings, Tls
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath


def build(file: File, context: Context) -> Inventory:
    """`Inventory.source` is the path as the user wrote it."""
    hosts = _hosts(file, context)
    published = dns.resolve(file.dns, context) if file.dns else DnsSettings()
    for component in registry.components():
        component.check(file, hosts, published, context)
    served = domains.resolve(file.domains, hosts, context)
    check_services(hosts, served, context)
    hosts = web.with_webmail(hosts, served)
    if any(account.shell for domain in served for account in domain.accounts):
        from mailprov.inventory import shell
        from mailprov.model.shell_users import placed

        shell.check(served, hosts, context)
        hosts = placed(hosts, served)
    known: tuple[Accepted, ...] = ()
    if file.verify:
        from mailprov.inventory import accepted

        known = accepted.resolve(file.verify, hosts, served, context)
    return Inventory(
        source=context.document.file,
        hosts=hosts,
        domains=served,
        dns=published,
        accepted=known,
        profile=Profile(file.verify.profile) if file.verify else Profile.DEFAULT,
    )


def _hosts(file: File, context: Context) -> tuple[Host, ...]:
    unsaid = Host("", "", "", SshSettings(), Tls())
    for setting in settings():
        unsaid = setting.on(unsaid, setting.default) if setting.field else unsaid
    defaults = merged(file, (), unsaid, context)
    hosts = [_host(name, entry, defaults, context) for name, entry in file.hosts.items()]
    fqdns: dict[str, str] = {}
    places: dict[tuple[Any, ...], str] = {}
    for host in hosts:
        path: KeyPath = ("hosts", host.name)
        if host.fqdn and (other := fqdns.setdefault(host.fqdn, host.name)) != host.name:
            seen = _('"{fqdn}" is already the name of host {host}; every host needs its own').format(
                fqdn=host.fqdn, host=other
            )
            context.problem((*path, "fqdn"), seen)
        port = host.ssh.port or 22
        place = (host.address, port, host.ssh.proxy_jump)  # behind another jump host it is another network
        if host.address and (other := places.setdefault(place, host.name)) != host.name:
            seen = _("host {host} is already at {address}, SSH port {port}; a host is written once").format(
                host=other, address=host.address, port=port
            )
            context.problem((*path, "address"), seen)
    ssh.check_jumps(hosts, context)
    return tuple(hosts)


def _host(name: str, entry: HostEntry, defaults: Host, context: Context) -> Host:
    """`defaults`: what the file says for every host."""
    path: KeyPath = ("hosts", name)
    context.checked(path, name, names.host_name, key=True)
    address = context.checked((*path, "address"), entry.address, names.host_address) or ""
    if not (defaults.managed if entry.managed is None else entry.managed):
        defaults = _unmanaged(path, defaults, context)
    return dataclasses.replace(
        merged(entry, path, defaults, context),
        name=name,
        address=address,
        fqdn=context.checked((*path, "fqdn"), entry.fqdn, names.fqdn) or "",
        ipv4=_published(entry.ipv4, 4, (*path, "ipv4"), address, context),
        ipv6=_published(entry.ipv6, 6, (*path, "ipv6"), address, context),
        lab_release=entry.lab.release if entry.lab else None,
    )


def _unmanaged(path: KeyPath, defaults: Host, context: Context) -> Host:
    """The defaults of a server that others built. Keys that only say what mailprov should do there are refused."""
    for setting in settings():
        if setting.sets_up and setting.key in context.marks(path):
            what = _(
                "`{key}` says what mailprov sets up, and this host has `managed: false`; leave one of them out"
            ).format(key=setting.key)
            context.problem((*path, setting.key), what, key=True)
        if setting.unmanaged is not None and setting.key not in context.marks(()):
            defaults = setting.on(defaults, setting.unmanaged)
    return defaults


def _published(
    given: list[str] | None, version: int, path: KeyPath, address: str, context: Context
) -> tuple[str, ...]:
    """The addresses for DNS: those given (`[]` for none), else the one SSH goes to."""
    if given is None:
        try:
            return (names.ip(address, version),)
        except names.BadName:
            return ()
    found: dict[str, None] = {}
    for index, text in enumerate(given):
        value = context.checked((*path, index), text, lambda each: names.ip(each, version))
        if value in found:
            context.problem((*path, index), _("{value} is in this list twice; keep one").format(value=value))
        elif value:
            found[value] = None
    return tuple(found)
