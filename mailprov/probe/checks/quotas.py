"""Probes of a full mailbox, in an account for tests: who writes to it is told at once, and its user is warned before.

Public: the probes `quota.full` and `quota.warn`, on a MailboxContext. Errors of `clients` pass through; the runner
makes them errors. Whatever happens, what was put into the mailbox is taken out again (also `leftovers`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.accounts import usable
from mailprov.probe.clients.errors import ProbeError, ReadTimeout
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import port_numbered
from mailprov.probe.deliveries import SUBMISSION
from mailprov.probe.mailauth import message
from mailprov.probe.mailboxes import BOX, MailboxContext
from mailprov.probe.registry import Scope, probe

MOST = 16 * 2**20  # octets that are put into a mailbox to fill it
# Finds the warnings of mailprov's own hosts (templates/dovecot/quota-warning.j2).
_FIELD, _BEGINS = "Message-ID", "quota-"
_WARNINGS = f"HEADER {_FIELD} {_BEGINS}"
_CHUNK = 4 * 2**20
_ROOM = 8 * 1024  # what is left free: less than any of the messages that must be refused
_SMALLEST = 64 * 1024  # a mailbox with less than that free is not filled: something else is in it


@probe(
    "quota.full",
    Scope.MAILBOX,
    N_("A full mailbox refuses mail while the sender listens, and takes it again when there is room"),
    expected=N_("552 5.2.2 or 452 4.2.2 to RCPT TO, [OVERQUOTA] to APPEND, and 250 once it was emptied"),
    steps=(
        N_(
            "On port 25, with the null sender and SIZE: RCPT TO the account for tests is taken. RSET, never DATA."
        ),
        N_(
            "Ask for its limit (GETQUOTAROOT); fill it by APPEND until 8 KiB are left. Nothing above 16 MiB is filled."
        ),
        N_(
            "APPEND of more than is left, and RCPT TO with a SIZE of more than is left: both must be refused."
        ),
        N_(
            "Where RCPT TO is taken, submit such a message as another account of the domain, and see what becomes of "
            "it: sent back, waiting, stored, or lost."
        ),
        N_("Take out what was put there; RCPT TO is taken again."),
    ),
    verdicts={
        "pass": N_("refused in the session, and taken again afterwards"),
        "warn": N_("taken, and sent back later; or refused with a code that does not tell why"),
        "fail": N_(
            "more than the limit is stored, a message is lost, the limit is not the inventory's, or nothing is taken "
            "after it was emptied"
        ),
        "error": N_("mail for the account is refused before it is full, 4xx, silence"),
        "skip": N_(
            "no account with `probe: true`, no quota, one of more than 16 MiB, or a mailbox that is not empty"
        ),
    },
    refs=("RFC 9208", "RFC 5530 section 3", "RFC 3463 section 3.3", "RFC 5321 section 4.5.3.1.9"),
    ports=(993, 25),
    long=True,
    seconds=lambda timing: timing.delivery + timing.probe,
)
def full(context: MailboxContext) -> Iterator[Finding]:
    with context.run.user_slot(context.host.name, context.account.address):
        client = context.imap()
        with client.connection:
            try:
                yield _filled(context, client)
            finally:
                with contextlib.suppress(ProbeError):
                    context.empty(client)
            client.quit()


def _filled(context: MailboxContext, client: Imap) -> Finding:
    declared = context.account.quota
    room = client.room(BOX)
    if room is None:
        if declared is None or not context.host.managed:
            return context.skip(
                _("{account} has no limit; give it a small one (quota: 1M)").format(
                    account=context.account.address
                )
            )
        return context.failed(
            _("the server tells no limit, and the inventory says {limit} KiB").format(limit=declared >> 10),
            _("see the quota of {account} on {host} ({command}); else mailprov apply").format(
                account=context.account.address,
                host=context.host.name,
                command=f"doveadm quota get -u {context.account.address}",
            ),
        )
    used, limit = room
    if declared is not None and context.host.managed and abs(limit - declared) > 1024:
        return context.failed(
            _("its limit is {limit} KiB, and the inventory says {declared} KiB").format(
                limit=limit >> 10, declared=declared >> 10
            ),
            _("see who else sets it on {host}; else mailprov apply").format(host=context.host.name),
        )
    if limit > MOST:
        return context.skip(
            _(
                "its limit is {limit} MiB, and {most} MiB are the most that are filled; give it less (quota: 1M)"
            ).format(limit=limit >> 20, most=MOST >> 20)
        )
    more = max(2 * _ROOM, limit // 5)  # beyond what servers let pass once
    if limit - used < max(_SMALLEST, more + _ROOM):
        return context.skip(
            _("{used} of its {limit} KiB are in use already; empty it").format(
                used=used >> 10, limit=limit >> 10
            )
        )
    smtp = context.open(context.host, _address(context), port_numbered(25))
    assert isinstance(smtp, Smtp)
    with smtp.connection:
        before = _asked(context, smtp, more)
        if before.kind != 2:
            return context.error(
                _("mail for it is refused before it is full: {reply}").format(reply=before),
                _("see the mail log of {host}").format(host=context.host.name),
            )
        follows = client.validity(BOX)[1]
        if context.host.managed:  # the warning that a mailbox fills up
            context.run.leftovers.note(context.host, context.account, _WARNINGS, sure=False)
        if (wrong := _fill(context, client, limit - used - _ROOM)) is not None:
            return wrong
        over = context.put(client, more, 0xF0)
        reply = _asked(context, smtp, more)
        taken = reply.kind == 2
        fate = _fate(context, client, more) if taken and over.refused is not None else None
        context.warned = _warned(context, client, follows)
        context.run.leftovers.gone(context.account, _WARNINGS)
        context.empty(client)
        after = _asked(context, smtp, more)
        smtp.quit()
    return _judged(context, over.refused is None, str(over.refused), reply, fate, after)


def _judged(
    context: MailboxContext,
    stored: bool,
    refused: str,
    reply: Reply,
    fate: tuple[Verdict, str] | None,
    after: Reply,
) -> Finding:
    look = _(
        "see quota_status_overquota and check_policy_service for {socket} on {host}; else mailprov apply"
    )
    advice = look.format(socket="quota-status", host=context.host.name)
    if not context.host.managed:
        advice = _("Postfix: check_policy_service of Dovecot's quota-status in smtpd_recipient_restrictions")
    if stored:
        return context.failed(
            _("more than its limit is stored: APPEND was taken"), _("see that quota is enforced")
        )
    if fate is not None:
        verdict, words = fate
        return context.finding(verdict, words, advice)
    if after.kind != 2:
        return context.failed(
            _("it was emptied, and mail is refused all the same: {reply}").format(reply=after), advice
        )
    told = reply.enhanced in ("4.2.2", "5.2.2", "5.2.3", "4.3.1") or reply.code in (422, 452, 552)
    if not told:
        return context.warn(
            _("refused when it is full, with a code that does not say why: {reply}").format(reply=reply),
            advice,
        )
    return context.passed(
        _("full: {reply}; APPEND: {refused}; emptied: {after}").format(
            reply=reply, refused=refused, after=after
        )
    )


def _address(context: MailboxContext) -> str:
    return context.run.addresses[context.host.name][0]


def _asked(context: MailboxContext, smtp: Smtp, size: int) -> Reply:
    """Whether port 25 takes a message of this size; none is sent."""
    reply = smtp.mail("", size=size)
    if reply.kind == 2:
        reply = smtp.rcpt(context.account.address)
    smtp.command("RSET")
    return reply


def _fill(context: MailboxContext, client: Imap, octets: int) -> Finding | None:
    part = 0
    while octets > 0:
        size = min(octets, _CHUNK)
        put = context.put(client, size, part)
        if put.refused is not None:
            return context.failed(
                _("APPEND of {size} KiB is refused where {free} KiB are free: {reply}").format(
                    size=size >> 10, free=(octets + _ROOM) >> 10, reply=put.refused
                ),
                _("see the quota of {account} on {host}").format(
                    account=context.account.address, host=context.host.name
                ),
            )
        octets, part = octets - size, part + 1
    return None


def _fate(context: MailboxContext, client: Imap, size: int) -> tuple[Verdict, str]:
    """What becomes of a message that was taken for a full mailbox: verdict, and what was seen."""
    sender = usable(context.domain)
    numbers = [number for number in SUBMISSION if context.host.offers(port_numbered(number))]
    if sender is None or sender.probe or not numbers:
        return Verdict.WARN, _(
            "RCPT TO is taken though it is full; no other account could see what is sent back"
        )
    token = context.token(0xFF)
    search = f"TEXT {token}"
    smtp = context.session(numbers[0], sender)
    assert isinstance(smtp, Smtp)
    with smtp.connection:
        reply = smtp.mail(sender.address, size=size)
        reply = smtp.rcpt(context.account.address) if reply.kind == 2 else reply
        if reply.kind == 2:
            context.run.leftovers.note(context.host, sender, search)
            text = message.build(
                token, context.run.nonce, sender.address, context.account.address, eight_bit=False
            )
            reply = smtp.data(text + context.text(size, 0)[-size:])
        if reply.code != 250:
            context.run.leftovers.gone(sender, search)
            smtp.command("RSET")
            return Verdict.WARN, _(
                "RCPT TO is taken though it is full; the message is refused: {reply}"
            ).format(reply=reply)
        smtp.quit()
    left = context.run.queues.gone(context.host, [context.account.address, sender.address])
    if left.waiting:
        return Verdict.WARN, _("taken though it is full: {reason}").format(reason=left.why)
    arrival = context.new_deadline(context.run.timing.delivery)
    while True:
        if client.search_in(BOX, f"HEADER {message.MARK} {token}"):
            return Verdict.FAIL, _("a message is stored in it though it is full")
        if _returned(context, search):
            return Verdict.WARN, _(
                "taken though it is full, and sent back later: a stranger's bounce hits others"
            )
        if left.sure:
            return Verdict.FAIL, _(
                "a message for it was taken though it is full, and is lost: nobody was told"
            )
        try:
            arrival.pause(context.run.timing.poll)
        except ReadTimeout:
            return Verdict.FAIL, _(
                "a message for it was taken though it is full, and nobody was told; {reason}"
            ).format(reason=left.why)


def _returned(context: MailboxContext, search: str) -> bool:
    sender = usable(context.domain)
    client = context.imap(sender)
    with client.connection:
        found = client.search_in(BOX, search)
        if found and not client.remove(found) and sender is not None:
            context.run.leftovers.gone(sender, search)
        client.quit()
    return bool(found)


def _warned(context: MailboxContext, client: Imap, follows: int) -> bool:
    """Whether something came that this probe did not put there; it is removed."""
    if not follows:
        return False
    clock = context.new_deadline(context.run.timing.warning if context.host.managed else 0.01)
    while True:
        ours = context.marked(client)
        foreign = [uid for uid in client.search(f"UID {follows}:*") if uid >= follows and uid not in ours]
        if foreign:
            client.remove(foreign)
            return True
        try:
            clock.pause(context.run.timing.poll / 2)
        except ReadTimeout:
            clock.reached = False  # what need not come was not waited for in vain
            return False


@probe(
    "quota.warn",
    Scope.MAILBOX,
    N_("Whose mailbox is almost full gets a message that says so"),
    expected=N_("a message in it, once it is more than 85 or 95 % full"),
    steps=(
        N_("While quota.full fills the mailbox: see whether a message comes that nobody sent."),
        N_("Remove it."),
    ),
    verdicts={
        "pass": N_("it came"),
        "warn": N_("it did not come within 5 seconds, on a host that mailprov built"),
        "error": N_("no login, a refused command, silence"),
        "skip": N_(
            "the mailbox was not filled (see quota.full), or the server need not warn (`managed: false`)"
        ),
    },
    refs=("doveconf quota_warning",),
    ports=(993,),
    after="quota.full",
)
def warn(context: MailboxContext) -> Iterator[Finding]:
    if context.warned is None:
        yield context.skip(_("the mailbox was not filled (see quota.full)"))
    elif context.warned:
        yield context.passed(_("it came, and was removed"))
    elif not context.host.managed:
        yield context.skip(_("none came at once; whether this server is to warn is not known"))
    else:
        yield context.warn(
            _("none came within {seconds:g} s").format(seconds=context.run.timing.warning),
            _("see the service quota-warning in the log of dovecot on {host}; else mailprov apply").format(
                host=context.host.name
            ),
        )
