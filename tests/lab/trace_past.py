"""A message of the past, found by each key in the logs of real hosts; and what a log has lost, or somebody else wrote.

    class TestPast(Past)    in test_trace.py, whose hosts (`hosts`, with the default filter) these tests use

They come last there, and those that spoil a host's log come last here. What needs no hosts, with records of four
releases, is in tests/agent/test_agent_maillog.py and tests/unit/run/test_trace_past.py.
"""

from __future__ import annotations

import shlex
import time
from typing import Any

import pytest

from mailprov import lab
from mailprov.inventory import load
from mailprov.run.trace_logs import Told, read_logs
from mailprov.transport.connections import Connections
from tests.lab.labs import run_on, wait_until
from tests.lab.program import Result, run

FIRST = "<first@alpha.test>"
PIA = "pia@alpha.test"  # of whom nothing else is in the logs
# What rsyslog does for a host without a journal: journald gives it each record there (journald.conf(5),
# ForwardToSyslog=), and it writes RFC 5424's times as Debian's configuration has it.
_RSYSLOG = """
import datetime, os, re, socket
path = "/run/systemd/journal/syslog"
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind(path)
while True:
    found = re.match(r"<(\\d+)>\\w+ +\\d+ [\\d:]+ (.*)", log.recv(65536).decode("utf-8", "replace"), re.S)
    if found and int(found[1]) >> 3 == 2:
        with open("/var/log/mail.log", "a") as out:
            out.write(f"{datetime.datetime.now().astimezone().isoformat()} mx1 {found[2].rstrip()}\\n")
"""


def settled(hosts: lab.Lab, message_id: str) -> None:
    """The other host has stored it, and it has left the one where it began."""
    wait_until(lambda: f"msgid={message_id}" in journal(hosts, "mx2"), f"{message_id} is stored on mx2")
    own = queue_id(hosts, "mx1", message_id)
    wait_until(lambda: f"{own}: removed" in journal(hosts, "mx1"), f"{message_id} has left mx1")


def journal(hosts: lab.Lab, host: str) -> str:
    return run_on(hosts, host, "journalctl -q --no-pager -n 3000 -o cat SYSLOG_FACILITY=2")


def send(hosts: lab.Lab, host: str, message_id: str, sender: str, *recipients: str) -> None:
    letter = f"From: {sender}\nSubject: past\nMessage-ID: {message_id}\nX-Spamd-Bar: forged\n\nhello\n"
    words = " ".join(map(shlex.quote, recipients))
    run_on(hosts, host, f"printf %s {shlex.quote(letter)} | sendmail -f {sender} {words}")


def trace(hosts: lab.Lab, *words: str) -> Result:
    return run("trace", str(hosts.inventory_path), *words)


def logged(hosts: lab.Lab, host: str, follow: float = 0.0, **keys: Any) -> Told:
    read = load(hosts.inventory_path)
    with Connections(others=read.hosts) as connections:
        return read_logs(read, {host: keys}, start=connections.start, follow=follow)[host]


def queue_id(hosts: lab.Lab, host: str, message_id: str) -> str:
    lines = journal(hosts, host).splitlines()
    return next(line.partition(":")[0] for line in lines if line.endswith(f": message-id={message_id}"))


