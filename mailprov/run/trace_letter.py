"""The message that a trace sends: small, marked, and with what the user adds.

    Letter                       what the command line says of it
    Ready                        the same as it travels: Message-ID, mark, bytes
    make(letter) -> Ready

Bcc: is in no header (RFC 5322 section 3.6.3). Raises nothing.
"""

from __future__ import annotations

import datetime
import mimetypes
import secrets
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from mailprov.i18n import _
from mailprov.model.values import dataclass
from mailprov.probe.mailauth.message import MARK


@dataclass(frozen=True)
class Letter:
    """`attachments` are pairs of a name and bytes."""

    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    attachments: tuple[tuple[str, bytes], ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """Each once, as the envelope has them."""
        return tuple(dict.fromkeys((*self.to, *self.cc, *self.bcc)))


@dataclass(frozen=True)
class Ready:
    """`mark` is the value of the header by which it is found; `data` ends with a line end."""

    message_id: str
    mark: str
    subject: str
    data: bytes


def make(letter: Letter) -> Ready:
    """With CRLF line ends, in 7 bits, so that every server takes it."""
    mark = secrets.token_hex(12)
    message_id = f"<{mark}@{letter.sender.rpartition('@')[2]}>"
    made = EmailMessage(policy=SMTP)
    made["Date"] = format_datetime(datetime.datetime.now(datetime.timezone.utc))
    made["From"] = letter.sender
    made["To"] = ", ".join(letter.to)
    if letter.cc:
        made["Cc"] = ", ".join(letter.cc)
    made["Subject"] = " ".join(("mailprov", "trace", mark))
    made["Message-ID"] = message_id
    made[MARK] = mark
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's vacation notice answers this
    text = _("This message was sent by mailprov trace, to show the way that it takes.")
    made.set_content(f"{text}\n", cte="quoted-printable" if not text.isascii() else "7bit")
    for name, data in letter.attachments:
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        main, _slash, sub = kind.partition("/")
        made.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return Ready(message_id, mark, str(made["Subject"]), made.as_bytes())
