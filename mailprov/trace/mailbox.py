"""The end of a way: the LMTP session, the file in the mailbox, and who reads it there.

    delivered(story, life, line, delivery, after, named)    a delivery by LMTP, with all that follows
    visited(story, after)                                   mailboxes of which no log told: what IMAP and POP saw

"sent" of Postfix means that Dovecot took it: what is in the mailbox is told by Dovecot, by the file, and by IMAP. Pure.
"""

from __future__ import annotations

from typing import Any

from mailprov.i18n import _, all_of
from mailprov.model import cleaning
from mailprov.model.trace import Agent, Evidence, Outcome, Source, TraceLine
from mailprov.trace import dovecot
from mailprov.trace.expected import ends
from mailprov.trace.lives import Life
from mailprov.trace.observed import Visit
from mailprov.trace.postfix import Delivery, Line
from mailprov.trace.story import Story


def delivered(
    story: Story, life: Life, line: Line, delivery: Delivery, after: int, named: str, *, counts: bool = True
) -> None:
    """`counts`: it is the message itself, not a report about it."""
    account = delivery.recipient
    session = dovecot.session(delivery.text)
    told = dovecot.stored(story.web.records(life.host), session)
    step = story.add(
        after,
        Agent.LMTP,
        Evidence.LOGGED,
        _("Dovecot took it for {account}").format(account=account),
        host=life.host,
        **story.at(line.record),
        seconds=delivery.seconds,
        delays=delivery.delays,
        queue_id=life.queue_id,
        recipient=account,
        lines=story.lines([line.record, *told.records]),
        headers=story.stored(account) if counts else (),
    )
    if not counts:
        return
    folder = told.folder
    look = next(
        (each for each in story.seen.looks if (each.host, each.account) == (life.host, account)), None
    )
    if look is not None:
        folder = look.folder
        step = story.add(
            step,
            Agent.MAILBOX,
            Evidence.OBSERVED,
            _("It is a file in the folder {folder}").format(folder=folder),
            host=life.host,
            **_came(story, life.host, look.t),
            recipient=account,
            lines=(
                TraceLine(Source.FILE, cleaning.line(look.path)),
                *(TraceLine(Source.HEADER, line) for line in story.written(look)),
            ),
        )
    elif folder:
        step = story.add(
            step,
            Agent.MAILBOX,
            Evidence.RECONSTRUCTED,
            _("It was stored in the folder {folder}: Dovecot says so, and the file was not looked at").format(
                folder=folder
            ),
            host=life.host,
            recipient=account,
        )
    visits = [visit for visit in story.seen.visits if visit.account == account]
    for visit in visits:
        step = _visit(story, visit, step)
    if told.sent_on and not folder and not any(visit.folder for visit in visits):
        text = _("A filter of {account} (Sieve) sent it on to {addresses}, and kept nothing")
        told_so = text.format(account=account, addresses=all_of(told.sent_on))
        story.arrived(named, account, Outcome.HANDED_ON, told_so, step)
        return
    _verdict(story, account, named, folder, visits, step)


def _came(story: Story, host: str, t: int) -> dict[str, Any]:
    if t % 1_000_000 == 0:
        return {}  # Dovecot gives the file whole seconds
    return {"at": round(t / 1e6 - story.offset(host) - story.seen.began, 6), "clock": host}


def visited(story: Story, after: int, only: str = "") -> None:
    """`only`: of this account."""
    for account in dict.fromkeys(visit.account for visit in story.seen.visits):
        if only and account != only:
            continue
        visits = [visit for visit in story.seen.visits if visit.account == account]
        step = after
        for visit in visits:
            step = _visit(story, visit, step)
        named = next(
            (each for each in story.seen.recipients if account in ends(story.seen.inventory, each)), account
        )
        if any(visit.folder for visit in visits):
            _verdict(story, account, named, "", visits, step)


def _verdict(story: Story, account: str, named: str, folder: str, visits: list[Visit], step: int) -> None:
    seen = next((visit.folder for visit in visits if visit.folder), "")
    looked = [visit for visit in visits if visit.protocol == "imap" and not visit.error]
    then = ""
    if seen or folder:
        text = _("{account} has it in {folder}").format(folder=seen or folder, account=account)
        if seen or not looked:
            if any(visit.removed for visit in visits):
                text = _("{account} had it in {folder}; this trace removed it afterwards").format(
                    folder=seen or folder, account=account
                )
            if (seen or folder) != "INBOX":
                then = _(
                    "It is not in INBOX: the filter took it for spam, or a filter of the user's put it there"
                )
            story.arrived(named, account, Outcome.DELIVERED, text, step, seen or folder, then)
            return
    if looked:
        text = _("Dovecot took it for {account}, and it is not in the mailbox").format(account=account)
        then = _("Look at the filters of {account} (Sieve), and at other programs that read this mailbox")
        story.arrived(named, account, Outcome.UNKNOWN, text, step, then=then.format(account=account))
        return
    text = _("Dovecot took it for {account}, and which folder it is in is not known")
    story.arrived(named, account, Outcome.DELIVERED, text.format(account=account), step)


def _visit(story: Story, visit: Visit, after: int) -> int:
    pop = visit.protocol == "pop3"
    hint = ""
    if visit.error:
        text = _("The mailbox could not be read: {error}").format(error=visit.error)
        hint = _("read it as its user, or look for the file on the host")
    elif not visit.folder:
        text = (
            _("POP shows INBOX alone, and it is not there")
            if pop
            else _("It is not in any folder of the mailbox")
        )
    elif pop:
        text = (
            _("It was downloaded, and deleted on the server: POP takes mail away")
            if visit.removed
            else _("It was downloaded, and left on the server")
        )
    else:
        text = _("It was read in {folder}, and stays on the server").format(folder=visit.folder)
    return story.add(
        after,
        Agent.POP3 if pop else Agent.IMAP,
        Evidence.MISSING if visit.error else Evidence.OBSERVED,
        text,
        host=visit.host,
        port=visit.port,
        at=round(visit.at, 6),
        seconds=visit.seconds,
        recipient=visit.account,
        lines=visit.lines,
        hint=hint,
    )
