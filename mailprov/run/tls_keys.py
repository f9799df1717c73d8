"""What hosts tell of their certificates' keys, and the TLSA records that follow from it.

    Told.hear(host, message)        takes what a message of the agent says of them
    of(host, told) -> HostKeys | None           for dns.plan; None where the host has not told them
    after(host, told)                           the keys that it serves when the run is done, as far as they are known

A host is believed about the certificates for its own name, which no other host has records of. Raises NotBelieved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mailprov.components.tls.material import served_paths
from mailprov.errors import NotBelieved
from mailprov.i18n import _
from mailprov.model.inventory import Host, KeyType, TlsMode
from mailprov.model.tls_keys import DIGEST, HostKeys


class Told:
    """Of one host. `told`: whether it has said anything."""

    def __init__(self) -> None:
        self.told = False
        self.ended = False  # what is served now is told, at the end of an apply
        self.served: Mapping[str, str] = {}
        self.next: Mapping[str, str] = {}
        self.after: Mapping[str, str] = {}

    def hear(self, host: Host, message: Mapping[str, Any]) -> None:
        kind = message["t"]
        now = message["facts"].get("tls") if kind == "facts" else message.get("tls")
        if kind not in ("facts", "keys", "runs", "plan", "served") or now is None:
            return
        for each in (now,) if kind == "plan" else (now["served"], now["next"]):
            _check(host, each)
        if kind == "plan":
            self.after = now
            return
        self.told, self.ended = True, kind == "served"
        self.served, self.next = now["served"], now["next"]
        if kind != "facts":
            self.after = self.served


def _check(host: Host, told: Mapping[str, str]) -> None:
    for path, digest in told.items():
        if not DIGEST.fullmatch(digest):
            raise NotBelieved(
                host.name,
                _("it reports {digest!r} as the key of {path!r}, which is no SHA-256").format(
                    digest=digest[:80], path=path[:80]
                ),
            )


def of(host: Host, told: Told) -> HostKeys | None:
    if not told.told:
        return None
    paths = served_paths(host)
    served = _some(told.served, _every_path(host))
    changes = any(path not in told.served or told.served[path] != told.after.get(path) for path in paths)
    coming = tuple(one for one in _some(told.after, paths) if changes and one not in served)
    return HostKeys(_some(told.served, paths) + _some(told.next, paths), changes, served, coming)


def after(host: Host, told: Told) -> tuple[str, ...]:
    return _some(told.after, _every_path(host))


def _some(told: Mapping[str, str], paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(told[path] for path in paths if path in told))


def _every_path(host: Host) -> tuple[str, ...]:
    """Whatever the host's certificate came from until now."""
    ways = (
        dataclasses.replace(host, tls=dataclasses.replace(host.tls, mode=mode, key_type=KeyType.BOTH))
        for mode in TlsMode
    )
    return tuple(path for way in ways for path in served_paths(way))
