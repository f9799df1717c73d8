"""The order of things across hosts: one gate, one exit code, nobody drags another down."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mailprov.errors import HostUnreachable
from mailprov.model.events import Applied, Ended, Event, Notice, Planned, RunEnded
from mailprov.model.inventory import Host
from mailprov.run import deploy, verify
from mailprov.run.select import select
from mailprov.run.zones import ZoneWork
from mailprov.transport.channel import Channel
from tests.unit.run.scripted import FACTS, FILE, ScriptedAgent, end, hello, inventory, plan

GOOD = [hello(), {"t": "facts", "facts": FACTS}, plan(FILE)]
NOTHING = [hello(), {"t": "facts", "facts": FACTS}, plan(), end()]


class Run:
    """One deployment against scripted agents; `HostUnreachable` in place of an agent is raised on connecting."""

    def __init__(self, agents: dict[str, ScriptedAgent | HostUnreachable], **options: Any) -> None:
        self.agents = agents
        self.events: list[Event] = []
        read = inventory(*agents)
        hosts = options.pop("hosts", None)
        mode = options.pop("mode", "apply")
        verb = deploy.apply if mode == "apply" else deploy.plan
        self.code = verb(
            read,
            select(read, hosts),
            deploy.Options(**{"verify": False, **options}),
            start=self.start,
            report=self.events.append,
        )

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        agent = self.agents[host.name]
        if isinstance(agent, HostUnreachable):
            raise agent
        return agent

    def ended(self, subject: str) -> Ended:
        return next(e for e in self.events if isinstance(e, Ended) and e.subject == subject)

    def sent(self, host: str) -> list[str]:
        agent = self.agents[host]
        assert isinstance(agent, ScriptedAgent)
        return [message["t"] for message in agent.sent]


def test_a_plan_is_confirmed_with_its_fingerprint() -> None:
    agent = ScriptedAgent(GOOD)
    run = Run({"mx1": agent})

    assert run.code == 0
    assert agent.sent[-1] == {"t": "go", "fingerprint": "f1"}
    assert agent.closed


def test_without_changes_nothing_is_asked_and_nothing_sent() -> None:
    asked: list[dict[str, int]] = []
    run = Run({"mx1": ScriptedAgent(NOTHING)}, confirm=lambda counts: bool(asked.append(counts)))

    assert run.code == 0
    assert asked == []
    assert run.sent("mx1") == ["desired"]


RESTART = {"kind": "service", "action": "run", "name": "postfix", "detail": "restart", "diff": ""}


def test_done_counts_what_the_plan_counted() -> None:
    """0.1.0: `Plan: 1 to add`, `Done: 2 changes applied`, as it counted the restart that follows."""
    applied = [{"t": "applied", "change": change, "seconds": 0.1} for change in (FILE, RESTART)]
    agent = ScriptedAgent(
        [hello(), {"t": "facts", "facts": FACTS}, plan(FILE, RESTART)], [*applied, end(changed=2)]
    )
    asked: list[dict[str, int]] = []
    run = Run({"mx1": agent}, confirm=lambda counts: asked.append(counts) is None)

    assert asked == [{"create": 1, "update": 0, "delete": 0}]
    assert run.ended("mx1").changed == 1
    last = run.events[-1]
    assert isinstance(last, RunEnded)
    assert last.summary.startswith("1 change applied")


def test_where_services_were_all_there_was_to_do_they_are_what_is_done() -> None:
    agent = ScriptedAgent(
        [hello(), {"t": "facts", "facts": FACTS}, plan(RESTART)],
        [{"t": "applied", "change": RESTART, "seconds": 0.1}, end(changed=1)],
    )
    run = Run({"mx1": agent})

    last = run.events[-1]
    assert isinstance(last, RunEnded)
    assert last.summary.startswith("1 service restarted or reloaded")


def test_a_no_sends_every_host_home_and_is_not_taken_for_done() -> None:
    run = Run({"mx1": ScriptedAgent(GOOD), "mx2": ScriptedAgent(GOOD)}, confirm=lambda counts: False)

    assert run.code == 1
    assert run.events[-1].declined
    assert run.events[-1].summary == "nothing was changed"
    assert run.sent("mx1") == run.sent("mx2") == ["desired", "cancel"]
    assert not [e for e in run.events if isinstance(e, Applied)]


def test_the_question_is_asked_once_with_the_counts_of_everything() -> None:
    asked: list[dict[str, int]] = []

    def yes(counts: dict[str, int]) -> bool:
        asked.append(counts)
        return True

    Run({"mx1": ScriptedAgent(GOOD), "mx2": ScriptedAgent(GOOD)}, confirm=yes)

    assert asked == [{"create": 2, "update": 0, "delete": 0}]


def test_verification_knows_which_hosts_were_just_made(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(verify, "probe_into", lambda *_, provisioned, **__: bool(told.append(provisioned)))
    Run({"mx1": ScriptedAgent(GOOD), "mx2": ScriptedAgent(NOTHING)}, verify=None)
    Run({"mx1": ScriptedAgent(NOTHING)}, verify=True)
    Run({"mx1": ScriptedAgent(GOOD)}, verify=True, command="rollback")

    assert told == [["mx1", "mx2"], ["mx1"], []], "nobody knows what there was before the first apply"


def test_an_unreachable_host_stops_no_other() -> None:
    run = Run({"mx1": HostUnreachable("mx1", "connection refused"), "mx2": ScriptedAgent(GOOD)})

    assert run.code == 3
    assert run.ended("mx1").status == "unreachable"
    assert (run.ended("mx2").status, run.ended("mx2").changed) == ("ok", 1)
    assert isinstance(run.events[-1], RunEnded)
    assert "mx1" in run.events[-1].summary


def test_a_failure_outranks_an_unreachable_host() -> None:
    failing = ScriptedAgent(GOOD, [end("failed", "apt-get failed")])
    run = Run({"mx1": HostUnreachable("mx1", "connection refused"), "mx2": failing})

    assert run.code == 1
    assert run.ended("mx2").error == "mx2: apt-get failed."


@pytest.mark.parametrize(("offset", "word"), [(3600.0, "60 minutes ahead"), (-900.0, "15 minutes behind")])
def test_a_clock_far_off_is_refused_before_anything_is_sent(offset: float, word: str) -> None:
    run = Run({"mx1": ScriptedAgent([hello(offset), *GOOD[1:]])})

    assert run.code == 1
    assert word in run.ended("mx1").error
    assert "timedatectl" in run.ended("mx1").error
    assert run.sent("mx1") == []


def test_a_clock_a_little_off_is_no_matter() -> None:
    assert Run({"mx1": ScriptedAgent([hello(120.0), *NOTHING[1:]])}).code == 0


def test_a_connection_lost_after_the_go_is_a_failure_that_says_what_comes_next() -> None:
    run = Run({"mx1": ScriptedAgent(GOOD, [])})

    assert run.code == 1
    assert "lost" in run.ended("mx1").error
    assert "next run" in run.ended("mx1").error


def test_a_bug_on_one_host_is_named_and_stops_no_other() -> None:
    broken = ScriptedAgent(GOOD)
    broken.messages = lambda: (1 / part for part in [0])  # type: ignore[method-assign,assignment,return-value]
    run = Run({"mx1": broken, "mx2": ScriptedAgent(GOOD)})

    assert run.code == 1
    assert "internal error" in run.ended("mx1").error
    assert run.ended("mx2").status == "ok"


def test_what_the_agent_says_becomes_two_sentences() -> None:
    stopped = {**end("failed", "postfix.service is masked"), "advice": "run `systemctl unmask` there"}
    run = Run({"mx1": ScriptedAgent([*NOTHING[:-1], stopped])})

    assert run.ended("mx1").error == "mx1: postfix.service is masked. Run `systemctl unmask` there."


def test_plan_exit_code_tells_pending_changes_from_none() -> None:
    pending = [hello(), {"t": "facts", "facts": FACTS}, plan(FILE), end()]

    assert Run({"mx1": ScriptedAgent(pending)}, mode="plan").code == 0
    assert Run({"mx1": ScriptedAgent(pending)}, mode="plan", exit_code_for_changes=True).code == 4
    assert Run({"mx1": ScriptedAgent(NOTHING)}, mode="plan", exit_code_for_changes=True).code == 0


def test_without_a_name_server_the_records_are_left_to_the_user_and_that_is_said() -> None:
    run = Run({"mx1": ScriptedAgent(NOTHING)})

    assert [e for e in run.events if isinstance(e, Notice) and "mailprov dns export" in e.text]
    assert [e.subject for e in run.events if isinstance(e, Planned)] == ["mx1"]


def test_no_secret_leaves_in_an_event() -> None:
    run = Run({"mx1": ScriptedAgent(GOOD), "mx2": HostUnreachable("mx2", "no")})

    assert "s3cret-word" not in repr(run.events)


ISSUE = {
    "kind": "certificate", "action": "run", "name": "mx1.alpha.test", "detail": "to be issued", "diff": "",
}  # fmt: skip


def test_a_certificate_is_issued_after_the_zones_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority looks for the host in DNS; the agent that waits keeps nobody's zones back."""
    order: list[str] = []
    agent = ScriptedAgent(
        [hello(), {"t": "facts", "facts": FACTS}, plan(FILE, ISSUE)],
        [{"t": "applied", "change": FILE, "seconds": 0.1}, {"t": "ready"}, end(changed=2)],
    )
    publish = ZoneWork.launch_publish

    def noted(self: ZoneWork, not_ready: set[str]) -> None:
        order.append(f"publish without {sorted(not_ready)} after {agent.sent[-1]['t']}")
        publish(self, not_ready)

    monkeypatch.setattr(ZoneWork, "launch_publish", noted)
    run = Run({"mx1": agent, "mx2": ScriptedAgent(NOTHING)})

    assert order == ["publish without [] after go"]
    assert run.sent("mx1") == ["desired", "go", "issue"]
    assert run.code == 0


