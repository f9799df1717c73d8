"""What all commands that run share: the plan is seen before it is done, and the time is that of the whole command."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from mailprov.cli import clock
from mailprov.cli.reports import Reports
from mailprov.model.events import Action, Change, Planned, RunEnded, RunStarted
from tests.unit.cli.program import mailprov

CHANGE = Change("mx1", "file", Action.CREATE, "/etc/postfix/main.cf")


def test_with_yes_the_plan_is_shown_before_anything_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    """Also for a saved plan: it was shown after its first change was done."""
    reports = Reports(json=False)
    reports.emit(RunStarted("apply", "mail.yml", "0", ""))
    reports.emit(Planned("mx1", (CHANGE,)))
    go = reports.confirm(True)
    assert capsys.readouterr().out == ""

    assert go is not None
    assert go({"create": 1, "update": 0, "delete": 0}) is True
    assert "Plan: 1 to add, 0 to change, 0 to remove." in capsys.readouterr().out


def test_each_plan_of_a_rotation_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The second step of `dkim rotate` is an apply of its own."""
    reports = Reports(json=False)
    for path in ("/etc/one", "/etc/two"):
        reports.emit(RunStarted("dkim rotate", "mail.yml", "0", ""))
        reports.emit(Planned("mx1", (Change("mx1", "file", Action.CREATE, path),)))
        go = reports.confirm(True, "dkim rotate")
        assert go is not None
        assert go({})
        reports.emit(RunEnded(0, "1 change applied"))
        told = capsys.readouterr().out
        assert told.count("/etc/") == 1
        assert path in told


def test_the_time_is_that_of_the_whole_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "STARTED", time.monotonic() - 100)
    told: list[RunEnded] = []
    reports = Reports(json=False, text=False, also=lambda event: told.append(event))  # type: ignore[arg-type]
    reports.emit(RunEnded(0, "done", 3.0))
    assert told[0].seconds >= 100


def test_reading_secrets_is_part_of_the_time(tmp_path: Path) -> None:
    """It said 3 s of a command that had taken 7."""
    path = tmp_path / "mail.yml"
    path.write_text(
        "hosts: {mx1: {address: 127.0.0.1, fqdn: mx1.alpha.test, ssh: {port: 1}}}\n"
        "domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {command: [sh, -c, 'sleep 1; echo x1y2']}}}}}"
    )
    done = mailprov("plan", "--json", str(path))
    assert done.returncode == 3, done.stderr
    end = json.loads(done.stdout.splitlines()[-1])
    assert (end["event"], end["seconds"] > 1) == ("run_ended", True)
