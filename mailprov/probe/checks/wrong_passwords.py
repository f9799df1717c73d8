"""The probe of wrong passwords: `auth.bad-password`, on all ports of a host at once.

A refusal takes seconds (mailprov's Dovecot: five, Debian's: two), so that all ports together take as long as one. Where
Dovecot's penalty is on, as on servers that others built, each *new* wrong password of an address makes the next login
from there wait 4, 8, 15, 15 s, a right one of anybody ends that, and a user and password that were refused before add
nothing. So one port goes first with the wrong password, a right login follows at once and sits out the one penalty
there is, and then all others try the same user and the same wrong password at the same time. Without a penalty the
right login is let in at once, before the wrong one is refused, and nothing waits.

On a host that mailprov built there should be none, so there this runs beside everything else and from the beginning:
the first two of those logins come before all others. Where the right one is not let in before the wrong one is refused,
the rest is done when everything else is, as whoever logs in from here would have to wait, too.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.ports import Protocol
from mailprov.probe.accounts import lacking
from mailprov.probe.clients.client import Login
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.context import PortContext
from mailprov.probe.registry import LOGIN_PORTS, Phase, Scope, probe

if TYPE_CHECKING:
    from mailprov.components.fail2ban import Fail2ban

_RIGHT = "auth.ok"  # the probe that this one builds on
# From sending the first wrong password until the server has counted it; the answer to it comes much later.
_HEAD_START = 0.15

Answer = Login | ProbeError  # or why nothing was decided


class _First(NamedTuple):
    """Where the wrong password was sent first, and what is said to it."""

    context: PortContext
    answer: Future[Answer]


@probe(
    "auth.bad-password",
    Scope.PORTS,
    N_("A wrong password is rejected"),
    expected=N_("the right password is accepted, a wrong one refused, the right one accepted again"),
    steps=(
        N_(
            "As one account on each host; after everything else, and only where auth.ok passed, where the server makes "
            "whoever guesses wait (Dovecot's penalty), else beside it."
        ),
        N_("Log in with the right password on every port."),
        N_(
            "Log in with a wrong one, the same everywhere: on one port first, then the right one on another, which "
            "waits as long as the server makes guessers wait; then the wrong one on all others at the same time."
        ),
        N_("Log in with the right password again."),
    ),
    verdicts={
        "pass": N_("accepted; refused with 535, NO or -ERR; accepted"),
        "fail": N_("the wrong password is accepted"),
        "error": N_(
            "the right password does not work, so a refusal of the wrong one proves nothing; or 4xx, silence"
        ),
        "skip": N_(
            "no account with a known password; or fail2ban would ban this machine, which fail2ban.ignore does not name"
        ),
    },
    refs=("RFC 4954 section 6", "RFC 5530 section 3", "RFC 3206 section 4"),
    ports=LOGIN_PORTS,
    phase=Phase.WRONG_PASSWORDS,
    after=_RIGHT,
    seconds=lambda timing: timing.wrong_password,
)
def bad_passwords(contexts: Sequence[PortContext]) -> Iterator[Finding]:
    """`contexts`: ports of one host, all with the same account."""
    able: list[PortContext] = []
    for context in sorted(contexts, key=lambda context: context.port.protocol is not Protocol.IMAP):
        if (early := _early(context)) is None:
            able.append(context)
        else:
            yield early
    if not able:
        return
    with ThreadPoolExecutor(len(able), thread_name_prefix="passwords") as pool:
        first, calm = _beside(pool, able, contexts[0].target)
        for context in [] if calm else able.copy():
            if (early := _without_control(context)) is not None:
                able.remove(context)
                yield early
        rights = list(zip(able, pool.map(_right, able), strict=True))
        if first is not None and not all(_let_in(answer) for __, answer in rights):
            # The wrong one was counted late, and who logs in waits for it after all: once more when that is over.
            first.answer.result()
            rights = _once_more(pool, rights)
        good = [context for context, answer in rights if _let_in(answer)]
        answers = _wrong_everywhere(pool, good, first)
        # One of them alone first, IMAP where there is any: it sits out what is left of a penalty, and ends it. Postfix
        # waits for Dovecot no longer than ten seconds, and then says 454 to the right password.
        again = [*map(_right, good[:1]), *pool.map(_right, good[1:])]
        for context, bad, answer in zip(good, answers, again, strict=True):
            yield _judged(context, bad, answer)
    lost = [(context, answer) for context, answer in rights if not _let_in(answer)]
    if calm and lost:  # where auth.ok says why, once is enough
        contexts[0].run.turns.wait_controlled(contexts[0].host.name)
    for context, answer in lost:
        yield _without_control(context) or _shut_out(context, answer)


def _beside(
    pool: ThreadPoolExecutor, contexts: Sequence[PortContext], key: Target
) -> tuple[_First | None, bool]:
    """Beside the others: what the first port is going to say to the wrong password, and whether nobody has to wait for
    it. Where somebody has to, it is our turn when everything else is done.
    """
    run = contexts[0].run
    if not run.turns.beside(key):
        return None, False
    first, calm = None, False
    if len(contexts) > 1:
        first, calm = _primed(pool, contexts)
    if not calm:
        run.turns.restless(key)
    run.turns.begun(key)
    if calm:
        return first, True
    if run.turns.wait_finished(run.stop):
        first = None  # a server does not remember for long whom it has refused
    for context in contexts:
        context.begin()
    return first, False


def _early(context: PortContext) -> Finding | None:
    account = context.account
    if account is None or account.password is None:
        return context.skip(lacking(context.domain))
    from mailprov.components import fail2ban  # brings the schema's library, which `explain` has no use for

    banning = fail2ban.SETTING.of(context.host)
    if banning is not None and not spared(banning, context):
        own = context.run.way.source(context.address)
        form = _(
            "wrong passwords would get this machine banned by fail2ban: put its address into fail2ban.ignore, then "
            "apply"
        )
        if own:
            form = _(
                "wrong passwords would get this machine banned by fail2ban: put {address} into fail2ban.ignore, then "
                "apply"
            )
        return context.skip(form.format(address=own))
    context.transcript.hide(account.password.reveal(), _made_up(context))
    return None


def _without_control(context: PortContext) -> Finding | None:
    """Where the right password does not work, a refusal of the wrong one would prove nothing."""
    before = context.run.verdicts.get((_RIGHT, context.target))
    if before is Verdict.SKIP:
        return context.skip(_("not tried: no password is taken here (see {probe})").format(probe=_RIGHT))
    if before not in {None, Verdict.PASS}:
        context.waits_for = f"{_RIGHT} {context.target}"
        return context.error(
            _("not tried: the right password does not work here (see {probe})").format(probe=_RIGHT)
        )
    return None


def spared(fail2ban: Fail2ban, context: PortContext) -> bool:
    """Whether `ignore` names us. Where our address is private and the server's is not, the network between translates
    ours: then whoever wrote anything into `ignore` is believed to have known.
    """
    if not fail2ban.ignore:
        return False
    own, there = context.run.way.source(context.address), ipaddress.ip_address(context.address)
    if own and (ipaddress.ip_address(own).is_global or not there.is_global):
        return there.is_loopback or fail2ban.spares(own)
    return True


def _made_up(context: PortContext) -> str:
    """The same wrong password on every port: a server's penalty grows with each *new* one."""
    return f"wrong-{context.run.nonce}"


