"""What has left a host's queue and is in no mailbox never comes: asked, instead of waiting for it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailprov.model.findings import Verdict
from mailprov.model.inventory import Host
from mailprov.probe import QueueTold, QueueWaiting
from mailprov.probe.clients.errors import Interrupted
from mailprov.probe.queues import Ask, Queues
from mailprov.selftest.scripted_lab import ScriptedLab

GONE = QueueTold(whole=True)
RESTS = QueueWaiting("4F00BA", "deferred", "Ana@alpha.test", "lost connection with the LMTP server")


def answers(told: QueueTold, first: Callable[[], None] = lambda: None) -> tuple[Ask, list[list[str]]]:
    asked: list[list[str]] = []

    def ask(host: Host, addresses: Collection[str], age: float, seconds: float) -> QueueTold:
        assert age >= 0
        assert seconds > 0
        asked.append([host.name, *addresses])
        first()
        return told

    return ask, asked


def sent(lab: ScriptedLab) -> int:
    return sum(command == "DATA" for command in lab.world.commands)


def test_a_second_message_that_comes_late_is_seen_where_the_queue_is_asked(lab: ScriptedLab) -> None:
    """It is answered by nobody, and no message that is sent after it waits for it."""
    lab.spoil("smuggles-late", "")
    ask, asked = answers(GONE, lambda: lab.world.flush())
    (finding,) = lab.verify("smuggle.in", hosts=["mx1"], queues=ask)
    assert (finding.verdict, asked) == (Verdict.FAIL, [["mx1", "ana@alpha.test"]])
    assert "a second message is accepted after a false end; 3 arrived" in finding.observed


def test_where_the_queue_is_asked_nothing_is_sent_to_pass_the_time(lab: ScriptedLab) -> None:
    ask, asked = answers(GONE)
    (finding,) = lab.verify("smuggle.in", hosts=["mx1"], queues=ask)
    assert (finding.verdict, len(asked), sent(lab)) == (Verdict.PASS, 1, 1 + 7)
    assert finding.observed.startswith("7 of 7 accepted as one message, none as two; ")
    assert "slow to arrive" not in finding.observed


@pytest.mark.parametrize(
    ("managed", "why"),
    [
        (True, "as the queue of mx1 could not be asked: connection refused"),
        (False, "as mx1 has `managed: false`, so its queue is not asked"),
    ],
)
def test_where_nobody_can_be_asked_the_result_says_what_is_weaker(
    lab: ScriptedLab, managed: bool, why: str
) -> None:
    hosts = tuple(dataclasses.replace(host, managed=managed) for host in lab.inventory.hosts)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    ask, asked = answers(QueueTold(error="connection refused"))
    (finding,) = lab.verify("smuggle.in", hosts=["mx1"], queues=ask)
    assert (finding.verdict, len(asked), sent(lab)) == (Verdict.PASS, managed, 1 + 7 + 1)
    assert f"one that is slow to arrive would not have been seen, {why}" in finding.observed


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (GONE, "only 1 of 8 accepted messages arrived, and none is in the queue any more"),
        (
            QueueTold(whole=True, waiting=(RESTS,)),
            "1 of 8 accepted messages arrived; 4F00BA for Ana@alpha.test waits in the queue of mx1 (deferred): lost "
            "connection with the LMTP server",
        ),
    ],
)
def test_messages_that_do_not_arrive_are_not_waited_for(lab: ScriptedLab, told: QueueTold, why: str) -> None:
    lab.spoil("loses-repeats", "")
    (finding,) = lab.verify("smuggle.in", hosts=["mx1"], queues=answers(told)[0])
    assert (finding.verdict, finding.timed_out) == (Verdict.ERROR, False)
    assert why in finding.observed


@pytest.mark.parametrize(
    ("told", "why", "hosts"),
    [
        (GONE, "accepted, and in no mailbox; it is in no queue any more", ["mx1", "mx2"]),
        (
            QueueTold(whole=True, waiting=(dataclasses.replace(RESTS, address="eva@beta.test"),)),
            "accepted; 4F00BA for eva@beta.test waits in the queue of mx1 (deferred): lost connection with the "
            "LMTP server",
            ["mx1"],
        ),
    ],
)
def test_mail_that_was_lost_or_is_deferred_is_not_waited_for(
    lab: ScriptedLab, told: QueueTold, why: str, hosts: list[str]
) -> None:
    """The sender's host is asked first: what has left it is in the queue of the recipient's, or was."""
    lab.spoil("loses-mail", "")
    ask, asked = answers(told)
    findings = lab.verify("delivery.path", hosts=["mx1"], queues=ask)
    there = [item for item in findings if item.target.account.startswith("ana@")]
    assert {(item.verdict, item.observed, item.timed_out) for item in there} == {(Verdict.FAIL, why, False)}
    assert list(dict.fromkeys(name for name, address in asked if address == "eva@beta.test")) == hosts


def host(lab: ScriptedLab) -> Host:
    return lab.inventory.host("mx1")


def test_threads_that_ask_at_once_share_a_question(lab: ScriptedLab) -> None:
    begun, go = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        assert go.wait(60)

    ask, asked = answers(QueueTold(whole=True, waiting=(RESTS,)), first)
    queues = Queues(ask, 10, threading.Event())
    with ThreadPoolExecutor(9) as pool:
        one = pool.submit(queues.gone, host(lab), ["ana@alpha.test"])
        assert begun.wait(60)
        others = [pool.submit(queues.gone, host(lab), [f"u{number}@alpha.test"]) for number in range(8)]
        while len(getattr(queues._open.get("mx1"), "addresses", ())) < 8:
            assert not go.wait(0.001)
        go.set()
        assert [each.result().sure for each in others] == [True] * 8  # nothing of theirs is left
        assert not one.result().sure
    assert [len(addresses) for __, *addresses in asked] == [1, 8]


def test_a_host_that_cannot_be_asked_is_asked_once(lab: ScriptedLab) -> None:
    ask, asked = answers(QueueTold(error="no route"))
    queues = Queues(ask, 10, threading.Event())
    assert {queues.gone(host(lab), ["ana@alpha.test"]).why for _ in range(3)} == {
        "the queue of mx1 could not be asked: no route"
    }
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (QueueTold(), "Postfix runs on mx1, and its queue could not be read whole"),
        (QueueTold(running=False), "Postfix does not run on mx1"),
    ],
)
def test_what_was_not_seen_whole_is_not_gone(lab: ScriptedLab, told: QueueTold, why: str) -> None:
    left = Queues(answers(told)[0], 10, threading.Event()).gone(host(lab), ["ana@alpha.test"])
    assert (left.sure, left.why) == (False, why)


def test_an_answer_to_a_run_that_was_stopped_is_none(lab: ScriptedLab) -> None:
    stop = threading.Event()
    queues = Queues(answers(GONE, stop.set)[0], 10, stop)
    with pytest.raises(Interrupted):
        queues.gone(host(lab), ["ana@alpha.test"])
