"""Real name servers for the tests of this folder: BIND, Knot and PowerDNS, each with the same zones and keys.

    ZONES, AT_PROVIDERS           the zones, and those of them that providers with an API have as well
    KINDS                         what there is, and for each the program, its Debian packages and how it is started
    start(kind, folder, zones)    -> a server on a free loopback port, and its process
    serving(kind, folder)         the same until the end of a `with`; a test is skipped where the program is missing
    NameServer                         questions to it, and what somebody else does to its zones
    inventory(zone, …)            hosts and a mail domain in a zone

Zones: those of ZONES take updates with the key `mailprov`; `locked.test` takes none; `copy.test` is a secondary;
`broken.test` could not be loaded. The key `stranger` is known to each server and may do nothing.
PowerDNS has its zones in a database (SQLite), with the caches of its defaults; Knot and BIND read them from files.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.zone
import pytest

from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings, Tsig
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Dmarc, Domain, Host, Inventory, SshSettings, Tls
from mailprov.model.secret import Secret

SECRET = "c2VjcmV0IG9mIHRoZSBrZXkgbWFpbHByb3YgaW4gdGVzdHM="
STRANGER = "YSBrZXkgdGhhdCBpcyBrbm93biBhbmQgbWF5IG5vdCB1cGRhdGU="
API_KEY = "key-of-the-http-api"
PATIENCE = 300.0  # seconds; a busy machine takes its time
HEAD = "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
# Somebody else's, beside which we write (test_fault_matrix.py, test_move_everywhere.py).
THEIRS = (
    '@ TXT "site=abc; x"\n@ TXT "part one " "and \\"two\\" \\200\\; end"\nwww A 192.0.2.80\nwww TXT "v=spf1 -all"\n'
    "*.web A 192.0.2.81\nsub NS ns.elsewhere.test.\nxn--bcher-kva A 192.0.2.82\nftp CNAME www\n"
    "@ CAA 0 issue ca.example\n"
)
# One zone per test, so that tests do not see each other's records. Text behind HEAD.
ZONES = {
    "create.test": "",
    "create2.test": "",
    "pipeline.test": "",
    "chosen.test": "",
    "theirs.test": "@ MX 5 old.theirs.test.\n",
    "same.test": "",
    "change.test": "",
    "foreign.test": (
        '@ TXT "google-site-verification=abc; x"\n'
        '@ TXT "part one " "and \\"two\\" \\200\\; end"\n'
        "@ MX 5 old.foreign.test.\n"
    ),
    "race.test": '@ TXT "before"\n',
    "race2.test": "",
    "race3.test": "",
    "stranger.test": "",
    "wild.test": '* TXT "v=spf1 -all"\n* A 192.0.2.1\n* MX 5 elsewhere.test.\nreal A 192.0.2.1\n',
    "cname.test": "mx1 CNAME target\ntarget A 192.0.2.9\n",
    "split.test": "deleg NS ns.elsewhere.test.\n",
    "sub.split.test": "www CNAME gone.split.test.\n",
    "closing.test": "",
    "many.test": "",
    "chunks.test": '@ TXT "v=spf1 " "mx -all"\n',
    "large.test": "",
    "ttl.test": "",
    "lost.test": "",
    "dname.test": "sub DNAME other.example.\n",
    "dmarc.test": "_dmarc NS ns.vendor.example.\n",
    # Three: mx1 shows the host's own address through the wildcard, has it itself, has it and a wildcard below it.
    "star1.test": "* A 10.0.0.1\n",
    "star2.test": "* A 10.0.0.1\nmx1 A 10.0.0.1\n",
    "star3.test": "* A 10.0.0.1\nmx1 A 10.0.0.1\n*.mx1 A 10.0.0.1\n",
    "star4.test": '* A 192.0.2.9\n* MX 5 mail.example.\n* TXT "hello"\nused.sub TXT "x"\nhas SRV 0 0 1 ns\n',
    "star5.test": "* CNAME web.example.\n",
    "star6.test": "* A 10.0.0.1\nmx1 A 10.0.0.1\n",
    "random.test": "",
    "check.test": "@ NS ns2\nns2 A 127.0.0.2\n",
    "check2.test": "",
    "dkim.test": 'mx1-rsa-1._domainkey TXT "v=DKIM1; k=rsa; p=dGhlaXJz"\n',
    "semi.test": "",
    "case.test": "",
    "lua.test": "",
    **{f"undo{number}.test": "" for number in range(1, 7)},
    **{f"left{number}.test": "" for number in range(1, 21)},
    **{f"earlier{number}.test": "" for number in range(1, 5)},
    "earlier5.test": '@ TXT "v=spf1 ip4:192.0.2.1 ~all"\n',
    **{f"told{number}.test": "www A 192.0.2.80\n" for number in range(1, 10)},
    **{f"rounds{number}.test": "" for number in range(1, 14)},
    # As the first of our hosts has it, so that it reads as written already.
    **{
        f"stars{number}.test": "* A 10.0.0.1\n* MX 5 mail.example.\nwww A 192.0.2.1\n"
        for number in range(1, 9)
    },
    **{f"crowd{number}.test": "" for number in range(1, 4)},
    **{f"guard{number}.test": "" for number in range(1, 10)},
    **{f"batches{number}.test": "" for number in range(1, 3)},
    **{f"side{number}.test": "" for number in range(1, 9)},
    "byhand1.test": '@ TXT "theirs"\nwww A 192.0.2.80\n',
    "byhand2.test": "@ MX 5 old.byhand2.test.\n",
    "turns1.test": "",
    "turns2.test": "",
    "liar.test": "",
    **{f"contract{number}.test": "" for number in range(1, 21)},
    "0.0.10.in-addr.arpa": "",
    "contract2.test": (
        '@ TXT "site=abc; x"\n@ TXT "part one " "and \\"two\\" \\200\\; end"\nwww A 192.0.2.80\n'
        'www TXT "v=spf1 -all"\n'
    ),
    "contract3.test": '@ MX 5 ns.contract3.test.\n@ TXT "v=spf1 include:x.example ~all"\n',
    "contract4.test": "mx1 CNAME target\ntarget A 192.0.2.9\n",
    "contract5.test": "sub NS ns.elsewhere.test.\n",
    "contract6.test": '@ 77 TXT "theirs"\n',
    "contract7.test": "* A 10.0.0.1\n* MX 5 mail.example.\n",
    **{f"contracth{number}.test": "" for number in range(1, 13)},
    **{
        f"contracts{number}.test": (
            f'@ 77 TXT "v=spf1 Include:_spf.contracts{number}.test  ~all"\n@ 77 TXT "theirs"\n'
            '_spf TXT "v=spf1 ip4:192.0.2.7 -all"\n'
        )
        for number in range(1, 9)
    },
    "contract8.test": "sub DNAME other.example.\n",
    **{f"contractf{number}.test": THEIRS for number in range(1, 23)},
    **{f"contractm{number}.test": THEIRS for number in range(1, 18)},
}

# Those of the tests that run on providers with an API, too.
AT_PROVIDERS = {name: text for name, text in ZONES.items() if name.startswith(("contract", "0.0.10."))}
AT_PROVIDERS["random.test"] = ZONES["random.test"]


# What only PowerDNS can have: (name, type, content as it stands in its database).
STORED = {
    "semi.test": (
        ("semi.test", "TXT", r'"v=spf1 mx -all"'),
        ("semi.test", "TXT", r'"site=a\; b"'),
        ("_dmarc.semi.test", "TXT", r'"v=DMARC1\; p=reject"'),
    ),
    "case.test": (
        ("case.test", "TXT", '"Site=a"'),
        ("case.test", "TXT", '"site=A"'),
        ("case.test", "MX", "10 Old.Elsewhere.TEST."),
        ("case.test", "MX", "20 MX.Case.TEST."),
    ),
    "lua.test": (("mx1.lua.test", "LUA", """A "'192.0.2.77'\""""),),
}


