"""Mail on its way: submit at A, let A find B's MX, and prove the way from the Received chain of what arrives at B.

Public: the probes `delivery.submit` and `delivery.path`, which run in this order on one DeliveryContext each;
`retrieval` goes on with what arrived. Errors of `connection` pass through; the runner makes them errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from mailprov.model.findings import Finding, Verdict
from mailprov.probe.checks.dns_records import mail_servers
from mailprov.probe.clients.connection import ReadTimeout
from mailprov.probe.clients.folders import folders_at
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.loop_case import DeliveryContext
from mailprov.probe.mailauth import message, received
from mailprov.probe.pairs import SUBMISSION
from mailprov.probe.registry import Scope, probe


@probe(
    "delivery.submit",
    Scope.DELIVERY,
    "A user can hand in mail for another domain",
    expected="250 after the message",
    steps=(
        "Log in at the sender's host, on 587 with STARTTLS and on 465.",
        "Send a marked message to an account of another domain: leading dots, 8 bits, a line of 998 "
        "octets, blanks at the end.",
    ),
    verdicts={
        "pass": "accepted and queued",
        "fail": "refused for good",
        "error": "no login, temporary refusal, silence, or a dropped connection",
    },
    refs=("RFC 6409", "RFC 5321 section 3.3"),
    ports=SUBMISSION,
)
def submit(context: DeliveryContext) -> Iterator[Finding]:
    plan = context.plan
    client = context.session(context.sender_host, plan.port.number, plan.sender)
    assert isinstance(client, Smtp)
    with client.connection:
        eight_bit = "8BITMIME" in client.extensions
        text = message.build(
            context.token,
            context.run.nonce,
            plan.sender.address,
            plan.recipient.address,
            eight_bit=eight_bit,
            forged_by=context.recipient_host.fqdn,
        )
        reply, at = _hand_in(client, plan.sender.address, plan.recipient.address, text, eight_bit)
        if reply.code == 250:
            client.quit()
    context.not_sent = f"not submitted: {at} gets {reply}"
    if reply.code == 250:
        context.sent = text
        yield context.passed(f"{reply}")
    elif reply.kind == 4:
        yield context.error(f"temporary refusal: {at} gets {reply}", "see the log of the sender's host")
    else:
        yield context.failed(f"{at} gets {reply}", "see the log of the sender's host for the reason")


def _hand_in(client: Smtp, sender: str, recipient: str, text: bytes, eight_bit: bool) -> tuple[Reply, str]:
    reply = client.mail(sender, eight_bit)
    if reply.code != 250:
        return reply, f"MAIL FROM:<{sender}>"
    reply = client.rcpt(recipient)
    if reply.kind != 2:
        return reply, f"RCPT TO:<{recipient}>"
    return client.data(text), "the message"


def _wait(context: DeliveryContext) -> str:
    """Fetch the message when it arrives. '' when it is there, else what was seen; Interrupted passes through."""
    with context.run.user_slot(context.recipient_host.name, context.plan.recipient.address):
        # The clocks start when it is our turn.
        arrival = context.new_deadline(context.run.timing.delivery)
        context.deadline = context.new_deadline(context.seconds)
        client = context.mailbox()
        with client.connection:
            for turn in itertools.count(1):
                mark = len(context.transcript.lines)
                for folder in folders_at(client, turn):
                    if found := context.search(client, folder):
                        context.folder = folder
                        context.fetched = client.fetch(found[0])
                        if len(found) > 1:
                            return f"arrived {len(found)} times"
                        return "" if folder == "INBOX" else f"arrived in {folder}, not in INBOX"
                try:
                    arrival.pause(context.run.timing.poll)
                except ReadTimeout:
                    break
                del context.transcript.lines[mark:]  # only the last of many polls is worth reading
    return f"accepted, but not in the mailbox within {context.run.timing.delivery:g} s"


@probe(
    "delivery.path",
    Scope.DELIVERY,
    "The message went from A to B's MX, over TLS all the way",
    expected="Received: by A with ESMTPSA, then from A by an MX of B with ESMTPS",
    steps=(
        "Look up the recipient domain's MX ourselves.",
        "Poll the recipient's INBOX and Junk over IMAP for the mark, and now and then all folders, until a deadline.",
        "Read the Received fields of what arrived.",
    ),
    verdicts={
        "pass": "the chain proves submission with login over TLS, and the transfer to an MX over TLS",
        "warn": "arrived, but in another folder, or the sender's host showed another name or address, or on one host "
        "only, as no domain on another host can take part",
        "fail": "not arrived, more than once, a hop is missing, or a hop was in clear",
        "error": "not submitted, or the mailbox cannot be read",
        "skip": "arrived, but both domains are on one host, so there was no way between hosts to prove, or the first "
        "MX is somebody else's",
    },
    refs=("RFC 5321 section 4.4", "RFC 5321 section 5.1", "RFC 3848"),
    ports=SUBMISSION,
    after="delivery.submit",
)
def path(context: DeliveryContext) -> Iterator[Finding]:
    plan = context.plan
    if not context.sent:
        yield context.error(context.not_sent)
        return
    route = None
    if not plan.local:
        targets = mail_servers(context.run.resolver, plan.recipient_domain.name)
        context.transcript.add("-", f"MX of {plan.recipient_domain.name}: {', '.join(targets) or 'none'}")
        host = context.sender_host
        addresses = tuple(dict.fromkeys((*host.ipv4, *host.ipv6, *context.run.addresses.get(host.name, ()))))
        route = received.Route(host.fqdn, addresses, tuple(targets))
    wrong = _wait(context)
    chain = received.hops(context.fetched)
    for hop in reversed(chain):
        context.transcript.add("-", f"Received: {hop}")
    if not context.fetched or wrong.endswith("times"):
        yield context.failed(
            wrong,
            f"on {context.sender_host.name}: postqueue -p; on {context.recipient_host.name}: see the mail log",
        )
        return
    foreign = [each.host for each in plan.recipient_domain.exchangers[:1] if not each.ours]
    if foreign and route is not None:
        yield context.skip(
            f"arrived; the way led over {foreign[0]}, which is not of this inventory: not proved further"
        )
        return
    if route is None:
        verdict, observed, advice = received.judge_local(chain, context.sender_host.fqdn)
        if plan.alone and verdict is Verdict.SKIP:
            verdict, advice = Verdict.WARN, "mend that domain, or name one that works: --partner"
            observed = f"local only: {plan.alone}, so neither MX nor port 25 was used"
    else:
        verdict, observed, advice = received.judge(chain, route)
    if wrong and verdict in (Verdict.PASS, Verdict.SKIP):
        verdict, observed, advice = Verdict.WARN, wrong, "see the recipient's filters (Sieve, spam)"
    yield context.finding(verdict, observed, advice)
