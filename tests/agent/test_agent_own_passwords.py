"""Passwords that users own: an apply begins them, and no plan, apply or rollback ever touches them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mailprov.agent import files
from mailprov.agent.resources import own_passwords, passwd_file
from mailprov.components.dovecot.passwd import HANDED_ON, LOCKED
from mailprov.model.host_state import AccountEntry, OwnPasswords
from tests.agent.driver import account_file, converse, file, job, me, of_kind, state
from tests.agent.test_agent_rollback import Rollback, apply

USERS, OWN = "/etc/dovecot/users", own_passwords.PATH
ANA, EVA = "ana@a.test", "eva@a.test"


def wanted(*entries: AccountEntry, own: tuple[str, ...] = (ANA,), **more: Any) -> dict[str, Any]:
    """`own`: whose passwords are their users'."""
    owner, group = me()
    lines = [
        AccountEntry(each.user, hash=LOCKED, fields=f"{HANDED_ON} {each.fields}".rstrip())
        if each.user in own
        else each
        for each in entries
    ]
    theirs = tuple(each._replace(fields="") for each in entries if each.user in own)
    kept = (OwnPasswords(OWN, theirs, USERS, "/var/vmail", owner, group),) if theirs else ()
    return state(account_files=(account_file(USERS, *lines),), own_passwords=kept, **more)


def account(user: str = ANA, password: str = "the initial one", fields: str = "") -> AccountEntry:
    return AccountEntry(user, password=password, fields=fields)


def hashes(root: Path) -> dict[str, str]:
    data = (root / OWN[1:]).read_bytes()
    return {user: one[0] for user, one in passwd_file.logins(data).items()}


