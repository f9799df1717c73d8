"""What is told of accounts' states and dates before anything is done."""

from __future__ import annotations

from mailprov.model.accounts import Account
from mailprov.model.inventory import Domain
from mailprov.model.states import AppPassword, Expiry, State
from mailprov.plan.states import SOON, advisories, of_account

NOW = 1_800_000_000  # 2027-01-15 08:00 UTC


def said(*accounts: Account, aliases: tuple[tuple[str, str], ...] = ()) -> list[str]:
    return list(advisories(Domain("a.test", ("mx1",), accounts=accounts, aliases=aliases), NOW))


BOSS = Account("boss@a.test")


def test_a_date_is_told_when_it_is_past_or_near_and_no_earlier() -> None:
    assert said(BOSS, Account("x@a.test", expires=Expiry(NOW))) == [
        "x@a.test has expired, on 2027-01-15 08:00 UTC: it is suspended; write a later date, or take it out"
    ]
    near = Account("x@a.test", state=State.NO_LOGIN, expires=Expiry(NOW + 3600, State.NO_RECEIVE))
    assert said(BOSS, near) == ["x@a.test expires on 2027-01-15 09:00 UTC: it will be suspended"]
    assert said(BOSS, Account("x@a.test", expires=Expiry(NOW + SOON))) == []


def test_so_is_that_of_a_password() -> None:
    phone = AppPassword("phone", ("imap",), expires=NOW)
    assert said(Account("x@a.test", app_passwords=(phone,))) == [
        "x@a.test: the password phone has expired, on 2027-01-15 08:00 UTC; take it out"
    ]


def test_a_name_that_must_be_answered_and_is_refused_is_told() -> None:
    deaf = Account("x@a.test", state=State.SUSPENDED)
    assert said(BOSS, deaf) == []
    (sentence,) = said(BOSS, deaf, aliases=(("postmaster@a.test", "x@a.test"),))
    assert sentence.startswith("postmaster@a.test leads to an account that gets no mail")
    assert len(said(deaf)) == 2


def test_who_sets_up_a_program_is_told_what_the_account_may_do() -> None:
    phone = AppPassword("phone", ("imap", "submission"))
    account = Account(
        "x@a.test",
        state=State.NO_RECEIVE,
        expires=Expiry(NOW + 1, State.NO_LOGIN),
        app_passwords=(phone, AppPassword("old", ("imap",), expires=NOW)),
    )
    assert list(of_account(account, NOW)) == [
        "mail for x@a.test is refused: it is no-receive",
        "x@a.test expires on 2027-01-15 08:00 UTC: it will be suspended",
        "x@a.test has passwords of programs besides its own: phone (imap, submission)",
    ]
    assert next(of_account(account, NOW + 1)) == "x@a.test may not log in: it is suspended"
