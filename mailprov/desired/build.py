"""Inventory and facts → the host's complete desired state.

    build(inventory, host, facts, rotation, precomputed) -> HostState
    wanted_packages(inventory, host) -> list[str]

Raises HostFailed (no supported version of Postfix or Dovecot) and InputError (certificate files, addresses).
"""

from __future__ import annotations

from typing import Any

from mailprov.components import (
    acme,
    dkim,
    dovecot,
    fail2ban,
    passwd,
    postfix,
    relayhost,
    srs,
    submission,
    tls,
    ufw,
    versions,
)
from mailprov.components import milter as milters
from mailprov.components.precompute import Precomputed
from mailprov.model.host_state import Directory, HostState, Service
from mailprov.model.inventory import Host, Inventory, TlsMode

_PACKAGES = (
    "ca-certificates",  # what Postfix trusts when it sends
    "dovecot-core",
    "dovecot-imapd",
    "dovecot-lmtpd",
    "dovecot-managesieved",
    "dovecot-pop3d",
    "dovecot-sieve",
    "openssl",  # hashes passwords and makes certificates
    "postfix",
    srs.PACKAGE,
)


def wanted_packages(inventory: Inventory, host: Host) -> list[str]:
    """The packages that the facts must report on: known before the facts."""
    return [*_packages(inventory, host), *milters.packages(host)]


def needed_packages(inventory: Inventory, host: Host) -> list[str]:
    """Those of `wanted_packages` that an apply installs where they are not."""
    return [*_packages(inventory, host), milters.package(host)]


def _packages(inventory: Inventory, host: Host) -> tuple[str, ...]:
    more = acme.packages(host, inventory.dns) if host.tls.mode is TlsMode.ACME else ()
    if host.fail2ban is not None:
        more += fail2ban.PACKAGES
    if host.relay is not None:
        more += (relayhost.PACKAGE,)
    if host.firewall:
        more += (ufw.PACKAGE,)
    return (*_PACKAGES, *more)


def build(
    inventory: Inventory,
    host: Host,
    facts: dict[str, Any],
    rotation: dkim.RotationStep | None = None,
    precomputed: Precomputed | None = None,
) -> HostState:
    """What `host` must be. `facts` as in wire.messages; equal input gives equal output, to the byte.

    `rotation`: a step of a rotation of DKIM keys, which nothing else asks for. `precomputed`: made before, of this very
    host.
    """
    mail = (precomputed or Precomputed(inventory, host)).mail()
    releases = versions.choose(facts, host.name)
    material = tls.material(host, inventory.mail_names(host.name), inventory.dns)
    ipv6 = bool(facts.get("ipv6"))
    domains = inventory.domains_on(host.name)
    sender_domain = inventory.sender_domain(host)
    rewriting = srs.make(sender_domain, releases.postsrsd, srs.short_until(facts))
    keys = dkim.keys(domains, host, facts, rotation)
    milter = milters.milter(host, domains, keys, facts)
    postfix_files = postfix.files(
        host, domains, releases.postfix, material, ipv6, rewriting, milter, mail, sender_domain
    )
    submitted = submission.files(postfix.MAPS, host.recipient_delimiter)
    files = [*rewriting.files, *submitted, *postfix_files, *material.files]
    files += dovecot.files(host, releases, material, ipv6, mail)
    # Postfix first: Dovecot puts its sockets in the directories that Postfix's check makes.
    for_everybody = (postfix.service(postfix_files, material), dovecot.service(material))
    services: list[Service] = [*for_everybody, rewriting.service]
    if milter:
        files += [*milter.files, dkim.state_file(keys)]
        services.insert(0, milter.service)  # before Postfix, which would let mail in unasked until it answers
    services.insert(
        0, submission.service(submitted)
    )  # before Postfix, which would refuse submitted mail until then
    if material.issued:
        files += acme.files(host, inventory.dns, material.issued)
        services.append(acme.service())
    if host.fail2ban is not None:
        jails = fail2ban.files(host)
        files += jails
        services.append(fail2ban.service(host, jails))
    if host.firewall:
        rules = ufw.files(host, for_everybody)
        files += rules
        services.append(ufw.service(rules))
    return HostState(
        host=host.name,
        hostname=host.fqdn,
        packages=(*_packages(inventory, host), *([milter.package] if milter else [])),
        debconf=(*postfix.DEBCONF, ("postfix", "postfix/mailname", "string", host.fqdn)),
        users=(dovecot.MAIL_USER,),
        directories=(
            Directory("/etc/mailprov"),
            Directory(tls.FOLDER),
            *postfix.DIRECTORIES,
            *dovecot.DIRECTORIES,
            *([milter.directory] if milter else []),
        ),
        certificates=material.certificates,
        keys=milter.keys if milter else (),
        issued=material.issued,
        files=tuple(sorted(files, key=lambda file: file.path)),
        account_files=(passwd.accounts(mail.entries, releases.dovecot),),
        services=tuple(services),
        filters=(dovecot.FILTERS,),
        retired=_retired({service.unit for service in services}),
        rendered_for=releases.rendered_for(),
    )


def _retired(wanted: set[str]) -> tuple[Service, ...]:
    """What another inventory may have brought. certbot's timer is not among them: other certificates may need it."""
    optional = (*milters.units(), fail2ban.unit(), ufw.unit())
    return tuple(service for service in optional if service.unit not in wanted)
