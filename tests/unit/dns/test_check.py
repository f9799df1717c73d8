"""What `mailprov dns check` says of zones on real primaries, when records or one of the zone's servers are wrong."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest

from mailprov import dns as driver
from mailprov import probe
from mailprov.model.findings import Finding, Verdict
from mailprov.probe import Timing
from mailprov.probe.clients.resolver import Resolver
from tests.unit.dns.servers import PATIENCE, NameServer, impatient, inventory

PASS, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


class Second:
    """The zone's second name server, on 127.0.0.2 at the same port, wrong in the way that `does` says.

    same: as the primary. empty: none of our records. lame: REFUSED. hearsay: not authoritative. silent. behind: none of
    our records, and an old serial, until it is asked for that the second time. no-tcp: right, but over UDP alone.
    """

    def __init__(self, primary: int) -> None:
        self.primary, self.does, self.asked = primary, "same", 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.2", primary))
        self.socket.settimeout(0.05)
        self.tcp = socket.create_server(("127.0.0.2", primary))
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def close(self) -> None:
        self.ended.set()
        self.thread.join()
        self.socket.close()
        self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()

    def serve_tcp(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self.tcp.accept()
                with sock, suppress(OSError, EOFError):
                    size = int.from_bytes(sock.recv(2), "big")
                    question = dns.message.from_wire(sock.recv(size))
                    if self.does != "no-tcp" and (answer := self.answer(question)) is not None:
                        wire = answer.to_wire()
                        sock.sendall(len(wire).to_bytes(2, "big") + wire)

    def serve(self) -> None:
        while not self.ended.is_set():
            try:
                wire, peer = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            if (answer := self.answer(dns.message.from_wire(wire))) is not None:
                self.socket.sendto(answer.to_wire(), peer)

    def answer(self, question: dns.message.Message) -> dns.message.Message | None:
        if self.does == "silent":
            return None
        answer = dns.message.make_response(question)
        about = question.question[0]
        if self.does == "lame":
            answer.set_rcode(dns.rcode.REFUSED)
            return answer
        if self.does in ("same", "no-tcp") or (self.does == "behind" and self.asked > 1):
            answer = dns.query.udp(question, "127.0.0.1", port=self.primary, timeout=PATIENCE)
        elif about.rdtype == dns.rdatatype.SOA:
            self.asked += 1
            answer.answer.append(dns.rrset.from_text(about.name, 60, "IN", "SOA", "a. b. 0 1 1 1 1"))
        if self.does != "hearsay":
            answer.flags |= dns.flags.AA
        return answer


@pytest.fixture
def second(name_server: NameServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Second]:
    monkeypatch.setattr(Resolver, "name_server_port", name_server.port)
    other = Second(name_server.port)
    yield other
    other.close()


def check(name_server: NameServer, zone: str, transfer: float = PATIENCE) -> dict[str, Finding]:
    wanted = inventory(zone, name_server.settings())
    findings = probe.verify(
        wanted,
        emit=lambda finding: None,
        probe_ids=["dns."],
        timing=dataclasses.replace(Timing(), dns=PATIENCE, transfer=transfer, poll=0.05),
    )
    return {finding.id: finding for finding in findings}


def publish(name_server: NameServer, zone: str) -> None:
    for plan in driver.plan(inventory(zone, name_server.settings())):
        driver.apply(plan, lambda event: None)


def test_what_is_published_passes(name_server: NameServer, second: Second) -> None:
    publish(name_server, "check.test")
    found = check(name_server, "check.test")
    assert found.pop("dns.mta-sts").verdict is SKIP
    private = {name for name, each in found.items() if each.verdict is SKIP}
    assert {item.verdict for name, item in found.items() if name not in private} == {PASS}, found
    assert private == {"dns.ptr", "dns.delegation", "dns.dnssec", "dns.dnssec-mx", "dns.ipv6", "dns.rpki"}
    assert found["dns.servers"].observed == "ns.check.test (127.0.0.1), ns2.check.test (127.0.0.2)"


@pytest.mark.parametrize(
    ("name", "kind", "probes"),
    [
        ("_dmarc.check2.test", "TXT", {"dns.dmarc"}),
        ("mx1.check2.test", "TXT", {"dns.published"}),
        ("check2.test", "MX", {"dns.mx", "dns.spf"}),
        ("check2.test", "TXT", {"dns.spf"}),
        ("mx1.check2.test", "A", {"dns.a", "dns.mx", "dns.spf"}),
    ],
)
def test_a_record_that_is_gone_fails(name_server: NameServer, name: str, kind: str, probes: set[str]) -> None:
    publish(name_server, "check2.test")
    name_server.change("check2.test", lambda message: message.delete(f"{name}.", kind))
    found = check(name_server, "check2.test")
    assert {item.id for item in found.values() if item.verdict is FAIL} == probes, found
    publish(name_server, "check2.test")


@pytest.mark.parametrize(
    ("does", "verdict", "says"),
    [
        (
            "empty",
            FAIL,
            "ns2.check.test (127.0.0.2) gives nothing for check.test MX, not 10 mx1.check.test (it has ",
        ),
        ("lame", FAIL, "ns2.check.test (127.0.0.2) does not hold check.test"),
        ("hearsay", FAIL, "ns2.check.test (127.0.0.2) does not hold check.test"),
        (
            "silent",
            ERROR,
            "some servers could not be asked: ns2.check.test (127.0.0.2): "
            "no answer from name server ns2.check.test port ",
        ),
        ("behind", PASS, "ns.check.test (127.0.0.1), ns2.check.test (127.0.0.2)"),
        (
            "no-tcp",
            FAIL,
            "ns2.check.test (127.0.0.2) does not answer over TCP, as it must where an answer is large",
        ),
    ],
)
def test_a_second_server_that_is_wrong(
    name_server: NameServer,
    second: Second,
    monkeypatch: pytest.MonkeyPatch,
    does: str,
    verdict: Verdict,
    says: str,
) -> None:
    publish(name_server, "check.test")
    second.does = does
    transfer = PATIENCE if does == "behind" else 0.2  # all others stay wrong
    if does == "silent":
        impatient(monkeypatch, "127.0.0.2")
    found = check(name_server, "check.test", transfer)["dns.servers"]
    assert (found.verdict, found.observed[: len(says)]) == (verdict, says)
    assert bool(found.advice) is (verdict is not PASS)
