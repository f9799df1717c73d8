"""Rollback of the real agent on a root: the tree is as before, byte, mode and time; nothing of anybody else is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent.resources import certificates, tls_keys
from mailprov.model.host_state import AccountEntry, Directory
from tests.agent.driver import Agent, account_file, contents, converse, directory, file, job, of_kind, state
from tests.agent.test_agent_crash import EVERY, KILLER, NO_FSYNC, new, old, prepare

RECORDS = ("manifest.json", "passwords.json", "pepper")


def apply(root: Path, desired: dict[str, Any], run: str, **more: Any) -> dict[str, Any]:
    """One apply; its end."""
    agent = Agent(None, job(str(root), run=run), NO_FSYNC)
    agent.until("facts")
    agent.send("desired", state=desired)
    plan = agent.until("plan")
    if plan["t"] == "plan" and plan["changes"]:
        agent.send("go", fingerprint=plan["fingerprint"], **more)
    end = agent.end()
    assert end["status"] == "ok", end
    return end


class Rollback:
    """A rollback up to its plan. `told`: the run that it would undo."""

    def __init__(self, root: Path, *, before: str = NO_FSYNC, python: str = "", **more: Any) -> None:
        work = job(str(root), "rollback", **{"run": "back", "owner": "eva@desk", **more})
        self.agent = Agent([python] if python else None, work, before)
        self.first = first = self.agent.until("runs")
        self.told = (first.get("runs") or [None])[0]
        self.plan: dict[str, Any] = {}

    def planned(self, run: str | None = None) -> dict[str, Any]:
        self.agent.send("target", run=self.told["run"] if run is None else run, mask=[])
        self.plan = self.agent.until("plan")
        if self.plan["t"] == "end":
            self.agent.end()  # the lock is free once the process is gone
        return self.plan

    def go(self, **more: Any) -> dict[str, Any]:
        self.agent.send("go", fingerprint=self.plan["fingerprint"], **more)
        return self.agent.end()


def roll_back(root: Path, **more: Any) -> list[tuple[str, str, str]]:
    """A whole rollback that must succeed; its changes as (action, kind, name)."""
    rollback = Rollback(root, **more)
    changes = rollback.planned()["changes"]
    assert rollback.go()["status"] == "ok"
    return [(change["action"], change["kind"], change["name"]) for change in changes]


def history(root: Path) -> list[dict[str, Any]]:
    agent = Agent(None, job(str(root), "history"), NO_FSYNC)
    runs = agent.until("runs")["runs"]
    assert agent.end()["status"] == "ok"
    return runs  # type: ignore[no-any-return]


def everything(root: Path) -> dict[str, Any]:
    """Type, mode, owner, content and time of each file; the agent's records of what it manages among them."""
    seen = contents(root)
    for name in list(seen):
        path = root / name.lstrip("/")
        if path.is_file() and not path.is_symlink():
            seen[name] += (path.stat().st_mtime_ns,)
    for name in RECORDS:
        path = root / "var/lib/mailprov" / name
        seen[name] = path.read_bytes() if path.exists() else None
    return seen


def first() -> dict[str, Any]:
    return state(
        directories=(directory("/var/vmail", "0750"),),
        files=(
            file("/etc/postfix/main.cf", "one\n"),
            file("/etc/goes/away", "soon\n"),
            file("/etc/keys/a.pem", "geheim geheim geheim 1\n", secret=True, mode="0600"),
        ),
        account_files=(
            account_file(
                "/etc/dovecot/users",
                AccountEntry("ana@a.test", password="uno uno"),
                AccountEntry("luis@a.test", password="dos dos"),
            ),
        ),
    )


def second() -> dict[str, Any]:
    return state(
        directories=(directory("/var/vmail", "0700"), directory("/srv/new")),
        files=(
            file("/etc/postfix/main.cf", "two\n", mode="0600"),
            file("/etc/comes/here/deep", "now\n"),
            file("/etc/keys/a.pem", "geheim geheim geheim 2\n", secret=True, mode="0600"),
        ),
        account_files=(
            account_file(
                "/etc/dovecot/users",
                AccountEntry("ana@a.test", password="tres tres"),
                AccountEntry("eva@a.test", password="cuatro"),
            ),
        ),
    )


