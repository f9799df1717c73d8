"""A report about a message that was sent (DSN): what it says, by RFC 3464.

    read(text) -> Report        Raises NoReport, whose text is a clause that says what it lacks

Pure. The text is as a server gave it.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import re

from mailprov.i18n import _
from mailprov.model.values import dataclass


class NoReport(ValueError):
    """It is no report as RFC 3464 has it; the text is a clause."""


@dataclass(frozen=True)
class About:
    """One recipient: `action` is failed, delayed, delivered, relayed or expanded; `status` as in RFC 3463."""

    address: str
    action: str
    status: str


@dataclass(frozen=True)
class Report:
    """`sender`: of its envelope, as Return-Path has it, None where that is not there. `envelope`: the name that the
    sender gave the message (ENVID). `signers`: domains of the DKIM signatures that it has.
    """

    about: tuple[About, ...]
    sender: str | None
    envelope: str
    signers: tuple[str, ...]
    automatic: bool  # it says that nobody is to answer it (RFC 3834)


def read(text: bytes) -> Report:
    parsed = email.message_from_bytes(text, policy=email.policy.compat32)
    if parsed.get_content_type() != "multipart/report":
        raise NoReport(_("it is {type}, not multipart/report").format(type=parsed.get_content_type()))
    kind = str(parsed.get_param("report-type", "")).lower()
    if kind != "delivery-status":
        raise NoReport(_("its report-type is not delivery-status"))
    part = next(
        (each for each in parsed.walk() if each.get_content_type() == "message/delivery-status"), None
    )
    if part is None:
        raise NoReport(_("it has no part message/delivery-status"))
    groups = _groups(part)
    if not groups or "reporting-mta" not in groups[0]:
        raise NoReport(_("it names no Reporting-MTA"))
    about = []
    for group in groups[1:]:
        missing = [name for name in ("final-recipient", "action", "status") if name not in group]
        if missing:
            raise NoReport(_("of a recipient it lacks {names}").format(names=", ".join(missing)))
        address = group["final-recipient"].partition(";")[2].strip()
        about.append(
            About(
                address.lower(), group["action"].partition("(")[0].strip().lower(), group["status"].split()[0]
            )
        )
    if not about:
        raise NoReport(_("it tells of no recipient"))
    came = parsed.get("Return-Path")
    signers = [
        found[1].lower()
        for field in parsed.get_all("DKIM-Signature", [])
        if (found := re.search(r"(?:^|;)\s*d=\s*([^\s;]+)", str(field)))
    ]
    return Report(
        tuple(about),
        None if came is None else str(came).strip().strip("<>"),
        groups[0].get("original-envelope-id", ""),
        tuple(signers),
        str(parsed.get("Auto-Submitted", "no")).lower() != "no",
    )


def _groups(part: email.message.Message) -> list[dict[str, str]]:
    """The first is about the message, each further one about a recipient."""
    inner = part.get_payload()
    messages = inner if isinstance(inner, list) else [email.message_from_string(str(inner))]
    return [
        {name.lower(): str(value).strip() for name, value in each.items()}
        for each in messages
        if isinstance(each, email.message.Message) and each.items()
    ]
