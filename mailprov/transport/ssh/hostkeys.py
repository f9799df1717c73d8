"""Is this the host we know? Strict host key checks, and what `mailprov trust` needs to learn a key.

    Dial                                       opens the way to an endpoint: TCP, or a channel of a jump host
    open_transport(endpoint, dial, cancel)       a paramiko.Transport: connected, and the host key proven right
    is_known(endpoint, blob)                   would this key be accepted?
    is_listed(endpoint, blob)                  is it in known_hosts?
    scan(endpoint, dial) -> [Offered]          the keys of a host: type, fingerprint, line for known_hosts
    trustworthy(endpoint, offered)             those of them that nothing known speaks against
    known_hosts_path(endpoint)                 where `trust` writes
    append(path, line)                         one line at the end, all else stays

A pinned `host_key` decides alone (but for @revoked); otherwise the inventory's known_hosts, or the files of ssh_config.
Where an @cert-authority line is about the host, it is asked for a certificate. Nothing is ever trusted on first use.
Raises HostUnreachable: unknown, changed or revoked key, a certificate that proves nothing, and all that `connect` and
`handshake` raise. `trustworthy` raises HostFailed: there the host was reached, and asking again would not help.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import paramiko

from mailprov.errors import HostFailed, HostUnreachable
from mailprov.i18n import _
from mailprov.transport import known_hosts
from mailprov.transport.cancellation import CancelToken
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.known_hosts import KEY_TYPES, KnownKey, fingerprint
from mailprov.transport.ssh import certificates
from mailprov.transport.ssh.certificates import CERTIFICATE
from mailprov.transport.ssh.handshake import NoCommonAlgorithm, Socket, end, shake_hands

Dial = Callable[[Endpoint], Socket]


class _WrongKey(HostUnreachable):
    """The key is not the expected one; with a pin, the host may still have the right one of another type."""


class Offered(NamedTuple):
    """A host key that a server has shown and proven to hold."""

    type: str
    fingerprint: str
    line: str  # for known_hosts

    @property
    def blob(self) -> bytes:
        """The key in SSH wire format."""
        return base64.b64decode(self.line.split()[2])


def known_hosts_path(endpoint: Endpoint) -> Path:
    """The first of the files that are looked into. It need not exist."""
    files = [path for path in endpoint.user_known_hosts if path != Path(os.devnull)]
    return files[0] if files else Path.home() / ".ssh" / "known_hosts"


def open_transport(endpoint: Endpoint, dial: Dial, cancel: CancelToken | None = None) -> paramiko.Transport:
    """Connect to the host and check its key before a single byte of ours that matters is sent."""
    known = _read(endpoint)
    types = _preferred(endpoint, known)
    wrong: _WrongKey | None = None
    while True:
        try:
            transport = shake_hands(endpoint.name, endpoint.at, dial(endpoint), types, cancel)
        except NoCommonAlgorithm:
            if wrong is None:
                raise
            raise wrong from None
        key = transport.get_remote_server_key()
        try:
            _check(endpoint, known, key)
            return transport
        except _WrongKey as error:
            end(transport)
            # A pin names no type: ask for the host's keys of the other types before calling it wrong.
            wrong = wrong or error
            family = _algorithms(_plain_type(key))
            types = tuple(name for name in types if name not in family)
            if endpoint.host_key is None or not types:
                raise wrong from None
        except BaseException:
            end(transport)
            raise


def is_known(endpoint: Endpoint, blob: bytes) -> bool:
    """Is this key (wire format) pinned, or in the files, and not revoked?"""
    lines = [line for line in _covering(endpoint, _read(endpoint)) if line.blob == blob]
    if any(line.revoked for line in lines):
        return False
    if endpoint.host_key is not None:
        return _same_fingerprint(endpoint.host_key, blob)
    return any(not line.authority for line in lines)


def is_listed(endpoint: Endpoint, blob: bytes) -> bool:
    """Is this key (wire format) in the files, as a host's own key?"""
    lines = _covering(endpoint, _read(endpoint))
    return any(line.blob == blob and not line.revoked and not line.authority for line in lines)


