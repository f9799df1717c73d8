"""Probes of logins: the right password in, none in clear, no login where there should be none.

Public: the probes `auth.ok`, `auth.not-on-25`, `tls.enforced`. Errors of `clients`
pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from mailprov.i18n import N_, _
from mailprov.model.accounts import Account
from mailprov.model.findings import Finding
from mailprov.model.ports import TlsStart
from mailprov.probe.accounts import lacking
from mailprov.probe.clients import tls
from mailprov.probe.clients.client import Client, Login, Outcome
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.context import PortContext
from mailprov.probe.registry import LOGIN_PORTS, Phase, Scope, ports_where, probe
from mailprov.probe.vantage import Vantage

CLEAR_LOGIN_PORTS = ports_where(lambda port: port.login and port.tls is TlsStart.UPGRADE)


def _when_refused(context: PortContext, account: Account) -> str:
    """What to do; on a server that others built the login may be another one than the inventory thinks."""
    command = f"doveadm auth test {account.login_name}"
    if context.host.managed or account.login is not None:
        return _("see the server's log, and on the host: {command}").format(command=command)
    if not context.run.described:
        return _(
            "see the server's log, and on the host: {command}; if the login is not the address, as of a system user, "
            "say `--login-as name`"
        ).format(command=command)
    return _(
        "see the server's log, and on the host: {command}; if the login is not the address, as of a system user, give "
        "the account `login: {local_part}`"
    ).format(command=command, local_part=account.local_part)


_OR_TOKENS_ALONE = N_(
    "see whether the password is right; or the server takes OAuth alone, which it offers as well, and passwords are "
    "switched off there (Exchange Online: basic authentication; Gmail wants an app password): its administrator knows"
)


def _takes_tokens(client: Client) -> bool:
    """Whether OAuth's tokens are offered, too."""
    with suppress(ProbeError):
        offered = " ".join(f"{word} {value}" for word, value in client.offers().items())
        return "XOAUTH2" in offered or "OAUTHBEARER" in offered
    return False


@probe(
    "auth.ok",
    Scope.PORT_ACCOUNTS,
    N_("A correct password is accepted"),
    expected=N_("logged in, and a command that requires a login works"),
    steps=(
        N_(
            "Connect with TLS and verify the certificate: no password is sent to a server that cannot prove who it is."
        ),
        N_(
            "Log in as three accounts of each domain, which the run chooses (--accounts N or all for another number)."
        ),
        N_("Use the login: MAIL FROM, SELECT INBOX, STAT or LISTSCRIPTS."),
    ),
    verdicts={
        "pass": N_("the command after the login works"),
        "fail": N_("the password is refused, or the command after it"),
        "error": N_("certificate not trusted, temporary refusal, silence, or a dropped connection"),
        "skip": N_(
            "no account with a known password; accounts that were not chosen, or of which the inventory has only a "
            "hash, are reported once for each domain"
        ),
    },
    refs=("RFC 4954 section 4", "RFC 9051 section 6.2.3", "RFC 1939 section 7"),
    ports=LOGIN_PORTS,
)
def auth_ok(context: PortContext) -> Iterator[Finding]:
    account = context.account
    if account is None or account.password is None:
        yield context.skip(lacking(context.domain))
        return
    password = account.password.reveal()
    context.transcript.hide(password)
    client = context.open(context.host, context.address, context.port, secret=True)
    with client.connection:
        login = client.login(account.login_name, password)
        if not login.accepted:
            tokens = _takes_tokens(client) and not context.host.managed
            advice = _(_OR_TOKENS_ALONE) if tokens else _when_refused(context, account)
            yield context.failed(_("refused: {reply}").format(reply=login.words), advice)
            return
        worked, after = client.prove_login(account.address)
    if worked:
        yield context.passed(_("{reply}; then {next_reply}").format(reply=login.words, next_reply=after))
    else:
        yield context.failed(
            _("logged in, but then: {reply}").format(reply=after), _("see the server's log for the reason")
        )


