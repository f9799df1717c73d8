"""What may surprise somebody of accounts' states, dates and passwords of programs: nothing wrong in the file.

    advisories(domain, now)    sentences for people, in the file's order
    of_account(account, now)   what it may do and until when, for who sets up a mail program

Who has expired, or soon does, and names that must be answered (RFC 5321 section 4.5.1, RFC 2142) and are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.inventory import Domain
from mailprov.model.states import in_words

SOON = 14 * 86400  # seconds


def advisories(domain: Domain, now: float) -> Iterator[str]:
    for account in domain.accounts:
        if account.expires and (said := _dated(account.expires.at, now)):
            past, when = said
            yield (
                _("{address} has expired, on {time}: it is {state}; write a later date, or take it out")
                if past
                else _("{address} expires on {time}: it will be {state}")
            ).format(address=account.address, time=when, state=account.state_at(account.expires.at).value)
        for app in account.app_passwords:
            if app.expires is not None and (said := _dated(app.expires, now)):
                past, when = said
                yield (
                    _("{address}: the password {name} has expired, on {time}; take it out")
                    if past
                    else _("{address}: the password {name} expires on {time}")
                ).format(address=account.address, name=app.name, time=when)
    yield from _unanswered(domain)


def of_account(account: Account, now: float) -> Iterator[str]:
    state = account.state_at(now)
    if not state.logs_in:
        yield _("{address} may not log in: it is {state}").format(address=account.address, state=state.value)
    if not state.receives:
        yield _("mail for {address} is refused: it is {state}").format(
            address=account.address, state=state.value
        )
    if account.expires and account.expires.at > now:
        then = account.state_at(account.expires.at).value
        yield _("{address} expires on {time}: it will be {state}").format(
            address=account.address, time=in_words(account.expires.at), state=then
        )
    good = [f"{app.name} ({', '.join(app.protocols)})" for app in account.app_passwords if app.holds(now)]
    if good:
        yield _("{address} has passwords of programs besides its own: {names}").format(
            address=account.address, names=", ".join(good)
        )


def _dated(at: int, now: float) -> tuple[bool, str] | None:
    return (at <= now, in_words(at)) if at - now < SOON else None


def _unanswered(domain: Domain) -> Iterator[str]:
    deaf = {account.address for account in domain.accounts if account.may_lose[1]}
    aliases = dict(domain.aliases)
    for role in ("postmaster", "abuse"):
        start = at = f"{role}@{domain.name}"
        while at in aliases:
            at = aliases[at]
        lost = at in deaf or (at == start and deaf and len(deaf) == len(domain.accounts))
        if lost and not any(at == name for name, __ in domain.lists):
            yield _(
                "{role} leads to an account that gets no mail, or will get none, and must always be answered; name "
                "another among the aliases"
            ).format(role=start)
