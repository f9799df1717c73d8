"""A scripted web server for MTA-STS policies, which answers byte by byte as it is told.

Public: Server, page, serving, DOMAIN, HOST, ADDRESS, POLICY. Raises nothing; a client that
goes away is none of its business.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mailprov.selftest.certificates import Authority

DOMAIN, HOST, ADDRESS = "sound.zz", "mta-sts.sound.zz", "127.0.0.1"
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx1.sound.zz\r\nmx: *.backup.zz\r\nmax_age: 604800\r\n"


def page(body: str | bytes = POLICY, status: str = "200 OK", *fields: str, kind: str = "text/plain") -> bytes:
    content = body.encode() if isinstance(body, str) else body
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(content)}",
        *fields,
        "",
        "",
    )
    return "\r\n".join(lines).encode() + content


class Server:
    """Answers each request with `answer`, byte by byte as it stands. `requests`: what was asked for."""

    def __init__(self, tls_context: ssl.SSLContext, answer: bytes) -> None:
        self.context, self.answer = tls_context, answer
        self.requests: list[str] = []
        self.socket = socket.create_server((ADDRESS, 0))
        self.port = int(self.socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                sock, _address = self.socket.accept()
                threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock, suppress(OSError), self.context.wrap_socket(sock, server_side=True) as wrapped:
            request = b""
            while b"\r\n\r\n" not in request:
                if not (more := wrapped.recv(4096)):
                    return
                request += more
            self.requests.append(request.decode())
            wrapped.sendall(self.answer)

    def close(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@contextmanager
def serving(authority: Authority, answer: bytes, kind: str = "right", name: str = HOST) -> Iterator[Server]:
    server = Server(authority.context(name, kind), answer)
    try:
        yield server
    finally:
        server.close()
