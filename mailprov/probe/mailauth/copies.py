"""A message to several people, one of them in Bcc alone, with an attachment that careless software alters.

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
from email.utils import format_datetime

from mailprov.probe.mailauth.message import MARK

NAME = "every octet.bin"
# Every octet, line ends of all kinds, and what looks like the end of a message.
ATTACHED = bytes(range(256)) * 24 + b"\r\n.\r\n\n\r\rFrom here\n" + b"\0" * 512


def build(token: str, run: str, sender: str, rcpts: tuple[str, ...]) -> bytes:
    to, *cc, bcc = rcpts
    border = f"=_{token}"
    encoded = base64.encodebytes(ATTACHED).decode().replace("\n", "\r\n")
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
        f'Content-Disposition: attachment; filename="{NAME}"',
        "Content-Transfer-Encoding: base64",
        "",
        f"{encoded}--{border}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def attached(text: bytes) -> bytes | None:
    """None where it is not there under its name."""
    parsed = email.message_from_bytes(text, policy=email.policy.default)
    for part in parsed.walk():
        if part.get_filename() == NAME:
            payload = part.get_payload(decode=True)
            return payload if isinstance(payload, bytes) else None
    return None
