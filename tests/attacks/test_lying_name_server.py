"""A name server that lies: between mailprov and a real server stands one that has the key, and changes what it likes.

`mailprov dns apply` runs as a command; only the hosts' connections are a stub. Whatever comes back: nothing of others is
changed in the real zone or its neighbours, the command ends in a sentence with the right exit code, in bounded time and
after a bounded number of questions, and says "done" only of what is done, as far as the server lets that be seen.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import pytest
from typer.testing import CliRunner

from mailprov.cli.app import build_app
from mailprov.dns import publishing
from mailprov.dns.providers.rfc2136 import session
from mailprov.transport.connections import Connections
from tests.attacks.tries import LONG, Tries, some
from tests.unit.dns.conftest import tcp_server
from tests.unit.dns.servers import KINDS, SECRET, NameServer, serving
from tests.unit.dns.test_at_length import Zone, standing, whole
from tests.unit.report.test_hostile_text import bad
from tests.unit.run.every_message import record
from tests.unit.run.scripted import ScriptedAgent, end, hello

__all__ = ["tcp_server"]  # a fixture

ZONE, OTHER = "liar.test", "left2.test"
KEY = dns.tsig.Key("mailprov", SECRET, "hmac-sha256")
MOST_QUESTIONS, MOST_SECONDS = 3_000, 60
ESCAPES = "\x1b]0;owned\x07\x1b[2J\r✓ zone: done"
ESCAPED = "".join(f"\\{byte:03d}" for byte in ESCAPES.encode())

INVENTORY = """\
dns: {provider: rfc2136, server: 127.0.0.1, port: PORT, ttl: TTL, tsig: {name: mailprov, algorithm: hmac-sha256, secret: {env: LIAR_TSIG}}}
hosts:
  mx1: {address: 10.0.0.1, fqdn: mx1.liar.test}
