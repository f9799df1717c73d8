"""A real BIND for the tests of this folder: its zones, its configuration, and questions to it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.update

from mailprov.model.inventory import (
    Dmarc,
    DnsProvider,
    DnsSettings,
    Domain,
    Host,
    Inventory,
    Secret,
    SshSettings,
    Tls,
    Tsig,
)

SECRET = "c2VjcmV0IG9mIHRoZSBrZXkgbWFpbHByb3YgaW4gdGVzdHM="
STRANGER = "YSBrZXkgdGhhdCBpcyBrbm93biBhbmQgbWF5IG5vdCB1cGRhdGU="
HEAD = "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
# One zone per test, so that tests do not see each other's records. Text behind HEAD.
ZONES = {
    "create.test": "",
    "create2.test": "",
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
    **{f"undo{number}.test": "" for number in range(1, 6)},
}


@dataclass(frozen=True)
class Named:
    port: int

    def settings(self, **changes: object) -> DnsSettings:
        values: dict[str, object] = {
            "provider": DnsProvider.RFC2136,
            "server": "127.0.0.1",
            "port": self.port,
            "tsig": Tsig("mailprov", "hmac-sha256", Secret("env:MAILPROV_TSIG", SECRET)),
            "ttl": 300,
        }
        return DnsSettings(**{**values, **changes})  # type: ignore[arg-type]

    def ask(self, name: str, kind: str) -> dns.message.Message:
        return dns.query.tcp(dns.message.make_query(name, kind), "127.0.0.1", port=self.port, timeout=5)

    def values(self, name: str, kind: str) -> set[str]:
        return {rdata.to_text() for rrset in self.ask(name, kind).answer for rdata in rrset}

    def serial(self, zone: str) -> int:
        return int(self.ask(zone, "SOA").answer[0][0].serial)

    def change(self, zone: str, edit: Callable[[dns.update.UpdateMessage], None]) -> None:
        """What somebody else does to the zone."""
        key = dns.tsig.Key("mailprov", SECRET, "hmac-sha256")
        message = dns.update.UpdateMessage(zone, keyring=key)
        edit(message)
        answer = dns.query.tcp(message, "127.0.0.1", port=self.port, timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR


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
    """A port that was free for TCP and UDP a moment ago."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", tcp.getsockname()[1]))
        return int(tcp.getsockname()[1])


def stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def serves(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            question = dns.message.make_query("create.test", "SOA")
            if dns.query.tcp(question, "127.0.0.1", port=port, timeout=2).answer:
                return True
        except OSError:
            time.sleep(0.02)
    return False


def configuration(folder: Path, port: int) -> str:
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
    (folder / "locked.test").write_text(HEAD)
    (folder / "copy.test").write_text("$ORIGIN copy.test.\n" + HEAD)
    (folder / "broken.test").write_text("this is no zone file\n")
    for zone, text in ZONES.items():
        (folder / zone).write_text(HEAD + text)
        texts.append(f'zone "{zone}" {{ type primary; file "{zone}"; allow-update {{ key mailprov; }}; }};')
    return "\n".join(texts)
