"""A scripted web server: ports 80 and 443 of one host.

Public: Web. Raises nothing; a client that goes away is none of its business.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

from mailprov.selftest.certificates import Authority
from mailprov.selftest.handshakes import answered


class Web:
    """Ports 80 and 443 of one host. `pages`: path → (status, type, body); `requests`: first lines and bodies."""

    def __init__(self, authority: Authority, pages: dict[str, tuple[int, str, bytes]]) -> None:
        self.authority, self.pages, self.certificate = authority, pages, "right"
        self.faults: frozenset[str] = frozenset()  # those of handshakes
        self.requests: list[str] = []
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        for number, one in enumerate(self.sockets):
            threading.Thread(target=self._serve, args=(one, bool(number)), daemon=True).start()

    @property
    def ports(self) -> dict[tuple[str, int], int]:
        plain, secure = (one.getsockname()[1] for one in self.sockets)
        return {("127.0.0.1", 80): plain, ("127.0.0.1", 443): secure}

    def _serve(self, listener: socket.socket, secure: bool) -> None:
        with suppress(OSError):
            while True:
                sock, _address = listener.accept()
                threading.Thread(target=self._answer, args=(sock, secure), daemon=True).start()

    def _answer(self, sock: socket.socket, secure: bool) -> None:
        with suppress(OSError):
            if secure:
                if answered(sock, self.faults):
                    sock.close()
                    return
                sock = self._tls(sock)
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(4096) or b"\r\n\r\n"
            head, _, body = data.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
            while len(body) < int(fields.get("Content-Length", 0)):
                body += sock.recv(4096)
            first = head.decode().split("\r\n")[0]
            self.requests.append(
                f"{'https' if secure else 'http'}://{fields.get('Host')} {first} {body.decode()}"
            )
            status, kind, content = self.pages.get(first.split(" ")[1], (404, "text/html", b"none"))
            told = f"HTTP/1.1 {status} Word\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
            sock.sendall(told.encode() + content)
        sock.close()

    def _tls(self, sock: socket.socket) -> ssl.SSLSocket:
        # Not one of those that the mail servers of this world have: each of them sets its own choice there.
        context = self.authority.context("web.alpha.test", self.certificate)

        def chosen(wrapped: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            wrapped.context = self.authority.context(name or "mx1.alpha.test", self.certificate)

        context.sni_callback = chosen
        return context.wrap_socket(sock, server_side=True)

    def close(self) -> None:
        for one in self.sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
