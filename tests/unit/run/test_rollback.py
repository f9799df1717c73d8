"""Which run is rolled back, on which hosts, and when nothing is; where the undo of zones is kept; the history."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from mailprov import dns
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import HostUnreachable
from mailprov.model.answers import PastRun
from mailprov.model.events import Action, Change, Ended, Event, Notice, Planned, RunEnded
from mailprov.model.inventory import Host
from mailprov.report.text import TextReport
from mailprov.run import deploy
from mailprov.run.history import history
from mailprov.run.rollback import rollback
from mailprov.run.select import select
from mailprov.transport.channel import Channel
from tests.unit.run.scripted import FACTS, FILE, Remembering, ScriptedAgent, end, hello, inventory, past, plan

R1, R2 = "20240101T200000Z-0a1b2c", "20240101T210000Z-0a1b2c"
IMAGE = {"zone": "alpha.test", "sets": []}
RECORD = Change("zone alpha.test", "record", Action.CREATE, "alpha.test MX")


class Run:
    def __init__(self, agents: dict[str, Any], command: str = "rollback", **options: Any) -> None:
        self.agents, self.jobs = agents, []  # type: ignore[var-annotated]
        self.events: list[Event] = []
        read = inventory(*agents)
        chosen = select(read)
        if command == "history":
            self.code = history(read, chosen, start=self.start, report=self.events.append)
            return
        verb = rollback if command == "rollback" else deploy.apply
        more = {"to": options.pop("to")} if "to" in options else {}
        settings = deploy.Options(command=command, verify=False, **options)
        self.code = verb(read, chosen, settings, start=self.start, report=self.events.append, **more)

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        self.jobs.append((host.name, job))
        agent = self.agents[host.name]
        if isinstance(agent, list):
            agent = agent.pop(0)
        if isinstance(agent, HostUnreachable):
            raise agent
        return agent  # type: ignore[no-any-return]

    def kinds(self, host: str) -> list[str]:
        return [message["t"] for message in self.agents[host].sent]

    @property
    def summary(self) -> str:
        assert isinstance(self.events[-1], RunEnded)
        return self.events[-1].summary


def test_only_the_last_run_is_undone_and_only_where_it_was() -> None:
    run = Run({"mx1": Remembering(past(R2), FILE), "mx2": Remembering(past(R1), FILE)})

    assert run.code == 0
    assert run.kinds("mx1") == ["target", "go"]
    assert run.kinds("mx2") == ["target"]
    assert run.agents["mx2"].sent[0]["run"] == R2
    assert run.summary == "1 change rolled back"


def test_the_secrets_of_the_inventory_are_masked_on_the_host() -> None:
    run = Run({"mx1": Remembering(past(R1), FILE)})
    assert run.agents["mx1"].sent[0]["mask"] == ["s3cret-word"]


def test_when_a_host_cannot_be_asked_nothing_is_rolled_back() -> None:
    run = Run({"mx1": HostUnreachable("mx1", "connection refused"), "mx2": Remembering(past(R1), FILE)})

    assert run.code == 3
    assert run.agents["mx2"].sent[0] == {"t": "target", "run": "", "mask": ["s3cret-word"]}
    errors = [event.error for event in run.events if isinstance(event, Ended)]
    assert any("mx1: could not be asked" in error and "--host" in error for error in errors), errors
    (planned,) = (event for event in run.events if isinstance(event, Planned))
    assert planned.compared == "could go back, but not while another host cannot be asked"
    out = io.StringIO()
    report = TextReport(Console(file=out, width=160, soft_wrap=True))
    for event in run.events:
        report(event)
    assert "Nothing was rolled back: mx1 could not be asked." in out.getvalue()
    assert "othing to undo" not in out.getvalue()


def test_when_one_host_cannot_take_part_nothing_is_rolled_back() -> None:
    """A file was edited there by hand; half a rollback would be what the next one undoes."""
    edited = Remembering(past(R1))
    edited.messages = lambda: iter(  # type: ignore[method-assign]
        [hello(), {"t": "runs", "runs": [edited.run]}, end("failed", "edited by hand since that run: /etc/a")]
    )
    run = Run({"mx1": edited, "mx2": Remembering(past(R1), FILE)})

    assert run.code == 1
    assert run.kinds("mx2") == ["target", "cancel"]
    notices = [event.text for event in run.events if isinstance(event, Notice)]
    assert notices == [
        "nothing was changed: rollback is all-or-nothing, and mx1 cannot take part (--host leaves it out)"
    ]


def test_where_a_rollback_fails_half_way_it_says_how_to_try_again() -> None:
    """Without --host the next rollback would undo this one on the other hosts."""
    failing = Remembering(past(R1), FILE)
    failing.messages = lambda: iter(  # type: ignore[method-assign]
        [
            hello(),
            {"t": "runs", "runs": [failing.run]},
            {**plan(FILE), "waits": True},
            end("failed", "disk full"),
        ]
    )
    run = Run({"mx1": failing, "mx2": Remembering(past(R1), FILE)})

    assert run.code == 1
    assert run.summary == "1 change rolled back; not done on mx1 (to try again there: --host mx1)"


def test_without_a_run_nothing_happens() -> None:
    run = Run({"mx1": Remembering(None)}, confirm=lambda counts: 1 / 0)
    assert (run.code, run.summary) == (0, "0 changes rolled back")


def test_a_no_leaves_everything() -> None:
    run = Run({"mx1": Remembering(past(R1), FILE)}, confirm=lambda counts: False)
    assert (run.code, run.kinds("mx1")) == (1, ["target", "cancel"])


def plans_zone(monkeypatch: Any, zone: str = "alpha.test", **more: Any) -> list[str]:
    """DNS with one plan for a zone; what was published is in the list."""
    published: list[str] = []
    made = ZonePlan(zone, (RECORD,), **more)
    monkeypatch.setattr(dns, "plan", lambda *_, **__: [made])
    monkeypatch.setattr(dns, "plan_undo", lambda inventory, images, served: [made] if list(images) else [])
    monkeypatch.setattr(dns, "before_image", lambda plan: IMAGE)
    monkeypatch.setattr(dns, "apply", lambda plan, emit: published.append(plan.zone))
    return published


def test_zones_are_undone_from_what_a_host_kept_and_the_host_keeps_how_to_redo_it(monkeypatch: Any) -> None:
    """The run changed nothing but records: the host takes part all the same."""
    published = plans_zone(monkeypatch, left=("alpha.test TXT",))
    run = Run({"mx1": Remembering(past(R1, IMAGE)), "mx2": Remembering(past(R1, IMAGE))})

    assert published == ["alpha.test"]
    assert run.agents["mx1"].sent[-1]["zones"] == [IMAGE]
    assert run.code == 1, "a record set is left as others changed it"
    assert run.summary.endswith("left as they are: alpha.test TXT")


def test_a_changed_host_keeps_the_undo_of_its_zones(monkeypatch: Any) -> None:
    published = plans_zone(monkeypatch)
    agent = ScriptedAgent([hello(), {"t": "facts", "facts": FACTS}, plan(FILE)])
    run = Run({"mx1": agent}, "apply")

    assert (run.code, published) == (0, ["alpha.test"])
    assert agent.sent[-1] == {"t": "go", "fingerprint": "f1", "zones": [IMAGE]}
    assert [job["mode"] for _, job in run.jobs] == ["apply"]


def test_the_undo_of_a_zone_of_which_everything_has_left_is_kept_by_all(monkeypatch: Any) -> None:
    published = plans_zone(monkeypatch, "left.test")
    agents = {
        name: ScriptedAgent([hello(), {"t": "facts", "facts": FACTS}, plan(FILE)]) for name in ("mx1", "mx2")
    }
    run = Run(agents, "apply")

    assert (run.code, published) == (0, ["left.test"])
    assert [agent.sent[-1]["zones"] for agent in agents.values()] == [[IMAGE], [IMAGE]]


def test_where_no_host_changes_its_hosts_are_asked_to_keep_it_before_anything_is_published(
    monkeypatch: Any,
) -> None:
    published = plans_zone(monkeypatch)
    keeps = ScriptedAgent([hello(), end()])
    told: list[list[str]] = []
    monkeypatch.setattr(keeps, "close", lambda: told.append(list(published)))
    run = Run(
        {"mx1": [ScriptedAgent([hello(), {"t": "facts", "facts": FACTS}, plan(), end()]), keeps]}, "apply"
    )

    assert run.code == 0
    assert [(job["mode"], job.get("zones")) for _, job in run.jobs] == [("apply", None), ("zones", [IMAGE])]
    assert run.jobs[0][1]["run"] == run.jobs[1][1]["run"]
    assert (told[0], published) == ([], ["alpha.test"]), "kept first, published then"
    assert len([event for event in run.events if isinstance(event, Ended) and event.subject == "mx1"]) == 1


def test_what_cannot_be_kept_is_told_and_published_all_the_same(monkeypatch: Any) -> None:
    published = plans_zone(monkeypatch)
    nothing = ScriptedAgent([hello(), {"t": "facts", "facts": FACTS}, plan(), end()])
    run = Run({"mx1": [nothing, HostUnreachable("mx1", "connection refused")]}, "apply")

    assert (run.code, published) == (0, ["alpha.test"])
    notices = [event.text for event in run.events if isinstance(event, Notice)]
    assert any(
        "a rollback will not know what the records of alpha.test were before" in text for text in notices
    )


def test_history_is_told_in_order_and_one_silent_host_is_named() -> None:
    told = [past(R1, zones=["alpha.test"]), past(R2, kind="rollback", undoes=R1)]
    agent = ScriptedAgent([hello(), {"t": "runs", "runs": told}, end()])
    run = Run({"mx1": HostUnreachable("mx1", "connection refused"), "mx2": agent}, "history")

    assert run.code == 3
    runs = [event for event in run.events if isinstance(event, PastRun)]
    assert [(one.subject, one.run, one.kind, one.undoes) for one in runs] == [
        ("mx2", R1, "apply", ""),
        ("mx2", R2, "rollback", R1),
    ]
    assert runs[0].zones == ("alpha.test",)
    assert agent.sent == []
    assert not [event for event in run.events if isinstance(event, Planned)]


def test_a_history_names_who_could_not_be_asked() -> None:
    told = ScriptedAgent([hello(), {"t": "runs", "runs": [past(R1)]}, end()])
    run = Run({"mx1": HostUnreachable("mx1", "connection refused"), "mx2": told}, "history")
    assert (run.code, run.summary) == (3, "1 run on mx2; mx1 could not be asked")


R3, R4 = "20240101T220000Z-0a1b2d", "20240101T230000Z-0a1b2e"


class ManyRuns(Remembering):
    """An agent that tells all its runs, the oldest first."""

    def __init__(self, *runs: dict[str, Any]) -> None:
        super().__init__(None)
        self.runs = runs

    def messages(self) -> Any:
        yield hello()
        yield {"t": "runs", "runs": list(self.runs)}
        hit = bool(self.sent[-1]["undo"])
        yield {**plan(*((FILE,) if hit else ())), "waits": hit}
        if not hit:
            yield end()
        elif self.sent[-1]["t"] == "go":
            yield end(changed=1)
        else:
            yield end("cancelled", "interrupted")


def test_back_to_a_run_undoes_all_later_ones_on_each_host(monkeypatch: Any) -> None:
    """Also on a host that was not in that run; a run that was undone at once, and a purge, are none to undo."""
    asked: list[Any] = []
    monkeypatch.setattr(dns, "plan_undo", lambda _, images, served: asked.append(images) or [])
    one, two = ({**IMAGE, "sets": [], "run": run} for run in (R3, R4))
    mx1 = ManyRuns(past(R1), past(R3, one), past(R2, committed=False, kind="purge"), past(R4, two))
    mx2 = ManyRuns(past(R2), past(R4, two))
    mx3 = ManyRuns(past(R1))
    run = Run({"mx1": mx1, "mx2": mx2, "mx3": mx3}, to="0a1b2c")

    assert run.code == 2, "two runs end so"
    mx1, mx2, mx3 = (ManyRuns(*each.runs) for each in (mx1, mx2, mx3))
    run = Run({"mx1": mx1, "mx2": mx2, "mx3": mx3}, to=R1)

    assert (run.code, run.summary) == (0, "2 changes rolled back")
    assert mx1.sent[0] == {"t": "target", "run": R1, "mask": ["s3cret-word"], "undo": [R4, R3]}
    assert mx2.sent[0]["undo"] == [R4, R2]
    assert (mx3.sent[0]["undo"], run.kinds("mx3")) == ([], ["target"])
    assert asked[-1] == [{**one, "told": ["mx1"]}, {**two, "told": ["mx1", "mx2"]}], "the oldest first"
    assert all(job["to"] == R1 for _, job in run.jobs)


def test_a_run_that_nobody_remembers_is_refused() -> None:
    run = Run({"mx1": ManyRuns(past(R1))}, to="ffffff")

    assert run.code == 2
    (ended,) = (event for event in run.events if isinstance(event, Ended) and event.subject == "mx1")
    assert ended.error == (
        "--to ffffff: no host remembers such a run. `mailprov history` shows the runs; give one of these."
    )


def test_a_host_that_may_have_forgotten_a_later_run_is_refused() -> None:
    later = [past(f"20240102T{number:06d}Z-0a1b2c") for number in range(50)]
    run = Run({"mx1": ManyRuns(*later), "mx2": ManyRuns(past(R1), past(R2))}, to=R1)

    assert run.code == 1
    assert run.kinds("mx2") == ["target", "cancel"]


def test_without_somebody_to_ask_the_plan_is_shown_and_nothing_done() -> None:
    agent = Remembering(past(R1), FILE)
    run = Run({"mx1": agent}, preview="give --yes to roll back")

    assert run.code == 4
    assert run.kinds("mx1") == ["target", "cancel"]
    assert run.summary == "1 to add, 0 to change, 0 to remove; nothing was changed: give --yes to roll back"
    assert Run({"mx1": Remembering(None)}, preview="give --yes to roll back").code == 0
