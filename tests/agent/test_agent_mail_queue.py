"""Postfix's queue: told with its reasons in little memory, and acted on message by message, whatever else happens.

postqueue's output is as Postfix 3.5 to 3.10 print it, recorded on hosts; the programs are fake_postfix.py's.
"""

from __future__ import annotations

import json
import os
import random
import string
import time
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import files, runs
from mailprov.agent.mail_queue import ids, reasons
from mailprov.model.queue import is_id
from tests.agent.driver import Agent, job, of_kind
from tests.agent.fake_postfix import Spool
from tests.agent.test_agent_rollback import history

ONE, TWO, LONG = "4F0A1B2C3D", "4F0A1B2C3E", "4jd6bZ6tFsz2RBGG"


@pytest.fixture
def spool(root: Path) -> Spool:
    return Spool(root)


def look(spool: Spool, **queue: Any) -> Agent:
    agent = Agent(None, job(str(spool.root), "queue", queue={"limit": 5, **queue}), spool.before)
    agent.end()
    return agent


def state(agent: Agent) -> dict[str, Any]:
    (found,) = of_kind(agent.messages, "queue_state")
    return found


def told(agent: Agent) -> list[str]:
    return [one["id"] for message in of_kind(agent.messages, "queued") for one in message["messages"]]


def act(spool: Spool, action: str, *names: str, go: bool = True, between: Any = None) -> list[dict[str, Any]]:
    work = job(str(spool.root), "queue_act", action=action, ids=list(names), run="20261130T000000Z-0a1b2c")
    agent = Agent(None, work, spool.before)
    if agent.until("plan")["t"] == "plan" and agent.messages[-1]["waits"]:
        if between is not None:
            between()
        agent.send("go", fingerprint=agent.messages[-1]["fingerprint"]) if go else agent.send("cancel")
    agent.end()
    return agent.messages


def notices(messages: list[dict[str, Any]]) -> str:
    return "\n".join(message["text"] for message in of_kind(messages, "notice"))


REFUSED = '"delay_reason": "connect to 10.78.8.2[10.78.8.2]:25: Connection refused"'
RECORDED = [  # of Debian 11, 12 and 13: a recipient has no reason where no delivery was tried
    '{"queue_name": "deferred", "queue_id": "27687FF0615", "arrival_time": 1796006115, "message_size": 265, '
    '"forced_expire": false, "sender": "ana@alpha.test", "recipients": [{"address": "x@[10.78.8.2]", '
    '"delay_reason": "connect to 10.78.8.2[10.78.8.2]:25: No route to host"}]}',
    '{"queue_name": "deferred", "queue_id": "4jd6bZ6tFsz2RBGG", "arrival_time": 1796003850, "message_size": 300, '
    '"forced_expire": false, "sender": "MAILER-DAEMON", "recipients": [{"address": "x@[10.78.8.2]", '
    f"{REFUSED}}}]}}",
    '{"queue_name": "maildrop", "queue_id": "4jd6cw19JJz2R0qM", "arrival_time": 1796003920, "message_size": 114, '
    '"forced_expire": false, "sender": "ana@alpha.test", "recipients": [{"address": "x@[10.78.8.2]"}]}',
]


def test_what_postqueue_prints_is_told(spool: Spool) -> None:
    (spool.path / "extra").write_text("\n".join(RECORDED) + "\n")
    agent = look(spool, all=True)

    found = {one["id"]: one for message in of_kind(agent.messages, "queued") for one in message["messages"]}
    assert list(found) == ["27687FF0615", "4jd6bZ6tFsz2RBGG", "4jd6cw19JJz2R0qM"]
    assert [one["sender"] for one in found.values()] == ["ana@alpha.test", "", "ana@alpha.test"]
    assert found["27687FF0615"]["until"] == 1796006115 + 5 * 86400
    assert found["4jd6bZ6tFsz2RBGG"]["until"] == 1796003850 + 86400  # bounces have a lifetime of their own
    assert found["4jd6cw19JJz2R0qM"]["recipients"] == [{"address": "x@[10.78.8.2]", "reason": ""}]
    counts = state(agent)["counts"]
    assert counts == {"active": 0, "deferred": 2, "hold": 0, "incoming": 0, "maildrop": 1}
    assert not state(agent)["running"]
    assert "Postfix is not running here" in notices(agent.messages)