def _wrong_everywhere(
    pool: ThreadPoolExecutor, contexts: Sequence[PortContext], first: _First | None
) -> list[Answer]:
    """`first`: what a port is going to say to it, as it has been sent there already."""
    if len(contexts) > 1 and (first is None or first.context not in contexts):
        first, __ = _primed(pool, contexts)
    futures = [
        first.answer if first and first.context is each else pool.submit(_wrong, each, threading.Event())
        for each in contexts
    ]
    return [future.result() for future in futures]


def _primed(pool: ThreadPoolExecutor, contexts: Sequence[PortContext]) -> tuple[_First, bool]:
    """The wrong password on the first port. Whether a right one on the second was let in before that was refused."""
    begun = threading.Event()
    first = _First(contexts[0], pool.submit(_wrong, contexts[0], begun))
    begun.wait()
    time.sleep(_HEAD_START)
    answer = _right(contexts[1])
    calm = _let_in(answer) and not first.answer.done()
    return first, calm


def _right(context: PortContext) -> Answer:
    assert context.account is not None
    assert context.account.password is not None
    return _answer(context, context.account.password.reveal(), threading.Event())


def _wrong(context: PortContext, begun: threading.Event) -> Answer:
    try:
        return _answer(context, _made_up(context), begun)
    finally:
        begun.set()


def _once_more(
    pool: ThreadPoolExecutor, rights: Sequence[tuple[PortContext, Answer]]
) -> list[tuple[PortContext, Answer]]:
    """The right password again where it did not get in; on the first of all ports alone before."""
    _right(rights[0][0])
    lost = [context for context, answer in rights if not _let_in(answer)]
    answers = pool.map(_right, lost)
    return [(context, answer if _let_in(answer) else next(answers)) for context, answer in rights]


def _let_in(answer: Answer) -> bool:
    return isinstance(answer, Login) and answer.accepted


def _shut_out(context: PortContext, answer: Answer) -> Finding:
    if isinstance(answer, ProbeError):
        return context.could_not_test(answer)
    return context.error(_("the right password does not work: {reply}").format(reply=answer.words))


def _answer(context: PortContext, password: str, begun: threading.Event) -> Answer:
    """One login on a connection of its own, over trusted TLS. `begun`: the password is sent now."""
    assert context.account is not None
    try:
        client = context.open(context.host, context.address, context.port, secret=True)
        with client.connection:
            begun.set()
            return client.login(context.account.login_name, password)
    except ProbeError as error:
        return error


def _judged(context: PortContext, bad: Answer, again: Answer) -> Finding:
    if isinstance(bad, ProbeError):
        return context.could_not_test(bad)
    if bad.accepted:
        return context.failed(
            _("a wrong password is accepted: {reply}").format(reply=bad.words),
            _(
                "see the passdb (doveconf -n passdb): static, nopassword or an empty password must not be there"
            ),
        )
    if isinstance(again, ProbeError):
        return context.could_not_test(again)
    if again.accepted:
        return context.passed(bad.words)
    return context.error(
        _("the wrong password is refused, but then the right one too: {reply}").format(reply=again.words)
    )