@dataclass(frozen=True)
class NameServer:
    port: int
    kind: str = "bind"  # a key of KINDS
    folder: Path = field(default=Path(), repr=False)

    def settings(self, **changes: object) -> DnsSettings:
        ttl = changes.pop("ttl", 300)
        values: dict[str, object] = {
            "server": "127.0.0.1",
            "port": self.port,
            "tsig": Tsig("mailprov", "hmac-sha256", Secret("env:MAILPROV_TSIG", SECRET)),
        }
        return DnsSettings(Rfc2136Settings(**{**values, **changes}), ttl)  # type: ignore[arg-type]

    def api(self) -> str:
        """Where PowerDNS has its HTTP API."""
        lines = (self.folder / "pdns.conf").read_text().splitlines()
        (port,) = (line.partition("=")[2] for line in lines if line.startswith("webserver-port="))
        return f"http://127.0.0.1:{port}"

    def ask(self, name: str, kind: str) -> dns.message.Message:
        return dns.query.tcp(
            dns.message.make_query(name, kind), "127.0.0.1", port=self.port, timeout=PATIENCE
        )

    def values(self, name: str, kind: str) -> set[str]:
        return {rdata.to_text() for rrset in self.ask(name, kind).answer for rdata in rrset}

    def serial(self, zone: str) -> int:
        return int(self.ask(zone, "SOA").answer[0][0].serial)

    def change(self, zone: str, edit: Callable[[dns.update.UpdateMessage], None]) -> None:
        """What somebody else does to the zone."""
        key = dns.tsig.Key("mailprov", SECRET, "hmac-sha256")
        message = dns.update.UpdateMessage(zone, keyring=key)
        edit(message)
        answer = dns.query.tcp(message, "127.0.0.1", port=self.port, timeout=PATIENCE)
        assert answer.rcode() == dns.rcode.NOERROR, f"{dns.rcode.to_text(answer.rcode())}: {self.log()}"

    def log(self) -> str:
        """What the server said last."""
        return (self.folder / "log").read_text()[-600:]


