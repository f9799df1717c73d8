"""The bench's simulated hosts, and its zones: what is seldom measured must not rot unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import fleet, verify_speed, zones
from bench.measure import Table
from tests.lab.conftest import CAN

pytestmark = pytest.mark.skipif(not CAN, reason="needs root on Linux: its sshd lets root in")


def test_simulated_hosts_are_provisioned_and_then_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_PASSWORD", "one for all")
    table = Table()

    fleet.measure(tmp_path, [3], 1, table)

    assert list(table.rows) == ["3 simulated hosts, no change: mailprov"]
    made = sorted(path.parent for path in tmp_path.glob("roots-3/*/etc/postfix/main.cf"))
    assert len(made) == 3
    for etc in made:
        assert "user9@" in (etc.parent / "dovecot/mailprov-users").read_text()
    assert "3 simulated hosts" in capsys.readouterr().out


def test_rounds_and_questions_of_zones_are_counted(tmp_path: Path) -> None:
    rows = [
        line.split(" | ") for line in zones.measure(tmp_path) if line.startswith("| 100") or "| ten" in line
    ]

    assert len(rows) == len(zones.BEFORE)
    for label, what, *numbers in rows:
        old_rounds, rounds, old_questions, questions = (int(number.strip(" |")) for number in numbers)
        assert (old_rounds, old_questions) == zones.BEFORE[label.strip("| "), what]
        assert rounds > 0
        assert questions > 0
        assert rounds <= 3 or "written" in what, (
            "as many for ten zones as for one, and no more for a hundred domains"
        )


def test_what_verify_costs_the_controller_is_measured(tmp_path: Path) -> None:
    (row,) = [line for line in verify_speed.scripted(tmp_path, (2,), 1) if line.startswith("| 2 |")]
    assert row.endswith("| 1.00 × |")