def test_a_change_is_rolled_back_to_the_byte_mode_and_time(python: str, root: Path) -> None:
    apply(root, first(), "r1")
    os.utime(root / "etc/postfix/main.cf", ns=(10**18, 10**18))
    before = everything(root)
    apply(root, second(), "r2")
    changed = everything(root)
    rollback = Rollback(root, python=python)
    plan = rollback.planned()

    shown = {(c["action"], c["kind"], c["name"]): c for c in plan["changes"]}
    assert set(shown) == {
        ("update", "directory", "/var/vmail"),
        ("update", "file", "/etc/postfix/main.cf"),
        ("create", "file", "/etc/goes/away"),
        ("update", "file", "/etc/keys/a.pem"),
        ("delete", "file", "/etc/comes/here/deep"),
        ("delete", "directory", "/etc/comes/here"),
        ("delete", "directory", "/etc/comes"),
        ("delete", "directory", "/srv/new"),
        ("delete", "directory", "/srv"),
        ("update", "account", "ana@a.test"),
        ("create", "account", "luis@a.test"),
        ("delete", "account", "eva@a.test"),
    }
    assert "-two\n+one" in shown["update", "file", "/etc/postfix/main.cf"]["diff"]
    assert "geheim" not in json.dumps(plan)
    assert "$6$" not in json.dumps(plan)
    assert everything(root) == changed, "a plan writes nothing"

    end = rollback.go()
    assert (end["status"], end["changed"]) == ("ok", len(shown))
    assert everything(root) == before


def test_after_a_rollback_apply_shows_the_plan_from_before(root: Path) -> None:
    apply(root, first(), "r1")
    plan = of_kind(converse(root, second(), mode="plan"), "plan")[0]
    apply(root, second(), "r2")
    roll_back(root)

    assert of_kind(converse(root, second(), mode="plan"), "plan")[0] == plan
    assert of_kind(converse(root, first(), mode="plan"), "plan")[0]["changes"] == []


def test_a_rollback_of_a_rollback_goes_forward_again(root: Path) -> None:
    apply(root, first(), "r1")
    before = everything(root)
    apply(root, second(), "r2")
    after = everything(root)
    for wanted in (before, after, before, after):
        roll_back(root)
        assert everything(root) == wanted


def test_a_first_install_is_rolled_back_to_nothing(root: Path) -> None:
    (root / "etc/postfix").mkdir(parents=True)
    (root / "etc/postfix/main.cf").write_text("the package's own\n")
    before = everything(root)
    apply(root, first(), "r1")
    changes = roll_back(root)

    assert ("delete", "account", "ana@a.test") in changes
    assert ("delete", "file", "/etc/dovecot/users") in changes
    assert ("update", "file", "/etc/postfix/main.cf") in changes
    assert everything(root) == before


def test_mail_that_came_meanwhile_stays(root: Path) -> None:
    apply(root, first(), "r1")
    (root / "var/vmail/a.test").mkdir()
    (root / "var/vmail/a.test/mail").write_text("Subject: hola\n")
    rollback = Rollback(root)
    plan = rollback.planned()
    rollback.go()

    assert "/var/vmail" not in [change["name"] for change in plan["changes"]]
    notices = [message["text"] for message in of_kind(rollback.agent.messages, "notice")]
    assert notices == ["the directory /var/vmail stays, because it is not empty"]
    assert (root / "var/vmail/a.test/mail").read_text() == "Subject: hola\n"
    assert not (root / "etc/dovecot").exists()


@pytest.mark.parametrize(
    ("path", "edit"),
    [
        ("etc/postfix/main.cf", "by hand\n"),
        ("etc/dovecot/users", "ana@a.test:{PLAIN}hand::::::\n"),
        ("etc/goes/away", "made by hand\n"),
    ],
)
def test_a_file_edited_by_hand_stops_the_rollback(root: Path, path: str, edit: str) -> None:
    apply(root, first(), "r1")
    apply(root, second(), "r2")
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text(edit)
    before = everything(root)
    rollback = Rollback(root)
    end = rollback.planned()

    assert (end["t"], end["status"]) == ("end", "failed")
    assert end["what"] == f"edited by hand since that run: /{path}"
    assert "--accept-drift" in end["advice"]
    assert everything(root) == before

    roll_back(root, accept_drift=True)
    assert (root / path).read_text() != edit
    roll_back(root)
    assert (root / path).read_text() == edit, "the rollback keeps the edit, and gives it back"