@cache
def sets_of(zone: str, text: str) -> tuple[tuple[str, str, int, tuple[str, ...]], ...]:
    """(name, type, TTL, values) of each set that stands in a zone with this text behind HEAD. Read once, as servers
    are started by hundreds.
    """
    read = dns.zone.from_text(HEAD + text, zone, relativize=False, check_origin=False)
    return tuple(
        (
            name.to_text(omit_final_dot=True),
            dns.rdatatype.to_text(each.rdtype),
            each.ttl,
            tuple(rdata.to_text() for rdata in each),
        )
        for name, each in read.iterate_rdatasets()
    )


def inventory(zone: str, dns_settings: DnsSettings, *, hosts: int = 1, start: int = 1) -> Inventory:
    """`hosts` hosts mx1, mx2, … in `zone`, which is also the mail domain."""
    numbers = range(start, start + hosts)
    return Inventory(
        "inv.yml",
        tuple(
            Host(
                f"mx{n}",
                f"10.0.{n >> 8}.{n & 255}",
                f"mx{n}.{zone}",
                SshSettings(),
                Tls(),
                (f"10.0.{n >> 8}.{n & 255}",),
            )
            for n in numbers
        ),
        (Domain(zone, tuple(f"mx{n}" for n in numbers), dmarc=Dmarc("none", f"postmaster@{zone}")),),
        dns_settings,
    )


def free_port() -> int:
    """A port of TCP and UDP on which nobody listens, at any address, and which nobody is given.

    The kernel gives none of these to outgoing connections (ip(7), ip_local_port_range): of its own it may give one to
    somebody else before a server has taken it, and a connection to one on which nobody listens may meet itself. Each
    process has a range of its own, where there is room for that.
    """
    for _ in range(_PORTS):
        port = 10_000 + (os.getpid() * _PORTS + next(_ports) % _PORTS) % 22_000
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
            tcp.bind(("", port))
            udp.bind(("", port))
            return port
    raise RuntimeError("no free port")


_PORTS = 250
_ports = itertools.count()


