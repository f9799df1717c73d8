"""OpenDKIM: signs what users send on a host with `filter: none`. A tenth of Rspamd's memory, and it does nothing else.

    COMPONENT

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailprov.components import dkim
from mailprov.components.base import Build, Component, Parts
from mailprov.components.milter import Milter
from mailprov.components.templates import MANAGED, render
from mailprov.i18n import N_
from mailprov.model.dkim import FOLDER, Key
from mailprov.model.host_state import Directory, File, Service
from mailprov.model.inventory import Domain, Filter, Host, Inventory

_PACKAGE = "opendkim"
_GROUP = "opendkim"
# Postfix alone gets to it: whoever could would have any message signed. The group is inherited from the directory.
_ADDRESS = "unix:opendkim/milter.sock"  # from inside Postfix's chroot
_DIRECTORY = Directory("/var/spool/postfix/opendkim", "opendkim", "postfix", "2710")
_SOCKET = f"{_DIRECTORY.path}/milter.sock"
_FILE = "/etc/opendkim.conf"


class _OpenDkim(Component):
    name = "opendkim"
    about = N_("signs what users send on a host with `filter: none`")
    before = "postfix"  # which would let mail in unasked until it answers

    def wanted(self, host: Host) -> bool:
        return host.filter is Filter.NONE

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return (_PACKAGE,)

    def milter(self, build: Build) -> Milter | None:
        """None where there is nothing to sign."""
        if not (keys := build.dkim_keys):
            return None
        specs = tuple(dkim.spec(key, _GROUP) for key in keys)
        files = _files(build.domains, keys)
        # Its reload (SIGUSR1) reads the configuration and the tables again, but not the socket.
        service = Service(
            unit="opendkim.service",
            files=(*(file.path for file in files), *(key.key for key in specs)),
            restart_on=(_FILE,),
            checks=(("opendkim", "-n", "-x", _FILE),),
            ports=(_SOCKET,),
        )
        return Milter(_PACKAGE, _ADDRESS, False, specs, files, service, _DIRECTORY)

    def parts(self, build: Build) -> Parts:
        return build.milter.parts(build.dkim_keys) if build.milter else Parts()

    def retired(self) -> tuple[Service, ...]:
        return (Service(unit="opendkim.service", ports=(_SOCKET,)),)


COMPONENT = _OpenDkim()


def _files(domains: Iterable[Domain], keys: tuple[Key, ...]) -> tuple[File, ...]:
    """The configuration and its tables; a domain alias is signed with its domain's keys."""
    signing = dkim.signing(domains, keys)
    rows = [
        (f"{key.selector}.{name}", f"{name}:{key.selector}:{dkim.spec(key, _GROUP).key}", name)
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