def test_an_edit_between_plan_and_go_stops_the_rollback(root: Path) -> None:
    apply(root, first(), "r1")
    rollback = Rollback(root)
    rollback.planned()
    (root / "etc/postfix/main.cf").write_text("by hand\n")
    end = rollback.go()

    assert end["status"] == "failed"
    assert (root / "etc/postfix/main.cf").read_text() == "by hand\n"


def test_a_run_that_was_undone_is_no_target(root: Path) -> None:
    apply(root, first(), "r1")
    broken = {**second(), "files": [{**second()["files"][0], "owner": "mailprov-nobody-has-this"}]}
    assert converse(root, broken)[-1]["status"] == "failed"

    assert Rollback(root).told["run"] == "r1"


def test_another_runs_id_is_left_alone(root: Path) -> None:
    """The last apply was on other hosts: this one has nothing to undo."""
    apply(root, first(), "r1")
    before = everything(root)
    rollback = Rollback(root)
    plan = rollback.planned("r2")

    assert (plan["changes"], plan["waits"]) == ([], False)
    assert rollback.agent.end()["status"] == "ok"
    assert everything(root) == before


def test_without_any_run_there_is_nothing_to_undo(root: Path) -> None:
    rollback = Rollback(root)
    assert rollback.told is None
    assert rollback.planned("")["changes"] == []
    assert rollback.agent.end()["status"] == "ok"


