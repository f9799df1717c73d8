"""Mail as strangers and users send and read it, for tests on real hosts. From this machine, which is in no host's
mynetworks.

outside      an SMTP connection to port 25 of a host
inside       an authenticated one to port 465
transaction  MAIL, RCPT for each recipient, DATA: as written, with the ESMTP parameters given
imap         a logged-in IMAP session
stored       what lies in the mailboxes of a host: (mailbox, folder, header lines) of each message
Sieve        a ManageSieve client (RFC 5804)
"""

from __future__ import annotations

import base64
import imaplib
import smtplib
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mailprov import lab
from tests.lab.labs import run_on

TIMEOUT = 20.0
_HEADERS = (
    "cd /var/vmail && find . -path '*/Maildir/*' \\( -path '*/new/*' -o -path '*/cur/*' \\) -type f "
    "-exec awk 'FNR == 1 { print \"== \" FILENAME } /^\\r?$/ { nextfile } { print }' {} +"
)


def password(where: lab.Lab, address: str) -> str:
    return (where.directory / "secrets" / address).read_text().strip()


def context(where: lab.Lab) -> ssl.SSLContext:
    """Trusts the lab's CA; hosts are reached by address, so the name is not compared."""
    made = ssl.create_default_context(cafile=str(where.directory / "ca.pem"))
    made.check_hostname = False
    return made


@contextmanager
def outside(address: str) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(address, 25, local_hostname="stranger.else.test", timeout=TIMEOUT) as client:
        client.ehlo()
        yield client


@contextmanager
def inside(where: lab.Lab, address: str, user: str) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP_SSL(address, 465, timeout=TIMEOUT, context=context(where)) as client:
        client.login(user, password(where, user))
        yield client


def transaction(
    client: smtplib.SMTP, sender: str, recipients: Iterable[str], text: str, parameters: str = ""
) -> None:
    """One message; a recipient that is refused fails the test."""
    code, reply = client.docmd(f"MAIL FROM:<{sender}>")
    assert code == 250, reply
    for recipient in recipients:
        code, reply = client.docmd(f"RCPT TO:<{recipient}>{parameters}")
        assert code == 250, (recipient, reply)
    code, reply = client.data(text.replace("\n", "\r\n").encode("utf-8"))
    assert code == 250, reply


@contextmanager
def imap(where: lab.Lab, address: str, user: str) -> Iterator[imaplib.IMAP4_SSL]:
    with imaplib.IMAP4_SSL(address, 993, timeout=TIMEOUT, ssl_context=context(where)) as client:
        client.login(user, password(where, user))
        yield client


def stored(where: lab.Lab, host: str) -> list[tuple[str, str, str]]:
    found = []
    for part in run_on(where, host, _HEADERS).split("== ./")[1:]:
        path, _, headers = part.partition("\n")
        domain, user, _, *folders, _, _ = path.split("/")
        found.append((f"{user}@{domain}", ".".join(folders).strip(".") or "INBOX", headers))
    return found


class Sieve:
    """One session, logged in after STARTTLS. `clear` is what a login before it was answered."""

    def __init__(self, where: lab.Lab, address: str, user: str) -> None:
        plain = base64.b64encode(f"\0{user}\0{password(where, user)}".encode()).decode()
        with socket.create_connection((address, 4190), timeout=TIMEOUT) as first:
            self._open(first)
            self.greeting = self._answer()
            self.clear = self.command(f'AUTHENTICATE "PLAIN" "{plain}"')
        self._socket = socket.create_connection((address, 4190), timeout=TIMEOUT)
        self._open(self._socket)
        self._answer()
        self.command("STARTTLS")
        self._open(context(where).wrap_socket(self._socket))
        self._answer()
        assert self.command(f'AUTHENTICATE "PLAIN" "{plain}"').startswith("OK")

    def activate(self, script: str) -> None:
        answer = self.command(f'PUTSCRIPT "mine" {{{len(script.encode())}+}}\r\n{script}')
        assert answer.startswith("OK"), answer
        assert self.command('SETACTIVE "mine"').startswith("OK")

    def close(self) -> None:
        self.command("LOGOUT")
        self._socket.close()

    def command(self, line: str) -> str:
        """The last line of the answer: OK, NO or BYE."""
        return self.answer(line).splitlines()[-1]

    def answer(self, line: str) -> str:
        self._socket.sendall(line.encode() + b"\r\n")
        return self._answer()

    def _open(self, connection: socket.socket) -> None:
        self._socket, self._lines = connection, connection.makefile("rb")

    def _answer(self) -> str:
        lines: list[str] = []
        while not lines or lines[-1].partition(" ")[0] not in ("OK", "NO", "BYE"):
            line = self._lines.readline().decode()
            assert line, lines
            lines.append(line.rstrip())
        return "\n".join(lines)
