"""Reads log files: those of rsyslog where a host has no journal of its mail, and Rspamd's.

    mail_files(root) -> LogFiles        /var/log/mail.log and what logrotate made of it: .1, .2.gz and so on
    rspamd_files(root) -> LogFiles      /var/log/rspamd/rspamd.log and the like
    LogFiles: read, near, before, follow, losses, reach as those of journald.Journal
      .broken                           lines that are no record

A line's time is either whole (RFC 5424 section 6.2.3; rsyslog's default since Debian 12) or as in RFC 3164: of the
host's zone and without a year, which is that of the file's last change, or the one before it. Files are searched in
blocks, so memory holds a block and a line. Raises AgentError where a file cannot be read.
"""

from __future__ import annotations

import calendar
import glob
import gzip
import os
import re
import time
from typing import IO, Any, Callable, Iterator, List, NamedTuple, Optional, Pattern, Sequence, Tuple

from mailprov.agent.errors import AgentError
from mailprov.agent.maillog.journald import Loss
from mailprov.agent.maillog.records import LONGEST, Record
from mailprov.agent.sentences import _

_MAIL = ("/var/log/mail.log", "/var/log/maillog")
_SYSTEM = "/var/log/syslog"  # where rsyslog tells of itself
_RSPAMD = ("/var/log/rspamd/rspamd.log",)
_BLOCK = 1 << 20  # octets
_BACK = 3600
_PAUSE = 0.2  # seconds between two looks at a file that grows

_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_RFC3164 = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) ")
_RFC5424 = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?\d*(Z|[+-]\d\d:\d\d) ")
_LINE = re.compile(rb"\S+ ([^\s\[:]+)(?:\[(\d+)\])?: ")
_OF_RSPAMD = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?\d* #(\d+)\([^)]*\) <[^>]*>; [a-z]+; "
)
_LOST = r"rate-limiting|messages lost"


class _File(NamedTuple):
    path: str
    number: int  # the oldest first
    changed: float


def mail_files(root: str, check: Callable[[], None]) -> "LogFiles":
    return LogFiles(root, _MAIL, _of_syslog, check)


def rspamd_files(root: str, check: Callable[[], None]) -> "LogFiles":
    return LogFiles(root, _RSPAMD, _of_rspamd, check)


Parse = Callable[[bytes, float], Optional[Tuple[int, str, int, bytes]]]


class LogFiles:
    def __init__(self, root: str, names: Tuple[str, ...], parse: Parse, check: Callable[[], None]) -> None:
        self._root, self._names, self._parse, self._check = root, names, parse, check
        self.broken = 0

    def there(self) -> bool:
        return bool(self._files())

    def paths(self) -> List[str]:
        return [each.path[len(self._root) :] for each in self._files()]

    def reach(self) -> float:
        for record in self.read(""):
            return record.t / 1e6
        return 0.0

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
        case = re.IGNORECASE if any_case else 0
        # Its `^` is the beginning of the text, which stands somewhere in the line.
        rough, exact = re.compile(pattern.lstrip("^").encode(), case), re.compile(pattern, case)
        number, offset = map(int, cursor.split(":")) if cursor else (0, 0)
        for file in self._files():
            if file.number < number or file.changed < since:
                continue
            at = offset if file.number == number else 0
            for place, line in self._matching(file, rough, at):
                record = self._record(file, place, line)
                if record is None or not exact.search(record.text):
                    continue
                if (since and record.t < since * 1e6) or (until and record.t > (until + 1) * 1e6):
                    continue
                yield record

    def near(self, since: float = 0, cursor: str = "") -> Iterator[Record]:
        return self.read("", since=since, cursor=cursor)

    def before(self, pattern: str, record: Record) -> Optional[Record]:
        last = None
        for found in self.read(pattern, since=record.t / 1e6 - _BACK, until=record.t / 1e6):
            if found.place[1] > record.place[1]:
                break
            last = found
        return last

    def follow(self, since: float, seconds: float) -> Iterator[Optional[Record]]:
        """The newest file, from that time on."""
        deadline = time.monotonic() + seconds
        files = self._files()
        if not files:
            return
        file = files[-1]
        place = self._offset(file, since)
        with _open(file.path) as stream:
            stream.seek(place)
            while True:
                line = stream.readline()
                if line.endswith(b"\n"):
                    record = self._record(file, place, line[:-1])
                    place += len(line)
                    if record is not None and record.t >= since * 1e6 - 1e6:
                        yield record
                    continue
                stream.seek(place)
                if time.monotonic() > deadline:
                    return
                self._check()
                time.sleep(_PAUSE)
                yield None

    def losses(self, since: float, until: float) -> List[Loss]:
        """rsyslog limits what it takes from one process (imuxsock, SysSock.RateLimit.*), and tells of it as syslog."""
        system = LogFiles(self._root, (_SYSTEM,), _of_syslog, self._check)
        told = system.read(_LOST, since, until)
        return [Loss(each.t, each.text, False) for each in told if each.ident in ("rsyslogd", "imuxsock")]

    def _files(self) -> List[_File]:
        for name in self._names:
            real = self._root + name
            found = []
            for path in [real, *glob.glob(glob.escape(real) + ".[0-9]*")]:
                age = path[len(real) + 1 :].partition(".")[0] or "0"
                try:
                    if age.isdigit():
                        found.append((-int(age), path, os.stat(path).st_mtime))
                except OSError:
                    continue
            if found:
                # A number below none of those that a rotation in between could give.
                return [_File(path, 1_000_000 + age, changed) for age, path, changed in sorted(found)]
        return []

    def _matching(self, file: _File, pattern: Pattern[bytes], start: int) -> Iterator[Tuple[int, bytes]]:
        """(offset, line) of each whole line that matches."""
        try:
            with _open(file.path) as stream:
                stream.seek(start)
                base, rest = start, b""
                while True:
                    self._check()
                    block = stream.read(_BLOCK)
                    if not block:
                        return
                    block = rest + block
                    end = block.rfind(b"\n") + 1
                    yield from _lines(block[:end], base, pattern)
                    base, rest = base + end, block[end:]
                    if len(rest) > 8 * _BLOCK:
                        base, rest = base + len(rest), b""
        except (OSError, EOFError) as error:
            raise AgentError(
                _("{path} cannot be read: {error}").format(path=file.path, error=str(error))
            ) from error

    def _record(self, file: _File, place: int, line: bytes) -> Optional[Record]:
        parts = self._parse(line, file.changed)
        if parts is None:
            self.broken += 1
            return None
        t, ident, pid, text = parts
        source = file.path[len(self._root) :]
        order = (file.number << 48) + place
        return Record(
            t,
            ident[:200],
            pid,
            text[:LONGEST].decode("utf-8", "replace"),
            source,
            ("files", order, f"{file.number}:{place}"),
            received=t,
            cut=len(text) > LONGEST,
        )

    def _offset(self, file: _File, since: float) -> int:
        """Where lines of that time begin, as far as the file is in the order of time; 0 for a packed one."""
        if file.path.endswith(".gz"):
            return 0
        low, high = 0, os.path.getsize(file.path)
        with open(file.path, "rb") as stream:
            while high - low > _BLOCK // 16:
                middle = (low + high) // 2
                stream.seek(middle)
                skipped = len(stream.readline())
                parts = self._parse(stream.readline().rstrip(b"\n"), file.changed)
                if parts is None or parts[0] >= since * 1e6 - 2e6:
                    high = middle
                else:
                    low = middle + skipped
        return low


