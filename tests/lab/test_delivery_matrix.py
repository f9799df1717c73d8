"""Every kind of address, with and without quotas, written to by a stranger, by a program on the host and by a user:
each message is stored exactly once in each place where it belongs, and nowhere else.

Peers got this wrong where they tested from the host itself, which skips what strangers pass. All messages are
submitted first, then waited for together: Debian 12 and 13 (both Dovecot lines), each with a domain whose mailboxes
have quotas and one without.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections import Counter
from collections.abc import Callable

import pytest

from mailprov import lab
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.program import run

FQDN = {"mx1": "mx1.alpha.test", "mx2": "mx2.beta.test"}
DOMAINS = {"alpha.test": "mx1", "quota.alpha.test": "mx1", "beta.test": "mx2", "quota.beta.test": "mx2"}
ELSEWHERE = {"alpha.test": "beta.test", "beta.test": "alpha.test"}  # whom each host forwards to
SENDERS = ("stranger", "program", "user")


def _far(domain: str) -> str:
    """A mailbox on the other host."""
    return f"far@{ELSEWHERE[domain.removeprefix('quota.')]}"


def _domain(domain: str) -> str:
    names = ("ana", "eva", "catcher", "far")
    accounts = "".join(f"\n      {name}: {{password: {{env: P}}}}" for name in names)
    return f"""\
  {domain}:
    hosts: [{DOMAINS[domain]}]
    {"quota: 50M" if domain.startswith("quota.") else "dmarc: {policy: none}"}
    accounts:{accounts}
      near: {{password: {{env: P}}, forward: {{to: [ana], keep: true}}}}
      away: {{password: {{env: P}}, forward: {{to: [{_far(domain)}], keep: false}}}}
      both: {{password: {{env: P}}, forward: {{to: [{_far(domain)}], keep: true}}}}
      small: {{password: {{env: P}}, quota: 60K}}
    aliases: {{sales: ana, office: sales, tiny: small}}
    lists: {{team: [ana, eva, {_far(domain)}]}}
    catch_all: catcher
    domain_aliases: [also.{domain}]
"""


INVENTORY = f"""\
message_size_limit: 20M
filter: none
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {{release: debian-12}}}}
  mx2: {{address: 192.0.2.2, fqdn: mx2.beta.test, lab: {{release: debian-13}}}}
