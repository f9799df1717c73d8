"""Accounts with a shell on a host: whose a user is, and who goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import commands, files, manifest
from mailprov.agent.errors import AgentError
from mailprov.agent.resources import logins
from mailprov.agent.resources.logins import Login

FINE = commands.Outcome(0, "", "")
ANA = {
    "name": "ana",
    "home": "/home/ana",
    "shell": "/bin/bash",
    "comment": "ana,,,,mailprov-account=ana@alpha.test",
}


class _Look:
    def __init__(self, root: Path, passwd: str, *specs: dict[str, str]) -> None:
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n" + passwd)
        self.tree = files.Tree(str(root))
        self.state = {"logins": list(specs)}
        self.manifest = manifest.load(self.tree)
        self.notices: list[str] = []


def _compare(root: Path, passwd: str, *specs: dict[str, str]) -> list[tuple[str, str, str]]:
    found: Any = Login.compare(_Look(root, passwd, *specs))  # type: ignore[arg-type]
    return [(one["action"], one["name"], str(one["detail"])) for each in found for one in each.changes]


def _line(comment: str, name: str = "ana", shell: str = "/bin/bash") -> str:
    return f"{name}:x:1000:1000:{comment}:/home/{name}:{shell}\n"


def test_one_that_is_ours_needs_nothing(tmp_path: Path) -> None:
    assert _compare(tmp_path, _line(ANA["comment"]), ANA) == []


def test_what_users_may_write_into_gecos_makes_nobody_ours_and_changes_nothing(tmp_path: Path) -> None:
    """chfn(1) lets them write the room and the telephones."""
    assert _compare(tmp_path, _line("ana,1,2,3,mailprov-account=ana@alpha.test"), ANA) == []


@pytest.mark.parametrize(
    "comment", ["", "Ana,,,", "mailprov-account=ana@alpha.test", "Ana,,,mailprov-account=ana@alpha.test"]
)
def test_one_of_somebody_elses_stops_the_plan(tmp_path: Path, comment: str) -> None:
    with pytest.raises(AgentError, match="that mailprov did not make"):
        _compare(tmp_path, _line(comment), ANA)


def test_one_of_a_directory_of_users_or_a_group_stops_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "run", lambda argv: commands.Outcome(0 if "passwd" in argv else 2, "", ""))
    with pytest.raises(AgentError, match="that mailprov did not make"):
        _compare(tmp_path, "", ANA)
    monkeypatch.setattr(commands, "run", lambda argv: commands.Outcome(2, "", ""))
    monkeypatch.setattr(files, "group_exists", lambda name: True)
    with pytest.raises(AgentError, match="that mailprov did not make"):
        _compare_again(tmp_path)


def _compare_again(root: Path) -> None:
    look = _Look.__new__(_Look)
    look.tree, look.state, look.notices = files.Tree(str(root)), {"logins": [ANA]}, []
    list(Login.compare(look))  # type: ignore[arg-type]


def test_another_shell_is_a_change(tmp_path: Path) -> None:
    ((action, name, detail),) = _compare(tmp_path, _line(ANA["comment"], shell="/bin/sh"), ANA)
    assert (action, name, detail) == ("update", "ana", "by SSH, for ana@alpha.test")


def test_a_name_that_was_another_accounts_stops_the_plan(tmp_path: Path) -> None:
    """Its home, jobs and files would be the new one's."""
    with pytest.raises(AgentError, match=r"the user ana of this host is that of ana@beta\.test") as told:
        _compare(tmp_path, _line("ana,,,,mailprov-account=ana@beta.test", shell="/usr/sbin/nologin"), ANA)
    assert "`mailprov purge ana@beta.test`" in str(told.value.advice)


@pytest.mark.parametrize("path", ["home/ana/x", "var/spool/cron/crontabs/ana"])
def test_what_somebody_left_under_a_name_stops_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(commands, "run", lambda argv: commands.Outcome(2, "", ""))
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("somebody's")
    with pytest.raises(AgentError, match="whoever gets that name now would get what somebody else has left"):
        _compare(tmp_path, "", ANA)


