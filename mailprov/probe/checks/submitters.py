"""Probes of what users may do once they are logged in: `relay.after-login` sends to other domains, without which a
refusal to strangers would prove nothing of relaying; `spoof.envelope` tries another sender than the user's own.

None of them ever sends DATA. Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.accounts import Account
from mailprov.model.findings import Finding
from mailprov.probe.accounts import lacking
from mailprov.probe.checks.relay import OUTSIDE, SUBMISSION_PORTS, Attempt, tried
from mailprov.probe.context import PortContext
from mailprov.probe.registry import Scope, probe

# Where a server looks whether a recipient's domain exists: what it says of one that does not (RFC 3463, RFC 7505).
_UNKNOWN = re.compile(
    r"not found|not exist|unroutable|unrouteable|unknown host|no such domain", re.IGNORECASE
)
_NO_SUCH_DOMAIN = {"4.1.2", "5.1.2", "4.4.3", "4.4.4", "5.4.4", "4.4.0", "5.4.0", "4.3.0"}


@probe(
    "relay.after-login",
    Scope.PORT_ACCOUNT,
    N_("Who is logged in may send to other domains"),
    expected=N_("a recipient elsewhere is accepted after the login"),
    steps=(
        N_("Log in as an account of each domain."),
        N_("MAIL FROM its address, RCPT TO an address in example.invalid; RSET, never DATA."),
    ),
    verdicts={
        "pass": N_("accepted; or refused only because that domain does not exist"),
        "fail": N_("refused, as to a stranger"),
        "error": N_("the login or the user's own address is refused, 4xx, silence, or a dropped connection"),
        "skip": N_("no account with a known password"),
    },
    refs=("RFC 6409 section 4", "postconf(5) permit_sasl_authenticated"),
    ports=SUBMISSION_PORTS,
)
def after_login(context: PortContext) -> Iterator[Finding]:
    account = context.account
    if account is None or account.password is None:
        yield context.skip(lacking(context.domain))
        return
    context.transcript.hide(account.password.reveal())
    client = context.smtp(secret=True)
    with client.connection:
        login = client.login(account.login_name, account.password.reveal())
        if not login.accepted:
            yield context.error(
                _("cannot tell, because the login is refused: {reply}").format(reply=login.words)
            )
            return
        reply, at = client.mail(account.address), f"MAIL FROM:<{account.address}>"
        if reply.kind != 2:
            yield context.error(_("cannot tell: {command} gets {reply}").format(command=at, reply=reply))
            return
        reply = client.rcpt(f"nobody-{context.run.nonce}@{OUTSIDE}")
        client.command("RSET")
        client.quit()
    if reply.kind == 2:
        yield context.passed(str(reply))
    elif reply.enhanced in _NO_SUCH_DOMAIN or _UNKNOWN.search(" ".join(reply.lines)):
        yield context.passed(_("refused only because the domain does not exist: {reply}").format(reply=reply))
    elif reply.kind == 4:
        yield context.error(_("refused temporarily: {reply}").format(reply=reply))
    else:
        value = "permit_mynetworks, permit_sasl_authenticated, reject"
        command = f"postconf -P '{context.port.service}/inet/smtpd_relay_restrictions={value}'"
        yield context.failed(_("a recipient elsewhere is refused: {reply}").format(reply=reply), command)


def _other_address(context: PortContext, account: Account) -> str:
    """Somebody else's address: on the same host if there is one, then anywhere, then a made-up one."""
    here = [item for item in context.run.inventory.domains if context.host.name in item.hosts]
    for domain in (*here, *context.run.inventory.domains):
        for other in domain.accounts:
            if other.address != account.address:
                return other.address
    return f"nobody-{context.run.nonce}@{account.domain}"


@probe(
    "spoof.envelope",
    Scope.PORT_ACCOUNT,
    N_("A user who is logged in cannot send from another user's address"),
    expected=N_("553 5.7.1 for another's address as sender, while the user's own is accepted"),
    steps=(
        N_("Log in as A."),
        N_("MAIL FROM A, RCPT TO A: must be accepted; RSET."),
        N_(
            "MAIL FROM somebody else, then from an address in example.invalid, RCPT TO A: must be refused, at either "
            "of the two; RSET, never DATA."
        ),
    ),
    verdicts={
        "pass": N_("the user's own address is accepted, the other one refused with 553 5.7.1"),
        "warn": N_("refused permanently, with another code"),
        "fail": N_("the other address is accepted"),
        "error": N_("the login or the user's own address is refused, 4xx, silence, or a dropped connection"),
        "skip": N_("no account with a known password"),
    },
    refs=("RFC 6409 section 6.1", "postconf(5) reject_sender_login_mismatch"),
    ports=SUBMISSION_PORTS,
)
def spoof_envelope(context: PortContext) -> Iterator[Finding]:
    account = context.account
    if account is None or account.password is None:
        yield context.skip(lacking(context.domain))
        return
    context.transcript.hide(account.password.reveal())
    other = _other_address(context, account)
    client = context.smtp(secret=True)
    with client.connection:
        login = client.login(account.login_name, account.password.reveal())
        if not login.accepted:
            yield context.error(
                _("cannot tell, because the login is refused: {reply}").format(reply=login.words)
            )
            return
        own = tried(client, Attempt(account.address, f"<{account.address}>", False))
        if own.reply.kind != 2:
            yield context.error(
                _("cannot tell, because the user's own address is refused too: {attempt}").format(attempt=own)
            )
            return
        tries = [
            tried(client, Attempt(sender, f"<{account.address}>", False))
            for sender in (other, f"nobody-{context.run.nonce}@{OUTSIDE}")
        ]
        foreign = min(
            tries, key=lambda outcome: outcome.reply.kind
        )  # what is taken tells more than a refusal
    advice = _(
        "{command} and put reject_sender_login_mismatch first in smtpd_sender_restrictions of {service} in master.cf"
    ).format(command="postconf -e 'smtpd_sender_login_maps = …'", service=context.port.service)
    if foreign.reply.kind == 2:
        yield context.failed(
            _("{address} may send as {other}: {reply}").format(
                address=account.address, other=foreign.attempt.sender, reply=foreign.reply
            ),
            advice,
        )
    elif foreign.reply.kind != 5:
        yield context.error(_("refused temporarily: {attempt}").format(attempt=foreign), advice)
    elif foreign.reply.code == 553 or foreign.reply.enhanced.startswith("5.7."):
        yield context.passed(str(foreign))
    else:
        yield context.warn(
            _("refused, but not because of the sender: {attempt}").format(attempt=foreign), advice
        )
