"""A first apply on a host with mail or settings of its own: the plan says what it hides or replaces, and apply asks.

What real packages put on a real host, and that an untouched one never asks, tests/lab/test_own_host.py shows.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailprov.agent import files, journal, manifest
from mailprov.agent.changes import Observed
from mailprov.agent.resources.packages import Package
from mailprov.model.host_state import AccountEntry
from tests.agent.driver import Agent, account_file, converse, file, job, of_kind, snapshot, state
from tests.agent.test_agent_crash import EVERY, KILLER

MAIN = "myhostname = mx1.alpha.test\nrelayhost =\n"
DEBIAN = "biff = no\ncompatibility_level = 3.6\n"
MASTER = "smtp inet n - y - - smtpd\n"


def wanted(**more: Any) -> dict[str, Any]:
    found = state(
        files=(
            file("/etc/postfix/main.cf", MAIN),
            file("/etc/postfix/master.cf", "smtp inet n - n - - smtpd -o x=y\n"),
            file("/etc/dovecot/dovecot.conf", "protocols = imap\n"),
            file("/etc/rspamd/local.d/actions.conf", "reject = 15;\n"),
        ),
        account_files=(account_file("/etc/dovecot/users", AccountEntry("ana@alpha.test", "x")),),
        **more,
    )
    # The user exists already as far as this root knows: only where his mail lies is asked for.
    found["users"] = []
    return found


def put(root: Path, path: str, text: str) -> None:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def packaged(root: Path) -> None:
    """As the packages leave it: Postfix and Dovecot of Debian 12."""
    put(root, "/usr/share/postfix/main.cf.debian", DEBIAN)
    put(root, "/usr/share/postfix/master.cf.dist", MASTER + "pickup unix n - y 60 1 pickup\n")
    own = "mydestination = $myhostname, mx1.alpha.test, localhost.alpha.test, , localhost\nrelayhost = \n"
    put(root, "/etc/postfix/main.cf", DEBIAN + own + "mynetworks = 127.0.0.0/8\n")
    put(
        root,
        "/etc/postfix/master.cf",
        "# comment\nsmtp      inet  n       -       n       -       -   smtpd\n",
    )
    put(root, "/etc/dovecot/dovecot.conf", "!include conf.d/*.conf\n")
    put(root, "/etc/dovecot/conf.d/10-mail.conf", "mail_location = mbox:~/mail\n")
    put(root, "/etc/aliases", "# See man 5 aliases for format\npostmaster:    root\n")
    digests = "".join(
        f"{hashlib.md5((root / path).read_bytes()).hexdigest()}  /{path}\n"
        for path in ("etc/dovecot/dovecot.conf", "etc/dovecot/conf.d/10-mail.conf")
    )
    put(root, "/var/lib/ucf/hashfile", digests)
    put(root, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n")


def mbox(count: int) -> str:
    return "".join(
        f"From a@b Mon\nSubject: {n}\n\nSee below.\nFrom here\n\n>From there\n\n" for n in range(count)
    )


def losses(messages: list[dict[str, Any]]) -> list[str]:
    (plan,) = of_kind(messages, "plan")
    return list(plan.get("takes_over", []))


def test_untouched_packages_are_taken_without_a_word(root: Path) -> None:
    packaged(root)
    messages = converse(root, wanted(), take_over_host=False)

    assert losses(messages) == []
    assert messages[-1]["status"] == "ok", messages[-1]


OWN = {
    "mail in the spool": ("/var/mail/ana", mbox(3), "3 messages of ana in /var/mail/ana will not be shown by IMAP"),
    "one message": ("/var/mail/ana", "\0 no mbox", "1 message of ana in /var/mail/ana will not be shown by IMAP"),
    "mail at home": (
        "/home/ana/Maildir/new/1.a", "x", "1 message of ana in /home/ana/Maildir will not be shown by IMAP",
    ),
    "a domain of Postfix": (
        "/etc/postfix/main.cf",
        DEBIAN + "virtual_mailbox_domains = beta.test\nmydestination = $myhostname, gamma.test\n",
        "/etc/postfix/main.cf is replaced, and with it the settings virtual_mailbox_domains and mydestination "
        "of this host's own",
    ),
    "a service of Postfix": (
        "/etc/postfix/master.cf", MASTER + "submission inet n - y - - smtpd\n  -o a=b\n",
        "/etc/postfix/master.cf is replaced, and with it the service submission/inet of this host's own",
    ),
    "an edited conffile": (
        "/etc/dovecot/dovecot.conf", "listen = 127.0.0.1\n",
        "/etc/dovecot/dovecot.conf is replaced, which was edited here",
    ),
    "a file that nothing reads any more": (
        "/etc/dovecot/conf.d/99-local.conf", "ssl = no\n",
        "/etc/dovecot/conf.d/99-local.conf, which comes from no package, is no longer read",
    ),
    "users of Dovecot": (
        "/etc/dovecot/users", "eva:{PLAIN}x\n", "/etc/dovecot/users is replaced, which comes from no package",
    ),
    "a setting of Rspamd": (
        "/etc/rspamd/local.d/actions.conf", "reject = 100;\n",
        "/etc/rspamd/local.d/actions.conf is replaced, which comes from no package",
    ),
    "aliases": (
        "/etc/aliases", "postmaster: root\nsales: ana\n", "/etc/aliases is no longer read, and with it the alias sales",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_what_is_the_hosts_own_is_told_and_stops_an_apply_that_does_not_say_so(root: Path, name: str) -> None:
    path, text, sentence = OWN[name]
    packaged(root)
    put(root, path, text)
    before = snapshot(root)
    messages = converse(root, wanted(), take_over_host=False)

    assert losses(messages) == [sentence]
    end = messages[-1]
    assert (end["status"], end["changed"]) == ("failed", 0)
    assert "nothing was changed" in end["what"]
    assert sentence in end["what"]
    assert "--take-over-host" in end["advice"]
    assert snapshot(root) == before

    assert losses(converse(root, wanted(), mode="plan")) == [sentence]
    messages = converse(root, wanted(), take_over_host=True)
    assert (losses(messages), messages[-1]["status"]) == ([sentence], "ok")
    # From now on there is a manifest, and nobody is asked again; an edit is drift.
    (root / "etc/rspamd/local.d/actions.conf").unlink()
    messages = converse(root, wanted(), take_over_host=False)
    assert (losses(messages), messages[-1]["status"]) == ([], "ok")


def test_mail_that_accounts_of_the_inventory_open_is_not_hidden(root: Path) -> None:
    """A store laid out as ours is shown on; one beside it, or in another layout, is not."""
    packaged(root)
    for path in ("alpha.test/ana/Maildir/cur/1", "alpha.test/eva/Maildir/cur/1", "beta.test/luis/new/1"):
        put(root, f"/var/vmail/{path}", "x")
    for path in ("alpha.test/ana/Maildir/new", "alpha.test/eva/Maildir/new", "beta.test/luis/cur"):
        (root / "var/vmail" / path).mkdir()
    put(root, "/etc/postfix/main.cf", DEBIAN + "virtual_mailbox_base = /var/vmail\n")

    assert losses(converse(root, wanted(), mode="plan")) == [
        "1 message of eva@alpha.test in /var/vmail/alpha.test/eva/Maildir will not be shown by IMAP",
        "1 message of luis@beta.test in /var/vmail/beta.test/luis will not be shown by IMAP",
        "/etc/postfix/main.cf is replaced, and with it the setting virtual_mailbox_base of this host's own",
    ]


def test_of_very_many_mailboxes_the_fullest_are_named(root: Path) -> None:
    packaged(root)
    for number in range(30):
        put(root, f"/var/mail/u{number:02}", mbox(number + 1))
    told = losses(converse(root, wanted(), mode="plan"))

    assert len(told) == 21
    assert told[0].startswith("30 messages of u29 in /var/mail/u29 ")
    assert told[-1] == f"{sum(range(1, 11))} messages in 10 more mailboxes will not be shown by IMAP"


def test_links_in_the_spool_lead_nowhere(root: Path, tmp_path: Path) -> None:
    """Users may write there on some hosts: what is counted is never another's file."""
    packaged(root)
    (tmp_path / "secret").write_text(mbox(5))
    (root / "var/mail").mkdir(parents=True)
    (root / "var/mail/ana").symlink_to(tmp_path / "secret")

    assert losses(converse(root, wanted(), mode="plan")) == []


