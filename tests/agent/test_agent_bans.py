"""fail2ban's bans as the agent sees them, and whose it lifts; and who is at the other end of SSH."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailprov.agent import commands, facts, files, manifest, systemd
from mailprov.agent.changes import Observed
from mailprov.agent.resources import bans
from mailprov.agent.resources.services import Service
from tests.agent.looking import look_at

SPEC = {
    "unit": "fail2ban.service",
    "files": ["/etc/fail2ban/jail.d/mailprov.local"],
    "restart_on": [],
    "reload": [],
    "ports": [],
    "jails": ["mailprov-postfix", "mailprov-dovecot"],
    "spares": ["192.0.2.0/28", "2001:db8::7"],
}
RUNS = systemd.State("loaded", "active", "enabled")


def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A fail2ban-client of the test's own; the path of what it was called with."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "fail2ban-client").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n{script}\n')
    (folder / "fail2ban-client").chmod(0o755)
    monkeypatch.setattr(commands, "PATH", f"{folder}:/usr/bin:/bin")
    return tmp_path / "calls"


HELD = """echo "[{'sshd': []}, {'mailprov-dovecot': ['192.0.2.3', '203.0.113.9', '2001:db8::7', 'odd']}]\""""


@pytest.mark.parametrize("script", ["exit 255", "echo nothing", "echo '[1]'", "echo '{'"])
def test_a_fail2ban_that_does_not_answer_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    client(tmp_path, monkeypatch, script)
    assert bans.held() == []


def test_who_is_held_and_spared_is_let_in_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = client(tmp_path, monkeypatch, HELD)

    assert bans.to_lift(SPEC) == ["192.0.2.3", "2001:db8::7"]
    bans.lift(bans.to_lift(SPEC))
    assert calls.read_text().splitlines()[-1] == "unban 192.0.2.3 2001:db8::7"


def test_with_nobody_spared_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = client(tmp_path, monkeypatch, HELD)

    assert bans.to_lift({**SPEC, "spares": []}) == []
    assert not calls.exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_plan_has_the_lifting_and_where_the_jails_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    client(tmp_path, monkeypatch, HELD)
    tree = files.Tree(str(tmp_path))
    remembered = manifest.load(tree)
    if known:
        remembered.loaded(SPEC["unit"], {SPEC["files"][0]: "absent"}, ran=True)
    observed = Observed({}, {SPEC["unit"]: RUNS}, set())

    (work,) = Service.compare(look_at(tree, observed, remembered, services=[SPEC]))

    assert work.changes[-1]["detail"] == "unban 192.0.2.3, 2001:db8::7: in fail2ban.ignore"
    assert work.spec["counts"] == ([] if known else SPEC["jails"])
    assert (work.enable, work.verb) == (False, "" if known else "reload")


def test_the_client_of_ssh_is_found_behind_sudo() -> None:
    """sudo gives its child an environment of its own."""
    look = f"env -i {sys.executable} -c 'from mailprov.agent import facts; print(facts.peer())'; true"
    done = subprocess.run(
        ["sh", "-c", look],
        capture_output=True,
        text=True,
        env={"SSH_CONNECTION": "192.0.2.9 51000 192.0.2.1 22", "PATH": "/usr/bin:/bin"},
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "192.0.2.9\n", done.stderr


def test_without_ssh_there_is_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_MOST_PARENTS", 0)
    assert facts.peer() == ""
