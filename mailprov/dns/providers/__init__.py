"""All DNS providers, each a module or package of this one. Nothing outside knows which there are.

    NAMES                          in the order in which people are told of them
    every() -> Iterator[Provider]  all of them
    named(name) -> Provider        as `dns.provider` in the inventory names it
    of(settings) -> Provider
    open_driver(settings) -> Driver
    at_name_servers(servers) -> Provider | None
    by_update(server, …) -> dict   `dns:` of an inventory for a name server that takes updates
    for_dns_01() -> str            what an inventory must have for the challenge dns-01

To add one: a package here that is called as it is in the inventory and has a PROVIDER (dns/provider.py says what that
is), and its name in NAMES. A provider is loaded when it is named: an inventory has one or two of them, and waits for no
other. `every` is for those who list them, and for messages about keys of others.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from mailprov.i18n import N_, _, one_of

if TYPE_CHECKING:
    from mailprov.dns.driver import Driver
    from mailprov.dns.provider import Provider
    from mailprov.model.dns import DnsSettings

NAMES: tuple[str, ...] = (
    "rfc2136",
    "cloudflare",
    "digitalocean",
    "gandi",
    "hetzner",
    "octodns",
    "ovh",
    "powerdns",
    "route53",
    "zonefile",
)
# Those that people ask for, and that are not there yet.
LATER = ("azure", "google")
UNTIL_THEN = N_(
    "this provider is not in this version; use `rfc2136`, or `zonefile` and publish the printed records there"
)


def named(name: str) -> Provider:
    """KeyError for a name that is not in NAMES."""
    if name not in NAMES:
        raise KeyError(name)
    provider: Provider = importlib.import_module(f"mailprov.dns.providers.{name}").PROVIDER
    return provider


def every() -> Iterator[Provider]:
    return map(named, NAMES)


def of(settings: DnsSettings) -> Provider:
    return named(settings.provider.name)


def open_driver(settings: DnsSettings) -> Driver:
    """Raises InputError for settings that cannot be used."""
    return of(settings).open(settings.provider)


def at_name_servers(servers: Collection[str]) -> Provider | None:
    """The provider whose name servers these are, all of them."""
    for provider in every():
        pattern = provider.name_servers
        if pattern and servers and all(re.fullmatch(pattern, server) for server in servers):
            return provider
    return None


def by_update(server: str, key: str, algorithm: str, secret: Mapping[str, str]) -> dict[str, object]:
    """`dns:` for a name server that takes updates signed with a key (RFC 2136)."""
    tsig = {"name": key, "algorithm": algorithm, "secret": dict(secret)}
    return {"provider": "rfc2136", "server": server, "tsig": tsig}


def for_dns_01() -> str:
    return one_of(_(provider.dns_01) for provider in every() if provider.dns_01)
