"""One page of a web server, as whoever follows a policy gets it: certificate verified, no redirect, bounded.

    get(connection, host, path, tls_context, most) -> Page     over HTTPS
    ask(connection, host, path, most, …) -> Page               over what the connection has become

Raises the errors of `clients`, and ssl.SSLCertVerificationError as the context says. HTTP/1.1 (RFC 9112), one request
on one connection.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping

from mailprov import __version__
from mailprov.i18n import _
from mailprov.model.values import dataclass
from mailprov.probe.clients.connection import Connection, printable
from mailprov.probe.clients.errors import ConnectionClosed, ProtocolError

_FIELDS = 100


@dataclass(frozen=True)
class Page:
    """`kind`: the media type without its parameters. `body`: None where it was longer than asked for. `fields`: the
    header, names in lower case, in its order.
    """

    status: int
    reason: str
    kind: str
    location: str
    body: bytes | None
    fields: tuple[tuple[str, str], ...] = ()


def get(connection: Connection, host: str, path: str, tls_context: ssl.SSLContext, most: int) -> Page:
    connection.start_tls(tls_context, host)
    return ask(connection, host, path, most, accept="text/plain")


def ask(
    connection: Connection,
    host: str,
    path: str,
    most: int,
    *,
    accept: str = "*/*",
    posts: bytes | None = None,
    posted: str = "text/xml",
    more: Mapping[str, str] | None = None,
    shown: str | None = None,
) -> Page:
    """`posts`: what is sent by POST, of the type `posted`; GET where it is None. `more`: header fields besides.
    `shown`: what the transcript has in place of the request.
    """
    fields = {
        "Host": host,
        "User-Agent": f"mailprov/{__version__}",
        "Accept": accept,
        "Cache-Control": "no-cache",
        "Connection": "close",
        **(more or {}),
    }
    method = "GET"
    if posts is not None:
        method = "POST"
        fields |= {"Content-Type": posted, "Content-Length": str(len(posts))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    try:
        head = "\r\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise ProtocolError(
            _("{path} cannot be asked for: not all of the request is ASCII").format(path=printable(path))
        ) from None
    connection.send(head + (posts or b""), shown)
    status, reason = _status(connection.line())
    told = _fields(connection)
    fields = dict(reversed(told))  # of a name that is there twice the first
    kind = fields.get("content-type", "").partition(";")[0].strip().lower()
    body = _body(connection, status, fields, most)
    return Page(status, reason, kind, fields.get("location", ""), body, tuple(told))


def _status(line: str) -> tuple[int, str]:
    version, __, rest = line.partition(" ")
    code, __, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise ProtocolError(_("this is not HTTP: {line}").format(line=printable(line)))
    return int(code), reason.strip()


def _fields(connection: Connection) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for _number in range(_FIELDS):
        line = connection.line()
        if not line:
            return fields
        name, __, value = line.partition(":")
        fields.append((name.strip().lower(), value.strip()))
    raise ProtocolError(_("more than {count} header fields").format(count=_FIELDS))


def _body(connection: Connection, status: int, fields: dict[str, str], most: int) -> bytes | None:
    if status in (204, 304):
        return b""
    if fields.get("transfer-encoding", "").lower().endswith("chunked"):
        return _chunks(connection, most)
    if "content-length" in fields:
        size = _number(fields["content-length"], 10)
        return connection.exactly(size) if size <= most else None
    body = bytearray()
    with contextlib.suppress(ConnectionClosed):  # its end
        while len(body) <= most:
            body += connection.exactly(1)
    return bytes(body) if len(body) <= most else None


def _chunks(connection: Connection, most: int) -> bytes | None:
    body = b""
    while size := _number(connection.raw_line().decode("latin-1").partition(";")[0], 16):
        if len(body) + size > most:
            return None
        body += connection.exactly(size)
        connection.raw_line()
    return body


def _number(text: str, base: int) -> int:
    with contextlib.suppress(ValueError):
        if (number := int(text.strip(), base)) >= 0:
            return number
    raise ProtocolError(_("a length that is no number: {text}").format(text=printable(text.strip()[:20])))
