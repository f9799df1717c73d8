"""Reads the journal by journalctl(1): records of the mail facility alone, in a stream, as far as is asked for.

    Journal(root, check)
      .there() -> bool              there is a journal
      .read(pattern, …)             records in order whose text matches; ends with the stream, or when it is closed
      .near(since, cursor)          all records from then on
      .before(pattern, record)      the last record before this one that matches, at most an hour before it
      .follow(since, seconds)       all records from then on, and those that come, for that many seconds; None: silence
      .losses(since, until)         what journald says of records that it dropped
      .reach() -> seconds           since when it reaches back
      .persistent() -> bool         whether it outlives a boot

The pattern is journalctl's `--grep`: PCRE2 in C, which is what makes it quick among hundreds of thousands of records;
systemd has it since 237, and all of Debian's releases since 10 are built with it. Where the names of the programs that
can have written a record are known, its index finds theirs in a third of that time. Each start of journalctl costs as
much as a search among 5,000 records, so there are few of them. Memory holds one record. Raises AgentError when
journalctl cannot be run.
"""

from __future__ import annotations

import os
import select
import struct
import subprocess
import time
from typing import Callable, Generator, Iterator, List, NamedTuple, Optional, Sequence

from mailprov.agent import commands
from mailprov.agent.maillog.records import Record, of_journal, service

_FIELDS = (
    "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_UID,_COMM,_SYSTEMD_UNIT,_SOURCE_REALTIME_TIMESTAMP,"
    "_LINE_BREAK"
)
_MAIL = "SYSLOG_FACILITY=2"  # RFC 5424 section 6.2.1: the mail system
_BACK = 3600  # seconds before Message-ID or delivery are told in which a message can have begun to come in
_HOUR = 3600.0  # no reading takes longer
# sd-messages.h: SD_MESSAGE_JOURNAL_DROPPED, SD_MESSAGE_JOURNAL_MISSED
_DROPPED, _MISSED = "a596d6fe7bfa4994828e72309e95d61e", "e9bf28e6e834481bb6f48f548ad13606"
# systemd's JOURNAL_FILE_FORMAT, "Header": the signature, and far behind it n_entries and head_entry_realtime.
_HEAD, _SIGNATURE = struct.Struct("<8s136xQ32xQ"), b"LPKSHHRH"
_LONGEST_LINE = 4 << 20  # octets of one record with all that was asked of it; a longer one is passed over


class Loss(NamedTuple):
    t: int  # microseconds
    text: str  # journald's own sentence
    kernel: bool  # of the kernel's messages


