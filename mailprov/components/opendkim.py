"""OpenDKIM: signs what users send on a host with `filter: none`. A tenth of Rspamd's memory, and it does nothing else.

    files(domains, keys) -> tuple[File, ...]
    service(files, keys), unit() -> Service
    PACKAGE, GROUP, MILTER, DIRECTORY

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailprov.components import dkim
from mailprov.components.templates import MANAGED, render
from mailprov.model.dkim import FOLDER, Key
from mailprov.model.host_state import Directory, File, Service, SigningKey
from mailprov.model.inventory import Domain

PACKAGE = "opendkim"
GROUP = "opendkim"
# Postfix alone gets to it: whoever could would have any message signed. The group is inherited from the directory.
MILTER = "unix:opendkim/milter.sock"  # from inside Postfix's chroot
DIRECTORY = Directory("/var/spool/postfix/opendkim", "opendkim", "postfix", "2710")
_SOCKET = f"{DIRECTORY.path}/milter.sock"
_FILE = "/etc/opendkim.conf"


def files(domains: Iterable[Domain], keys: tuple[Key, ...]) -> tuple[File, ...]:
    """The configuration and its tables; a domain alias is signed with its domain's keys."""
    signing = dkim.signing(domains, keys)
    rows = [
        (f"{key.selector}.{name}", f"{name}:{key.selector}:{dkim.spec(key, GROUP).key}", name)
        for name, found in signing
        for key in found
    ]
    return (
        File(_FILE, render("opendkim/opendkim.conf.j2", folder=FOLDER, socket=_SOCKET)),
        _table("keys", "A name, then domain, selector and private key.", [f"{a} {b}" for a, b, _ in rows]),
        _table("domains", "Sender, then the name of a key.", [f"*@{name} {a}" for a, _, name in rows]),
        # The client's address plays no part: whoever may submit here has logged in.
        _table(
            "senders",
            "Networks whose mail is signed: opendkim sees submitted mail only.",
            ["0.0.0.0/0", "::/0"],
        ),
    )


def _table(name: str, what: str, rows: list[str]) -> File:
    return File(f"{FOLDER}/opendkim.{name}", "\n".join([f"# {MANAGED}", f"# {what}", *rows]) + "\n")


def service(ours: Iterable[File], keys: Iterable[SigningKey]) -> Service:
    """Its reload (SIGUSR1) reads the configuration and the tables again, but not the socket."""
    return Service(
        unit="opendkim.service",
        files=(*(file.path for file in ours), *(key.key for key in keys)),
        restart_on=(_FILE,),
        checks=(("opendkim", "-n", "-x", _FILE),),
        ports=(_SOCKET,),
    )


def unit() -> Service:
    """For a host that may have had it."""
    return Service(unit="opendkim.service", ports=(_SOCKET,))