def trustworthy(endpoint: Endpoint, offered: Sequence[Offered]) -> list[Offered]:
    """Those of a host's keys that may be shown to a user as new: with a pin, only the pinned one.

    Raises HostFailed when one is revoked, none is the pinned one, or known_hosts has another key for this place. Each
    key came by a connection of its own, so one that is right says nothing about the others; and a line that stays
    would go on refusing the host, or (had the new key been added beside it) hide that there ever was another.
    """
    known = _read(endpoint)
    covering = _covering(endpoint, known)
    for key in offered:
        for line in (*covering, *_without_port(endpoint, known, key.blob)):
            if line.revoked and line.blob == key.blob:
                raise HostFailed(
                    endpoint.name,
                    _("{at} shows a host key that is REVOKED in {place} ({type} {fingerprint})").format(
                        at=endpoint.at, place=line.place, type=key.type, fingerprint=key.fingerprint
                    ),
                    _(
                        "Nothing was added. Somebody else may have this key: give the host new ones; only if "
                        "it was revoked by mistake, remove {place}"
                    ).format(place=line.place),
                )
    if endpoint.host_key is not None:
        pinned = [key for key in offered if _same_fingerprint(endpoint.host_key, key.blob)]
        if not pinned:
            raise HostFailed(
                endpoint.name,
                _(
                    "THE HOST KEY OF {at} HAS CHANGED: it shows {shown}, but the inventory's host_key "
                    "says {host_key}"
                ).format(at=endpoint.at, shown=_shown(offered), host_key=endpoint.host_key),
                _(
                    "Nothing was added. Somebody may be listening in between, or the host was installed "
                    "anew; only if you know why it changed, correct `host_key` of {host} in the inventory"
                ).format(host=endpoint.host),
            )
        return pinned
    lines = [line for line in covering if not line.revoked and not line.authority]
    right = {line.blob for line in lines} & {key.blob for key in offered}
    new_types = {key.type for key in offered} - {line.type for line in lines if line.blob in right}
    wrong = [line for line in lines if line.type in new_types] if right else lines
    if wrong:
        raise HostFailed(
            endpoint.name,
            _("THE HOST KEY OF {at} HAS CHANGED: it shows {shown}, but {known}").format(
                at=endpoint.at, shown=_shown(offered), known=_told(wrong)
            ),
            _(
                "Nothing was added. Somebody may be listening in between, or the host was installed "
                "anew; only if you know why it changed, remove {places}, and run this again"
            ).format(places=_places(wrong)),
        )
    return list(offered)


def _shown(offered: Sequence[Offered]) -> str:
    return ", ".join(f"{key.type} {key.fingerprint}" for key in offered)


def _places(lines: Sequence[KnownKey]) -> str:
    return " and ".join(line.place for line in lines)


def _told(lines: Sequence[KnownKey]) -> str:
    return ", ".join(f"{line.place} says {line.type} {fingerprint(line.blob)}" for line in lines)


def scan(endpoint: Endpoint, dial: Dial) -> list[Offered]:
    """All host keys the server has, one connection per type, without logging in. Raises HostUnreachable: none."""
    found = []
    failure: NoCommonAlgorithm | None = None
    for types in (KEY_TYPES[:1], KEY_TYPES[1:2], KEY_TYPES[2:3], KEY_TYPES[3:4], KEY_TYPES[4:]):
        try:
            transport = shake_hands(endpoint.name, endpoint.at, dial(endpoint), types)
        except NoCommonAlgorithm as error:
            failure = error
            continue
        key = transport.get_remote_server_key()
        end(transport)
        line = f"{endpoint.lookup_name} {key.get_name()} {base64.b64encode(key.asbytes()).decode()}"
        found.append(Offered(key.get_name(), fingerprint(key.asbytes()), line))
    if not found and failure is not None:
        raise failure
    return found


def append(path: Path, line: str) -> bool:
    """Add one line; False when it is there already. Comments, order and unknown lines stay. OSError is passed on.

    The lock serialises several `mailprov trust`; O_APPEND keeps a line whole beside writers such as ssh.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        there = file.read()
        if line.encode() in there.splitlines():
            return False
        file.write((b"\n" if there and not there.endswith(b"\n") else b"") + line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def _read(endpoint: Endpoint) -> list[KnownKey]:
    return known_hosts.read((*endpoint.user_known_hosts, *endpoint.global_known_hosts))


def _algorithms(key_type: str) -> tuple[str, ...]:
    """A key type's signature algorithms: RSA keys are ssh-rsa in files and sign with SHA-2 (RFC 8332)."""
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


def _covering(endpoint: Endpoint, known: Sequence[KnownKey]) -> list[KnownKey]:
    return [key for key in known if key.covers(endpoint.lookup_name)]


def _without_port(endpoint: Endpoint, known: Sequence[KnownKey], blob: bytes) -> list[KnownKey]:
    """As ssh does: a line without a port vouches for the same key on another port; it contradicts nothing."""
    if endpoint.port == 22 or endpoint.host_key_alias:
        return []
    return [line for line in known if line.covers(endpoint.address.lower()) and line.blob == blob]


