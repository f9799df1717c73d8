"""cloud-init at work is waited for; one that is done, dead or not there is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov.agent import commands, files, first_boot
from mailprov.agent.errors import AgentError

ENABLED, RESULT = "run/cloud-init/enabled", "run/cloud-init/result.json"


@pytest.fixture
def at_work(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root on which cloud-init is at work, as far as its files tell; units are `unit` says."""
    (root / "run/cloud-init").mkdir(parents=True)
    (root / ENABLED).touch()
    monkeypatch.setattr(first_boot, "_LOOK", 0.001)
    return root


def unit(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(commands, "run", lambda argv: commands.Outcome(0, text, ""))


def looks_until_done(root: Path) -> tuple[list[str], int]:
    said: list[str] = []
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            (root / RESULT).touch()

    first_boot.wait(files.Tree(str(root)), said.append, check)
    return said, looks


@pytest.mark.parametrize("text", ["ActiveState=activating\n", "ActiveState=inactive\nJob=52\n"])
def test_it_is_waited_for_and_said_once(at_work: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    unit(monkeypatch, text)
    assert looks_until_done(at_work) == (["waiting for cloud-init, which still sets up this machine"], 3)


@pytest.mark.parametrize(
    "text", ["ActiveState=failed\n", "ActiveState=inactive\nJob=0\n", "ActiveState=inactive\n", ""]
)
def test_a_dead_one_is_not(at_work: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    unit(monkeypatch, text)
    assert looks_until_done(at_work) == ([], 0)


@pytest.mark.parametrize("missing", [True, False])
def test_one_that_is_done_or_not_there_costs_no_command(
    at_work: Path, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    monkeypatch.setattr(commands, "run", lambda argv: pytest.fail("a command was run"))
    if missing:
        (at_work / ENABLED).unlink()
    else:
        (at_work / RESULT).touch()
    assert looks_until_done(at_work) == ([], 0)


def test_patience_ends(at_work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit(monkeypatch, "ActiveState=activating\n")
    monkeypatch.setattr(first_boot, "PATIENCE", 0.01)
    with pytest.raises(AgentError) as caught:
        first_boot.wait(files.Tree(str(at_work)), print, lambda: None)
    assert "cloud-init has not set up this machine within 0.01 s" in caught.value.what
