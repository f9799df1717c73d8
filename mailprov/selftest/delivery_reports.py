"""What the scripted servers send about a message: a report in the form of RFC 3464, or one that is wrong in one way.

    about(recipient, arrived, envelope, header, faults) -> bytes

Pure.
"""

from __future__ import annotations

from collections.abc import Collection


def about(recipient: str, arrived: bool, envelope: str, header: bytes, faults: Collection[str]) -> bytes:
    """`header` is that of the message. `envelope`: what its sender called it."""
    says_so = arrived != ("report-lies" in faults)
    action, status = ("relayed", "2.1.5") if says_so else ("failed", "5.1.1")
    path = "MAILER-DAEMON@mx1.alpha.test" if "report-has-sender" in faults else ""
    name = "other" if "report-other-name" in faults else envelope
    kind = "" if "report-in-prose" in faults else '; report-type=delivery-status; boundary="=_r"'
    lines = [
        f"Return-Path: <{path}>",
        "From: MAILER-DAEMON@mx1.alpha.test (Mail Delivery System)",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f"Content-Type: {'multipart/report' if kind else 'text/plain'}{kind}",
        "",
        "--=_r",
        "",
        "This is the mail system.",
        "--=_r",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx1.alpha.test",
        *([f"Original-Envelope-Id: {name}"] if name else []),
        "",
        f"Final-Recipient: rfc822; {recipient if 'report-about-another' not in faults else 'zoe@alpha.test'}",
        f"Action: {action}",
        f"Status: {status}",
        "",
        "--=_r",
        "Content-Type: text/rfc822-headers",
        "",
    ]
    return "\r\n".join([*lines, ""]).encode() + header + b"\r\n--=_r--\r\n"
