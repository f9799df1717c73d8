"""A minimal POP3 client that keeps the bytes it gets (RFC 1939, 2449, 2595).

Public: Pop3, PopReply, NoSuchMessage. Raises the errors of `clients`; what is not POP is ProtocolError. Nothing
here judges.
"""

from __future__ import annotations

import re

from mailprov.i18n import _, ngettext
from mailprov.model.values import dataclass
from mailprov.probe.clients.client import Login, MailboxClient, Outcome, refuse_passwords
from mailprov.probe.clients.connection import printable
from mailprov.probe.clients.errors import ProbeError, ProtocolError, TemporaryFailure


@dataclass(frozen=True)
class PopReply:
    ok: bool
    text: str

    @property
    def code(self) -> str:
        """The response code (RFC 2449 section 8, RFC 3206), such as `AUTH` or `SYS/TEMP`, or ''."""
        match = re.match(r"\[([A-Z/-]+)\]", self.text.upper())
        return match[1] if match else ""

    def __str__(self) -> str:
        return printable(f"{'+OK' if self.ok else '-ERR'} {self.text}".rstrip())


# UIDL lists the newest messages last; what is looked for by its header is never further up than this.
_NEWEST = 100
_NUMBER = re.compile(r"[0-9]{1,10}")


class NoSuchMessage(ProtocolError):
    """The server refuses to give a message: it may have been removed since the session began."""


class Pop3(MailboxClient):
    """One POP3 session on a connection."""

    def reply(self) -> PopReply:
        text = self.connection.line()
        word, __, rest = text.partition(" ")
        if word not in {"+OK", "-ERR"}:
            raise ProtocolError(_("not a POP reply: {text}").format(text=printable(repr(text))))
        return PopReply(word == "+OK", rest)

    def greet(self) -> None:
        ready = self.reply()
        if not ready.ok:
            raise ProtocolError(_("the greeting is {greeting}").format(greeting=ready))

    def command(self, line: str, shown: str | None = None) -> PopReply:
        """One command and the first line of its reply."""
        self.connection.send(line.encode() + b"\r\n", shown)
        return self.reply()

    def _body(self) -> bytes:
        """The rest of a multi-line reply, byte for byte, dots undone (RFC 1939 section 3)."""
        lines = []
        while (line := self.connection.raw_line()) not in {b".\r\n", b".\n"}:
            lines.append(line[1:] if line.startswith(b".") else line)
        self.connection.transcript.add("S", _shown(sum(map(len, lines))))
        return b"".join(lines)

    def capabilities(self) -> dict[str, str] | None:
        """What CAPA says now: {"STLS": "", "SASL": "PLAIN"}; None when the server does not know CAPA."""
        if not self.command("CAPA").ok:
            return None
        found: dict[str, str] = {}
        while (line := self.connection.line()) != ".":
            word, __, rest = line.partition(" ")
            found[word.upper()] = rest.strip().upper()
        return found

    def offers(self) -> dict[str, str]:
        return self.capabilities() or {}

    def ask_for_tls(self) -> None:
        """POP's word for it is STLS (RFC 2595 section 4)."""
        reply = self.command("STLS")
        if not reply.ok:
            raise ProtocolError(_("STLS was refused: {reply}").format(reply=reply))

    def login(self, user: str, password: str) -> Login:
        """USER and PASS. A refused USER ends it."""
        self.connection.transcript.hide(password, f"\0{user}\0{password}")
        if "\r" in password or "\n" in password:
            raise ProbeError(_("a password with a line end in it cannot be sent over POP"))
        named = self.command(f"USER {user}")
        reply = self.command(f"PASS {password}", "PASS ****") if named.ok else named
        if reply.ok:
            return Login(Outcome.ACCEPTED, str(reply))
        if reply.code in {"SYS/TEMP", "IN-USE", "LOGIN-DELAY"}:
            raise TemporaryFailure(_("temporary refusal: {reply}").format(reply=reply))
        if self.connection.encrypted:
            refuse_passwords(self.offers().get("SASL", "").split(), reply)
        return Login(Outcome.REFUSED if named.ok else Outcome.UNSEEN, str(reply))

    def prove_login(self, address: str) -> tuple[bool, str]:
        """STAT."""
        reply = self.command("STAT")
        return reply.ok, str(reply)

    def identifiers(self) -> list[tuple[int, str]]:
        """UIDL: (message number, unique id) of every message, oldest first."""
        reply = self.command("UIDL")
        if not reply.ok:
            raise ProtocolError(_("UIDL was refused: {reply}").format(reply=reply))
        rows = [line.split(maxsplit=1) for line in self._body().decode("ascii", "replace").splitlines()]
        return [(int(row[0]), row[1]) for row in rows if len(row) == 2 and _NUMBER.fullmatch(row[0])]

    def headers(self, number: int) -> bytes:
        """TOP n 0: the header of one message."""
        reply = self.command(f"TOP {number} 0")
        if not reply.ok:
            raise NoSuchMessage(str(reply))
        return self._body()

    def retrieve(self, number: int) -> bytes:
        """RETR: the whole message."""
        reply = self.command(f"RETR {number}")
        if not reply.ok:
            raise NoSuchMessage(str(reply))
        return self._body()

    def delete(self, number: int) -> PopReply:
        """DELE: the message goes with `end`, and with nothing else (RFC 1939 section 6)."""
        return self.command(f"DELE {number}")

    def end(self) -> PopReply:
        """QUIT, and its answer: what was marked is removed now."""
        return self.command("QUIT")

    def find(self, field: str, value: str, folder: str) -> bytes:
        refused = ""
        mark = f"{field}: {value}".encode()
        for number, __ in reversed(self.identifiers()[-_NEWEST:]):
            try:
                if mark in self.headers(number):
                    return self.retrieve(number)
            except NoSuchMessage as error:
                refused = str(error)  # removed meanwhile, by another run or by the user: not ours
        if refused:
            raise ProtocolError(_("the message is not there ({reply})").format(reply=refused))
        raise ProtocolError(_("the message is not there"))

    def quit(self) -> None:
        """QUIT (nothing was marked for deletion) without waiting for the answer, and close."""
        try:
            self.connection.send(b"QUIT\r\n")
        finally:
            self.connection.close()


def _shown(count: int) -> str:
    return ngettext("({count} byte)", "({count} bytes)", count).format(count=count)
