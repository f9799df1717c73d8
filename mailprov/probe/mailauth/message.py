"""Probe messages: small, marked, and full of what careless software alters.

Public: build, token_of, header_of, body_of, without_mbox_quotes, first_difference, MARK, FORGED. Pure; raises nothing.
"""

from __future__ import annotations

import datetime
import re
from email.utils import format_datetime

from mailprov.i18n import _

# The header that a probe message is found by: nobody can place a message with it before the run.
MARK = "X-Mailprov-Probe"
# In the forged Authentication-Results that a message may carry: a domain that nobody has (RFC 2606).
FORGED = "mailprov-forged.invalid"

# RFC 5321 section 4.5.3.1.6: a line may have 998 octets and its line end.
_LONGEST = 998


def build(
    token: str, run: str, sender: str, recipient: str, *, eight_bit: bool, forged_by: str = ""
) -> bytes:
    """A complete message with CRLF line ends. `eight_bit`: the server has offered 8BITMIME (RFC 6152).

    `forged_by`: the host in whose name it claims that checks were passed.
    """
    forged = f"Authentication-Results: {forged_by}; dkim=pass header.d={FORGED}"
    header = [
        f"Date: {format_datetime(datetime.datetime.now(datetime.timezone.utc))}",
        f"From: <{sender}>",
        f"To: <{recipient}>",
        f"Subject: mailprov probe {token}",
        f"Message-ID: <{token}@{sender.rpartition('@')[2]}>",
        f"{MARK}: {token}",
        f"X-Mailprov-Run: {run}",
        *([forged] if forged_by else []),
        "Auto-Submitted: auto-generated",  # RFC 3834: nobody's vacation notice answers this
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Transfer-Encoding: {'8bit' if eight_bit else '7bit'}",
    ]
    body = [
        "This message was sent by mailprov to prove that mail arrives whole. It removes the message by "
        "itself.",
        "",
        ".",
        "..",
        ".a line that starts with a dot",
        "From here on: a line that mbox files would alter",
        "blanks at the end:   ",
        '\ttab, "quotes", back\\slash, =3D, &amp;, %41, =',
        "x" * _LONGEST,
        "",
        "",
        "ni\u00f1o, na\u00efve, \u2713, \u65e5\u672c" if eight_bit else "seven bits only",
        "-- ",
        token,
    ]
    return "\r\n".join([*header, "", *body, ""]).encode("utf-8")


def token_of(message: bytes) -> str:
    """Of a message that `build` made; "" of any other."""
    found = re.search(rb"(?im)^" + MARK.encode() + rb":[ \t]*([0-9a-f]+)", header_of(message))
    return found[1].decode() if found else ""


def header_of(message: bytes) -> bytes:
    """The header, with the empty line that ends it."""
    return message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def body_of(message: bytes) -> bytes:
    """What follows the header."""
    return message.partition(b"\r\n\r\n")[2]


def without_mbox_quotes(message: bytes, sent: bytes) -> bytes:
    """The message as it was before a mailbox of the format mbox put a > before lines that begin with "From ", as can be
    seen by what was sent; else as it is. Some put one also before lines that have a > there already (mboxrd), some do
    not (mboxo; RFC 4155, appendix A).
    """
    header, empty, body = message.partition(b"\r\n\r\n")
    whole = body_of(sent)
    quoted = (re.sub(pattern, rb">\g<0>", whole) for pattern in (rb"(?m)^From ", rb"(?m)^>*From "))
    return header + empty + whole if body in quoted else message


def first_difference(left: bytes, right: bytes) -> str:
    """Where two byte strings part, in words; '' when they are the same."""
    if left == right:
        return ""
    at = next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
    return _("byte {position}: {sent!r} became {received!r} ({length} and {received_length} bytes)").format(
        position=at,
        sent=left[at : at + 24],
        received=right[at : at + 24],
        length=len(left),
        received_length=len(right),
    )
