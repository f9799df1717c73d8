"""A small DNS of its own on loopback: a root, the zone `zz` below it, two servers for the zones below that, a resolver.

    serving(folder, zones)       one BIND with a view for each of them, until the end of a `with`
    ZoneWorld.resolver()         what `probe.verify` gets in place of this machine's

All are at the same port: root and `zz` at 127.0.0.1, ns1 at 127.0.0.2, ns2 at 127.0.0.3, the resolver at 127.0.0.9.
BIND listens on no address of loopback but the first, so a front at each hands on what comes there (`Front`), and can
be wrong in a way that no BIND is. Nothing leaves the machine.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dns.dnssec
import dns.name
import dns.resolver
import dns.zone
import pytest

from mailprov.selftest.zone_texts import FIRST, RESOLVER, ROOT, SECOND, Zone, delegation
from tests.unit.dns.servers import KINDS, PATIENCE, SECRET, free_port, serves, stop

ASKS = "127.0.0.10"  # the resolver's own questions come from here

Answers = Callable[[bytes, bool, str], bytes | None]


class Front:
    """One address. `answers(wire, over TCP, from)` gives what is sent back, None for nothing; BIND's own answer at
    first.
    """

    def __init__(self, address: str, port: int, behind: int) -> None:
        self.address, self.behind = address, behind
        self.answers: Answers = self.ask
        self.asked = 0
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, port))
        self.tcp = socket.create_server((address, port))
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def ask(self, wire: bytes, tcp: bool, peer: str = "") -> bytes:
        """BIND's answer. It knows the view by our address."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.bind((self.address, 0))
            sock.connect(("127.0.0.1", self.behind))
            sock.sendall(struct.pack("!H", len(wire)) + wire if tcp else wire)
            if not tcp:
                return sock.recv(65535)
            with sock.makefile("rb") as lines:
                return lines.read(struct.unpack("!H", lines.read(2))[0])

    def _serve_udp(self) -> None:
        with suppress(OSError):
            while True:
                wire, peer = self.udp.recvfrom(65535)
                if not wire:
                    return  # it was shut down
                threading.Thread(target=self._answer_udp, args=(wire, peer), daemon=True).start()

    def _answer_udp(self, wire: bytes, peer: tuple[str, int]) -> None:
        self.asked += peer[0] != ASKS  # which asks again where this machine is slow
        with suppress(OSError):
            if (answer := self.answers(wire, False, peer[0])) is not None:
                self.udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        with suppress(OSError):
            while True:
                sock, peer = self.tcp.accept()
                threading.Thread(target=self._answer_tcp, args=(sock, peer[0]), daemon=True).start()

    def _answer_tcp(self, sock: socket.socket, peer: str) -> None:
        with suppress(OSError, struct.error), sock, sock.makefile("rb") as lines:
            wire = lines.read(struct.unpack("!H", lines.read(2))[0])
            self.asked += peer != ASKS
            if (answer := self.answers(wire, True, peer)) is not None:
                sock.sendall(struct.pack("!H", len(answer)) + answer)

    def close(self) -> None:
        for sock in (self.udp, self.tcp):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


@dataclass(frozen=True)
class ZoneWorld:
    port: int
    folder: Path
    fronts: dict[str, Front] = field(default_factory=dict)

    @contextmanager
    def wrong(self, address: str, answers: Answers) -> Iterator[None]:
        self.fronts[address].answers = answers
        try:
            yield
        finally:
            self.fronts[address].answers = self.fronts[address].ask

    def resolver(self) -> dns.resolver.Resolver:
        found = dns.resolver.Resolver(configure=False)
        found.nameservers, found.port, found.lifetime = [RESOLVER], self.port, PATIENCE
        return found


def _view(
    name: str, address: str, folder: Path, zones: Mapping[str, str], more: str = "", updates: str = ""
) -> str:
    (folder / name).mkdir(exist_ok=True)
    lines = []
    for zone, text in zones.items():
        file = folder / name / (zone.strip(".") or "root")
        file.write_text(text)
        extra = updates if zone in ("zz.", *more.split()) else ""
        lines.append(f'zone "{zone}" {{ type primary; file "{file}"; {extra} }};')
    return f"view {name} {{ match-clients {{ {address}; }}; recursion no; {' '.join(lines)} }};\n"


@contextmanager
def serving(folder: Path, zones: Mapping[str, Zone]) -> Iterator[ZoneWorld]:
    if missing := KINDS["bind"].missing():
        pytest.skip(missing)
    root = f"$TTL 300\n. SOA r. h. 1 3600 600 86400 60\n. NS r.\nr. A {ROOT}\nzz. NS r.\n"
    above = "".join(
        each.above if each.above is not None else delegation(name) for name, each in zones.items()
    )
    tops = {".": root, "zz.": f"$ORIGIN zz.\n$TTL 300\n@ SOA r. h. 1 3600 600 86400 60\n@ NS r.\n{above}"}
    dynamic = " ".join(name for name, each in zones.items() if each.dynamic)
    update = "allow-update { key mailprov; };"
    firsts = {name: each.first for name, each in zones.items() if each.first is not None}
    seconds = {name: each.second for name, each in zones.items() if each.second is not None}
    program = KINDS["bind"].path()
    assert program
    (folder / "hints").write_text(f". 300 NS r.\nr. 300 A {ROOT}\n")
    for _ in range(3):
        port, behind = free_port(), free_port()
        (folder / "named.conf").write_text(
            f"""options {{ directory "{folder}"; port {port};
            listen-on port {behind} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; query-source {ASKS};
            dnssec-validation no; notify no; empty-zones-enable no; pid-file none; minimal-responses no;
            managed-keys-directory "{folder}"; session-keyfile none; lock-file none; qname-minimization off; }};
            controls {{ }};
            key mailprov {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n"""
            + _view("tops", ROOT, folder, tops, updates=update)
            + _view(
                "first",
                FIRST,
                folder,
                firsts,
                dynamic,
                f'{update} dnssec-policy default; inline-signing no; key-directory "{folder}";',
            )
            + _view("second", SECOND, folder, seconds)
            + f"view resolver {{ match-clients {{ {RESOLVER}; }}; recursion yes; "
            f'zone "." {{ type hint; file "{folder}/hints"; }}; }};\n'
        )
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [program, "-g", "-n", "1", "-c", str(folder / "named.conf")], stdout=log, stderr=log
            )
        if serves(behind, process, "zz"):
            break
        stop(process)
    else:
        raise RuntimeError((folder / "log").read_text()[-2000:])
    with ExitStack() as ends:
        ends.callback(stop, process)
        fronts = {}
        for address in (ROOT, FIRST, SECOND, RESOLVER):
            fronts[address] = Front(address, port, behind)
            ends.callback(fronts[address].close)
        yield ZoneWorld(port, folder, fronts)
