"""Where Roundcube is on a host, and how it reaches the host's own mail service. Pure.

USER, UNIT, SOCKET      its user and group; the unit of its PHP; where that listens
FOLDER, STATE           configuration; what it writes: for nobody else, and kept when the webmail goes
LOG                     its identifier in the journal
doors(host) -> Doors    which ports of the host it uses
serves(build)           whether this host has it
"""

from __future__ import annotations

from typing import NamedTuple

from mailprov.components.base import Build
from mailprov.components.web import place as web
from mailprov.model import web as names
from mailprov.model.inventory import Host
from mailprov.model.ports import SERVICES, Port, TlsStart

USER = "mailprov-webmail"
UNIT = f"{USER}.service"
CLEAN = f"{USER}-clean"
SOCKET = f"/run/{USER}/socket"
FOLDER = "/etc/mailprov/webmail"
STATE = f"/var/lib/{USER}"
DATABASE = f"{STATE}/roundcube.db"
KEY = f"{STATE}/des_key"
LOG = "roundcube"
PUBLIC = "/var/lib/roundcube/public_html"
PLUGINS = "/var/lib/roundcube/plugins"  # where Debian wants plugins that are no package's


class Door(NamedTuple):
    """As Roundcube writes it: ssl is TLS at once, tls is STARTTLS."""

    scheme: str
    port: int


class Doors(NamedTuple):
    """None where the host offers no such service."""

    imap: Door | None
    smtp: Door | None
    sieve: Door | None


def doors(host: Host) -> Doors:
    def first(*services: str) -> Door | None:
        return next((_door(SERVICES[name]) for name in services if name in host.services), None)

    return Doors(first("imaps", "imap"), first("submissions", "submission"), first("sieve"))


def _door(port: Port) -> Door:
    return Door("ssl" if port.tls is TlsStart.IMPLICIT else "tls", port.number)


def serves(build: Build) -> bool:
    return bool(names.webmail_on(build.host)) and web.serves(build)
