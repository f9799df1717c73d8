"""The delivery matrix: every kind of address, with and without quotas, written to by a stranger, by a program on the
host and by a user. For tests on two hosts, of any releases.

inventory   its text, for hosts of two releases: mx1 and mx2, each with a domain with quotas and one without
kinds       what is tried in a domain: recipients, and the mailboxes where the message must be
cases       (domain, kind, sender) of each message
posted      sends the messages of such cases, and says what was stored where
misplaced   what is not where it belongs
address, text, sender_of
"""

from __future__ import annotations

import ipaddress
import shlex
from collections import Counter
from collections.abc import Iterable

import pytest

from mailprov import lab
from tests.lab import post
from tests.lab.labs import run_on, wait_until

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


def inventory(first: str, second: str, domains: Iterable[str] = tuple(DOMAINS)) -> str:
    """The text of the inventory, for hosts of these two releases, with all or some of the domains."""
    return f"""\
message_size_limit: 20M
filter: none
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {{release: {first}}}}}
  mx2: {{address: 192.0.2.2, fqdn: mx2.beta.test, lab: {{release: {second}}}}}
domains:
{"".join(map(_domain, domains))}"""


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


Case = tuple[str, str, str]  # domain, kind, sender


def cases(domains: Iterable[str] = tuple(DOMAINS), senders: Iterable[str] = SENDERS) -> list[Case]:
    """All, or those of some domains and senders; a message is marked with its case's number in this list."""
    return [(domain, kind, sender) for domain in domains for kind in kinds(domain) for sender in senders]


def address(hosts: lab.Lab, host: str) -> str:
    return str(ipaddress.ip_network(hosts.subnet)[11 if host == "mx1" else 12])


def text(number: int, sender: str) -> str:
    return (
        f"Subject: case {number}\nX-Case: {number}\nFrom: <{sender}>\nTo: undisclosed-recipients:;\n\ntext\n"
    )


def sender_of(domain: str, who: str) -> str:
    return "stranger@else.test" if who == "stranger" else f"eva@{domain}"


def _send(hosts: lab.Lab, host: str, all_cases: list[Case]) -> None:
    """All cases of a host: one connection for a stranger, one for each user, one shell for the program."""
    here = [(number, *case) for number, case in enumerate(all_cases) if DOMAINS[case[0]] == host]
    with post.outside(address(hosts, host)) as client:
        for number, domain, kind, who in here:
            if who == "stranger":
                recipients = kinds(domain)[kind][0]
                sender = sender_of(domain, who)
                post.transaction(client, sender, recipients, text(number, sender))
    for domain in {case[1] for case in here}:
        with post.inside(hosts, address(hosts, host), f"eva@{domain}") as client:
            for number, of, kind, who in here:
                if who == "user" and of == domain:
                    sender = sender_of(domain, who)
                    post.transaction(client, sender, kinds(domain)[kind][0], text(number, sender))
    lines = [
        f"printf %s {shlex.quote(text(number, sender_of(domain, who)))} | "
        f"sendmail -f {sender_of(domain, who)} -- {shlex.join(kinds(domain)[kind][0])}"
        for number, domain, kind, who in here
        if who == "program"
    ]
    run_on(hosts, host, "set -e\n" + "\n".join(lines))


def posted(hosts: lab.Lab, all_cases: list[Case]) -> list[tuple[int, str, str]]:
    """Sends them; (case, mailbox, headers) of everything that was stored once nothing is on its way any more."""
    wanted = sum(len(kinds(domain)[kind][1]) for domain, kind, _ in all_cases)
    for host in FQDN:
        _send(hosts, host, all_cases)
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
        wait_until(all_there, "every message stored", timeout=180)
    except pytest.fail.Exception:
        pass  # `misplaced` says which is missing
    return found


def misplaced(all_cases: list[Case], arrived: list[tuple[int, str, str]]) -> list[str]:
    """A line for each case whose message is not once in each place where it belongs, or is somewhere else, too."""
    found = Counter((number, box) for number, box, _ in arrived)
    wrong = []
    for number, (domain, kind, sender) in enumerate(all_cases):
        places = {box: count for (case, box), count in found.items() if case == number}
        if places != dict.fromkeys(kinds(domain)[kind][1], 1):
            wrong.append(f"{domain}, {kind}, {sender}: {places}")
    return wrong
