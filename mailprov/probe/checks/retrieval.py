"""Mail that has arrived: the recipient reads the message in four ways, and it is removed again.

Public: the probes `delivery.fetch` and `delivery.cleanup`, which run on a DeliveryContext that `delivery` has sent
and found. Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _, ngettext
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.ports import Protocol
from mailprov.probe.clients.client import MailboxClient
from mailprov.probe.clients.errors import ProbeError, ProtocolError
from mailprov.probe.clients.imap import Imap
from mailprov.probe.context import port_numbered
from mailprov.probe.deliveries import DeliveryContext
from mailprov.probe.mailauth import message
from mailprov.probe.registry import Scope, probe
from mailprov.probe.targets import imap_port

READING = (993, 143, 995, 110)


def _read(context: DeliveryContext, number: int) -> bytes:
    """The message as this port gives it. Raises ProtocolError when it is not there."""
    client = context.session(context.recipient_host, number, context.plan.recipient)
    assert isinstance(client, MailboxClient)
    with client.connection:
        text = client.find(message.MARK, context.token, context.folder)
        client.quit()
    return text


@probe(
    "delivery.fetch",
    Scope.DELIVERY,
    N_("The recipient reads the same bytes by IMAP and POP"),
    expected=N_("the body as it was sent, and the same message byte for byte on 993, 143, 995 and 110"),
    steps=(
        N_("Fetch the message over 993 and over 143 with STARTTLS (BODY.PEEK[], which leaves it unread)."),
        N_("Fetch it over 995 and over 110 with STLS (UIDL, TOP, RETR; never DELE)."),
        N_("Compare with each other, and the body with what was sent."),
    ),
    verdicts={
        "pass": N_("the same bytes"),
        "warn": N_(
            "the same but for a > before lines that begin with `From `, on a server with `managed: false`: so do "
            "mailboxes of the format mbox"
        ),
        "fail": N_("other bytes, or the message is not there"),
        "error": N_("not submitted or not arrived, no login, silence, or a dropped connection"),
        "skip": N_("the folder is not INBOX (POP shows no other)"),
    },
    cases={
        "mbox": N_("a > stands before lines that begin with `From `"),
    },
    refs=("RFC 9051 section 6.4.5", "RFC 1939 section 5", "RFC 5321 section 4.5.2"),
    ports=READING,
    after="delivery.path",
)
def fetch(context: DeliveryContext) -> Iterator[Finding]:
    plan = context.plan
    host = context.recipient_host
    absent = {number for place, number in context.run.absent if place == context.address(host)}
    for number in (each for each in READING if host.offers(port_numbered(each)) and each not in absent):
        target = context.at(context.recipient_host, number, plan.recipient)
        if not context.fetched:
            yield context.finding(
                Verdict.ERROR, _("nothing to fetch (see delivery.submit and delivery.path)"), target=target
            )
        elif port_numbered(number).protocol is Protocol.POP3 and context.folder != "INBOX":
            yield context.finding(
                Verdict.SKIP,
                _("the message is in {folder}, which POP does not show").format(folder=context.folder),
                target=target,
            )
        else:
            yield _compare(context, number, target)


def _compare(context: DeliveryContext, number: int, target: Target) -> Finding:
    try:
        with context.run.user_slot(context.recipient_host.name, context.plan.recipient.address):
            context.deadline = context.new_deadline(context.seconds)
            text = _read(context, number)
    except ProtocolError as error:
        return context.finding(Verdict.FAIL, str(error), _("see the server's log"), target=target)
    except ProbeError as error:
        return context.finding(Verdict.ERROR, str(error), target=target)
    if wrong := message.first_difference(context.fetched, text):
        advice = _("see that IMAP and POP read the same mailbox (mail_location, mail_path)")
        return context.finding(
            Verdict.FAIL,
            _("not the same as over IMAP before: {difference}").format(difference=wrong),
            advice,
            target=target,
        )
    whole = message.without_mbox_quotes(text, context.sent)
    if whole != text and not context.recipient_host.managed:
        what = _(
            "lines that begin with `From ` got a > before them, so signatures of such mail are no longer valid"
        )
        advice = _(
            "mailboxes of the format mbox do that; Maildir does not (Postfix: home_mailbox = Maildir/; Dovecot: "
            "mail_location or mail_driver and mail_path)"
        )
        return context.finding(Verdict.WARN, what, advice, target=target, case="mbox")
    if wrong := message.first_difference(message.body_of(context.sent), message.body_of(text)):
        advice = _(
            "see what on the way alters mail: a content filter, a disclaimer, or a host without 8BITMIME"
        )
        return context.finding(
            Verdict.FAIL,
            _("the body is not the same as it was sent: {difference}").format(difference=wrong),
            advice,
            target=target,
        )
    return context.finding(
        Verdict.PASS,
        ngettext("{count} byte, the same", "{count} bytes, the same", len(text)).format(count=len(text)),
        target=target,
    )


@probe(
    "delivery.cleanup",
    Scope.DELIVERY,
    N_("The probe message is removed again"),
    expected=N_("exactly the marked message is gone"),
    steps=(N_("Over IMAP: search for the mark, mark it as deleted, UID EXPUNGE just that."),),
    verdicts={
        "pass": N_("removed"),
        "warn": N_("left in the mailbox, because the server cannot remove just one message, or refuses"),
        "error": N_("the mailbox cannot be reached"),
        "skip": N_("nothing was sent"),
    },
    refs=("RFC 4315 section 2.1",),
    ports=(993,),
    after="delivery.fetch",
)
def cleanup(context: DeliveryContext) -> Iterator[Finding]:
    plan = context.plan
    port = imap_port(context.recipient_host)
    target = context.at(context.recipient_host, port.number if port else 0, plan.recipient)
    if not context.sent:
        yield context.finding(Verdict.SKIP, _("nothing was sent"), target=target)
        return
    with context.run.user_slot(context.recipient_host.name, plan.recipient.address):
        context.deadline = context.new_deadline(context.seconds)
        client = context.mailbox()
        with client.connection:
            verdict, observed = _remove(context, client)
            client.quit()
    advice = _("remove the messages with the header {header} by hand").format(header=message.MARK)
    yield context.finding(verdict, observed, advice, target=target)


def _remove(context: DeliveryContext, client: Imap) -> tuple[Verdict, str]:
    found = context.search(client, context.folder)
    if not found:
        return Verdict.WARN, _("the message is not there (if it arrives later, it stays)")
    if left := client.remove(found):
        return Verdict.WARN, left
    context.forget()
    return Verdict.PASS, _("removed {count} from {folder}").format(count=len(found), folder=context.folder)
