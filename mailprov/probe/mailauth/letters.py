"""Messages that a server should treat in a way of its own: those of strangers, and those that users hand in unfinished
or in the name of others.

    PLAIN, SPAM, OWN            from a stranger: with forged results of checks; as every filter must know it; in the
                                recipient's own name
    BARE, AS_OTHER              from a user: without Date and Message-ID; in the name of another
    build(kind, …) -> bytes     the message
    results(text, host)         Authentication-Results that this host wrote, the topmost first, unfolded

Pure; raises nothing.
"""

from __future__ import annotations

import datetime
import re
from email.utils import format_datetime

from mailprov.probe.mailauth.message import FORGED, MARK

PLAIN, SPAM, OWN, BARE, AS_OTHER = "plain", "spam", "own", "bare", "as-other"
# A name that nobody has (RFC 2606): neither SPF nor DMARC of a domain that is served here speaks against it.
STRANGER = "stranger@mailprov-stranger.invalid"
# The test for spam filters, put together here, so that no filter takes this file for spam.
_GTUBE = "-".join(["XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE", "STANDARD", "ANTI", "UBE", "TEST", "EMAIL*C.34X"])


def build(kind: str, token: str, run: str, author: str, recipient: str, host: str) -> bytes:
    """`host`: in whose name results of checks are forged."""
    now = format_datetime(datetime.datetime.now(datetime.timezone.utc))
    header = [
        *([f"Authentication-Results: {host}; dkim=pass header.d={FORGED}"] if kind == PLAIN else []),
        *([f"Date: {now}", f"Message-ID: <{token}@{author.rpartition('@')[2]}>"] if kind != BARE else []),
        f"From: <{author}>",
        f"To: <{recipient}>",
        f"Subject: mailprov probe {token}",
        f"{MARK}: {token}",
        f"X-Mailprov-Run: {run}",
        "Auto-Submitted: auto-generated",  # RFC 3834: nobody's vacation notice answers this
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
    ]
    body = [
        "This message was sent by mailprov to see what becomes of such mail. It removes it by itself.",
        token,
    ]
    return "\r\n".join([*header, "", *body, *([_GTUBE] if kind == SPAM else []), ""]).encode("ascii")


def results(text: bytes, host: str) -> list[str]:
    header = text.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    found = [field.partition(":") for field in re.split(r"\r\n(?![ \t])", header)]
    values = [
        " ".join(value.split())
        for name, __, value in found
        if name.strip().lower() == "authentication-results"
    ]
    return [value for value in values if re.sub(r"\([^)]*\)", "", value).split(";")[0].split()[:1] == [host]]
