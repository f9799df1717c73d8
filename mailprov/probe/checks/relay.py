"""Probes of abuse: relaying for strangers, unknown users, foreign sender names. None of them ever sends DATA.

Public: the probes `relay.classic` and `unknown.user`; tried, Attempt and Outcome, by which others try.
Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _, ngettext
from mailprov.model.findings import Finding
from mailprov.model.values import dataclass
from mailprov.probe.accounts import receives
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import PortContext
from mailprov.probe.registry import SMTP_PORTS, Scope, ports_where, probe
from mailprov.probe.vantage import Vantage

SUBMISSION_PORTS = ports_where(lambda port: port.number in SMTP_PORTS and port.login)

# A name that cannot exist (RFC 2606 section 2): should a server take the bait, the mail still goes nowhere.
OUTSIDE = "example.invalid"
# Postfix slows down after ten errors in a session, so a fresh one is opened before that.
_ATTEMPTS_PER_SESSION = 4


@dataclass(frozen=True)
class Attempt:
    sender: str
    recipient: str  # as it stands behind `RCPT TO:`, brackets included where there are any
    plain: bool  # the recipient's domain is foreign beyond doubt


def outside_sender(context: PortContext) -> str:
    """A sender whose domain resolves and is not served by this host, or the null sender: a host may refuse
    strangers that use one of its own domains, and that refusal would show nothing about relaying."""
    for domain in context.run.inventory.domains:
        if context.host.name not in domain.hosts and domain.accounts:
            return domain.accounts[0].address
    return ""


def known_address(context: PortContext, domain: str = "") -> str:
    """An address that this host must accept, in `domain` or in any of its domains; '' if there is none."""
    for item in context.run.inventory.domains_on(context.host.name):
        if domain in {"", item.name}:
            if account := next(filter(receives, item.accounts), None):
                return account.address
            for alias, __ in (*item.aliases, *item.lists):
                return alias
    return ""


def attempts(context: PortContext) -> list[Attempt]:
    """The classic forms (those of nmap's smtp-open-relay and of the dsbl list)."""
    user = f"nobody-{context.run.nonce}"
    host, own = context.host.fqdn, known_address(context).rpartition("@")[2]
    takes_all = {domain.name for domain in context.run.inventory.domains if domain.catch_all}
    own = (
        context.host.fqdn if not own or own in takes_all else own
    )  # a catch-all takes odd names, and keeps them
    literal = f"[IPv6:{context.address}]" if ":" in context.address else f"[{context.address}]"
    sender = outside_sender(context)
    recipients = (
        (f"<{user}@{OUTSIDE}>", True),
        (f"{user}@{OUTSIDE}", True),
        (f'<"{user}"@{OUTSIDE}>', True),
        (f"<@{host}:{user}@{OUTSIDE}>", True),
        (f"<@{literal}:{user}@{OUTSIDE}>", True),
        (f'<"{user}@{OUTSIDE}">', False),
        (f'<"{user}%{OUTSIDE}">', False),
        (f"<{user}@{OUTSIDE}@{literal}>", False),
        (f'<"{user}@{OUTSIDE}"@{literal}>', False),
        (f"<{user}@{OUTSIDE}@{host}>", False),
        (f"<{user}%{OUTSIDE}@{literal}>", False),
        (f"<{user}%{OUTSIDE}@{host}>", False),
        (f"<{user}%{OUTSIDE}@{own}>", False),
        (f'<"{user}@{OUTSIDE}"@{own}>', False),
        (f"<{OUTSIDE}!{user}@{host}>", False),
        (f"<{OUTSIDE}!{user}@{literal}>", False),
        (f"<{OUTSIDE}!{user}>", False),
    )
    forms = [Attempt(sender, recipient, plain) for recipient, plain in recipients]
    senders = (
        "",
        known_address(context),
        f"{user}@{literal}",
        f"{user}@{host}",
        f"{user}@{OUTSIDE}",
        user,
        "postmaster",
        "root@localhost",
    )
    return forms + [
        Attempt(other, recipients[0][0], True) for other in dict.fromkeys(senders) if other != sender
    ]


@dataclass(frozen=True)
class Outcome:
    attempt: Attempt
    reply: Reply
    at: str  # MAIL or RCPT

    def __str__(self) -> str:
        attempt = self.attempt
        commands = f"MAIL FROM:<{attempt.sender}> RCPT TO:{attempt.recipient}"
        return _("{commands} gets {reply} at {command}").format(
            commands=commands, reply=self.reply, command=self.at
        )


def tried(client: Smtp, wanted: Attempt) -> Outcome:
    reply, at = client.mail(wanted.sender), "MAIL"
    if reply.code == 250:
        reply, at = client.command(f"RCPT TO:{wanted.recipient}"), "RCPT"
    client.command("RSET")
    return Outcome(wanted, reply, at)


def _not_relayed(outcome: Outcome) -> bool:
    """Debian's default, defer_unauth_destination, has a code that nothing else of Postfix has: the mail is not taken
    and never will be, but its sender tries again for days. Greylisting and failures are 450 and 451.
    """
    return (outcome.reply.code, outcome.reply.enhanced, outcome.at) == (454, "4.7.1", "RCPT")


@probe(
    "relay.classic",
    Scope.PORT,
    N_("Strangers cannot send mail through this server (no open relay)"),
    expected=N_(
        "every foreign recipient is refused (5xx, or 454 4.7.1), while one of its own is accepted on port 25"
    ),
    steps=(
        N_(
            "Without a login, from a sender whose domain resolves: RCPT TO a user of this server must be accepted (25 "
            "only)."
        ),
        N_(
            "RCPT TO an address in example.invalid, in 17 spellings and with up to nine senders; then RSET, "
            "never DATA."
        ),
    ),
    verdicts={
        "pass": N_(
            "every one refused with 5xx, or with 454 4.7.1, by which Postfix defers what it does not relay"
        ),
        "warn": N_(
            "an odd spelling in one of its own domains is accepted, but so is any user there (a catch-all)"
        ),
        "fail": N_("a foreign recipient is accepted"),
        "error": N_(
            "4xx, silence, a dropped connection; or on 25 a user of this server is refused as well, so the refusals "
            "prove nothing"
        ),
    },
    refs=("RFC 5321 section 3.6", "RFC 5321 section 7.9", "postconf(5) smtpd_relay_restrictions"),
    ports=SMTP_PORTS,
    vantage=Vantage.OUTSIDE,
)
def relay(context: PortContext) -> Iterator[Finding]:
    restrictions = "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination"
    advice = _("{command} and see that mynetworks holds no more than this host").format(
        command=f"postconf -e 'smtpd_relay_restrictions = {restrictions}'"
    )
    known = known_address(context)
    sender = outside_sender(context)
    outcomes: list[Outcome] = []
    control: Outcome | None = None
    catch_all = False
    todo = attempts(context)
    for start in range(0, len(todo), _ATTEMPTS_PER_SESSION):
        client = context.smtp()
        with client.connection:
            if start == 0 and known and not context.port.login:
                control = tried(client, Attempt(sender, f"<{known}>", False))
                if control.reply.kind != 2:
                    break
            for attempt in todo[start : start + _ATTEMPTS_PER_SESSION]:
                outcomes.append(tried(client, attempt))
                if outcomes[-1].reply.kind == 2 and not attempt.plain:
                    own = known.rpartition("@")[2] or context.host.fqdn
                    anyone = tried(client, Attempt(sender, f"<other-{context.run.nonce}@{own}>", False))
                    catch_all = anyone.reply.kind == 2
            client.quit()
    if control is not None and control.reply.kind != 2:
        yield context.error(
            _("cannot tell, because a user of this server is refused as well: {reply}").format(reply=control)
        )
        return
    taken = [item for item in outcomes if item.reply.kind == 2]
    deferred = [item for item in outcomes if _not_relayed(item)]
    undecided = [item for item in outcomes if item.reply.kind == 4 and not _not_relayed(item)]
    if any(item.attempt.plain for item in taken) or (taken and not catch_all):
        yield context.failed(
            ngettext(
                "{count} of {all} recipients is accepted: {first}",
                "{count} of {all} recipients are accepted: {first}",
                len(taken),
            ).format(count=len(taken), all=len(outcomes), first=taken[0]),
            advice,
        )
    elif undecided:
        yield context.error(
            ngettext(
                "{count} of {all} recipients is refused temporarily: {first}",
                "{count} of {all} recipients are refused temporarily: {first}",
                len(undecided),
            ).format(count=len(undecided), all=len(outcomes), first=undecided[0]),
            _(
                "see the server's log for what it waits for (greylisting, a name server, a policy service), then run "
                "it again"
            ),
        )
    elif taken:
        yield context.warn(
            _("{attempt}, and so does any name in that domain").format(attempt=taken[0]),
            _("refuse unknown users; then run it again, to see whether the odd spelling relays"),
        )
    else:
        form = _("{count} of {all} refused: {reply}")
        if deferred:
            form = _("{count} of {all} refused: {reply}; {deferred} of them with {deferred_reply}")
        count = len(outcomes)
        yield context.passed(
            form.format(
                count=count,
                all=count,
                reply=outcomes[0].reply,
                deferred=len(deferred),
                deferred_reply=deferred[0].reply if deferred else "",
            )
        )


@probe(
    "unknown.user",
    Scope.PORT_DOMAIN,
    N_("Mail for an unknown user is rejected during the SMTP session"),
    expected=N_("a known user is accepted; 550 5.1.1 for a made-up one in the same session"),
    steps=(
        N_("RCPT TO a user of the domain."),
        N_("RCPT TO a random name in the domain, and in each domain alias."),
        N_("RSET, never DATA."),
    ),
    verdicts={
        "pass": N_(
            "accepted; refused with 550 5.1.1, 550 alone by a server without enhanced codes, or any 550 with "
            "`managed: false`"
        ),
        "warn": N_("refused permanently, with another code"),
        "fail": N_(
            "the made-up user is accepted: a catch-all nobody asked for, or bounces to forged senders later"
        ),
        "error": N_("the known user is refused too, 4xx, silence, or a dropped connection"),
        "skip": N_("the domain has no address to compare with, or a catch-all and no domain alias"),
    },
    refs=("RFC 5321 section 3.6.2", "RFC 3463 section 3.2", "postconf(5) smtpd_reject_unlisted_recipient"),
    ports=ports_where(lambda port: port.number == 25),
)
def unknown_user(context: PortContext) -> Iterator[Finding]:
    assert context.domain is not None
    known = known_address(context, context.domain.name)
    if not known:
        yield context.skip(_("the domain has no account, alias or list to compare with"))
        return
    names = [] if context.domain.catch_all else [context.domain.name]
    names += context.domain.domain_aliases
    if not names:
        yield context.skip(
            _("{domain} has a catch-all: mail for any name goes to {address}").format(
                domain=context.domain.name, address=context.domain.catch_all
            )
        )
        return
    client = context.smtp()
    with client.connection:
        start = client.mail(outside_sender(context))
        control = client.rcpt(known) if start.code == 250 else start
        if control.kind != 2:
            yield context.error(
                _("cannot tell, because {address} is refused as well: {reply}").format(
                    address=known, reply=control
                )
            )
            return
        replies = {}
        for name in names:
            address = f"nobody-{context.run.nonce}@{name}"
            replies[address] = client.rcpt(address)
        client.command("RSET")
    advice = "postconf -e 'smtpd_reject_unlisted_recipient = yes' 'unknown_local_recipient_reject_code = 550'"
    for address, reply in replies.items():
        if reply.kind == 2:
            yield context.failed(
                _("{address} is accepted: {reply}").format(address=address, reply=reply),
                _("list the users in virtual_mailbox_maps, with no @{domain} entry for everybody").format(
                    domain=address.rpartition("@")[2]
                ),
            )
            return
    for address, reply in replies.items():
        if reply.kind != 5:
            yield context.error(
                _("{address} is refused temporarily: {reply}").format(address=address, reply=reply), advice
            )
            return
    usual = {(550, "5.1.1")} if "ENHANCEDSTATUSCODES" in client.extensions else {(550, "5.1.1"), (550, "")}
    if (
        not context.host.managed
    ):  # a refusal for good is one, by whatever detail: Exchange Online has 550 5.4.1
        usual |= {(550, reply.enhanced) for reply in replies.values()}
    odd = {address: reply for address, reply in replies.items() if (reply.code, reply.enhanced) not in usual}
    if odd:
        address, reply = next(iter(odd.items()))
        yield context.warn(
            _("{address} is refused with {reply}").format(address=address, reply=reply), advice
        )
    else:
        yield context.passed("; ".join(f"{address}: {reply}" for address, reply in replies.items()))