def test_the_next_try_is_the_time_of_the_file_where_hashing_puts_it(spool: Spool) -> None:
    """As seen on Debian 12 and 13: deferred/D/DEA26FD6B6E, deferred/E/4jd6bZ6tFsz2RBGG, deferred/3/4jd6bq1VSZz2R1ZN."""
    assert [ids.folder(name, 1) for name in ("DEA26FD6B6E", LONG, "4jd6bq1VSZz2R1ZN")] == ["D/", "E/", "3/"]
    spool.put(ONE)
    (spool.path / "deferred/4").mkdir()
    (spool.path / "deferred" / ONE).rename(spool.path / "deferred/4" / ONE)
    (spool.path / "extra").write_text((spool.path / "deferred/4" / ONE).read_text() + "\n")
    spool.hook("postqueue", "")
    program = (spool.root / "tools/postqueue").read_text()
    (spool.root / "tools/postqueue").write_text(program.replace("in sorted((spool / q).iterdir())", "in ()"))
    os.utime(spool.path / "deferred/4" / ONE, (1, 1_700_000_777))
    (message,) = of_kind(look(spool).messages, "queued")

    assert message["messages"][0]["next"] == 1_700_000_777


def test_the_oldest_are_told_and_all_are_counted(spool: Spool) -> None:
    for number in range(30):
        spool.put(f"4F0A1B{number:04X}", arrived=1_700_000_000 + (number * 7) % 30)
    agent = look(spool, limit=3)

    assert told(agent) == ["4F0A1B0000", "4F0A1B000D", "4F0A1B001A"]
    assert (state(agent)["messages"], state(agent)["told"], state(agent)["all"]) == (30, 3, 30)
    assert state(agent)["oldest"] == 1_700_000_000


@pytest.mark.parametrize(
    ("narrow", "found"),
    [
        ({"ids": [TWO]}, [TWO]),
        ({"sender": "ANA@"}, [ONE]),
        ({"sender": "<>"}, [LONG]),
        ({"recipient": "Y@Else"}, [TWO]),
        ({"reason": "greylisted"}, [TWO]),
        ({"queues": ["hold"]}, [LONG]),
        ({"sender": "ana@", "reason": "greylisted"}, []),
    ],
)
def test_what_is_asked_for_is_looked_for_on_the_host(
    spool: Spool, narrow: dict[str, Any], found: list[str]
) -> None:
    spool.put(ONE)
    spool.put(TWO, sender="eva@a.test", to="y@else.test", reason="host mx said: 450 Greylisted")
    spool.put(LONG, "hold", sender="MAILER-DAEMON")
    agent = look(spool, **narrow)

    assert told(agent) == found
    assert (state(agent)["messages"], state(agent)["all"]) == (len(found), 3)


def test_reasons_that_differ_in_ids_alone_are_one() -> None:
    for form in (
        "connect to mx.else.test[192.0.2.%d]:25: Connection refused",
        "host mx.else.test[2001:db8::%d] said: 451 4.7.1 <x%d@else.test>: Greylisted, see https://g.test/%d",
        "host mx.else.test[192.0.2.1] said: 450 try again in %d seconds (id 1abcDEF%d-0001)",
        "delivery temporarily suspended: lost connection with mx.else.test[192.0.2.%d] while receiving the greeting",
    ):  # fmt: skip
        count = form.count("%d")
        one, two = form % ((1,) * count), form % ((2,) * count)
        assert reasons.same(one) == reasons.same(two)
    assert reasons.same("host mx.else.test[192.0.2.1] said: 451 4.7.1 no") != reasons.same(
        "host mx.else.test[192.0.2.1] said: 451 4.7.2 no"
    )
    assert reasons.same("connect to mx.else.test[192.0.2.1]:25: Connection timed out") == (
        "connect to mx.else.test:25: Connection timed out"
    )


HOSTILE = [
    "\x1b[2J",
    "\u202e",
    "a\nb",
    "\0",
    "x" * 100_000,
    "<" * 50_000,
    "[" * 50_000,
    "1" * 50_000,
    "é" * 9000,
]


def test_hostile_reasons_are_told_in_good_time_and_cut(spool: Spool) -> None:
    for number, text in enumerate(HOSTILE):
        spool.put(f"4F0A1B{number:04X}", sender=text[:200], to=text, reason=text)
    agent = look(spool, all=True)

    assert state(agent)["messages"] == len(HOSTILE)
    for message in of_kind(agent.messages, "queued"):
        for one in message["messages"]:
            assert all(len(each["reason"]) <= 2000 for each in one["recipients"])
    assert all(len(each["text"]) <= 300 for each in state(agent)["reasons"])


