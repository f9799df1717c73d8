"""Probes of zones on real name servers: parent, two authoritative servers and a resolver; each wrong once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from mailprov import probe
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.model.dns import DnsSettings
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain, Inventory
from mailprov.probe import Timing
from mailprov.probe.checks import probes
from mailprov.probe.clients.resolver import Resolver
from mailprov.probe.registry import Scope
from mailprov.selftest.zone_cases import MAIL_OF_OTHERS, WRONG, zones
from mailprov.selftest.zone_texts import FIRST, RESOLVER, ROOT, SECOND
from tests.unit.dns.servers import PATIENCE, impatient
from tests.unit.probe.zone_world import (
    ASKS,
    ZoneWorld,
    serving,
)

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZoneWorld]:
    with serving(tmp_path_factory.mktemp("zones"), zones()) as world:
        yield world


def check(
    world: ZoneWorld,
    domain: str,
    monkeypatch: pytest.MonkeyPatch,
    *ids: str,
    selectors: tuple[str, ...] = (),
) -> dict[str, Finding]:
    monkeypatch.setattr(Resolver, "name_server_port", world.port)
    findings = probe.verify(
        Inventory("-", (), (Domain(domain, ()),)),
        emit=lambda finding: None,
        probe_ids=ids or ("dns.",),
        resolver=world.resolver(),
        timing=dataclasses.replace(Timing(), dns=PATIENCE, transfer=0.2, poll=0.05),
        selectors=selectors,
    )
    found = {finding.id: finding for finding in findings}
    assert len(found) == len(findings)
    return found


def test_a_sound_zone_passes_although_its_serials_differ(
    world: ZoneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = check(world, "sound.zz", monkeypatch)
    assert {name: each.verdict for name, each in found.items()} == {
        "dns.servers": PASS,
        "dns.delegation": PASS,
        "dns.wildcard": PASS,
        "dns.dnssec": WARN,
        "dns.dnssec-mx": SKIP,
        "dns.ipv6": WARN,
        "dns.rpki": SKIP,
    }, found
    assert found["dns.servers"].observed == "ns1.sound.zz (127.0.0.2), ns2.sound.zz (127.0.0.3)"
    assert found["dns.dnssec"].observed == "the zone sound.zz is not signed"
    assert "ask the provider of the zone sound.zz" in found["dns.dnssec"].advice
    assert "ask the provider of the zone sound.zz for name servers with IPv6" in found["dns.ipv6"].advice


@pytest.mark.parametrize(("domain", "name", "verdict", "words"), WRONG)
def test_a_zone_that_is_wrong(
    world: ZoneWorld, monkeypatch: pytest.MonkeyPatch, domain: str, name: str, verdict: Verdict, words: str
) -> None:
    found = check(world, domain, monkeypatch, name)[name]
    assert (found.verdict, words in found.observed) == (verdict, True), (
        found.verdict,
        found.observed,
        found.evidence,
    )
    assert bool(found.advice) is (verdict is not PASS)


@pytest.mark.parametrize("domain", MAIL_OF_OTHERS)
def test_a_domain_that_no_inventory_describes(
    world: ZoneWorld, monkeypatch: pytest.MonkeyPatch, domain: str
) -> None:
    selectors = ("s1", "s2") if domain == "sound.zz" else ("s1",)
    found = check(world, domain, monkeypatch, "zone.", selectors=selectors)
    for name, (verdict, words) in MAIL_OF_OTHERS[domain].items():
        each = found[f"zone.{name}"]
        assert (each.verdict, words in each.observed) == (verdict, True), (
            each.id,
            each.verdict,
            each.observed,
        )
        assert bool(each.advice) is (verdict not in (PASS, SKIP)), each.id


def test_without_a_selector_no_key_is_looked_for(world: ZoneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(world, "sound.zz", monkeypatch, "zone.dkim")["zone.dkim"]
    assert (found.verdict, "--selector" in found.observed) == (SKIP, True)
    found = check(world, "nothing.zz", monkeypatch, "zone.dkim")["zone.dkim"]
    assert (found.verdict, found.observed) == (
        WARN,
        "there is nothing below _domainkey.nothing.zz: no DKIM key",
    )


def test_a_key_that_is_short_is_a_warning(world: ZoneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(world, "short.zz", monkeypatch, "zone.dkim", selectors=("s1", "s2", "s3"))["zone.dkim"]
    assert (found.verdict, found.observed) == (
        WARN,
        "s1._domainkey.short.zz is an RSA key of less than 2048 bits",
    )


def test_caa_records_of_an_mx_count_as_well(world: ZoneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(world, "caa-of-mx.zz", monkeypatch, "zone.caa")["zone.caa"]
    assert (found.verdict, found.observed) == (
        FAIL,
        "mx.caa-of-mx.zz has a critical CAA record with the unknown tag tbs",
    )


def test_tasks_for_others_are_with_what_is_wrong(world: ZoneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(world, "away-insecure.zz", monkeypatch)
    registrar, provider = found["dns.dnssec-mx"].tasks
    assert registrar.startswith("have the registrar of nods.zz enter ")
    assert provider == "ask whoever runs the MX mx.sound.zz for one in a signed zone"
    assert found["dns.dnssec"].tasks == (
        "ask the provider of the zone away-insecure.zz to sign it, and its registrar to enter the DS record",
    )
    assert len(found["dns.ipv6"].tasks) == 2
    found = check(world, "mismatch.zz", monkeypatch, "dns.delegation")
    assert found["dns.delegation"].tasks == (
        "have the registrar of mismatch.zz enter these name servers: ns1.mismatch.zz, ns2.mismatch.zz",
    )


def test_every_probe_of_zones_has_been_seen_red() -> None:
    red = {name for __, name, verdict, __ in WRONG if verdict in (FAIL, WARN)}
    red |= {
        f"zone.{name}"
        for each in MAIL_OF_OTHERS.values()
        for name, (verdict, __) in each.items()
        if verdict is FAIL
    }
    ours = {each.entry.id for each in probes() if each.scope in (Scope.ZONE, Scope.FOREIGN)}
    assert ours - red == {
        "dns.ipv6",
        "dns.rpki",
    }  # the first is in the test of a sound zone, the second has no verdict


def test_an_answer_as_large_as_can_be_comes_over_tcp(
    world: ZoneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {
        each.verdict for each in check(world, "big.zz", monkeypatch, "dns.servers", "zone.spf").values()
    } == {PASS}


def test_a_silent_server_is_asked_once_or_twice_and_the_others_meanwhile(
    world: ZoneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    def silent(wire: bytes, tcp: bool, peer: str) -> bytes | None:
        if peer == ASKS:
            return world.fronts[SECOND].ask(wire, tcp)
        asked.append(wire)
        return None

    impatient(monkeypatch, SECOND)
    with world.wrong(SECOND, silent):
        found = check(world, "sound.zz", monkeypatch)
    servers = found["dns.servers"]
    assert (servers.verdict, servers.timed_out) == (ERROR, True)
    assert servers.observed.startswith(
        "some servers could not be asked: ns2.sound.zz (127.0.0.3): no answer from"
    )
    assert {name for name, each in found.items() if each.verdict is ERROR} == {"dns.servers"}
    assert len(asked) <= 8  # probes that ask at the same time, each twice at most


def test_questions_do_not_grow_with_the_servers_mistakes(
    world: ZoneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One domain, two servers, everything looked at: so many questions, and no more where one server is wrong."""
    counts = {}
    for domain in ("sound.zz", "worst.zz", "signed.zz", "forged.zz"):
        before = sum(front.asked for front in world.fronts.values())
        check(world, domain, monkeypatch, "dns.", "zone.")
        counts[domain] = sum(front.asked for front in world.fronts.values()) - before
    assert max(counts.values()) <= 160, counts