def test_a_refusing_authority_fails_the_host_and_nobody_else() -> None:
    failed = end("failed", "https://ca.test issued no certificate for mx1.alpha.test: no such name", 1)
    agent = ScriptedAgent(
        [hello(), {"t": "facts", "facts": FACTS}, plan(FILE, ISSUE)], [{"t": "ready"}, failed]
    )
    run = Run({"mx1": agent, "mx2": ScriptedAgent(GOOD)})

    assert run.code == 1
    assert "issued no certificate" in run.ended("mx1").error
    assert run.ended("mx2").status == "ok"


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ([], "mx1: interrupted; nothing was changed."),
        ([{"t": "applied", "change": {**FILE, "kind": "package", "name": "postfix"}, "seconds": 1.0}],
         "mx1: interrupted; packages that this run installed stay."),
    ],
)  # fmt: skip
def test_a_run_that_was_stopped_says_whether_anything_is_changed(
    before: list[dict[str, Any]], told: str
) -> None:
    """It was "cancelled." and left that open."""
    agent = ScriptedAgent(GOOD, [*before, end("cancelled", "interrupted")])
    assert Run({"mx1": agent}).ended("mx1").error == told


def test_what_was_put_back_is_said_as_the_host_says_it() -> None:
    agent = ScriptedAgent(GOOD, [end("cancelled", "interrupted; what had been written was put back")])
    assert Run({"mx1": agent}).ended("mx1").error == "mx1: interrupted; what had been written was put back."


