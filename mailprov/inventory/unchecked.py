"""Where an inventory's hosts are, told before the file is checked, so that logins can begin meanwhile.

    hosts(document, folder) -> tuple[Host, ...]     all of them, with name, address, `ssh` and `managed`; () where the
                                                    file says anything about them that is not plain

Says nothing of what is wrong, and is no second reading of the file: whoever used it compares it with what `load` gives
in the end (transport/early_logins.py). So it takes the plain forms alone. A secret is not plain: it is read when all
else is right. Nor is an ssh_config that the inventory names: programs in it (`Match exec`) would run.

Loads no library; raises nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailprov.model.inventory import Host, SshSettings, Tls, Transport
from mailprov.model.jumps import parse_jumps
from mailprov.schema import names
from mailprov.schema.document import Document, Map
from mailprov.schema.secrets import absolute


class _NotPlain(Exception):
    """Nothing is said about this file."""


def hosts(document: Document, folder: Path) -> tuple[Host, ...]:
    """`folder` is where the inventory stands."""
    entries = document.data.get("hosts")
    if document.problems or document.empty or not isinstance(entries, Map):
        return ()
    try:
        top = _ssh(document.data, SshSettings(), folder)
        managed = _managed(document.data, True)
        return tuple(_host(name, entry, top, managed, folder) for name, entry in entries.items())
    except (_NotPlain, ValueError):  # of which BadName is one
        return ()


def _host(name: str, entry: Any, ssh: SshSettings, managed: bool, folder: Path) -> Host:
    if not isinstance(entry, Map):
        raise _NotPlain
    address = names.host_address(_text(entry.get("address")))
    managed = _managed(entry, managed)
    return Host(names.host_name(name), address, "", _ssh(entry, ssh, folder), Tls(), managed=managed)


def _managed(entry: Map, base: bool) -> bool:
    if "managed" not in entry:
        return base
    word = _text(entry["managed"])
    if word not in ("true", "false"):
        raise _NotPlain
    return word == "true"


def _ssh(entry: Map, base: SshSettings, folder: Path) -> SshSettings:
    """`base` with what the entry's `ssh` says."""
    given = entry.get("ssh", Map())
    if not isinstance(given, Map):
        raise _NotPlain
    said: dict[str, Any] = {}
    for key, value in given.items():
        if key not in _READERS:
            raise _NotPlain
        name, read = _READERS[key]
        said[name] = read(_text(value), folder)
    return dataclasses.replace(base, **said)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _NotPlain
    return str(value)


def _port(text: str, folder: Path) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise _NotPlain
    return int(text)


def _no_config(text: str, folder: Path) -> bool:
    if text != "none":
        raise _NotPlain
    return True


def _as_written(text: str, folder: Path) -> str:
    return text


# Key → field of SshSettings, and what it is made of text and folder.
_READERS: dict[str, tuple[str, Callable[[str, Path], Any]]] = {
    "user": ("user", _as_written),
    "port": ("port", _port),
    "identity_file": ("identity_file", absolute),
    "known_hosts": ("known_hosts", absolute),
    "host_key": ("host_key", lambda text, folder: text.rstrip("=")),
    "proxy_jump": ("proxy_jump", lambda text, folder: parse_jumps(text)),
    "transport": ("transport", lambda text, folder: Transport(text)),
    "config": ("ignore_config", _no_config),
}
