"""Probes of what accounts may do: who may not log in cannot, who gets no mail is refused at RCPT, and a password of a
program works for its protocols alone.

Public: the probes `state.login`, `state.mail`, `state.app-password`. Errors of `clients` pass through; the runner makes
them errors. Whether an account has expired is decided by the clock of this machine, as far as two clocks agree.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.accounts import Account
from mailprov.model.findings import Finding
from mailprov.model.inventory import Domain
from mailprov.model.ports import Port, Protocol
from mailprov.model.states import AppPassword
from mailprov.probe.accounts import USED_FOR, has_password, lacking, logs_in, names, receives, usable
from mailprov.probe.checks.relay import outside_sender
from mailprov.probe.clients.smtp import Reply
from mailprov.probe.context import PortContext
from mailprov.probe.registry import LOGIN_PORTS, Scope, ports_where, probe

_RCPTS = 5  # accounts in one session, below the errors at which Postfix slows down
_STATED = (550, "5.2.1")


def _shut(domain: Domain) -> list[Account]:
    return [account for account in domain.accounts if not logs_in(account)]


def _deaf(domain: Domain) -> list[Account]:
    return [account for account in domain.accounts if not receives(account)]


def _program_passwords(domain: Domain) -> list[tuple[Account, AppPassword]]:
    """Of those who may log in, what is good now."""
    now = time.time()
    return [
        (account, app)
        for account in domain.accounts
        if logs_in(account)
        for app in account.app_passwords
        if app.holds(now)
    ]


def _drawn(name: str, context: PortContext) -> bytes:
    """Others in the next run, so that in time each has its turn."""
    return hashlib.sha256(f"{context.run.ident} {name}".encode()).digest()


@probe(
    "state.login",
    Scope.PORT_DOMAIN,
    N_("Who may not log in cannot, with the right password"),
    expected=N_("the right password of an account that is no-login, suspended or expired so is refused"),
    steps=(
        N_("Connect with TLS and verify the certificate."),
        N_("Log in with the right password, as one such account of each domain, which the run chooses."),
        N_("As a control, log in as an account of the domain that may: must be let in."),
    ),
    verdicts={
        "pass": N_("refused, as a wrong password is"),
        "fail": N_("let in"),
        "error": N_(
            "the other account is refused as well; certificate not trusted, temporary refusal, silence, or a dropped "
            "connection"
        ),
        "skip": N_(
            "the inventory has only hashes of the passwords of such accounts, or no account of the domain may log in"
        ),
    },
    refs=("RFC 4954 section 6", "RFC 5530 section 3", "RFC 3206 section 4"),
    ports=LOGIN_PORTS,
    applies=lambda context: bool(_shut(context.domain)),
    unless=N_("no account is no-login, suspended or expired so"),
    seconds=lambda timing: timing.wrong_password,
)
def state_login(context: PortContext) -> Iterator[Finding]:
    assert context.domain is not None
    shut = _shut(context.domain)
    known = [account for account in shut if has_password(account)]
    if not known:
        yield context.skip(
            _("not tried, as only a hash of the password is known: {names}").format(names=names(shut))
        )
        return
    account = min(known, key=lambda each: _drawn(each.address, context))
    assert account.password is not None
    accepted, words = _login(context, account, account.password.reveal())
    seen = _("{address}: {reply}").format(address=account.address, reply=words)
    if accepted:
        yield context.failed(seen, _advice(context))
    else:
        yield _without_control(context) or context.passed(seen)


def _without_control(context: PortContext) -> Finding | None:
    """Where nobody is let in, it proves nothing that somebody is not."""
    assert context.domain is not None
    other = usable(context.domain)
    if other is None or other.password is None:
        return context.skip(
            _("refused, but nobody is there to compare with: {reason}").format(reason=lacking(context.domain))
        )
    accepted, words = _login(context, other, other.password.reveal())
    if accepted:
        return None
    context.waits_for = f"auth.ok {context.target}"
    return context.error(
        _("cannot tell, because {address} is refused as well: {reply}").format(
            address=other.address, reply=words
        ),
        _("see auth.ok"),
    )


def _advice(context: PortContext) -> str:
    return _(
        "see on the host that mailprov-states.service has run and which lines {file} has: systemctl status "
        "mailprov-states.service; then mailprov apply"
    ).format(file="/var/lib/mailprov-states")


def _login(context: PortContext, account: Account, password: str) -> tuple[bool, str]:
    context.transcript.hide(password)
    client = context.open(context.host, context.address, context.port, secret=True)
    with client.connection:
        login = client.login(account.login_name, password)
    return login.accepted, login.words


@probe(
    "state.mail",
    Scope.PORT_DOMAIN,
    N_("Mail for an account that gets none is refused"),
    expected=N_("550 5.2.1 at RCPT for an account that is no-receive, suspended or expired so"),
    steps=(
        N_("MAIL FROM an outside address."),
        N_("RCPT TO an address of the domain that must be accepted; otherwise nothing would be proved."),
        N_("RCPT TO five such accounts, then RSET, never DATA."),
    ),
    verdicts={
        "pass": N_("refused with 550 5.2.1"),
        "warn": N_("refused permanently, with another code"),
        "fail": N_("accepted"),
        "error": N_("the other address is refused too, 4xx, silence, or a dropped connection"),
    },
    refs=("RFC 3463 section 3.3", "RFC 5321 section 4.2"),
    ports=ports_where(lambda port: port.number == 25),
    applies=lambda context: bool(_deaf(context.domain)),
    unless=N_("no account is no-receive, suspended or expired so"),
)
def state_mail(context: PortContext) -> Iterator[Finding]:
    assert context.domain is not None
    deaf = sorted(_deaf(context.domain), key=lambda each: _drawn(each.address, context))[:_RCPTS]
    good = [each for each in context.domain.accounts if receives(each)]
    known = good[0].address if good else ""
    client = context.smtp()
    with client.connection:
        start = client.mail(outside_sender(context))
        control = client.rcpt(known) if known and start.code == 250 else start
        replies: dict[str, Reply] = {}
        if control.kind == 2:
            replies = {account.address: client.rcpt(account.address) for account in deaf}
            client.command("RSET")
    if control.kind != 2:
        yield context.error(
            _("cannot tell, because {address} is refused as well: {reply}").format(
                address=known or outside_sender(context) or "<>", reply=control
            )
        )
        return
    seen = {address: f"{address}: {reply}" for address, reply in replies.items()}
    for address, reply in replies.items():
        if reply.kind == 2:
            yield context.failed(seen[address], _advice(context))
            return
    for address, reply in replies.items():
        if reply.kind != 5:
            yield context.error(_("refused temporarily: {reply}").format(reply=seen[address]))
            return
    odd = [address for address, reply in replies.items() if (reply.code, reply.enhanced) != _STATED]
    if odd:
        yield context.warn(seen[odd[0]], _advice(context))
    else:
        yield context.passed("; ".join(seen.values()))


@probe(
    "state.app-password",
    Scope.PORT_DOMAIN,
    N_("A password of a program works for its protocols"),
    expected=N_("accepted on the ports of its protocols; refused on the others"),
    steps=(
        N_("Connect with TLS and verify the certificate."),
        N_("Log in with a password that is for this port's protocol, which the run chooses."),
        N_(
            "On ports with TLS from the first byte and on ManageSieve: log in with one that is for other protocols. "
            "To the server that is a wrong password, so it is not tried where fail2ban would ban this machine."
        ),
    ),
    verdicts={
        "pass": N_("the one accepted, the other refused"),
        "fail": N_("the one refused, or the other accepted"),
        "error": N_("certificate not trusted, temporary refusal, silence, or a dropped connection"),
        "skip": N_("the inventory has only hashes of such passwords, or none to try on this port"),
    },
    refs=("RFC 4954 section 6", "RFC 5530 section 3", "RFC 3206 section 4"),
    ports=LOGIN_PORTS,
    applies=lambda context: bool(_program_passwords(context.domain)),
    unless=N_("no account has `app_passwords`"),
    seconds=lambda timing: timing.wrong_password,
)
def state_app_password(context: PortContext) -> Iterator[Finding]:
    assert context.domain is not None
    every = _program_passwords(context.domain)
    known = [(account, app) for account, app in every if app.password is not None]
    known.sort(key=lambda pair: _drawn(f"{pair[0].address}/{pair[1].name}", context))
    here = USED_FOR[context.port.protocol]
    right = next((pair for pair in known if here in pair[1].protocols), None)
    wrong = next((pair for pair in known if here not in pair[1].protocols), None)
    if wrong is not None and not (_alone(context.port) and _unbanned(context)):
        wrong = None
    if right is None and wrong is None:
        told = ", ".join(f"{account.address}/{app.name}" for account, app in every[:5])
        text = (
            _("not tried here, as they are for other protocols: {names}")
            if known
            else _("not tried, as only a hash of the password is known: {names}")
        )
        yield context.skip(text.format(names=told))
        return
    seen = []
    for pair, wanted in ((right, True), (wrong, False)):
        if pair is None:
            continue
        account, app = pair
        assert app.password is not None
        accepted, words = _login(context, account, app.password.reveal())
        seen.append(
            _("{address}/{name}, for {protocols}: {reply}").format(
                address=account.address, name=app.name, protocols=", ".join(app.protocols), reply=words
            )
        )
        if accepted is not wanted:
            yield context.failed(seen[-1], _advice(context))
            return
    early = _without_control(context) if right is None else None
    yield early or context.passed("; ".join(seen))


def _alone(port: Port) -> bool:
    """One port of each protocol is enough: the same passwords are asked behind both."""
    return port.protocol is Protocol.SIEVE or port.number in (465, 993, 995)


def _unbanned(context: PortContext) -> bool:
    from mailprov.components import fail2ban  # brings the schema's library, which `explain` has no use for
    from mailprov.probe.checks.wrong_passwords import spared

    banning = fail2ban.SETTING.of(context.host)
    return banning is None or spared(banning, context)
