"""Where the web corner is on a host, and whether a host has it: what other components may ask. Pure.

WEBROOT            what an authority looks for below CHALLENGES is below it: `certbot --webroot-path`
RELOAD             the unit that reads renewed certificates when it is reloaded
SETTING.of(host)   whether the inventory asks for it
serves(build)      whether this host has it: it does not where a server of somebody else has its ports
why_not(facts)     that server, in a sentence; empty where there is none
"""

from __future__ import annotations

from typing import Any

from mailprov.components.base import Build, Setting
from mailprov.i18n import N_, _, all_of
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath
from mailprov.schema.scalars import Boolean

PORTS = (80, 443)
WEBROOT = "/var/lib/mailprov-web"  # not in /var/lib/mailprov, which is for root alone
CHALLENGES = "/.well-known/acme-challenge/"  # RFC 8555 section 8.3
FOLDER = "/etc/mailprov/web"
SITES = f"{FOLDER}/sites"  # a folder for each Site of sites.py
RELOAD = "nginx.service"


def _resolve(entry: bool, path: KeyPath, base: bool, context: Context) -> bool:
    return entry


SETTING: Setting[bool] = Setting(
    "web",
    Boolean,
    N_(
        "true: nginx serves what mail programs set themselves up by, on ports 80 and 443, and answers certificate "
        "authorities; false: no web server, as if not given"
    ),
    _resolve,
    default=False,
    sets_up=True,
    rehearse=lambda value, lab: True if value else None,
)


def serves(build: Build) -> bool:
    return SETTING.of(build.host) and not why_not(build.facts)


def why_not(facts: dict[str, Any]) -> str:
    """As agent/doors.py tells it."""
    told = facts.get("web") or {}
    taken, boots = told.get("taken", {}), told.get("boots", [])
    if taken:
        servers = [
            _("{program} on port {port}").format(program=program or _("a program"), port=port)
            for port, program in sorted(taken.items())
        ]
        form = _(
            "web: not set up, for another server is there ({servers}), and names in DNS that would lead to it are not "
            "published; take it away and apply again, or write `web: false` for this host"
        )
        return form.format(servers=all_of(servers))
    if boots:
        form = _(
            "web: not set up, for another server starts when this host boots ({units}), and names in DNS that would "
            "lead to it are not published; disable it there and apply again, or write `web: false` for this host"
        )
        return form.format(units=all_of(boots))
    return ""
