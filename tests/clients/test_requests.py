"""10,000 requests at once to the web corner, and connections that never end: mail goes on, and the web for others.

How much longer mail takes meanwhile, and how many of the requests were answered, is printed and not judged: this
machine asks, and runs the host as well.
"""

from __future__ import annotations

import json
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clients.places import LONG, Place

COUNT = 10_000 if LONG else 2_000
STARTED = time.time_ns()  # in a lab that is used again there are messages of before
SLOW = 1_500  # of the 2,048 connections that nginx takes; half of them within the handshake


def deliver(place: Place, subject: str) -> float:
    """Seconds from the login of who sends until who receives has it, by a login of his own."""
    began = time.monotonic()
    place.deliver("eva", "leo", f"{subject} of {STARTED}", "Hello.")
    return time.monotonic() - began


@contextmanager
def flood(place: Place, how: str, count: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.clients.flood", how, place.address, place.domain, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def nginx(place: Place) -> str:
    """Its first process and how often systemd had to start it again."""
    return place.run("systemctl show nginx -p MainPID,NRestarts")


def test_mail_arrives_and_nobody_is_refused_meanwhile(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    before = nginx(place)
    quiet = [deliver(place, f"quiet {number}") for number in range(5)]
    with flood(place, "requests", COUNT) as process:
        busy = []
        while process.poll() is None or len(busy) < 3:
            busy.append(deliver(place, f"busy {len(busy)}"))
        assert process.stdout is not None
        told = json.loads(process.stdout.read())
    assert told["statuses"].get("200"), told
    assert file(place, "http").startswith("<?xml")
    wanted = {f"busy {number} of {STARTED}" for number in range(len(busy))}
    assert wanted <= {message["Subject"] for message in place.stored("leo", "INBOX")}
    assert nginx(place) == before
    with capsys.disabled():
        ratio = statistics.median(busy) / statistics.median(quiet)
        print(
            f"\n{place.host}: {told['statuses']['200']} of {COUNT} requests answered in {told['seconds']} s; meanwhile "
            f"{len(busy)} messages arrived, all that were sent, in "
            f"{statistics.median(busy):.2f} s each, {ratio:.1f} times as long as before"
        )


def test_connections_that_never_end_stop_neither_mail_nor_the_web_for_others(place: Place) -> None:
    before = nginx(place)
    with flood(place, "slow", SLOW) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        for number in range(3):
            for scheme in ("http", "https"):
                assert file(place, scheme).startswith("<?xml")
            deliver(place, f"slow {number}")
        assert process.poll() is None
    assert nginx(place) == before


def file(place: Place, scheme: str) -> str:
    """What a program gets at the host's address, by the name below the domain."""
    name = f"autoconfig.{place.domain}"
    request = urllib.request.Request(
        f"{scheme}://{place.address}/mail/config-v1.1.xml", headers={"Host": name}
    )
    unproved = ssl._create_unverified_context()  # reached by address; test_web_certificates compares names
    with urllib.request.urlopen(request, timeout=60, context=unproved) as answer:
        return str(answer.read().decode())
