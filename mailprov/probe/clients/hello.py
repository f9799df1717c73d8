"""What a server answers to a TLS client that offers just these versions and cipher suites: one ClientHello, sent as
bytes, and the ServerHello or the alert that comes back (RFC 8446 section 4.1, RFC 5246 section 7.4.1, RFC 6101).

    Offer             what the client offers: no version above `version`, and these suites
    say(connection, offer, name) -> Answer      `name` is the one asked for (SNI)
    MODERN            an offer that every server of today takes
    BEFORE_13         the same, but for TLS 1.3, with compression
    old(version)      offers that none should take
    WEAK              kind → cipher suites that no server should take
    apart(suites)     the same suites by key exchange: RSA, Diffie-Hellman, elliptic curves
    shown(version)    such as `TLS 1.2`

A server that prefers suites with Diffie-Hellman and has no parameters for them refuses a whole ClientHello that has
such suites, and takes the others when they come alone (Dovecot 2.3 with `ssl_cipher_list = ALL`). So what must be
refused is asked for apart.

Python's ssl module cannot ask this: what OpenSSL no longer offers the server is never asked for, so a refusal would be
our own. The version is the one in the ServerHello, as a server may choose a lower one than was offered. No handshake
is ended; the connection is of no use afterwards. Raises the errors of `clients`; ProtocolError when what comes is not
TLS. Where the server closes the connection without a word, that is ConnectionClosed. Judges nothing.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterable

from mailprov.i18n import _
from mailprov.model.values import dataclass
from mailprov.probe.clients.connection import Connection, printable
from mailprov.probe.clients.errors import ProtocolError

SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
_NAMES = {SSL3: "SSL 3.0", TLS10: "TLS 1.0", TLS11: "TLS 1.1", TLS12: "TLS 1.2", TLS13: "TLS 1.3"}

# Numbers of cipher suites: the registry "TLS Cipher Suites" of IANA; of DES with 56 bits in export software, the draft
# draft-ietf-tls-56-bit-ciphersuites. What is of two kinds stands in the worse one.
# fmt: off
WEAK: dict[str, tuple[int, ...]] = {
    "NULL": (0x0001, 0x0002, 0x003B, 0xC001, 0xC006, 0xC00B, 0xC010, 0xC015),
    "EXPORT": (0x0003, 0x0006, 0x0008, 0x000B, 0x000E, 0x0011, 0x0014, 0x0017, 0x0019, 0x0062, 0x0064),
    "aNULL": (
        0x0018, 0x001A, 0x001B, 0x0034, 0x003A, 0x0046, 0x006C, 0x006D, 0x0089, 0x00A6, 0x00A7, 0xC016, 0xC017, 0xC018,
        0xC019,
    ),
    "RC4": (0x0004, 0x0005, 0xC002, 0xC007, 0xC00C, 0xC011),
    "DES": (0x0009, 0x000C, 0x000F, 0x0012, 0x0015),
    "3DES": (0x000A, 0x000D, 0x0010, 0x0013, 0x0016, 0xC003, 0xC008, 0xC00D, 0xC012),
}
_CBC = (0xC009, 0xC00A, 0xC013, 0xC014, 0x0033, 0x0039, 0x002F, 0x0035)
_TODAY = (
    0x1301, 0x1302, 0x1303, 0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9, 0x009E, 0x009F, 0xC023, 0xC024, 0xC027,
    0xC028, 0x009C, 0x009D, 0x003C, 0x003D,
)
_GROUPS = (0x001D, 0x0017, 0x0018, 0x0019, 0x0100)
_SIGNATURES = (
    0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201,
)
# fmt: on
_RSA = {
    suite
    for suite in (*_CBC, *(each for kind in WEAK.values() for each in kind))
    if suite in (*range(0x000B), 0x002F, 0x0035, 0x003B, 0x0062, 0x0064)
}
_SIGNALING = 0x00FF  # TLS_EMPTY_RENEGOTIATION_INFO_SCSV: some servers want it (RFC 5746)
_ALERT, _HANDSHAKE, _SERVER_HELLO = 21, 22, 2
_SUPPORTED_VERSIONS, _RENEGOTIATION_INFO = 43, 0xFF01
_LARGEST = 2**14 + 2048  # of one record, and more than any ServerHello has
# Those that are met (RFC 8446 section 6, RFC 5246 section 7.2).
_ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    40: "handshake_failure",
    47: "illegal_parameter",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    112: "unrecognized_name",
}


@dataclass(frozen=True)
class Offer:
    version: int  # the highest
    suites: tuple[int, ...]
    compress: bool = False


MODERN = Offer(TLS13, (*_TODAY, *_CBC))
BEFORE_13 = Offer(TLS12, (*(each for each in _TODAY if each > 0x1303 or each < 0x1301), *_CBC), compress=True)


def old(version: int) -> list[Offer]:
    """Nothing above this one, with each suite that such a server may still have, by key exchange."""
    suites = (*_CBC, *WEAK["3DES"], *WEAK["RC4"], *WEAK["aNULL"])
    return [Offer(version, part) for part in apart(suites)]


def apart(suites: Iterable[int]) -> list[tuple[int, ...]]:
    parts: tuple[list[int], ...] = ([], [], [])
    for suite in suites:
        parts[0 if suite >= 0xC000 else 1 if suite in _RSA else 2].append(suite)
    return [tuple(part) for part in parts if part]


@dataclass(frozen=True)
class Answer:
    """`version` and `suite` that the server chose; both 0 where it refused, and `alert` says how. `compressed`: it
    would compress (RFC 3749); `renegotiates`: it knows secure renegotiation (RFC 5746).
    """

    version: int = 0
    suite: int = 0
    alert: str = ""
    compressed: bool = False
    renegotiates: bool = False

    @property
    def accepted(self) -> bool:
        return bool(self.version)


def shown(version: int) -> str:
    return _NAMES.get(version, f"0x{version:04x}")


def say(connection: Connection, offer: Offer, name: str) -> Answer:
    connection.send(
        _record(offer, name),
        _("(ClientHello: {version} at most, {count} cipher suites)").format(
            version=shown(offer.version), count=len(offer.suites)
        ),
    )
    answer = _answer(connection)
    connection.transcript.add(
        "S",
        _("(ServerHello: {version}, cipher suite {suite})").format(
            version=shown(answer.version), suite=f"0x{answer.suite:04x}"
        )
        if answer.accepted
        else _("(TLS alert: {alert})").format(alert=answer.alert),
    )
    return answer


def _record(offer: Offer, name: str) -> bytes:
    highest = min(offer.version, TLS12)
    suites = b"".join(struct.pack("!H", suite) for suite in (*offer.suites, _SIGNALING))
    body = struct.pack("!H", highest) + secrets.token_bytes(32) + b"\0"
    body += _sized(suites, 2) + (b"\2\1\0" if offer.compress else b"\1\0")
    if offer.version > SSL3:
        body += _sized(_extensions(offer, name), 2)
    message = b"\1" + _sized(body, 3)
    return struct.pack("!BH", _HANDSHAKE, min(highest, TLS10)) + _sized(message, 2)


def _extensions(offer: Offer, name: str) -> bytes:
    found = [
        (0, _sized(b"\0" + _sized(name.encode("ascii", "ignore"), 2), 2)),
        (10, _sized(b"".join(struct.pack("!H", group) for group in _GROUPS), 2)),
        (11, b"\1\0"),
    ]
    if offer.version >= TLS12:
        found.append((13, _sized(b"".join(struct.pack("!H", each) for each in _SIGNATURES), 2)))
    if offer.version >= TLS13:
        key = struct.pack("!H", _GROUPS[0]) + _sized(
            secrets.token_bytes(32), 2
        )  # any 32 bytes are an X25519 key
        found.append((51, _sized(key, 2)))
        found.append((_SUPPORTED_VERSIONS, _sized(struct.pack("!HH", TLS13, TLS12), 1)))
    return b"".join(struct.pack("!H", number) + _sized(data, 2) for number, data in found)


def _sized(data: bytes, octets: int) -> bytes:
    return len(data).to_bytes(octets, "big") + data


def _answer(connection: Connection) -> Answer:
    """The first message; records before its end are put together."""
    message = b""
    while True:
        head = connection.exactly(5, greeting=False)
        kind, major, size = head[0], head[1], int.from_bytes(head[3:], "big")
        if kind not in (_ALERT, _HANDSHAKE) or major != 3 or not 0 < size <= _LARGEST:
            raise _odd(head)
        data = connection.exactly(size, greeting=False)
        if kind == _ALERT:
            if size < 2:
                raise _odd(head + data)
            if data[0] == 1 and data[1] == 112:  # only a warning: it does not know the name
                continue
            return Answer(alert=_ALERTS.get(data[1], str(data[1])))
        message += data
        if message[0] != _SERVER_HELLO or len(message) > _LARGEST:
            raise _odd(head + data)
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return _chosen(message[4 : 4 + int.from_bytes(message[1:4], "big")])


def _chosen(hello: bytes) -> Answer:
    """What a ServerHello says; a HelloRetryRequest is one as well (RFC 8446 section 4.1.4)."""
    try:
        at = 35 + hello[34]
        (version,) = struct.unpack_from("!H", hello, 0)
        (suite,) = struct.unpack_from("!H", hello, at)
        compressed, renegotiates = bool(hello[at + 2]), False
        at += 3
        end = at + 2 + struct.unpack_from("!H", hello, at)[0] if len(hello) > at else 0
        at += 2
        while at + 4 <= min(end, len(hello)):
            number, size = struct.unpack_from("!HH", hello, at)
            if number == _SUPPORTED_VERSIONS and size == 2:
                (version,) = struct.unpack_from("!H", hello, at + 4)
            renegotiates = renegotiates or number == _RENEGOTIATION_INFO
            at += 4 + size
    except (IndexError, struct.error):
        raise _odd(hello) from None
    if version not in _NAMES:
        raise _odd(hello)
    return Answer(version, suite, compressed=compressed, renegotiates=renegotiates)


def _odd(data: bytes) -> ProtocolError:
    return ProtocolError(_("not an answer of TLS: {text}").format(text=printable(repr(data[:40]))))
