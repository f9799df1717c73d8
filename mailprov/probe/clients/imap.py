"""A minimal IMAP client that keeps the bytes it gets (RFC 3501, 9051).

Public: Imap, Response, Untagged. Raises the errors of `clients`; what is not IMAP is ProtocolError. Nothing here
judges.
"""

from __future__ import annotations

import re

from mailprov.i18n import _, ngettext
from mailprov.model.values import dataclass
from mailprov.probe.clients.client import Login, MailboxClient, Outcome, refuse_passwords
from mailprov.probe.clients.connection import Connection, printable
from mailprov.probe.clients.errors import ProtocolError, TemporaryFailure

_LITERAL = re.compile(rb"\{(\d{1,9})\}\r?\n$")
_LIST = re.compile(r'LIST \((.*?)\) (?:"(?:[^"\\]|\\.)*"|NIL) (.+)', re.IGNORECASE)
_STORAGE = re.compile(r"^QUOTA .*\bSTORAGE (\d{1,15}) (\d{1,15})\b", re.IGNORECASE)
_CODE = re.compile(r"\[([A-Z0-9-]+)")
_NUMBER = re.compile(r"[0-9]{1,10}")  # of 32 bits (RFC 9051 section 9)


@dataclass(frozen=True)
class Untagged:
    """One untagged response: `text` without the leading `* `, each literal replaced by `{n}`; and the
    literals.
    """

    text: str
    literals: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Response:
    status: str  # OK, NO or BAD
    text: str
    untagged: tuple[Untagged, ...]

    @property
    def code(self) -> str:
        """The response code (RFC 9051 section 7.1), such as `AUTHENTICATIONFAILED`, or ''."""
        match = _CODE.match(self.text.upper())
        return match[1] if match else ""

    def __str__(self) -> str:
        return printable(f"{self.status} {self.text}")


