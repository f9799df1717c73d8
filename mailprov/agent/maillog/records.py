"""One record of a host's log, wherever it was read, and who really wrote it.

    Record            as read; `place` puts records of one source in the order in which they were logged
    of_journal(raw)   a line of `journalctl -o json`; None where it has no text
    genuine(record)   whether the service that the record names wrote it

A record names its writer itself (SYSLOG_IDENTIFIER): `logger -t postfix/smtpd` writes whatever it likes under Postfix's
name. Fields that begin with an underscore are journald's own (systemd.journal-fields(7), "Trusted journal fields"): the
user, and the unit as the kernel's control group tells it. A process that was over before journald looked has no unit;
then the user alone counts. Lines of files have none of this, and count as they stand. Raises nothing.
"""

from __future__ import annotations

import json
import pwd
from functools import lru_cache
from typing import Any, Dict, FrozenSet, NamedTuple, Optional, Tuple

LONGEST = 8192  # characters of one record: Postfix cuts its lines at 2,000, rsyslog its own at 8,192
_IN_JOURNAL = "journal"

# The service of an ident: the beginnings of its units' names, and the users under which it writes.
_SERVICES = {
    "postfix": (("postfix.service", "postfix@"), ("root", "postfix")),
    "dovecot": (("dovecot.service",), ("root", "dovecot", "dovenull")),
    "opendkim": (("opendkim.service",), ("root", "opendkim")),
    "rspamd": (("rspamd.service",), ("root", "_rspamd")),
}


class Record(NamedTuple):
    """`t` is microseconds since 1970, by the clock there; `user` is -1 where nothing tells it; `cut`: it was longer."""

    t: int
    ident: str
    pid: int
    text: str
    source: str
    place: Tuple[Any, ...]
    user: int = -1
    unit: str = ""
    program: str = ""
    received: int = 0  # microseconds: when journald took it, by which journals are searched
    cut: bool = False

    def wire(self) -> Dict[str, Any]:
        return {"t": self.t, "ident": self.ident, "pid": self.pid, "text": self.text, "source": self.source}


def _number(text: Any, base: int = 10) -> int:
    """-1 for what is none. A record may have a field twice, which makes it a list."""
    try:
        return int(text[0] if isinstance(text, list) else text, base)
    except (TypeError, ValueError, IndexError):
        return -1


def _text(value: Any) -> str:
    """Octets that are no UTF-8 come as a list of numbers (systemd's "Journal JSON Format")."""
    if isinstance(value, list):
        try:
            return bytes(value).decode("utf-8", "replace")
        except (TypeError, ValueError):
            return _text(value[0]) if value else ""
    return value if isinstance(value, str) else ""


def of_journal(line: bytes) -> Optional[Record]:
    try:
        raw = json.loads(line)
    except ValueError:
        return None
    if not isinstance(raw, dict):
        return None
    text = _text(raw.get("MESSAGE"))
    if not text:
        return None
    received = max(0, _number(raw.get("__REALTIME_TIMESTAMP")))
    sent = _number(raw.get("_SOURCE_REALTIME_TIMESTAMP"))
    cursor = _text(raw.get("__CURSOR"))
    parts = dict(part.partition("=")[::2] for part in cursor.split(";"))
    pid = _number(raw.get("SYSLOG_PID"))
    return Record(
        sent if sent > 0 else received,
        _text(raw.get("SYSLOG_IDENTIFIER"))[:200],
        max(0, pid if pid >= 0 else _number(raw.get("_PID"))),
        text[:LONGEST],
        _IN_JOURNAL,
        (parts.get("s", ""), max(0, _number(parts.get("i"), 16)), cursor),
        _number(raw.get("_UID")),
        _text(raw.get("_SYSTEMD_UNIT")),
        _text(raw.get("_COMM")),
        received,
        len(text) > LONGEST or _text(raw.get("_LINE_BREAK")) == "line-max",
    )


@lru_cache(maxsize=None)
def _uids(names: Tuple[str, ...]) -> FrozenSet[int]:
    found = set()
    for name in names:
        try:
            found.add(pwd.getpwnam(name).pw_uid)
        except KeyError:
            pass
    return frozenset(found)


def service(ident: str) -> str:
    """ "postfix" of "postfix/submission/smtpd"; "" for what is no mail service of ours, nor is postfix-script, by which
    postfix(1) says that somebody reloads it: whoever does that writes it, and it is about no message.
    """
    if ident.endswith("/postfix-script"):
        return ""
    head = ident.partition("/")[0].partition("@")[0]
    return head if head in _SERVICES else ""


def genuine(record: Record) -> bool:
    if record.source != _IN_JOURNAL:
        return True
    name = service(record.ident)
    if not name:
        return False
    units, users = _SERVICES[name]
    if record.unit:
        return record.unit.endswith(".service") and record.unit.startswith(units)
    return record.user in _uids(users)