@probe(
    "auth.not-on-25",
    Scope.PORT,
    N_("No login on port 25"),
    expected=N_("AUTH is not offered, neither before nor after STARTTLS, and refused when tried"),
    steps=("EHLO; STARTTLS; EHLO.", N_("AUTH PLAIN, without sending a password.")),
    verdicts={
        "pass": N_("not offered, and refused"),
        "fail": N_("offered, or accepted without being offered"),
        "error": N_("temporary refusal, silence, or a dropped connection"),
    },
    refs=("RFC 6409 section 3.1", "RFC 8314 section 3.3"),
    ports=ports_where(lambda port: port.number == 25),
)
def auth_not_on_25(context: PortContext) -> Iterator[Finding]:
    advice = _("{command}; set it to yes in master.cf for submission and submissions only").format(
        command="postconf -e 'smtpd_sasl_auth_enable = no'"
    )
    client = context.smtp(secure=False)
    with client.connection:
        before, under = "AUTH" in client.extensions, False
        if "STARTTLS" in client.extensions:
            client.start_tls(tls.looking_context(), context.host.fqdn)
            under = "AUTH" in client.extensions
        reply = client.command("AUTH PLAIN")
        if reply.code == 334:
            client.command("*")
    if before and under:
        yield context.failed(_("AUTH is offered before TLS and under TLS"), advice)
    elif before:
        yield context.failed(_("AUTH is offered before TLS"), advice)
    elif under:
        yield context.failed(_("AUTH is offered under TLS"), advice)
    elif reply.kind == 4:
        yield context.error(_("temporary refusal of AUTH: {reply}").format(reply=reply))
    elif reply.kind == 5:
        yield context.passed(_("not offered; AUTH: {reply}").format(reply=reply))
    else:
        yield context.failed(_("AUTH is not offered, but is answered: {reply}").format(reply=reply), advice)


@probe(
    "tls.enforced",
    Scope.PORT,
    N_("No login without TLS"),
    expected=N_("the login is refused before the password is looked at"),
    steps=(
        N_("Connect without TLS."),
        N_("Try to log in with a made-up name and password, never with a real one."),
    ),
    verdicts={
        "pass": N_(
            "refused because there is no TLS (530, 538, LOGINDISABLED, PRIVACYREQUIRED, -ERR to USER, NO to a "
            "mechanism that is not offered, or to any by the same words)"
        ),
        "warn": N_("refused only after the password was looked at: a client with wrong settings reveals it"),
        "fail": N_("accepted, or asked to go on"),
        "error": N_("temporary refusal, silence, or a dropped connection"),
    },
    refs=("RFC 8314 section 3", "RFC 4954 section 4", "RFC 5530 section 3", "RFC 2595 section 2.1"),
    ports=CLEAR_LOGIN_PORTS,
    phase=Phase.WRONG_PASSWORDS,
    seconds=lambda timing: timing.wrong_password,
    vantage=Vantage.OUTSIDE,
)
def enforced(context: PortContext) -> Iterator[Finding]:
    if context.port.number == 587:
        advice = _("{command}, and {other_command}").format(
            command="postconf -P 'submission/inet/smtpd_tls_security_level=encrypt'",
            other_command="postconf -e 'smtpd_tls_auth_only = yes'",
        )
    else:
        advice = _(
            "set ssl = required, and auth_allow_cleartext = no (Dovecot 2.4) or disable_plaintext_auth = yes (2.3)"
        )
    client = context.open(context.host, context.address, context.port, secure=False)
    with client.connection:
        login = client.login(f"nobody-{context.run.nonce}@example.invalid", f"wrong-{context.run.nonce}")
        if login.outcome is Outcome.REFUSED and client.refuses_alike(login):
            login = Login(Outcome.UNSEEN, login.words)
    if login.outcome is Outcome.UNSEEN:
        yield context.passed(login.words)
    elif login.outcome is Outcome.REFUSED:
        yield context.warn(
            _("the password was looked at without TLS: {reply}").format(reply=login.words), advice
        )
    else:
        yield context.failed(_("a made-up login without TLS gets: {reply}").format(reply=login.words), advice)
