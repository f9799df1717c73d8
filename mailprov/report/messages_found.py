"""How messages of the past are listed, where several match: a line each, and below it by what to name it.

lines(found) -> lines of text
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterator

from mailprov.i18n import _
from mailprov.model.answers import MessageFound


def lines(found: MessageFound) -> Iterator[str]:
    when = datetime.datetime.fromtimestamp(found.began, datetime.timezone.utc)
    yield _("{time} UTC  from {sender} to {recipients}").format(
        time=f"{when:%Y-%m-%d %H:%M:%S}",
        sender=found.sender or "<>",
        recipients=", ".join(found.recipients) or "?",
    )
    for text in found.answers[:3]:
        yield f"    {text}"
    if len(found.answers) > 3:
        yield "    …"
    if found.queue_id:
        yield f"    --queue-id {found.queue_id} --host {shlex.quote(found.subject)}"
    if found.message_id:
        yield f"    --message-id {shlex.quote(found.message_id)}"
