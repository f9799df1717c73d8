"""Sender rewriting (SRS) for mail that is sent on to other hosts, by PostSRSd 1 or 2.

    make(fqdn, postsrsd) -> Srs      files, service, and the lookup tables that Postfix asks
    own_senders(names), rewritten()  two maps of Postfix: who needs no rewriting, and what may be a way back

A forward keeps its sender, whose SPF record (RFC 7208) knows nothing of this host: the next host would refuse it. So
Postfix hands mail that leaves under a sender who is not of this host to the transport `srs`, and that to a listener of
its own on the loopback address, where the envelope's sender becomes `SRS0=…@fqdn`. Headers stay as they are, and so
does all mail between users here. A bounce to such an address is checked (hash and date) while the sender listens, and
goes on to whom it names; anything else of that form is refused as an unknown user.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailprov.desired.state import File, Service
from mailprov.desired.templates import MANAGED, render
from mailprov.desired.versions import Version

PACKAGE = "postsrsd"
PORT = 10027  # Postfix's own listener for what is to be rewritten
_FORWARD, _REVERSE, _SOCKETMAP = 10001, 10002, 10003  # PostSRSd's own defaults


@dataclass(frozen=True)
class Srs:
    forward: str  # a Postfix lookup table: sender → rewritten sender
    reverse: str  # rewritten sender → sender
    files: tuple[File, ...]
    service: Service


def make(fqdn: str, postsrsd: Version) -> Srs:
    """PostSRSd 2 has another file and another protocol than 1."""
    ports: tuple[int, ...]
    if postsrsd.at_least(2):
        path, table = "/etc/postsrsd.conf", f"socketmap:inet:127.0.0.1:{_SOCKETMAP}"
        text = render("postsrsd/postsrsd.conf.j2", fqdn=fqdn, port=_SOCKETMAP)
        forward, reverse, ports = f"{table}:forward", f"{table}:reverse", (_SOCKETMAP,)
    else:
        path = "/etc/default/postsrsd"
        text = render("postsrsd/default.j2", fqdn=fqdn, forward_port=_FORWARD, reverse_port=_REVERSE)
        forward, reverse = f"tcp:127.0.0.1:{_FORWARD}", f"tcp:127.0.0.1:{_REVERSE}"
        ports = (_FORWARD, _REVERSE)
    service = Service(unit="postsrsd.service", files=(path,), restart_on=(path,), ports=ports)
    return Srs(forward, reverse, (File(path, text),), service)


def own_senders(names: Iterable[str]) -> str:
    """The map of senders whose mail needs no rewriting: those of this host, and the empty one of bounces."""
    lines = [
        f"# {MANAGED}",
        "# Senders that leave as they are, by the transport smtp; all others go by srs (main.cf, default_transport).",
        "<> smtp:",
        *(f"@{name} smtp:" for name in sorted(set(names))),
    ]
    return "\n".join(lines) + "\n"


def rewritten() -> str:
    """The map that lets through what looks like a rewritten sender, so that PostSRSd is asked about nothing else."""
    return f"# {MANAGED}\n/^(SRS[01][-+=].+)$/ $1\n"
