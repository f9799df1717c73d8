"""A scripted Roundcube.

Public: Roundcube, HEADERS. Raises nothing; a client that goes away is none of its business.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from urllib.parse import parse_qs

from mailprov.selftest.certificates import Authority
from mailprov.selftest.state import PASSWORDS
from mailprov.selftest.web_server import Web

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Roundcube(Web):
    """As much of it as a login needs. `keeps`: whether it can write its sessions; `served`: paths that it gives."""

    def __init__(self, authority: Authority) -> None:
        self.headers, self.keeps, self.php, self.takes = dict(HEADERS), True, True, True
        self.served: set[str] = set()
        self.clear = False  # whether it is there without TLS, too
        self.inbox, self.first = b'{"env":{"mailbox":"INBOX"}}', b""
        self.sessions: dict[str, str] = {}  # id → token, or "in" once logged in
        self.count = 0
        super().__init__(authority, {})

    def _answer(self, sock: socket.socket, secure: bool) -> None:
        with suppress(OSError):
            sock = self._tls(sock) if secure else sock
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(4096) or b"\r\n\r\n"
            head, _, body = data.partition(b"\r\n\r\n")
            if not head:  # it does not like the certificate
                raise ConnectionResetError
            first, *lines = head.decode().split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines if ": " in line)
            while len(body) < int(fields.get("Content-Length", 0)):
                body += sock.recv(4096)
            self.requests.append(f"{first} {body.decode()}")
            status, told, content = 301, {"Location": f"https://{fields.get('Host')}/"}, b""
            if secure or self.clear:
                status, told, content = self._page(
                    first.split(" ")[1], fields.get("Cookie", ""), body.decode()
                )
            told = {**self.headers, **told, "Content-Length": str(len(content))}
            lines = [f"HTTP/1.1 {status} Word", *(f"{name}: {value}" for name, value in told.items()), "", ""]
            sock.sendall("\r\n".join(lines).encode() + content)
        sock.close()

    def _page(self, path: str, cookie: str, body: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.served:
            return 200, {}, b"secret"
        if path != "/" and not path.startswith("/?"):
            return 404, {}, b""
        if not self.php:
            return 502, {}, b"not available"
        session = cookie.rpartition("sid=")[2]
        known = self.sessions.get(session)
        if path == "/?_task=login":
            form = {name: value[0] for name, value in parse_qs(body).items()}
            right = PASSWORDS["ana@alpha.test"] == form["_pass"] and form["_user"] == "ana@alpha.test"
            if not (known == form["_token"] and right and self.takes):
                return 401, {}, b"no"
            self.sessions[f"{session}in"] = "in"
            return 302, {"Set-Cookie": f"sid={session}in; path=/", "Location": "/?_task=mail"}, b""
        if path == "/?_task=mail":
            return 200, {}, b'"request_token":"abc"' if known == "in" else b""
        if "_action=list" in path:
            return 200, {}, self.inbox
        if known is None:
            self.count += 1
            session, known = f"s{self.count}", f"token{self.count}"
            if self.keeps:
                self.sessions[session] = known
        page = self.first or f'<input name="_token" value="{known}">'.encode()
        return 200, {"Set-Cookie": f"sid={session}; path=/"}, page
