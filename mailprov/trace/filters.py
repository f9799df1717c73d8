"""What the filters log of a message, by its queue id: Rspamd and OpenDKIM.

    about(records, queue_id) -> Judged

    rspamd     rspamd_task_write_log: id: <…>, qid: <ID>, …, (default: F (no action): [3.59/15.00] […]), …
    opendkim   ID: DKIM-Signature field added (s=…, d=…)
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.model.values import dataclass
from mailprov.trace.observed import Record
from mailprov.trace.postfix import QUEUE_ID

_RSPAMD = re.compile(rf"rspamd_task_write_log: id: <[^>]*>, qid: <({QUEUE_ID})>, (.*)", re.DOTALL)
_VERDICT = re.compile(r"\(default: [A-Z] \(([a-z ]+)\): \[(-?[\d.]+)/(-?[\d.]+)\]")
_OPENDKIM = re.compile(rf"({QUEUE_ID}): (.*)", re.DOTALL)


@dataclass(frozen=True)
class Judged:
    """`action` is Rspamd's: no action, add header, rewrite subject, greylist, soft reject, reject."""

    records: tuple[Record, ...] = ()
    action: str = ""
    score: float | None = None
    limit: float | None = None


def about(records: Iterable[Record], queue_id: str) -> Judged:
    lines: list[Record] = []
    action, score, limit = "", None, None
    for record in records:
        if record.ident == "rspamd":
            found = _RSPAMD.match(record.text)
            if found is None or found[1] != queue_id:
                continue
            lines.append(record)
            if verdict := _VERDICT.search(found[2]):
                action, score, limit = verdict[1], float(verdict[2]), float(verdict[3])
        elif record.ident == "opendkim":
            found = _OPENDKIM.fullmatch(record.text)
            if found is not None and found[1] == queue_id:
                lines.append(record)
    return Judged(tuple(lines), action, score, limit)
