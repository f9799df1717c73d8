"""What is done in an account for tests alone and how it is left; what becomes of messages when a run is stopped."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from mailprov.model.findings import Finding, Verdict
from mailprov.probe import Leftovers, QueueTold
from mailprov.probe.filling import Filling
from mailprov.selftest.address_cases import gone
from mailprov.selftest.mailbox_cases import PROBES
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, SKIP = Verdict.PASS, Verdict.SKIP
OLD = [b"old mail\r\n\r\nbody\r\n"]
TESTS = "user9@alpha.test"


@pytest.fixture
def box(lab: ScriptedLab) -> ScriptedLab:
    lab.with_a_mailbox_for_tests()
    return lab


def left(lab: ScriptedLab) -> list[bytes]:
    return [text for box in lab.world.boxes.values() for text in box if text]


def only(found: list[Finding], host: str) -> dict[str, Finding]:
    return {item.id: item for item in found if item.target.host == host}


def test_all_of_it_passes_and_the_mailbox_is_as_it_was(box: ScriptedLab) -> None:
    box.world.boxes[TESTS].append(b"Subject: kept\r\n\r\nof somebody\r\n")
    found = box.verify(" ".join(PROBES), queues=gone)

    mine = only(found, "mx1")
    assert {name: item.verdict for name, item in mine.items()} == dict.fromkeys(PROBES, PASS), found
    assert "full: 552 5.2.2" in mine["quota.full"].observed
    assert "[OVERQUOTA]" in mine["quota.full"].observed
    assert left(box) == [*OLD, b"Subject: kept\r\n\r\nof somebody\r\n"]
    assert not any(command.startswith("DATA") for command in box.world.commands)


def test_without_such_an_account_nothing_is_touched_and_that_is_said(box: ScriptedLab) -> None:
    found = only(box.verify(" ".join(PROBES), queues=gone), "mx2")

    assert {item.verdict for item in found.values()} == {SKIP}
    assert {item.observed for item in found.values()} == {"no account of beta.test is marked `probe: true`"}


@pytest.mark.parametrize(
    ("limit", "used", "said"),
    [
        (None, 0, "has no limit; give it a small one (quota: 1M)"),
        (17 * 2**20, 0, "its limit is 17 MiB, and 16 MiB are the most that are filled"),
        (256 * 1024, 200 * 1024, "200 of its 256 KiB are in use already; empty it"),
    ],
)
def test_what_is_not_filled_is_told(box: ScriptedLab, limit: int | None, used: int, said: str) -> None:
    alpha, beta = box.inventory.domains
    accounts = tuple(
        dataclasses.replace(one, quota=limit) if one.address == TESTS else one for one in alpha.accounts
    )
    box.inventory = dataclasses.replace(
        box.inventory, domains=(dataclasses.replace(alpha, accounts=accounts), beta)
    )
    box.world.limits = {TESTS: limit} if limit else {}
    box.world.boxes[TESTS].append(b"x" * used)
    found = only(box.verify("quota", queues=gone), "mx1")

    assert (found["quota.full"].verdict, said in found["quota.full"].observed) == (SKIP, True), found
    assert found["quota.warn"].verdict is SKIP
    assert not any("APPEND" in command for command in box.world.commands)


def test_mail_for_it_waits_until_there_is_room(box: ScriptedLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one account of its domain: other probes write to it as well, and none of them finds it full."""
    waited: list[str] = []
    wait = Filling.wait

    def noted(self: Filling, addresses: Iterable[str], stop: threading.Event) -> None:
        waited.extend(addresses)
        wait(self, waited, stop)

    monkeypatch.setattr(Filling, "wait", noted)
    alpha, beta = box.inventory.domains
    accounts = tuple(one for one in alpha.accounts if one.address == TESTS)
    box.inventory = dataclasses.replace(
        box.inventory, domains=(dataclasses.replace(alpha, accounts=accounts), beta)
    )
    found = box.verify("quota address.detail", queues=gone)

    assert {item.verdict for item in found if item.target.domain == "alpha.test"} == {PASS}, found
    assert TESTS in waited
    commands = box.world.commands
    emptied = next(at for at, command in enumerate(commands) if "UID EXPUNGE" in command)
    assert all(at > emptied for at, command in enumerate(commands) if command == "DATA")


