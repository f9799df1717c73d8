"""A QR code that Thunderbird for Android and K-9 read (Thunderbird's "Export for Mobile" QR code format, version 1).

    payload(settings, pop, password) -> str    compact JSON, ASCII
    in_terminal(text) -> str                   the code in half blocks, two rows of it in one line
    as_svg(text) -> str                        the code for a page, without a size of its own

Pure. Each is made with as little error correction as the format has: what is on a screen is whole, and a smaller code
is easier to read.
"""

from __future__ import annotations

import io
import json
from typing import Any

from mailprov.client.settings import Server, Settings
from mailprov.model.ports import Protocol, TlsStart

_PROTOCOLS = {Protocol.IMAP: 0, Protocol.POP3: 1, Protocol.SMTP: 0}  # of incoming servers, of outgoing ones
_SECURITY = {TlsStart.UPGRADE: 2, TlsStart.IMPLICIT: 3}
_BY_PASSWORD, _BY_OAUTH = 1, 6


def payload(settings: Settings, pop: bool = False, password: str = "") -> str:
    """One account. `settings` of an account, and whole, with a server of POP where `pop`. `password`: in clear in the
    code, where it is given.
    """
    incoming = settings.incoming(pop)
    outgoing = settings.best(Protocol.SMTP)
    assert incoming is not None
    assert outgoing is not None
    # The account's own name comes before the password, and is empty where it is the address.
    first = [*_server(incoming), *(["", password] if password else [])]
    second = [*_server(outgoing), *([password] if password else [])]
    identity = [settings.address, settings.address.rpartition("@")[0]]
    return json.dumps([1, [1, 1], first, [[second, identity]]], separators=(",", ":"))


def _server(server: Server) -> list[Any]:
    how = _BY_PASSWORD if server.password else _BY_OAUTH
    return [_PROTOCOLS[server.protocol], server.host, server.port, _SECURITY[server.tls], how, server.user]


def in_terminal(text: str) -> str:
    """Dark on light whatever the terminal's colours are would need escapes; readers take both ways round."""
    made = io.StringIO()
    _code(text).terminal(made, compact=True, border=2)
    return made.getvalue()


def as_svg(text: str) -> str:
    svg: str = _code(text).svg_inline(omitsize=True, border=2)
    return svg


def _code(text: str) -> Any:
    import segno

    return segno.make(text, error="l", micro=False, boost_error=False)