def _open(path: str) -> IO[Any]:
    packed: Any = gzip.open if path.endswith(".gz") else open
    stream: IO[Any] = packed(path, "rb")
    return stream


def _lines(block: bytes, base: int, pattern: Pattern[bytes]) -> Iterator[Tuple[int, bytes]]:
    position = 0
    while position < len(block):
        found = pattern.search(block, position)
        if found is None:
            return
        start = block.rfind(b"\n", 0, found.start()) + 1
        end = block.find(b"\n", found.start())
        yield base + start, block[start:end]
        position = end + 1


def _of_syslog(line: bytes, changed: float) -> Optional[Tuple[int, str, int, bytes]]:
    whole = _RFC5424.match(line)
    if whole is not None:
        t, after = _since_1970(whole[8], *whole.group(1, 2, 3, 4, 5, 6, 7)), whole.end()
    else:
        short = _RFC3164.match(line)
        month = _MONTHS.get(short[1].decode("ascii", "replace"), 0) if short else 0
        if short is None or not month:
            return None
        t, after = _this_year(changed, month, *map(int, short.group(2, 3, 4, 5))), short.end()
    head = _LINE.match(line, after)
    if head is None or t < 0:
        return None
    return t, head[1].decode("utf-8", "replace"), int(head[2] or 0), line[head.end() :]


def _of_rspamd(line: bytes, changed: float) -> Optional[Tuple[int, str, int, bytes]]:
    found = _OF_RSPAMD.match(line)
    if found is None:
        return None
    t = _since_1970(b"", *found.group(1, 2, 3, 4, 5, 6, 7))
    return (t, "rspamd", int(found[8]), line[found.end() :]) if t >= 0 else None


def _since_1970(zone: bytes, *parts: Optional[bytes]) -> int:
    """Microseconds; -1 for a day that there is not. `zone` "": the host's own."""
    year, month, day, hour, minute, second = (int(part or 0) for part in parts[:6])
    fraction = int((parts[6] or b"").ljust(6, b"0"))
    try:
        if not zone:
            seconds = time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
        else:
            seconds = calendar.timegm((year, month, day, hour, minute, second))
    except (ValueError, OverflowError):
        return -1
    if len(zone) == 6:
        ahead = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds += ahead if zone[:1] == b"-" else -ahead
    return int(seconds) * 1_000_000 + fraction


def _this_year(changed: float, month: int, day: int, hour: int, minute: int, second: int) -> int:
    year = time.localtime(changed).tm_year
    for each in (year, year - 1):
        try:
            seconds = time.mktime((each, month, day, hour, minute, second, 0, 0, -1))
        except (ValueError, OverflowError):
            return -1
        if seconds <= changed + 86_400:
            return int(seconds) * 1_000_000
    return -1