def test_a_failing_rollback_leaves_the_host_as_it_was(root: Path) -> None:
    apply(root, first(), "r1")
    apply(root, second(), "r2")
    before = everything(root)
    breaks = NO_FSYNC + (
        "from mailprov.agent import files\n"
        "from mailprov.agent.errors import AgentError\n"
        "real = files.prepare\n"
        "def prepare(path, *args, **more):\n"
        "    if path.endswith('etc/goes/away'): raise AgentError('the disk is full')\n"
        "    return real(path, *args, **more)\n"
        "files.prepare = prepare\n"
    )
    rollback = Rollback(root, before=breaks)
    rollback.planned()
    end = rollback.go()

    assert (
        end["what"] == "the disk is full; the configuration was left as it was, and the host serves as before"
    )
    assert everything(root) == before
    roll_back(root)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_rollback_is_recovered_to_before_or_after(tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    prepare(start)
    before = contents(start)
    apply(start, new(), "r2")
    wanted = (contents(start), before)
    outcomes = []
    for n in range(1, 1000, EVERY):
        root = tmp_path / str(n)
        shutil.copytree(start, root, symlinks=True)
        rollback = Rollback(root, before=KILLER.format(n=n, whole=True))
        rollback.told and rollback.planned()
        rollback.agent.send("go", fingerprint=rollback.plan.get("fingerprint", ""))
        if rollback.agent.died() != -signal.SIGKILL:
            break
        log = root / "var/lib/mailprov/journal/log"
        interrupted = log.exists() and b"\n" in log.read_bytes()
        agent = Agent(None, job(str(root)), NO_FSYNC)
        agent.until("facts")
        agent.send("cancel")
        agent.end()
        found = contents(root)
        assert found in wanted, f"killed at call {n}: neither the state before nor after"
        outcomes.append(wanted.index(found))
        told = [message["text"] for message in of_kind(agent.messages, "notice")]
        assert any("an earlier run of eva@desk" in text for text in told) == interrupted, (
            f"killed at call {n}"
        )
    assert outcomes == sorted(outcomes)
    assert {0, 1} == set(outcomes)


def test_a_run_that_was_killed_behind_its_commit_point_is_undone_with_the_run_that_finished_it(
    root: Path,
) -> None:
    apply(root, first(), "r1")
    before = everything(root)
    dies = NO_FSYNC + (
        "import os, signal\n"
        "from mailprov.agent.transaction import apply\n"
        "apply.Apply.after_commit = lambda run: [os.kill(pid, signal.SIGKILL) for pid in (os.getppid(), os.getpid())]\n"
    )
    agent = Agent(None, job(str(root), run="r2"), dies)
    agent.go(second())
    assert agent.died() == -signal.SIGKILL
    third = second()
    third["files"] = [*third["files"], json.loads(json.dumps(file("/etc/third", "3\n").__dict__))]
    apply(root, third, "r3")
    roll_back(root)

    assert everything(root) == before


def test_history_tells_applies_undone_runs_and_rollbacks(root: Path) -> None:
    apply(root, first(), "r1", zones=[{"zone": "a.test", "sets": []}])
    broken = {**second(), "files": [{**second()["files"][0], "owner": "mailprov-nobody-has-this"}]}
    assert converse(root, broken)[-1]["status"] == "failed"
    roll_back(root)
    runs = history(root)

    assert [(run["kind"], run["committed"], run["status"], run["next"]) for run in runs] == [
        ("apply", True, "ok", False),
        (
            "apply",
            False,
            "undone: the user mailprov-nobody-has-this or the group root does not exist on this host",
            False,
        ),
        ("rollback", True, "ok", True),
    ]
    assert (runs[0]["run"], runs[0]["zones"], runs[0]["owner"]) == (
        "r1",
        ["a.test"],
        "ana@laptop mailprov apply",
    )
    assert runs[0]["changed"] == 7
    assert (runs[2]["undoes"], runs[2]["owner"]) == ("r1", "eva@desk")


def test_history_tells_what_is_under_way_and_what_was_interrupted(root: Path) -> None:
    apply(root, old(), "r1")
    dies = NO_FSYNC + (
        "import os, signal\n"
        "from mailprov.agent import journal\n"
        "journal.Journal.commit = lambda self: [os.kill(pid, signal.SIGKILL) for pid in (os.getppid(), os.getpid())]\n"
    )
    agent = Agent(None, job(str(root), run="r2"), dies)
    agent.go(new())
    assert agent.died() == -signal.SIGKILL
    assert history(root)[-1]["status"] == "interrupted; the next apply puts back what it had written"

    holding = Agent(None, job(str(root)), NO_FSYNC + "from mailprov.agent.transaction import recovery\n"
                    "recovery.recover = lambda *_, **__: recovery.Interrupted()\n")  # fmt: skip
    holding.until("facts")
    assert history(root)[-1]["status"] == "under way"
    holding.send("cancel")
    holding.end()


def test_five_runs_keep_their_copies_and_the_rest_only_their_log(root: Path) -> None:
    for number in range(8):
        apply(root, state(files=(file("/etc/a", f"{number}\n"),)), f"r{number}")
    kept = [
        sorted(path.name for path in (root / "var/lib/mailprov/runs").glob(f"*-{number:06d}/b*"))
        for number in range(1, 9)
    ]

    assert kept[:3] == [[], [], []]
    assert all(kept[3:])
    assert [run["run"] for run in history(root)] == [f"r{number}" for number in range(8)]
    roll_back(root)
    assert (root / "etc/a").read_text() == "6\n"


def test_dns_changes_alone_are_kept_as_a_run(root: Path) -> None:
    zones = [{"zone": "a.test", "sets": [{"name": "a.test", "type": "MX"}]}]
    agent = Agent(None, job(str(root), "zones", run="r1", zones=zones), NO_FSYNC)
    assert agent.end()["status"] == "ok"
    rollback = Rollback(root)

    assert (rollback.told["run"], rollback.told["images"]) == ("r1", zones)
    plan = rollback.planned()
    assert (plan["changes"], plan["waits"]) == ([], True)
    assert rollback.go(zones=zones)["status"] == "ok"
    assert [run["kind"] for run in history(root)] == ["zones", "rollback"]


def test_dns_changes_that_follow_in_the_same_run_are_undone_with_it(root: Path) -> None:
    """TLSA records of a key that was served at the end of the run only."""
    early, late = ([{"zone": "a.test", "sets": [{"name": name, "type": "MX"}]}] for name in ("one", "two"))
    before = everything(root)
    apply(root, first(), "r1", zones=early)
    assert Agent(None, job(str(root), "zones", run="r1", zones=late), NO_FSYNC).end()["status"] == "ok"
    rollback = Rollback(root)

    assert (rollback.told["run"], rollback.told["images"]) == ("r1", early + late)
    assert rollback.planned()["changes"]
    assert rollback.go(zones=late)["status"] == "ok"
    assert everything(root) == before


def test_only_root_may_read_what_is_kept(root: Path) -> None:
    apply(root, first(), "r1")
    apply(root, second(), "r2")
    roll_back(root)
    for path in (root / "var/lib/mailprov").rglob("*"):
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_the_second_apply_waits_for_the_lock_and_says_so_once(root: Path) -> None:
    holding = Agent(None, job(str(root), owner="ana@laptop"), NO_FSYNC)
    holding.until("facts")
    late = Agent(None, job(str(root), lock_timeout=0.5), NO_FSYNC)
    end = late.end()
    assert end["what"].startswith("locked by ana@laptop since 20")
    assert end["what"].endswith("and still after 0.5 s")
    notices = of_kind(late.messages, "notice")
    assert len(notices) == 1
    assert notices[0]["text"].startswith("waiting for the lock, which is held by ana@laptop since 20")

    waiting = Agent(None, job(str(root), lock_timeout=120), NO_FSYNC)
    waiting.until("notice")
    holding.send("cancel")
    holding.end()
    assert waiting.until("facts")["t"] == "facts", "it goes on as soon as the lock is free"
    waiting.send("cancel")
    waiting.end()


def test_waiting_for_the_lock_can_be_cancelled(root: Path) -> None:
    holding = Agent(None, job(str(root)), NO_FSYNC)
    holding.until("facts")
    waiting = Agent(None, job(str(root), lock_timeout=60), NO_FSYNC)
    waiting.until("notice")
    waiting.send("cancel")
    assert waiting.end()["status"] == "cancelled"
    holding.send("cancel")
    holding.end()


def test_a_host_that_still_differs_after_an_apply_is_a_failure(root: Path) -> None:
    """Something else on the host writes the file again: the apply must not say that all is well."""
    rival = NO_FSYNC + (
        "from mailprov.agent.transaction import apply\n"
        "real = apply.Apply.after_commit\n"
        "def after(run):\n"
        "    open(run.tree.at('/etc/a'), 'w').write('something else\\n')\n"
        "    real(run)\n"
        "apply.Apply.after_commit = after\n"
    )
    end = converse(root, state(files=(file("/etc/a", "x\n"),)), before=rival)[-1]

    assert end["status"] == "failed"
    assert end["what"] == "after everything was done the host still differs: file /etc/a"
    assert [run["status"] for run in history(root)] == ["failed after the commit point"]


def test_a_directory_that_a_run_made_of_another_mode_goes_back(root: Path) -> None:
    (root / "srv/a").mkdir(parents=True, mode=0o755)
    (root / "srv/a").chmod(0o755)
    before = everything(root)
    owner, group = directory("/srv/a").owner, directory("/srv/a").group
    apply(root, state(directories=(Directory("/srv/a", owner, group, "0700"),)), "r1")
    assert roll_back(root) == [("update", "directory", "/srv/a")]
    assert everything(root) == before


def back_to(root: Path, undo: list[str], run: str = "r1") -> dict[str, Any]:
    """A whole rollback of several runs; its end."""
    rollback = Rollback(root, to=run)
    rollback.agent.send("target", run=run, mask=[], undo=undo)
    plan = rollback.agent.until("plan")
    if plan["t"] == "end" or not plan["waits"]:
        return rollback.agent.end()
    rollback.plan = plan
    return rollback.go()


def test_several_runs_are_undone_as_one_and_come_back_as_one(root: Path) -> None:
    """A rollback among them, and a file that came, changed, and went again."""
    apply(root, first(), "r1")
    after_first = everything(root)
    apply(root, second(), "r2")
    roll_back(root)
    apply(root, second(), "r3")
    third = second()
    third["files"] = [*third["files"], json.loads(json.dumps(file("/etc/third", "3\n").__dict__))]
    apply(root, third, "r4")
    before = everything(root)

    rollback = Rollback(root, to="r1")
    told = of_kind(rollback.agent.messages, "runs")[0]["runs"]
    assert [run["run"] for run in told] == ["r1", "r2", "back", "r3", "r4"]
    rollback.agent.send("cancel")
    rollback.agent.end()

    assert back_to(root, ["r4", "r3", "back", "r2"])["status"] == "ok"
    assert everything(root) == after_first
    last = history(root)[-1]
    assert (last["kind"], last["to"], last["undoes"], last["next"]) == ("rollback", "r1", "r4", True)
    roll_back(root)
    assert everything(root) == before


def test_a_run_that_is_no_longer_kept_is_not_undone(root: Path) -> None:
    for number in range(8):
        apply(root, state(files=(file("/etc/a", f"{number}\n"),)), f"r{number}")
    end = back_to(root, [f"r{number}" for number in range(7, 1, -1)])

    assert end["status"] == "failed"
    assert "are no longer on this host (those of the last 5 runs are)" in end["what"]
    assert (root / "etc/a").read_text() == "7\n"
    assert back_to(root, [f"r{number}" for number in range(7, 2, -1)], "r2")["status"] == "ok"
    assert (root / "etc/a").read_text() == "2\n"


def test_other_runs_than_were_told_and_none_are_left_alone(root: Path) -> None:
    apply(root, first(), "r1")
    apply(root, second(), "r2")
    before = everything(root)

    assert back_to(root, ["r1"])["what"] == "the runs on this host are not those that it reported"
    assert back_to(root, [])["status"] == "ok"
    assert everything(root) == before


def test_a_run_that_another_one_finished_is_not_returned_to(root: Path) -> None:
    """What was when it was killed is a state that nobody wants back."""
    apply(root, first(), "r1")
    dies = NO_FSYNC + (
        "import os, signal\n"
        "from mailprov.agent.transaction import apply\n"
        "apply.Apply.after_commit = lambda run: [os.kill(pid, signal.SIGKILL) for pid in (os.getppid(), os.getpid())]\n"
    )
    agent = Agent(None, job(str(root), run="r2"), dies)
    agent.go(second())
    assert agent.died() == -signal.SIGKILL
    third = second()
    third["files"] = [*third["files"], json.loads(json.dumps(file("/etc/third", "3\n").__dict__))]
    apply(root, third, "r3")

    end = back_to(root, ["r3"], "r2")
    assert "finished one that was killed" in end["what"]
    assert back_to(root, ["r3", "r2"])["status"] == "ok"


def test_it_tells_the_keys_that_are_served_now_and_then(tmp_path: Path) -> None:
    """By these the controller sees whether senders that go by TLSA records would still deliver."""
    folder = "/etc/mailprov/tls"
    one, two = (
        certificates.make({"names": ["mx1.a.test"], "days": 9, "key_type": "ecdsa"}, str(tmp_path))
        for _ in "ab"
    )

    def given(pair: tuple[bytes, bytes]) -> dict[str, Any]:
        files = [
            file(f"{folder}/mx1.{end}", half.decode()) for end, half in zip(("crt", "key"), pair, strict=True)
        ]
        return state(directories=(directory(folder),), files=tuple(files))

    root = tmp_path / "root"
    root.mkdir()
    for number, pair in enumerate((one, two)):
        apply(root, given(pair), f"run{number}")
    path, digests = f"{folder}/mx1.crt", [tls_keys.digest(pair[0]) for pair in (one, two)]
    back = Rollback(root)
    assert back.first["tls"]["served"] == {path: digests[1]}
    assert back.planned()["tls"] == {path: digests[0]}
    assert back.go()["status"] == "ok"
    roll_back(root, run="again")
    first = Rollback(root, run="third", to="run0")
    first.agent.send("target", run="run0", mask=[], undo=["again", "back", "run1", "run0"])
    assert first.agent.until("plan")["tls"] == {}
