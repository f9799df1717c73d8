"""Is this the host we know? Strict host key checks, and what `mailprov trust` needs to learn a key.

    open_transport(host, connect_timeout) -> paramiko.Transport     connected, and the host key proven right
    scan(host, connect_timeout) -> [(type, fingerprint, known_hosts line)]
    known_hosts_path(settings) -> Path                              where `trust` writes
    append(path, line)                                              one line at the end, all else stays

A pinned `host_key` decides alone (but for @revoked); otherwise the inventory's known_hosts, or the user's and
the system's files. Nothing is ever trusted on first use.
Raises HostUnreachable: unknown, changed or revoked key, and all that `connect` and `handshake` raise.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import paramiko

from mailprov.errors import HostUnreachable
from mailprov.model.inventory import Host, SshSettings
from mailprov.transport import known_hosts
from mailprov.transport.connect import open_socket
from mailprov.transport.handshake import KEY_TYPES, NoCommonAlgorithm, end, shake_hands
from mailprov.transport.known_hosts import KnownKey, fingerprint

_SYSTEM_FILES = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))


class _WrongKey(HostUnreachable):
    """The key is not the expected one; with a pin, the host may still have the right one of another type."""


def known_hosts_path(settings: SshSettings) -> Path:
    """The inventory's known_hosts, else ~/.ssh/known_hosts. It need not exist."""
    return settings.known_hosts or Path.home() / ".ssh" / "known_hosts"


def open_transport(host: Host, connect_timeout: float = 10.0) -> paramiko.Transport:
    """Connect to the host and check its key before a single byte of ours that matters is sent."""
    known = known_hosts.read(_files(host.ssh))
    types = _preferred(host, known)
    wrong: _WrongKey | None = None
    while True:
        try:
            transport = _connect(host, types, connect_timeout)
        except NoCommonAlgorithm:
            if wrong is None:
                raise
            raise wrong from None
        key = transport.get_remote_server_key()
        try:
            _check(host, known, key)
            return transport
        except _WrongKey as error:
            end(transport)
            # A pin names no type: ask for the host's keys of the other types before calling it wrong.
            wrong = wrong or error
            family = _algorithms(key.get_name())
            types = tuple(name for name in types if name not in family)
            if host.ssh.host_key is None or not types:
                raise wrong from None
        except BaseException:
            end(transport)
            raise


def scan(host: Host, connect_timeout: float = 10.0) -> list[tuple[str, str, str]]:
    """All host keys the server has, one connection per type, without logging in.

    Each is (type, SHA256 fingerprint, line for known_hosts). Raises HostUnreachable when there is none.
    """
    found = []
    failure: NoCommonAlgorithm | None = None
    name = known_hosts.lookup_name(host.address, host.ssh.port)
    for types in (KEY_TYPES[:1], KEY_TYPES[1:2], KEY_TYPES[2:3], KEY_TYPES[3:4], KEY_TYPES[4:]):
        try:
            transport = _connect(host, types, connect_timeout)
        except NoCommonAlgorithm as error:
            failure = error
            continue
        key = transport.get_remote_server_key()
        end(transport)
        line = f"{name} {key.get_name()} {base64.b64encode(key.asbytes()).decode()}"
        found.append((key.get_name(), fingerprint(key.asbytes()), line))
    if not found and failure is not None:
        raise failure
    return found


def append(path: Path, line: str) -> None:
    """Add one line, unless it is there. Comments, order and unknown lines stay. OSError is passed on.

    The lock serialises several `mailprov trust`; O_APPEND keeps a line whole beside writers such as ssh.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        there = file.read()
        if line.encode() in there.splitlines():
            return
        file.write((b"\n" if there and not there.endswith(b"\n") else b"") + line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _connect(host: Host, types: Sequence[str], timeout: float) -> paramiko.Transport:
    sock = open_socket(host.name, host.address, host.ssh.port, timeout)
    return shake_hands(host.name, f"{host.address} port {host.ssh.port}", sock, types)


def _files(settings: SshSettings) -> tuple[Path, ...]:
    if settings.known_hosts is not None:
        return (settings.known_hosts,)
    ours = Path.home() / ".ssh"
    return (ours / "known_hosts", ours / "known_hosts2", *_SYSTEM_FILES)


def _algorithms(key_type: str) -> tuple[str, ...]:
    """A key type's signature algorithms: RSA keys are ssh-rsa in files and sign with SHA-2 (RFC 8332)."""
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


def _covering(host: Host, known: Sequence[KnownKey]) -> list[KnownKey]:
    name = known_hosts.lookup_name(host.address, host.ssh.port)
    return [key for key in known if key.covers(name)]


def _preferred(host: Host, known: Sequence[KnownKey]) -> tuple[str, ...]:
    """All algorithms, those of known keys first: a right key of another type must not look wrong."""
    if host.ssh.host_key is not None:
        return KEY_TYPES
    ours = {name for key in _covering(host, known) if not key.revoked for name in _algorithms(key.type)}
    return tuple(sorted(KEY_TYPES, key=lambda name: name not in ours))


def _check(host: Host, known: Sequence[KnownKey], key: paramiko.PKey) -> None:
    blob, shown = key.asbytes(), f"{key.get_name()} {fingerprint(key.asbytes())}"
    at = f"{host.address} port {host.ssh.port}"
    lines = _covering(host, known)
    if host.ssh.port != 22:
        # As ssh does: a line without a port vouches for the same key on another port; it contradicts nothing.
        lines += [line for line in known if line.covers(host.address.lower()) and line.blob == blob]
    for line in lines:
        if line.revoked and line.blob == blob:
            raise HostUnreachable(
                host.name,
                f"the host key of {at} is REVOKED in {line.place} ({shown})",
                "Do not connect: the key may be in foreign hands. Give the host a new key",
            )
    if host.ssh.host_key is not None:
        if _same_fingerprint(host.ssh.host_key, blob):
            return
        raise _changed(host, at, shown, host.ssh.host_key, "the inventory's host_key")
    lines = [line for line in lines if not line.revoked]
    if any(line.blob == blob for line in lines):
        return
    if lines:
        same = [line for line in lines if line.type == key.get_name()] or lines
        expected = f"{same[0].type} {fingerprint(same[0].blob)}"
        raise _changed(host, at, shown, expected, same[0].place)
    raise HostUnreachable(
        host.name,
        f"the host key of {at} is not known ({shown})",
        f"Compare it with the host's own, then run `mailprov trust {host.name}`"
        f' or set `host_key: "{fingerprint(blob)}"` in the inventory',
    )


def _same_fingerprint(pinned: str, blob: bytes) -> bool:
    return pinned.strip().rstrip("=").removeprefix("SHA256:") == fingerprint(blob).removeprefix("SHA256:")


def _changed(host: Host, at: str, shown: str, expected: str, source: str) -> _WrongKey:
    return _WrongKey(
        host.name,
        f"THE HOST KEY OF {at} HAS CHANGED: it shows {shown}, but {source} says {expected}",
        "Somebody may be listening in between, or the host was installed anew. Nothing was sent. "
        "Only if you know why it changed, remove the old key and trust the new one",
    )