CONFFILE = "# acl\n"
EXIM = f"""\
Package: postfix
Status: deinstall ok config-files
Provides: default-mta, mail-transport-agent

Package: exim4-config
Status: install ok installed
Source: exim4 (4.96-15)
Conffiles:
 /etc/exim4/conf.d/acl/00_header {hashlib.md5(CONFFILE.encode()).hexdigest()}

Package: exim4-daemon-light
Status: install ok installed
Source: exim4
Provides: exim4-localscanapi-6.0, mail-transport-agent
"""
LOCAL = "dc_eximconfig_configtype='local'\ndc_other_hostnames='mx1'\ndc_relay_nets=''\n"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        (
            {"/etc/exim4/update-exim4.conf.conf": LOCAL.replace("local", "smarthost")},
            ["update-exim4.conf.conf"],
        ),
        ({"/etc/exim4/conf.d/acl/00_header": "deny\n"}, ["conf.d/acl/00_header"]),
    ],
)
def test_another_mail_server_that_postfix_replaces(
    root: Path, changed: dict[str, str], expected: list[str]
) -> None:
    """One that nobody has told anything goes without a question, as Debian's exim4 does when Postfix comes."""
    put(root, "/var/lib/dpkg/status", EXIM)
    put(root, "/etc/exim4/conf.d/acl/00_header", CONFFILE)
    put(root, "/etc/exim4/update-exim4.conf.conf", LOCAL)
    for path, text in changed.items():
        put(root, path, text)
    told = [
        f"exim4-daemon-light is removed, and with it what this host has of its own in /etc/exim4/{path}"
        for path in expected
    ]

    assert losses(converse(root, wanted(), mode="plan")) == told
    end = converse(root, wanted(), take_over_host=False)[-1]
    assert end["status"] == ("failed" if told else "ok")


