"""Rspamd: the one milter of a host with `filter: rspamd`. It checks what arrives, seals it, and signs what is sent.

    BLOCKLISTS     zones that it asks about a sender's address, and no others; None: those that it comes with
    COMPONENT

Pure. mailprov writes local.d, where settings of Rspamd's packages are changed; override.d wins over it and belongs to
the administrator, but for two files: what shall be replaced, and not added to, can only be replaced there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from mailprov.components import dkim
from mailprov.components.base import Build, Component, Parts, Setting
from mailprov.components.milter import FILTER, Milter
from mailprov.components.templates import render
from mailprov.i18n import N_, _
from mailprov.model.dkim import Key
from mailprov.model.dns import DnsSettings
from mailprov.model.host_state import Directory, File, Service
from mailprov.model.inventory import Domain, Filter, Host, Inventory
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath
from mailprov.schema.scalars import Reads, kind, said, text

_PACKAGE = "rspamd"
_REDIS = "redis-server"  # used where it is installed
_GROUP = "_rspamd"
# Postfix alone gets to it: whoever could would have any message signed. The group is inherited from the directory.
_ADDRESS = "unix:rspamd/milter.sock"  # from inside Postfix's chroot
_DIRECTORY = Directory("/var/spool/postfix/rspamd", "_rspamd", "postfix", "2710")
_SOCKET = f"{_DIRECTORY.path}/milter.sock"
_CONTROLLER = "/run/rspamd/controller.sock"  # for root and Rspamd
_FOLDER = "/etc/rspamd/local.d"
_OVERRIDE = "/etc/rspamd/override.d"
_FILES = (
    "actions.conf",
    "arc.conf",
    "classifier-bayes.conf",
    "dkim_signing.conf",
    "dmarc.conf",
    "greylist.conf",
    "milter_headers.conf",
    "ratelimit.conf",
    "rbl.conf",
    "redis.conf",
    "worker-controller.inc",
    "worker-normal.inc",
    "worker-proxy.inc",
)


_ZONES = "[zen.spamhaus.org]"


def _written(value: Any) -> str | list[str]:
    if isinstance(value, str):
        if value in ("default", "none"):
            return str(value)
        raise said(_("must be default, none, or a list of zones such as {zones}").format(zones=_ZONES))
    if not isinstance(value, list):
        raise said(
            _("must be default, none, or a list of zones such as {zones}, not {kind}").format(
                zones=_ZONES, kind=kind(value)
            )
        )
    if not value:
        raise said(_("is empty; to ask no blocklist, write none"))
    return [text(each) for each in value]


_Blocklists = Annotated[
    str | list[str],
    Reads(
        _written,
        {
            "anyOf": [
                {"type": "string", "enum": ["default", "none"]},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        },
    ),
]


def _resolve(
    entry: str | list[str], path: KeyPath, base: tuple[str, ...] | None, context: Context
) -> tuple[str, ...] | None:
    if isinstance(entry, str):
        return None if entry == "default" else ()
    zones = [context.checked((*path, index), text, names.domain) for index, text in enumerate(entry)]
    return tuple(dict.fromkeys(zone for zone in zones if zone))


BLOCKLISTS: Setting[tuple[str, ...] | None] = Setting(
    "blocklists",
    _Blocklists,
    N_(
        "DNS blocklists that Rspamd asks about what arrives. default: those that it comes with; none: no list, and "
        "nobody outside learns who writes to you; a list of zones: these, about the sender's address, and no others"
    ),
    _resolve,
    default=None,
    if_missing=N_("default if not given"),
    wins=N_("wins as a whole"),
    sets_up=True,
    rehearse=lambda value, lab: None if value is None else list(value) or "none",
)


class _Rspamd(Component):
    name = "rspamd"
    about = N_("checks what arrives, and signs what is sent")
    settings = (FILTER, BLOCKLISTS)
    before = "postfix"  # which would let mail in unasked until it answers

    def wanted(self, host: Host) -> bool:
        return host.filter is Filter.RSPAMD

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return (_PACKAGE,)

    def consulted(self, host: Host) -> tuple[str, ...]:
        """A Redis server is used where it is; somebody else installed it, so it is not ours to stop, either."""
        return (_REDIS,)

    def milter(self, build: Build) -> Milter | None:
        keys = build.dkim_keys
        redis = bool(build.facts["packages"].get(_REDIS, {}).get("installed"))
        specs = tuple(dkim.spec(key, _GROUP) for key in keys)
        files = _files(build.domains, keys, redis, BLOCKLISTS.of(build.host))
        # The first start compiles expressions for half a minute and more before it listens (10 s on a fast machine).
        service = Service(
            unit="rspamd.service",
            files=(*(file.path for file in files), *(key.raw or key.key for key in specs)),
            restart_on=(f"{_FOLDER}/worker-proxy.inc", f"{_FOLDER}/worker-controller.inc"),
            checks=(("rspamadm", "configtest"),),
            ports=(_SOCKET,),
            patience=180,
        )
        return Milter(_PACKAGE, _ADDRESS, True, specs, files, service, _DIRECTORY)

    def parts(self, build: Build) -> Parts:
        return build.milter.parts(build.dkim_keys) if build.milter else Parts()

    def retired(self) -> tuple[Service, ...]:
        return (Service(unit="rspamd.service", ports=(_SOCKET,)),)

    def check(self, file: Any, hosts: Sequence[Host], dns: DnsSettings, context: Context) -> None:
        """OpenDKIM, which `filter: none` leaves, looks at nothing that arrives."""
        without = [host.name for host in hosts if host.filter is Filter.NONE]
        if file.blocklists is not None and len(without) == len(file.hosts):
            what = _("Rspamd asks them, and every host has `filter: none`")
            context.problem(("blocklists",), what, key=True)
        for name in without:
            if file.hosts[name].blocklists is not None:
                what = _("Rspamd asks them, and this host has `filter: none`")
                context.problem(("hosts", name, "blocklists"), what, key=True)


COMPONENT = _Rspamd()


def _files(
    domains: Iterable[Domain], keys: tuple[Key, ...], redis: bool, blocklists: tuple[str, ...] | None = None
) -> tuple[File, ...]:
    """`redis`: a Redis server is installed on the host. `blocklists` as in BLOCKLISTS."""
    signing = [(name, list(map(_shown, found))) for name, found in dkim.signing(domains, keys)]
    values = {
        "domains": signing,
        "redis": redis,
        "blocklists": blocklists,
        "controller": _CONTROLLER,
        "socket": _SOCKET,
    }
    return (
        *(File(f"{_FOLDER}/{name}", render(f"rspamd/{name}.j2", **values)) for name in _FILES),
        File(f"{_FOLDER}/options.inc", render("rspamd/local-options.inc.j2")),
        File(f"{_OVERRIDE}/options.inc", render("rspamd/options.inc.j2")),
        *(_lists(values) if blocklists else ()),
    )


def _lists(values: dict[str, Any]) -> tuple[File, ...]:
    return (
        File(f"{_OVERRIDE}/rbl.conf", render("rspamd/own-rbl.conf.j2", **values)),
        File(f"{_FOLDER}/rbl_group.conf", render("rspamd/rbl_group.conf.j2", **values)),
    )


def _shown(key: Key) -> dict[str, Any]:
    spec = dkim.spec(key, _GROUP)
    return {"selector": key.selector, "algorithm": key.algorithm, "path": spec.raw or spec.key}
