"""Probes of zones on real name servers: parent, two authoritative servers and a resolver; each wrong once."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailprov import probe
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.model.dns import DnsSettings
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain, Inventory
from mailprov.probe import Timing
from mailprov.probe.checks import probes
from mailprov.probe.clients.resolver import Resolver
from mailprov.probe.registry import Scope
from tests.unit.dns.servers import PATIENCE, impatient
from tests.unit.probe.zone_world import (
    ASKS,
    FIRST,
    RESOLVER,
    ROOT,
    SECOND,
    Zone,
    ZoneWorld,
    delegation,
    head,
    same,
    serving,
    signed,
)

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


def _rsa(bits: int) -> str:
    key = rsa.generate_private_key(65537, bits).public_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


KEY = f"v=DKIM1; k=rsa; p={_rsa(2048)}"
_TEXT = " ".join(f'"{KEY[start : start + 200]}"' for start in range(0, len(KEY), 200))
# What a domain that nobody manages has, and one where everything is wrong.
FOREIGN = (
    f"s1._domainkey TXT {_TEXT}\ns2._domainkey CNAME s1._domainkey\n"
    f'@ CAA 0 issue "ca.example"\n_25._tcp.mx TLSA 3 1 1 {"AB" * 32}\n'
    '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:a@sound.zz"\n'
    'agreed.zz._report._dmarc.agreed TXT "v=DMARC1"\n'
)
WORST = (
    '@ MX 10 alias\nalias CNAME ns1\n@ TXT "v=spf1 +all"\n_dmarc TXT "v=DMARC1; p=none"\n'
    '_dmarc TXT "v=DMARC1; p=reject"\ns1._domainkey TXT "v=DKIM1; p="\n@ CAA 128 tbs "x"\n'
    f"_25._tcp.alias TLSA 1 1 1 {'AB' * 32}\n"
    '_mta-sts TXT "v=STSv1"\n_smtp._tls TXT "v=TLSRPTv1"\n'
)
SO_SO = (
    '@ A 127.0.0.7\n@ TXT "v=spf1 ip4:127.0.0.7 ?all"\n_dmarc TXT "v=DMARC1; p=none"\n'
    f's1._domainkey TXT "t=y; " {_TEXT}\n'
)
# As who has services for others asks for: names that lead to theirs.
ALIASES = (
    '@ MX 10 mx\nmx A 127.0.0.7\n@ TXT "v=spf1 include:theirs.aliases.zz -all"\nspf TXT "v=spf1 mx -all"\n'
    "theirs CNAME spf\n_dmarc CNAME _dmarc.sound.zz.\n_smtp._tls CNAME _smtp._tls.sound.zz.\n"
)
# Domains whose MX are in zones of others.
AWAY = {
    "away.zz": ["mx.signed.zz"],
    "away-insecure.zz": ["mx.sound.zz", "mx.nods.zz", "mx.signed.zz"],
    "away-bogus.zz": ["mx.signed.zz", "mx.elsewhere.zz", "mx.sound.zz"],
}
REPORTS = "v=DMARC1; p=reject; rua=mailto:a@{at}"
MAIL = '@ MX 10 mx\nmx A 127.0.0.7\n@ TXT "v=spf1 mx -all"\n_dmarc TXT "v=DMARC1; p=reject"\n'


def _zones() -> dict[str, Zone]:
    zones = {
        "sound.zz": same("sound.zz", MAIL + FOREIGN, serials=(7, 3)),
        "worst.zz": same("worst.zz", WORST),
        "so-so.zz": same("so-so.zz", SO_SO),
        "nothing.zz": same("nothing.zz"),
        "short.zz": same(
            "short.zz",
            f's1._domainkey TXT "k=rsa; p={_rsa(1024)}"\n'
            + f's2._domainkey TXT "k=ed25519; p={base64.b64encode(bytes(32)).decode()}"\n'
            + f"s3._domainkey TXT {_TEXT}\n",
        ),
        "caa-of-mx.zz": same(
            "caa-of-mx.zz", '@ MX 10 mx\nmx A 127.0.0.7\n@ CAA 0 issue "ca.example"\nmx CAA 128 tbs "x"\n'
        ),
        "orphan.zz": same("orphan.zz", MAIL, above=""),
        "null.zz": same("null.zz", "@ MX 0 .\n@ MX 10 ns1\n"),
        "parked.zz": same("parked.zz", '@ MX 0 .\n@ TXT "v=spf1 -all"\n_dmarc TXT "v=DMARC1; p=reject"\n'),
        "loop.zz": same("loop.zz", "s1._domainkey CNAME s2._domainkey\ns2._domainkey CNAME s1._domainkey\n"),
        "aliases.zz": same("aliases.zz", ALIASES),
        "big.zz": same("big.zz", MAIL + "".join(f'@ TXT "{n} {"x" * 240}"\n' for n in range(99))),
        "reports.zz": same("reports.zz", f'_dmarc TXT "{REPORTS.format(at="sound.zz")}"\n'),
        "agreed.zz": same(
            "agreed.zz",
            f'_dmarc TXT "{REPORTS.format(at="agreed.sound.zz")}"\n' + MAIL.rpartition("_dmarc")[0],
        ),
        "differ.zz": Zone(
            same("differ.zz", MAIL).first, same("differ.zz", MAIL.replace("reject", "none")).second
        ),
        "lame.zz": Zone(same("lame.zz", MAIL).first, None),
        "wild.zz": same("wild.zz", MAIL + '* TXT "hello"\n'),
        "mismatch.zz": same(
            "mismatch.zz", MAIL, "mismatch.zz. NS ns1.mismatch.zz.\nns1.mismatch.zz. A 127.0.0.2\n"
        ),
        "glue.zz": same("glue.zz", MAIL, delegation("glue.zz").replace("127.0.0.3", "127.0.0.2")),
        "nowhere.zz": same("nowhere.zz", MAIL + "@ NS gone.sound.zz.\n"),
    }

    def add(
        name: str,
        lasts: timedelta = timedelta(days=14),
        begins: timedelta = timedelta(hours=-1),
        **changes: str,
    ) -> None:
        text, ds = signed(name, MAIL, begins=begins, lasts=lasts)
        if "old" in changes:
            assert changes["old"] in text
            text = text.replace(changes["old"], changes["new"])
        if "drop" in changes:
            lines = text.splitlines(keepends=True)
            text = "".join(line for line in lines if changes["drop"] not in line)
            assert len(text) < sum(map(len, lines))
        ds = changes.get("ds", ds)
        text = head(name).splitlines(keepends=True)[1] + text
        zones[name] = Zone(text, text, delegation(name) + ds)

    for name, targets in AWAY.items():
        mx = "".join(f"@ MX 10 {target}.\n" for target in targets)
        zones[name] = same(name, mx)
    add("signed.zz")
    add("elsewhere.zz", old="mx.elsewhere.zz. 300 IN A 127.0.0.7", new="mx.elsewhere.zz. 300 IN A 127.0.0.8")
    add("nods.zz", ds="")
    add("otherkey.zz", ds=f"otherkey.zz. DS 4711 13 2 {'AB' * 32}\n")
    add("expired.zz", begins=timedelta(days=-30))
    add("future.zz", begins=timedelta(days=3))
    add("ending.zz", begins=timedelta(days=-13), lasts=timedelta(days=14))
    add("tampered.zz", old="mx.tampered.zz. 300 IN A 127.0.0.7", new="mx.tampered.zz. 300 IN A 127.0.0.8")
    add("forged.zz", old='"v=spf1 mx -all"', new='"v=spf1 +all"')
    add("stripped.zz", drop="RRSIG MX")
    zones["nokeys.zz"] = same(
        "nokeys.zz", MAIL, delegation("nokeys.zz") + f"nokeys.zz. DS 4711 13 2 {'AB' * 32}\n"
    )
    return zones


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZoneWorld]:
    with serving(tmp_path_factory.mktemp("zones"), _zones()) as world:
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


WRONG = [
    (
        "differ.zz",
        "dns.servers",
        FAIL,
        "gives v=DMARC1; p=none for _dmarc.differ.zz TXT, not v=DMARC1; p=reject",
    ),
    ("lame.zz", "dns.servers", FAIL, "ns2.lame.zz (127.0.0.3) does not hold lame.zz"),
    ("nowhere.zz", "dns.servers", FAIL, "the name server gone.sound.zz of nowhere.zz has no address"),
    ("wild.zz", "dns.wildcard", WARN, "*._domainkey.wild.zz TXT hello"),
    (
        "mismatch.zz",
        "dns.delegation",
        WARN,
        "zz names ns1.mismatch.zz, mismatch.zz itself ns1",
    ),
    ("glue.zz", "dns.delegation", FAIL, "zz has 127.0.0.2 as address of ns2.glue.zz, which is 127.0.0.3"),
    ("signed.zz", "dns.dnssec", PASS, "signed; zz vouches for key"),
    ("nods.zz", "dns.dnssec", WARN, "nods.zz is signed, and zz has no DS record of it"),
    ("otherkey.zz", "dns.dnssec", FAIL, "none of its keys fits the DS records of the zone above"),
    ("expired.zz", "dns.dnssec", FAIL, "the signature of expired.zz DNSKEY ended 16 days ago"),
    ("future.zz", "dns.dnssec", FAIL, "the signature of future.zz DNSKEY is of the future"),
    ("ending.zz", "dns.dnssec", WARN, "ends in 24 hours"),
    ("forged.zz", "dns.dnssec", FAIL, "the signature of forged.zz TXT does not fit"),
    ("stripped.zz", "dns.dnssec", FAIL, "stripped.zz MX has no signature"),
    ("away.zz", "dns.dnssec-mx", PASS, "signed.zz: signed; zz vouches for key"),
    (
        "away-insecure.zz",
        "dns.dnssec-mx",
        WARN,
        "nods.zz: nods.zz is signed, and zz has no DS record of it",
    ),
    ("away-bogus.zz", "dns.dnssec-mx", FAIL, "elsewhere.zz A does not fit"),
    ("nokeys.zz", "dns.dnssec", FAIL, "no keys, although the zone above has a DS record"),
]


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


MAIL_OF_OTHERS = {
    "sound.zz": {
        "mx": (PASS, "10 mx.sound.zz"),
        "spf": (PASS, "v=spf1 mx -all"),
        "dkim": (PASS, "s1, s2"),
        "dmarc": (PASS, "p=reject"),
        "caa": (PASS, 'sound.zz: 0 issue "ca.example"'),
        "tlsa": (WARN, "the zone of mx.sound.zz is not signed"),
        "mta-sts": (SKIP, ""),
        "tls-rpt": (PASS, "v=TLSRPTv1"),
    },
    "worst.zz": {
        "mx": (FAIL, "the target alias.worst.zz is a CNAME"),
        "spf": (FAIL, "lets anybody pass"),
        "dkim": (FAIL, "s1._domainkey.worst.zz is a DKIM key that was revoked"),
        "dmarc": (FAIL, "several DMARC records (2)"),
        "caa": (FAIL, "critical CAA record with the unknown tag tbs"),
        "tlsa": (FAIL, "_25._tcp.alias.worst.zz has usage 1"),
        "mta-sts": (FAIL, "v=STSv1: it has no id"),
        "tls-rpt": (FAIL, "it must be one, with rua"),
    },
    "aliases.zz": {
        "mx": (PASS, "10 mx.aliases.zz"),
        "spf": (PASS, "include:theirs.aliases.zz"),
        "dmarc": (PASS, "p=reject"),
        "tls-rpt": (PASS, "v=TLSRPTv1"),
    },
    "so-so.zz": {
        "mx": (WARN, "mail goes to the domain's own addresses (127.0.0.7)"),
        "spf": (WARN, "says nothing of others"),
        "dkim": (WARN, "t=y"),
        "dmarc": (WARN, "forbids nothing"),
    },
    "nothing.zz": {
        "mx": (FAIL, "no MX record and no address"),
        "spf": (FAIL, "no SPF record"),
        "dkim": (FAIL, "s1._domainkey.nothing.zz: no record"),
        "dmarc": (FAIL, "no DMARC record"),
        "caa": (SKIP, ""),
        "tlsa": (SKIP, ""),
        "mta-sts": (SKIP, ""),
        "tls-rpt": (SKIP, ""),
    },
    "null.zz": {"mx": (FAIL, "a null MX beside others")},
    "parked.zz": {"mx": (PASS, "a null MX"), "spf": (PASS, ""), "dmarc": (PASS, "")},
    "wild.zz": {"dkim": (ERROR, "a wildcard answers for every selector")},
    "loop.zz": {"dkim": (ERROR, "answers SERVFAIL for s1._domainkey.loop.zz TXT")},
    "reports.zz": {"dmarc": (WARN, "reports to sound.zz are not sent")},
    "agreed.zz": {"dmarc": (PASS, "p=reject")},
    "below.sound.zz": {
        "mx": (FAIL, "there is no domain below.sound.zz"),
        "dmarc": (PASS, "_dmarc.sound.zz: v=DMARC1"),
    },
}


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
