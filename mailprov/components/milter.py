"""Which milter a host has, and all that belongs to it: Rspamd, or OpenDKIM where nothing is filtered.

    packages(host) -> list[str]                what the facts must report on
    package(host) -> str                       what is installed
    units() -> tuple[Service, ...]             those that a host may have had
    milter(host, domains, keys, facts) -> Milter | None

Pure. Postfix asks a milter once for each message, when it comes in by SMTP or from a program of this host. Delivery to
Dovecot and forwards leave by other ways and are not asked about again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mailprov.components import dkim, opendkim, rspamd
from mailprov.model.dkim import Key
from mailprov.model.host_state import Directory, File, Service, SigningKey
from mailprov.model.inventory import Domain, Filter, Host


@dataclass(frozen=True)
class Milter:
    """`arrival`: it is asked about mail from outside, too, and not only about what is submitted."""

    package: str
    address: str  # as in Postfix's smtpd_milters
    arrival: bool
    keys: tuple[SigningKey, ...]
    files: tuple[File, ...]
    service: Service
    directory: Directory  # of its socket


def packages(host: Host) -> list[str]:
    """Also what is used where it is installed, and not installed for that."""
    return [package(host), *([f"?{rspamd.REDIS}"] if host.filter is Filter.RSPAMD else [])]


def package(host: Host) -> str:
    """The milter's own."""
    return rspamd.PACKAGE if host.filter is Filter.RSPAMD else opendkim.PACKAGE


def units() -> tuple[Service, ...]:
    """A Redis server is not among them: it is used where it is, and was installed by somebody else."""
    return rspamd.unit(), opendkim.unit()


def milter(
    host: Host, domains: tuple[Domain, ...], keys: tuple[Key, ...], facts: dict[str, Any]
) -> Milter | None:
    """None where there is nothing to filter and nothing to sign."""
    if host.filter is Filter.RSPAMD:
        redis = bool(facts["packages"].get(rspamd.REDIS, {}).get("installed"))
        specs = tuple(dkim.spec(key, rspamd.GROUP) for key in keys)
        files = rspamd.files(domains, keys, redis, host.blocklists)
        service = rspamd.service(files, specs)
        return Milter(rspamd.PACKAGE, rspamd.MILTER, True, specs, files, service, rspamd.DIRECTORY)
    if not keys:
        return None
    specs = tuple(dkim.spec(key, opendkim.GROUP) for key in keys)
    files = opendkim.files(domains, keys)
    service = opendkim.service(files, specs)
    return Milter(opendkim.PACKAGE, opendkim.MILTER, False, specs, files, service, opendkim.DIRECTORY)