def test_a_plan_that_lacks_a_host_says_so() -> None:
    gone = HostUnreachable("mx2", "connection refused")
    run = Run({"mx1": ScriptedAgent(NOTHING), "mx2": gone}, mode="plan")
    assert isinstance(run.events[-1], RunEnded)
    assert run.events[-1].summary == "0 to add, 0 to change, 0 to remove; not planned: mx2"


def test_ctrl_c_at_the_question_says_that_nothing_was_changed() -> None:
    """It was "mx1: interrupted" and no more."""

    def press(counts: dict[str, int]) -> bool:
        raise KeyboardInterrupt

    run = Run({"mx1": ScriptedAgent(GOOD), "mx2": ScriptedAgent(GOOD)}, confirm=press)
    assert run.code == 130
    assert {run.ended(name).status for name in ("mx1", "mx2")} == {"interrupted"}
    assert run.ended("mx1").error == "mx1: interrupted; nothing was changed."


@pytest.mark.parametrize("starts", [True, False])
def test_nothing_is_prepared_beside_the_start_of_an_agent(
    monkeypatch: pytest.MonkeyPatch, starts: bool
) -> None:
    """Threads of one Python share its time. A host that takes long is not waited for."""
    started, prepared = threading.Event(), threading.Event()
    seen: list[bool] = []
    monkeypatch.setattr(deploy, "_STARTING", 60 if starts else 0.01)

    def prepare(hosts: object) -> None:
        seen.append(started.is_set())
        prepared.set()

    monkeypatch.setattr(deploy.desired, "prepare", prepare)
    agent = ScriptedAgent(NOTHING)

    class Slow(Run):
        def start(self, host: Host, job: dict[str, Any]) -> Channel:
            assert starts or prepared.wait(60)
            assert not starts or not prepared.wait(0.05)
            started.set()
            return agent

    assert Slow({"mx1": agent}, mode="plan").code == 0
    assert seen == [starts]