def test_lines_that_are_no_messages_are_counted_and_stop_nothing(spool: Spool) -> None:
    spool.put(ONE)
    lines = [
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        b"x" * (17 << 20),
        b'{"queue_id": "ALL"}',
    ]
    (spool.path / "extra").write_bytes(b"\n".join(lines) + b"\n")
    agent = look(spool)

    assert (told(agent), state(agent)["unreadable"]) == ([ONE], len(lines))


@pytest.mark.parametrize(
    ("program", "code", "what"),
    [
        (
            "postqueue",
            "sys.exit('postqueue: fatal: bad numerical configuration: x')",
            "bad numerical configuration: x",
        ),
        (
            "postconf",
            "sys.exit('postconf: fatal: open /etc/postfix/main.cf')",
            "Postfix's configuration is wrong: ",
        ),
    ],
)
def test_a_postfix_that_cannot_be_asked_is_one_sentence(
    spool: Spool, program: str, code: str, what: str
) -> None:
    spool.hook(program, code)
    end = look(spool).messages[-1]

    assert (end["status"], end["advice"]) == ("failed", "run `postfix check` on the host")
    assert what in end["what"]


def test_a_host_without_postfix_has_no_queue(spool: Spool) -> None:
    (spool.root / "tools/postqueue").unlink()
    before = spool.before.replace(":/usr/bin:/bin", "")
    agent = Agent(None, job(str(spool.root), "queue", queue={}), before)
    agent.end()

    assert agent.messages[-1]["what"] == "Postfix is not installed on this host, so it has no queue"


def test_the_memory_of_the_agent_does_not_grow_with_the_queue(spool: Spool) -> None:
    """Messages as postqueue prints them, every one told; 100,000 of them took 14.3 MB, and so did 1,000."""

    def peak(count: int) -> int:
        line = json.loads(RECORDED[0])
        line["sender"] = "a-long-name-of-a-sender-that-is-not-short@alpha.test"
        with (spool.path / "extra").open("w") as file:
            for number in range(count):
                file.write(json.dumps({**line, "queue_id": f"4F0A1{number:06X}"}) + "\n")
        done = (
            "import atexit, resource, sys, os\n"
            "from mailprov.agent.channel import Channel\n"
            "say = Channel.say\n"
            "def told(self, t, **fields):\n"
            "    if t == 'end':\n"
            "        say(self, 'progress', text=str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))\n"
            "    say(self, t, **fields)\n"
            "Channel.say = told\n"
        )
        agent = Agent(None, job(str(spool.root), "queue", queue={"all": True}), f"{spool.before}\n{done}")
        agent.end()
        assert state(agent)["told"] == count
        return int(of_kind(agent.messages, "progress")[-1]["text"])  # KiB

    few = peak(1_000)
    assert peak(25_000) - few < 8_000  # they are 10 MB


# Acting.


def test_each_action_does_it_to_that_message_alone_and_is_in_the_history(spool: Spool) -> None:
    for name in (ONE, TWO, LONG):
        spool.put(name)
    assert act(spool, "hold", LONG)[-1]["status"] == "ok"
    assert (spool.where(LONG), spool.where(ONE), spool.where(TWO)) == ("hold", "deferred", "deferred")
    act(spool, "release", LONG)
    assert spool.where(LONG) == "deferred"
    act(spool, "flush", LONG)
    messages = act(spool, "delete", LONG)
    assert spool.ids() == {ONE, TWO}
    assert spool.calls() == [
        f"postsuper -h {LONG}",
        f"postsuper -H {LONG}",
        f"postqueue -i {LONG}",
        f"postsuper -h {LONG}",  # first held: nobody delivers it then, and its id stays its own
        f"postsuper -d {LONG}",
    ]

    told_runs = history(spool.root)
    assert [(run["action"], run["ids"], run["changed"], run["status"]) for run in told_runs] == [
        (action, [LONG], 1, "ok") for action in ("hold", "release", "flush", "delete")
    ]
    assert not any(run["next"] for run in told_runs)  # no rollback undoes it
    (copy,) = spool.root.glob("var/lib/mailprov/runs/*/*.eml")
    assert (copy.name, copy.stat().st_mode & 0o777) == (f"{LONG}.eml", 0o600)
    assert copy.read_text() == f"Subject: text of {LONG}\n\nbody\n"
    assert copy.with_suffix(".recipients").read_text() == "x@else.test\n"
    assert f"a copy of {LONG} stays on the host" in notices(messages)