def test_what_postfix_removes_stands_beside_it_in_the_plan(root: Path) -> None:
    put(root, "/var/lib/dpkg/status", EXIM)
    found = {"postfix": {"installed": None, "candidate": "3.7.11"}}
    look = SimpleNamespace(
        observed=Observed(found, {}, set()),
        state={"rendered_for": [], "packages": ["postfix"]},
        tree=files.Tree(str(root)),
    )

    ((only,),) = [package.changes for package in Package.compare(look)]  # type: ignore[arg-type]
    assert (only["name"], only["detail"]) == ("postfix", "3.7.11; removes exim4-daemon-light")


@pytest.mark.parametrize("own", [False, True])
def test_a_killed_first_apply_leaves_nothing_that_is_taken_for_the_hosts_own(root: Path, own: bool) -> None:
    """At each of some steps (MAILPROV_FAULTS=full: at every one) neither a plan, which may not undo it, nor the next
    apply sees more than there was before.
    """
    name = "an edited conffile"
    for n in range(8, 400, min(EVERY, 7)):
        place = root / str(n)
        packaged(place)
        if own:
            put(place, OWN[name][0], OWN[name][1])
        agent = Agent(None, job(str(place)), KILLER.format(n=n, whole=True))
        agent.go(wanted())
        if not agent.died():
            break
        planned = losses(converse(place, wanted(), mode="plan"))
        messages = converse(place, wanted(), take_over_host=False)

        assert planned == losses(messages), f"killed at call {n}"
        assert planned in ([OWN[name][2]] if own else [], []), f"killed at call {n}: {planned}"
        # Behind the burst of renames it is mailprov's.
        assert messages[-1]["status"] == ("failed" if planned else "ok"), f"killed at call {n}"
    assert n > 20


@pytest.mark.parametrize("own", [False, True])
def test_a_first_apply_whose_files_are_half_in_their_places_is_not_taken_for_the_hosts_own(
    root: Path, own: bool
) -> None:
    """Killed before its commit point, as where files could only be checked in their places, with a manifest already:
    what counts is what was there before. A plan, which puts nothing back, sees no more than the apply that does."""
    name = "a domain of Postfix"
    packaged(root)
    if own:
        put(root, OWN[name][0], OWN[name][1])
    tree = files.Tree(str(root))
    killed = journal.begin(tree, "ana@laptop", kind="apply", run="20261128T090000Z-aaaaaa")
    paths = ("/etc/postfix/main.cf", "/etc/rspamd/local.d/actions.conf", manifest.PATH)
    killed.remember(paths)
    for path, text in zip(
        paths, (MAIN + "relayhost = half\n", "written by the killed run\n", "{}"), strict=True
    ):
        put(root, path, text)
    expected = [OWN[name][2]] if own else []

    assert losses(converse(root, wanted(), mode="plan")) == expected
    messages = converse(root, wanted(), take_over_host=False)
    assert (losses(messages), messages[-1]["status"]) == (expected, "failed" if own else "ok")
    if not own:
        assert (root / "etc/postfix/main.cf").read_text() == MAIN
        assert losses(converse(root, wanted(), mode="plan")) == []
