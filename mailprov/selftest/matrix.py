"""The kill matrix: every probe against everything that is broken in its way, and against what is sound.

    fixtures()                     all there are
    untried()                      probes that have none here: why, and which test is about them
    tried(fixtures, probes, emit)  runs them, some at once, and gives each outcome to `emit`
    kills(probe, fixtures)         whether they have something sound for it, and something that it must find wrong

What is broken is told in the user's language. What probes say is compared in English, so it is English while they run.
Raises HostUnreachable where nothing can be written for the certificates, or no port can be opened.
"""

from __future__ import annotations

import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mailprov import i18n
from mailprov.errors import HostUnreachable
from mailprov.i18n import N_, _
from mailprov.model.findings import Verdict
from mailprov.selftest import (
    account_cases,
    address_cases,
    dane_cases,
    delivery_cases,
    hosted_cases,
    letter_cases,
    mailbox_cases,
    policy_cases,
    port_cases,
    record_cases,
    vantage_cases,
    web_cases,
    webmail_cases,
    zone_cases,
)
from mailprov.selftest.certificates import Authority
from mailprov.selftest.fixture import PASS, RED, Fixture, Outcome, Wanted, on_lab

_AT_ONCE = 4
_OF_THE_SAME_HOSTS = (port_cases, delivery_cases, record_cases)
_MORE = (
    account_cases,
    address_cases,
    dane_cases,
    letter_cases,
    mailbox_cases,
    policy_cases,
    vantage_cases,
    web_cases,
    webmail_cases,
    hosted_cases,
    zone_cases,
)

# What they find wrong is that nothing can be told.
_ERR = frozenset({"net.vantage"})
_UNTRIED = {
    "dns.rpki": (N_("no DNS record tells what it is about, so it has no verdict but skip"), "test_zones.py"),
    "hosted.mail": (N_("it says only that nothing is tried at a provider"), "test_hosted_probes.py"),
}


def fixtures() -> list[Fixture]:
    broken = [each for cases in _OF_THE_SAME_HOSTS for each in cases.fixtures()]
    own = {wanted.probe for each in broken if each.sound for wanted in each.wanted}
    probes = dict.fromkeys(wanted.probe for each in broken for wanted in each.wanted)
    right = tuple(Wanted(probe, PASS) for probe in probes if probe not in own)
    more = [each for cases in _MORE for each in cases.fixtures()]
    return [Fixture("sound", (), right, on_lab()), *broken, *more]


def untried() -> dict[str, tuple[str, str]]:
    """Probe → why it has no fixture here, and the test that is about it."""
    return {probe: (_(why), f"tests/unit/probe/{test}") for probe, (why, test) in _UNTRIED.items()}


def kills(probe: str, among: Iterable[Fixture]) -> bool:
    """Whether something sound is there for it, and something in which it must find what is wrong."""
    wanted = [(each.sound, item.verdict) for each in among for item in each.wanted if item.probe == probe]
    red = (*RED, Verdict.ERROR) if probe in _ERR else RED
    return (True, PASS) in wanted and any(not sound and verdict in red for sound, verdict in wanted)


def tried(among: Iterable[Fixture], probes: Collection[str], emit: Callable[[Outcome], None]) -> None:
    """`emit` gets the outcomes of one fixture after the other, from one thread at a time."""
    waiting: queue.SimpleQueue[Fixture] = queue.SimpleQueue()
    for each in among:
        if any(wanted.probe in probes for wanted in each.wanted):
            waiting.put(each)
    lock, bugs = threading.Lock(), list[BaseException]()
    stop = threading.Event()

    def work(authority: Authority) -> None:
        try:
            while not stop.is_set():
                fixture = waiting.get_nowait()
                outcomes = list(fixture.tried(authority, probes))
                with lock:
                    for outcome in outcomes:
                        emit(outcome)
        except queue.Empty:
            return
        except OSError as error:
            bugs.append(
                HostUnreachable(
                    "selftest",
                    _("no servers can be opened on this machine's loopback: {error}").format(error=error),
                    _(
                        "Let it open ports on 127.0.0.1, .2, .3 and .9; some systems must be given all but the first"
                    ),
                )
            )
            stop.set()
        except BaseException as error:
            bugs.append(error)
            stop.set()

    with _authorities() as authorities, i18n.English():
        workers = [threading.Thread(target=work, args=(each,), daemon=True) for each in authorities]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        except KeyboardInterrupt:
            stop.set()
            raise
    if bugs:
        raise bugs[0]


@contextmanager
def _authorities() -> Iterator[list[Authority]]:
    """One for each that runs fixtures: a server sets its choice of certificate in what all who serve share. Meanwhile
    they are all that this machine trusts.
    """
    try:
        top = Path(tempfile.mkdtemp(prefix="mailprov-selftest-"))
    except OSError as error:
        raise HostUnreachable(
            "selftest",
            _("no folder can be made for its certificates: {error}").format(error=error),
            _("Set TMPDIR to a folder that you may write"),
        ) from error
    before = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    try:
        made = []
        for number in range(_AT_ONCE):
            folder = top / str(number)
            folder.mkdir()
            made.append(
                Authority(folder, f"Test CA {number}")
            )  # who verifies looks for an issuer by its name
        (top / "all.pem").write_bytes(b"".join(each.file.read_bytes() for each in made))
        os.environ.update(SSL_CERT_FILE=str(top / "all.pem"), SSL_CERT_DIR=str(top / "none"))
        yield made
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(top, ignore_errors=True)
