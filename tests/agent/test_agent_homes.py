"""Homes that users with a shell have left behind: told, and deleted with the address by a purge alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import files
from mailprov.agent.resources import logins
from tests.agent.driver import Agent, job, of_kind
from tests.agent.test_agent_mailboxes import GONE, ROOT, USERS, box

NOLOGIN = "/usr/sbin/nologin"


def _passwd(root: Path, *rows: tuple[str, str, str]) -> None:
    lines = [f"{name}:x:{os.getuid()}:1000:{gecos}:/home/{name}:{shell}\n" for name, gecos, shell in rows]
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n" + "".join(lines))


@pytest.fixture
def host(root: Path) -> Path:
    """ana left and was locked; luis is somebody else's user, eva has a shell."""
    _passwd(
        root,
        ("ana", f",,,,mailprov-account={GONE}", NOLOGIN),
        ("luis", "Luis,,,", "/bin/bash"),
        ("eva", ",,,,mailprov-account=eva@a.test", "/bin/bash"),
    )
    for name in ("ana", "luis", "eva"):
        (root / "home" / name / "mail").mkdir(parents=True)
        (root / "home" / name / "mail/notes").write_text("precious")
    (root / "home/ana/away").symlink_to(root / "home/luis")
    return root


def _listed(root: Path, *names: str) -> list[dict[str, Any]]:
    agent = Agent(None, job(str(root), "mailboxes", mail_root=ROOT, accounts=[], logins=list(names)))
    assert agent.end()["status"] == "ok"
    return list(of_kind(agent.messages, "mailboxes")[0].get("homes", []))


def _purge(root: Path, address: str, *, before: str = "") -> list[dict[str, Any]]:
    more = {"mail_root": ROOT, "accounts": [], "users": USERS, "login": address, "address": address}
    agent = Agent(None, job(str(root), "purge", logins=["eva"], **more), before)
    if agent.until("plan")["t"] == "plan" and agent.messages[-1]["waits"]:
        agent.send("go", fingerprint=agent.messages[-1]["fingerprint"])
    agent.end()
    return agent.messages


def test_homes_of_those_who_left_are_told_and_of_nobody_else(host: Path) -> None:
    (told,) = _listed(host, "eva")
    changed = told.pop("changed")
    assert told == {"address": GONE, "user": "ana", "path": "/home/ana", "files": 2, "bytes": told["bytes"]}
    assert changed > 1_700_000_000
    assert _listed(host, "eva", "ana") == []


def test_a_purge_shows_the_home_and_deletes_it_with_what_is_elsewhere(host: Path) -> None:
    box(host, GONE, "x")
    for place in ("tmp", "var/tmp", "var/spool/cron/crontabs", "var/spool/cron/atjobs"):
        (host / place).mkdir(parents=True)
    (host / "tmp/dir/below").mkdir(parents=True)
    for path in (
        "tmp/dir/below/a",
        "var/tmp/b",
        "var/spool/cron/crontabs/ana",
        "var/spool/cron/atjobs/a0001",
    ):
        (host / path).write_text("hers")
    (host / "var/spool/cron/crontabs/eva").write_text("eva's")
    messages = _purge(host, GONE)
    (plan,) = of_kind(messages, "plan")
    assert [(one["kind"], one["name"]) for one in plan["changes"]] == [("mailbox", GONE), ("user", "ana")]
    assert plan["changes"][1]["detail"].startswith(f"the user of {GONE}, with its home /home/ana, 2 files, ")
    assert messages[-1]["status"] == "ok", messages[-1]
    assert sorted(os.listdir(host / "home")) == ["eva", "luis"]
    assert (host / "home/luis/mail/notes").read_text() == "precious"
    assert os.listdir(host / "tmp") == os.listdir(host / "var/tmp") == []
    assert os.listdir(host / "var/spool/cron/crontabs") == ["eva"]
    assert logins._first(files.Tree(str(host))) == (os.getuid() + 1 if os.getuid() >= 100 else 0)


def test_a_home_alone_can_be_purged_and_one_in_use_cannot(host: Path) -> None:
    assert _purge(host, GONE)[-1]["status"] == "ok"
    _passwd(host, ("pia", ",,,,mailprov-account=pia@a.test", "/bin/bash"))
    (host / "home/pia").mkdir()
    end = _purge(host, "pia@a.test")[-1]
    assert end["what"] == "pia, the user of pia@a.test, can still log in by SSH, so nothing was deleted"
    assert (host / "home/pia").exists()
    nothing = of_kind(_purge(host, "eva@a.test"), "plan")[0]
    assert nothing["changes"] == []
    assert (host / "home/eva/mail/notes").exists()


def test_what_is_in_it_has_changed_since_it_was_shown(host: Path) -> None:
    more = {"mail_root": ROOT, "accounts": [], "users": USERS, "login": GONE, "address": GONE}
    agent = Agent(None, job(str(host), "purge", **more))
    plan = agent.until("plan")
    (host / "home/ana/new").write_text("x")
    agent.send("go", fingerprint=plan["fingerprint"])
    assert "has changed since it was shown" in agent.end()["what"]
    assert (host / "home/ana/mail/notes").exists()


def test_what_a_killed_purge_left_goes_with_the_next(host: Path) -> None:
    die = "import os\nfrom mailprov.agent import trees\ntrees.remove = lambda *_: os.kill(os.getpid(), 9)\n"
    more = {"mail_root": ROOT, "accounts": [], "users": USERS, "login": GONE, "address": GONE}
    agent = Agent(None, job(str(host), "purge", **more), die)
    agent.send("go", fingerprint=agent.until("plan")["fingerprint"])
    agent.died()
    assert ".mailprov-purge-ana" in os.listdir(host / "home")
    assert [one["user"] for one in _listed(host, "eva")] == ["ana"]
    assert _purge(host, GONE)[-1]["status"] == "ok"
    assert sorted(os.listdir(host / "home")) == ["eva", "luis"]