domains: {liar.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}}
"""
FOREIGN = {
    ("www", "A"): "192.0.2.200", ("@", "TXT"): '"theirs"', ("@", "CAA"): '0 issue "ca.test"', ("old", "MX"): "5 www", ("alias", "CNAME"): "www",
    ("sub", "NS"): "ns.elsewhere.test.", ("_dmarc.www", "TXT"): '"v=DMARC1; p=reject"', ("mx1", "AAAA"): "2001:db8::99",
}  # fmt: skip
Reply = dns.message.Message | bytes | list[Any] | None  # None: silence; b"": the connection is closed
Lie = Callable[[dns.message.Message, dns.message.Message], Reply]


@pytest.fixture(scope="module", params=[kind for kind in KINDS if LONG or kind == next(iter(KINDS))])
def name_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NameServer]:
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


class Liar:
    """Asks the real server, lets the lie look at question and answer, signs what the lie makes of it."""

    def __init__(self, upstream: int, lie: Lie, *, swallows: bool = False) -> None:
        self.upstream, self.lie, self.swallows, self.questions = upstream, lie, swallows, 0

    def passed_on(self, asked: dns.message.Message) -> bool:
        return not (self.swallows and asked.opcode() == dns.opcode.UPDATE and asked.sections[2])

    def __call__(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.upstream)) as server:
            while head := connection.recv(2, socket.MSG_WAITALL):
                wire = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
                self.questions += 1
                asked = dns.message.from_wire(wire, keyring={KEY.name: KEY})
                if self.passed_on(asked):
                    server.sendall(head + wire)
                    answer = server.recv(
                        int.from_bytes(server.recv(2, socket.MSG_WAITALL), "big"), socket.MSG_WAITALL
                    )
                    honest = dns.message.from_wire(answer, keyring={KEY.name: KEY}, request_mac=asked.mac)
                else:
                    honest = dns.message.make_response(asked)
                replies = self.lie(asked, honest)
                for reply in replies if isinstance(replies, list) else [replies]:
                    if reply == b"":
                        return
                    if reply is not None:
                        data = reply if isinstance(reply, bytes) else framed(signed(asked, reply))
                        connection.sendall(data)


def framed(wire: bytes) -> bytes:
    return struct.pack("!H", len(wire)) + wire


def signed(asked: dns.message.Message, answer: dns.message.Message, **lies: Any) -> bytes:
    """RFC 8945 section 4.3, by hand, so that each part can lie: key, name, algorithm, at, fudge, error, other, mac,
    length, request_mac, ident.
    """
    answer.tsig = None
    wire = bytearray(answer.to_wire(max_size=65535))
    name = lies.get("name", KEY.name).to_wire()
    algorithm = lies.get("algorithm", KEY.algorithm).to_wire()
    at = struct.pack("!HI", *divmod(int(lies.get("at", time.time())), 1 << 32))
    fudge, error, other = lies.get("fudge", 300), lies.get("error", 0), lies.get("other", b"")
    request = lies.get("request_mac", asked.mac)
    digest = hmac.new(lies.get("key", base64.b64decode(SECRET)), digestmod=hashlib.sha256)
    if request:
        digest.update(struct.pack("!H", len(request)) + request)
    digest.update(bytes(wire))
    digest.update(name + struct.pack("!HI", 255, 0) + algorithm + at)
    digest.update(struct.pack("!HHH", fudge, error, len(other)) + other)
    mac = lies.get("mac", digest.digest())[: lies.get("length", 32)]
    rdata = algorithm + at + struct.pack("!HH", fudge, len(mac)) + mac
    rdata += struct.pack("!HHH", lies.get("ident", asked.id), error, len(other)) + other
    more = struct.unpack("!H", wire[10:12])[0]
    times = lies.get("times", 1)
    wire[10:12] = struct.pack("!H", more + times)
    return bytes(wire) + (name + struct.pack("!HHIH", 250, 255, 0, len(rdata)) + rdata) * times


def updates(lie: Lie) -> Lie:
    return lambda asked, answer: lie(asked, answer) if asked.opcode() == dns.opcode.UPDATE else answer


def questions(lie: Lie) -> Lie:
    return lambda asked, answer: lie(asked, answer) if asked.opcode() == dns.opcode.QUERY else answer


def about(kind: str, lie: Lie) -> Lie:
    def those(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
        return lie(asked, answer) if asked.question[0].rdtype == dns.rdatatype.from_text(kind) else answer

    return questions(those)


def after(count: int, lie: Lie) -> Lie:
    """Honest at first."""
    seen: list[int] = []

    def later(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
        seen.append(1)
        return lie(asked, answer) if len(seen) > count else answer

    return later


def honest(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
    return answer


def slowly(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
    time.sleep(0.5)
    return answer


def signing(**lies: Any) -> Lie:
    return lambda asked, answer: framed(signed(asked, answer, **lies))


def unsigned(lie: Lie = honest) -> Lie:
    def bare(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
        made = lie(asked, answer)
        assert isinstance(made, dns.message.Message)
        made.tsig = None
        return framed(made.to_wire(max_size=65535))

    return bare


def rcode(code: int) -> Lie:
    def other(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
        made = dns.message.make_response(asked)
        made.tsig = None
        made.flags |= dns.flags.AA
        made.set_rcode(dns.rcode.Rcode.make(code))
        return made

    return other


def changed(edit: Callable[[dns.message.Message, str], object]) -> Lie:
    """`edit(answer, the name that was asked for)`."""

    def edited(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
        edit(answer, asked.question[0].name.to_text())
        return answer

    return edited


def rr(name: str, kind: str, *values: str, ttl: int = 300) -> dns.rrset.RRset:
    return dns.rrset.from_text(name, ttl, "IN", kind, *values)


def says(*sets: Callable[[str], dns.rrset.RRset], keep: bool = False, section: str = "answer") -> Lie:
    """These sets, each made for the name that was asked for, in place of the answer or (keep) behind it."""

    def edit(answer: dns.message.Message, name: str) -> None:
        there = getattr(answer, section)
        if not keep:
            there.clear()
        there.extend(one(name) for one in sets)

    return changed(edit)


def flags(on: int = 0, off: int = 0) -> Lie:
    def edit(answer: dns.message.Message, name: str) -> None:
        answer.flags = (answer.flags | on) & ~off

    return changed(edit)


def retimed(ttl: Callable[[], int]) -> Lie:
    def edit(answer: dns.message.Message, name: str) -> None:
        for rrset in (*answer.answer, *answer.authority):
            rrset.ttl = ttl()

    return changed(edit)


def serials(serial: Callable[[], int]) -> Lie:
    def edit(answer: dns.message.Message, name: str) -> None:
        for rrset in (*answer.answer, *answer.authority):
            for rdata in list(rrset):
                if rdata.rdtype == dns.rdatatype.SOA:
                    rrset.remove(rdata)
                    rrset.add(rdata.replace(serial=serial()))

    return changed(edit)


def countdown() -> Callable[[], int]:
    left = iter(range(2**31, 0, -1))
    return lambda: next(left)


def wire(make: Callable[[bytes], Any]) -> Lie:
    """Octets made of the honest, signed answer."""
    return lambda asked, answer: make(signed(asked, answer))


def _soa(owner: str) -> Callable[[str], dns.rrset.RRset]:
    return lambda name: rr(owner or name, "SOA", "ns. host. 1 2 3 4 5")


def together(*several: Lie) -> Lie:
    """One after another, each on what the one before made of it."""

    def all_of(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
        for lie in several:
            made = lie(asked, answer)
            assert isinstance(made, dns.message.Message)
            answer = made
        return answer

    return all_of


def chain(length: int) -> Lie:
    def edit(answer: dns.message.Message, name: str) -> None:
        answer.answer[:] = [rr(name, "CNAME", f"c0.{ZONE}.")]
        answer.answer += [rr(f"c{n}.{ZONE}.", "CNAME", f"c{n + 1}.{ZONE}.") for n in range(length)]

    return changed(edit)


def wildcards(address: str) -> Lie:
    """Every name has this address and an MX; proofs say that it is so."""

    def edit(answer: dns.message.Message, name: str) -> None:
        kind = dns.rdatatype.to_text(answer.question[0].rdtype)
        if kind in ("A", "MX") and not answer.answer:
            answer.set_rcode(dns.rcode.NOERROR)
            answer.authority.clear()
            answer.answer.append(rr(name, kind, address if kind == "A" else "5 mail.example."))

    return changed(edit)


def raw(kind: int, data: bytes) -> Lie:
    def edit(answer: dns.message.Message, name: str) -> None:
        rrset = dns.rrset.RRset(
            dns.name.from_text(name), dns.rdataclass.IN, dns.rdatatype.RdataType.make(kind)
        )
        rrset.add(dns.rdata.GenericRdata(dns.rdataclass.IN, rrset.rdtype, data), 300)
        answer.set_rcode(dns.rcode.NOERROR)
        answer.answer[:] = [rrset]

    return about(dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind)), changed(edit))


def proofs(code: int) -> Lie:
    """To updates that change nothing."""
    lie = rcode(code)

    def those(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
        proof = asked.opcode() == dns.opcode.UPDATE and not asked.sections[2]
        return lie(asked, answer) if proof else answer

    return those


def transfer(asked: dns.message.Message, answer: dns.message.Message) -> Reply:
    """As a server sends a zone: many messages, SOA first and last."""
    made = dns.message.make_response(asked)
    made.tsig = None
    made.flags |= dns.flags.AA
    soa = rr(f"{ZONE}.", "SOA", "ns. host. 9 2 3 4 5")
    made.answer = [soa, *(rr(f"h{n}.{ZONE}.", "A", "192.0.2.66") for n in range(200)), soa]
    wired = framed(signed(asked, made))
    return [wired] * 5


def endless(answer: dns.message.Message, name: str) -> None:
    """Each marker that is asked for names another domain of this inventory, that never was."""
    if name.startswith("_mailprov."):
        more = f"x{len(name)}.{name.removeprefix('_mailprov.')}".rstrip(".")
        if len(more) < 100:
            answer.set_rcode(dns.rcode.NOERROR)
            answer.authority.clear()
            answer.answer[:] = [
                rr(name, "TXT", f'"v=mailprov2 zone={ZONE} for={ZONE},{more} @/MX=AAAAAAAAAAAA"')
            ]


def marker(text: str) -> Lie:
    """The zone's own marker says this."""

    def edit(answer: dns.message.Message, name: str) -> None:
        if name == f"_mailprov.{ZONE}.":
            answer.set_rcode(dns.rcode.NOERROR)
            answer.answer[:] = [rr(name, "TXT", text)]
            answer.authority.clear()

    return about("TXT", changed(edit))


