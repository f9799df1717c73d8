"""Scripted answers to a ClientHello, for what OpenSSL no longer does: old versions of TLS, weak cipher suites.

    answered(sock, faults) -> bool     whether the ClientHello that waits there was answered; else OpenSSL may have it

Faults: `agrees-VERSION` (ssl-3.0, tls-1.0, tls-1.1), `agrees-KIND` (a kind of `hello.WEAK`), `only-old-tls` (nothing
above that version), `no-version` (an alert, whatever is offered), `hangs-up-on-old` (closes instead of an alert),
`no-dh` (chooses Diffie-Hellman before all else, and cannot do it: an alert), `compresses`, `renegotiates-unsafely` (as
no version above TLS 1.2 does), `only-tls-1.3`.
"""

from __future__ import annotations

import socket
import struct

from mailprov.probe.clients import hello

_VERSIONS = {"agrees-ssl-3.0": hello.SSL3, "agrees-tls-1.0": hello.TLS10, "agrees-tls-1.1": hello.TLS11}
_KINDS = {f"agrees-{kind}": suites for kind, suites in hello.WEAK.items()}
_OTHERS = {
    "only-old-tls",
    "no-version",
    "hangs-up-on-old",
    "no-dh",
    "compresses",
    "renegotiates-unsafely",
    "only-tls-1.3",
}
_REFUSED = b"\x15\x03\x03\0\2\2\x28"  # handshake_failure


def answered(sock: socket.socket, faults: frozenset[str]) -> bool:
    if not faults & {*_VERSIONS, *_KINDS, *_OTHERS}:
        return False
    version, suites = _offer(sock)
    old = version < hello.TLS12
    weak_alone = 0x1301 not in suites
    if "only-tls-1.3" in faults and weak_alone:
        sock.sendall(_REFUSED)
        return True
    if {"compresses", "renegotiates-unsafely"} & faults and weak_alone and version == hello.TLS12:
        safe = b"" if "renegotiates-unsafely" in faults else b"\xff\1\0\1\0"
        sock.sendall(_server_hello(version, 0xC02F, int("compresses" in faults), safe))
        return True
    if "hangs-up-on-old" in faults and weak_alone:
        return True
    if "no-version" in faults or ("only-old-tls" in faults and not old):
        sock.sendall(_REFUSED)
        return True
    if (
        "no-dh" in faults
        and weak_alone
        and any(len(hello.apart([suite, 0xC000, 1])) == 3 for suite in suites)
    ):
        sock.sendall(_REFUSED)
        return True
    known = [_VERSIONS[word] for word in faults & set(_VERSIONS) if _VERSIONS[word] <= version]
    if old and known:
        sock.sendall(_server_hello(max(known), suites[0]))
        return True
    taken = [suite for word in faults & set(_KINDS) for suite in _KINDS[word] if suite in suites]
    if weak_alone and not old and taken:
        sock.sendall(_server_hello(version, taken[0]))
        return True
    return False


def _offer(sock: socket.socket) -> tuple[int, list[int]]:
    """Version and cipher suites of the ClientHello that waits there; it stays there."""
    data = b""
    while len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], "big"):
        data = sock.recv(65536, socket.MSG_PEEK)
        if not data:
            return 0, []
    body = data[9:]
    at = 35 + body[34]
    (size,) = struct.unpack_from("!H", body, at)
    suites = struct.unpack_from(f"!{size // 2}H", body, at + 2)
    return struct.unpack_from("!H", body)[0], list(suites[:-1])  # the last one only signals


def _server_hello(version: int, suite: int, compression: int = 0, extensions: bytes = b"") -> bytes:
    body = struct.pack("!H", version) + b"r" * 32 + b"\0" + struct.pack("!HB", suite, compression)
    body += len(extensions).to_bytes(2, "big") + extensions if extensions else b""
    message = b"\2" + len(body).to_bytes(3, "big") + body
    return struct.pack("!BHH", 22, version, len(message)) + message
