"""Inventory and facts → the host's complete desired state.

    build(inventory, host, facts) -> HostState
    wanted_packages(inventory, host) -> list[str]

Raises HostFailed (no supported version of Postfix or Dovecot) and InputError (certificate files, addresses).
"""

from __future__ import annotations

from typing import Any

from mailprov.desired import dovecot, postfix, srs, tls, versions
from mailprov.desired.state import Directory, HostState
from mailprov.model.inventory import Host, Inventory

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
    return list(_PACKAGES)


def build(inventory: Inventory, host: Host, facts: dict[str, Any]) -> HostState:
    """What `host` must be. `facts` as in wire.messages; equal input gives equal output, to the byte."""
    releases = versions.choose(facts, host.name)
    material = tls.material(host)
    ipv6 = bool(facts.get("ipv6"))
    domains = inventory.domains_on(host.name)
    way_out = srs.make(host.fqdn, releases.postsrsd)
    postfix_files = postfix.files(host, domains, releases.postfix, material, ipv6, way_out)
    files = (
        *way_out.files,
        *postfix_files,
        *dovecot.files(host, domains, releases, material, ipv6),
        *material.files,
    )
    return HostState(
        host=host.name,
        hostname=host.fqdn,
        packages=_PACKAGES,
        debconf=(*postfix.DEBCONF, ("postfix", "postfix/mailname", "string", host.fqdn)),
        users=(dovecot.MAIL_USER,),
        directories=(
            Directory("/etc/mailprov"),
            Directory(tls.FOLDER),
            *postfix.DIRECTORIES,
            *dovecot.DIRECTORIES,
        ),
        certificates=material.certificates,
        files=tuple(sorted(files, key=lambda file: file.path)),
        account_files=(dovecot.accounts(domains, releases.dovecot),),
        # Postfix first: Dovecot puts its sockets in the directories that Postfix's check makes.
        services=(postfix.service(postfix_files, material), dovecot.service(material), way_out.service),
        rendered_for=releases.rendered_for(),
    )
