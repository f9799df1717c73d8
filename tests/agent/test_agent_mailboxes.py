"""Mailboxes that accounts have left behind: told, measured, and deleted only by their whole name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.driver import Agent, converse, file, job, of_kind, snapshot, state
from tests.agent.test_agent_rollback import history, roll_back

ROOT = "/var/vmail"
USERS = "/etc/dovecot/users"
GONE = "ana@a.test"


def box(root: Path, address: str, *messages: str) -> Path:
    name, _, domain = address.rpartition("@")
    home = root / ROOT.lstrip("/") / domain / name
    for folder in ("Maildir/cur", "Maildir/new", "Maildir/tmp", "Maildir/.Sent/cur"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(messages):
        (home / "Maildir" / ("cur", "new", ".Sent/cur")[number % 3] / f"{number}.host").write_text(text)
    (home / "Maildir/dovecot.index").write_text("i" * 10)
    return home


@pytest.fixture
def host(root: Path) -> Path:
    """ana's account is gone, eva's is there; both have mail. The passwd-file says so too."""
    box(root, GONE, "x" * 1000, "y" * 500, "z")
    box(root, "eva@a.test", "e")
    (root / "etc/dovecot").mkdir(parents=True)
    (root / USERS.lstrip("/")).write_text("eva@a.test:{PLAIN}x::::::\n")
    return root


def listed(root: Path, *accounts: str) -> list[dict[str, Any]]:
    work = job(str(root), "mailboxes", mail_root=ROOT, accounts=list(accounts))
    agent = Agent(None, work)
    assert agent.end()["status"] == "ok"
    return list(of_kind(agent.messages, "mailboxes")[0]["mailboxes"])


def purge(root: Path, address: str, *accounts: str, before: str = "") -> list[dict[str, Any]]:
    more = {
        "mail_root": ROOT,
        "accounts": list(accounts),
        "users": USERS,
        "login": address,
        "address": address,
    }
    agent = Agent(None, job(str(root), "purge", **more), before)
    if agent.until("plan")["t"] == "plan" and agent.messages[-1]["waits"]:
        agent.send("go", fingerprint=agent.messages[-1]["fingerprint"])
    agent.end()
    return agent.messages


def test_only_mailboxes_without_an_account_are_told_and_nothing_is_written(host: Path) -> None:
    (host / "var/vmail/a.test/no-mailbox").mkdir()
    (host / "var/vmail/a.test/file").write_text("x")
    (host / "var/vmail/lost+found").mkdir()
    before = snapshot(host, without="^$")
    (ana,) = listed(host, "eva@a.test")

    assert snapshot(host, without="^$") == before
    assert (ana["address"], ana["messages"], ana["bytes"]) == (GONE, 3, 1511)
    assert ana["changed"] > 1_700_000_000


def test_links_are_neither_mailboxes_nor_followed(host: Path, tmp_path: Path) -> None:
    outside = box(tmp_path, "x@y.test", "precious" * 1000)
    vmail = host / "var/vmail"
    (vmail / "a.test/link").symlink_to(outside)
    (vmail / "linked.test").symlink_to(outside.parent)
    (vmail / "a.test/ana/Maildir/.Linked").symlink_to(outside / "Maildir")

    (ana,) = listed(host, "eva@a.test")
    assert (ana["address"], ana["messages"]) == (GONE, 3)
    assert purge(host, GONE)[-1]["status"] == "ok"
    assert (outside / "Maildir/cur/0.host").read_text() == "precious" * 1000
    for address in ("link@a.test", "x@linked.test"):
        assert of_kind(purge(host, address), "plan")[0]["changes"] == []
    assert (outside / "Maildir/cur/0.host").exists()


def test_a_mailbox_is_shown_then_deleted_and_the_others_stay(host: Path) -> None:
    box(host, "anabel@a.test", "a")
    box(host, "ana@b.test", "b")
    messages = purge(host, GONE, "eva@a.test")

    (change,) = of_kind(messages, "plan")[0]["changes"]
    assert (change["kind"], change["action"], change["name"]) == ("mailbox", "delete", GONE)
    assert change["detail"].startswith("3 messages, 1.5 KB, the last of 20")
    assert (messages[-1]["status"], messages[-1]["changed"]) == ("ok", 1)
    assert sorted(os.listdir(host / "var/vmail/a.test")) == ["anabel", "eva"]
    assert [one["address"] for one in listed(host, "eva@a.test")] == ["anabel@a.test", "ana@b.test"]


def test_the_history_tells_a_purge_and_a_rollback_passes_it_over(host: Path) -> None:
    """What was deleted does not come back: the run before it is the one that is undone."""
    assert converse(host, state(files=(file("/etc/a", "1\n"),)), run="r1")[-1]["status"] == "ok"
    purge(host, GONE)
    told = [
        (one["kind"], one["address"], one["status"], one["changed"], one["next"]) for one in history(host)
    ]

    assert told == [("apply", "", "ok", 1, True), ("purge", GONE, "ok", 1, False)]
    assert history(host)[-1]["owner"] == "ana@laptop mailprov apply"
    roll_back(host)
    assert not (host / "etc/a").exists()


def test_a_purge_that_was_killed_is_told_as_what_it_is(host: Path) -> None:
    """Nothing of it can be put back, and the word "apply" does not occur."""
    die = "import os\nfrom mailprov.agent import trees\ntrees.remove = lambda *_: os.kill(os.getpid(), 9)\n"
    more = {"mail_root": ROOT, "accounts": [], "users": USERS, "login": GONE, "address": GONE}
    agent = Agent(None, job(str(host), "purge", **more), die)
    agent.send("go", fingerprint=agent.until("plan")["fingerprint"])
    agent.died()

    assert history(host)[-1]["status"] == "interrupted; the next purge in this domain deletes the rest"
    for mode in ("plan", "apply"):
        (notice,) = of_kind(converse(host, state(files=(file("/etc/a", "1\n"),)), mode=mode), "notice")
        assert notice["text"].startswith(f"a purge of {GONE} by ana@laptop mailprov apply at 20")
        assert notice["text"].endswith(
            "was interrupted; the next purge in its domain deletes what is left of that mailbox"
        )
    assert [one["status"] for one in history(host)] == ["interrupted", "ok"]


def test_nothing_is_deleted_without_the_go(host: Path) -> None:
    more = {"mail_root": ROOT, "accounts": [], "users": USERS, "login": GONE, "address": GONE}
    for answer in ("cancel", "another"):
        agent = Agent(None, job(str(host), "purge", **more))
        agent.until("plan")
        if answer == "cancel":
            agent.send("cancel")
        else:
            agent.send("go", fingerprint="other")
        assert agent.end()["status"] != "ok"
        assert (host / "var/vmail/a.test/ana/Maildir/cur/0.host").exists()


def test_who_can_log_in_or_is_an_account_is_refused(host: Path) -> None:
    before = snapshot(host)
    login = purge(host, "eva@a.test")
    account = purge(host, GONE, GONE)

    assert snapshot(host) == before
    assert (login[-1]["status"], account[-1]["status"]) == ("failed", "failed")
    assert of_kind(login, "plan") == of_kind(account, "plan") == [], "there is nothing to ask about"
    assert "eva@a.test can still log in on this host" in login[-1]["what"]
    assert "is an account of the inventory" in account[-1]["what"]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "*@a.test",
        "ana@*",
        ".@a.test",
        "..@a.test",
        "../a.test/ana@a.test",
        "ana/Maildir@a.test",
        "@a.test",
        "an@a.test",
        "ana@.",
        "ana@..",
        "a.test/ana@.",
        "ana",
        "ANA@a.test",
        "no-mailbox@a.test",
    ],
)
def test_only_a_whole_name_names_a_mailbox(host: Path, address: str) -> None:
    (host / "var/vmail/a.test/no-mailbox").mkdir()
    box(host, "x@..hidden", "x")
    before = snapshot(host)
    messages = purge(host, address)

    assert of_kind(messages, "plan")[0]["changes"] == []
    assert (messages[-1]["status"], messages[-1]["changed"]) == ("ok", 0)
    assert snapshot(host) == before


def test_a_host_without_mail_has_nothing_to_tell(root: Path) -> None:
    assert listed(root) == []
    assert of_kind(purge(root, GONE), "plan")[0]["changes"] == []


def test_mail_that_came_meanwhile_stops_it(host: Path) -> None:
    more = {"mail_root": ROOT, "accounts": [], "users": USERS, "login": GONE, "address": GONE}
    agent = Agent(None, job(str(host), "purge", **more))
    plan = agent.until("plan")
    box(host, GONE, "1", "2", "3", "4")
    agent.send("go", fingerprint=plan["fingerprint"])
    end = agent.end()

    assert end["what"] == f"the mailbox of {GONE} has changed since it was shown"
    assert (host / "var/vmail/a.test/ana/Maildir/cur/3.host").exists()


def test_what_a_killed_purge_left_goes_with_the_next_one_and_is_no_mailbox(host: Path) -> None:
    box(host, "next@a.test", "n")
    die = "import os\nfrom mailprov.agent import trees\ntrees.remove = lambda *_: os.kill(os.getpid(), 9)\n"
    more = {"mail_root": ROOT, "accounts": [], "users": USERS, "login": GONE, "address": GONE}
    agent = Agent(None, job(str(host), "purge", **more), die)
    plan = agent.until("plan")
    agent.send("go", fingerprint=plan["fingerprint"])
    agent.died()

    assert [name[:16] for name in sorted(os.listdir(host / "var/vmail/a.test"))][:1] == [".mailprov-purge-"]
    assert [one["address"] for one in listed(host, "eva@a.test")] == ["next@a.test"]
    assert purge(host, "next@a.test")[-1]["status"] == "ok"
    assert os.listdir(host / "var/vmail/a.test") == ["eva"]


FEW_FILES = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"


def many_folders(home: Path, count: int) -> None:
    """As IMAP makes them (Maildir++): one message in each."""
    for number in range(count):
        for part in ("cur", "new", "tmp"):
            (home / f"Maildir/.F{number}" / part).mkdir(parents=True)
        (home / f"Maildir/.F{number}/new/1.host").write_text("12345")


@pytest.fixture
def deep(host: Path) -> Iterator[Path]:
    """ana has a message below 3,000 directories, each in the other: longer than any path may be."""
    here = os.open(host / "var/vmail/a.test/ana/Maildir", os.O_RDONLY)
    for name in ["d" * 20] * 3000 + ["cur"]:
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("1.host", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    yield host
    subprocess.run(["rm", "-rf", host / "var/vmail"], check=True)


def test_many_folders_are_counted_right_and_go_with_few_open_files(host: Path) -> None:
    """Two thousand folders, each with a message; the limit of open files was swallowed, and half of them with it."""
    many_folders(host / "var/vmail/a.test/ana", 2000)
    work = job(str(host), "mailboxes", mail_root=ROOT, accounts=["eva@a.test"])
    agent = Agent(None, work, FEW_FILES)
    assert agent.end()["status"] == "ok"
    (told,) = of_kind(agent.messages, "mailboxes")[0]["mailboxes"]
    assert (told["messages"], told["bytes"]) == (2003, 1511 + 2000 * 5)

    messages = purge(host, GONE, before=FEW_FILES)
    assert of_kind(messages, "plan")[0]["changes"][0]["detail"].startswith("2003 messages, 11.5 KB")
    assert messages[-1]["status"] == "ok"
    assert os.listdir(host / "var/vmail/a.test") == ["eva"]


def test_a_deep_tree_is_counted_and_goes_and_breaks_no_later_purge(deep: Path) -> None:
    box(deep, "next@a.test", "n")
    (ana, _) = listed(deep, "eva@a.test")
    assert (ana["address"], ana["messages"]) == (GONE, 4)
    messages = purge(deep, GONE, before=FEW_FILES)

    assert (messages[-1]["status"], messages[-1]["what"]) == ("ok", "")
    assert purge(deep, "next@a.test")[-1]["status"] == "ok"
    assert os.listdir(deep / "var/vmail/a.test") == ["eva"]


def test_what_cannot_be_read_is_told_and_not_counted_as_nothing(host: Path) -> None:
    failing = """
