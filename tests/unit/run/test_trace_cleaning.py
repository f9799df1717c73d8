"""A trace that is interrupted takes its message back: from where it can, and says of the rest what removes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailprov.inventory import load
from mailprov.model.accounts import Account
from mailprov.model.inventory import Host, Inventory
from mailprov.model.values import replace
from mailprov.probe.clients.errors import ProbeError
from mailprov.run import trace_cleaning
from mailprov.run.trace_cleaning import Sent, take_back
from mailprov.run.trace_letter import Letter, make
from mailprov.trace.observed import Dialogue

HASH = "{SHA512-CRYPT}$6$" + "a" * 8 + "$" + "b" * 86
INVENTORY = f"""\
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {{password: {{env: PATH}}}}
      luis: {{password: {{env: PATH}}}}
      hashed: {{password: {{hash: '{HASH}'}}}}
    aliases: {{sales: luis}}
"""
ANA, LUIS, HASHED = "ana@alpha.test", "luis@alpha.test", "hashed@alpha.test"
GONE = "the message was removed from the mailbox of "


class FakeDesk:
    """A desk at which each account's mailbox gives these answers, one a look; the last one again and again."""

    def __init__(self, **answers: list[int | BaseException]) -> None:
        self.answers, self.looks = answers, list[tuple[str, str, str]]()

    def clear(self, host: Host, account: Account, password: str, field: str, value: str) -> int:
        self.looks.append((account.address, field, value))
        every = self.answers[account.address.partition("@")[0]]
        answer = every.pop(0) if len(every) > 1 else every[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    monkeypatch.setenv("PATH", "a password that is long enough")
    monkeypatch.setattr(trace_cleaning, "_PAUSE", 0.0)
    path = tmp_path / "mail.yml"
    path.write_text(INVENTORY)
    return load(path)


def sent(*to: str, login: tuple[str, str] | None = None) -> Sent:
    letter = Letter(ANA, to)
    return Sent(letter, make(letter), login)


def told(inventory: Inventory, what: Sent, desk: FakeDesk, patience: float = 60.0, **more: Any) -> list[str]:
    said: list[str] = []
    take_back(inventory, what, desk, more.get("removed", ()), said.append, patience)  # type: ignore[arg-type]
    return said


def test_a_message_that_is_still_on_its_way_is_waited_for(inventory: Inventory) -> None:
    desk = FakeDesk(ana=[1], luis=[0, 0, 1])
    what = sent(ANA, "sales@alpha.test")

    assert told(inventory, what, desk) == [GONE + ANA, GONE + LUIS]
    assert desk.looks == [(each, "X-Mailprov-Probe", what.ready.mark) for each in (ANA, LUIS, LUIS, LUIS)], (
        "a mailbox is left alone once it was removed"
    )


def test_what_does_not_come_is_named_with_the_command_that_removes_it(inventory: Inventory) -> None:
    what = sent(ANA)
    (said,) = told(inventory, what, FakeDesk(ana=[0]), patience=0.0)
    assert said == (
        "the message may be in the mailbox of ana@alpha.test or still come into it (it was not there yet; mailprov "
        "queue shows whether it waits); this removes it, on mx1: doveadm expunge -u ana@alpha.test mailbox '*' header "
        f"X-Mailprov-Probe {what.ready.mark}"
    )


def test_why_it_could_not_be_removed_is_said(inventory: Inventory) -> None:
    desk = FakeDesk(ana=[ProbeError("mx1 offers no IMAP.")])
    said = told(inventory, sent(ANA, HASHED, "x@else.test"), desk, patience=0.0)
    assert said[0] == "what goes to x@else.test cannot be taken back"
    assert "(mx1 offers no IMAP); this removes it, on mx1: doveadm expunge -u ana@alpha.test " in said[1]
    assert "(its password is not known here)" in said[2]
    assert len(said) == 3


def test_a_password_that_was_asked_for_opens_the_senders_mailbox(inventory: Inventory) -> None:
    desk = FakeDesk(hashed=[1])
    assert told(inventory, sent(HASHED, login=(HASHED, "asked")), desk) == [GONE + HASHED]


def test_who_presses_ctrl_c_once_more_is_told_what_is_left(inventory: Inventory) -> None:
    said: list[str] = []
    desk: Any = FakeDesk(ana=[1], luis=[KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        take_back(inventory, sent(ANA, LUIS), desk, (), said.append)
    assert said[0] == GONE + ANA
    assert "-u luis@alpha.test" in said[1]
    assert len(said) == 2


def test_nothing_is_said_of_whom_the_server_refused_or_was_done_with(inventory: Inventory) -> None:
    dialogue = Dialogue("mx1", 25, 0.0, 0.0, taken=(LUIS,), refused=((ANA, "550 no"),))
    what = replace(sent(ANA, LUIS), dialogue=dialogue)
    desk = FakeDesk(luis=[1])
    assert told(inventory, what, desk) == [GONE + LUIS]
    assert told(inventory, what, FakeDesk(), removed={LUIS}) == []
