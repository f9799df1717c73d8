"""Probes of logins: the right password in, none in clear, no login where there should be none.

Public: the probes `auth.ok`, `auth.not-on-25`, `tls.enforced`; login_as and works for others. Errors of `connection`
pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.model.findings import Finding, Verdict
from mailprov.model.ports import TlsStart
from mailprov.probe.accounts import lacking
from mailprov.probe.clients import tls
from mailprov.probe.clients.connection import ProbeError
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.managesieve import Sieve
from mailprov.probe.clients.session import Client
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.context import PortContext
from mailprov.probe.registry import Phase, Scope, ports_where, probe

LOGIN_PORTS = ports_where(lambda port: port.login)
CLEAR_LOGIN_PORTS = ports_where(lambda port: port.login and port.tls is TlsStart.UPGRADE)


class TemporaryFailure(ProbeError):
    """The server gave a temporary refusal (4xx, [UNAVAILABLE], [SYS/TEMP], [IN-USE]): nothing was decided."""


def login_as(client: Client, user: str, password: str) -> tuple[bool, str]:
    """(let in, the server's words). Raises TemporaryFailure when the server did not decide."""
    if isinstance(client, Smtp):
        smtp_reply = client.login(user, password)
        if smtp_reply.kind == 4 or smtp_reply.code == 421:
            raise TemporaryFailure(f"temporary refusal: {smtp_reply}")
        return smtp_reply.code == 235, str(smtp_reply)
    if isinstance(client, Imap):
        response = client.login(user, password)
        if response.code in {"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"}:
            raise TemporaryFailure(f"temporary refusal: {response}")
        return response.status == "OK", str(response)
    if isinstance(client, Sieve):
        sieve_reply = client.login(user, password)
        if sieve_reply.code == "TRYLATER" or sieve_reply.status == "BYE":
            raise TemporaryFailure(f"temporary refusal: {sieve_reply}")
        return sieve_reply.ok, str(sieve_reply)
    pop_reply = client.login(user, password)
    if pop_reply.code in {"SYS/TEMP", "IN-USE", "LOGIN-DELAY"}:
        raise TemporaryFailure(f"temporary refusal: {pop_reply}")
    return pop_reply.ok, str(pop_reply)


def works(client: Client, account: str) -> tuple[bool, str]:
    """Whether a command works that needs a login: MAIL FROM, SELECT, LISTSCRIPTS, STAT. (worked, the server's words)"""
    if isinstance(client, Smtp):
        smtp_reply = client.mail(account)
        if smtp_reply.kind == 4:
            raise TemporaryFailure(f"temporary refusal of MAIL FROM: {smtp_reply}")
        if smtp_reply.code == 250:
            client.command("RSET")
        return smtp_reply.code == 250, str(smtp_reply)
    if isinstance(client, Imap):
        response = client.command("SELECT INBOX")
        return response.status == "OK", str(response)
    if isinstance(client, Sieve):
        sieve_reply = client.command("LISTSCRIPTS")
        return sieve_reply.ok, str(sieve_reply)
    pop_reply = client.command("STAT")
    return pop_reply.ok, str(pop_reply)


def _other_login(context: PortContext) -> str:
    """What else the inventory may have to say of an account on a server that others built."""
    if context.account is None or context.host.managed or context.account.login is not None:
        return ""
    local = context.account.local_part
    return f"; if the login is not the address, as of a system user, give the account `login: {local}`"


@probe(
    "auth.ok",
    Scope.PORT_ACCOUNTS,
    "The right password opens the door",
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
        let_in, words = login_as(client, account.login_name, password)
        if not let_in:
            yield context.failed(
                f"refused: {words}",
                f"see the server's log, and on the host: doveadm auth test {account.login_name}{_other_login(context)}",
            )
            return
        worked, after = works(client, account.address)
    if worked:
        yield context.passed(f"{words}; then {after}")
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
            client.starttls(tls.looking_context(), context.host.fqdn)
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


def _clear_attempt(client: Client, user: str, password: str) -> tuple[Verdict, str]:
    """A login in clear with a made-up account: what the answer shows."""
    if isinstance(client, Smtp):
        reply = client.login(user, password)
        if reply.kind in {2, 3}:
            return Verdict.FAIL, str(reply)
        if reply.kind == 4:
            return Verdict.ERROR, str(reply)
        return Verdict.WARN if reply.code == 535 else Verdict.PASS, str(reply)
    if isinstance(client, Imap):
        disabled = "LOGINDISABLED" in client.capabilities()
        response = client.login(user, password)
        if response.status == "OK":
            return Verdict.FAIL, str(response)
        if response.code in {"UNAVAILABLE", "INUSE", "LIMIT"}:
            return Verdict.ERROR, str(response)
        refused = response.code == "PRIVACYREQUIRED" or response.status == "BAD"
        refused = refused or (disabled and response.code != "AUTHENTICATIONFAILED")
        return Verdict.PASS if refused else Verdict.WARN, str(response)
    if isinstance(client, Sieve):
        offered = "PLAIN" in client.mechanisms
        answer = client.login(user, password)
        if answer.ok:
            return Verdict.FAIL, str(answer)
        if answer.code == "TRYLATER" or answer.status == "BYE":
            return Verdict.ERROR, str(answer)
        refused = not offered and "authentication failed" not in answer.text.lower()
        return Verdict.PASS if refused or answer.code == "ENCRYPT-NEEDED" else Verdict.WARN, str(answer)
    client.connection.transcript.hide(password)
    first = client.command(f"USER {user}")
    if not first.ok:
        return Verdict.ERROR if first.code == "SYS/TEMP" else Verdict.PASS, str(first)
    second = client.command(f"PASS {password}", "PASS ****")
    if second.ok:
        return Verdict.FAIL, str(second)
    return Verdict.ERROR if second.code == "SYS/TEMP" else Verdict.WARN, str(second)


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
        verdict, words = _clear_attempt(
            client, f"nobody-{context.run.nonce}@example.invalid", f"wrong-{context.run.nonce}"
        )
    if verdict is Verdict.PASS:
        yield context.passed(words)
    elif verdict is Verdict.ERROR:
        yield context.error(f"temporary refusal: {words}")
    elif verdict is Verdict.WARN:
        yield context.warn(f"the password was looked at in clear: {words}", advice)
    else:
        yield context.failed(f"a made-up login in clear gets: {words}", advice)
