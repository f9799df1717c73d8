"""The mail user of a host, whose is all below the mail root, wants a purge to delete, read or tell something else, or to
come to no end. The real agent, on trees made here; without a lab.
"""

from __future__ import annotations

import os
import random
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.agent.driver import Agent, job, of_kind, snapshot
from tests.agent.test_agent_mailboxes import GONE, ROOT, USERS, box
from tests.attacks.tries import Tries, some

# Names that a directory of a mailbox, or a file in one, may have: as octets.
NAMES: list[bytes] = [
    b"\n", b"a\nb", b"\r", b"\t", b" ", b"  x  ", b"\x1b[2J", b"\x1b]0;t\x07", b"\xff", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xe2\x80\xae", b"\xc2\x9b31m", b"-", b"-rf", b"--", b"--help",
    b"*", b"?", b"[a]", b"~", b"~root", b"$(id)", b"`id`", b";id", b"|id", b"&", b"'", b'"', b"\\", b"\\n", b"%s", b"{}", b"...", b"..x", b".mailprov-purge-", b".mailprov-purge-1-1", b"lost+found",
    b"Maildir", b"cur", b"new", b"tmp", b"@", b"@@", b"a@b", b"ana@a.test", b"a@b@c", b"x" * 255, b"\xf0\x9f\x92\xa9" * 60, b"\x01", b"\x7f", b"null", b"0", b"-1", b"ANA", b"ana.", b"ana ", b" ana", b"an\xc3\xa4",
]  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """ana's account is gone, eva's is there."""
    root = tmp_path / "root"
    box(root, GONE, "x" * 1000, "y")
    box(root, "eva@a.test", "precious")
    (root / "etc/dovecot").mkdir(parents=True)
    (root / USERS.lstrip("/")).write_text("eva@a.test:{PLAIN}x::::::\n")
    return root


def purge(root: Path, address: str, before: str = "") -> list[dict[str, Any]]:
    more = {"mail_root": ROOT, "accounts": [], "users": USERS, "login": address, "address": address}
    agent = Agent(None, job(str(root), "purge", **more), before)
    if agent.until("plan")["t"] == "plan" and agent.messages[-1]["waits"]:
        agent.send("go", fingerprint=agent.messages[-1]["fingerprint"])
    agent.end()
    return agent.messages


def listed(root: Path) -> Agent:
    agent = Agent(None, job(str(root), "mailboxes", mail_root=ROOT, accounts=["eva@a.test"]))
    agent.end()
    return agent


def _plant(home: Path, name: bytes, kind: str, outside: Path) -> None:
    at = os.fsencode(home / "Maildir") + b"/" + name
    if kind == "folder":
        os.makedirs(at + b"/cur", exist_ok=True)
        os.close(os.open(at + b"/cur/" + (name if len(name) < 255 else b"x"), os.O_CREAT | os.O_WRONLY))
    elif os.path.lexists(at):
        return
    elif kind == "link":
        os.symlink(outside, at)
    elif kind == "hard link":
        os.link(outside / "file", at)
    elif kind == "fifo":
        os.mkfifo(at)
    elif kind == "socket":
        here = os.open(home / "Maildir", os.O_RDONLY)
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(b"/proc/self/fd/%d/s" % here)
            os.rename(b"s", name, src_dir_fd=here, dst_dir_fd=here)
        finally:
            os.close(here)
    elif kind == "device":
        os.mknod(at, stat.S_IFBLK | 0o600, os.makedev(7, 250))
    else:
        os.close(os.open(at, os.O_CREAT | os.O_WRONLY))
        os.chmod(at, 0)


def test_what_lies_in_a_mailbox(host: Path, tmp_path: Path, tries: Tries) -> None:
    """Every kind of file under every name: it goes with the mailbox, and nothing else does."""
    outside = tmp_path / "outside"
    (outside / "cur").mkdir(parents=True)
    (outside / "file").write_text("precious")
    (outside / "cur/1").write_text("precious")
    eva = snapshot(host / "var/vmail/a.test/eva")
    for kind in ("folder", "link", "hard link", "fifo", "socket", "device", "forbidden file"):
        for names in [[name] for name in some(NAMES, 1)] + [list(NAMES)]:
            home = box(host, GONE, "1", "2", "3")
            for name in names:
                if not (kind != "folder" and name in (b"cur", b"new", b"tmp")):
                    _plant(home, name, kind, outside)
            said = listed(host).messages
            messages = purge(host, GONE)
            tries.held((kind, names[:2], "told"), said[-1]["status"] == "ok", said[-1])
            tries.held(
                (kind, names[:2], "goes"),
                messages[-1]["status"] == "ok" and messages[-1]["changed"] == 1,
                messages[-1],
            )
            tries.held(
                (kind, names[:2], "gone"),
                os.listdir(host / "var/vmail/a.test") == ["eva"],
                os.listdir(host / "var/vmail/a.test"),
            )
            whole = (outside / "file").read_text() + (outside / "cur/1").read_text() == "precious" * 2
            tries.held((kind, names[:2], "others"), whole and snapshot(host / "var/vmail/a.test/eva") == eva)