def test_all_that_is_deferred_is_tried_again_where_no_id_is_given(spool: Spool) -> None:
    spool.put(ONE)
    spool.put(TWO, "hold")
    act(spool, "flush")

    assert spool.calls() == ["postqueue -f"]


@pytest.mark.parametrize("action", ["flush", "hold", "release", "delete"])
def test_a_no_does_nothing_and_nothing_is_remembered(spool: Spool, action: str) -> None:
    spool.put(ONE, "hold" if action == "release" else "deferred")
    act(spool, action, ONE, go=False)

    assert spool.calls() == []
    assert history(spool.root) == []


@pytest.mark.parametrize("action", ["flush", "hold", "release", "delete"])
@pytest.mark.parametrize("differs", [{"arrived": 1_700_000_001}, {"sender": "eva@a.test"}, None])
def test_another_message_of_the_same_id_is_left_alone(
    spool: Spool, action: str, differs: dict[str, Any] | None
) -> None:
    """A short id is used again: what was shown has gone, and another message came by its name."""
    queue = "hold" if action == "release" else "deferred"
    spool.put(ONE, queue)
    spool.put(TWO, queue)

    def between() -> None:
        (spool.path / queue / ONE).unlink()
        if differs:
            spool.put(ONE, queue, **differs)

    messages = act(spool, action, ONE, TWO, between=between)

    assert spool.where(ONE) == (queue if differs else "")
    assert not [call for call in spool.calls() if ONE in call]
    assert [call for call in spool.calls() if TWO in call]  # the other one that was named is done
    end = messages[-1]
    assert (end["status"], end["changed"]) == ("failed", 1)
    assert end["what"].startswith(f"{ONE} is no longer in the queue as it was shown")
    assert f"mailprov trace --queue-id {ONE}" in end["advice"]


def test_an_id_that_is_taken_anew_while_it_is_being_held_is_let_go_again(spool: Spool) -> None:
    """Between the look and postsuper: the window that its manual page warns of."""
    spool.put(ONE)
    code = (
        f"if words == ['-h', {ONE!r}]:\n"
        "    path = find(words[1]); told = json.loads(path.read_text()); told['arrival_time'] += 5\n"
        "    path.write_text(json.dumps(told))\n"
    )
    spool.hook("postsuper", code)
    messages = act(spool, "delete", ONE)

    assert spool.where(ONE) == "deferred"
    assert spool.calls() == [f"postsuper -h {ONE}", f"postsuper -H {ONE}"]
    assert messages[-1]["status"] == "failed"


def test_what_is_so_already_is_said_and_needs_no_go(spool: Spool) -> None:
    spool.put(ONE, "hold")
    spool.put(TWO)
    assert "is held already" in notices(act(spool, "hold", ONE))
    assert "is not held" in notices(act(spool, "release", TWO))
    assert spool.calls() == []


@pytest.mark.parametrize(
    ("action", "queue"),
    [("flush", "hold"), ("flush", "maildrop"), ("hold", "maildrop"), ("delete", "maildrop")],
)
def test_what_cannot_be_done_there_is_a_failure(spool: Spool, action: str, queue: str) -> None:
    spool.put(ONE, queue)
    end = act(spool, action, ONE)[-1]

    assert (end["status"], spool.where(ONE), spool.calls()) == ("failed", queue, [])
    assert "nothing was done to it" in end["what"]


def test_where_no_copy_can_be_kept_nothing_is_deleted(spool: Spool) -> None:
    spool.put(ONE)
    spool.hook("postcat", "if '-b' in words: sys.exit('postcat: fatal: no')")
    end = act(spool, "delete", ONE)[-1]

    assert end["what"] == f"no copy of {ONE} could be kept, so it was not deleted: postcat: fatal: no"
    assert spool.where(ONE) == "deferred"  # and is not held either
    assert not list(spool.root.glob("var/lib/mailprov/runs/*/*.eml"))