class Imap(MailboxClient):
    """One IMAP session on a connection."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._count = 0

    def _response(self) -> tuple[str, tuple[bytes, ...]]:
        """One response line, literals read and replaced by `{n}`."""
        parts, literals = [], []
        while True:
            line = self.connection.raw_line()
            parts.append(line.rstrip(b"\r\n"))
            match = _LITERAL.search(line)
            if match is None:
                break
            literals.append(self.connection.exactly(int(match[1])))
        shown = b"".join(parts).decode("utf-8", "replace")
        self.connection.transcript.add("S", shown)
        return shown, tuple(literals)

    def greeting(self) -> str:
        """The greeting without `* `: `OK …`, `PREAUTH …` or `BYE …`. Raises ProtocolError for anything else."""
        text, __ = self._response()
        if not re.match(r"\* (OK|PREAUTH|BYE)\b", text, re.IGNORECASE):
            raise ProtocolError(_("not an IMAP greeting: {text}").format(text=printable(repr(text))))
        return text[2:]

    def greet(self) -> None:
        text = self.greeting()
        if not text.upper().startswith("OK"):
            raise ProtocolError(_("the greeting is {greeting}").format(greeting=f"* {text}"))

    def _finish(self, tag: str) -> Response:
        untagged = []
        while True:
            text, literals = self._response()
            if text.startswith("* "):
                untagged.append(Untagged(text[2:], literals))
                continue
            if text.startswith("+"):
                return Response("+", text[1:].strip(), tuple(untagged))
            word, __, rest = text.partition(" ")
            status, __, rest = rest.partition(" ")
            if word != tag or status.upper() not in {"OK", "NO", "BAD"}:
                raise ProtocolError(_("not an IMAP response: {text}").format(text=printable(repr(text))))
            return Response(status.upper(), rest, tuple(untagged))

    def command(self, line: str, shown: str | None = None) -> Response:
        """One command and its tagged response with all the untagged ones before it."""
        self._count += 1
        tag = f"m{self._count}"
        shown = None if shown is None else f"{tag} {shown}"
        self.connection.send(f"{tag} {line}\r\n".encode(), shown)
        return self._finish(tag)

    def capabilities(self) -> frozenset[str]:
        """What CAPABILITY says now, in upper case."""
        response = self.command("CAPABILITY")
        words: set[str] = set()
        for item in response.untagged:
            if item.text.upper().startswith("CAPABILITY "):
                words.update(item.text.upper().split()[1:])
        if response.status != "OK" or not words:
            raise ProtocolError(_("no answer to CAPABILITY: {reply}").format(reply=response))
        return frozenset(words)

    def offers(self) -> dict[str, str]:
        return dict.fromkeys(self.capabilities(), "")

    def ask_for_tls(self) -> None:
        response = self.command("STARTTLS")
        if response.status != "OK":
            raise ProtocolError(_("STARTTLS was refused: {reply}").format(reply=response))

    def login(self, user: str, password: str) -> Login:
        """LOGIN; in clear, CAPABILITY before it, as a client must know LOGINDISABLED (RFC 9051 section 6.2.3)."""
        disabled = not self.connection.encrypted and "LOGINDISABLED" in self.capabilities()
        response = self.log_in(user, password)
        if response.status == "OK":
            return Login(Outcome.ACCEPTED, str(response))
        if response.code in {"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"}:
            raise TemporaryFailure(_("temporary refusal: {reply}").format(reply=response))
        unseen = response.code == "PRIVACYREQUIRED" or response.status == "BAD"
        unseen = unseen or (disabled and response.code != "AUTHENTICATIONFAILED")
        if self.connection.encrypted:
            offered = self.capabilities()
            refuse_passwords({word[5:] for word in offered if word.startswith("AUTH=")}, response)
        return Login(Outcome.UNSEEN if unseen else Outcome.REFUSED, str(response))

    def prove_login(self, address: str) -> tuple[bool, str]:
        """SELECT INBOX."""
        response = self.command("SELECT INBOX")
        return response.status == "OK", str(response)

    def log_in(self, user: str, password: str) -> Response:
        """LOGIN, as quoted strings, or as literals where a quoted string cannot carry them (8-bit, RFC 9051
        section 4.3).
        """
        self.connection.transcript.hide(password, f"\0{user}\0{password}")
        if all(" " <= c <= "~" for c in user + password):
            return self.command(f"LOGIN {_quoted(user)} {_quoted(password)}", "LOGIN ****")
        self._count += 1
        tag = f"m{self._count}"
        parts = [user.encode(), password.encode()]
        self.connection.send(f"{tag} LOGIN {{{len(parts[0])}}}\r\n".encode(), f"{tag} LOGIN ****")
        for part, following in ((parts[0], f" {{{len(parts[1])}}}\r\n"), (parts[1], "\r\n")):
            response = self._finish(tag)
            if response.status != "+":
                return response
            self.connection.send(part + following.encode(), "****")
        return self._finish(tag)

    def folders(self) -> list[str]:
        """Every mailbox that can be selected, by LIST."""
        names = []
        for item in self.command('LIST "" "*"').untagged:
            match = _LIST.fullmatch(item.text)
            if match is None or "\\NOSELECT" in match[1].upper() or "\\NONEXISTENT" in match[1].upper():
                continue
            name = item.literals[0].decode("utf-8", "replace") if item.literals else match[2]
            names.append(re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name)
        return names

    def special_folders(self) -> dict[str, str]:
        """Use, such as `\\JUNK`, → folder (RFC 6154). Raises ProtocolError where the server cannot tell."""
        response = self.command('LIST (SPECIAL-USE) "" "*"')
        if response.status != "OK":
            raise ProtocolError(_("LIST (SPECIAL-USE) gets {reply}").format(reply=response))
        found: dict[str, str] = {}
        for item in response.untagged:
            if match := _LIST.fullmatch(item.text):
                found.update((use, match[2]) for use in match[1].upper().split())
        return found

    def idle(self) -> Response:
        """IDLE (RFC 2177), ended at once: what is said to it, or to its end."""
        response = self.command("IDLE")
        if response.status != "+":
            return response
        self.connection.send(b"DONE\r\n")
        return self._finish(f"m{self._count}")

    def select(self, folder: str) -> Response:
        return self.command(f"SELECT {_quoted(folder)}")

    def find(self, field: str, value: str, folder: str) -> bytes:
        found = self.search_in(folder, f"HEADER {field} {value}")
        if not found:
            raise ProtocolError(_("the message is not there"))
        return self.fetch(found[0])

    def append(self, folder: str, text: bytes) -> Response:
        """APPEND with a literal that the server must agree to (RFC 9051 section 6.3.12); a refusal is an answer."""
        self._count += 1
        tag = f"m{self._count}"
        self.connection.send(f"{tag} APPEND {_quoted(folder)} {{{len(text)}}}\r\n".encode())
        response = self._finish(tag)
        if response.status != "+":
            return response
        shown = ngettext("({count} byte of message)", "({count} bytes of message)", len(text))
        self.connection.send(text + b"\r\n", shown.format(count=len(text)))
        return self._finish(tag)

    def room(self, folder: str) -> tuple[int, int] | None:
        """How much is used and how much may be, in octets (RFC 9208); None where the server tells no limit."""
        for item in self.command(f"GETQUOTAROOT {_quoted(folder)}").untagged:
            if found := _STORAGE.search(item.text):
                return int(found[1]) * 1024, int(found[2]) * 1024
        return None

    def flags(self, uid: int) -> frozenset[str]:
        """Of one message, in lower case; empty where it is not there."""
        for item in self.command(f"UID FETCH {uid} (UID FLAGS)").untagged:
            if re.search(rf"\bUID {uid}\b", item.text, re.IGNORECASE):
                found = re.search(r"FLAGS \(([^)]*)\)", item.text, re.IGNORECASE)
                return frozenset(found[1].lower().split()) if found else frozenset()
        return frozenset()

    def validity(self, folder: str) -> tuple[str, int]:
        """UIDVALIDITY and UIDNEXT, 0 where it is not told; the folder is selected."""
        said = " ".join(item.text for item in self.select(folder).untagged)
        valid = re.search(r"\[UIDVALIDITY (\d+)\]", said, re.IGNORECASE)
        follows = re.search(r"\[UIDNEXT (\d+)\]", said, re.IGNORECASE)
        return valid[1] if valid else "", int(follows[1]) if follows else 0

    def search_in(self, folder: str, criteria: str) -> list[int]:
        """UIDs in this folder, which is selected. Raises ProtocolError when it cannot be."""
        response = self.select(folder)
        if response.status != "OK":
            raise ProtocolError(
                _("SELECT {folder} was refused: {reply}").format(folder=folder, reply=response)
            )
        return self.search(criteria)

    def search(self, criteria: str) -> list[int]:
        """UIDs in the selected mailbox that match."""
        response = self.command(f"UID SEARCH {criteria}")
        if response.status != "OK":
            raise ProtocolError(_("SEARCH was refused: {reply}").format(reply=response))
        found: list[int] = []
        for item in response.untagged:
            words = item.text.split()
            if words and words[0].upper() == "SEARCH":
                found += [int(word) for word in words[1:] if _NUMBER.fullmatch(word)]
        return found

    def fetch(self, uid: int) -> bytes:
        """The whole message, byte for byte, without setting \\Seen."""
        response = self.command(f"UID FETCH {uid} (UID BODY.PEEK[])")
        for item in response.untagged:
            if item.literals and re.search(rf"\bUID {uid}\b", item.text, re.IGNORECASE):
                return item.literals[0]
        raise ProtocolError(_("FETCH gave no message: {reply}").format(reply=response))

    def remove(self, uids: list[int]) -> str:
        """Remove just these messages from the selected mailbox. "" when it is done, else why they stay.

        Without UIDPLUS (RFC 4315) only EXPUNGE is left, which would also remove what the user has marked.
        """
        numbers = ",".join(map(str, uids))
        expunge = f"UID EXPUNGE {numbers}"
        if "UIDPLUS" not in self.capabilities():
            if self.search("DELETED"):
                return _("the server has no UIDPLUS, and the user has marked messages of his own as deleted")
            expunge = "EXPUNGE"
        for command in (f"UID STORE {numbers} +FLAGS.SILENT (\\Deleted)", expunge):
            response = self.command(command)
            if response.status != "OK":
                return _("{command} gets {reply}").format(command=command, reply=response)
        return ""

    def quit(self) -> None:
        """LOGOUT without waiting for the answer, and close."""
        try:
            self.connection.send(b"mz LOGOUT\r\n")
        finally:
            self.connection.close()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
