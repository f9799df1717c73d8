"""A stream of numbered messages, sent to a host all the while, and the count of what became of them.

    Stream(machine, …)     `with` block: two senders, one as a stranger on port 25, one as a user on 587 and 465
    stream.settle()        stop, let the host deliver what it has, and count: a Tally

Only the 250 after the final dot counts as accepted (RFC 5321 section 4.2.5). A message whose answer never came is
unknown: it may have arrived or not, and is never sent again, so a number found twice is the host's doing.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import stat
import threading
import time
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.host import Machine, poll

TIMEOUT = 6.0  # s; a network that is cut must not hold a sender for long
_QUEUED_NUMBER = re.compile(rb"X-Number: (\d+)")  # in a file of records, not of lines
_NUMBER = re.compile(rb"^X-Number: (\d+)\r?$", re.MULTILINE)


@dataclass
class Tally:
    """What became of the messages; `lost` and `duplicated` are numbers."""

    accepted: int
    unknown: int
    refused: int
    lost: list[str]
    duplicated: list[int]
    left: str = ""  # the queue, when it did not become empty


@dataclass
class _Sent:
    accepted: dict[int, str] = field(default_factory=dict)  # number → the account it must be in
    unknown: set[int] = field(default_factory=set)
    refused: int = 0
    why: Counter[str] = field(default_factory=Counter)


class Stream:
    """`routes`: address → the account whose mailbox it stores into. `login` is an account with its password.

    `first`: the number to begin with, where mailboxes may hold what an earlier stream has sent.
    """

    def __init__(
        self, machine: Machine, routes: dict[str, str], login: tuple[str, str], first: int = 1
    ) -> None:
        self._machine, self._routes, self._login = machine, routes, login
        self.sent = _Sent()
        self._number = first - 1
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(self._strange, 0.12), daemon=True),
            threading.Thread(target=self._run, args=(self._submit, 0.4), daemon=True),
        ]

    def __enter__(self) -> Stream:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _next(self) -> tuple[int, str]:
        with self._lock:
            self._number += 1
            return self._number, list(self._routes)[self._number % len(self._routes)]

    def _run(self, send, pause: float) -> None:  # type: ignore[no-untyped-def]
        while not self._over.is_set():
            number, address = self._next()
            try:
                send(number, address)
            except (OSError, smtplib.SMTPException) as error:
                with self._lock:
                    self.sent.refused += 1
                    self.sent.why[_brief(error)] += 1
            self._over.wait(pause)

    def _strange(self, number: int, address: str) -> None:
        client = smtplib.SMTP(self._machine.address, 25, timeout=TIMEOUT)
        self._deliver(client, number, "", address)

    def _submit(self, number: int, address: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if number % 2:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                self._machine.address, 465, timeout=TIMEOUT, context=context
            )
        else:
            client = smtplib.SMTP(self._machine.address, 587, timeout=TIMEOUT)
            client.starttls(context=context)
        client.login(*self._login)
        self._deliver(client, number, self._login[0], address)

    def _deliver(self, client: smtplib.SMTP, number: int, sender: str, address: str) -> None:
        client.ehlo_or_helo_if_needed()
        for code, answer in (client.mail(sender), client.rcpt(address)):
            if code != 250:
                raise smtplib.SMTPResponseException(code, answer)
        text = f"From: <{self._login[0]}>\r\nTo: <{address}>\r\nX-Number: {number}\r\nSubject: {number}\r\n\r\nx\r\n"
        try:
            code, answer = client.data(text)
        except smtplib.SMTPDataError:
            raise  # refused before the text was sent
        except (OSError, smtplib.SMTPServerDisconnected):
            with self._lock:
                self.sent.unknown.add(number)
            return
        if code != 250:
            raise smtplib.SMTPResponseException(code, answer)
        with self._lock:
            self.sent.accepted[number] = self._routes[address]
        try:
            client.quit()
        except (OSError, smtplib.SMTPException):
            pass

    def settle(self, gone: Set[str] = frozenset(), timeout: float = 60) -> Tally:
        """Stop, flush the queue, count. Every accepted number must be in its mailbox, once.

        What was accepted for one of the accounts `gone`, which are no more, may be in the queue instead: Postfix tries
        for some days, in case that it is a mistake, and then returns it to its sender.
        """
        self.stop()
        flushed = 0.0

        def empty() -> bool:
            nonlocal flushed
            if not self._queue(gone):
                return True
            if time.monotonic() - flushed > 3:  # also messages that were put off
                flushed = time.monotonic()
                self._machine.shell("postqueue -f")
            return False

        left = "" if poll(empty, timeout) else " ".join(self._queue(gone))
        if left:
            left += "\n" + self._machine.shell("postqueue -p")
        found = self._found()
        waiting = {self._number_of(path) for path in self._queued()}
        lost = [
            f"{n} for {account}"
            for n, account in self.sent.accepted.items()
            if not found[n, account] and not (account in gone and n in waiting)
        ]
        every: Counter[int] = Counter()
        for (number, _), count in found.items():
            every[number] += count
        return Tally(
            len(self.sent.accepted),
            len(self.sent.unknown),
            self.sent.refused,
            sorted(lost),
            sorted(number for number, count in every.items() if count > 1),
            left,
        )

    def _queue(self, gone: Set[str]) -> list[str]:
        """Messages on the host that are in no mailbox yet, but for those to accounts that are `gone`."""
        return [
            path.name
            for path in self._queued()
            if self.sent.accepted.get(self._number_of(path), "") not in gone
        ]

    def _queued(self) -> list[Path]:
        """Postfix makes a message's file executable when it is whole, and says 250 then; what was being written when
        the power went is no message, and stays until Postfix tidies up.
        """
        spool = self._machine.at("/var/spool/postfix")
        folders = ("maildrop", "incoming", "active", "deferred")
        return [path for name in folders for path in (spool / name).rglob("*") if _whole(path)]

    @staticmethod
    def _number_of(path: Path) -> int:
        """The number of a queued message; -1 for one that is not ours, or that is delivered meanwhile."""
        try:
            match = _QUEUED_NUMBER.search(path.read_bytes())
        except FileNotFoundError:
            return -1
        return int(match[1]) if match else -1

    def _found(self) -> Counter[tuple[int, str]]:
        """(number, account) of every message in a mailbox."""
        found: Counter[tuple[int, str]] = Counter()
        mail = self._machine.at("/var/vmail")
        for path in mail.glob("*/*/Maildir/**/*"):
            if path.parent.name in ("new", "cur") and path.is_file():
                domain, user = path.relative_to(mail).parts[:2]
                match = _NUMBER.search(path.read_bytes())
                if match:
                    found[int(match[1]), f"{user}@{domain}"] += 1
        return found


def _whole(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:  # delivered meanwhile
        return False
    return stat.S_ISREG(mode) and bool(mode & stat.S_IXUSR)


def _brief(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        answer = error.smtp_error
        text = answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)
        return f"{error.smtp_code} {text}"[:120]
    return f"{type(error).__name__}: {error}"[:120]
