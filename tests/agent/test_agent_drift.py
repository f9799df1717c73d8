"""What somebody edited by hand since the last apply: shown, never overwritten unasked, kept when it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mailprov.model.host_state import AccountEntry
from tests.agent.driver import (
    Agent,
    account_file,
    contents,
    converse,
    file,
    job,
    me,
    of_kind,
    snapshot,
    state,
)
from tests.agent.test_agent_rollback import roll_back

FIRST = "one\ntwo\n"
APPLIED = "var/lib/mailprov/applied"


def wanted(content: str = FIRST, **more: Any) -> dict[str, Any]:
    return state(files=(file("/etc/a", content, **more), file("/etc/b", "b\n")))


def changes(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    (plan,) = of_kind(messages, "plan")
    return list(plan["changes"])


@pytest.fixture
def applied(root: Path) -> Path:
    """The root after a first apply; /etc/a has one file to edit."""
    assert converse(root, wanted())[-1]["status"] == "ok"
    return root / "etc/a"


def remove(path: Path) -> None:
    path.unlink()


def edit(path: Path) -> None:
    path.write_text("one\ntwo\nby hand\n")


def chmod(path: Path) -> None:
    path.chmod(0o666)


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("b")


EDITS = {
    edit: "edited by hand since the last apply",
    chmod: "owner or mode changed by hand since the last apply, mode 0666 → 0644",
    link: "replaced by hand by a symbolic link to b",
}


@pytest.mark.parametrize("hand", EDITS)
def test_an_apply_stops_before_it_changes_anything(root: Path, applied: Path, hand: Any) -> None:
    """Also what is wanted anew elsewhere is left alone, and the sentence says both ways out."""
    hand(applied)
    before = snapshot(root)
    new = state(files=(file("/etc/a", FIRST), file("/etc/b", "new\n"), file("/etc/c", "c\n")))
    messages = converse(root, new)

    assert snapshot(root) == before
    end = messages[-1]
    assert (end["status"], end["changed"]) == ("failed", 0)
    stopped = "changed by hand since the last apply, so nothing was changed on this host"
    if hand is chmod:  # nothing to take into settings
        assert end["what"] == f"owner or mode of /etc/a was {stopped}"
        assert end["advice"] == (
            "set them back on the host (chmod 0644 /etc/a), or give --accept-drift, which does that"
        )
    else:
        assert end["what"] == f"/etc/a was {stopped}"
        assert "local settings" in end["advice"]
        assert "/var/lib/mailprov/runs/" in end["advice"]
    assert "--accept-drift" in end["advice"]
    drifted = [(one["name"], one["detail"]) for one in changes(messages) if one["drift"]]
    assert drifted == [("/etc/a", EDITS[hand])]
    assert of_kind(messages, "plan")[0]["waits"] is False


def test_a_removed_file_is_put_back_without_a_question(root: Path, applied: Path) -> None:
    """As when its package was purged: nothing of anybody's is overwritten. The plan says what happened all the same."""
    remove(applied)
    messages = converse(root, wanted())

    assert messages[-1]["status"] == "ok"
    assert [(one["action"], one["detail"], one["drift"]) for one in changes(messages)] == [
        ("create", "removed by hand since the last apply", False)
    ]
    assert applied.read_text() == FIRST


@pytest.mark.parametrize("hand", [*EDITS, remove])
def test_accepted_it_is_overwritten_and_kept(root: Path, applied: Path, hand: Any) -> None:
    hand(applied)
    edited = applied.read_bytes() if applied.is_file() and not applied.is_symlink() else None
    messages = converse(root, wanted(), accept_drift=True)

    assert messages[-1]["status"] == "ok"
    assert (applied.read_text(), applied.stat().st_mode & 0o777, applied.is_symlink()) == (
        FIRST,
        0o644,
        False,
    )
    notices = [message["text"] for message in of_kind(messages, "notice")]
    if edited is None:
        assert notices == []
    else:
        (notice,) = notices
        assert notice.startswith("/etc/a as it was edited by hand is kept in /var/lib/mailprov/runs/")
        assert (root / notice.partition(" in /")[2]).read_bytes() == edited
    assert changes(converse(root, wanted())) == []


def test_a_plan_shows_the_edit_itself_and_what_apply_would_do(root: Path, applied: Path) -> None:
    edit(applied)
    messages = converse(root, wanted("one\nTWO\n"), mode="plan")

    assert messages[-1]["status"] == "ok"
    (change,) = changes(messages)
    assert [
        line for line in change["edit"].splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")
    ] == ["+by hand"]
    assert "-by hand" in change["diff"]
    assert "+TWO" in change["diff"]


def test_an_edit_to_what_is_wanted_anyway_is_no_drift(root: Path, applied: Path) -> None:
    edit(applied)
    messages = converse(root, wanted(applied.read_text()))

    assert messages[-1]["status"] == "ok"
    assert changes(messages) == []
    assert changes(converse(root, wanted(applied.read_text()))) == []


def test_a_mode_that_the_inventory_changes_is_no_drift(root: Path, applied: Path) -> None:
    messages = converse(root, wanted(mode="0640"))

    assert messages[-1]["status"] == "ok"
    assert [(one["detail"], one["drift"]) for one in changes(messages)] == [("mode 0644 → 0640", False)]


def test_a_file_that_leaves_and_was_edited_stops_too(root: Path, applied: Path) -> None:
    edit(applied)
    gone = state(files=(file("/etc/b", "b\n"),))
    stopped = converse(root, gone)
    assert stopped[-1]["status"] == "failed"
    assert applied.exists()

    (notice,) = of_kind(converse(root, gone, accept_drift=True), "notice")
    assert not applied.exists()
    assert (root / notice["text"].partition(" in /")[2]).read_text() == "one\ntwo\nby hand\n"