class Journal:
    def __init__(self, root: str, check: Callable[[], None]) -> None:
        self._root, self._check = root, check
        self._reach: Optional[float] = None
        self._idents: Optional[List[str]] = None
        self.complaints: List[
            str
        ] = []  # of journalctl: a damaged file, a pattern that it does not understand

    def there(self) -> bool:
        return commands.have("journalctl") and self.reach() > 0

    def persistent(self) -> bool:
        """journald.conf(5), Storage=: it writes below /var/log/journal, in a directory with the machine's id."""
        machine = self._machine()
        return not machine or os.path.isdir(self._root + "/var/log/journal/" + machine)

    def reach(self) -> float:
        if self._reach is None:
            self._reach = self._begins() or self._asked()
        return self._reach

    def _machine(self) -> str:
        try:
            with open(self._root + "/etc/machine-id") as stream:
                return stream.read().strip()
        except OSError:
            return ""

    def _begins(self) -> float:
        """What the heads of the system's files say, which saves a start of journalctl; 0: they say nothing."""
        first = 0
        for place in ("/var/log/journal/", "/run/log/journal/")[: 1 if self._root else 2]:
            directory = self._root + place + self._machine()
            try:
                names = [name for name in os.listdir(directory) if name.startswith("system")]
            except OSError:
                continue
            for name in names:
                try:
                    with open(os.path.join(directory, name), "rb") as stream:
                        signature, entries, begins = _HEAD.unpack(stream.read(_HEAD.size))
                except (OSError, struct.error):
                    continue
                if signature == _SIGNATURE and entries and begins:
                    first = min(first or begins, begins)
        return first / 1e6

    def _asked(self) -> float:
        first = next(self._records(["--system"]), None)
        return first.received / 1e6 if first is not None else 0.0

    def read(
        self,
        pattern: str,
        since: float = 0,
        until: float = 0,
        cursor: str = "",
        any_case: bool = False,
        among: Sequence[str] = (),
        but: Sequence[str] = (),
    ) -> Iterator[Record]:
        """`cursor`: from that record on, itself included, in place of `since`.

        `among`: of these programs alone; `but`: of all programs of mail services but these.
        """
        where = [_MAIL]
        if among or but:
            where = [
                f"SYSLOG_IDENTIFIER={each}"
                for each in self.idents()
                if (each.rpartition("/")[2] in among if among else service(each))
                and each.rpartition("/")[2] not in but
            ]
            if not where:
                return self._none()
        options = _grep(pattern, any_case)
        if cursor:
            options += ["--cursor", cursor]
        elif since:
            options += ["--since", _at(since)]
        if until:
            options += ["--until", _at(until)]
        return self._records([*where, *options])

    def idents(self) -> List[str]:
        """The names of all who ever wrote to it, from its index."""
        if self._idents is None:
            outcome = commands.run([*self._journalctl(), "--field", "SYSLOG_IDENTIFIER"])
            self._idents = outcome.out.splitlines()
        return self._idents

    def near(self, since: float = 0, cursor: str = "") -> Iterator[Record]:
        return self._records([_MAIL, *(["--cursor", cursor] if cursor else ["--since", _at(max(1, since))])])

    def before(self, pattern: str, record: Record) -> Optional[Record]:
        at = record.received / 1e6
        window = ["--reverse", "--lines=1", "--since", _at(max(1, at - _BACK)), "--until", _at(at)]
        return next(self._records([_MAIL, *window, *_grep(pattern, False)]), None)

    def follow(self, since: float, seconds: float) -> Iterator[Optional[Record]]:
        options = [_MAIL, "--follow", "--lines=all", "--since", _at(max(1, since))]
        for line in self._lines(options, seconds):
            yield of_journal(line) if line is not None else None

    def losses(self, since: float, until: float) -> List[Loss]:
        """_TRANSPORT=driver: journald itself."""
        options = [f"MESSAGE_ID={_DROPPED}", f"MESSAGE_ID={_MISSED}", "_TRANSPORT=driver"]
        if since:
            options += ["--since", _at(since)]
        if until:
            options += ["--until", _at(until)]
        return [
            Loss(record.received, record.text, record.text.startswith("Missed"))
            for record in self._records(options)
        ]

    @staticmethod
    def _none() -> Iterator[Record]:
        """A reading that ends at once, and can be closed as any other."""
        yield from ()

    def _records(self, options: List[str]) -> Iterator[Record]:
        lines = self._lines(options, 0)
        try:
            for line in lines:
                record = of_journal(line) if line is not None else None
                if record is not None:
                    yield record
        finally:
            lines.close()

    def _journalctl(self) -> List[str]:
        argv = ["journalctl", "--quiet", "--no-pager"]
        return [*argv, "--directory", self._root + "/var/log/journal"] if self._root else argv

    def _lines(self, options: List[str], seconds: float) -> Generator[Optional[bytes], None, None]:
        # It writes in blocks where nobody looks at a terminal, so a search that ends early needs lines.
        early = "--cursor" in options and "--grep" in options and commands.have("stdbuf")
        lines = ["stdbuf", "--output=L"] if early else []
        form = ["--all", "-o", "json", "--output-fields", _FIELDS]
        process = commands.stream([*lines, *self._journalctl(), *form, *options])
        try:
            yield from self._pump(process, time.monotonic() + (seconds or _HOUR), bool(seconds))
        finally:
            said = commands.stop(process).err.strip().splitlines()
            if said and said[-1] not in self.complaints:
                self.complaints.append(said[-1][:300])

    def _pump(
        self, process: "subprocess.Popen[bytes]", deadline: float, tells: bool
    ) -> Iterator[Optional[bytes]]:
        """`tells`: a None for each second without a record, so that whoever waits can look at other things."""
        assert process.stdout is not None
        handle, rest, whole = process.stdout.fileno(), b"", True
        while time.monotonic() < deadline:
            self._check()
            if not select.select([handle], [], [], min(1.0, max(0.0, deadline - time.monotonic())))[0]:
                if tells:
                    yield None
                continue
            chunk = os.read(handle, 1 << 16)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if whole:
                    yield line
                whole = True
            if len(rest) > _LONGEST_LINE:
                rest, whole = b"", False


def _grep(pattern: str, any_case: bool) -> List[str]:
    return ["--grep", pattern, "--case-sensitive=" + ("no" if any_case else "yes")] if pattern else []


def _at(seconds: float) -> str:
    """systemd.time(7): seconds since 1970, with a fraction."""
    return "@%.6f" % seconds