def changed_by_its_user(root: Path, user: str = ANA, hashed: str = "{SHA512-CRYPT}$6$users$own") -> str:
    path = root / OWN[1:]
    lines = [
        f"{user}:{hashed}::::::" if line.startswith(f"{user}:") else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
    return hashed


def shown(messages: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    (plan,) = of_kind(messages, "plan")
    return [(one["kind"], one["action"], one["name"], one["detail"]) for one in plan["changes"]]


def notices(messages: list[dict[str, Any]]) -> str:
    return " ".join(one["text"] for one in of_kind(messages, "notice"))


def test_the_first_apply_sets_the_initial_password_and_says_so(python: str, root: Path) -> None:
    given = wanted(account(), AccountEntry(EVA, hash="{SHA512-CRYPT}$6$ready$made"), own=(ANA, EVA))
    messages = converse(root, given, python=python)
    why = "it begins with the initial password of the inventory"
    assert ("password", "create", ANA, why) in shown(messages)
    assert "this host is new to mailprov" in notices(messages)
    assert passwd_file._verify("the initial one", hashes(root)[ANA])
    assert hashes(root)[EVA] == "{SHA512-CRYPT}$6$ready$made"
    assert (root / OWN[1:]).stat().st_mode & 0o777 == 0o640
    assert (
        root / USERS[1:]
    ).read_text() == f"{ANA}:{LOCKED}::::::{HANDED_ON}\n{EVA}:{LOCKED}::::::{HANDED_ON}\n"
    assert shown(converse(root, given, python=python)) == []


def test_account_hash_is_kept_whatever_the_user_made_of_it(root: Path) -> None:
    converse(root, wanted(account()))
    own = changed_by_its_user(root)
    again = converse(root, wanted(account()))
    assert (shown(again), notices(again)) == ([], "")
    bigger = converse(root, wanted(account(fields="userdb_quota_rule=*:bytes=1024")))
    assert shown(bigger) == [("account", "update", ANA, "no quota → quota 1K")]
    assert hashes(root) == {ANA: own}


def test_an_initial_password_that_changes_changes_nothing_and_is_said_until_an_apply_knows_it(
    root: Path,
) -> None:
    converse(root, wanted(account()))
    own = changed_by_its_user(root)
    another = wanted(account(password="un perro raro"))
    for _ in range(2):
        plan = converse(root, another, mode="plan")
        assert shown(plan) == []
        assert f"the initial password of {ANA} is another one in the inventory now" in notices(plan)
    assert "is another one" in notices(converse(root, another))
    assert notices(converse(root, another)) == ""
    assert hashes(root) == {ANA: own}


def test_neither_journal_nor_manifest_nor_copies_have_a_hash_of_a_users_making(root: Path) -> None:
    converse(root, wanted(account()))
    changed_by_its_user(root)
    converse(root, wanted(account(fields="userdb_quota_rule=*:bytes=1024")))
    converse(root, wanted(account(), account(EVA), own=(ANA,)))
    for path in (root / "var/lib/mailprov").rglob("*"):
        assert not path.is_file() or b"$6$users$own" not in path.read_bytes(), path


def test_a_rollback_brings_no_old_password_back(python: str, root: Path) -> None:
    apply(root, wanted(account()), "r1")
    apply(root, wanted(account(), account(EVA), own=(ANA, EVA)), "r2")
    own = changed_by_its_user(root)
    rollback = Rollback(root, python=python)
    plan = rollback.planned()
    assert [(one["action"], one["name"]) for one in plan["changes"]] == [("delete", EVA)]
    rollback.go()
    assert hashes(root)[ANA] == own
    assert EVA not in (root / USERS[1:]).read_text()


def test_a_password_changes_hands_in_both_directions_and_the_plan_says_so(root: Path) -> None:
    converse(root, wanted(account(password="of the inventory"), own=()))
    to_user = converse(root, wanted(account()))
    assert shown(to_user) == [
        ("account", "update", ANA, "its user owns the password from now on"),
        (
            "password",
            "create",
            ANA,
            "its user owns it from now on; it begins with the initial password of the inventory",
        ),
    ]
    own = changed_by_its_user(root)
    back = converse(root, wanted(account(password="of the inventory"), own=()))
    assert shown(back) == [
        (
            "account", "update", ANA,
            "the inventory owns the password from now on; what its user had chosen is no longer valid",
        )
    ]  # fmt: skip
    assert passwd_file._verify("of the inventory", (root / USERS[1:]).read_text().split(":")[1])
    converse(root, wanted(account(password="a second initial one")))
    assert hashes(root)[ANA] != own
    assert passwd_file._verify("a second initial one", hashes(root)[ANA])


def test_a_rollback_of_a_change_of_hands_is_said_and_the_user_has_the_own_one_again(root: Path) -> None:
    apply(root, wanted(account()), "r1")
    own = changed_by_its_user(root)
    apply(root, wanted(account(password="of the inventory"), own=()), "r2")
    rollback = Rollback(root)
    plan = rollback.planned()
    assert [(one["name"], one["detail"]) for one in plan["changes"]] == [
        (ANA, "its user owns the password again")
    ]
    rollback.go()
    assert hashes(root) == {ANA: own}
    assert shown(converse(root, wanted(account()))) == []


def test_an_account_that_comes_back_has_its_users_password_which_is_said(root: Path) -> None:
    converse(root, wanted(account(), account(EVA)))
    own = changed_by_its_user(root)
    (root / "var/vmail/a.test/ana/Maildir").mkdir(parents=True)
    converse(root, wanted(account(EVA)))
    messages = converse(root, wanted(account(), account(EVA)))
    assert shown(messages) == [("account", "create", ANA, "")]
    assert f"{ANA} comes back with the password that its user had" in notices(messages)
    assert hashes(root) == {ANA: own}


def test_one_that_comes_back_without_any_mail_begins_anew_for_it_may_be_somebody_elses_by_now(
    root: Path,
) -> None:
    converse(root, wanted(account(), account(EVA)))
    changed_by_its_user(root)
    converse(root, wanted(account(EVA)))
    messages = converse(root, wanted(account(), account(EVA)))
    assert ("password", "create", ANA, "it begins with the initial password of the inventory") in shown(
        messages
    )
    assert passwd_file._verify("the initial one", hashes(root)[ANA])


def test_what_a_host_has_lost_comes_back_as_the_initial_one_and_never_unsaid(root: Path) -> None:
    converse(root, wanted(account()))
    changed_by_its_user(root)
    (root / OWN[1:]).unlink()
    (line,) = shown(converse(root, wanted(account())))
    assert line[:3] == ("password", "create", ANA)
    assert "lost on this host" in line[3]
    assert passwd_file._verify("the initial one", hashes(root)[ANA])


def test_a_host_that_gets_the_mail_back_before_the_apply_says_that_passwords_are_missing(root: Path) -> None:
    (root / "var/vmail/a.test/ana/Maildir").mkdir(parents=True)
    lines = {
        one[2]: one[3]
        for one in shown(converse(root, wanted(account(), account(EVA), own=(ANA, EVA))))
        if one[0] == "password"
    }
    assert "its mailbox is on this host" in lines[ANA]
    assert lines[EVA] == "it begins with the initial password of the inventory"


def test_a_file_of_passwords_put_back_before_the_apply_is_taken(root: Path) -> None:
    path = root / OWN[1:]
    path.parent.mkdir(parents=True)
    path.write_text(f"{ANA}:{{SHA512-CRYPT}}$6$users$own::::::\n")
    path.chmod(0o640)
    messages = converse(root, wanted(account()))
    assert [one for one in shown(messages) if one[0] == "password"] == []
    assert hashes(root) == {ANA: "{SHA512-CRYPT}$6$users$own"}


def test_a_password_that_changes_between_plan_and_apply_stays(root: Path) -> None:
    """The plan is looked at for a while; what is written is decided by the file as it is then."""
    from tests.agent.driver import Agent

    converse(root, wanted(account()))
    agent = Agent(None, job(str(root)))
    more = wanted(account(), account(EVA), own=(ANA, EVA))
    agent.until("facts")
    agent.send("desired", state=more)
    plan = agent.until("plan")
    own = changed_by_its_user(root)
    with (root / OWN[1:]).open("a") as file_now:
        file_now.write(f"{EVA}:{own}::::::\n")  # somebody brought it back
    agent.send("go", fingerprint=plan["fingerprint"])
    agent.end()
    assert hashes(root)[ANA] == own
    assert hashes(root)[EVA] == own


def test_a_failed_apply_leaves_the_accounts_as_they_were_and_no_users_password_is_lost(root: Path) -> None:
    converse(root, wanted(account()))
    own = changed_by_its_user(root)
    (root / "etc/taken/x").mkdir(parents=True)
    messages = converse(
        root, wanted(account(), account(EVA), own=(ANA, EVA), files=(file("/etc/taken/x/../y", "x"),))
    )
    assert messages[-1]["status"] != "ok"
    assert hashes(root)[ANA] == own


def test_with_the_mailbox_goes_the_password(root: Path) -> None:
    converse(root, wanted(account(), account(EVA), own=(ANA, EVA)))
    own_passwords.forget(files.Tree(str(root)), ANA)
    own_passwords.forget(files.Tree(str(root)), "nobody@a.test")
    assert list(hashes(root)) == [EVA]
    assert (root / OWN[1:]).stat().st_mode & 0o777 == 0o640


def test_no_word_of_the_conversation_has_a_password_in_it(root: Path) -> None:
    said = json.dumps(converse(root, wanted(account(password="un gato raro"))))
    assert "un gato raro" not in said
    assert "$6$" not in said


def test_the_agent_and_the_controller_mean_the_same_file() -> None:
    from mailprov.components.dovecot import passwd

    assert own_passwords.PATH == passwd.OWN
