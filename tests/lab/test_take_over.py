"""What 0.1.0 provisioned is taken over: its runs can be rolled back, the plan shows all that this version brings, an
apply brings that and nothing else, mail flows, and a rollback returns hosts and zones to what they were.

Four hosts: Debian 12 and 13 (so both Dovecot lines), with the filter and without, as earlier.py lays them; two mail
domains in one zone on two hosts, and on one. What is brought is told, change by change, in hosts_of_0_1_0/brings.txt.
The tests build on each other in their order.
"""

from __future__ import annotations

import fnmatch
import imaplib
import re
import smtplib
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.zone
import pytest

from mailprov import lab
from tests.lab import earlier
from tests.lab.labs import lab_name, run_on, silent, wait_until
from tests.lab.program import Result, run

HOSTS = tuple(earlier.ADDRESSES)
ZONES = ("alfa.test", "alpha.test", "beta.test", "delta.test")
USERS = {
    "mx1": ("ana@alpha.test", "luis@alpha.test", "pepa@alpha.test"),
    "mx2": ("eva@beta.test", "luis@beta.test", "eva@school.beta.test"),
    "mx3": ("ana@class.alpha.test", "luis@class.alpha.test"),
    "mx4": ("eva@delta.test", "luis@delta.test", "pepa@delta.test"),
}
NOTIFIED = {"ana@alpha.test", "eva@beta.test", "ana@class.alpha.test", "eva@delta.test"}
# All that is configured, and what mailprov remembers on the host: not the record of the runs, which grows, nor the
# agent's compiled code, which is of this version. First mode and owner, then contents; the time of a file by itself, as
# it counts where content is put back.
_FIND = (
    "find /etc /var/lib/mailprov -xdev -path '/var/lib/mailprov/runs' -prune -o -path '*/compiled' -prune -o"
)
STATE = (
    f"{_FIND} -printf '%p %y %m %u %g %l\\n'; {_FIND} -type f -exec sha256sum {{}} + | awk '{{print $2, $1}}'"
)
TIMES = "find /etc -xdev -type f -printf '%p %T@\\n'"
MAIL = "cd /var/vmail && find . -type f ! -name 'dovecot*' ! -name '*.svbin' -exec sha256sum {} + | sort"
UNITS = (
    "for unit in postfix dovecot opendkim rspamd postsrsd fail2ban mailprov-firewall; do "
    "echo $unit $(systemctl is-enabled $unit 2>&1) $(systemctl is-active $unit); done; "
    "ss -Hltn | awk '{print $4}' | grep -vE '127.0.0.53|%' | sort -u"
)
# What Debian's ufw writes when it is asked to do what is done already.
REWRITTEN = re.compile(r"/etc/ufw/user6?\.rules")


class State(NamedTuple):
    """A host or all zones, comparable."""

    files: dict[str, str]  # path → kind, mode, owner, content
    times: dict[str, str]
    units: list[str]


@pytest.fixture(scope="module")
def hosts(no_orphans: None) -> Iterator[lab.Lab]:
    where = earlier.boot(lab_name("0.1.0"))
    earlier.lay(where)
    yield where
    lab.down(where.name, silent)


@pytest.fixture(scope="module")
def inventory(hosts: lab.Lab) -> str:
    return str(earlier.inventory(hosts))


@pytest.fixture(scope="module")
def laid(hosts: lab.Lab, inventory: str) -> dict[str, State]:
    return states(hosts)


@pytest.fixture(scope="module")
def zones(hosts: lab.Lab, inventory: str) -> set[str]:
    return records(hosts)


def states(hosts: lab.Lab) -> dict[str, State]:
    with ThreadPoolExecutor() as pool:
        return dict(zip(HOSTS, pool.map(partial(state, hosts), HOSTS), strict=True))


def state(hosts: lab.Lab, host: str) -> State:
    files: dict[str, str] = {}
    for line in run_on(hosts, host, STATE).splitlines():
        path, _, told_of_it = line.partition(" ")
        files[path] = f"{files.get(path, '')} {told_of_it}".strip()
    times = dict(line.rsplit(" ", 1) for line in run_on(hosts, host, TIMES).splitlines())
    return State(files, times, run_on(hosts, host, UNITS).splitlines())


