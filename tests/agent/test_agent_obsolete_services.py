"""Units that left the inventory: which are stopped, which go on, and what is forgotten about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import files, manifest, systemd
from mailprov.agent.changes import Observed
from mailprov.agent.errors import AgentError
from mailprov.agent.resources.obsolete_services import ObsoleteService
from mailprov.agent.systemd import State
from tests.agent.looking import look_at

RUNS, SLEEPS = State("loaded", "active", "enabled"), State("loaded", "inactive", "disabled")
GONE = State("not-found", "active", "")


def spec(unit: str, **more: Any) -> dict[str, Any]:
    return {"unit": unit, "ports": [], "undo": [], "shared": False, **more}


def plan(
    tmp_path: Path, unit: dict[str, Any], seen: State, *, ran: bool = False, ours: bool = True
) -> list[Any]:
    known = manifest.Manifest(files.Tree(str(tmp_path)), {})
    if ours:
        known.loaded(unit["unit"], {"/etc/a": "1"}, ran=ran)
        known.loaded(unit["unit"], {"/etc/a": "2"}, ran=True)  # our own later runs find it running, of course
    observed = Observed({}, {unit["unit"]: seen}, set())
    return list(ObsoleteService.compare(look_at(files.Tree(str(tmp_path)), observed, known, retired=[unit])))


def test_what_is_ours_and_runs_is_stopped(tmp_path: Path) -> None:
    (work,) = plan(tmp_path, spec("rspamd.service"), RUNS, ran=True)
    assert (work.stops, work.changes[0]["action"], work.spec["files"]) == (True, "delete", ["/etc/a"])
    assert plan(tmp_path, spec("rspamd.service"), SLEEPS) == []
    assert plan(tmp_path, spec("rspamd.service"), RUNS, ours=False) == []


def test_what_serves_others_goes_on_if_it_ran_before_we_came(tmp_path: Path) -> None:
    unit = spec("fail2ban.service", shared=True)
    assert [work.stops for work in plan(tmp_path, unit, RUNS, ran=True)] == [False]
    assert plan(tmp_path, unit, SLEEPS, ran=True) == []
    assert [work.stops for work in plan(tmp_path, unit, RUNS)] == [True]


def test_what_outlives_a_unit_is_taken_back_also_where_it_does_not_run(tmp_path: Path) -> None:
    unit = spec("mailprov-firewall.service", undo=["true"])
    assert [work.stops for work in plan(tmp_path, unit, SLEEPS)] == [True]
    # Its file is gone already: a run was killed behind its commit point.
    assert [work.stops for work in plan(tmp_path, unit, GONE)] == [True]
    assert plan(tmp_path, unit, State("not-found", "inactive", "")) == []


def test_a_unit_is_stopped_after_its_undo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(systemd, "stop", lambda unit, ports: done.append(f"stop {unit} {ports}"))
    monkeypatch.setattr(systemd, "disable", lambda unit: done.append(f"disable {unit}"))
    mark = tmp_path / "mark"
    (work,) = plan(tmp_path, spec("a.service", ports=[7], undo=["touch", str(mark)]), RUNS)
    work.retire()
    assert mark.exists()
    assert done == ["stop a.service [7]", "disable a.service"]
    (work,) = plan(tmp_path, spec("a.service", undo=["false"]), RUNS)
    with pytest.raises(AgentError, match=r"what a\.service set up could not be undone"):
        work.retire()
    assert len(done) == 2


def test_the_manifest_remembers_who_ran_before_and_forgets_what_left(tmp_path: Path) -> None:
    tree = files.Tree(str(tmp_path))
    files.make_state(tree)
    known = manifest.load(tree)
    known.loaded("fail2ban.service", {}, ran=True)
    known.loaded("postfix.service", {}, ran=False)
    known.save()
    again = manifest.load(tree)
    assert again.found == ["fail2ban.service"]
    again.keep_services({"postfix.service"})
    again.save()
    body = json.loads(Path(tree.at(manifest.PATH)).read_text())
    assert list(body["services"]) == ["postfix.service"]
    assert "found" not in body
