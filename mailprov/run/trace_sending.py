"""A trace's own sessions: the message is handed over, and looked for where it should be. By the clients of probes.

    Desk(inventory, began, stop)      what the sessions share
    desk.handed                       whether a server has the message, or may have it
    desk.hand_over(…) -> Dialogue     SMTP: at a submission port with a login, or at port 25 as a stranger
    desk.read(…) -> Visit             IMAP: the message is read, and stays
    desk.fetch(…) -> Visit            POP: it is downloaded, and deleted there: this message alone
    desk.remove(…) -> str             IMAP: deleted, where POP did not do it; why not, or ""
    desk.clear(…) -> int              the same; how many there were. Raises ProbeError

The others raise Interrupted of `probe.clients` alone: what goes wrong otherwise stands in what is returned.
"""

from __future__ import annotations

import re
import secrets
import threading
import time

from mailprov.i18n import _
from mailprov.model import cleaning
from mailprov.model.accounts import Account
from mailprov.model.inventory import Host, Inventory
from mailprov.model.ports import Port
from mailprov.model.trace import Source, TraceLine
from mailprov.probe.clients.client import Client
from mailprov.probe.clients.connection import Deadline
from mailprov.probe.clients.errors import Interrupted, ProbeError
from mailprov.probe.clients.folders import folders_at
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.pop3 import NoSuchMessage, Pop3
from mailprov.probe.clients.resolver import Resolver, first_at
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import Context, Run, port_numbered
from mailprov.probe.mailauth.message import MARK
from mailprov.probe.registry import reachability
from mailprov.probe.targets import find_addresses
from mailprov.probe.timing import Timing
from mailprov.trace.observed import Dialogue, Visit

_QUEUED = re.compile(r"queued as <?([0-9A-Za-z]{5,30})>?\b")  # Postfix; smtpd(8)
_SESSION = 60.0  # seconds for one session
_POLL = 0.4
_NEWEST = 100  # POP: the last messages, among which this one is


