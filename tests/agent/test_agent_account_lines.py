"""How a plan and a rollback tell of states and of passwords of programs, and files that a directory must hold."""

from __future__ import annotations

from pathlib import Path

from mailprov.agent import files
from mailprov.agent.resources import account_lines, directories, passwd_file

STATES = {
    "of": "states",
    "entries": [
        ["ana@a.test", "", "-", "state=suspended"],
        ["o\\'hara@a.test", "", "-", "state=active expires=1800000000 then=no-login"],
    ],
}


def test_a_state_that_comes_changes_or_goes_is_a_change_of_its_account() -> None:
    there = {"ana@a.test": ("-", "state=no-login"), "eva@a.test": ("-", "state=no-receive")}
    assert account_lines.changes(STATES, [("create", "x", "")], there) == [
        ("update", "ana@a.test", "no-login → suspended"),
        ("update", "eva@a.test", "no-receive → active"),
        ("update", "o'hara@a.test", "active → active, no-login from 2027-01-15 08:00 UTC"),
    ]


def test_a_rollback_tells_states_as_a_plan_does() -> None:
    now = passwd_file.logins(b"ana@a.test:-::::::state=suspended\n")
    (change,) = account_lines.undone(account_lines.STATES, now, {}) or []
    assert (change["action"], change["name"], change["detail"]) == (
        "update",
        "ana@a.test",
        "suspended → active",
    )
    assert account_lines.undone("/etc/dovecot/mailprov-users", now, {}) is None


def test_passwords_of_programs_are_told_with_what_they_are_for() -> None:
    assert passwd_file.in_words("protocols=imap,submission") == "for imap, submission"
    assert passwd_file.in_words("protocols=imap expires=1800000000") == "for imap until 2027-01-15 08:00 UTC"
    gone = account_lines.changes(
        {"of": "app passwords"}, [("delete", "ana@a.test/x", "its mail is kept")], {}
    )
    assert gone == [("delete", "ana@a.test/x", "the password is no longer good")]


def test_fields_of_another_kind_are_told_as_they_are() -> None:
    for fields in ("", "nonsense", "state", "state=x expires=y then=z"):
        assert account_lines.in_words(fields) == fields


def test_a_file_that_a_directory_must_hold_and_lacks_is_made_and_one_that_is_there_is_left(
    tmp_path: Path,
) -> None:
    spec = {"path": "/made", "holds": [["denied", "root", "0640"], ["kept", "root", "0644"]]}
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "kept").write_text("its program's")
    missing = directories._missing(str(tmp_path / "made"), spec)
    assert missing == [["denied", "root", "0640"]]
    assert files.look(str(tmp_path / "made" / "denied")) is None