@pytest.mark.parametrize(
    ("mounts", "tool", "told"),
    [
        ("/dev/a / ext4 rw,relatime 0 0\n", True, 1),
        ("/dev/a / ext4 rw,usrquota 0 0\n/dev/b /home ext4 rw 0 0\n", True, 1),
        ("/dev/a / ext4 rw 0 0\n/dev/b /home xfs rw,usrquota 0 0\n", True, 0),
        ("/dev/a / ext4 rw,usrquota 0 0\n", False, 1),
    ],
)
def test_a_plan_says_that_a_program_holds_the_quota_where_the_file_system_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, tool: bool, told: int
) -> None:
    monkeypatch.setattr(commands, "run", lambda argv: commands.Outcome(2, "", ""))
    for path, text in (("proc/self/mounts", mounts), *((("usr/sbin/setquota", ""),) if tool else ())):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    look: Any = _Look(tmp_path, "", ANA)
    list(Login.compare(look))
    assert len(look.notices) == told
    known: Any = _Look.__new__(_Look)
    (tmp_path / "etc/passwd").write_text(_line(ANA["comment"]))
    known.tree, known.state, known.notices = files.Tree(str(tmp_path)), {"logins": [ANA]}, []
    assert list(Login.compare(known)) == []
    assert known.notices == []


def test_a_number_is_never_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(commands, "run", lambda argv: ran.append(argv) or commands.Outcome(2, "", ""))
    look: Any = _Look(tmp_path, "", ANA)
    (made,) = Login.compare(look)
    monkeypatch.setattr(commands, "run", lambda argv: ran.append(argv) or commands.Outcome(0, "", ""))
    (tmp_path / "var/lib/mailprov").mkdir(parents=True)
    logins.remember(look.tree, 1004)
    logins.remember(look.tree, 1003)
    made.put(look)  # all that it takes of a run is the tree
    assert "UID_MIN=1005" in ran[-1], ran[-1]


def test_who_leaves_is_locked_once_and_nobody_else_is(tmp_path: Path) -> None:
    others = _line("Luis,,,", "luis") + _line("x", "eva")
    gone = _line("pia,,,,mailprov-account=pia@alpha.test", "pia", "/usr/sbin/nologin")
    found = _compare(tmp_path, _line(ANA["comment"]) + others + gone)
    assert found == [("delete", "ana", "locked, and its sessions end; its home is kept")]


def test_one_whose_run_was_undone_is_locked_by_the_next_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of ours is on that host to do it."""
    ran: list[list[str]] = []
    monkeypatch.setattr(commands, "run", lambda argv: ran.append(argv) or commands.Outcome(0, "", ""))
    look: Any = _Look(tmp_path, _line(ANA["comment"]))
    (alone,) = Login.compare(look)
    alone.make()
    assert ran == [["usermod", "-p", "!*", "-e", "1", "--shell", "/usr/sbin/nologin", "--", "ana"]]
    look.manifest.services["mailprov-shell.service"] = {}
    (known,) = Login.compare(look)
    known.make()
    assert len(ran) == 1


def test_where_useradd_cannot_give_no_further_ids_they_are_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """shadow 4.8 of Debian 11."""
    done: list[list[str]] = []

    def ran(argv: list[str]) -> commands.Outcome:
        if argv[0] == "getent":
            return commands.Outcome(2, "", "")
        done.append(argv)
        refused = "SUB_UID_COUNT=0" in argv
        return commands.Outcome(1, "", "useradd: can't create subordinate user IDs") if refused else FINE

    monkeypatch.setattr(commands, "run", ran)
    (work,) = Login.compare(_Look(tmp_path, "", ANA))  # type: ignore[arg-type]
    monkeypatch.setattr(files, "read", lambda path: b"eva:100000:1\nana:100001:1\n")
    work.make()
    gone = ["--del-subuids", "100001-100001", "--del-subgids", "100001-100001"]
    assert done[-1] == ["usermod", *gone, "--", "ana"]
    assert [argv[-1] for argv in done if argv[0] == "useradd"] == ["ana", "ana"]