def records(hosts: lab.Lab) -> set[str]:
    """All records of all zones, `name ttl type value`, but the SOA, whose serial moves on."""
    secret = (hosts.directory / "secrets" / "tsig").read_text().strip()
    keyring = dns.tsigkeyring.from_text({"mailprov-lab": secret})
    found = set()
    for zone in ZONES:
        transfer = dns.query.xfr(
            hosts.dns.address, zone, keyring=keyring, keyalgorithm="hmac-sha256", relativize=False
        )
        for name, ttl, rdata in dns.zone.from_xfr(transfer, relativize=False).iterate_rdatas():
            if rdata.rdtype != dns.rdatatype.SOA:
                found.add(f"{name} {ttl} {dns.rdatatype.to_text(rdata.rdtype)} {rdata.to_text()}")
    return found


def foreign(found: set[str]) -> set[str]:
    """What make.py put beside mailprov's records, and the name servers'."""
    return {
        line for line in found
        if re.match(r"(\S+\.)?(www|other\._domainkey|ns1)\.", line) or " CAA " in line or "site-verification" in line
        or " NS " in line
    }  # fmt: skip


def same(now: dict[str, State], before: dict[str, State]) -> None:
    """Byte by byte; a difference is told by host and path."""
    for host in HOSTS:
        paths = sorted(before[host].files.keys() | now[host].files.keys())
        pairs = {path: (before[host].files.get(path), now[host].files.get(path)) for path in paths}
        assert {path: pair for path, pair in pairs.items() if pair[0] != pair[1]} == {}, host
        times = {path for path in now[host].times if before[host].times[path] != now[host].times[path]}
        assert {path for path in times if not REWRITTEN.fullmatch(path)} == set(), host
        assert now[host].units == before[host].units, host


def planned(result: Result) -> list[tuple[str, str, str, str]]:
    """(subject, action, kind, name) of all changes."""
    return [
        (event["subject"], change["action"], change["kind"], change["name"])
        for event in result.of("planned")
        for change in event["changes"]
    ]


def told() -> list[tuple[tuple[str, str, str, str], str]]:
    """The lines of brings.txt: what is planned, and why."""
    lines = (earlier.FIXTURE / "brings.txt").read_text().splitlines()
    found = []
    for line in lines:
        if line and not line.startswith("#"):
            what, _, why = line.partition(" | ")
            match = re.fullmatch(r"((?:zone )?\S+) +(\w+) +(\w+) +(\S.*)", what.strip())
            assert match is not None, f"brings.txt: {line}"
            assert why.strip(), f"brings.txt gives no reason: {line}"
            found.append(((match[1], match[2], match[3], match[4]), line))
    return found


def test_a_run_of_0_1_0_is_rolled_back_and_forward_again(
    hosts: lab.Lab, inventory: str, laid: dict[str, State], zones: set[str]
) -> None:
    """Its second run, with the journal as it wrote it: aliases and DMARC policies on every host and in every zone."""
    back = run("rollback", "--yes", inventory)

    assert back.code == 0, back.events[-5:]
    assert all(("update", "file", "/etc/postfix/mailprov/virtual") in back.changes(host) for host in HOSTS)
    now = records(hosts)
    policies = sorted(line.split('"')[1] for line in now if line.startswith("_dmarc.") and "www" not in line)
    assert policies == ["v=DMARC1; p=none; aspf=s"] * 6
    assert foreign(now) == foreign(zones)

    forward = run("rollback", "--yes", inventory)

    assert forward.code == 0, forward.events[-5:]
    same(states(hosts), laid)
    assert records(hosts) == zones


@pytest.fixture(scope="module")
def plan(hosts: lab.Lab, inventory: str, laid: dict[str, State], zones: set[str]) -> Result:
    result = run("plan", inventory)
    assert result.code == 0, result.events[-5:]
    return result


