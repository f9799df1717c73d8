"""Every kind of address, with and without quotas, written to by a stranger, by a program on the host and by a user:
each message is stored exactly once in each place where it belongs, and nowhere else.

Peers got this wrong where they tested from the host itself, which skips what strangers pass. All messages are
submitted first, then waited for together: Debian 12 and 13 (both Dovecot lines), each with a domain whose mailboxes
have quotas and one without.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailprov import lab
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.matrix import DOMAINS, FQDN, address, cases, inventory, misplaced, posted, sender_of, text
from tests.lab.program import run

INVENTORY = inventory("debian-12", "debian-13")
CASES = cases()


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(INVENTORY)
    result = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert result.code == 0, result.events[-3:]
    return made


@pytest.fixture(scope="module")
def arrived(hosts: lab.Lab) -> list[tuple[int, str, str]]:
    """(case, mailbox, headers)"""
    return posted(hosts, CASES)


def test_each_message_is_where_it_belongs_and_nowhere_else(arrived: list[tuple[int, str, str]]) -> None:
    assert misplaced(CASES, arrived) == []


def test_what_leaves_under_a_foreign_sender_is_rewritten_and_nothing_else_is(
    hosts: lab.Lab, arrived: list[tuple[int, str, str]]
) -> None:
    rewritten = 0
    for number, box, headers in arrived:
        domain, kind, who = CASES[number]
        path = headers.partition("Return-Path: <")[2].partition(">")[0]
        if box.startswith("far@") and who == "stranger":
            rewritten += 1
            assert path.startswith("SRS0="), (kind, path)
            assert path.endswith(f"=else.test=stranger@{FQDN[DOMAINS[domain]]}"), (kind, path)
        else:
            assert path == sender_of(domain, who), (kind, box)
        assert f"From: <{sender_of(domain, who)}>" in headers
    assert rewritten > 20


def test_a_bounce_comes_back_to_a_rewritten_sender_and_nobody_can_make_one_up(
    hosts: lab.Lab, arrived: list[tuple[int, str, str]]
) -> None:
    paths = {headers.partition("Return-Path: <")[2].partition(">")[0] for _, _, headers in arrived}
    for host, fqdn in FQDN.items():
        true = next(path for path in paths if path.startswith("SRS0=") and path.endswith(f"@{fqdn}"))
        forged = f"SRS0=AAAA={true.split('=')[2]}=else.test=victim@{fqdn}"
        with post.outside(address(hosts, host)) as client:
            assert client.docmd("MAIL FROM:<>")[0] == 250
            assert client.docmd(f"RCPT TO:<{true}>")[0] == 250
            assert client.docmd(f"RCPT TO:<{true.lower()}>")[0] == 250  # some hosts write senders so
            assert client.docmd(f"RCPT TO:<{forged}>")[0] == 550
            assert client.docmd("RSET")[0] == 250


def test_a_stranger_cannot_have_mail_in_our_name_sent_on(hosts: lab.Lab) -> None:
    """It would leave as our user's: unrewritten, past SPF. What stays on the host is let in."""
    for domain, host in DOMAINS.items():
        for sender in (f"eva@{domain}", f"Nobody@also.{domain}", f"root@{FQDN[host]}"):
            # A connection each: after ten refusals on one, every answer takes a second (smtpd_error_sleep_time).
            with post.outside(address(hosts, host)) as client:
                for name in ("away", "both", "team", "away+shop"):
                    assert client.docmd(f"MAIL FROM:<{sender}>")[0] == 250
                    code, reply = client.docmd(f"RCPT TO:<{name}@{domain}>")
                    assert code == 554, (sender, name, reply)
                    assert b"5.7.1" in reply
                    assert b"log in to send it" in reply
                    assert client.docmd(f"RCPT TO:<ana@{domain}>")[0] == 250
                    assert client.docmd(f"RCPT TO:<near@{domain}>")[0] == 250
                    assert client.docmd("RSET")[0] == 250
        with post.outside(address(hosts, host)) as client:
            assert client.docmd(f"MAIL FROM:<x@news.{domain}>")[0] == 250
            assert client.docmd(f"RCPT TO:<away@{domain}>")[0] == 250
            assert client.docmd("RSET")[0] == 250


def test_mail_comes_in_while_postsrsd_is_down_and_forwards_wait_for_it(hosts: lab.Lab) -> None:
    for host, domain in (("mx1", "alpha.test"), ("mx2", "beta.test")):
        run_on(hosts, host, "systemctl stop postsrsd")
        try:
            letter = text(9000 + (host == "mx2"), "stranger@else.test")
            with post.outside(address(hosts, host)) as client:
                post.transaction(client, "stranger@else.test", [f"both@{domain}"], letter)
            queue = "postqueue -j"
            wait_until(lambda: "far@" in run_on(hosts, host, queue), "the forward waits in the queue")  # noqa: B023
        finally:
            run_on(hosts, host, "systemctl start postsrsd")
    for host in FQDN:
        run_on(hosts, host, "postqueue -f")

    def there(number: int) -> int:
        return sum(
            f"X-Case: {number}\n" in headers for host in FQDN for _, _, headers in post.stored(hosts, host)
        )

    wait_until(lambda: (there(9000), there(9001)) == (2, 2), "both copies of both")


def test_a_name_that_a_domain_alias_does_not_have_is_refused_though_the_domain_takes_all(
    hosts: lab.Lab,
) -> None:
    for domain, host in DOMAINS.items():
        with post.outside(address(hosts, host)) as client:
            assert client.docmd("MAIL FROM:<stranger@else.test>")[0] == 250
            assert client.docmd(f"RCPT TO:<whoever@{domain}>")[0] == 250
            assert client.docmd(f"RCPT TO:<whoever@also.{domain}>")[0] == 550