def impatient(monkeypatch: pytest.MonkeyPatch, *silent: str) -> None:
    """Answers of these addresses are waited for a moment, as none comes; of all others until they come."""
    for name in ("tcp", "udp_with_fallback"):

        def ask(
            query: dns.message.Message,
            where: str,
            timeout: float | None = None,
            real: Callable[..., object] = getattr(dns.query, name),
            **more: object,
        ) -> object:
            return real(query, where, timeout=0.3 if where in silent else PATIENCE, **more)

        monkeypatch.setattr(dns.query, name, ask)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def serves(port: int, process: subprocess.Popen[bytes], zone: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            question = dns.message.make_query(zone, "SOA")
            if dns.query.tcp(question, "127.0.0.1", port=port, timeout=5).answer:
                return True
        except (OSError, EOFError, dns.exception.DNSException):
            pass  # PowerDNS accepts connections before it answers them: asked again
        time.sleep(0.02)
    return False


@dataclass(frozen=True)
class Kind:
    """A name server's program, where it comes from, and how it is told what to serve.

    `configure(folder, port, zones)` writes its files and gives its arguments.
    """

    program: str
    packages: str
    configure: Callable[[Path, int, Mapping[str, str]], list[str]]
    needs: tuple[str, ...] = ()  # files beside the program

    def missing(self) -> str:
        """Why it cannot be started here; empty when it can."""
        there = self.path() and all(Path(path).exists() for path in self.needs)
        return "" if there else f"{self.program} is not installed (Debian: {self.packages})"

    def path(self) -> str | None:
        return shutil.which(self.program) or shutil.which(f"/usr/sbin/{self.program}")


def start(
    kind: str, folder: Path, zones: Mapping[str, str] = ZONES
) -> tuple[NameServer, subprocess.Popen[bytes]]:
    """A server of this kind that answers. Its log is `folder`/log. `zones`: text behind HEAD."""
    program = KINDS[kind].path()
    assert program
    for _ in range(3):  # another process may take the port before the server does
        port = free_port()
        arguments = KINDS[kind].configure(folder, port, zones)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
        if serves(port, process, next(iter(zones))):
            return NameServer(port, kind, folder), process
        stop(process)
    raise RuntimeError(f"{kind} does not start: {(folder / 'log').read_text()[-2000:]}")


@contextmanager
def serving(kind: str, folder: Path, zones: Mapping[str, str] = ZONES) -> Iterator[NameServer]:
    if missing := KINDS[kind].missing():
        pytest.skip(f"{missing}: DNS updates are not tried on a real server of this kind")
    server, process = start(kind, folder, zones)
    try:
        yield server
    finally:
        stop(process)


def _write_zones(folder: Path, zones: Mapping[str, str]) -> None:
    for zone, text in {**zones, "locked.test": ""}.items():
        (folder / zone).write_text(HEAD + text)
    (folder / "copy.test").write_text("$ORIGIN copy.test.\n" + HEAD)
    (folder / "broken.test").write_text("this is no zone file\n")


def _bind(folder: Path, port: int, zones: Mapping[str, str]) -> list[str]:
    _write_zones(folder, zones)
    texts = [
        f"""options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
        recursion no; dnssec-validation no; notify no; empty-zones-enable no; pid-file none;
        managed-keys-directory "{folder}"; session-keyfile none; lock-file none; }};
        controls {{ }};
        key mailprov {{ algorithm hmac-sha256; secret "{SECRET}"; }};
        key stranger {{ algorithm hmac-sha256; secret "{STRANGER}"; }};
        zone "locked.test" {{ type primary; file "locked.test"; }};
        zone "broken.test" {{ type primary; file "broken.test"; }};
        zone "copy.test" {{ type secondary; file "copy.test"; masterfile-format text;
            primaries port {port} {{ 127.0.0.2; }}; }};"""
    ]
    for zone in zones:
        texts.append(f'zone "{zone}" {{ type primary; file "{zone}"; allow-update {{ key mailprov; }}; }};')
    (folder / "named.conf").write_text("\n".join(texts))
    return ["-g", "-n", "1", "-c", str(folder / "named.conf")]


def _knot(folder: Path, port: int, zones: Mapping[str, str]) -> list[str]:
    _write_zones(folder, zones)
    ours = "".join(f"  - domain: {zone}\n    acl: [ours, reads]\n" for zone in zones)
    (folder / "knot.conf").write_text(f"""
server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
control:
    listen: {folder}/knot.sock
database:
    storage: {folder}
    journal-db-max-size: 50M
log:
  - target: stderr
    any: info
key:
  - id: mailprov
    algorithm: hmac-sha256
    secret: {SECRET}
  - id: stranger
    algorithm: hmac-sha256
    secret: {STRANGER}
remote:
  - id: primary
    address: 127.0.0.2@{port}
acl:
  - id: ours
    key: mailprov
    action: [update, transfer]
  - id: reads
    key: [mailprov, stranger]
    action: transfer
template:
  - id: default
    storage: {folder}
    file: "%s"
    zonefile-sync: -1
zone:
  - domain: locked.test
    acl: reads
  - domain: broken.test
    acl: reads
  - domain: copy.test
    master: primary
    acl: [ours, reads]
{ours}""")
    return ["-c", str(folder / "knot.conf")]


POWERDNS_SCHEMA = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"


def _powerdns(
    folder: Path, port: int, zones: Mapping[str, str] = ZONES, settings: str = "dnsupdate=yes"
) -> list[str]:
    (folder / "pdns.conf").write_text(f"""
launch=gsqlite3
gsqlite3-database={folder}/zones.sqlite3
gsqlite3-pragma-synchronous=0
local-address=127.0.0.1
local-port={port}
socket-dir={folder}
allow-dnsupdate-from=
receiver-threads=1
distributor-threads=1
secondary=yes
enable-lua-records=yes
webserver=yes
webserver-address=127.0.0.1
webserver-port={free_port()}
api=yes
api-key={API_KEY}
{settings}
""")
    (folder / "zones.sqlite3").unlink(missing_ok=True)
    database = sqlite3.connect(folder / "zones.sqlite3")
    database.executescript(Path(POWERDNS_SCHEMA).read_text())
    for name, secret in (("mailprov", SECRET), ("stranger", STRANGER)):
        database.execute(
            "INSERT INTO tsigkeys (name, algorithm, secret) VALUES (?, 'hmac-sha256', ?)", (name, secret)
        )
    for number, (zone, text) in enumerate({**zones, "locked.test": "", "copy.test": ""}.items(), 1):
        kind, primary = ("SLAVE", "127.0.0.2") if zone == "copy.test" else ("NATIVE", None)
        database.execute(
            "INSERT INTO domains VALUES (?, ?, ?, 0, ?, 0, '', '', '')", (number, zone, primary, kind)
        )
        if zone != "locked.test":
            database.executemany(
                "INSERT INTO domainmetadata (domain_id, kind, content) VALUES (?, ?, ?)",
                [
                    (number, "ALLOW-DNSUPDATE-FROM", "127.0.0.0/8"),
                    (number, "TSIG-ALLOW-DNSUPDATE", "mailprov"),
                    (number, "TSIG-ALLOW-AXFR", "mailprov"),
                ],
            )
        for name, type_, ttl, values in sets_of(zone, text):
            for value in values:
                stored(database, zone, name, type_, value, ttl)
    for zone, rows in STORED.items():
        for row in rows if zone in zones else ():
            stored(database, zone, *row)
    # No SOA: the nearest that PowerDNS has to a zone that does not load.
    database.execute("INSERT INTO domains VALUES (9999, 'broken.test', NULL, 0, 'NATIVE', 0, '', '', '')")
    database.commit()
    database.close()
    done = subprocess.run(
        ["pdnsutil", f"--config-dir={folder}", "rectify-all-zones", "quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [f"--config-dir={folder}", "--daemon=no", "--guardian=no", "--disable-syslog", "--write-pid=no"]


def stored(
    database: sqlite3.Connection, zone: str, name: str, kind: str, content: str, ttl: int = 300
) -> None:
    """One record as PowerDNS keeps it: the preference of an MX in a column of its own, names without final dot."""
    priority = None
    if kind == "MX":
        priority, _, content = content.partition(" ")
    if kind in ("MX", "NS", "CNAME", "DNAME", "SOA"):
        content = " ".join(word.removesuffix(".") or "." for word in content.split(" "))
    database.execute(
        "INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled, auth) "
        "VALUES ((SELECT id FROM domains WHERE name = ?), ?, ?, ?, ?, ?, 0, 1)",
        (zone, name, kind, content, ttl, priority),
    )


KINDS: Mapping[str, Kind] = {
    "bind": Kind("named", "bind9", _bind),
    "knot": Kind("knotd", "knot", _knot),
    "powerdns": Kind("pdns_server", "pdns-server, pdns-backend-sqlite3", _powerdns, (POWERDNS_SCHEMA,)),
}
