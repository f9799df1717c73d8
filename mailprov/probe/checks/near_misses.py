"""The probe `auth.near-miss`: what is almost a right login is none.

Tried on one port of each host that mailprov built, all at once, beside everything else: a refusal takes seconds there,
and nobody else has to wait; where somebody has, after auth.bad-password. Servers of others may make whoever guesses
wait (Dovecot's penalty), for each password anew, and all other logins from here with them; so they are left out.
Errors of `clients` are told as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mailprov.i18n import N_, _
from mailprov.model.accounts import Account
from mailprov.model.findings import Finding
from mailprov.probe.accounts import lacking
from mailprov.probe.checks.wrong_passwords import spared
from mailprov.probe.clients.client import Login
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.context import PortContext
from mailprov.probe.registry import Phase, Scope, probe

_PORTS = (993, 143, 995, 465)  # the first that a host offers
_CUT = 8  # octets that crypt(3) reads of a password in its oldest form


def tries(account: Account, password: str, nonce: str) -> list[tuple[str, str, str]]:
    """What it is, user and password of each."""
    user = account.login_name
    found = [
        (_("a user nobody has"), f"nobody-{nonce}@{account.domain}", password),
        (_("an empty password"), user, ""),
        (
            _("the beginning of the password"),
            user,
            password[:_CUT] if len(password) > _CUT else password[:-1],
        ),
        (_("the password and one letter more"), user, f"{password}x"),
        (_("the password in the other case"), user, password.swapcase()),
        (_("the same name in another domain"), f"{account.local_part}@example.invalid", password),
    ]
    return [each for each in found if each[1:] != (user, password)]


@probe(
    "auth.near-miss",
    Scope.PORTS,
    N_("What is almost a right login is refused"),
    expected=N_("the right login is accepted, what is almost one refused, the right one accepted again"),
    steps=(
        N_("On one port of each host that mailprov built, as one account: log in with the right password."),
        N_(
            "All at once: a user nobody has, an empty password, the first eight letters of the password, one letter "
            "more, the other case, the same name in another domain."
        ),
        N_("Log in with the right password again."),
    ),
    verdicts={
        "pass": N_("accepted; all refused; accepted"),
        "fail": N_("one of them is accepted"),
        "error": N_("the right password does not work before or after, or 4xx, silence"),
        "skip": N_(
            "`managed: false`: such servers may make whoever guesses wait; no account with a known password; or "
            "fail2ban would ban this machine, which fail2ban.ignore does not name"
        ),
    },
    refs=("RFC 4954 section 6", "crypt(5)"),
    ports=_PORTS,
    phase=Phase.WRONG_PASSWORDS,
    applies=lambda context: context.address == context.run.addresses[context.host.name][0],
    seconds=lambda timing: timing.wrong_password,
)
def near_misses(contexts: Sequence[PortContext]) -> Iterator[Finding]:
    """`contexts`: ports of one host, all with the same account; one is enough."""
    context = min(contexts, key=lambda each: _PORTS.index(each.port.number))
    account = context.account
    if (reason := _not_tried(context)) or account is None or account.password is None:
        yield context.skip(reason or lacking(context.domain))
        return
    context.run.turns.wait_quiet(context.host.name)
    context.begin()
    password = account.password.reveal()
    every = tries(account, password, context.run.nonce)
    context.transcript.hide(*(word for __, __, word in every), password)
    if (early := _right(context, password)) is not None:
        yield early
        return
    # Each with a transcript of its own.
    others = [replace(context) for __ in every]
    for other in others:
        other.transcript.hide(*(word for __, __, word in every), password)
    with ThreadPoolExecutor(len(every), thread_name_prefix="near") as pool:
        answers = list(
            pool.map(lambda pair: _login(pair[0], pair[1][1], pair[1][2]), zip(others, every, strict=True))
        )
    for other in others:
        context.transcript.lines += other.transcript.lines
    taken = [
        what
        for (what, __, __), answer in zip(every, answers, strict=True)
        if isinstance(answer, Login) and answer.accepted
    ]
    broken = [answer for answer in answers if isinstance(answer, ProbeError)]
    if taken:
        yield context.failed(
            _("accepted: {logins}").format(logins=", ".join(taken)),
            _(
                "see the passdb and its scheme (doveconf -n): a hash that reads all of the password, as ARGON2ID does"
            ),
        )
    elif broken:
        yield context.could_not_test(broken[0])
    else:
        yield _right(context, password) or context.passed(
            _("refused: {logins}").format(logins=", ".join(what for what, __, __ in every))
        )


def _not_tried(context: PortContext) -> str:
    if not context.host.managed:
        return _("{host} has `managed: false`: it may make whoever guesses wait").format(
            host=context.host.name
        )
    from mailprov.components import fail2ban  # brings the schema's library, which `explain` has no use for

    banning = fail2ban.SETTING.of(context.host)
    if banning is not None and not spared(banning, context):
        return _(
            "wrong passwords would get this machine banned by fail2ban: put its address into fail2ban.ignore, then "
            "apply"
        )
    return ""


def _right(context: PortContext, password: str) -> Finding | None:
    """None where the right password works."""
    assert context.account is not None
    answer = _login(context, context.account.login_name, password)
    if isinstance(answer, ProbeError):
        return context.could_not_test(answer)
    if not answer.accepted:
        return context.error(_("the right password does not work: {reply}").format(reply=answer.words))
    return None


def _login(context: PortContext, user: str, password: str) -> Login | ProbeError:
    try:
        client = context.open(context.host, context.address, context.port, secret=True)
        with client.connection:
            return client.login(user, password)
    except ProbeError as error:
        return error
