"""The tests on real hosts: all as root on Linux, else one line that says what was left out.

scripts/lab_tests.py               `make test`: on Debian 12 and 13
scripts/lab_tests.py faults        `make faults-short`: each fault once
scripts/lab_tests.py releases      `make test-releases`: the oldest release, the newest, Ubuntu's habits, the upgrade;
                                   and what takes a host through a whole evening: a newcomer's, one with a past, a
                                   domain that moves to another and back
scripts/lab_tests.py attacks       `make test-attacks`: every try of every area, and the name servers' tests at length
scripts/lab_tests.py attacks short `make test-attacks SHORT=1`: some tries of each area
scripts/lab_tests.py users         `make test-users`: what users see, in real programs, on Debian 12 and 13
scripts/lab_tests.py users short   `make test-users SHORT=1`: on Debian 13 alone, and fewer cases
scripts/lab_tests.py clients       `make test-clients`: real mail programs, on Debian 12 and 13
scripts/lab_tests.py clients short `make test-clients SHORT=1`: on Debian 13 alone
scripts/lab_tests.py servers       `make test-servers`: five servers that others build, on Debian 12 and 13
scripts/lab_tests.py servers short `make test-servers SHORT=1`: one of them, on Debian 12
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

RELEASES = [
    "tests/lab/test_releases.py",
    "tests/lab/test_ubuntu_like.py",
    "tests/lab/test_upgrade.py",
    "tests/lab/test_newcomers_hour.py",
    "tests/lab/test_pages.py",
    "tests/lab/test_demo.py",
    "tests/lab/test_own_host.py",
    "tests/lab/test_ubuntu_archive.py",
    "tests/lab/test_dane.py",
    "tests/lab/test_web_certificates.py",
    "tests/lab/test_move.py",
    "tests/lab/test_web_releases.py",
    "tests/lab/test_trace.py",
    "tests/lab/test_queue.py",
]
ATTACKS = Path("tests/attacks")
# Those that take longest, the longest first: what begins last must not be what everybody waits for in the end.
LONGEST = [
    "tests/lab/test_dane.py",
    "tests/lab/test_move.py",
    "tests/lab/test_web_certificates.py",
    "tests/lab/test_ubuntu_like.py",
    "tests/lab/test_releases.py",
    "tests/lab/test_trace.py",
    "tests/lab/test_rollback.py",
    "tests/lab/test_abuse.py",
    "tests/lab/test_pages.py",
    "tests/lab/test_filter.py",
    "tests/lab/test_service.py",
    "tests/lab/test_newcomers_hour.py",
    "tests/lab/test_faults.py",
    "tests/lab/test_upgrade.py",
    "tests/lab/test_take_over.py",
    "tests/lab/test_ways_out.py",
    "tests/lab/test_mailboxes.py",
    "tests/lab/test_demo.py",
    "tests/lab/test_new_machine.py",
    "tests/lab/test_round_trips.py",
    "tests/lab/test_drift.py",
    "tests/lab/test_sudo.py",
    "tests/lab/test_ways.py",
    "tests/lab/test_trust.py",
    "tests/lab/test_lab.py",
]
PYTEST = [sys.executable, "-m", "pytest", "-rs", "--durations=10"]
# Twice as many labs at a time as cores: a test on hosts waits for more than half of its time.
SIDE_BY_SIDE = ["--dist", "loadfile", "--no-loadscope-reorder", "-n", "4"]


def main() -> int:
    if sys.platform != "linux" or os.geteuid() != 0:
        print(
            "left out: tests/lab, tests/faults, tests/attacks, tests/users, tests/clients and tests/servers (real "
            "hosts in systemd-nspawn), "
            "which need root on Linux: run `sudo make test`"
        )
        return 0
    if sys.argv[1:2] == ["attacks"]:
        return attacks(long=sys.argv[2:] != ["short"])
    if sys.argv[1:2] == ["users"]:
        told = {"MAILPROV_USERS": "" if sys.argv[2:] == ["short"] else "long"}
        return subprocess.call([*PYTEST, "tests/users", *SIDE_BY_SIDE], env={**os.environ, **told})
    if sys.argv[1:2] == ["clients"]:  # one set of hosts for all of its files
        long = "" if sys.argv[2:] == ["short"] else "long"
        return subprocess.call([*PYTEST, "tests/clients"], env={**os.environ, "MAILPROV_CLIENTS": long})
    if sys.argv[1:2] == ["servers"]:
        told = {"MAILPROV_SERVERS": "" if sys.argv[2:] == ["short"] else "long"}
        what = ["tests/servers", "tests/unit/probe/test_exchange_online.py"]
        return subprocess.call([*PYTEST, *what], env={**os.environ, **told})
    if sys.argv[1:] == ["faults"]:  # it times its faults, and has the machine alone
        return subprocess.call([*PYTEST, "tests/faults"])
    if sys.argv[1:] == ["releases"]:
        return subprocess.call([*PYTEST, *in_order(RELEASES), *SIDE_BY_SIDE])
    every = [str(path) for path in Path("tests/lab").glob("test_*.py")]
    return subprocess.call([*PYTEST, *in_order(set(every) - set(RELEASES)), *SIDE_BY_SIDE])


def in_order(files: Iterable[str]) -> list[str]:
    rank = {path: number for number, path in enumerate(LONGEST)}
    return sorted(files, key=lambda path: (rank.get(path, len(rank)), path))


def attacks(*, long: bool) -> int:
    """At the end the areas, each with its number of tries and of those that got somewhere (as docs/security.md has)."""
    with tempfile.NamedTemporaryFile("r", prefix="mailprov-attacks-") as counts:
        told = {"MAILPROV_ATTACKS": "long" if long else "", "MAILPROV_ATTACKS_COUNTS": counts.name}
        what = [str(ATTACKS), *(["tests/unit/dns"] if long else [])]
        code = subprocess.call([*PYTEST, *what, *SIDE_BY_SIDE], env={**os.environ, **told})
        for line in sorted(counts.read().splitlines()):
            area, tries, succeeded = line.split("\t")
            print(f"{area}: {tries} tries, {succeeded} of them succeeded")
    return code


if __name__ == "__main__":
    sys.exit(main())
