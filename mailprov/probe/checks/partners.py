"""Whether mail can be sent from and to a domain: looked at before a message is sent to or from it, so that a broken
server is told once, there, and not in every row of who would have been its partner.

Public: the probe `delivery.ready`, PartnerContext. Errors of `connection` are a part of what it tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mailprov.model.findings import Finding, Target
from mailprov.model.inventory import Account, Host
from mailprov.probe.accounts import lacking, usable
from mailprov.probe.checks.dns_records import mail_servers
from mailprov.probe.checks.login import login_as
from mailprov.probe.clients.connection import ProbeError, ReadTimeout, Unreachable
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.context import Context, port_numbered
from mailprov.probe.pairs import SUBMISSION, Partner
from mailprov.probe.registry import Scope, probe

_READS = 993


@dataclass
class PartnerContext(Context):
    """`partner` is filled with what is found."""

    partner: Partner = field(kw_only=True)

    @property
    def host(self) -> Host:
        return self.run.inventory.host(self.partner.domain.hosts[0])

    @property
    def address(self) -> str:
        addresses = self.run.addresses.get(self.host.name)
        if not addresses:
            raise ProbeError(f"no address of {self.host.fqdn} is known")
        return addresses[0]

    @property
    def target(self) -> Target:
        addresses = self.run.addresses.get(self.host.name, ())
        return Target(self.host.name, addresses[0] if addresses else "", 0, self.partner.domain.name)


@probe(
    "delivery.ready",
    Scope.PARTNER,
    "Test messages can be sent from the domain, and to it",
    expected="a user can log in to hand in mail and to read it, and mail from others finds its way there",
    steps=(
        "Log in on 587 and 465 as who is to send, and on 993 as who is to read.",
        "If there are domains on other hosts: look up the MX, which must lead to the domain's hosts; on port 25, RCPT "
        "TO who is to read; RSET, never DATA.",
        "What does not work is left out; other domains take a partner that works (--partner names one).",
    ),
    verdicts={
        "pass": "all of that works",
        "fail": "some of it does not: messages that need it are not sent",
        "error": "some of it cannot be found out: silence, a dropped connection, an untrusted certificate",
        "skip": "no account with a known password, or none that keeps mail",
    },
    refs=("RFC 6409", "RFC 5321 section 5.1"),
    ports=(*SUBMISSION, _READS, 25),
)
def ready(context: PartnerContext) -> Iterator[Finding]:
    partner, domain = context.partner, context.partner.domain
    partner.sender, partner.recipient = usable(domain), usable(domain, reads=True)
    if partner.sender is None or partner.recipient is None:
        partner.unknown.append(lacking(domain, reads=True))
        yield context.skip(partner.unknown[0])
        return
    try:
        for number in SUBMISSION:
            if _works(context, number, partner.sender):
                partner.ports.append(number)
        partner.reads = _works(context, _READS, partner.recipient)
        if context.waits_for and not (partner.ports or partner.reads or partner.wrong):
            # Nothing answers, which net.tcp tells: whether the MX leads there and what port 25 says is no news.
            yield context.error("; ".join(partner.unknown), f"see net of {context.host.name}")
            return
        partner.takes = partner.alone or (_led_here(context) and _taken(context, partner.recipient))
    except (Unreachable, ReadTimeout) as error:  # the rest would most likely only take as long again
        partner.unknown.append(f"{error}; the rest was not tried")
    if partner.wrong or partner.unknown:
        advice = f"see net, auth.ok, unknown.user and dns.mx of {context.host.name} and {domain.name}"
        say = context.failed if partner.wrong else context.error
        yield say("; ".join((*partner.wrong, *partner.unknown)), advice)
    else:
        yield context.passed(f"{partner.sender.address} hands in, {partner.recipient.address} reads")


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
            let_in, words = login_as(client, account.login_name, account.password.reveal())
    except (Unreachable, ReadTimeout) as error:
        raise type(error)(f"{number}: {error}") from None
    except ProbeError as error:
        context.partner.unknown.append(f"{number}: {error}")
        return False
    if not let_in:
        context.partner.wrong.append(f"{number}: login as {account.login_name}: {words}")
    return let_in


def _led_here(context: PartnerContext) -> bool:
    """Whether the MX leads to a host of the domain, or to one of others that the inventory names."""
    domain = context.partner.domain
    own = {context.run.inventory.host(name).fqdn for name in domain.hosts}
    own |= {each.host for each in domain.mx if not each.ours}
    try:
        targets = mail_servers(context.run.resolver, domain.name)
    except ProbeError as error:
        context.partner.unknown.append(f"MX: {error}")
        return False
    context.transcript.add("-", f"MX of {domain.name}: {', '.join(targets) or 'none'}")
    if own.intersection(targets):
        return True
    context.partner.wrong.append(f"the MX of {domain.name} is {', '.join(targets) or 'not there'}")
    return False


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
        context.partner.wrong.append(f"25: RCPT TO:<{account.address}> gets {reply}")
        return False
    return True
