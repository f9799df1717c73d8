"""Servers of ill will on real sockets: every client ends with an error, within its deadline, at every step of it;
a gigabyte of anything takes little memory, and nothing of what was said is shown as it came.

Deadlines are short where hanging is the point: who is slow meets them earlier, and that is the same error.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading

import pytest

from mailprov.probe.clients import tls
from mailprov.probe.clients.connection import Connection, Deadline, Transcript
from mailprov.probe.clients.errors import ProbeError
from mailprov.selftest.certificates import Authority
from tests.unit.probe.fuzz.test_fuzz_sessions import SESSIONS
from tests.unit.probe.hostile_server import FAULTS, hostile

_SHORT, _LONG = 0.3, 600.0
_WAITING = {"hangs", "drips"}
_STEPS = {"smtp": 8, "imap": 6, "pop3": 7, "sieve": 4, "https": 2}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MOST = 300  # MiB


def ended(
    protocol: str, address: tuple[str, int], seconds: float, *, secure: bool = False
) -> tuple[str, list[str]]:
    """How the session ended ("" where it came to its end), and what was kept of it."""
    transcript = Transcript()
    said = ""
    try:
        with Connection.connect(*address, Deadline(seconds), transcript, seconds) as connection:
            if secure:
                connection.start_tls(tls.looking_context(), "mx.test")
            else:
                connection.start_tls = lambda *_: None  # type: ignore[method-assign]
            SESSIONS[protocol][0](connection)
    except ProbeError as error:
        said = str(error) or type(error).__name__
    return said, transcript.lines


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("protocol", _STEPS)
def test_whatever_a_server_does_at_any_step_ends_with_an_error(protocol: str, fault: str) -> None:
    before = threading.active_count()
    for step in range(_STEPS[protocol]):
        with hostile(protocol, step, FAULTS[fault]) as address:
            said, lines = ended(protocol, address, _SHORT if fault in _WAITING else _LONG)
        assert said, (step, lines)
        assert not [one for one in (said, *lines) if _CONTROL.search(one)], step
    assert threading.active_count() <= before


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_under_tls_and_in_the_handshake(fault: str, authority: Authority) -> None:
    context = authority.context("mx1.alpha.test")
    for step in range(3):
        with hostile("imap", step, FAULTS[fault], context) as address:
            said, lines = ended("imap", address, _SHORT if fault in _WAITING else _LONG, secure=True)
        assert said
        assert not [one for one in (said, *lines) if _CONTROL.search(one)]
    with hostile("smtp", 0, FAULTS[fault]) as address:  # in place of a ServerHello
        said, lines = ended("smtp", address, _SHORT if fault in _WAITING else _LONG, secure=True)
    assert said
    assert not [one for one in (said, *lines) if _CONTROL.search(one)]


_MEASURED = """
import resource, sys
from tests.unit.probe.hostile_server import STREAMS, hostile
from tests.unit.probe.test_hostile_servers import ended
protocol, stream = sys.argv[1:]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with hostile(protocol, 0, STREAMS[stream]) as address:
    said, _lines = ended(protocol, address, 600)
print(said, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, sep="|")
"""


@pytest.mark.parametrize(
    ("protocol", "stream"),
    [("smtp", "one line"), ("smtp", "smtp"), ("imap", "imap"), ("imap", "imap literals"), ("imap", "imap announced"),
     ("pop3", "pop3"), ("sieve", "sieve"), ("https", "line feeds")],
)  # fmt: skip
def test_a_gigabyte_is_not_taken_and_takes_little_memory(protocol: str, stream: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, protocol, stream], capture_output=True, text=True, check=True
    )
    said, _, grown = done.stdout.strip().rpartition("|")
    assert said
    assert int(grown) < _MOST, said