class Past:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def first(cls, hosts: lab.Lab) -> None:
        send(hosts, "mx1", FIRST, PIA, "eva@beta.test", "sales@alpha.test")
        settled(hosts, FIRST)

    def test_it_is_found_by_each_key(self, hosts: lab.Lab) -> None:
        """From the host where it began to the one where it ended, and where an alias led."""
        own = queue_id(hosts, "mx1", FIRST)
        for words in (
            ("--message-id", FIRST.strip("<>")),
            ("--queue-id", own),
            ("--from", PIA, "--to", "eva@beta.test", "--since", "2h"),
            ("--from", "PIA@alpha.test", "--since", "yesterday"),
        ):
            result = trace(hosts, *words)
            (told,) = result.of("traced")
            outcomes = {each["recipient"]: (each["outcome"], each["mailbox"]) for each in told["arrivals"]}
            assert outcomes["eva@beta.test"] == ("delivered", "INBOX"), (words, outcomes)
            assert outcomes["sales@alpha.test"] == ("delivered", "INBOX"), (words, outcomes)
            assert result.code == 0, words
            assert {clock["host"] for clock in told["clocks"]} >= {"mx1", "mx2"}

    def test_its_header_shows_what_the_sender_wrote_and_what_the_filter_put_below_it(
        self, hosts: lab.Lab
    ) -> None:
        """Rspamd takes away what others wrote under its names."""
        (told,) = trace(hosts, "--message-id", FIRST, "--headers").of("traced")
        there = [step for step in told["steps"] if step["host"] == "mx2"]
        own = [
            line["text"]
            for step in there
            if step["agent"] == "mailbox"
            for line in step["lines"]
            if line["source"] == "header"
        ]
        filters = [header for step in there if step["agent"] == "filter" for header in step["headers"]]
        assert "Subject: past" in own
        assert not [line for line in own if line.startswith("X-Spam")], own
        assert [line for line in filters if line.startswith("X-Spamd-Bar: ")], filters
        assert not [line for line in (*own, *filters) if "forged" in line]

    def test_where_none_is_found_it_is_said_how_far_back_the_logs_reach(self, hosts: lab.Lab) -> None:
        result = trace(hosts, "--message-id", "<none@alpha.test>")
        assert result.code == 1
        notes = {note["subject"]: note["text"] for note in result.of("notice")}
        assert all("journal" in notes[host] for host in ("mx1", "mx2"))

    def test_a_message_that_is_under_way_is_followed_until_it_has_left(self, hosts: lab.Lab) -> None:
        """Long before the time that it may take is over: else the hour would be the test's."""
        began = time.time()
        send(hosts, "mx1", "<live@alpha.test>", PIA, "sales@alpha.test")
        told = logged(hosts, "mx1", follow=3_600, message_ids=["<live@alpha.test>"], since=began - 5)
        assert told.error is None
        texts = [record.text for record in told.log.records if record.ident != "rspamd"]
        assert texts[-1].endswith("removed") or "msgid=" in texts[-1]
        assert any("status=sent" in text for text in texts)
        assert any("msgid=<live@alpha.test>" in text for text in texts)

    def test_what_a_user_writes_under_the_name_of_postfix_is_no_evidence(self, hosts: lab.Lab) -> None:
        own = queue_id(hosts, "mx1", FIRST)
        run_on(hosts, "mx1", "id guest >/dev/null 2>&1 || useradd guest")
        lie = f"{own}: to=<eva@beta.test>, relay=none, status=bounced (a lie)"
        run_on(
            hosts,
            "mx1",
            f"su guest -c {shlex.quote(f'logger -p mail.info -t postfix/smtp {shlex.quote(lie)}')}",
        )
        run_on(hosts, "mx1", f"logger -p mail.info -t postfix/qmgr '{own}: removed'")
        wait_until(lambda: "(a lie)" in journal(hosts, "mx1"), "the lie is in the journal")
        told = logged(hosts, "mx1", queue_ids=[own])
        assert [record.text for record in told.log.records].count(f"{own}: removed") == 1
        told = logged(hosts, "mx1", **{"from": PIA, "to": "eva@beta.test"})
        assert any("status=sent" in record.text for record in told.log.records)
        assert not any("a lie" in record.text for record in told.log.records)
        assert any("written by another program" in gap for gap in told.log.gaps), told.log.gaps

    def test_what_journald_dropped_is_said(self, hosts: lab.Lab) -> None:
        """A unit's own rate limit, as an operator may have set one for Postfix."""
        burst = "for i in $(seq 50); do echo $i; done; sleep 3; echo end"
        limit = "-p LogRateLimitIntervalSec=2 -p LogRateLimitBurst=10"
        run_on(hosts, "mx2", f"systemd-run -q --wait --unit=postfix-burst {limit} sh -c {shlex.quote(burst)}")
        wait_until(
            lambda: (
                "Suppressed" in run_on(hosts, "mx2", "journalctl -q --no-pager -o cat -t systemd-journald")
            ),
            "journald tells of the records that it dropped",
        )
        told = logged(hosts, "mx2", message_ids=["<none@alpha.test>"])
        assert any("the log lost records" in gap and "postfix-burst" in gap for gap in told.log.gaps), (
            told.log.gaps
        )

    def test_a_journal_that_was_cut_says_where_it_begins(self, hosts: lab.Lab) -> None:
        before = time.time() - 60
        run_on(hosts, "mx2", "journalctl --rotate && journalctl --vacuum-size=1K; journalctl --flush")
        told = logged(hosts, "mx2", message_ids=[FIRST], since=before)
        assert told.log.records == ()
        assert told.reach > before
        assert any("the log begins at" in gap for gap in told.log.gaps), told.log.gaps

    def test_a_host_that_logs_to_files_alone(self, hosts: lab.Lab) -> None:
        run_on(hosts, "mx1", f"cat > /root/syslog.py <<'END'\n{_RSYSLOG}\nEND")
        run_on(hosts, "mx1", "systemd-run -q --unit=files python3 /root/syslog.py")
        wait_until(
            lambda: (
                "yes" in run_on(hosts, "mx1", "test -S /run/systemd/journal/syslog && echo yes", check=False)
            ),
            "somebody takes the records",
        )
        setting = "[Journal]\\nStorage=none\\nForwardToSyslog=yes\\n"
        run_on(
            hosts, "mx1",
            f"mkdir -p /etc/systemd/journald.conf.d && printf '{setting}' > /etc/systemd/journald.conf.d/files.conf"
            " && systemctl restart systemd-journald && rm -rf /var/log/journal/* /run/log/journal/*",
        )  # fmt: skip
        send(hosts, "mx1", "<files@alpha.test>", PIA, "sales@alpha.test")
        wait_until(
            lambda: "msgid=<files@alpha.test>" in run_on(hosts, "mx1", "cat /var/log/mail.log", check=False),
            "the file has the message",
        )
        told = logged(hosts, "mx1", message_ids=["<files@alpha.test>"])
        assert told.sources == ("/var/log/mail.log", "/var/log/rspamd/rspamd.log")
        assert {record.source for record in told.log.records} == set(told.sources)
        assert {"postfix/qmgr", "dovecot"} <= {record.ident for record in told.log.records}
        assert any("does not tell who wrote" in gap for gap in told.log.gaps)
        result = trace(hosts, "--from", PIA, "--to", "sales@alpha.test", "--since", "1h")
        assert [each["outcome"] for told in result.of("traced") for each in told["arrivals"]] == ["delivered"]
