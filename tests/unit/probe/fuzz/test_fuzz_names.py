"""Name servers of hypothesis on loopback: whatever they answer, over UDP or TCP, the resolver ends with an Answer or a
NoAnswer, and nothing of it is shown as it came.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import dns.exception
import dns.flags
import dns.message
import dns.resolver
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprov.model.dns import NameServer
from mailprov.probe.clients.answers import Answer, NoAnswer
from mailprov.probe.clients.resolver import Resolver
from tests.unit.probe.fuzz.feeds import COUNTS, Departure, Plan, departed, examples

RECORDS = {
    "A": ["192.0.2.1"],
    "AAAA": ["2001:db8::1"],
    "MX": ["10 mx.a.test.", "0 ."],
    "TXT": ['"v=spf1 -all" "more"'],
    "NS": ["ns.a.test."],
    "SOA": ["ns.a.test. h.a.test. 1 1 1 1 1"],
    "SRV": ["0 1 993 mx.a.test."],
    "TLSA": ["3 1 1 " + "ab" * 32],
    "CAA": ['0 issue "ca.test"'],
    "PTR": ["mx.a.test."],
    "DS": ["1 13 2 " + "ab" * 32],
    "CNAME": ["a.test."],
}
ODD = (
    b"\xc0\x0c", b"\xc0\xff", b"\xff", b"\0", b"\x3f" + b"a" * 63, (b"\x3f" + b"a" * 63) * 3, b"\x1b[2J", b"\xc0\0",
    b"\x80", b"\x41x", b"\xff\xff", b"\0\0", b"\x03a\0b", b"\x02\xc3\xa9",
)  # fmt: skip
DOINGS = st.sampled_from(("insert", "replace", "cut", "flip", "double", "instead"))
PLANS: st.SearchStrategy[Plan] = st.dictionaries(
    st.integers(0, 5),
    st.tuples(DOINGS, st.integers(0, 200), st.one_of(st.sampled_from(ODD), st.binary(max_size=20))),
    max_size=3,
)
FLAGS = st.sampled_from(
    (0, dns.flags.TC, 0x0002, 0x0003, 0x0005, 0x000F)
)  # and SERVFAIL, NXDOMAIN, REFUSED, 15


class Server:
    """It answers one question after the other as planned; the identifier stays as it was asked."""

    def __init__(self) -> None:
        self.plan: Plan = {}
        self.flags = 0
        self.number = 0
        while True:  # until a port is free for both
            self.tcp = socket.create_server(("127.0.0.1", 0))
            self.port = self.tcp.getsockname()[1]
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.udp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    def close(self) -> None:
        for sock in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _answer(self, data: bytes, *, tcp: bool) -> bytes:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | (self.flags if not (tcp and self.flags == dns.flags.TC) else 0)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        if kind in RECORDS:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *RECORDS[kind]))
        departure: Departure | None = self.plan.get(self.number)
        self.number += 1
        wire = reply.to_wire()
        return wire[:2] + departed(wire[2:], departure)

    def _serve_udp(self) -> None:
        while True:
            try:
                data, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            self.udp.sendto(self._answer(data, tcp=False), peer)

    def _serve_tcp(self) -> None:
        while True:
            try:
                sock, __ = self.tcp.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), sock, sock.makefile("rb") as octets:
                size = int.from_bytes(octets.read(2), "big")
                wire = self._answer(octets.read(size), tcp=True)
                sock.sendall(len(wire).to_bytes(2, "big") + wire)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def test_no_name_server_breaks_the_resolver(server: Server) -> None:
    given_resolver = dns.resolver.Resolver(configure=False)
    given_resolver.nameservers, given_resolver.port = ["127.0.0.1"], server.port
    given_resolver.lifetime = 0.02  # of these the first answer counts, or none

    @examples(0.02)
    @given(PLANS, FLAGS, st.sampled_from(sorted(RECORDS)), st.booleans())
    def hold(plan: Plan, flags: int, kind: str, known: bool) -> None:
        server.plan, server.flags, server.number = plan, flags, 0
        first = NameServer("127.0.0.1", server.port) if known else None
        resolver = Resolver(first, given_resolver, 0.02)
        resolver.name_server_port = server.port
        said: list[str] = []
        for ask in (
            lambda: resolver.ask("a.test", kind),
            lambda: resolver.mail_servers("a.test"),
            lambda: resolver.zone_of("b.a.test"),
            lambda: resolver.ask_at("ns.a.test", "127.0.0.1", "a.test", kind, tcp=True),
            lambda: resolver.reply_of("ns.a.test", "127.0.0.1", "a.test", kind, dnssec=True),
            lambda: resolver.trust("a.test", kind, "a.test"),
            lambda: resolver.from_the_resolver("a.test", kind),
        ):
            said.append(_said(ask))
        assert [each for each in said if not each.isprintable()] == []
        COUNTS["names"] += 1

    hold()


def _said(ask: Callable[[], object]) -> str:
    """What a finding would show of it: values are shown by way of Answer, and an error as it is."""
    try:
        found = ask()
    except NoAnswer as error:
        return str(error)
    return str(found) if isinstance(found, Answer) else ""


def test_a_name_that_is_too_long_to_ask_for_is_no_answer(server: Server) -> None:
    """A record may lead to a name of 255 octets, and probes ask for names below it."""
    server.plan, server.flags = {}, 0
    long = ".".join(["a" * 60] * 4)
    resolver = Resolver(NameServer("127.0.0.1", server.port), None, 60)
    with pytest.raises(NoAnswer, match="no name that can be asked for"):
        resolver.ask(f"_25._tcp.{long}.test", "TLSA")
