"""Which lab is meant, where there are several: said with their names, and with the way to choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.program import mailprov


@pytest.fixture
def two_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILPROV_LAB_STATE", str(tmp_path))
    for name in ("demo", "mail"):
        (tmp_path / name).mkdir()


@pytest.mark.usefixtures("two_labs")
@pytest.mark.parametrize("command", ["inventory", "down", "reset", "stop", "start"])
def test_several_labs_are_named_with_the_way_to_choose(command: str) -> None:
    done = mailprov("lab", command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "mailprov: lab: there are 2 labs (demo, mail). Say which: the inventory it was made from, or --name NAME.\n"
    )


def test_without_a_lab_there_is_nothing_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILPROV_LAB_STATE", str(tmp_path))
    done = mailprov("lab", "stop")
    assert done.returncode == 2
    assert "no lab is up. Start one: mailprov lab up INVENTORY" in done.stderr


def test_the_list_of_commands_is_whole_on_a_narrow_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in mailprov("lab", "--help").stdout.partition("Commands:")[2]