def _preferred(endpoint: Endpoint, known: Sequence[KnownKey]) -> tuple[str, ...]:
    """All algorithms, those of known keys first: a right key of another type must not look wrong."""
    if endpoint.host_key is not None:
        return KEY_TYPES
    lines = [key for key in _covering(endpoint, known) if not key.revoked]
    ours = {name for key in lines if not key.authority for name in _algorithms(key.type)}
    plain = sorted(KEY_TYPES, key=lambda name: name not in ours)
    certified = [name + CERTIFICATE for name in KEY_TYPES] if any(key.authority for key in lines) else []
    return (*certified, *plain)


def _plain_type(key: paramiko.PKey) -> str:
    return key.get_name().removesuffix(CERTIFICATE)


def _check(endpoint: Endpoint, known: Sequence[KnownKey], key: paramiko.PKey) -> None:
    blob, shown = key.asbytes(), f"{_plain_type(key)} {fingerprint(key.asbytes())}"
    lines = [*_covering(endpoint, known), *_without_port(endpoint, known, blob)]
    _refuse_revoked(endpoint, lines, blob, shown)
    if endpoint.host_key is not None:
        if _same_fingerprint(endpoint.host_key, blob):
            return
        advice = _("correct `host_key` in the inventory")
        raise _changed(endpoint, shown, endpoint.host_key, _("the inventory's host_key"), advice)
    if key.public_blob is not None and _certified(endpoint, lines, key.public_blob.key_blob):
        return
    lines = [line for line in lines if not line.revoked and not line.authority]
    if any(line.blob == blob for line in lines):
        return
    if lines:
        same = [line for line in lines if line.type == _plain_type(key)] or lines
        expected = f"{same[0].type} {fingerprint(same[0].blob)}"
        advice = _("remove {places}, and trust the new key").format(places=_places(lines))
        raise _changed(endpoint, shown, expected, same[0].place, advice)
    # A jump host has no pin of its own in the inventory.
    advice = (
        _(
            "Compare it with the host's own, then run `mailprov trust {host}` or set "
            '`host_key: "{fingerprint}"` in the inventory'
        )
        if endpoint.name == endpoint.host
        else _("Compare it with the host's own, then run `mailprov trust {host}`")
    ).format(host=endpoint.host, fingerprint=fingerprint(blob))
    raise HostUnreachable(
        endpoint.name,
        _("the host key of {at} is not known ({shown})").format(at=endpoint.at, shown=shown),
        advice,
    )


def _refuse_revoked(endpoint: Endpoint, lines: Sequence[KnownKey], blob: bytes, shown: str) -> None:
    for line in lines:
        if line.revoked and line.blob == blob:
            raise HostUnreachable(
                endpoint.name,
                _("the host key of {at} is REVOKED in {place} ({shown})").format(
                    at=endpoint.at, place=line.place, shown=shown
                ),
                _("Do not connect: somebody else may have this key. Give the host a new one"),
            )


def _certified(endpoint: Endpoint, lines: Sequence[KnownKey], blob: bytes) -> bool:
    """True when an authority in `lines` vouches; False when none of them has signed, and the plain key must do.

    Raises HostUnreachable when one has signed, but the certificate is no proof for this host now.
    """
    try:
        certificate = certificates.parse(blob)
    except ValueError:
        return False
    signers = [line for line in lines if line.authority and line.blob == certificate.authority]
    if not signers:
        return False
    revoked = any(line.revoked and line.blob == certificate.authority for line in lines)
    # The certificate's own names are without a port, known_hosts' are not.
    name = endpoint.host_key_alias or endpoint.address
    why = _("its authority is @revoked") if revoked else certificates.refusal(certificate, name)
    if why:
        raise HostUnreachable(
            endpoint.name,
            _("the host certificate that {at} shows is not accepted: {why} (authority in {place})").format(
                at=endpoint.at, why=why, place=signers[0].place
            ),
            _(
                "Sign the host's key again (ssh-keygen -s, with -h and the right -n and -V), or set HostKeyAlias"
            ),
        )
    return True


def _same_fingerprint(pinned: str, blob: bytes) -> bool:
    return pinned.strip().rstrip("=").removeprefix("SHA256:") == fingerprint(blob).removeprefix("SHA256:")


def _changed(endpoint: Endpoint, shown: str, expected: str, source: str, advice: str) -> _WrongKey:
    return _WrongKey(
        endpoint.name,
        _("THE HOST KEY OF {at} HAS CHANGED: it shows {shown}, but {source} says {expected}").format(
            at=endpoint.at, shown=shown, source=source, expected=expected
        ),
        _(
            "Somebody may be listening in between, or the host was installed anew. Nothing was "
            "sent. Only if you know why it changed, {advice}"
        ).format(advice=advice),
    )