class Desk:
    def __init__(self, inventory: Inventory, began: float, stop: threading.Event) -> None:
        timing = Timing()
        self.resolver = Resolver(first_at(inventory.dns), None, timing.dns)
        overall = Deadline(timing.overall, stop)
        self._run = Run(inventory, self.resolver, timing, secrets.token_hex(6), stop, overall)
        self._began = began
        self.handed = False  # whether a server has the message, or may have it

    def addresses(self, host: Host) -> tuple[str, ...]:
        if host.name not in self._run.addresses:
            self._run.addresses[host.name] = find_addresses(self._run, host)
        return self._run.addresses[host.name]

    def _now(self) -> float:
        return time.time() - self._began

    def hand_over(
        self,
        host: Host,
        port: Port,
        sender: str,
        recipients: tuple[str, ...],
        data: bytes,
        login: tuple[str, str] | None = None,
    ) -> Dialogue:
        """`login` is a user and a password; None: as a stranger."""
        context = self._context()
        at, began = self._now(), time.monotonic()
        told = _Told()
        try:
            client = self._open(context, host, port, login)
            assert isinstance(client, Smtp)
            with client.connection:
                told.tls = client.connection.tls_summary if client.connection.encrypted else ""
                self._say(client, told, sender, recipients, data)
        except Interrupted:
            raise
        except _Refused as error:
            told.command, told.error = "AUTH", str(error)
        except ProbeError as error:
            told.error = str(error)
        queued = _QUEUED.search(told.reply)
        return Dialogue(
            host.name,
            port.number,
            at,
            time.monotonic() - began,
            _lines(context),
            login[0] if login else "",
            told.tls,
            tuple(told.taken),
            tuple(told.refused),
            told.command,
            told.code,
            told.reply,
            queued[1] if queued and told.code == 250 else "",
            told.error,
        )

    def _say(self, client: Smtp, told: _Told, sender: str, recipients: tuple[str, ...], data: bytes) -> None:
        """MAIL, RCPT for each, DATA where at least one was taken, QUIT."""
        told.last("MAIL FROM", client.mail(sender))
        if told.code == 250:
            for recipient in recipients:
                reply = client.rcpt(recipient)
                told.last("RCPT TO", reply)
                if reply.kind == 2:
                    told.taken.append(recipient)
                else:
                    told.refused.append((recipient, str(reply)))
            if told.taken:
                self.handed = True
                told.last("DATA", client.data(data))
        client.quit()

    def read(self, host: Host, account: Account, password: str, mark: str, patience: float) -> Visit:
        """Looks into all folders where it may be until it is there, or `patience` seconds are over."""
        port = next((each for each in map(port_numbered, (993, 143)) if host.offers(each)), None)
        if port is None:
            return self._nowhere(host, "imap", account, _("{host} offers no IMAP").format(host=host.name))
        context = self._context(patience)
        at, began = self._now(), time.monotonic()
        folder = tls = error = ""
        headers: tuple[str, ...] = ()
        try:
            client = self._open(context, host, port, (account.login_name, password))
            assert isinstance(client, Imap)
            with client.connection:
                tls = client.connection.tls_summary
                folder, found = self._find(context, client, mark, patience)
                if folder:
                    headers = unfolded(client.fetch(found[-1]))
                client.quit()
        except Interrupted:
            raise
        except ProbeError as problem:
            error = str(problem)
        seconds = time.monotonic() - began
        return Visit(
            host.name, port.number, "imap", account.address, at, seconds, _lines(context), tls, folder,
            headers, False, error,
        )  # fmt: skip

    def _find(self, context: Context, client: Imap, mark: str, patience: float) -> tuple[str, list[int]]:
        end = time.monotonic() + patience
        turn = 0
        while True:
            turn += 1
            begun = len(context.transcript.lines)
            # The last look goes through every folder, where a user's filter may have put it.
            for folder in folders_at(client, turn if time.monotonic() < end else 10):
                if found := client.search_in(folder, f"HEADER {MARK} {mark}"):
                    return folder, found
            if time.monotonic() >= end:
                return "", []
            context.deadline.pause(_POLL)
            del context.transcript.lines[begun:]  # only the last of many looks is worth reading

    def fetch(self, host: Host, account: Account, password: str, mark: str, *, keep: bool) -> Visit:
        """Once: whoever comes by POP looks and goes. POP knows INBOX alone."""
        port = next((each for each in map(port_numbered, (995, 110)) if host.offers(each)), None)
        if port is None:
            return self._nowhere(host, "pop3", account, _("{host} offers no POP").format(host=host.name))
        context = self._context()
        at, began = self._now(), time.monotonic()
        folder = tls = error = ""
        headers: tuple[str, ...] = ()
        removed = False
        try:
            client = self._open(context, host, port, (account.login_name, password))
            assert isinstance(client, Pop3)
            with client.connection:
                tls = client.connection.tls_summary
                if number := self._number(client, mark):
                    folder, headers = "INBOX", unfolded(client.retrieve(number))
                    removed = not keep and client.command(f"DELE {number}").ok
                # What was marked goes when QUIT is answered, and not before (RFC 1939 section 6).
                removed = client.command("QUIT").ok and removed
        except Interrupted:
            raise
        except ProbeError as problem:
            error, removed = str(problem), False
        seconds = time.monotonic() - began
        return Visit(
            host.name, port.number, "pop3", account.address, at, seconds, _lines(context), tls, folder,
            headers, removed, error,
        )  # fmt: skip

    @staticmethod
    def _number(client: Pop3, mark: str) -> int:
        """Of this very message, by its header; 0 where it is not. Nobody else's is ever asked for more than that."""
        wanted = re.compile(rb"(?mi)^" + re.escape(f"{MARK}: {mark}".encode()) + rb"\r?$")
        begun = len(client.connection.transcript.lines)
        for number, _uid in reversed(client.identifiers()[-_NEWEST:]):
            try:
                if wanted.search(client.headers(number)):
                    return number
            except NoSuchMessage:
                continue
            # What was said about other messages is nobody's business.
            del client.connection.transcript.lines[begun + 2 :]
        return 0

    def remove(self, host: Host, account: Account, password: str, field: str, value: str) -> str:
        """Why the messages with this header field stay, or ""."""
        try:
            self.clear(host, account, password, field, value)
        except Interrupted:
            raise
        except ProbeError as problem:
            return str(problem)
        return ""

    def clear(self, host: Host, account: Account, password: str, field: str, value: str) -> int:
        """The same: how many were removed. Values with signs that could mean something in IMAP are refused. Raises
        ProbeError.
        """
        if not re.fullmatch(r"[A-Za-z0-9@<>.+=_-]+", value):
            raise ProbeError(_("its name cannot be looked for"))
        port = next((each for each in map(port_numbered, (993, 143)) if host.offers(each)), None)
        if port is None:
            raise ProbeError(_("{host} offers no IMAP").format(host=host.name))
        count = 0
        client = self._open(self._context(), host, port, (account.login_name, password))
        assert isinstance(client, Imap)
        with client.connection:
            for folder in folders_at(client, 10):
                found = client.search_in(folder, f"HEADER {field} {value}")
                if found and (problem := client.remove(found)):
                    raise ProbeError(problem)
                count += len(found)
            client.quit()
        return count

    def _context(self, more: float = 0.0) -> Context:
        return Context(self._run, reachability().entry, _SESSION + more)

    def _open(self, context: Context, host: Host, port: Port, login: tuple[str, str] | None) -> Client:
        """Past the greeting, over TLS, and logged in where that is wanted. Raises ProbeError."""
        if login is not None:
            context.transcript.hide(login[1])
        addresses = self.addresses(host)
        if not addresses:
            raise ProbeError(_("no address of {host} is known").format(host=host.fqdn))
        client = context.open(host, addresses[0], port, secret=login is not None)
        if login is None:
            return client
        try:
            answer = client.login(*login)
            if not answer.accepted:
                raise _Refused(
                    _("the login as {user} is refused: {reply}").format(user=login[0], reply=answer.words)
                )
        except BaseException:
            client.connection.close()
            raise
        return client

    def _nowhere(self, host: Host, protocol: str, account: Account, why: str) -> Visit:
        return Visit(host.name, 0, protocol, account.address, self._now(), 0.0, error=why)


class _Refused(ProbeError):
    """The password is wrong."""


class _Told:
    """What the server has said until now."""

    def __init__(self) -> None:
        self.tls = self.command = self.reply = self.error = ""
        self.code = 0
        self.taken: list[str] = []
        self.refused: list[tuple[str, str]] = []

    def last(self, command: str, reply: Reply) -> None:
        self.command, self.code, self.reply = command, reply.code, str(reply)


def _lines(context: Context) -> tuple[TraceLine, ...]:
    """The dialogue; remarks of the client are told in other ways."""
    sides: dict[str, Source] = {"C": Source.SENT, "S": Source.RECEIVED}
    lines = [(line[:1], line[3:]) for line in context.transcript.lines]
    return tuple(TraceLine(sides[who], text) for who, text in lines if who in sides)


def unfolded(message: bytes) -> tuple[str, ...]:
    """The header fields of a message, a line each, from the top (RFC 5322 section 2.2.3)."""
    header = message.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    return tuple(cleaning.line(line) for line in re.sub(r"\r?\n[ \t]+", " ", header).split("\r\n") if line)