def lies() -> dict[str, Lie]:
    dice = random.Random(9)
    found: dict[str, Lie] = {
        # Signatures.
        "no signature": unsigned(),
        "no signature at UPDATE": updates(unsigned()),
        "no signature at the end": after(12, unsigned()),
        "unsigned REFUSED to all": unsigned(rcode(5)),
        "unsigned REFUSED to questions for SOA": about("SOA", unsigned(rcode(5))),
        "unsigned REFUSED to UPDATE": updates(unsigned(rcode(5))),
        "unsigned NXDOMAIN": questions(unsigned(rcode(3))),
        "unsigned SERVFAIL": unsigned(rcode(2)),
        "unsigned NOTAUTH": unsigned(rcode(9)),
        "unsigned NOERROR to UPDATE": updates(unsigned(rcode(0))),
        "unsigned foreign MX": about("MX", unsigned(says(lambda n: rr(n, "MX", "5 evil.example.")))),
        "another secret": signing(key=b"another"),
        "another key's name": signing(name=dns.name.from_text("nobody")),
        "a key's name of escapes": signing(name=dns.name.from_text(ESCAPED)),
        "another algorithm": signing(algorithm=dns.tsig.HMAC_SHA1),
        "an algorithm that there is not": signing(algorithm=dns.name.from_text("rot13")),
        "not over the question": signing(request_mac=b""),
        "over another question": signing(request_mac=b"x" * 32),
        "a bit of the signature": wire(lambda w: framed(w[:-20] + bytes([w[-20] ^ 1]) + w[-19:])),
        "a bit of the text": wire(lambda w: framed(w[:14] + bytes([w[14] ^ 32]) + w[15:])),
        "half a signature": signing(length=16),
        "one octet of signature": signing(length=1),
        "no octet of signature": signing(length=0),
        "two signatures": signing(times=2),
        "a signature for another id": signing(ident=7),
        "an hour late": signing(at=time.time() - 3600),
        "an hour early": signing(at=time.time() + 3600),
        "the year 1970": signing(at=0),
        "the end of time": signing(at=(1 << 48) - 1),
        "no fudge, a minute late": signing(at=time.time() - 60, fudge=0),
        "BADTIME, clock of six octets": signing(error=18, other=b"\xff" * 6, mac=b""),
        "BADTIME, no clock": signing(error=18, mac=b""),
        "BADTIME, long clock": signing(error=18, other=b"\x00" * 500, mac=b""),
        "BADTIME to UPDATE": updates(signing(error=18, other=b"\x00" * 6, mac=b"")),
        "BADKEY to UPDATE": updates(signing(error=17, mac=b"")),
        "BADSIG in the midst": after(9, signing(error=16, mac=b"")),
        "an error that there is not": signing(error=65535, mac=b""),
        # Form.
        "truncated, empty": questions(together(says(), flags(on=dns.flags.TC))),
        "truncated, as it is": questions(flags(on=dns.flags.TC)),
        "truncated UPDATE": updates(flags(on=dns.flags.TC)),
        "not an answer": flags(off=dns.flags.QR),
        "another id": wire(lambda w: framed(bytes([w[0] ^ 1]) + w[1:])),
        "id and signature of another": wire(lambda w: framed(b"\x00\x07" + w[2:])),
        "another opcode": wire(lambda w: framed(w[:2] + bytes([w[2] ^ 0x10]) + w[3:])),
        "each answer twice": wire(lambda w: [framed(w), framed(w)]),
        "an answer to nothing before each": wire(
            lambda w: [framed(b"\x00\x00\x80\x00" + b"\x00" * 8), framed(w)]
        ),
        "no question in it": changed(lambda a, n: a.question.clear()),
        "another question in it": changed(
            lambda a, n: a.question.__setitem__(0, dns.rrset.RRset(dns.name.from_text("x.test"), 1, 1))
        ),
        "empty messages": lambda asked, answer: framed(b""),
        "one octet": lambda asked, answer: framed(b"\x00"),
        "zeros": lambda asked, answer: framed(b"\x00" * 65535),
        "the question sent back": lambda asked, answer: framed(asked.to_wire()),
        "rubbish": lambda asked, answer: framed(dice.randbytes(dice.randrange(12, 900))),
        "rubbish behind the header": wire(lambda w: framed(w[:12] + dice.randbytes(len(w) - 12))),
        "names that point to themselves": wire(lambda w: framed(w[:12] + b"\xc0\x0c" * 40)),
        "counts that lie": wire(lambda w: framed(w[:6] + b"\xff\xff\xff\xff" + w[10:])),
        "a length that lies": wire(lambda w: struct.pack("!H", len(w) + 9) + w),
        "half an answer": wire(lambda w: [framed(w)[: len(w) // 2], b""]),
        "closed at once": lambda asked, answer: b"",
        "closed at UPDATE": updates(lambda asked, answer: b""),
        "closed after five": after(5, lambda asked, answer: b""),
        "silence": lambda asked, answer: None,
        "silence to UPDATE": updates(lambda asked, answer: None),
        "each answer at the last moment": slowly,
        "octet by octet": wire(lambda w: [framed(w)[n : n + 1] for n in range(len(w) + 2)]),
        "HTTP": lambda asked, answer: b"HTTP/1.1 400 Bad Request\r\n\r\n" + ESCAPES.encode(),
        "AXFR: the zone, in many messages": transfer,
        "AXFR to UPDATE": updates(transfer),
        # Names and zones.
        "no authority": questions(flags(off=dns.flags.AA)),
        "no authority at the end": after(12, questions(flags(off=dns.flags.AA))),
        "NXDOMAIN with records": questions(changed(lambda a, n: a.set_rcode(dns.rcode.NXDOMAIN))),
        "NXDOMAIN with an MX": about(
            "MX",
            together(changed(lambda a, n: a.set_rcode(3)), says(lambda n: rr(n, "MX", "5 evil.example."))),
        ),
        "nothing is there, no SOA": questions(says()),
        "NOERROR and nothing at all": questions(rcode(0)),
        "records of other names": questions(
            says(lambda n: rr("www.bank.example.", "A", "192.0.2.66"), keep=True)
        ),
        "records of other names alone": questions(says(lambda n: rr(f"x.{n}", "TXT", "v=spf1 -all"))),
        "markers of other names": questions(
            says(
                lambda n: rr(f"_mailprov.{OTHER}.", "TXT", f'"v=mailprov2 zone={OTHER} for={ZONE} @/MX=x"'),
                keep=True,
            )
        ),
        "other types": questions(says(lambda n: rr(n, "SRV", "0 0 1 evil.example."), keep=True)),
        "another class": questions(
            changed(lambda a, n: a.answer.append(dns.rrset.from_text(n, 300, "CH", "TXT", "x")))
        ),
        "SOA of the root": questions(says(_soa("."), section="authority")),
        "SOA of the top level": questions(says(_soa("test."), section="authority")),
        "SOA of another zone": questions(says(_soa(f"{OTHER}."), section="authority")),
        "SOA of a bank": questions(says(_soa("bank.example."), section="authority")),
        "each name is a zone": questions(says(_soa(""), section="authority")),
        "each name is a zone (answers)": about("SOA", says(_soa(""))),
        "SOA of other zones in answers": about("SOA", says(_soa(f"{OTHER}."))),
        "SOA of escapes": questions(says(_soa(f"{ESCAPED}."), section="authority")),
        "all is delegated": questions(
            together(
                flags(off=dns.flags.AA),
                says(),
                says(lambda n: rr(n, "NS", "ns.evil.example."), section="authority"),
            )
        ),
        "delegated to escapes": questions(
            together(
                flags(off=dns.flags.AA),
                says(),
                says(lambda n: rr(f"{ESCAPED}.{ZONE}.", "NS", f"{ESCAPED}."), section="authority"),
            )
        ),
        "delegated after the plan": after(
            14,
            questions(
                together(
                    flags(off=dns.flags.AA),
                    says(),
                    says(lambda n: rr(f"{ZONE}.", "NS", "ns.evil.example."), section="authority"),
                )
            ),
        ),
        "a CNAME everywhere": questions(says(lambda n: rr(n, "CNAME", "www.bank.example."))),
        "a CNAME to itself": questions(says(lambda n: rr(n, "CNAME", n))),
        "a chain of CNAMEs": questions(chain(500)),
        "a CNAME of escapes": questions(says(lambda n: rr(n, "CNAME", f"{ESCAPED}.example."))),
        "CNAMEs after the plan": after(14, questions(says(lambda n: rr(n, "CNAME", n)))),
        "a DNAME above": questions(says(lambda n: rr(f"{ZONE}.", "DNAME", "bank.example."))),
        "a DNAME of the root": questions(says(lambda n: rr(".", "DNAME", "bank.example."))),
        "wildcards everywhere": questions(wildcards("192.0.2.66")),
        "wildcards that are as wanted": questions(wildcards("10.0.0.1")),
        # Data.
        "huge TTLs": questions(retimed(lambda: 2**31 - 1)),
        "TTLs above all bounds": questions(retimed(lambda: 2**32 - 1)),
        "no TTLs": questions(retimed(lambda: 0)),
        "another TTL each time": questions(retimed(lambda: dice.randrange(2**31))),
        "serials that go back": questions(serials(countdown())),
        "another serial each time": questions(serials(lambda: dice.randrange(2**32))),
        "one serial for ever": questions(serials(lambda: 1)),
        "texts of escapes": about("TXT", says(lambda n: rr(n, "TXT", f'"{ESCAPED}"'), keep=True)),
        "SPF of escapes": about("TXT", says(lambda n: rr(n, "TXT", f'"v=spf1 {ESCAPED}"'))),
        "a DKIM key of escapes": about("TXT", says(lambda n: rr(n, "TXT", f'"v=DKIM1; k=rsa; p={ESCAPED}"'))),
        "an MX of escapes": about("MX", says(lambda n: rr(n, "MX", f"5 {ESCAPED}.example."))),
        "addresses of others": about("A", says(lambda n: rr(n, "A", "192.0.2.66", "192.0.2.67"))),
        "2,000 addresses": about(
            "A", says(lambda n: rr(n, "A", *(f"10.{i >> 8}.{i & 255}.9" for i in range(2000))))
        ),
        "60,000 octets of text": about(
            "TXT", says(lambda n: rr(n, "TXT", " ".join(['"' + "x" * 255 + '"'] * 230)))
        ),
        "empty texts": about("TXT", says(lambda n: rr(n, "TXT", '""'))),
        "texts that are no UTF-8": about("TXT", says(lambda n: rr(n, "TXT", r'"\255\254\237\160\128"'))),
        "nothing of others is shown": questions(says()),
        "an address of three octets": about("A", raw(1, b"\x0a\x00\x00")),
        "an MX without a name": about("MX", raw(15, b"\x00")),
        "a text of no string": about("TXT", raw(16, b"")),
        "a text whose length lies": about("TXT", raw(16, b"\xffx")),
        # Markers: what is listed is removed, if it stands and the plan showed it.
        "a marker of a later version": marker('"v=mailprov9 zone=liar.test"'),
        "a marker of escapes": marker(f'"v=mailprov9 {ESCAPED}"'),
        "a marker that names a bank": marker(
            '"v=mailprov2 zone=bank.example for=liar.test,bank.example www/A=AAAAAAAAAAAA"'
        ),
        "a marker of 200 domains": marker(
            " ".join(
                f'"{piece}"'
                for piece in [
                    "v=mailprov2 zone=liar.test for=liar.test",
                    *(f",d{i}.liar.test" for i in range(200)),
                ]
            )
        ),
        "a marker that names more each time": about("TXT", changed(endless)),
        # Updates.
        "swallowed: NOERROR, nothing done": honest,
        "swallowed: and closed": updates(lambda asked, answer: b""),
        "swallowed: and silence": updates(lambda asked, answer: None),
        "swallowed: and no signature": updates(unsigned()),
        "swallowed: SERVFAIL": updates(rcode(2)),
        "swallowed: with serials that go up": questions(serials(lambda: dice.randrange(2**32))),
        "YXDOMAIN to all": updates(rcode(6)),
        "NXRRSET to all": updates(rcode(8)),
        "NOERROR to every proof": proofs(0),
        "NXRRSET to every proof": proofs(8),
        "REFUSED to every proof": proofs(5),
    }
    for code in (1, 2, 4, 5, 7, 9, 10, 11, 15, 16, 22, 23, 4095):
        found[f"code {code} to UPDATE"] = updates(rcode(code))
        found[f"code {code} to questions"] = after(dice.randrange(20), questions(rcode(code)))
    return found


def reset(name_server: NameServer) -> Zone:
    """What stands there is what others put there."""

    def edit(message: dns.update.UpdateMessage) -> None:
        for name, kind in whole(name_server, ZONE):
            message.delete(f"{name}.", kind)
        message.delete(f"sub.{ZONE}.", "NS")
        for (name, kind), value in FOREIGN.items():
            message.add(f"{ZONE}." if name == "@" else name, 300, kind, value)

    name_server.change(ZONE, edit)
    return whole(name_server, ZONE)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, Any]]:
    """`mailprov dns apply --yes` against that port with that TTL: exit code, output, and what was not caught."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANA", "s3cret-word")
    monkeypatch.setenv("LIAR_TSIG", SECRET)
    monkeypatch.setattr(session, "ROUND_SECONDS", 6.0)
    monkeypatch.setattr(session, "QUESTION_SECONDS", 0.01)
    monkeypatch.setattr(publishing, "LONGEST_PAUSE", 0.01)
    told = {"state": f"{ZONE} mx1-rsa-1 signing -\n", "public": {f"{ZONE}.mx1-rsa-1": record()}}
    monkeypatch.setattr(
        Connections,
        "start",  # with a clock that goes on
        lambda self, host, job: ScriptedAgent([hello(), {"t": "keys", "dkim": told}, end()]),
    )

    def run(port: int, ttl: int, patience: float = 0.7) -> tuple[int, str, Any]:
        monkeypatch.setattr(session, "ANSWER_SECONDS", patience)
        Path("mail.yml").write_text(INVENTORY.replace("PORT", str(port)).replace("TTL", str(ttl)))
        done = CliRunner().invoke(build_app(), ["dns", "apply", "--yes", "mail.yml"])
        error = done.exception if not isinstance(done.exception, SystemExit) else None
        return done.exit_code, done.output, error

    return run


def test_whatever_a_name_server_says(
    name_server: NameServer,
    tcp_server: Callable[..., int],
    command: Callable[..., tuple[int, str, Any]],
    tries: Tries,
) -> None:
    reset(name_server)
    code, said, error = command(name_server.port, 300, 60)
    assert (code, error) == (0, None), said
    published = standing(whole(name_server, ZONE))
    for number, name in enumerate(some(list(lies()), 60)):
        for before in ("new", "published") if LONG else (("new", "published")[number % 2],):
            reset(name_server)
            if before == "published":
                assert command(name_server.port, 300, 60)[0] == 0
            stood, serial = whole(name_server, ZONE), name_server.serial(OTHER)
            liar = Liar(name_server.port, lies()[name], swallows=name.startswith("swallowed"))
            began = time.monotonic()
            code, said, error = command(tcp_server(liar), 300 if before == "new" else 600)
            took = time.monotonic() - began
            now = whole(name_server, ZONE)
            ours = {
                one
                for one in standing(now) | standing(stood)
                if one in published or "_mailprov." in one[0][0]
            }
            theirs = {key for key, _ in standing(stood) - ours}
            pretended = name.startswith(("wildcards that", "NOERROR to every"))
            checks = {
                "a traceback": error is None and "internal error" not in said,
                "exit code": code in (0, 1, 3),
                "escapes or secrets": not bad(said) and SECRET not in said and "s3cret" not in said,
                "no end": liar.questions < MOST_QUESTIONS and took < MOST_SECONDS,
                "others' values": standing(stood) - ours == standing(now) - ours,
                "others' TTLs": all(now[key][0] == stood[key][0] for key in theirs),
                "other zones": name_server.serial(OTHER) == serial,
                "not done": code or before != "new" or pretended or published <= standing(now),
            }
            wrong = [what for what, right in checks.items() if not right]
            seen = (wrong, code, liar.questions, took, published - standing(now), error, said[-300:])
            tries.held((name, before), not wrong, seen)