def test_the_plan_says_what_this_version_brings_and_why(plan: Result) -> None:
    lines = told()
    changes = [
        change for change in planned(plan) if change[1] != "run"
    ]  # a daemon reads what a line tells of
    untold = [
        "  ".join(change) for change in changes
        if not any(all(map(fnmatch.fnmatchcase, change, pattern)) for pattern, _ in lines)
    ]  # fmt: skip
    idle = [
        line for pattern, line in lines
        if not any(all(map(fnmatch.fnmatchcase, change, pattern)) for change in changes)
    ]  # fmt: skip
    assert not untold, "planned, and hosts_of_0_1_0/brings.txt does not say why:\n" + "\n".join(untold)
    assert not idle, "hosts_of_0_1_0/brings.txt tells of what is not planned:\n" + "\n".join(idle)
    notices = " ".join(event["text"] for event in plan.of("notice") if "enotify" in event["text"])
    assert set(re.findall(r"\w+@[a-z.]+\w", notices)) == NOTIFIED, "whose active filters will run no more"
    own = [event["takes_over"] for event in plan.of("planned")]
    assert own == [[]] * len(own), "what 0.1.0 made is not the host's own: --take-over-host is not asked for"
    drift = [change["name"] for event in plan.of("planned") for change in event["changes"] if change["drift"]]
    assert drift == [], "nobody edited anything by hand"


@pytest.fixture(scope="module")
def applied(hosts: lab.Lab, inventory: str, plan: Result, laid: dict[str, State]) -> Result:
    result = run("apply", "--yes", "--no-verify", inventory)
    assert result.code == 0, result.events[-5:]
    return result


def test_an_apply_does_what_the_plan_said_and_nothing_else(
    hosts: lab.Lab, plan: Result, applied: Result, laid: dict[str, State], zones: set[str]
) -> None:
    assert sorted(planned(applied)) == sorted(planned(plan))
    assert [event["takes_over"] for event in applied.of("planned") if event["takes_over"]] == []
    now = states(hosts)
    for host in HOSTS:
        names = {name for _, _, name in plan.changes(host)}
        kinds = {kind for _, kind, _ in plan.changes(host)}
        owned = set()
        for package in (name for _, kind, name in plan.changes(host) if kind == "package"):
            owned |= set(run_on(hosts, host, f"dpkg -L {package}").split())
        changed = {
            path for path in laid[host].files.keys() | now[host].files.keys()
            if laid[host].files.get(path) != now[host].files.get(path)
        }  # fmt: skip
        unseen = {
            path for path in changed - names - owned
            if not path.startswith("/var/lib/mailprov/")  # its own memory
            and not (path.startswith("/etc/systemd/system/") and ".wants/" in path and "service" in kinds)
            and not (re.fullmatch(r"/etc/(passwd|group|shadow|gshadow)-?", path) and "user" in kinds)
            and not (path == "/etc/dovecot/mailprov-users" and "account" in kinds)
            and not (path in ("/etc", "/etc/rc*.d") or any(name.startswith(path + "/") for name in names))
        }  # fmt: skip
        assert unseen == set(), f"{host}: changed, and not in the plan"
    published = records(hosts)
    seen = {name for subject, _, kind, name in planned(plan) if kind == "record"}
    changed = {" ".join(line.split()[:3:2]).replace(". ", " ") for line in published ^ zones}
    assert changed <= seen, "records that changed, and were not in the plan"
    assert foreign(published) == foreign(zones)


def test_logins_do_not_wait_for_a_socket_of_the_earlier_configuration(
    hosts: lab.Lab, applied: Result
) -> None:
    """Dovecot's penalty is off and its socket would lie there, dead: each start of `auth` tried it for five seconds."""
    for host in HOSTS:
        run_on(hosts, host, f"doveadm user {USERS[host][0]}")  # starts `auth`, if nobody has
        looked_for = run_on(
            hosts, host, "journalctl --unit=dovecot --boot --output=cat | grep auth-penalty || true"
        )
        assert looked_for == "", host
        assert run_on(hosts, host, "ls /run/dovecot | grep auth-penalty || true") == "", host


