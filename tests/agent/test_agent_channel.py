"""The whole conversation with the real agent, in a process of its own, on a root."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.agent.driver import (
    Agent,
    contents,
    converse,
    file,
    job,
    of_kind,
    snapshot,
    state,
    whole_state,
)

SOME = state(files=(file("/etc/a/one", "1\n"), file("/etc/a/two", "2\n")))


def test_a_first_apply_makes_everything_and_a_second_writes_nothing(every_python: str, root: Path) -> None:
    messages = converse(root, whole_state(), python=every_python)
    kinds = [message["t"] for message in messages if message["t"] not in ("progress", "beat")]
    plan = of_kind(messages, "plan")[0]

    assert kinds == ["hello", "facts", "plan", *["applied"] * len(plan["changes"]), "end"]
    assert [message["change"] for message in of_kind(messages, "applied")] == plan["changes"]
    assert (messages[-1]["status"], messages[-1]["changed"]) == ("ok", len(plan["changes"]))
    assert plan["compared"] == "4 files, 2 accounts, 1 certificate"
    assert (root / "etc/postfix/main.cf").read_text() == "myhostname = mx1.alpha.test\n"
    modes = {
        path: os.stat(root / path).st_mode & 0o7777 for path in ("etc/postfix/main.cf", "etc/dovecot/users")
    }
    modes.update({path: os.stat(root / path).st_mode & 0o7777 for path in ("var/vmail", "etc/tls/mx1.key")})
    assert modes == {
        "etc/postfix/main.cf": 0o644,
        "etc/dovecot/users": 0o640,
        "var/vmail": 0o750,
        "etc/tls/mx1.key": 0o600,
    }
    before = snapshot(root)
    again = converse(root, whole_state(), python=every_python)

    assert [message["t"] for message in again] == ["hello", "facts", "plan", "end"]
    assert (again[-1]["status"], again[-1]["changed"]) == ("ok", 0)
    assert of_kind(again, "plan")[0]["changes"] == []
    assert snapshot(root) == before


def test_hello_and_facts_hold_what_the_contract_says(python: str, root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text(
        'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
    )
    messages = converse(root, state(), python=python)
    hello, facts = messages[0], messages[1]["facts"]

    assert set(hello) == {"t", "version", "python", "pid", "uid", "time"}
    assert abs(hello["time"] - time.time()) < 60
    assert hello["uid"] == os.geteuid()
    assert facts["system"] == {
        "id": "debian",
        "version": "12",
        "name": "Debian GNU/Linux 12 (bookworm)",
        "like": [],
    }
    assert set(facts) == {
        "system",
        "init",
        "hostname",
        "time",
        "packages",
        "ipv4",
        "ipv6",
        "dkim",
        "tls",
        "srs",
        "peer",
    }
    assert not any(address.startswith("127.") for address in facts["ipv4"])


def test_plan_writes_nothing_at_all(python: str, root: Path) -> None:
    messages = converse(root, whole_state(), python=python, mode="plan")

    assert messages[-1]["status"] == "ok"
    assert len(of_kind(messages, "plan")[0]["changes"]) == 8
    assert list(root.iterdir()) == []


def test_another_fingerprint_is_refused(root: Path) -> None:
    agent = Agent(None, job(str(root)))
    agent.until("facts")
    agent.send("desired", state=SOME)
    agent.until("plan")
    agent.send("go", fingerprint="0" * 16)
    end = agent.end()

    assert (end["status"], end["what"]) == ("failed", "the plan has changed")
    assert contents(root) == {}


@pytest.mark.parametrize("edited", ["/etc/a/one", "/etc/a/two", "/etc/gone"])
def test_an_edit_between_plan_and_go_is_not_overwritten(root: Path, edited: str) -> None:
    converse(root, state(files=(file("/etc/a/one", "old\n"), file("/etc/gone", "old\n"))))
    agent = Agent(None, job(str(root)))
    agent.until("facts")
    agent.send("desired", state=SOME)
    fingerprint = agent.until("plan")["fingerprint"]
    path = root / edited.lstrip("/")
    path.write_text("by hand\n")
    before = contents(root)
    agent.send("go", fingerprint=fingerprint)
    end = agent.end()

    assert (end["status"], end["what"]) == ("failed", f"{edited} was changed after the plan was made")
    assert contents(root) == before


@pytest.mark.parametrize("where", ["facts", "plan"])
@pytest.mark.parametrize("how", ["cancel", "eof", "SIGTERM", "SIGHUP", "SIGINT"])
def test_a_run_that_waits_can_be_cancelled(root: Path, where: str, how: str) -> None:
    agent = Agent(None, job(str(root)))
    agent.until("facts")
    if where == "plan":
        agent.send("desired", state=SOME)
        agent.until("plan")
    if how == "cancel":
        agent.send("cancel")
    elif how == "eof":
        agent.hang_up()
    else:
        os.kill(agent.process.pid, getattr(signal, how))
    end = agent.end()

    assert (end["status"], end["changed"]) == ("cancelled", 0)
    assert contents(root) == {}


# The agent waits at its 150th safe point until something has come for it.
HALFWAY = """
import time
from mailprov.agent import session
real, looks = session.Session.check, []
def check(of):
    looks.append(0)
    while len(looks) >= 150 and of.channel._inbox.empty():
        time.sleep(0.01)
    return real(of)
