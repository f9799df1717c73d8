"""Rspamd: the one milter of a host with `filter: rspamd`. It checks what arrives, seals it, and signs what is sent.

    files(domains, keys, redis, blocklists) -> tuple[File, ...]
    service(files, keys), unit() -> Service
    PACKAGE, GROUP, MILTER, DIRECTORY, CONTROLLER

Pure. mailprov writes local.d, where settings of Rspamd's packages are changed; override.d wins over it and belongs to
the administrator, but for two files: what shall be replaced, and not added to, can only be replaced there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailprov.components import dkim
from mailprov.components.templates import render
from mailprov.model.dkim import Key
from mailprov.model.host_state import Directory, File, Service, SigningKey
from mailprov.model.inventory import Domain

PACKAGE = "rspamd"
REDIS = "redis-server"  # used where it is installed
GROUP = "_rspamd"
# Postfix alone gets to it: whoever could would have any message signed. The group is inherited from the directory.
MILTER = "unix:rspamd/milter.sock"  # from inside Postfix's chroot
DIRECTORY = Directory("/var/spool/postfix/rspamd", "_rspamd", "postfix", "2710")
_SOCKET = f"{DIRECTORY.path}/milter.sock"
CONTROLLER = "/run/rspamd/controller.sock"  # for root and Rspamd
FOLDER = "/etc/rspamd/local.d"
OVERRIDE = "/etc/rspamd/override.d"
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


def files(
    domains: Iterable[Domain], keys: tuple[Key, ...], redis: bool, blocklists: tuple[str, ...] | None = None
) -> tuple[File, ...]:
    """`redis`: a Redis server is installed on the host. `blocklists` as in the model's Host."""
    signing = [(name, list(map(_shown, found))) for name, found in dkim.signing(domains, keys)]
    values = {
        "domains": signing,
        "redis": redis,
        "blocklists": blocklists,
        "controller": CONTROLLER,
        "socket": _SOCKET,
    }
    return (
        *(File(f"{FOLDER}/{name}", render(f"rspamd/{name}.j2", **values)) for name in _FILES),
        File(f"{FOLDER}/options.inc", render("rspamd/local-options.inc.j2")),
        File(f"{OVERRIDE}/options.inc", render("rspamd/options.inc.j2")),
        *(_lists(values) if blocklists else ()),
    )


def _lists(values: dict[str, Any]) -> tuple[File, ...]:
    return (
        File(f"{OVERRIDE}/rbl.conf", render("rspamd/own-rbl.conf.j2", **values)),
        File(f"{FOLDER}/rbl_group.conf", render("rspamd/rbl_group.conf.j2", **values)),
    )


def _shown(key: Key) -> dict[str, Any]:
    spec = dkim.spec(key, GROUP)
    return {"selector": key.selector, "algorithm": key.algorithm, "path": spec.raw or spec.key}


def service(ours: Iterable[File], keys: Iterable[SigningKey]) -> Service:
    """The first start compiles expressions for half a minute and more before it listens (10 s on a fast machine)."""
    return Service(
        unit="rspamd.service",
        files=(*(file.path for file in ours), *(path for key in keys for path in (key.raw or key.key,))),
        restart_on=(f"{FOLDER}/worker-proxy.inc", f"{FOLDER}/worker-controller.inc"),
        checks=(("rspamadm", "configtest"),),
        ports=(_SOCKET,),
        patience=180,
    )


def unit() -> Service:
    """For a host that may have had it."""
    return Service(unit="rspamd.service", ports=(_SOCKET,))
