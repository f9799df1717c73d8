"""Scripted mail and name servers on loopback: real sockets, real TLS, right behaviour unless a fault is asked
for.

`World` is two hosts (127.0.0.1 and 127.0.0.2) with seven ports each, ManageSieve, and a name server. `faults` are words
that the session classes look for, such as `open-relay`; a fault holds on every host and port where it makes
sense, `127.0.0.2/open-relay` on that host alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import selectors
import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailprov.model.ports import Protocol
from mailprov.model.values import dataclass
from mailprov.probe.checks.stray_ports import STRAY
from mailprov.probe.registry import PROBED
from mailprov.selftest import exchange_online
from mailprov.selftest.mailbox_servers import Imap, Pop
from mailprov.selftest.session import Session
from mailprov.selftest.sieve_server import Sieve
from mailprov.selftest.smtp_server import Smtp
from mailprov.selftest.state import FQDNS, State

_KINDS: dict[Protocol, type[Session]] = {
    Protocol.SMTP: Smtp,
    Protocol.IMAP: Imap,
    Protocol.POP3: Pop,
    Protocol.SIEVE: Sieve,
}
_EXCHANGE_ONLINE: dict[Protocol, type[Session]] = {
    **_KINDS,
    Protocol.SMTP: exchange_online.Smtp,
    Protocol.IMAP: exchange_online.Imap,
    Protocol.POP3: exchange_online.Pop,
}

# Of the form that they have; nobody checks it.
_KEY = "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
_SIGNATURE = "DNSKEY 13 2 60 20400101000000 20200101000000 2371 {zone}. AAAA"


def _digest(certificate: bytes) -> str:
    """Of its key, as a TLSA record 3 1 1 has it (RFC 6698 section 2.1)."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def refusing(address: str) -> socket.socket:
    """It has a port and does not listen there. A port that is free might be another test's a moment later."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind((address, 0))
    return sock


@dataclass
class World(State):
    def __enter__(self) -> World:
        """Raises OSError where a port cannot be opened."""
        self._selector = selectors.DefaultSelector()
        self._open: list[socket.socket] = []
        for address in FQDNS:
            for port in PROBED:
                refuses = (
                    "refused" in self.faults_of(address)
                    or (port.number == 4190 and "no-sieve" in self.faults)
                    or (port.service in self.off.get(address, ()))
                    or (
                        "exchange-online" in self.faults_of(address)
                        and port.number not in exchange_online.PORTS
                    )
                )
                sock = refusing(address) if refuses else socket.create_server((address, 0))
                self.port_map[address, port.number] = sock.getsockname()[1]
                self._open.append(sock)
                if refuses:
                    continue
                self._selector.register(sock, selectors.EVENT_READ, (address, port))
        for address, number in itertools.product(FQDNS, STRAY):
            sock = socket.socket()
            sock.bind((address, 0))  # bound, so that nobody else has it; nothing listens
            self.port_map[address, number] = sock.getsockname()[1]
            if f"stray-{number}" in self.faults_of(address):
                sock.listen()
            self._open.append(sock)
        while True:  # until a port is free for both
            self._dns_tcp = socket.create_server(("127.0.0.1", 0))
            self.dns_port = self._dns_tcp.getsockname()[1]
            self._dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self._dns.bind(("127.0.0.1", self.dns_port))
                break
            except OSError:
                self._dns.close()
                self._dns_tcp.close()
        self._selector.register(self._dns, selectors.EVENT_READ, None)
        self._selector.register(self._dns_tcp, selectors.EVENT_READ, "dns")
        self._stop, self._wake = socket.socketpair()
        self._selector.register(self._stop, selectors.EVENT_READ, "stop")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.close()
        self._thread.join(5)
        for sock in [*self._open, self._dns, self._dns_tcp, self._stop]:
            with contextlib.suppress(OSError):
                sock.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data == "stop":
                    return
                if key.data is None:
                    self._answer()
                    continue
                if key.data == "dns":
                    threading.Thread(
                        target=self._answer_tcp, args=self._dns_tcp.accept()[:1], daemon=True
                    ).start()
                    continue
                sock, _peer = key.fileobj.accept()  # type: ignore[union-attr]
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.append(sock)
                threading.Thread(
                    target=self._kinds(key.data[0])[key.data[1].protocol](self, sock, *key.data).run,
                    daemon=True,
                ).start()

    def _kinds(self, address: str) -> dict[Protocol, type[Session]]:
        return _EXCHANGE_ONLINE if "exchange-online" in self.faults_of(address) else _KINDS

    def _answer(self) -> None:
        data, peer = self._dns.recvfrom(4096)
        if (reply := self._reply(data)) is not None:
            self._dns.sendto(reply.to_wire(), peer)

    def _answer_tcp(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as lines:
            size = int.from_bytes(lines.read(2), "big")
            if "dns-no-tcp" in self.faults:
                return
            if (reply := self._reply(lines.read(size))) is not None:
                wire = reply.to_wire()
                sock.sendall(len(wire).to_bytes(2, "big") + wire)

    def _reply(self, data: bytes) -> dns.message.Message | None:
        if "dns-silent" in self.faults:
            return None
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        if "dns-refused" in self.faults:
            reply.set_rcode(dns.rcode.REFUSED)
        elif "dns-servfail" in self.faults:
            reply.set_rcode(dns.rcode.SERVFAIL)
        else:
            if "dns-hearsay" not in self.faults:
                reply.flags |= dns.flags.AA
            if found := self._found(name, kind, reply, query.flags):
                reply.answer.append(dns.rrset.from_text(name + ".", 60, "IN", kind, *found))
            elif alias := self.records.get((name, "CNAME")):
                reply.answer.append(dns.rrset.from_text(name + ".", 60, "IN", "CNAME", *alias))
            elif reply.rcode() == dns.rcode.NOERROR and not any(owner == name for owner, _ in self.records):
                reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply

    def _found(self, name: str, kind: str, reply: dns.message.Message, flags: int) -> list[str]:
        """`records`; and of a signed zone keys, and the TLSA records of the certificates that are right."""
        recursive = bool(flags & dns.flags.RD)
        if kind == "TLSA" and name.startswith("_25._tcp."):
            if "tlsa-servfail" in self.faults or (
                "bogus" in self.faults and recursive and not flags & dns.flags.CD
            ):
                reply.set_rcode(dns.rcode.SERVFAIL)
                return []
            if recursive and "validates" in self.faults:
                reply.flags |= dns.flags.AD
            if "tlsa-absent" in self.faults:
                return []
            fqdn = name.removeprefix("_25._tcp.")
            self.authority.context(fqdn)
            served = _digest((self.authority.folder / f"{fqdn}-right.pem").read_bytes())
            return [
                f"{'1' if 'tlsa-pkix' in self.faults else '2' if 'tlsa-issuer' in self.faults else '3'} 1 1 {served}"
            ]
        if kind == "DNSKEY" and (name, "SOA") in self.records and "unsigned-zone" not in self.faults:
            reply.answer.append(
                dns.rrset.from_text(name + ".", 60, "IN", "RRSIG", _SIGNATURE.format(zone=name))
            )
            return [_KEY]
        if kind == "DS" and "no-ds" in self.faults:
            reply.authority.append(
                dns.rrset.from_text("test.", 60, "IN", "SOA", "ns.test. h.test. 1 1 1 1 1")
            )
        return self.records.get((name, kind), [])
