"""What hosts remember and what undo files do, together: who keeps a zone, and which run is the last one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mailprov import dns
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import InputError
from mailprov.model.events import Action, Change, Event, Notice
from mailprov.model.hosted import GOOGLE, Hosted
from mailprov.model.inventory import Domain, Host, Inventory
from mailprov.run import deploy, undo_file
from mailprov.run.rollback import rollback
from mailprov.run.select import select
from mailprov.transport.channel import Channel
from tests.unit.run.scripted import FACTS, FILE, Remembering, ScriptedAgent, end, hello, inventory, past, plan

EARLY, LATE = "20240101T200000Z-0a1b2c", "20240101T210000Z-0a1b2c"
IMAGE = {"zone": "beta.test", "sets": []}
RECORD = Change("zone beta.test", "record", Action.CREATE, "beta.test MX", "1 smtp.google.com")


class Run:
    """alpha.test is on the hosts, beta.test at Google."""

    def __init__(
        self, folder: Path, agents: dict[str, Any], command: str, domains: list[str] | None = None
    ) -> None:
        self.agents, self.asked = agents, list[str]()
        self.events: list[Event] = []
        read = of(folder, *agents)
        chosen = select(read, None, domains)
        options = deploy.Options(command=command, verify=False)
        verb = rollback if command == "rollback" else deploy.apply
        self.code = verb(read, chosen, options, start=self.start, report=self.events.append)

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        self.asked.append(f"{host.name} {job['mode']}")
        return self.agents[host.name].pop(0)  # type: ignore[no-any-return]

    @property
    def notices(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Notice))


def of(folder: Path, *hosts: str) -> Inventory:
    beta = Domain("beta.test", (), hosted=Hosted(GOOGLE, GOOGLE.mx))
    made = inventory(*hosts)
    return dataclasses.replace(made, source=str(folder / "mail.yml"), domains=(*made.domains, beta))


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("mail.yml.undo-*.json"))


def write(folder: Path, run: str) -> None:
    path = folder / f"mail.yml.undo-{run}.json"
    path.write_text(json.dumps({"mailprov_undo": 1, **past(run, IMAGE, zones=["beta.test"])}))


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The images that a rollback is given."""
    told: list[Any] = []

    def plans(read: Inventory, images: Any, served: Any) -> list[ZonePlan]:
        told.extend(images)
        return [ZonePlan("beta.test", (RECORD,))] if told else []

    monkeypatch.setattr(dns, "plan_undo", plans)
    monkeypatch.setattr(dns, "before_image", lambda plan: None)
    monkeypatch.setattr(dns, "apply", lambda plan, emit: None)
    return told


def test_the_last_run_is_that_of_an_undo_file(tmp_path: Path, undone: list[Any]) -> None:
    write(tmp_path, LATE)
    agent = Remembering(past(EARLY), FILE)
    run = Run(tmp_path, {"mx1": [agent]}, "rollback")
    assert run.code == 0
    assert [message["t"] for message in agent.sent] == ["target"]
    assert agent.sent[0]["run"] == LATE
    assert undone == [{**IMAGE, "told": ["undo files of mail.yml"]}]


def test_the_last_run_is_that_of_a_host(tmp_path: Path, undone: list[Any]) -> None:
    write(tmp_path, EARLY)
    agent = Remembering(past(LATE), FILE)
    run = Run(tmp_path, {"mx1": [agent]}, "rollback")
    assert run.code == 0
    assert [message["t"] for message in agent.sent] == ["target", "go"]
    assert undone == []


def test_a_file_about_zones_that_are_not_selected_is_passed_over(tmp_path: Path, undone: list[Any]) -> None:
    write(tmp_path, LATE)
    agent = Remembering(past(EARLY), FILE)
    run = Run(tmp_path, {"mx1": [agent]}, "rollback", ["alpha.test"])
    assert (run.code, undone) == (0, [])
    assert [message["t"] for message in agent.sent] == ["target", "go"]


@pytest.mark.parametrize("wrong", ["", "{}", '{"mailprov_undo": 2, "run": "x"}', "[1]"])
def test_a_file_that_cannot_be_read_is_no_reason_to_undo_another_run(
    tmp_path: Path, undone: list[Any], wrong: str
) -> None:
    (tmp_path / f"mail.yml.undo-{LATE}.json").write_text(wrong)
    with pytest.raises(InputError, match="is not the undo file that its name says"):
        Run(tmp_path, {"mx1": [Remembering(past(EARLY), FILE)]}, "rollback")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(dns, "plan", lambda *_, **__: [ZonePlan("beta.test", (RECORD,))])
    monkeypatch.setattr(dns, "before_image", lambda plan: IMAGE)
    monkeypatch.setattr(dns, "apply", lambda plan, emit: found.append(plan.zone))
    return found


def test_hosts_of_the_run_keep_the_zone_of_a_domain_at_a_provider(
    tmp_path: Path, published: list[str]
) -> None:
    planned = ScriptedAgent([hello(), {"t": "facts", "facts": FACTS}, plan(), end()])
    keeps = ScriptedAgent([hello(), end()])
    run = Run(tmp_path, {"mx1": [planned, keeps]}, "apply")
    assert (run.code, published, files(tmp_path)) == (0, ["beta.test"], [])
    assert run.asked == ["mx1 apply", "mx1 zones"]


def test_where_no_host_is_in_the_run_a_file_keeps_it(tmp_path: Path, published: list[str]) -> None:
    run = Run(tmp_path, {"mx1": []}, "apply", ["beta.test"])
    assert (run.code, published, run.asked) == (0, ["beta.test"], [])
    (path,) = files(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["images"] == [IMAGE]
    assert path.name in run.notices
    assert [told["run"] for told in undo_file.kept(of(tmp_path, "mx1"))] == [path.name[14:-5]]


def test_a_folder_that_takes_no_file_keeps_nobody_from_publishing(
    tmp_path: Path, published: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(undo_file.os, "replace", full)
    run = Run(tmp_path, {"mx1": []}, "apply", ["beta.test"])
    assert (run.code, published, list(tmp_path.iterdir())) == (0, ["beta.test"], [])
    assert "a rollback will not know what the records of beta.test were before" in run.notices


def test_only_so_many_files_are_kept(tmp_path: Path, published: list[str]) -> None:
    for number in range(60):
        write(tmp_path, f"202401{number // 24 + 1:02}T{number % 24:02}0000Z-0a1b2c")
    (tmp_path / "mail.yml.undo-notes.json").write_text("somebody's own")
    Run(tmp_path, {"mx1": []}, "apply", ["beta.test"])
    assert len(files(tmp_path)) == 51
    assert (tmp_path / "mail.yml.undo-notes.json").exists()
