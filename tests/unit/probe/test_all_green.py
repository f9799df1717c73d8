"""What mailprov publishes, with everything on, in a signed zone: what mail tests score.

The zone is BIND's, which signs what an apply writes; its DS record is in the zone above.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.dnssec
import dns.message
import dns.name
import dns.query
import dns.tsig
import dns.update
import pytest

from mailprov import dns as driver
from mailprov import probe
from mailprov.inventory import load
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Inventory
from mailprov.model.tls_keys import HostKeys
from mailprov.probe import Timing
from mailprov.probe.clients.resolver import Resolver
from mailprov.selftest.signer import RECORD
from mailprov.selftest.zone_texts import FIRST, ROOT, SERVERS, Zone, head
from tests.unit.dns.servers import SECRET
from tests.unit.probe.zone_world import ZoneWorld, serving

ZONE = "green.zz"
INVENTORY = """
hosts:
  mx1: {address: 198.51.100.7, fqdn: mx1.green.zz, ipv6: ["2001:db8:7::7"]}
tls: {mode: acme, email: postmaster@green.zz}
dns: {provider: rfc2136, server: 127.0.0.2, port: PORT, tsig: {name: mailprov, secret: {env: MAILPROV_TSIG}}}
domains:
  green.zz:
    hosts: [mx1]
    accounts: {ana: {password: {env: ANA_PASSWORD}}}
    aliases: {postmaster: ana}
    dmarc: {policy: reject, rua: postmaster}
    tls_rpt: postmaster
    srv: true
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ZoneWorld]:
    only_first = SERVERS.replace("@ NS ns2\n", "").replace("ns2 A 127.0.0.3\n", "")
    above = f"{ZONE}. NS ns1.{ZONE}.\nns1.{ZONE}. A 127.0.0.2\n"
    with serving(tmp_path, {ZONE: Zone(head(ZONE) + only_first, None, above, dynamic=True)}) as world:
        yield world


def vouch(world: ZoneWorld) -> None:
    """The DS record of the zone's key into the zone above."""
    question = dns.message.make_query(ZONE, "DNSKEY")
    deadline = time.monotonic() + 60
    while not (found := dns.query.tcp(question, FIRST, port=world.port, timeout=20).answer):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    key = next(each for each in found[0] if each.flags & 1)
    update = dns.update.UpdateMessage("zz", keyring=dns.tsig.Key("mailprov", SECRET, "hmac-sha256"))
    update.add(f"{ZONE}.", 300, dns.dnssec.make_ds(dns.name.from_text(ZONE), key, "SHA256"))
    assert dns.query.tcp(update, ROOT, port=world.port, timeout=20).rcode() == 0


def published(
    world: ZoneWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Inventory, dict[str, dict[str, str]]]:
    monkeypatch.setenv("MAILPROV_TSIG", SECRET)
    monkeypatch.setenv("ANA_PASSWORD", "secret word")
    monkeypatch.setattr(Resolver, "name_server_port", world.port)
    path = tmp_path / "mail.yml"
    path.write_text(INVENTORY.replace("PORT", str(world.port)))
    inventory = load(path)
    keys = {"mx1": {f"{ZONE}.mx1-ed25519-1": RECORD.replace('" "', "").strip('"')}}
    vouch(world)
    for plan in driver.plan(inventory, keys=keys, tls={"mx1": HostKeys(("ab" * 32,))}):
        driver.apply(plan, lambda event: None)
    return inventory, keys


def check(world: ZoneWorld, inventory: Inventory, keys: dict[str, dict[str, str]]) -> dict[str, Finding]:
    findings = probe.verify(
        inventory,
        emit=lambda finding: None,
        probe_ids=("dns.",),
        resolver=world.resolver(),
        timing=dataclasses.replace(Timing(), transfer=0.2, poll=0.05),
        signing=keys,
    )
    return {finding.id: finding for finding in findings}