@pytest.mark.parametrize("struck", ["postsuper -h", "postcat -b", "postsuper -d"])
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_each_step_leaves_it_as_it_was_or_deleted_with_its_copy(
    spool: Spool, struck: str, after: bool
) -> None:
    """SIGKILL of the agent before and after each program that it calls; the watchdog or the next run puts it right.

    Before: the program goes on without the agent, and does its work a second later.
    """
    spool.put(ONE)
    spool.put(TWO)
    program, flag = struck.split()
    kill = "import signal; os.kill(os.getppid(), signal.SIGKILL); time.sleep(1)"
    when = f"import atexit; atexit.register(lambda: exec({kill!r}, globals()))" if after else kill
    once = (
        f"if {flag!r} in words and not (spool / 'struck').exists():\n    (spool / 'struck').touch(); {when}\n"
    )
    spool.hook(program, once)
    work = job(str(spool.root), "queue_act", action="delete", ids=[ONE], run="20261130T000000Z-0a1b2c")
    agent = Agent(None, work, spool.before)
    agent.until("plan")
    agent.send("go", fingerprint=agent.messages[-1]["fingerprint"])
    while agent.next() is not None:
        pass
    deadline = time.monotonic() + 120
    while (spool.root / "var/lib/mailprov/journal").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    act(spool, "hold", TWO)  # whatever the watchdog left

    copies = list(spool.root.glob(f"var/lib/mailprov/runs/*/{ONE}.eml"))
    assert spool.where(ONE) == "deferred" or (spool.where(ONE) == "" and len(copies) == 1)
    assert spool.where(TWO) == "hold"
    assert (spool.path / "struck").exists()
    first = history(spool.root)[0]
    assert first["status"].startswith("interrupted")


def test_two_at_once_wait_for_each_other_or_say_so(spool: Spool) -> None:
    spool.put(ONE)
    first = Agent(None, job(str(spool.root), "queue_act", action="delete", ids=[ONE]), spool.before)
    first.until("plan")
    second = act(spool, "delete", ONE)
    first.send("go", fingerprint=first.messages[-1]["fingerprint"])

    assert first.end()["status"] == "ok"
    assert second[-1]["what"].startswith("locked by ana@laptop")
    assert [call for call in spool.calls() if "-d" in call] == [f"postsuper -d {ONE}"]


def test_copies_stay_as_long_as_the_history_has_the_run(tmp_path: Path) -> None:
    for number in range(60):
        folder = tmp_path / f"var/lib/mailprov/runs/20261130T000000Z-{number:06d}"
        folder.mkdir(parents=True)
        for name in ("log", f"{ONE}.eml", f"{ONE}.recipients", "events"):
            (folder / name).write_text("x")
    runs.thin_out(files.Tree(str(tmp_path)))
    left = sorted(path for path in tmp_path.rglob("*.eml"))

    assert len(left) == runs.KEEP_LOGS
    assert {path.name for path in left[0].parent.iterdir()} == {"log", f"{ONE}.eml", f"{ONE}.recipients"}


# Names of messages; more of them in tests/attacks/test_queue.py.


@pytest.mark.parametrize(
    "word", ["ALL", "-", "*", "4F0A1B2C3*", "4f0a1b2c3d", "4F0A1B2C3D\n", "4jd6bZ6tFsz", ""]
)
def test_no_other_word_than_a_whole_id_is_one(word: str) -> None:
    assert not ids.is_id(word)
    assert not is_id(word)


def test_a_word_that_is_no_id_reaches_no_program(spool: Spool) -> None:
    spool.put(ONE)
    work = job(str(spool.root), "queue_act", action="delete", ids=[ONE, "ALL"])
    assert Agent(None, work, spool.before).end()["what"] == "'ALL' is not a queue id"
    agent = Agent(None, job(str(spool.root), "queue_act", action="delete", ids=[]), spool.before)
    assert agent.end()["what"] == "no message is named"
    assert (spool.calls(), spool.where(ONE)) == ([], "deferred")


def test_controller_and_host_agree_what_an_id_is() -> None:
    chance = random.Random(1)
    letters = string.ascii_letters + string.digits + "zzz"
    for _number in range(20_000):
        word = "".join(chance.choice(letters) for _each in range(chance.randint(1, 20)))
        word = (
            word if chance.random() < 0.5 else f"{word[:10].translate({ord(c): '7' for c in 'AEIOUaeiou'})}z7"
        )
        assert ids.is_id(word) == is_id(word), word
    assert all(map(is_id, (ONE, TWO, LONG, "DEA26FD6B6E", "4jd6cw19JJz2R0qM", "000001")))
