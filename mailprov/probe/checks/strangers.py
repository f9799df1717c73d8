"""What every server owes whoever calls on port 25, and what it must not let pass there.

Public: the probes `smtp.helo` and `smtp.postmaster`. They never send DATA. Errors of `clients` pass through; the
runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _, all_of
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.checks.relay import known_address, outside_sender
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import PortContext
from mailprov.probe.registry import Scope, ports_where, probe

_FROM_STRANGERS = ports_where(lambda port: port.number == 25)


@probe(
    "smtp.helo",
    Scope.PORT,
    N_("Nobody sends mail without saying EHLO first"),
    expected=N_("503 for MAIL before EHLO, and 250 for it after EHLO"),
    steps=(
        N_("Connect, read the greeting, and say MAIL FROM:<> at once."),
        N_("Say EHLO in the same session, then MAIL FROM:<> again: must be accepted."),
    ),
    verdicts={
        "pass": N_("refused before EHLO, accepted after it"),
        "warn": N_(
            "accepted before EHLO, as Postfix does by default: programs that send spam often say none"
        ),
        "error": N_("refused after EHLO as well, 4xx, silence, or a dropped connection"),
    },
    refs=("RFC 5321 section 4.1.4", "postconf(5) smtpd_helo_required"),
    ports=_FROM_STRANGERS,
)
def helo(context: PortContext) -> Iterator[Finding]:
    with context.connect() as connection:
        client = Smtp(connection)
        greeting = client.reply()
        if greeting.code != 220:
            yield context.error(_("the greeting is {greeting}").format(greeting=greeting))
            return
        early = client.mail("")
        client.ehlo()
        client.command("RSET")
        late = client.mail("")
        client.quit()
    if late.kind != 2:
        yield context.error(
            _("cannot tell, because MAIL FROM:<> is refused after EHLO as well: {reply}").format(reply=late)
        )
    elif early.kind == 2:
        yield context.warn(
            _("MAIL is accepted without EHLO: {reply}").format(reply=early),
            "postconf -e 'smtpd_helo_required = yes'",
        )
    elif early.kind == 5:
        yield context.passed(_("{reply}; after EHLO {after}").format(reply=early, after=late))
    else:
        yield context.error(_("refused temporarily: {reply}").format(reply=early))


@probe(
    "smtp.postmaster",
    Scope.PORT_DOMAIN,
    N_("Bounces are accepted, and mail for postmaster and abuse"),
    expected=N_(
        "250 for the null sender, and for postmaster and abuse of the domain and of each domain alias"
    ),
    steps=(
        N_("MAIL FROM:<>, as bounces have it, and RCPT TO a user of the domain: must be accepted."),
        N_(
            "RCPT TO postmaster without a domain, and postmaster@ and abuse@ the domain and each domain alias; RSET, "
            "never DATA."
        ),
        N_("Where the null sender is refused, the same user with another sender, in the same session."),
    ),
    verdicts={
        "pass": N_("all are accepted"),
        "warn": N_(
            "mail for abuse is refused, or for postmaster without a domain; or for postmaster@ the domain on a server "
            "with `managed: false`"
        ),
        "fail": N_(
            "the null sender is refused, so that no bounce arrives, or mail for postmaster of the domain is"
        ),
        "error": N_("a user of the domain is refused with another sender as well, 4xx, silence"),
        "skip": N_("the domain has no address to compare with"),
    },
    refs=("RFC 5321 section 4.5.1", "RFC 5321 section 4.5.5", "RFC 2142 section 4"),
    ports=_FROM_STRANGERS,
)
def postmaster(context: PortContext) -> Iterator[Finding]:
    assert context.domain is not None
    domain = context.domain
    known = known_address(context, domain.name)
    if not known:
        yield context.skip(_("the domain has no account, alias or list to compare with"))
        return
    names = (domain.name, *domain.domain_aliases)
    wanted = ["postmaster", *(f"{role}@{name}" for name in names for role in ("postmaster", "abuse"))]
    client = context.smtp()
    with client.connection:
        null = _begun(client, "", known)
        replies = {}
        if null.kind == 2:
            replies = {address: client.rcpt(address) for address in wanted}
        client.command("RSET")
        other = null
        if null.kind != 2 and (sender := outside_sender(context)):
            other = _begun(client, sender, known)
        client.quit()
    if null.kind != 2:
        yield _without_null(context, known, null, other)
        return
    later = [f"{address}: {reply}" for address, reply in replies.items() if reply.kind == 4]
    refused = {address: reply for address, reply in replies.items() if reply.kind == 5}
    must = [address for address in refused if address.startswith("postmaster@")]
    if refused:
        yield context.finding(
            Verdict.FAIL if must and context.host.managed else Verdict.WARN,
            "; ".join(f"{address}: {reply}" for address, reply in refused.items()),
            _advice(context, list(refused)),
        )
    elif later:
        yield context.error(_("refused temporarily: {reply}").format(reply=later[0]))
    else:
        yield context.passed(_("accepted: the null sender, {names}").format(names=all_of(wanted)))


def _begun(client: Smtp, sender: str, recipient: str) -> Reply:
    reply = client.mail(sender)
    return client.rcpt(recipient) if reply.code == 250 else reply


def _without_null(context: PortContext, known: str, null: Reply, other: Reply) -> Finding:
    if null.kind == 4 or other.kind != 2:
        return context.error(
            _("cannot tell, because {address} is refused: {reply}").format(address=known, reply=null)
        )
    return context.failed(
        _("with the null sender {address} is refused: {reply}").format(address=known, reply=null),
        _("take out what refuses MAIL FROM:<> (smtpd_sender_restrictions, a policy service, a filter)"),
    )


def _advice(context: PortContext, addresses: list[str]) -> str:
    assert context.domain is not None
    if context.host.managed:
        return _("see that {key} has an account that gets mail, then mailprov apply").format(
            key=f"domains.{context.domain.name}"
        )
    return _("give {names} a mailbox or an alias").format(names=all_of(addresses))
