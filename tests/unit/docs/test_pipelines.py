"""What the page about pipelines shows is tried: the action's steps, the jobs' commands, and the units of the timer."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.unit.docs.pages import ROOT, of_page

WRONG = "hosts: {mx1: {nothing: 1}}\ndomains: {}\n"
PAGE = "docs/pipelines.md"


def loaded(text: str) -> Any:
    return YAML(typ="safe").load(text)


GITHUB, GITLAB = (loaded(block.text) for block in of_page(PAGE, "yml"))
ACTION = loaded((ROOT / "action.yml").read_text())


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """What GitHub's runner gives a step; mailprov is there already, as an earlier step installs it."""
    (tmp_path / "temp/mailprov/bin").mkdir(parents=True)
    program = tmp_path / "temp/mailprov/bin/mailprov"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mailprov "$@"\n')
    program.chmod(0o755)
    (tmp_path / "checkout").mkdir()
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }


def step(runner: dict[str, str], **inputs: str) -> subprocess.CompletedProcess[str]:
    """The action's step, as its runner starts it: bash with -e and pipefail, inputs in place of `${{ inputs.… }}`."""
    run = ACTION["runs"]["steps"][1]
    given = {name: inputs.get(name, entry["default"]) for name, entry in ACTION["inputs"].items()}
    env = {
        key: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: given[found[1]], value)
        for key, value in run["env"].items()
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run["run"]],
        env={**runner, **env},
        cwd=Path(runner["RUNNER_TEMP"]).parent / "checkout",
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_action_says_what_is_wrong_where_it_stands_and_ends_as_the_command_does(
    runner: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "checkout/our mail.yml").write_text(WRONG)
    done = step(runner, inventory="our mail.yml", arguments="--accounts\n2\n")
    assert done.returncode == 2, done.stderr
    assert "::error title=mailprov inventory our mail.yml%3A1%3A" in done.stdout
    assert ",file=our mail.yml,line=1,col=" in done.stdout
    assert "## mailprov" in (tmp_path / "summary").read_text()
    reports = Path((tmp_path / "output").read_text().strip().removeprefix("reports="))
    assert sorted(path.name for path in reports.iterdir()) == [
        "mailprov.html", "mailprov.json", "mailprov.md", "mailprov.sarif", "mailprov.xml",
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["plan", "apply", "dns check"])
def test_the_action_knows_the_other_commands(command: str, runner: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "checkout/mail.yml").write_text(WRONG)
    done = step(runner, command=command)
    assert done.returncode == 2
    assert "unknown key" in done.stderr
    assert "no such option" not in done.stderr.lower()
    assert (tmp_path / "temp/mailprov-reports/mailprov.xml").read_text().count("<failure") >= 1


def test_what_an_input_holds_is_no_command(runner: dict[str, str], tmp_path: Path) -> None:
    """It comes by the environment, so nothing in it is run by the shell."""
    done = step(runner, inventory="$(touch there)`touch there`; touch there.yml", arguments="$(touch there)")
    assert done.returncode == 2
    assert os.listdir(tmp_path / "checkout") == []
    for each in ACTION["runs"]["steps"]:
        assert "${{" not in each["run"]


def test_the_workflow_uses_inputs_that_the_action_has_and_plans_and_verifies() -> None:
    used = {
        job: [each["with"] for each in entry["steps"] if "mailprov@" in each.get("uses", "")]
        for job, entry in GITHUB["jobs"].items()
    }
    assert {job: [each["command"] for each in words] for job, words in used.items()} == {
        "plan": ["plan"], "verify": ["verify"],
    }  # fmt: skip
    assert all(each.keys() <= ACTION["inputs"].keys() for words in used.values() for each in words)
    assert GITHUB["permissions"] == {"contents": "read"}
    outputs = re.findall(r"steps\.mailprov\.outputs\.(\w+)", str(GITHUB))
    assert set(outputs) == set(ACTION["outputs"])


def scripts() -> list[str]:
    return [line for job in GITLAB.values() for line in job.get("script", [])]


def test_the_key_of_a_job_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    (line,) = [each["run"] for each in GITHUB["jobs"]["plan"]["steps"] if "run" in each]
    env = {**os.environ, "HOME": str(tmp_path), "SSH_KEY": "a key\nof two lines"}
    subprocess.run(["bash", "-eo", "pipefail", "-c", line], env=env, check=True)
    key = tmp_path / ".ssh/id_ed25519"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("a key\nof two lines\n", 0o600)
    (line,) = [each for each in GITLAB["default"]["before_script"] if "SSH_KEY" in each]
    (tmp_path / "file").write_text("another\n")
    env["SSH_KEY_FILE"] = str(tmp_path / "file")
    subprocess.run(["sh", "-ec", line], env=env, check=True)
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("another\n", 0o600)


@pytest.mark.parametrize("line", scripts())
def test_the_commands_of_gitlab_leave_their_artefacts_also_when_they_fail(line: str, tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(WRONG)
    words = shlex.split(line)
    assert words[0] == "mailprov"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown key" in done.stderr
    (job,) = [each for each in GITLAB.values() if line in each.get("script", [])]
    for name in [*job["artifacts"].get("paths", []), *job["artifacts"]["reports"].values()]:
        assert (tmp_path / name).stat().st_size


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units = {}
    for block in of_page(PAGE, "ini"):
        path = re.match(r"# (/etc/systemd/system/\S+)\n", block.text)
        assert path
        units[Path(path[1]).name] = block.text
    assert set(units) == {"mailprov-verify.service", "mailprov-verify.timer"}
    (start,) = re.findall("^ExecStart=(.+)$", units["mailprov-verify.service"], re.MULTILINE)
    words = shlex.split(start)
    assert words[0] == "/opt/mailprov/bin/mailprov"
    # As the service runs it, with its folders elsewhere.
    (tmp_path / "state").mkdir()
    (tmp_path / "mail.yml").write_text(WRONG)
    moved = [word.replace("/var/lib/mailprov", str(tmp_path / "state")) for word in words[1:]]
    done = subprocess.run(
        [sys.executable, "-m", "mailprov", *moved],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert os.listdir(tmp_path / "state") == ["verify.html"]
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not there: the units themselves are not looked at")
    for name, text in units.items():
        (tmp_path / name).write_text(text.replace("/opt/mailprov/bin/mailprov", "/bin/true"))
    paths = [str(tmp_path / name) for name in units]
    seen = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    about = [line for line in seen.stderr.splitlines() if "mailprov" in line]
    assert about == [], seen.stderr
    calendar = re.findall("^OnCalendar=(.+)$", units["mailprov-verify.timer"], re.MULTILINE)
    subprocess.run(["systemd-analyze", "calendar", *calendar], check=True, capture_output=True)
