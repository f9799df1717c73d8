"""From the file as written to the inventory as meant: names resolved, defaults merged, every reference
checked.

`build(file, context)` → Inventory. What is wrong goes to `context.problems`; the result is good only if
there are none. Domains are in `domains`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from mailprov.inventory import dns, domains, local, protection, tls
from mailprov.inventory.schema import File
from mailprov.inventory.schema_hosts import HostEntry, SshEntry
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import (
    Filter,
    Host,
    Inventory,
    LocalSettings,
    SshSettings,
    Tls,
    Transport,
)
from mailprov.model.jumps import parse_jumps
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")


def build(file: File, context: Context) -> Inventory:
    """`Inventory.source` is the path as the user wrote it."""
    ssh = _ssh(file.ssh, ("ssh",), SshSettings(), context)
    certificates = tls.resolve(file.tls, ("tls",), Tls(), context)
    hosts = _hosts(file, ssh, certificates, context)
    published = dns.resolve(file.dns, context.marks(("dns",)), context) if file.dns else DnsSettings()
    tls.check_challenges(hosts, published, context)
    return Inventory(
        source=context.document.file,
        hosts=hosts,
        domains=domains.resolve(file.domains, hosts, context),
        dns=published,
    )


def _ssh(entry: SshEntry, path: KeyPath, base: SshSettings, context: Context) -> SshSettings:
    """`base` with what `entry` says."""
    given: dict[str, Any] = {"user": entry.user, "port": entry.port, "host_key": entry.host_key}
    if entry.user is not None and re.search(r"[\s@:]", entry.user):
        context.problem(
            (*path, "user"), f'"{show(entry.user)}" is no login name; it contains a space, @ or :'
        )
    if entry.host_key is not None and not _FINGERPRINT.fullmatch(entry.host_key):
        seen = f'"{show(entry.host_key)}" is no fingerprint; write it as `ssh-keygen -lf` prints it, SHA256:…'
        context.problem((*path, "host_key"), seen)
    elif entry.host_key is not None:
        given["host_key"] = entry.host_key.rstrip("=")
    given["identity_file"] = context.path(entry.identity_file)
    given["known_hosts"] = context.path(entry.known_hosts)
    if entry.proxy_jump is not None:
        try:
            given["proxy_jump"] = parse_jumps(entry.proxy_jump)
        except ValueError as error:
            context.problem((*path, "proxy_jump"), show(str(error), 200))
    if entry.transport is not None:
        given["transport"] = Transport(entry.transport)
    if entry.config == "none":
        given["ignore_config"] = True
    elif entry.config is not None:
        given.update(config=context.path(entry.config), ignore_config=False)
    for name in ("passphrase", "password", "become_password"):
        if (reference := getattr(entry, name)) is not None:
            given[name] = context.secret(reference, (*path, name))
    made = dataclasses.replace(base, **{key: value for key, value in given.items() if value is not None})
    if entry.config == "none":
        made = dataclasses.replace(made, config=None)
    if made.transport is Transport.OPENSSH and made.password and (entry.transport or entry.password):
        key = "password" if entry.password else "transport"
        what = (
            "the ssh program takes no password from mailprov; use a key or an agent, or `transport: builtin`"
        )
        context.problem((*path, key), what, key=True)
    return made


def _hosts(file: File, ssh: SshSettings, certificates: Tls, context: Context) -> tuple[Host, ...]:
    own = local.resolve(file.postfix, file.dovecot, (), LocalSettings(), context)
    shared = {**_mail(file), **protection.resolve(file, (), context)}
    defaults = Host("", "", "", ssh, certificates, local=own, managed=file.managed, **shared)
    hosts = [_host(name, entry, defaults, context) for name, entry in file.hosts.items()]
    protection.check_blocklists(file, hosts, context)
    fqdns: dict[str, str] = {}
    places: dict[tuple[Any, ...], str] = {}
    for host in hosts:
        path: KeyPath = ("hosts", host.name)
        if host.fqdn and (other := fqdns.setdefault(host.fqdn, host.name)) != host.name:
            seen = f'"{host.fqdn}" is already the name of host {other}; every host needs its own'
            context.problem((*path, "fqdn"), seen)
        port = host.ssh.port or 22
        place = (host.address, port, host.ssh.proxy_jump)  # behind another jump host it is another network
        if host.address and (other := places.setdefault(place, host.name)) != host.name:
            seen = f"host {other} is already at {host.address}, SSH port {port}; a host is written once"
            context.problem((*path, "address"), seen)
    _check_jumps(hosts, context)
    return tuple(hosts)


def _check_jumps(hosts: list[Host], context: Context) -> None:
    """That the way to each host has an end. ssh_config may still lead in a circle; that is found on connecting."""
    # Only the first jump host of a way is reached by a way of its own.
    first = {
        host.name: host.ssh.proxy_jump[0].address
        for host in hosts
        if host.ssh.proxy_jump and host.ssh.transport is not Transport.LOCAL
    }
    told: set[str] = set()
    for name in first:
        way = [name]
        while (following := first.get(way[-1])) is not None and following not in way:
            way.append(following)
        if following is None or told.intersection(way):
            continue  # it ends; or it leads into a circle that was told
        circle = way[way.index(following) :]
        told.update(circle)
        for member in circle:
            written: KeyPath = ("hosts", member, "ssh", "proxy_jump")
            if context.document.node(written) is not None:
                break
        else:
            member, written = circle[0], ("ssh", "proxy_jump")
        route = " → ".join(
            show(each) for each in (*circle[circle.index(member) :], *circle[: circle.index(member)], member)
        )
        advice = "write `proxy_jump: none` at the host that is reached first"
        what = f"the jump hosts go round in a circle ({route}); {advice}"
        context.problem(written, what)


def _mail(entry: File | HostEntry) -> dict[str, Any]:
    """How mail is taken: what `entry` says of it."""
    names = ("recipient_delimiter", "message_size_limit")
    said = {name: value for name in names if (value := getattr(entry, name)) is not None}
    return said if entry.filter is None else {**said, "filter": Filter(entry.filter)}


def _host(name: str, entry: HostEntry, defaults: Host, context: Context) -> Host:
    """`defaults`: what the file says for every host."""
    path: KeyPath = ("hosts", name)
    context.checked(path, name, names.host_name, key=True)
    address = context.checked((*path, "address"), entry.address, names.host_address) or ""
    managed = defaults.managed if entry.managed is None else entry.managed
    if not managed:
        _check_unmanaged(path, context)
        if "filter" not in context.marks(
            ()
        ):  # what mailprov would set up says nothing about a server of others
            defaults = dataclasses.replace(defaults, filter=Filter.NONE)
    return dataclasses.replace(
        defaults,
        managed=managed,
        name=name,
        address=address,
        fqdn=context.checked((*path, "fqdn"), entry.fqdn, names.fqdn) or "",
        ssh=_ssh(entry.ssh, (*path, "ssh"), defaults.ssh, context),
        tls=tls.resolve(entry.tls, (*path, "tls"), defaults.tls, context)
        if "tls" in context.marks(path)
        else defaults.tls,
        ipv4=_published(entry.ipv4, 4, (*path, "ipv4"), address, context),
        ipv6=_published(entry.ipv6, 6, (*path, "ipv6"), address, context),
        local=local.resolve(entry.postfix, entry.dovecot, path, defaults.local, context),
        lab_release=entry.lab.release if entry.lab else None,
        **_mail(entry),
        **protection.resolve(entry, path, context),
    )


def _check_unmanaged(path: KeyPath, context: Context) -> None:
    """Keys of a host that only say what mailprov should do there."""
    for key in ("postfix", "dovecot", "relayhost", "firewall", "blocklists"):
        if key in context.marks(path):
            what = f"`{key}` says what mailprov sets up, and this host has `managed: false`; leave one of them out"
            context.problem((*path, key), what, key=True)


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
            context.problem((*path, index), f"{value} is in this list twice; keep one")
        elif value:
            found[value] = None
    return tuple(found)
