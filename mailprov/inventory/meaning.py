"""From the file as written to the inventory as meant: names resolved, defaults merged, every reference
checked.

`build(file, reading)` → Inventory. What is wrong goes to `reading.problems`; the result is good only if
there are none. Accounts, aliases and lists are in `recipients`.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from typing import Any

from mailprov.inventory import local, names, protection, recipients, tls
from mailprov.inventory.reading import Reading
from mailprov.inventory.schema import File
from mailprov.inventory.schema_domains import DmarcEntry, DomainEntry
from mailprov.inventory.schema_hosts import DnsEntry, HostEntry, SshEntry
from mailprov.inventory.source import KeyPath, show
from mailprov.model.inventory import (
    Dkim,
    Dmarc,
    DnsProvider,
    DnsSettings,
    Domain,
    Filter,
    Host,
    Inventory,
    LocalSettings,
    SshSettings,
    Tls,
    Transport,
    Tsig,
)
from mailprov.model.jumps import parse_jumps

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_KEY_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")


def build(file: File, reading: Reading) -> Inventory:
    """`Inventory.source` is the path as the user wrote it."""
    ssh = _ssh(file.ssh, ("ssh",), SshSettings(), reading)
    certificates = tls.resolve(file.tls, ("tls",), Tls(), reading)
    hosts = _hosts(file, ssh, certificates, reading)
    dns = _dns(file.dns, reading) if file.dns else DnsSettings()
    tls.check_challenges(hosts, dns, reading)
    return Inventory(
        source=reading.source.file,
        hosts=hosts,
        domains=_domains(file.domains, hosts, reading),
        dns=dns,
    )


def _ssh(entry: SshEntry, path: KeyPath, base: SshSettings, reading: Reading) -> SshSettings:
    """`base` with what `entry` says."""
    given: dict[str, Any] = {"user": entry.user, "port": entry.port, "host_key": entry.host_key}
    if entry.user is not None and re.search(r"[\s@:]", entry.user):
        reading.say((*path, "user"), f'"{show(entry.user)}" is no login name; it contains a space, @ or :')
    if entry.host_key is not None and not _FINGERPRINT.fullmatch(entry.host_key):
        seen = f'"{show(entry.host_key)}" is no fingerprint; write it as `ssh-keygen -lf` prints it, SHA256:…'
        reading.say((*path, "host_key"), seen)
    elif entry.host_key is not None:
        given["host_key"] = entry.host_key.rstrip("=")
    given["identity_file"] = reading.path(entry.identity_file)
    given["known_hosts"] = reading.path(entry.known_hosts)
    if entry.proxy_jump is not None:
        try:
            given["proxy_jump"] = parse_jumps(entry.proxy_jump)
        except ValueError as error:
            reading.say((*path, "proxy_jump"), show(str(error), 200))
    if entry.transport is not None:
        given["transport"] = Transport(entry.transport)
    if entry.config == "none":
        given["ignore_config"] = True
    elif entry.config is not None:
        given.update(config=reading.path(entry.config), ignore_config=False)
    for name in ("passphrase", "password", "become_password"):
        if (reference := getattr(entry, name)) is not None:
            given[name] = reading.secret(reference, (*path, name))
    made = dataclasses.replace(base, **{key: value for key, value in given.items() if value is not None})
    if entry.config == "none":
        made = dataclasses.replace(made, config=None)
    if made.transport is Transport.OPENSSH and made.password and (entry.transport or entry.password):
        key = "password" if entry.password else "transport"
        what = (
            "the ssh program takes no password from mailprov; use a key or an agent, or `transport: builtin`"
        )
        reading.say((*path, key), what, key=True)
    return made


def _hosts(file: File, ssh: SshSettings, certificates: Tls, reading: Reading) -> tuple[Host, ...]:
    own = local.resolve(file.postfix, file.dovecot, (), LocalSettings(), reading)
    shared = {**_mail(file), **protection.resolve(file, (), reading)}
    defaults = Host("", "", "", ssh, certificates, local=own, managed=file.managed, **shared)
    hosts = [_host(name, entry, defaults, reading) for name, entry in file.hosts.items()]
    protection.check_blocklists(file, hosts, reading)
    fqdns: dict[str, str] = {}
    places: dict[tuple[Any, ...], str] = {}
    for host in hosts:
        path: KeyPath = ("hosts", host.name)
        if host.fqdn and (other := fqdns.setdefault(host.fqdn, host.name)) != host.name:
            seen = f'"{host.fqdn}" is already the name of host {other}; every host needs its own'
            reading.say((*path, "fqdn"), seen)
        port = host.ssh.port or 22
        place = (host.address, port, host.ssh.proxy_jump)  # behind another jump host it is another network
        if host.address and (other := places.setdefault(place, host.name)) != host.name:
            seen = f"host {other} is already at {host.address}, SSH port {port}; a host is written once"
            reading.say((*path, "address"), seen)
    _check_jumps(hosts, reading)
    return tuple(hosts)


def _check_jumps(hosts: list[Host], reading: Reading) -> None:
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
            if reading.source.node(written) is not None:
                break
        else:
            member, written = circle[0], ("ssh", "proxy_jump")
        route = " → ".join(
            show(each) for each in (*circle[circle.index(member) :], *circle[: circle.index(member)], member)
        )
        advice = "write `proxy_jump: none` at the host that is reached first"
        what = f"the jump hosts go round in a circle ({route}); {advice}"
        reading.say(written, what)


def _mail(entry: File | HostEntry) -> dict[str, Any]:
    """How mail is taken: what `entry` says of it."""
    names = ("recipient_delimiter", "message_size_limit")
    said = {name: value for name in names if (value := getattr(entry, name)) is not None}
    return said if entry.filter is None else {**said, "filter": Filter(entry.filter)}


def _host(name: str, entry: HostEntry, defaults: Host, reading: Reading) -> Host:
    """`defaults`: what the file says for every host."""
    path: KeyPath = ("hosts", name)
    reading.checked(path, name, names.host_name, key=True)
    address = reading.checked((*path, "address"), entry.address, names.host_address) or ""
    managed = defaults.managed if entry.managed is None else entry.managed
    if not managed:
        _check_unmanaged(path, reading)
        if "filter" not in reading.marks(
            ()
        ):  # what mailprov would set up says nothing about a server of others
            defaults = dataclasses.replace(defaults, filter=Filter.NONE)
    return dataclasses.replace(
        defaults,
        managed=managed,
        name=name,
        address=address,
        fqdn=reading.checked((*path, "fqdn"), entry.fqdn, names.fqdn) or "",
        ssh=_ssh(entry.ssh, (*path, "ssh"), defaults.ssh, reading),
        tls=tls.resolve(entry.tls, (*path, "tls"), defaults.tls, reading)
        if "tls" in reading.marks(path)
        else defaults.tls,
        ipv4=_published(entry.ipv4, 4, (*path, "ipv4"), address, reading),
        ipv6=_published(entry.ipv6, 6, (*path, "ipv6"), address, reading),
        local=local.resolve(entry.postfix, entry.dovecot, path, defaults.local, reading),
        lab_release=entry.lab.release if entry.lab else None,
        **_mail(entry),
        **protection.resolve(entry, path, reading),
    )


def _check_unmanaged(path: KeyPath, reading: Reading) -> None:
    """Keys of a host that only say what mailprov should do there."""
    for key in ("postfix", "dovecot", "relayhost", "firewall", "blocklists"):
        if key in reading.marks(path):
            what = f"`{key}` says what mailprov sets up, and this host has `managed: false`; leave one of them out"
            reading.say((*path, key), what, key=True)


def _published(
    given: list[str] | None, version: int, path: KeyPath, address: str, reading: Reading
) -> tuple[str, ...]:
    """The addresses for DNS: those given (`[]` for none), else the one SSH goes to."""
    if given is None:
        try:
            return (names.ip(address, version),)
        except names.BadName:
            return ()
    found: dict[str, None] = {}
    for index, text in enumerate(given):
        value = reading.checked((*path, index), text, lambda each: names.ip(each, version))
        if value in found:
            reading.say((*path, index), f"{value} is in this list twice; keep one")
        elif value:
            found[value] = None
    return tuple(found)


def _dns(entry: DnsEntry, reading: Reading) -> DnsSettings:
    provider = DnsProvider(entry.provider)
    written = reading.marks(("dns",))
    if provider is DnsProvider.ZONEFILE:
        for name in ("server", "port", "tsig"):
            if name in written:
                reading.say(
                    ("dns", name),
                    f"`{name}` is for `provider: rfc2136`; set that, or leave `{name}` out",
                    key=True,
                )
        return DnsSettings(provider, ttl=entry.ttl)
    server = None
    if entry.server is not None:
        server = reading.checked(("dns", "server"), entry.server, names.host_address)
    elif "server" not in written:
        reading.say(("dns",), "provider rfc2136 needs `server`, the primary name server's address", key=True)
    return DnsSettings(provider, server, entry.port, _tsig(entry, reading), entry.ttl)


def _tsig(entry: DnsEntry, reading: Reading) -> Tsig | None:
    if entry.tsig is None:
        return None
    path: KeyPath = ("dns", "tsig")
    name = entry.tsig.name.lower()
    if not _KEY_NAME.fullmatch(name) or len(name) > 253:
        reading.say(
            (*path, "name"), f'"{show(name)}" is no name of a key; write it as in the server\'s configuration'
        )
    return Tsig(
        name.removesuffix("."),
        entry.tsig.algorithm,
        reading.secret(entry.tsig.secret, (*path, "secret"), check=_not_base64),
    )


def _not_base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return "gives a text that is not base64, as a TSIG key is; copy it from the server's configuration"
    return ""


def _domains(
    entries: dict[str, DomainEntry], hosts: tuple[Host, ...], reading: Reading
) -> tuple[Domain, ...]:
    written = [
        (name, entry, reading.checked(("domains", name), name, names.domain, key=True))
        for name, entry in entries.items()
    ]
    domains: list[Domain] = []
    first: dict[str, str] = {}
    aliases: dict[str, str] = {}
    mail_names: dict[str, tuple[str, str]] = {host.fqdn: (host.name, f"host {host.name}") for host in hosts}
    for key, entry, name in written:
        if name and (other := first.setdefault(name, key)) != key:
            reading.say(("domains", key), f'is the same domain as "{show(other)}"; write it once', key=True)
            continue
        path: KeyPath = ("domains", key)
        _check_hosts(entry, path, reading)
        serving = [host for host in hosts if host.name in entry.hosts]
        found = recipients.of_domain(entry, path, name, serving, reading)
        domains.append(
            Domain(
                name=name or "",
                hosts=tuple(entry.hosts),
                accounts=found.accounts,
                aliases=found.aliases,
                lists=found.lists,
                catch_all=found.catch_all,
                domain_aliases=_domain_aliases(entry, path, name, aliases, reading),
                mail_name=_mail_name(entry, path, mail_names, reading),
                dkim=_dkim(entry, hosts, path, reading),
                dmarc=_dmarc(entry.dmarc, path, name, reading) if entry.dmarc else None,
            )
        )
    recipients.check_loops(domains, reading)
    return tuple(domains)


def _mail_name(
    entry: DomainEntry, path: KeyPath, seen: dict[str, tuple[str, str]], reading: Reading
) -> str | None:
    """`seen`: name → where it leads, and whose it is. Domains on one host may share a name."""
    if entry.mail_name is None or not entry.hosts:
        return None
    here: KeyPath = (*path, "mail_name")
    name = reading.checked(here, entry.mail_name, names.fqdn)
    if name is None:
        return None
    target, owner = seen.setdefault(name, (entry.hosts[0], f"domain {show(str(path[-1]))}"))
    if target != entry.hosts[0]:
        first = show(entry.hosts[0])
        reading.say(here, f'"{name}" leads to {target} already (it is the name of {owner}), not to {first}')
    return name


def _check_hosts(entry: DomainEntry, path: KeyPath, reading: Reading) -> None:
    known = reading.names.hosts
    for index, name in enumerate(entry.hosts):
        if name in entry.hosts[:index]:
            reading.say((*path, "hosts", index), f'host "{show(name)}" is in this list twice; keep one')
        elif reading.names.hosts_known and name not in known:
            listed = f"; the hosts are {', '.join(show(each) for each in known[:10])}" if known else ""
            hint = reading.did_you_mean(name, known, listed)
            reading.say((*path, "hosts", index), f'host "{show(name)}" is not defined under `hosts`{hint}')


def _domain_aliases(
    entry: DomainEntry, path: KeyPath, domain: str | None, seen: dict[str, str], reading: Reading
) -> tuple[str, ...]:
    found: list[str] = []
    for index, text in enumerate(entry.domain_aliases):
        here: KeyPath = (*path, "domain_aliases", index)
        name = reading.checked(here, text, names.domain)
        if name is None:
            continue
        if name == domain:
            reading.say(here, f'"{name}" is this domain itself; leave it out')
        elif name in reading.names.locals:
            reading.say(
                here, f'"{name}" is a domain of its own in this file; it cannot be a domain alias, too'
            )
        elif name in seen:
            reading.say(here, f'"{name}" is already a domain alias of {seen[name]}; keep one')
        else:
            seen[name] = domain or str(path[-1])
            found.append(name)
    return tuple(found)


def _dkim(domain: DomainEntry, hosts: tuple[Host, ...], path: KeyPath, reading: Reading) -> Dkim:
    entry, here = domain.dkim, (*path, "dkim")
    unable = [host.name for host in hosts if host.name in domain.hosts and host.filter is Filter.NONE]
    if "ed25519" in entry.algorithms and unable:
        what = f"ed25519 needs `filter: rspamd`, and {unable[0]} has `filter: none`, where OpenDKIM signs with rsa only"
        reading.say((*here, "algorithms", entry.algorithms.index("ed25519")), what)
    for index, name in enumerate(entry.algorithms):
        if name in entry.algorithms[:index]:
            reading.say((*here, "algorithms", index), f"{name} is in this list twice; keep one")
    if not entry.algorithms:
        reading.say((*here, "algorithms"), "is an empty list; write rsa, or leave `algorithms` out")
    prefix = entry.selector or ""
    if prefix and not _SELECTOR.fullmatch(prefix):
        what = "no beginning of a selector; use up to 20 of a-z, 0-9 and -, such as corp"
        reading.say((*here, "selector"), f'"{show(prefix)}" is {what}')
    return Dkim(tuple(entry.algorithms), prefix)


def _dmarc(entry: DmarcEntry, path: KeyPath, domain: str | None, reading: Reading) -> Dmarc:
    rua = None
    if entry.rua is not None and domain:
        lead = "the DMARC reports would go to nobody"
        rua = recipients.target(entry.rua, (*path, "dmarc", "rua"), domain, lead, reading=reading)
    return Dmarc(entry.policy, rua)