domains:
{"".join(map(_domain, DOMAINS))}"""


def kinds(domain: str) -> dict[str, tuple[list[str], set[str]]]:
    """What is tried: recipients → the mailboxes where the message must be, once."""
    own, far = (lambda *names: {f"{name}@{domain}" for name in names}), {_far(domain)}
    also = f"also.{domain}"
    return {
        "mailbox": ([f"ana@{domain}"], own("ana")),
        "alias": ([f"sales@{domain}"], own("ana")),
        "alias of an alias": ([f"office@{domain}"], own("ana")),
        "list": ([f"team@{domain}"], own("ana", "eva") | far),
        "forward inside": ([f"near@{domain}"], own("near", "ana")),
        "forward outside": ([f"away@{domain}"], far),
        "forward outside, copy kept": ([f"both@{domain}"], own("both") | far),
        "catch-all": ([f"whoever@{domain}"], own("catcher")),
        "catch-all, detail": ([f"whoever+x@{domain}"], own("catcher")),
        "domain alias": ([f"ana@{also}"], own("ana")),
        "domain alias, alias": ([f"sales@{also}"], own("ana")),
        "domain alias, list": ([f"team@{also}"], own("ana", "eva") | far),
        "domain alias, forward outside": ([f"away@{also}"], far),
        "detail": ([f"ana+shop@{domain}"], own("ana")),
        "detail, alias": ([f"sales+shop@{domain}"], own("ana")),
        "detail, domain alias": ([f"ana+shop@{also}"], own("ana")),
        "detail, forward outside": ([f"away+shop@{domain}"], far),
        "role": ([f"abuse@{domain}"], own("ana")),
        "role, domain alias": ([f"postmaster@{also}"], own("ana")),
        "several names of one": (
            [f"ana@{domain}", f"sales@{domain}", f"team@{domain}"],
            own("ana", "eva") | far,
        ),
    }


CASES = [(domain, kind, sender) for domain in DOMAINS for kind in kinds(domain) for sender in SENDERS]


def address(hosts: lab.Lab, host: str) -> str:
    return str(ipaddress.ip_network(hosts.subnet)[11 if host == "mx1" else 12])


def _text(number: int, sender: str) -> str:
    return (
        f"Subject: case {number}\nX-Case: {number}\nFrom: <{sender}>\nTo: undisclosed-recipients:;\n\ntext\n"
    )


def _sender(domain: str, who: str) -> str:
    return "stranger@else.test" if who == "stranger" else f"eva@{domain}"


def _send(hosts: lab.Lab, host: str) -> None:
    """All cases of a host: one connection for a stranger, one for each user, one shell for the program."""
    here = [(number, *case) for number, case in enumerate(CASES) if DOMAINS[case[0]] == host]
    with post.outside(address(hosts, host)) as client:
        for number, domain, kind, who in here:
            if who == "stranger":
                recipients = kinds(domain)[kind][0]
                sender = _sender(domain, who)
                post.transaction(client, sender, recipients, _text(number, sender))
    for domain in {case[1] for case in here}:
        with post.inside(hosts, address(hosts, host), f"eva@{domain}") as client:
            for number, of, kind, who in here:
                if who == "user" and of == domain:
                    sender = _sender(domain, who)
                    post.transaction(client, sender, kinds(domain)[kind][0], _text(number, sender))
    lines = [
        f"printf %s {shlex.quote(_text(number, _sender(domain, who)))} | "
        f"sendmail -f {_sender(domain, who)} -- {shlex.join(kinds(domain)[kind][0])}"
        for number, domain, kind, who in here
        if who == "program"
    ]
    run_on(hosts, host, "set -e\n" + "\n".join(lines))


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(INVENTORY)
    result = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert result.code == 0, result.events[-3:]
    return made


@pytest.fixture(scope="module")
def arrived(hosts: lab.Lab) -> list[tuple[int, str, str]]:
    """(case, mailbox, headers) of everything that was stored once nothing is on its way any more."""
    wanted = sum(len(kinds(domain)[kind][1]) for domain, kind, _ in CASES)
    for host in FQDN:
        _send(hosts, host)
    found: list[tuple[int, str, str]] = []

    def all_there() -> bool:
        idle = all("is empty" in run_on(hosts, host, "postqueue -p") for host in (*FQDN, *FQDN))
        found[:] = [
            (int(headers.partition("X-Case: ")[2].split()[0]), box, headers)
            for host in FQDN
            for box, _, headers in post.stored(hosts, host)
            if "X-Case: " in headers
        ]
        return idle and len(found) >= wanted

    try:
        wait_until(all_there, "every message stored", timeout=60)
    except pytest.fail.Exception:
        pass  # the test says which is missing
    return found


def test_each_message_is_where_it_belongs_and_nowhere_else(
    hosts: lab.Lab, arrived: list[tuple[int, str, str]]
) -> None:
    found = Counter((number, box) for number, box, _ in arrived)
    wrong = []
    for number, (domain, kind, sender) in enumerate(CASES):
        places = {box: count for (case, box), count in found.items() if case == number}
        if places != dict.fromkeys(kinds(domain)[kind][1], 1):
            wrong.append(f"{domain}, {kind}, {sender}: {places}")
    assert wrong == []


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
            assert path == _sender(domain, who), (kind, box)
        assert f"From: <{_sender(domain, who)}>" in headers
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
        with post.outside(address(hosts, host)) as client:
            for sender in (f"eva@{domain}", f"Nobody@also.{domain}", f"root@{FQDN[host]}"):
                for name in ("away", "both", "team", "away+shop"):
                    assert client.docmd(f"MAIL FROM:<{sender}>")[0] == 250
                    code, text = client.docmd(f"RCPT TO:<{name}@{domain}>")
                    assert code == 554, (sender, name, text)
                    assert b"5.7.1" in text
                    assert b"log in to send it" in text
                    assert client.docmd(f"RCPT TO:<ana@{domain}>")[0] == 250
                    assert client.docmd(f"RCPT TO:<near@{domain}>")[0] == 250
                    assert client.docmd("RSET")[0] == 250
            assert client.docmd(f"MAIL FROM:<x@news.{domain}>")[0] == 250
            assert client.docmd(f"RCPT TO:<away@{domain}>")[0] == 250
            assert client.docmd("RSET")[0] == 250


def test_mail_comes_in_while_postsrsd_is_down_and_forwards_wait_for_it(hosts: lab.Lab) -> None:
    for host, domain in (("mx1", "alpha.test"), ("mx2", "beta.test")):
        run_on(hosts, host, "systemctl stop postsrsd")
        try:
            text = _text(9000 + (host == "mx2"), "stranger@else.test")
            with post.outside(address(hosts, host)) as client:
                post.transaction(client, "stranger@else.test", [f"both@{domain}"], text)
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
