"""Where the web corner is on a host, and whether a host has it: what other components may ask. Pure.

WEBROOT            what an authority looks for below CHALLENGES is below it: `certbot --webroot-path`
RELOAD             the unit that reads renewed certificates when it is reloaded
SETTING.of(host)   whether the inventory asks for it
package(build)     which flavour of nginx this host gets, or has
serves(build)      whether this host has it: it does not where a server of somebody else has its ports
why_not(facts)     that server, in a sentence; empty where there is none
"""

from __future__ import annotations

from typing import Any

from mailprov.components.base import Build, Setting
from mailprov.components.versions import parse
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
SMALLEST = "nginx-light"
FLAVOURS = ("nginx-full", "nginx-extras", "nginx-core", SMALLEST, "nginx")
_COUNTING = "nginx-core"


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


def package(build: Build) -> str:
    """The smallest one, or what is there already: until Debian 11 they exclude each other. In Debian 11 and Ubuntu
    22.04 the smallest one lacks limit_req, and another one takes its place where that is needed.
    """
    known = build.facts["packages"]
    here = next((name for name in FLAVOURS if known.get(name, {}).get("installed")), SMALLEST)
    if here == SMALLEST and any(each.counts_requests(build) for each in build.components):
        found = known.get(SMALLEST, {})
        version = found.get("installed") or found.get("candidate")
        if version and not parse(version).at_least(1, 22):
            return _COUNTING
    return here


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