def test_a_file_that_leaves_and_was_removed_is_no_drift(root: Path, applied: Path) -> None:
    applied.unlink()
    messages = converse(root, state(files=(file("/etc/b", "b\n"),)))

    assert (messages[-1]["status"], changes(messages)) == ("ok", [])


def test_secret_files_are_only_said_to_be_edited(root: Path) -> None:
    """No content, no diff, no copy, whatever was in it before and is in it now."""
    key = "-----BEGIN PRIVATE KEY-----\nMIIsecretsecretsecret\n"
    secret = state(files=(file("/etc/key", key, secret=True, mode="0600"),))
    converse(root, secret)
    (root / "etc/key").write_text("MIIothersecret0000000\n")
    messages = converse(root, secret)

    (change,) = changes(messages)
    assert (change["drift"], change["edit"], change["diff"]) == (True, "", "")
    said = json.dumps(messages)
    assert "MII" not in said
    assert not list((root / APPLIED).rglob("key"))


def test_there_is_no_copy_of_a_file_with_a_password_in_it(root: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMII\n"
    files = (file("/etc/pw", "pw = un gato\n"), file("/etc/k", key), file("/etc/a", "a"))
    users = account_file("/etc/users", AccountEntry("ana@a.test", password="un gato"))
    converse(root, state(files=files, account_files=(users,)))

    kept = [path for path in (root / APPLIED).rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["a"]
    assert {path.stat().st_mode & 0o077 for path in [*kept, root / APPLIED]} == {0}


def test_an_edited_account_stops_and_shows_no_hash(root: Path) -> None:
    users = state(account_files=(account_file("/etc/users", AccountEntry("ana@a.test", password="un gato")),))
    converse(root, users)
    path = root / "etc/users"
    path.write_text(path.read_text() + "eva@a.test:{PLAIN}perro::::::\n")
    before = path.read_text()
    messages = converse(root, users)

    assert messages[-1]["status"] == "failed"
    assert path.read_text() == before
    assert [(one["name"], one["drift"]) for one in changes(messages)] == [
        ("/etc/users", True),
        ("eva@a.test", False),
    ]
    assert "perro" not in json.dumps(messages)


def test_copies_follow_what_is_applied(root: Path, applied: Path) -> None:
    """The next content, another set of files, and a copy that was lost or is torn."""
    converse(root, wanted("next\n"))
    assert (root / APPLIED / "etc/a").read_text() == "next\n"
    (root / APPLIED / "etc/a").write_text("nex")
    (root / APPLIED / "etc/b").unlink()
    converse(root, wanted("next\n"))
    assert ((root / APPLIED / "etc/a").read_text(), (root / APPLIED / "etc/b").read_text()) == (
        "next\n",
        "b\n",
    )
    converse(root, state(files=(file("/etc/b", "b\n"),)))
    assert [path.name for path in (root / APPLIED / "etc").iterdir()] == ["b"]


def test_a_torn_copy_is_not_used(root: Path, applied: Path) -> None:
    (root / APPLIED / "etc/a").write_text("one\n")
    edit(applied)
    (change,) = changes(converse(root, wanted(), mode="plan"))

    assert (change["drift"], change["edit"]) == (True, "")


def test_what_an_interrupted_run_left_is_not_taken_for_an_edit(root: Path, applied: Path) -> None:
    """A plan finds a killed run's half-made changes where they are; the apply puts them back."""
    die = (
        "import os\nfrom mailprov.agent.transaction import staging\nreal = staging.swap\n"
        "def swap(tree, moves, *more):\n    real(tree, moves[:1]); os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)\n"
        "staging.swap = swap\n"
        "from mailprov.agent import journal\nnote = journal.Journal.note\n"
        "def without(self, *records):\n"
        "    note(self, *[{**one, 'checked': False} if one['r'] == 'swap' else one for one in records])\n"
        "journal.Journal.note = without\n"
    )
    agent = Agent(None, job(str(root)), die)
    agent.go(wanted("new\n"))
    agent.died()
    assert applied.read_text() == "new\n"

    planned = converse(root, wanted("newer\n"), mode="plan")
    assert [(one["name"], one["drift"]) for one in changes(planned)] == [("/etc/a", False)]
    assert converse(root, wanted("newer\n"))[-1]["status"] == "ok"


def test_a_changed_owner_is_drift(root: Path, applied: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(applied, 1, -1)
    messages = converse(root, wanted())

    assert messages[-1]["status"] == "failed"
    (change,) = changes(messages)
    assert change["drift"]
    assert f"→ {':'.join(me())}" in change["detail"]


def test_an_edit_after_a_rollback_is_shown_against_what_was_rolled_back_to(root: Path, applied: Path) -> None:
    converse(root, wanted("new\n"), run="2")
    roll_back(root)
    assert applied.read_text() == FIRST

    edit(applied)
    (change,) = changes(converse(root, wanted(), mode="plan"))
    assert (change["drift"], "+by hand" in change["edit"]) == (True, True)


def test_an_undone_run_is_not_taken_for_an_edit(root: Path, applied: Path) -> None:
    """After an undone apply the manifest is the old one again, and so nothing is drift."""
    new = wanted("new\n")
    new["files"].append({**new["files"][0], "path": "/etc/z", "owner": "mailprov-nobody-has-this"})
    assert converse(root, new)[-1]["status"] == "failed"

    assert contents(root)["/etc/a"][-1] == FIRST.encode()
    assert [one["drift"] for one in changes(converse(root, wanted("new\n"), mode="plan"))] == [False]
    edit(applied)
    (change,) = changes(converse(root, wanted(), mode="plan"))
    assert "+by hand" in change["edit"]
