"""All DNS providers, each a package of this one. Nothing outside knows which there are.

    PROVIDERS                      in the order in which people are told of them
    named(name) -> Provider        as `dns.provider` in the inventory names it
    of(settings) -> Provider
    open_driver(settings) -> Driver
    by_update(server, …) -> dict   `dns:` of an inventory for a name server that takes updates
    for_dns_01() -> str            what an inventory must have for the challenge dns-01

To add one: a package here with a Provider (dns/provider.py says what that is), and its line in PROVIDERS.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from mailprov.dns.provider import Provider
from mailprov.dns.providers.cloudflare import Cloudflare
from mailprov.dns.providers.digitalocean import DigitalOcean
from mailprov.dns.providers.gandi import Gandi
from mailprov.dns.providers.hetzner import Hetzner
from mailprov.dns.providers.ovh import Ovh
from mailprov.dns.providers.powerdns import PowerDns
from mailprov.dns.providers.rfc2136 import Rfc2136
from mailprov.dns.providers.route53 import Route53
from mailprov.dns.providers.zonefile import ZoneFile
from mailprov.i18n import N_, _, one_of
from mailprov.model.dns import DnsSettings

if TYPE_CHECKING:
    from mailprov.dns.driver import Driver

PROVIDERS: tuple[Provider, ...] = (
    Rfc2136(),
    Cloudflare(),
    DigitalOcean(),
    Gandi(),
    Hetzner(),
    Ovh(),
    PowerDns(),
    Route53(),
    ZoneFile(),
)
# Those that people ask for, and that are not there yet.
LATER = ("azure", "google")
UNTIL_THEN = N_(
    "this provider is not in this version; use `rfc2136`, or `zonefile` and publish the printed records there"
)


# How the name servers of each are called, as a pattern of the whole name.
NAME_SERVERS = {
    "cloudflare": r"[a-z]+\.ns\.cloudflare\.com",
    "digitalocean": r"ns[1-3]\.digitalocean\.com",
    "gandi": r"ns-\d+-[a-c]\.gandi\.net",
    "hetzner": r"(hydrogen\.ns\.hetzner\.com|oxygen\.ns\.hetzner\.com|helium\.ns\.hetzner\.de)",
    "ovh": r"d?ns\d*\.(ovh\.net|ovh\.ca|anycast\.me)",
    "route53": r"ns-\d+\.awsdns-\d+\.(com|net|org|co\.uk)",
}


def at_name_servers(servers: Collection[str]) -> Provider | None:
    """The provider whose name servers these are, all of them."""
    for name, pattern in NAME_SERVERS.items():
        if servers and all(re.fullmatch(pattern, server) for server in servers):
            return named(name)
    return None


def named(name: str) -> Provider:
    return next(provider for provider in PROVIDERS if provider.name == name)


def of(settings: DnsSettings) -> Provider:
    return named(settings.provider.name)


def open_driver(settings: DnsSettings) -> Driver:
    """Raises InputError for settings that cannot be used."""
    return of(settings).open(settings.provider)


def by_update(server: str, key: str, algorithm: str, secret: Mapping[str, str]) -> dict[str, object]:
    """`dns:` for a name server that takes updates signed with a key (RFC 2136)."""
    tsig = {"name": key, "algorithm": algorithm, "secret": dict(secret)}
    return {"provider": Rfc2136.name, "server": server, "tsig": tsig}


def for_dns_01() -> str:
    return one_of(_(provider.dns_01) for provider in PROVIDERS if provider.dns_01)