session.Session.check = check
"""


@pytest.mark.parametrize("how", ["cancel", "eof"])
def test_a_cancel_in_the_middle_puts_everything_back(root: Path, how: str) -> None:
    converse(root, whole_state())
    before = contents(root)
    many = [file("/etc/postfix/main.cf", "changed\n", mode="0600")]
    many += [file(f"/etc/new/{number}/file", "x") for number in range(300)]
    agent = Agent(None, job(str(root)), HALFWAY)
    agent.go(state(files=tuple(many)))
    assert "writing 301 files" in agent.until("progress")["text"]
    deadline = time.monotonic() + 120
    while not (root / "etc/new/3").exists():
        assert time.monotonic() < deadline
    agent.send("cancel") if how == "cancel" else agent.hang_up()
    end = agent.end()

    assert end["status"] == "cancelled"
    assert "put back" in end["what"]
    assert of_kind(agent.messages, "applied") == []
    assert contents(root) == before


def test_a_controller_that_stops_listening_does_not_stop_the_work(python: str, root: Path) -> None:
    """EPIPE is silent, and what would have been said is in the journal."""
    agent = Agent([python], job(str(root)), deaf_after="plan")
    agent.go(SOME)

    assert agent.process.wait(180) == 0
    assert (root / "etc/a/two").read_text() == "2\n"
    (events,) = (root / "var/lib/mailprov/runs").glob("*/events")
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert [message["t"] for message in told] == ["progress", "applied", "applied", "end"]
    assert told[0]["text"] == "writing 2 files", "as people read it there, and not in parts"
    agent.close()


def test_a_second_apply_says_who_holds_the_lock_since_when(root: Path) -> None:
    first = Agent(None, job(str(root), owner="ana@laptop mailprov apply"))
    first.until("facts")
    end = converse(root, SOME)[-1]
    plan = converse(root, SOME, mode="plan")[-1]
    first.send("cancel")
    first.end()

    assert end["status"] == "failed"
    assert end["what"].startswith("locked by ana@laptop mailprov apply since 20")
    assert end["advice"]
    assert plan["status"] == "ok", "a plan needs no lock"
    assert converse(root, SOME)[-1]["status"] == "ok"


def test_noise_of_the_agent_and_its_children_stays_off_the_channel(python: str, root: Path) -> None:
    noisy = (
        "import socket,os,subprocess\n"
        "real=socket.gethostname\n"
        "def name():\n"
        "    print('noise of a library')\n"
        "    os.system('echo noise of a child')\n"
        "    return real()\n"
        "socket.gethostname=name\n"
        "print('a banner without an end of line', end='', flush=True)"
    )
    agent = Agent([python], job(str(root)), noisy)
    agent.go(SOME)
    assert agent.until("end")["status"] == "ok"

    assert [line for line in agent.noise if "noise of" in line] == []
    assert agent.stderr().count("noise of") == 2
    agent.close()


def test_silence_is_broken_by_beats(root: Path) -> None:
    """Every 5 s; here a second is a hundredth of one."""
    fast = "\n".join(
        (
            "import time",
            "m, s = time.monotonic, time.sleep",
            "time.monotonic = lambda: m() * 100",
            "time.sleep = lambda x: s(x / 100)",
        )
    )
    agent = Agent(None, job(str(root)), fast)
    agent.until("facts")
    assert agent.until("beat")["t"] == "beat"
    assert agent.until("beat")["t"] == "beat"
    agent.send("cancel")
    agent.end()


def test_garbage_on_the_control_channel_is_dropped(root: Path) -> None:
    agent = Agent(None, job(str(root)))
    agent.until("facts")
    agent._write(b"\n{\n[1]\n\xff\xfe\n" + b'{"t": 3}\n')
    agent.send("desired", state=SOME)

    assert agent.until("plan")["t"] == "plan"
    agent.send("cancel")
    agent.end()


def test_packages_users_and_services_are_refused_under_a_root(root: Path) -> None:
    end = converse(root, state(packages=("postfix",)))[-1]

    assert (end["status"], end["advice"]) == ("failed", "root is for tests of files")


def test_an_unforeseen_error_is_one_sentence_without_values(root: Path) -> None:
    """The place is named; neither a traceback with values nor a hang."""
    broken = state(files=(file("/etc/a", "x"),))
    broken["files"][0]["content"] = None
    end = converse(root, broken)[-1]

    assert end["status"] == "failed"
    assert "in the agent: AttributeError at " in end["what"] or "in the agent: TypeError at " in end["what"]
    assert "bug" in end["advice"]


def test_the_agent_runs_on_this_python_too(root: Path) -> None:
    assert converse(root, SOME, python=sys.executable)[-1]["status"] == "ok"