def test_what_records_decide_is_green(
    world: ZoneWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory, keys = published(world, tmp_path, monkeypatch)
    found = check(world, inventory, keys)
    green = {name for name, each in found.items() if each.verdict is Verdict.PASS}
    assert green == {
        "dns.a",
        "dns.mx",
        "dns.spf",
        "dns.dkim",
        "dns.dmarc",
        "dns.published",
        "dns.servers",
        "dns.delegation",
        "dns.wildcard",
        "dns.dnssec",
    }, [f"{each.id} {each.verdict.value} {each.observed}" for each in found.values() if each.id not in green]
    # What is left is for others to do, and says who is asked for what.
    assert found["dns.ipv6"].advice == f"ask the provider of the zone {ZONE} for name servers with IPv6"
    assert found["dns.dnssec"].observed.startswith("signed; zz vouches for key ")

    def ask(name: str, kind: str) -> list[str]:
        reply = dns.query.tcp(dns.message.make_query(name, kind), FIRST, port=world.port, timeout=20)
        return [rdata.to_text() for rrset in reply.answer for rdata in rrset]

    # As internet.nl asks: a policy that refuses, an SPF record that fails others, something below _domainkey, CAA.
    assert any("p=reject" in text for text in ask(f"_dmarc.{ZONE}", "TXT"))
    assert any(text.endswith('-all"') for text in ask(ZONE, "TXT"))
    below = dns.message.make_query(f"_domainkey.{ZONE}", "TXT")
    assert dns.query.tcp(below, FIRST, port=world.port, timeout=20).rcode() == 0
    assert ask("mx1.green.zz", "CAA")
    assert ask("_25._tcp.mx1.green.zz", "TLSA") == ["3 1 1 " + "ab" * 32]
    assert ask("mx1.green.zz", "AAAA")
    assert ask(f"_smtp._tls.{ZONE}", "TXT")


def test_a_policy_that_somebody_weakens_is_not_green(
    world: ZoneWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory, keys = published(world, tmp_path, monkeypatch)
    update = dns.update.UpdateMessage(ZONE, keyring=dns.tsig.Key("mailprov", SECRET, "hmac-sha256"))
    update.replace(f"_dmarc.{ZONE}.", 300, "TXT", '"v=DMARC1; p=none"')
    update.delete(f"mx1-ed25519-1._domainkey.{ZONE}.", "TXT")
    assert dns.query.tcp(update, FIRST, port=world.port, timeout=20).rcode() == 0
    found = check(world, inventory, keys)
    assert {name for name, each in found.items() if each.verdict is Verdict.FAIL} >= {"dns.dmarc", "dns.dkim"}


def changed(world: ZoneWorld, name: str, *texts: str) -> None:
    update = dns.update.UpdateMessage(ZONE, keyring=dns.tsig.Key("mailprov", SECRET, "hmac-sha256"))
    update.delete(f"{name}.", "TXT")
    for text in texts:
        update.add(f"{name}.", 300, "TXT", f'"{text}"')
    assert dns.query.tcp(update, FIRST, port=world.port, timeout=20).rcode() == 0


# Whether SPF, DMARC and TLS-RPT are valid, by the name server that is asked: zone, address, port → JSON.
CHECKDMARC = """
import json, sys
import dns.resolver
from checkdmarc import dmarc, smtp_tls_reporting, spf
zone, address, port = sys.argv[1:]
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = [address], int(port)
checks = spf.check_spf, dmarc.check_dmarc, smtp_tls_reporting.check_smtp_tls_reporting
print(json.dumps([check(zone, resolver=resolver)["valid"] for check in checks]))
"""


def test_checkdmarc_agrees(world: ZoneWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second opinion, of the zone's own server, by a program with an environment of its own."""
    python = Path(__file__).resolve().parents[3] / ".venv/opinion/bin/python"
    if not python.exists():
        pytest.skip("needs checkdmarc: make test installs it (requirements-opinion.lock)")
    inventory, keys = published(world, tmp_path, monkeypatch)
    names = ("dns.spf", "dns.dmarc", "dns.published")

    def opinions() -> dict[str, bool]:
        command = [str(python), "-W", "ignore", "-c", CHECKDMARC, ZONE, FIRST, str(world.port)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        return dict(zip(names, json.loads(done.stdout), strict=True))

    def ours() -> dict[str, bool]:
        found = check(world, inventory, keys)
        return {name: found[name].verdict is Verdict.PASS for name in names}

    assert opinions() == ours() == dict.fromkeys(names, True)
    changed(world, ZONE, "v=spf1 mx -all", "v=spf1 -all")
    changed(world, f"_dmarc.{ZONE}", "v=DMARC1; p=refuse")
    changed(world, f"_smtp._tls.{ZONE}", "v=TLSRPTv1; rua=nobody")
    assert opinions() == ours() == dict.fromkeys(names, False)
