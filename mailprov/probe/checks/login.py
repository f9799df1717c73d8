"""Probes of logins: the right password in, none in clear, no login where there should be none.

Public: the probes `auth.ok`, `auth.not-on-25`, `tls.enforced`. Errors of `clients`
pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.model.findings import Finding
from mailprov.model.ports import TlsStart
from mailprov.probe.accounts import lacking
from mailprov.probe.clients import tls
from mailprov.probe.clients.client import Outcome
from mailprov.probe.context import PortContext
from mailprov.probe.registry import LOGIN_PORTS, Phase, Scope, ports_where, probe

CLEAR_LOGIN_PORTS = ports_where(lambda port: port.login and port.tls is TlsStart.UPGRADE)


def _other_login(context: PortContext) -> str:
    """What else the inventory may have to say of an account on a server that others built."""
    if context.account is None or context.host.managed or context.account.login is not None:
        return ""
    local = context.account.local_part
    return f"; if the login is not the address, as of a system user, give the account `login: {local}`"


@probe(
    "auth.ok",
    Scope.PORT_ACCOUNTS,
    "A correct password is accepted",
    expected="logged in, and a command that needs a login works",
    steps=(
        "Connect with TLS and verify the certificate: no password goes to a server that cannot show who "
        "it is.",
        "Log in as three accounts of each domain, which the run chooses (--accounts N or all: as others).",
        "Use the login: MAIL FROM, SELECT INBOX, STAT or LISTSCRIPTS.",
    ),
    verdicts={
        "pass": "the command after the login works",
        "fail": "the password is refused, or the command after it",
        "error": "certificate not trusted, temporary refusal, silence, or a dropped connection",
        "skip": "no account with a known password; accounts that were not chosen, or of which the inventory has only a "
        "hash, are told once for each domain",
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
            yield context.failed(
                f"refused: {login.words}",
                f"see the server's log, and on the host: doveadm auth test {account.login_name}{_other_login(context)}",
            )
            return
        worked, after = client.prove_login(account.address)
    if worked:
        yield context.passed(f"{login.words}; then {after}")
    else:
        yield context.failed(f"logged in, but then: {after}", "see the server's log for the reason")


@probe(
    "auth.not-on-25",
    Scope.PORT,
    "No login on port 25",
    expected="AUTH is not offered, neither before nor after STARTTLS, and refused when tried",
    steps=("EHLO; STARTTLS; EHLO.", "AUTH PLAIN without an answer to it: no password is sent."),
    verdicts={
        "pass": "not offered, and refused",
        "fail": "offered, or accepted without being offered",
        "error": "temporary refusal, silence, or a dropped connection",
    },
    refs=("RFC 6409 section 3.1", "RFC 8314 section 3.3"),
    ports=ports_where(lambda port: port.number == 25),
)
def auth_not_on_25(context: PortContext) -> Iterator[Finding]:
    advice = (
        "postconf -e 'smtpd_sasl_auth_enable = no'; set it to yes in master.cf for submission and "
        "submissions only"
    )
    client = context.smtp(secure=False)
    with client.connection:
        offered = {"before TLS": client.extensions.get("AUTH")}
        if "STARTTLS" in client.extensions:
            client.start_tls(tls.looking_context(), context.host.fqdn)
            offered["under TLS"] = client.extensions.get("AUTH")
        where = [place for place, mechanisms in offered.items() if mechanisms is not None]
        reply = client.command("AUTH PLAIN")
        if reply.code == 334:
            client.command("*")
    if where:
        yield context.failed(f"AUTH is offered {' and '.join(where)}", advice)
    elif reply.kind == 4:
        yield context.error(f"temporary refusal of AUTH: {reply}")
    elif reply.kind == 5:
        yield context.passed(f"not offered; AUTH: {reply}")
    else:
        yield context.failed(f"AUTH is not offered but goes on: {reply}", advice)


@probe(
    "tls.enforced",
    Scope.PORT,
    "No login without TLS",
    expected="the login is refused before the password is looked at",
    steps=("Connect without TLS.", "Try to log in with a made-up name and password, never with a real one."),
    verdicts={
        "pass": "refused for want of TLS (530, 538, LOGINDISABLED, PRIVACYREQUIRED, -ERR to USER, NO to a mechanism "
        "that is not offered)",
        "warn": "refused only after the password was looked at: a client that gets its settings wrong "
        "gives it away",
        "fail": "let in, or asked to go on",
        "error": "temporary refusal, silence, or a dropped connection",
    },
    refs=("RFC 8314 section 3", "RFC 4954 section 4", "RFC 5530 section 3", "RFC 2595 section 2.1"),
    ports=CLEAR_LOGIN_PORTS,
    phase=Phase.WRONG_PASSWORDS,
    seconds=lambda timing: timing.wrong_password,
)
def enforced(context: PortContext) -> Iterator[Finding]:
    if context.port.number == 587:
        advice = (
            "postconf -P 'submission/inet/smtpd_tls_security_level=encrypt' and -e 'smtpd_tls_auth_only = "
            "yes'"
        )
    else:
        advice = (
            "set ssl = required, and auth_allow_cleartext = no (Dovecot 2.4) or disable_plaintext_auth = yes "
            "(2.3)"
        )
    client = context.open(context.host, context.address, context.port, secure=False)
    with client.connection:
        login = client.login(f"nobody-{context.run.nonce}@example.invalid", f"wrong-{context.run.nonce}")
    if login.outcome is Outcome.UNSEEN:
        yield context.passed(login.words)
    elif login.outcome is Outcome.REFUSED:
        yield context.warn(f"the password was looked at in clear: {login.words}", advice)
    else:
        yield context.failed(f"a made-up login in clear gets: {login.words}", advice)