def test_who_waits_for_room_goes_on_where_the_run_is_stopped() -> None:
    filling, stop = Filling(), threading.Event()
    filling.begins("a@x.test")
    filling.wait(["b@x.test"], stop)
    waiting = threading.Thread(target=filling.wait, args=(["a@x.test"], stop), daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    stop.set()
    waiting.join()
    filling.wait(["a@x.test"], stop)
    filling.ends("a@x.test")
    filling.wait(["a@x.test"], threading.Event())


@pytest.mark.parametrize(
    "probes", ["address.alias address.list", "dsn.success delivery.within", "delivery", "smuggle.in"]
)
def test_what_was_sent_is_taken_out_where_the_run_is_stopped(lab: ScriptedLab, probes: str) -> None:
    """The stop comes between sending and looking."""
    lab.with_addresses()
    stop = threading.Event()

    def interrupted(*_: object) -> QueueTold:
        stop.set()
        return QueueTold(error="interrupted")

    leftovers = Leftovers()
    lab.verify(probes, queues=interrupted, stop=stop, accounts=None, leftovers=leftovers)

    assert left(lab) == OLD
    if probes not in (
        "delivery",
        "smuggle.in",
    ):  # some of theirs may be stopped in the moment in which nobody knows whether it was taken
        assert leftovers.told() == []


def test_what_cannot_be_taken_out_is_told_with_the_command_that_does_it(lab: ScriptedLab) -> None:
    lab.with_addresses()
    stop, leftovers = threading.Event(), Leftovers()

    def interrupted(*_: object) -> QueueTold:
        lab.world.faults |= {"nobody-gets-in"}
        stop.set()
        return QueueTold(error="interrupted")

    lab.verify("address.catch-all", queues=interrupted, stop=stop, leftovers=leftovers)

    (told,) = leftovers.told()
    assert told.startswith("a test message may be in the mailbox of eva@beta.test, or still come into it (NO")
    assert (
        "this removes it, on mx2: doveadm expunge -u eva@beta.test mailbox '*' header X-Mailprov-Probe"
        in told
    )
    assert "right" not in told


def test_each_message_is_waited_for_and_what_was_refused_is_not(lab: ScriptedLab) -> None:
    """Of several to one mailbox some are still on their way when it is looked into first."""
    leftovers = Leftovers()
    host, account = lab.inventory.hosts[0], lab.inventory.domains[0].accounts[0]
    for __ in range(4):
        leftovers.note(host, account, "HEADER X-Mailprov-Probe abc")
    leftovers.refused(account, "HEADER X-Mailprov-Probe abc")
    leftovers.note(host, account, "HEADER Message-ID quota-", sure=False)
    arriving = iter([1, 0, 2])
    leftovers.clear(lambda *args: {"HEADER X-Mailprov-Probe abc": next(arriving)}, waits=True)

    assert list(arriving) == []
    assert leftovers.told() == []


def test_a_second_interruption_ends_the_cleaning_at_once(lab: ScriptedLab) -> None:
    leftovers = Leftovers()
    host, account = lab.inventory.hosts[0], lab.inventory.domains[0].accounts[0]
    leftovers.note(host, account, "HEADER X-Mailprov-Probe abc")

    def never(*args: Any) -> dict[str, int]:
        leftovers.leave()
        return {}

    leftovers.clear(never, waits=True)

    assert leftovers.told() == [
        "a test message may be in the mailbox of ana@alpha.test, or still come into it; this removes it, on mx1: "
        "doveadm expunge -u ana@alpha.test mailbox '*' header X-Mailprov-Probe abc"
    ]