def test_a_second_apply_changes_nothing(hosts: lab.Lab, inventory: str, applied: Result) -> None:
    again = run("apply", "--yes", "--no-verify", inventory)

    assert (again.code, planned(again), again.of("applied")) == (0, [], [])


def test_no_mail_is_lost_and_mail_flows(hosts: lab.Lab, inventory: str, applied: Result) -> None:
    """Everybody logs in with the password of then and finds the message of then; one user of each host, who has a
    filter of then, gets letters from all other hosts."""
    trusting = ssl._create_unverified_context()
    writers = {host: users[0] for host, users in USERS.items()}
    for host, sender in writers.items():
        with smtplib.SMTP_SSL(hosts.host(host).address, 465, timeout=60, context=trusting) as client:
            client.login(sender, f"{sender} of 0.1.0")
            everybody = [reader for reader in writers.values() if reader != sender]
            head = f"From: {sender}\nTo: {', '.join(everybody)}\nSubject: from {sender}\n"
            client.sendmail(sender, everybody, f"{head}\nHello, this is a short letter.\n")
    for host, user in ((host, user) for host, users in USERS.items() for user in users):
        with imaplib.IMAP4_SSL(hosts.host(host).address, 993, timeout=60, ssl_context=trusting) as client:
            client.login(user, f"{user} of 0.1.0")
            wanted = (
                {"from the time of 0.1.0"} if user != "luis@delta.test" else set()
            )  # whose mail all goes on
            if user in writers.values():
                wanted |= {f"from {sender}" for sender in writers.values() if sender != user}
            wait_until(lambda: wanted <= subjects(client), f"{wanted} for {user}")  # noqa: B023


def subjects(client: imaplib.IMAP4_SSL) -> set[str]:
    """Of all messages, those that a filter takes for spam included."""
    found: set[str] = set()
    for folder in ("INBOX", "Junk"):
        if client.select(folder, readonly=True)[0] == "OK":
            for number in client.search(None, "ALL")[1][0].split():
                answer = client.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
                found |= {
                    part[1].decode().partition(":")[2].strip() for part in answer if isinstance(part, tuple)
                }
    return found


def test_a_rollback_returns_to_what_0_1_0_left(
    hosts: lab.Lab, inventory: str, applied: Result, laid: dict[str, State], zones: set[str]
) -> None:
    mail = {host: run_on(hosts, host, MAIL) for host in HOSTS}

    back = run("rollback", "--yes", inventory)

    assert back.code == 0, back.events[-5:]
    same(states(hosts), laid)
    assert records(hosts) == zones
    assert {host: run_on(hosts, host, MAIL) for host in HOSTS} == mail, "mail is never touched"


def test_a_run_of_0_1_0_is_rolled_back_when_others_in_its_zone_have_moved_on(
    hosts: lab.Lab, inventory: str
) -> None:
    """mx1 gets what this version brings, and with it the zone that its domain shares with one of mx3, where 0.1.0 had
    the last word. What mx3 tells of its own domain goes back; of mx1's it is not believed. Then all converge."""
    earlier.lay(hosts)
    before = records(hosts)
    moved = run("apply", "--yes", "--no-verify", "--host", "mx1", inventory)
    assert moved.code == 0, moved.events[-5:]

    back = run("rollback", "--yes", "--host", "mx3", inventory)

    assert back.ended("mx3")["status"] == "ok", back.events[-5:]
    assert ("update", "file", "/etc/postfix/mailprov/virtual") in back.changes("mx3")
    _, _, left = back.events[-1]["summary"].partition("left as they are: ")
    assert "class.alpha.test" not in left, left
    now = records(hosts)
    assert '_dmarc.class.alpha.test. 3600 TXT "v=DMARC1; p=none; aspf=s"' in now
    assert foreign(now) == foreign(before)
    healed = run("apply", "--yes", "--no-verify", inventory)
    assert healed.code == 0, healed.events[-5:]
    assert planned(run("plan", inventory)) == []
