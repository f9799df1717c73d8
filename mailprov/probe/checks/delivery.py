"""Mail on its way: whether it can be sent from a domain and to it; submit at A, let A find B's MX, and prove the way
from the Received chain of what arrives at B.

Public: the probes `delivery.ready` (on a PartnerContext), `delivery.submit` and `delivery.path` (on a
DeliveryContext); `retrieval` and `authentication` go on with what arrived. A domain is looked at before a message is
sent to or from it, so that a broken server is told once, there, and not in every row of who would have been its
partner. Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from mailprov.i18n import N_, _, ngettext
from mailprov.model.accounts import Account
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain
from mailprov.probe.accounts import lacking, usable
from mailprov.probe.clients.errors import NoPasswords, ProbeError, ReadTimeout, Unreachable
from mailprov.probe.clients.folders import LOOKS_PER_LOOK_AROUND, folders_at
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import port_numbered
from mailprov.probe.deliveries import SUBMISSION, DeliveryContext, PartnerContext
from mailprov.probe.mailauth import message, received
from mailprov.probe.queues import Left
from mailprov.probe.registry import Scope, probe
from mailprov.probe.targets import imap_port


@probe(
    "delivery.ready",
    Scope.PARTNER,
    N_("Test messages can be sent from the domain, and to it"),
    expected=N_("a user can log in to send mail and to read it, and mail from other hosts arrives there"),
    steps=(
        N_(
            "Log in on 587 and 465 as the account that sends, and on 993 as the account that reads (143 if 993 is off)."
        ),
        N_(
            "If there are domains on other hosts: look up the MX, which must lead to the domain's hosts; on port 25, "
            "RCPT TO the account that reads; RSET, never DATA."
        ),
        N_(
            "What does not work is left out; other domains exchange mail with one that works (--partner names it)."
        ),
    ),
    verdicts={
        "pass": N_("all of that works"),
        "fail": N_("some of it does not: messages that need it are not sent"),
        "error": N_(
            "some of it cannot be found out: silence, a dropped connection, an untrusted certificate"
        ),
        "skip": N_(
            "no account with a known password, or none that keeps mail, or a host that offers no IMAP"
        ),
    },
    refs=("RFC 6409", "RFC 5321 section 5.1"),
    ports=(*SUBMISSION, 993, 25),
)
def ready(context: PartnerContext) -> Iterator[Finding]:
    partner, domain = context.partner, context.partner.domain
    partner.sender, partner.recipient = usable(domain), usable(domain, reads=True)
    if partner.sender is None or partner.recipient is None:
        partner.unknown.append(lacking(domain, reads=True))
        yield context.skip(partner.unknown[0])
        return
    reading = imap_port(context.host)
    if reading is None:
        what = _("{host} offers no IMAP, by which mail that arrives is looked for: no test message is sent")
        partner.unknown.append(what.format(host=context.host.name))
        yield context.skip(partner.unknown[0])
        return
    try:
        for number in (each for each in SUBMISSION if context.host.offers(port_numbered(each))):
            if (context.address, number) in context.run.absent:
                continue
            if _works(context, number, partner.sender):
                partner.ports.append(number)
        partner.reads = _works(context, reading.number, partner.recipient)
        if context.waits_for and not (partner.ports or partner.reads or partner.wrong):
            # Nothing answers, which net.tcp tells: whether the MX leads there and what port 25 says is no news.
            yield context.error(
                "; ".join(partner.unknown), _("see net.tcp of {host}").format(host=context.host.name)
            )
            return
        partner.takes = partner.alone or (_led_here(context) and _taken(context, partner.recipient))
    except (Unreachable, ReadTimeout) as error:  # the rest would most likely only take as long again
        partner.unknown.append(_("{error}; the rest was not tried").format(error=error))
    if partner.wrong or partner.unknown:
        advice = _("see net.tcp, auth.ok, unknown.user and dns.mx of {host} and {domain}").format(
            host=context.host.name, domain=domain.name
        )
        say = context.failed if partner.wrong else context.error
        yield say("; ".join((*partner.wrong, *partner.unknown)), advice)
    else:
        yield context.passed(
            _("{sender} can send, {reader} can read").format(
                sender=partner.sender.address, reader=partner.recipient.address
            )
        )


def _works(context: PartnerContext, number: int, account: Account) -> bool:
    """Whether this account can log in there."""
    assert account.password is not None
    context.transcript.hide(account.password.reveal())
    try:
        client = context.open(
            context.host,
            context.address,
            port_numbered(number),
            secret=True,
            deadline=context.new_deadline(context.seconds),
        )
        with client.connection:
            login = client.login(account.login_name, account.password.reveal())
    except NoPasswords:
        raise
    except (Unreachable, ReadTimeout) as error:
        raise type(error)(f"{number}: {error}") from None
    except ProbeError as error:
        context.partner.unknown.append(f"{number}: {error}")
        return False
    if not login.accepted:
        context.partner.wrong.append(
            _("{port}: login as {user}: {reply}").format(
                port=number, user=account.login_name, reply=login.words
            )
        )
    return login.accepted


def _led_here(context: PartnerContext) -> bool:
    """Whether the MX leads to a host of the domain, or to one of others that the inventory names."""
    domain = context.partner.domain
    own = {context.run.inventory.host(name).fqdn for name in domain.hosts}
    own |= {each.host for each in domain.mx if not each.ours}
    try:
        targets = context.run.resolver.mail_servers(domain.name)
    except ProbeError as error:
        context.partner.unknown.append(f"MX: {error}")
        return False
    context.transcript.add("-", _mx_shown(domain, targets))
    if own.intersection(targets):
        return True
    wrong = _("the MX of {domain} is {hosts}") if targets else _("{domain} has no MX")
    context.partner.wrong.append(wrong.format(domain=domain.name, hosts=", ".join(targets)))
    return False


def _mx_shown(domain: Domain, targets: list[str]) -> str:
    return _("MX of {domain}: {hosts}").format(domain=domain.name, hosts=", ".join(targets) or _("none"))


def _taken(context: PartnerContext, account: Account) -> bool:
    """Whether port 25 takes mail for this account. A refusal for now, or for the sake of who we are, does not tell."""
    try:
        client = context.open(
            context.host, context.address, port_numbered(25), deadline=context.new_deadline(context.seconds)
        )
        assert isinstance(client, Smtp)
        with client.connection:
            reply = client.mail("")
            if reply.code == 250:
                reply = client.rcpt(account.address)
            client.command("RSET")
            client.quit()
    except (Unreachable, ReadTimeout) as error:
        raise type(error)(f"25: {error}") from None
    except ProbeError as error:
        context.partner.unknown.append(f"25: {error}")
        return False
    if reply.kind == 5 and not reply.enhanced.startswith("5.7."):
        context.partner.wrong.append(
            _("{port}: {command} gets {reply}").format(
                port=25, command=f"RCPT TO:<{account.address}>", reply=reply
            )
        )
        return False
    return True


@probe(
    "delivery.submit",
    Scope.DELIVERY,
    N_("A user can submit mail for another domain"),
    expected=N_("250 after the message"),
    steps=(
        N_("Log in at the sender's host, on 587 with STARTTLS and on 465."),
        N_(
            "Send a marked message to an account of another domain: leading dots, 8 bits, a line of 998 octets, "
            "blanks at the end."
        ),
    ),
    verdicts={
        "pass": N_("accepted and queued"),
        "fail": N_("refused permanently"),
        "error": N_("no login, temporary refusal, silence, or a dropped connection"),
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
        reply, at = _hand_in(context, client, text, eight_bit)
        if reply.code == 250:
            client.quit()
    if reply.code != 250:
        context.forget()
    context.not_sent = _("not submitted: {command} gets {reply}").format(command=at, reply=reply)
    if reply.code == 250:
        context.sent = text
        yield context.passed(f"{reply}")
    elif reply.kind == 4:
        yield context.error(
            _("temporary refusal: {command} gets {reply}").format(command=at, reply=reply),
            _("see the log of the sender's host"),
        )
    else:
        yield context.failed(
            _("{command} gets {reply}").format(command=at, reply=reply),
            _("see the log of the sender's host for the reason"),
        )


def _hand_in(context: DeliveryContext, client: Smtp, text: bytes, eight_bit: bool) -> tuple[Reply, str]:
    sender, recipient = context.plan.sender.address, context.plan.recipient.address
    reply = client.mail(sender, eight_bit)
    if reply.code != 250:
        return reply, f"MAIL FROM:<{sender}>"
    reply = client.rcpt(recipient)
    if reply.kind != 2:
        return reply, f"RCPT TO:<{recipient}>"
    context.note()
    return client.data(text), _("the message")


def _left_the_queues(context: DeliveryContext) -> Left:
    """Of the hosts on its way, in its order. Where others are on it, nobody can tell."""
    from mailprov.components import relayhost  # brings the schema's library, which `explain` has no use for

    domain, run = context.plan.recipient_domain, context.run
    there = [run.inventory.host(name) for name in reversed(domain.hosts)]
    if (
        any(not each.ours for each in domain.exchangers)
        or relayhost.SETTING.of(context.sender_host) is not None
    ):
        return Left(False)
    for host in dict.fromkeys((context.sender_host, *there)):
        left = run.queues.gone(host, [context.plan.recipient.address])
        if not left.sure:
            return left
    return Left(True)


def _wait(context: DeliveryContext) -> tuple[str, bool]:
    """Fetch the message when it arrives. What is wrong, or '', and whether it arrived once: not never, and not several
    times. Interrupted passes through.
    """
    with context.run.user_slot(context.recipient_host.name, context.plan.recipient.address):
        # The clocks start when it is our turn.
        arrival = context.new_deadline(context.run.timing.delivery)
        context.deadline = context.new_deadline(context.seconds)
        client = context.mailbox()
        gone: Left | None = None
        with client.connection:
            for turn in itertools.count(1):
                if turn == LOOKS_PER_LOOK_AROUND:
                    gone = _left_the_queues(context)
                mark = len(context.transcript.lines)
                for folder in folders_at(client, turn):
                    if found := context.search(client, folder):
                        context.folder = folder
                        context.fetched = client.fetch(found[0])
                        if (count := len(found)) > 1:
                            several = ngettext("arrived {count} time", "arrived {count} times", count)
                            return several.format(count=count), False
                        elsewhere = _("arrived in {folder}, not in INBOX").format(folder=folder)
                        return "" if folder == "INBOX" else elsewhere, True
                if gone is not None and (gone.sure or gone.waiting) and turn % LOOKS_PER_LOOK_AROUND == 0:
                    nowhere = _("accepted, and in no mailbox; it is in no queue any more")
                    return _("accepted; {reason}").format(reason=gone.why) if gone.waiting else nowhere, False
                try:
                    arrival.pause(context.run.timing.poll)
                except ReadTimeout:
                    break
                del context.transcript.lines[mark:]  # only the last of many polls is worth reading
    late = _("accepted, but not in the mailbox within {seconds:g} s")
    return late.format(seconds=context.run.timing.delivery), False


@probe(
    "delivery.path",
    Scope.DELIVERY,
    N_("The message went from A to B's MX, over TLS all the way"),
    expected=N_("Received: by A with ESMTPSA, then from A by an MX of B with ESMTPS"),
    steps=(
        N_("Look up the recipient domain's MX from here."),
        N_(
            "Poll the recipient's INBOX and Junk over IMAP for the mark, and now and then all folders, until a "
            "deadline, or until the hosts on its way say over SSH that it is in no queue any more, or why it stays "
            "there."
        ),
        N_("Read the Received fields of what arrived."),
    ),
    verdicts={
        "pass": N_("the chain proves submission with login over TLS, and the transfer to an MX over TLS"),
        "warn": N_(
            "arrived, but in another folder, or the sender's host showed another name or address, or on one host "
            "only, as no domain on another host can take part"
        ),
        "fail": N_("not arrived, more than once, a hop is missing, or a hop was without TLS"),
        "error": N_("not submitted, or the mailbox cannot be read"),
        "skip": N_(
            "arrived, but sender and recipient are on one host, so there was no way between hosts to prove, or the "
            "first MX is somebody else's"
        ),
    },
    cases={
        "junk": N_("it arrived in another folder than INBOX"),
        "by-relay": N_("the MX got it from a relay"),
        "other-name": N_("the sender's host gives another name in EHLO"),
        "other-address": N_("it came from an address that is not the sender's host's"),
    },
    refs=("RFC 5321 section 4.4", "RFC 5321 section 5.1", "RFC 3848"),
    ports=SUBMISSION,
    after="delivery.submit",
    seconds=lambda timing: timing.delivery + timing.probe,
)
def path(context: DeliveryContext) -> Iterator[Finding]:
    plan = context.plan
    if not context.sent:
        yield context.error(context.not_sent)
        return
    route = None
    if not plan.local:
        targets = context.run.resolver.mail_servers(plan.recipient_domain.name)
        context.transcript.add("-", _mx_shown(plan.recipient_domain, targets))
        host = context.sender_host
        addresses = tuple(dict.fromkeys((*host.ipv4, *host.ipv6, *context.run.addresses.get(host.name, ()))))
        route = received.Route(host.fqdn, addresses, tuple(targets))
    wrong, once = _wait(context)
    chain = received.hops(context.fetched)
    for hop in reversed(chain):
        context.transcript.add("-", f"Received: {hop}")
    if not once:
        yield context.failed(
            wrong,
            _("on {sender}: {command}; on {recipient}: see the mail log").format(
                sender=context.sender_host.name, command="postqueue -p", recipient=context.recipient_host.name
            ),
        )
        return
    foreign = [each.host for each in plan.recipient_domain.exchangers[:1] if not each.ours]
    if foreign and route is not None:
        yield context.skip(
            _(
                "arrived; it went by way of {host}, which is not in this inventory: the way was not looked at"
            ).format(host=foreign[0])
        )
        return
    if route is None:
        verdict, observed, advice, case = received.judge_local(chain, context.sender_host.fqdn)
        if plan.alone and verdict is Verdict.SKIP:
            verdict, advice = Verdict.WARN, _("fix that domain, or name one that works: --partner")
            observed = _("local only: {reason}, so neither MX nor port 25 was used").format(reason=plan.alone)
    else:
        verdict, observed, advice, case = received.judge(chain, route)
    if wrong and verdict in (Verdict.PASS, Verdict.SKIP):
        verdict, observed, advice = Verdict.WARN, wrong, _("see the recipient's filters (Sieve, spam)")
        case = "junk"
    yield context.finding(verdict, observed, advice, case=case)