def test_what_a_mailbox_is_called(host: Path, tries: Tries) -> None:
    """As a mailbox and as a domain: it ends no listing, and its purge takes it or says why not, and nothing else."""
    vmail = os.fsencode(host / "var/vmail")
    for name in some(NAMES, 12):
        for domain, user in ((b"a.test", name), (name, b"ana")):
            if os.path.lexists(at := vmail + b"/" + domain + b"/" + user):
                continue
            os.makedirs(at + b"/Maildir/cur")
            agent = listed(host)
            end = agent.messages[-1]
            told = [
                each["address"]
                for message in of_kind(agent.messages, "mailboxes")
                for each in message["mailboxes"]
            ]
            tries.held((domain, user, "told"), end["status"] == "ok" and GONE in told, (end, told))
            address = os.fsdecode(user + b"@" + domain)
            messages = purge(host, address)
            end = messages[-1]
            exists = os.path.lexists(at)
            tries.held(
                (domain, user, "goes or says why"),
                (end["status"] == "ok") or (end["status"] == "failed" and end["what"]),
                end,
            )
            tries.held(
                (domain, user, "others"),
                GONE
                in [each["address"] for each in of_kind(listed(host).messages, "mailboxes")[0]["mailboxes"]],
                exists,
            )
            if exists:
                os.rename(at, vmail + b"/../aside-%d" % random.getrandbits(60))


# Somebody works in the mailbox while it is read or deleted: at each step of the walk, once.
MEANWHILE = """
import os
from mailprov.agent import trees
inner, count = trees.attempt, [0]
def tried(parent, name):
    count[0] += 1
    if count[0] == {step}:
        here = {home!r}
        {what}
    return inner(parent, name)
trees.attempt = tried
"""
CHANGES = [
    "os.path.isdir(here) and os.rename(here, here + '-moved')",
    "os.path.isdir(here) and (os.rename(here, here + '-moved'), os.symlink({eva!r}, here))",
    "os.path.isdir(here) and (os.rename(here, here + '-moved'), os.rename({eva!r}, here))",
    "os.path.isdir(here + '/Maildir') and (os.rename(here + '/Maildir', here + '/M'), os.symlink({eva!r} + '/Maildir', here + '/Maildir'))",
    "os.path.isdir(here + '/Maildir/.Sent') and (os.rename(here + '/Maildir/.Sent', here + '/Maildir/.Sunk'), os.symlink({eva!r} + '/Maildir', here + '/Maildir/.Sent'))",
    "os.path.isdir(here + '/Maildir/new') and os.rename(here + '/Maildir/new', here + '/Maildir/.Sent/cur/new')",
    "os.path.isdir(here) and os.mkdir(here + '/Maildir/.Late')",
    "os.path.isdir(here) and open(here + '/Maildir/cur/late', 'w').close()",
    "os.path.isdir(here) and [os.unlink(here + '/Maildir/cur/' + each) for each in os.listdir(here + '/Maildir/cur')]",
]  # fmt: skip


def test_who_works_in_it_meanwhile(tmp_path: Path, tries: Tries) -> None:
    """Whatever becomes of the mailbox itself: a link put in the way leads nowhere, and eva's mail is all there, wherever the
    mail user has moved it, unless he moved it to the very name that is to go.
    """
    steps = range(1, 14)
    for number, change in enumerate(CHANGES):
        for step in some(steps, 2):
            root = tmp_path / f"{number}-{step}"
            box(root, GONE, "x" * 1000, "y", "z")
            eva = box(root, "eva@a.test", "precious")
            (root / "etc/dovecot").mkdir(parents=True)
            (root / USERS.lstrip("/")).write_text("eva@a.test:x\n")
            home = str(root / "var/vmail/a.test/ana")
            messages = purge(
                root, GONE, MEANWHILE.format(step=step, home=home, what=change.format(eva=str(eva)))
            )
            end = messages[-1]
            tries.held(
                (change, step, "ends"), end["t"] == "end" and (end["status"] == "ok" or end["what"]), end
            )
            found = [
                path
                for path in (root / "var/vmail").rglob("0.host")
                if not path.is_symlink() and path.read_text() == "precious"
            ]
            named = "os.rename({eva!r}, here)" in change
            tries.held((change, step, "eva's"), found or named, end)