import errno, os
from mailprov.agent import trees
entered = trees.enter
def enter(parent, name):
    if name == "new":
        raise OSError(errno.EIO, "Input/output error")
    return entered(parent, name)
trees.enter = enter
"""
    messages = purge(host, GONE, before=failing)
    assert messages[-1]["status"] == "failed"
    assert "Input/output error" in messages[-1]["what"]
    assert (host / "var/vmail/a.test/ana/Maildir/cur/0.host").exists()


def test_a_directory_that_is_moved_while_it_is_walked_leads_nowhere_else(host: Path, tmp_path: Path) -> None:
    """On the way back ".." is another one: what lies there stays."""
    precious = box(tmp_path / "outside", "x@y.test", "precious")
    moving = f"""
import os
from mailprov.agent import trees
removed = trees.remove
def remove(parent, name):
    unlink, moved = os.unlink, []
    def unlinks(path, dir_fd=None):
        unlink(path, dir_fd=dir_fd)
        if not moved:
            moved.append(1)
            here = os.readlink(f"/proc/self/fd/{{dir_fd}}")
            os.rename(here, {str(precious / "Maildir" / "moved")!r})
    os.unlink = unlinks
    removed(parent, name)
trees.remove = remove
"""
    messages = purge(host, GONE, before=moving)
    assert messages[-1]["status"] == "failed"
    assert "its folders are being moved" in messages[-1]["what"]
    assert (precious / "Maildir/cur/0.host").read_text() == "precious"
