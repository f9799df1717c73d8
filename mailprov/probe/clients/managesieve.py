"""A minimal ManageSieve client that keeps the bytes it gets (RFC 5804). It changes no script.

Public: ManageSieve, SieveReply. Raises the errors of `clients`; what is not ManageSieve is ProtocolError. Nothing
here judges.
"""

from __future__ import annotations

import base64
import re
import ssl

from mailprov.i18n import _
from mailprov.model.values import dataclass
from mailprov.probe.clients.client import Client, Login, Outcome
from mailprov.probe.clients.connection import Connection, printable
from mailprov.probe.clients.errors import ProtocolError, TemporaryFailure

_LITERAL = re.compile(rb"\{(\d{1,6})\+?\}\r?\n$")
_END = re.compile(r"(OK|NO|BYE)\b(?: \(([A-Z/-]+)[^)]*\))?(.*)", re.IGNORECASE | re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class SieveReply:
    status: str  # OK, NO or BYE
    code: str  # the response code (RFC 5804 section 1.3), such as `ENCRYPT-NEEDED` or `TRYLATER`, or ''
    text: str
    lines: tuple[str, ...]  # what came before the last line

    @property
    def ok(self) -> bool:
        return self.status == "OK"

    def __str__(self) -> str:
        return printable(" ".join(filter(None, (self.status, self.code and f"({self.code})", self.text))))


class ManageSieve(Client):
    """One ManageSieve session on a connection. `capabilities` are those that the server told last."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.capabilities: dict[str, str] = {}

    @property
    def mechanisms(self) -> frozenset[str]:
        """The ways to log in that are offered now (RFC 5804 section 1.7, SASL)."""
        return frozenset(self.capabilities.get("SASL", "").upper().split())

    def _line(self) -> str:
        """One line; a literal in it stands there as a quoted string would."""
        parts = []
        while True:
            raw = self.connection.raw_line()
            match = _LITERAL.search(raw)
            if match is None:
                parts.append(raw.rstrip(b"\r\n"))
                break
            literal = self.connection.exactly(int(match[1])).replace(b'"', b"'")
            parts.append(raw[: match.start()] + b'"' + literal + b'"')
        shown = b"".join(parts).decode("utf-8", "replace")
        self.connection.transcript.add("S", shown)
        return shown

    def reply(self) -> SieveReply:
        """Lines up to OK, NO or BYE. Raises ProtocolError for what no ManageSieve server says."""
        lines: list[str] = []
        while True:
            line = self._line()
            if match := _END.fullmatch(line):
                text = match[3].strip().strip('"')
                return SieveReply(match[1].upper(), (match[2] or "").upper(), text, tuple(lines))
            if not line.startswith('"') and not lines:
                raise ProtocolError(_("not a ManageSieve reply: {text}").format(text=printable(repr(line))))
            lines.append(line)

    def greeting(self) -> SieveReply:
        """The capabilities and OK, which come unasked: after the connection, and again after STARTTLS."""
        reply = self.reply()
        found = [_STRING.findall(line) for line in reply.lines]
        self.capabilities = {each[0].upper(): each[1] if len(each) > 1 else "" for each in found if each}
        return reply

    def greet(self) -> None:
        reply = self.greeting()
        if not reply.ok:
            raise ProtocolError(_("the greeting is {greeting}").format(greeting=reply))

    def offers(self) -> dict[str, str]:
        return self.capabilities

    def command(self, line: str, shown: str | None = None) -> SieveReply:
        self.connection.send(f"{line}\r\n".encode(), shown)
        return self.reply()

    def ask_for_tls(self) -> None:
        reply = self.command("STARTTLS")
        if not reply.ok:
            raise ProtocolError(_("STARTTLS was refused: {reply}").format(reply=reply))

    def start_tls(self, tls_context: ssl.SSLContext, name: str | None) -> None:
        """And the capabilities that hold from then on, which come unasked (RFC 5804 section 2.2)."""
        super().start_tls(tls_context, name)
        self.greeting()

    def login(self, user: str, password: str) -> Login:
        """AUTHENTICATE PLAIN (RFC 4616) with the initial response."""
        offered = "PLAIN" in self.mechanisms
        response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.connection.transcript.hide(password, response)
        reply = self.command(f'AUTHENTICATE "PLAIN" "{response}"', 'AUTHENTICATE "PLAIN" ****')
        if reply.ok:
            return Login(Outcome.ACCEPTED, str(reply))
        if reply.code == "TRYLATER" or reply.status == "BYE":
            raise TemporaryFailure(_("temporary refusal: {reply}").format(reply=reply))
        unseen = not offered and "authentication failed" not in reply.text.lower()
        return Login(
            Outcome.UNSEEN if unseen or reply.code == "ENCRYPT-NEEDED" else Outcome.REFUSED, str(reply)
        )

    def prove_login(self, address: str) -> tuple[bool, str]:
        """LISTSCRIPTS."""
        reply = self.command("LISTSCRIPTS")
        return reply.ok, str(reply)

    def quit(self) -> None:
        """LOGOUT without waiting for the answer, and close."""
        try:
            self.connection.send(b"LOGOUT\r\n")
        finally:
            self.connection.close()
