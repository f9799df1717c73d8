"""A message to several people, one of them in Bcc alone, with attachments that careless software alters.

    build(token, run, sender, rcpts) -> bytes    the first is in To, the last in Bcc, what is between them in Cc
    ATTACHED, attached(text) -> bytes | None     what is attached; what a received message has of it

The Bcc field is in what is submitted, as some mail programs leave it there: a submission server takes it out (RFC 5322
section 3.6.3). Pure; raises nothing.
"""

from __future__ import annotations

import base64
import datetime
import email
import email.policy
import quopri
from email.utils import format_datetime
from urllib.parse import quote

from mailprov.probe.mailauth.message import MARK

# Every octet, line ends of all kinds, and what looks like the end of a message.
_OCTETS = bytes(range(256)) * 24 + b"\r\n.\r\n\n\r\rFrom here\n" + b"\0" * 512
# The longest line that SMTP has (RFC 5321 section 4.5.3.1.6), dots and blanks at both ends of lines, what mbox quotes.
_PLAIN = "\r\n".join(["x" * 998, ".", "..", ".dot", "From here on", ">From there", "blanks   ", "", "end"])
_QUOTED = "caf\u00e9, blanks at the end:  \t\r\nFrom here\r\n.\r\nend"
_FILES = {
    "every octet.bin": _OCTETS,
    "na\u00efve \u2713.txt": _PLAIN.encode(),  # its name as RFC 2231 has it
    "empty.bin": b"",
    "quoted.txt": _QUOTED.encode(),
}
ATTACHED = b"".join(_FILES.values())


def build(token: str, run: str, sender: str, rcpts: tuple[str, ...]) -> bytes:
    to, *cc, bcc = rcpts
    border = f"=_{token}"
    encoded = base64.encodebytes(_OCTETS).decode().replace("\n", "\r\n")
    quoted = quopri.encodestring(_QUOTED.encode()).decode().replace("\r\n", "\n").replace("\n", "\r\n")
    first, named, empty, last = _FILES
    lines = [
        f"Date: {format_datetime(datetime.datetime.now(datetime.timezone.utc))}",
        f"From: <{sender}>",
        f"To: <{to}>",
        *(f"Cc: <{each}>" for each in cc),
        f"Bcc: <{bcc}>",
        f"Subject: mailprov probe {token}",
        f"Message-ID: <{token}@{sender.rpartition('@')[2]}>",
        f"{MARK}: {token}",
        f"X-Mailprov-Run: {run}",
        "Auto-Submitted: auto-generated",  # RFC 3834: nobody's vacation notice answers this
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{border}"',
        "",
        f"--{border}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "This message was sent by mailprov to prove that attachments arrive whole, and that nobody sees who is in Bcc.",
        "It removes the message by itself.",
        "",
        f"--{border}",
        "Content-Type: application/octet-stream",
        f'Content-Disposition: attachment; filename="{first}"',
        "Content-Transfer-Encoding: base64",
        "",
        f"{encoded}--{border}",
        "Content-Type: text/plain; charset=us-ascii",
        f"Content-Disposition: attachment; filename*=UTF-8''{quote(named)}",
        "",
        _PLAIN,
        f"--{border}",
        "Content-Type: application/octet-stream",
        f'Content-Disposition: attachment; filename="{empty}"',
        "Content-Transfer-Encoding: base64",
        "",
        "",
        f"--{border}",
        "Content-Type: text/plain; charset=utf-8",
        f'Content-Disposition: attachment; filename="{last}"',
        "Content-Transfer-Encoding: quoted-printable",
        "",
        quoted,
        f"--{border}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def attached(text: bytes) -> bytes | None:
    """All of them in their order; None where one is not there under its name."""
    parsed = email.message_from_bytes(text, policy=email.policy.default)
    found = {part.get_filename(): part.get_payload(decode=True) for part in parsed.walk()}
    payloads = [found.get(name) for name in _FILES]
    return b"".join(each for each in payloads if isinstance(each, bytes)) if None not in payloads else None