def test_port_53_that_is_blocked_here_is_not_the_zones_fault(
    world: ZoneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as wrong:
        for address in (ROOT, FIRST, SECOND):
            front = world.fronts[address]
            wrong.enter_context(
                world.wrong(
                    address,
                    lambda wire, tcp, peer, front=front: front.ask(wire, tcp) if peer == ASKS else None,
                )
            )
        impatient(monkeypatch, ROOT, FIRST, SECOND)
        found = check(world, "sound.zz", monkeypatch, "dns.", "zone.")
    found.pop("zone.dkim")  # no selector
    assert {each.verdict for each in found.values()} == {ERROR}
    assert {each.observed for each in found.values()} == {
        "port 53 seems to be blocked here: r (127.0.0.1), a name server of zz, gives no answer either"
    }
    assert {each.advice for each in found.values()} == {
        "run it from another network; nothing is known of the zone"
    }


def test_who_answers_in_place_of_the_name_servers_is_not_the_zones_fault(
    world: ZoneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = world.fronts[RESOLVER]
    with ExitStack() as wrong:
        for address in (ROOT, FIRST, SECOND):
            front = world.fronts[address]
            wrong.enter_context(
                world.wrong(
                    address,
                    lambda wire, tcp, peer, front=front: (front if peer == ASKS else resolver).ask(wire, tcp),
                )
            )
        found = check(world, "sound.zz", monkeypatch, "dns.", "zone.")
    found.pop("zone.dkim")  # no selector
    assert {each.verdict for each in found.values()} == {ERROR}
    (observed,) = {each.observed for each in found.values()}
    assert observed.startswith(
        "somebody on the way answers in place of the name servers: r (127.0.0.1) does not"
    )


def test_a_resolver_that_makes_up_addresses_is_told(
    world: ZoneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def liar(wire: bytes, tcp: bool, peer: str) -> bytes:
        reply = dns.message.from_wire(world.fronts[RESOLVER].ask(wire, tcp))
        if reply.rcode() == dns.rcode.NXDOMAIN and reply.question[0].rdtype == dns.rdatatype.A:
            reply.set_rcode(dns.rcode.NOERROR)
            reply.authority.clear()
            reply.answer = [dns.rrset.from_text(reply.question[0].name, 1, "IN", "A", "192.0.2.80")]
        return reply.to_wire()

    with world.wrong(RESOLVER, liar):
        found = check(world, "sound.zz", monkeypatch, "dns.wildcard")["dns.wildcard"]
    assert found.verdict is WARN
    assert found.observed.startswith("this machine's resolver gives 192.0.2.80 for mailprov-")


def test_a_zone_that_nobody_delegates_is_not_found(world: ZoneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own server has it, and the zone above knows nothing of it: the inventory's name server hides that."""
    monkeypatch.setattr(Resolver, "name_server_port", world.port)
    settings = DnsSettings(Rfc2136Settings(FIRST, world.port))
    findings = probe.verify(
        Inventory("-", (), (Domain("orphan.zz", ()),), settings),
        emit=lambda finding: None,
        probe_ids=["dns.delegation"],
        resolver=world.resolver(),
    )
    (found,) = findings
    assert (found.verdict, found.observed) == (
        FAIL,
        "zz (r (127.0.0.1)) has no NS records of orphan.zz, so nobody finds it",
    )
    assert (
        found.advice
        == "have the registrar of orphan.zz enter these name servers: ns1.orphan.zz, ns2.orphan.zz"
    )
