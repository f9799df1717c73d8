"""Delivery and the DNS probes: green in test_probe_verdicts, here each wrong in every way that
matters.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import threading
from collections.abc import Sequence

import pytest

from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.model.accounts import Forward
from mailprov.model.dns import DnsSettings
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Dmarc, Domain, Inventory, Mx
from mailprov.probe.accounts import usable
from mailprov.probe.checks import catalogue, reverse
from mailprov.probe.clients.resolver import Resolver
from mailprov.probe.deliveries import Partner, plan_deliveries
from mailprov.selftest.delivery_cases import DELIVERIES, PARTNERS
from mailprov.selftest.scripted_lab import PATIENCE, ScriptedLab, account

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


def only(findings: list[Finding], probe: str, port: int = 0) -> list[Finding]:
    chosen = [item for item in findings if item.id == probe and port in {0, item.target.port}]
    assert chosen
    return chosen


def ways(findings: list[Finding]) -> set[str]:
    """Between which domains mail went; other probes of the family look at one domain alone."""
    return {
        item.target.domain for item in findings if item.target.port and item.id not in {"delivery.header"}
    }


@pytest.mark.parametrize("faults", DELIVERIES)
def test_wrong_delivery(lab: ScriptedLab, faults: str) -> None:
    lab.spoil(faults, "")
    findings = lab.verify("delivery", delivery=0.3 if "loses-mail" in faults else PATIENCE)
    for probe, port, verdict, words in DELIVERIES[faults]:
        mine = [item for item in only(findings, probe, port) if item.target.domain == "alpha.test->beta.test"]
        for item in mine:
            assert (item.verdict, words in item.observed) == (verdict, True), (item.observed, item.evidence)
    assert lab.world.boxes["ana@alpha.test"][0].startswith(b"old mail")


@pytest.mark.parametrize("fault", PARTNERS)
def test_a_broken_partner_is_one_finding_there(lab: ScriptedLab, fault: str) -> None:
    lab.spoil(f"127.0.0.2/{fault}", "")
    findings = lab.verify("delivery")
    wrong = [item for item in findings if item.verdict in {FAIL, ERROR}]
    verdict, words = PARTNERS[fault]
    assert [(item.id, item.target.domain, item.verdict) for item in wrong] == [
        ("delivery.ready", "beta.test", verdict)
    ]
    assert words in wrong[0].observed
    assert wrong[0].advice
    # What can be proved of the other without a partner is proved.
    assert ways(findings) == {"alpha.test->alpha.test"}
    assert {item.verdict for item in only(findings, "delivery.fetch")} == {PASS}
    (path, *_) = only(findings, "delivery.path")
    assert path.verdict is WARN
    assert "no domain on another host can take part (beta.test: " in path.observed
    assert fault == "banner-554" or words.partition(":")[2] in path.observed


def test_a_domain_whose_host_is_dead_waits_for_its_ports_alone(lab: ScriptedLab) -> None:
    """Also where its records are missing: dns.mx tells that, and no row of delivery beside net.tcp."""
    lab.spoil("127.0.0.2/refused", "")
    lab.world.records["beta.test", "MX"] = []
    findings = lab.verify("net delivery")
    assert {item.id for item in findings if item.verdict is FAIL} == {"net.tcp"}
    (ready,) = [item for item in only(findings, "delivery.ready") if item.verdict is not PASS]
    assert (ready.verdict, ready.waits_for) == (ERROR, "net.tcp mx2:993")
    assert "MX" not in ready.observed


def test_a_broken_partner_that_was_not_selected_is_not_told(lab: ScriptedLab) -> None:
    lab.spoil("127.0.0.2/nobody-gets-in", "")
    assert not [item for item in lab.verify("delivery", hosts=["mx1"]) if item.verdict in {FAIL, ERROR}]


def test_a_broken_first_host_that_was_not_selected_is_not_told(lab: ScriptedLab) -> None:
    lab.spoil("127.0.0.1/nobody-gets-in", "")
    alpha = dataclasses.replace(lab.inventory.domains[0], hosts=("mx1", "mx2"))
    lab.inventory = dataclasses.replace(lab.inventory, domains=(alpha, lab.inventory.domains[1]))
    findings = lab.verify("delivery", hosts=["mx2"])
    assert not [item for item in findings if item.verdict in {FAIL, ERROR}]
    assert ways(findings) == {"beta.test->beta.test"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({("beta.test", "MX"): []}, "beta.test has no MX"),
        ({("beta.test", "MX"): ["10 mx1.alpha.test."]}, "the MX of beta.test is mx1.alpha.test"),
    ],
)
def test_a_domain_that_mail_does_not_find_is_no_partner(
    lab: ScriptedLab, changed: dict[tuple[str, str], list[str]], words: str
) -> None:
    lab.world.records.update(changed)
    findings = lab.verify("delivery")
    wrong = [item for item in findings if item.verdict in {FAIL, ERROR}]
    assert [(item.id, item.target.domain, words in item.observed) for item in wrong] == [
        ("delivery.ready", "beta.test", True)
    ]


def test_an_mx_of_others_that_the_inventory_names_is_as_wanted(lab: ScriptedLab) -> None:
    theirs = (Mx("filter.elsewhere.test", 5, False), Mx("mx2", None, True))
    beta = dataclasses.replace(lab.inventory.domains[1], mx=theirs)
    lab.inventory = dataclasses.replace(lab.inventory, domains=(lab.inventory.domains[0], beta))
    lab.world.records["beta.test", "MX"] = ["5 filter.elsewhere.test."]
    assert {item.verdict for item in lab.verify("delivery.ready")} == {PASS}


def test_a_user_whom_port_25_does_not_know_gets_no_mail(lab: ScriptedLab) -> None:
    stranger = dataclasses.replace(account("eva@beta.test"), address="elsa@beta.test")
    beta = dataclasses.replace(lab.inventory.domains[1], accounts=(stranger,))
    lab.inventory = dataclasses.replace(lab.inventory, domains=(lab.inventory.domains[0], beta))
    lab.spoil("127.0.0.2/anybody-gets-in", "")
    findings = lab.verify("delivery")
    wrong = [item for item in findings if item.verdict in {FAIL, ERROR}]
    assert [item.id for item in wrong] == ["delivery.ready"]
    assert "25: RCPT TO:<elsa@beta.test> gets 550 5.1.1" in wrong[0].observed


def test_results_without_a_dmarc_policy_do_not_pass(lab: ScriptedLab) -> None:
    """Where the inventory has none it is a warning, where it has one a failure: nothing there is as expected."""
    lab.spoil("no-dmarc", "")
    assert {item.verdict for item in lab.verify("delivery.results")} == {FAIL}
    domains = tuple(dataclasses.replace(item, dmarc=None) for item in lab.inventory.domains)
    lab.inventory = dataclasses.replace(lab.inventory, domains=domains)
    findings = lab.verify("delivery.results")
    assert {item.verdict for item in findings} == {WARN}
    assert all("dmarc=none" in item.observed and "dmarc:" in item.advice for item in findings)


def test_one_host_alone_is_local_only(lab: ScriptedLab) -> None:
    moved = Domain("beta.test", ("mx1",), (account("zoe@alpha.test"),))
    alone = dataclasses.replace(lab.inventory.domains[0], accounts=(account("ana@alpha.test"),))
    lab.inventory = dataclasses.replace(
        lab.inventory,
        hosts=lab.inventory.hosts[:1],
        domains=(alone, dataclasses.replace(moved, name="alfa.test")),
    )
    lab.world.records[("alfa.test", "MX")] = []  # of no concern where nothing is sent between hosts
    findings = lab.verify("delivery")
    paths = only(findings, "delivery.path")
    # No warning: nobody with one host could change anything about it.
    assert {item.verdict for item in paths} == {SKIP}
    assert {item.verdict for item in only(findings, "delivery.ready")} == {PASS}
    assert all("local only" in item.observed and "login over TLS" in item.observed for item in paths)
    assert {item.verdict for item in only(findings, "delivery.fetch")} == {PASS}


def test_hashes_only_are_skipped_with_a_reason(lab: ScriptedLab) -> None:
    domains = tuple(
        dataclasses.replace(item, accounts=tuple(account(a.address, known=False) for a in item.accounts))
        for item in lab.inventory.domains
    )
    lab.inventory = dataclasses.replace(lab.inventory, domains=domains)
    for family in ("auth.ok", "auth.bad*", "spoof", "delivery"):
        findings = lab.verify(family)
        assert {item.verdict for item in findings} == {SKIP}
        assert all(item.observed for item in findings)
    # A user is still known by name, so abuse is tested.
    assert {item.verdict for item in lab.verify("unknown")} == {PASS}


def planned(
    inventory: Inventory, selected: Sequence[str], broken: Sequence[str] = (), named: str = ""
) -> set[tuple[str, str]]:
    """Who sends to whom, where all but the broken ones can take part."""
    known = {}
    for domain in inventory.domains:
        sender, recipient = usable(domain), usable(domain, reads=True)
        able = domain.name not in broken and recipient is not None
        ports = [587, 465] if able else []
        known[domain.name] = Partner(domain, False, sender, recipient, ports, able, able)
    chosen = [domain for domain in inventory.domains if domain.name in selected]
    plans = plan_deliveries(inventory, chosen, known, named)
    assert {plan.port.number for plan in plans} <= {587, 465}
    return {(plan.sender_domain.name, plan.recipient_domain.name) for plan in plans}


def test_loops_pair_every_domain_with_another_host_that_works(lab: ScriptedLab) -> None:
    eva = dataclasses.replace(account("eva@beta.test"), forward=Forward(("x@y.test",), keep=False))
    zoe = account("zoe@alpha.test")
    domains = (
        *lab.inventory.domains,
        Domain("gamma.test", ("mx2",), (eva,)),
        Domain("delta.test", ("mx1",), ()),
        Domain("eps.test", ("mx2",), (zoe,)),
    )
    inventory = dataclasses.replace(lab.inventory, domains=domains)
    names = [domain.name for domain in domains]
    both = {("alpha.test", "beta.test"), ("beta.test", "alpha.test")}
    with_eps = {("alpha.test", "eps.test"), ("eps.test", "alpha.test")}
    # Nobody to log in as, or nobody who keeps mail: no message from or to there.
    assert planned(inventory, names) == both | with_eps
    assert planned(inventory, ["alpha.test"], broken=["beta.test"]) == with_eps
    assert planned(inventory, ["beta.test"]) == both
    assert planned(inventory, ["alpha.test", "beta.test"], named="eps.test") == both | with_eps
    assert planned(inventory, ["alpha.test"], broken=["beta.test", "eps.test"]) == {
        ("alpha.test", "alpha.test")
    }
    assert planned(inventory, ["alpha.test"], broken=["eps.test"], named="eps.test") == {
        ("alpha.test", "alpha.test")
    }
    assert planned(inventory, ["beta.test"], broken=["beta.test"]) == set()
    assert planned(inventory, []) == set()


def test_an_spf_record_of_somebody_else_counts_by_its_result(lab: ScriptedLab) -> None:
    """With our term in it, as dns/foreign_spf.py adds it."""
    lab.world.records["alpha.test", "TXT"] = ['"v=spf1 Include:_spf.alpha.test  mx ~all"']
    lab.world.records["_spf.alpha.test", "TXT"] = ['"v=spf1 ip4:198.51.100.7 -all"']
    assert {item.verdict for item in lab.verify("dns.spf")} == {PASS}
    lab.world.records["alpha.test", "TXT"] = ['"v=spf1 Include:_spf.alpha.test  ~all"']
    assert FAIL in {item.verdict for item in lab.verify("dns.spf")}


def test_a_private_address_needs_no_name_and_a_public_one_does(lab: ScriptedLab) -> None:
    lab.world.records["1.0.0.127.in-addr.arpa", "PTR"] = []
    assert [item.verdict for item in lab.verify("dns.ptr")] == [SKIP, PASS]
    sent_from(lab, "9.9.9.9", "mx2.beta.test.")
    found = {item.target.host: item for item in lab.verify("dns.ptr")}
    assert {name: item.verdict for name, item in found.items()} == {"mx1": FAIL, "mx2": PASS}
    task = "have the owner of the address 9.9.9.9 give it the name mx1.alpha.test (PTR), and no other"
    assert (found["mx1"].advice, found["mx1"].tasks) == (task, (task,))
    lab.world.records["9.9.9.9.in-addr.arpa", "PTR"] = []
    assert {item.verdict for item in lab.verify("dns.ptr")} == {FAIL}


def test_a_private_address_needs_a_name_where_the_inventory_publishes_one(lab: ScriptedLab) -> None:
    lab.start()
    settings = Rfc2136Settings("127.0.0.1", lab.world.dns_port)
    lab.inventory = dataclasses.replace(lab.inventory, dns=DnsSettings(settings, reverse=True))
    assert {item.verdict for item in lab.verify("dns.ptr")} == {PASS}
    lab.world.records["1.0.0.127.in-addr.arpa", "PTR"] = []
    lost = lab.verify("dns.ptr")
    assert [item.verdict for item in lost] == [FAIL, PASS]
    assert lost[0].observed == "127.0.0.1 is nothing, not mx1.alpha.test"
    assert "127.0.0.1" in lost[0].advice
    lab.world.faults = frozenset({"dns-refused"})
    assert {item.verdict for item in lab.verify("dns.ptr")} == {ERROR}


def sent_from(lab: ScriptedLab, address: str, *names: str) -> None:
    """All hosts send from there; the address has these names, and each host's name leads to it."""
    hosts = tuple(dataclasses.replace(host, ipv4=(address,)) for host in lab.inventory.hosts)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    lab.world.records[ipaddress.ip_address(address).reverse_pointer, "PTR"] = [*names]
    for host in hosts:
        lab.world.records[host.fqdn, "A"] = [address]


@pytest.mark.parametrize(
    ("names", "verdict", "says"),
    [
        (["mx1.alpha.test."], PASS, "9.9.9.9"),
        (["a.alpha.test.", "mx1.alpha.test."], WARN, "has several names (a.alpha.test, mx1.alpha.test)"),
        (["b.alpha.test.", "mx1.alpha.test."], WARN, "and b.alpha.test does not lead back to it"),
    ],
)
def test_an_address_with_several_names(
    lab: ScriptedLab, names: list[str], verdict: Verdict, says: str
) -> None:
    sent_from(lab, "9.9.9.9", *names)
    lab.world.records["a.alpha.test", "A"] = ["9.9.9.9"]
    lab.world.records["b.alpha.test", "A"] = ["9.9.9.8"]
    found = {item.target.host: item for item in lab.verify("dns.ptr")}["mx1"]
    assert (found.verdict, says in found.observed) == (verdict, True), found.observed


def test_a_name_that_does_not_lead_back_is_none(lab: ScriptedLab) -> None:
    sent_from(lab, "9.9.9.9", "mx1.alpha.test.")
    lab.world.records["mx1.alpha.test", "A"] = ["9.9.9.8"]
    found = {item.target.host: item for item in lab.verify("dns.ptr")}["mx1"]
    assert (found.verdict, found.observed) == (
        FAIL,
        "9.9.9.9 is mx1.alpha.test, which does not lead back to it",
    )


def test_every_address_is_looked_at_and_named(lab: ScriptedLab) -> None:
    sent_from(lab, "9.9.9.9", "mx1.alpha.test.")
    hosts = tuple(
        dataclasses.replace(host, ipv4=("9.9.9.9", "9.9.9.10", "9.9.9.11")) for host in lab.inventory.hosts
    )
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    lab.world.records["10.9.9.9.in-addr.arpa", "PTR"] = ["line10.isp.test."]
    lab.world.records["11.9.9.9.in-addr.arpa", "PTR"] = []
    found = {item.target.host: item for item in lab.verify("dns.ptr")}["mx1"]
    assert found.observed == (
        "9.9.9.10 is line10.isp.test, not mx1.alpha.test; 9.9.9.11 is nothing, not mx1.alpha.test"
    )
    (task,) = found.tasks
    assert "the address 9.9.9.10, 9.9.9.11 give it" in task


def test_the_name_of_an_address_in_a_zone_of_who_has_a_part_of_it(lab: ScriptedLab) -> None:
    """RFC 2317: a CNAME leads there."""
    sent_from(lab, "9.9.9.9")
    lab.world.records["9.9.9.9.in-addr.arpa", "CNAME"] = ["9.parts.alpha.test."]
    lab.world.records["9.parts.alpha.test", "PTR"] = ["mx1.alpha.test."]
    found = {item.target.host: item for item in lab.verify("dns.ptr")}["mx1"]
    assert found.verdict is PASS, found.observed


@pytest.mark.parametrize(
    ("name", "address", "generic"),
    [
        ("mx1.example.org", "203.0.113.25", False),
        ("203-0-113-25.isp.test", "203.0.113.25", True),
        ("25.113.0.203.static.isp.test", "203.0.113.25", True),
        ("vps203x000x113x025.isp.test", "203.0.113.25", True),
        ("cb007119.isp.test", "203.0.113.25", True),
        ("host-25.dynamic.isp.test", "203.0.113.25", True),
        ("dhcp7.isp.test", "203.0.113.25", True),
        ("pooling.example.org", "203.0.113.25", False),
        ("adslnews.example", "203.0.113.25", False),
        ("ipv6-0000000000000025.isp.test", "2001:db8::25", True),
        ("mx1.example.org", "2001:db8::25", False),
    ],
)
def test_names_that_a_provider_gives_to_every_address(name: str, address: str, generic: bool) -> None:
    assert reverse._generic(name, address) is generic


def test_a_generic_name_is_a_warning(lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch) -> None:
    sent_from(lab, "9.9.9.9", "mx1.alpha.test.")
    monkeypatch.setattr(reverse, "_generic", lambda name, address: name == "mx1.alpha.test")
    found = {item.target.host: item for item in lab.verify("dns.ptr")}["mx1"]
    assert (found.verdict, "looks like a name that a provider gives" in found.observed) == (WARN, True)


def test_a_default_that_is_not_there_is_a_warning_and_any_valid_policy_passes(lab: ScriptedLab) -> None:
    domains = tuple(dataclasses.replace(item, dmarc=Dmarc(asked=False)) for item in lab.inventory.domains)
    lab.inventory = dataclasses.replace(lab.inventory, domains=domains)
    assert {item.verdict for item in lab.verify("dns.dmarc")} == {PASS}
    lab.world.records["_dmarc.alpha.test", "TXT"] = []
    (warned,) = [item for item in lab.verify("dns.dmarc") if item.verdict is not PASS]
    assert (warned.target.domain, warned.verdict, warned.observed) == ("alpha.test", WARN, "no DMARC record")
    assert "`dmarc: off`" in warned.advice


def test_what_stands_in_place_of_a_default_is_not_missing(lab: ScriptedLab) -> None:
    """SPF of the name in EHLO: somebody else's stands there."""
    lab.world.records["mx1.alpha.test", "TXT"] = ['"v=spf1 ip4:127.0.0.1 -all"']
    assert {item.verdict for item in lab.verify("dns.published")} == {PASS}


def test_dmarc_reports_that_go_elsewhere_are_a_warning(lab: ScriptedLab) -> None:
    domains = tuple(
        dataclasses.replace(item, dmarc=Dmarc("reject", "dmarc@alpha.test")) for item in lab.inventory.domains
    )
    lab.inventory = dataclasses.replace(lab.inventory, domains=domains)
    warned = [item for item in lab.verify("dns.dmarc") if item.verdict is WARN]
    assert {item.target.domain for item in warned} == {"alpha.test", "alfa.test", "beta.test"}
    assert {item.observed.rpartition(" ")[2] for item in warned} == {"dmarc@alpha.test", "dmarc@alfa.test"}


def test_a_domain_without_dmarc_in_inventory_and_dns_is_skipped(lab: ScriptedLab) -> None:
    domains = tuple(dataclasses.replace(item, dmarc=None) for item in lab.inventory.domains)
    lab.inventory = dataclasses.replace(lab.inventory, domains=domains)
    assert {item.verdict for item in lab.verify("dns.dmarc")} == {PASS}
    for zone in ("alpha.test", "alfa.test", "beta.test"):
        lab.world.records[f"_dmarc.{zone}", "TXT"] = []
    assert {item.verdict for item in lab.verify("dns.dmarc")} == {SKIP}


@pytest.mark.parametrize("fault", ["dns-silent", "dns-servfail", "dns-refused", "dns-hearsay"])
def test_no_authoritative_answer_is_an_error(lab: ScriptedLab, fault: str) -> None:
    lab.spoil(fault, "")
    findings = lab.verify("dns")
    assert {item.id for item in findings} == {
        entry.id for entry in catalogue() if entry.id.startswith("dns.")
    } - {"dns.dkim"}  # hosts are asked for their keys by `dns check` alone
    assert {item.verdict for item in findings if item.id != "dns.ptr"} == {ERROR}
    # Of a private address nobody need know a name, of a public one the owner's servers do.
    assert {item.verdict for item in findings if item.id == "dns.ptr"} == {SKIP}
    hosts = tuple(dataclasses.replace(host, ipv4=("9.9.9.9",)) for host in lab.inventory.hosts)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    if fault != "dns-hearsay":  # which knows only what the resolver does
        assert {item.verdict for item in lab.verify("dns.ptr")} == {ERROR}


def test_without_dns_the_hosts_are_looked_at_by_address(lab: ScriptedLab) -> None:
    lab.world.records.clear()
    findings = lab.verify("net.tcp")
    assert len(findings) == 16  # seven ports of each host and ManageSieve
    assert {item.verdict for item in findings} == {PASS}


def test_a_domain_that_the_resolver_does_not_know_is_told_as_that(lab: ScriptedLab) -> None:
    """dnspython says: There is no SOA RR at the DNS root name. This should never happen!"""
    for zone in ("alpha.test", "alfa.test"):
        del lab.world.records[zone, "SOA"]
    lab.inventory = dataclasses.replace(lab.inventory, dns=DnsSettings(ttl=60))

    (item,) = [each for each in lab.verify("dns.mx") if each.target.domain == "alpha.test"]

    assert item.verdict is ERROR
    shown = r"this machine's resolver \(127[.]0[.]0[.]1\) knows no zone of alpha[.]test"
    assert re.fullmatch(shown, item.observed), item.observed
    assert "dns.server" in item.advice


def test_name_servers_are_found_by_walking_to_the_zone(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.world.records.update(
        {
            ("alpha.test", "SOA"): ["ns.alpha.test. h.alpha.test. 1 1 1 1 1"],
            ("alpha.test", "NS"): ["ns.alpha.test."],
            ("ns.alpha.test", "A"): ["127.0.0.1"],
            ("beta.test", "SOA"): ["ns.beta.test. h.beta.test. 1 1 1 1 1"],
            ("beta.test", "NS"): ["silent.beta.test.", "ns.beta.test."],
            ("silent.beta.test", "A"): [],
            ("ns.beta.test", "A"): ["127.0.0.1"],
        }
    )
    lab.inventory = dataclasses.replace(lab.inventory, dns=DnsSettings(ttl=60))
    lab.start()
    monkeypatch.setattr(Resolver, "name_server_port", lab.world.dns_port)
    findings = [item for item in lab.verify("dns", skip="dns.dnssec") if item.target.domain != "alfa.test"]
    found = {(item.verdict, item.observed) for item in findings if item.verdict is not SKIP}
    assert {each for each in found if each[0] is not PASS} == {
        (FAIL, "the name server silent.beta.test of beta.test has no address")
    }
    assert any("ns.beta.test: beta.test MX" in line for item in findings for line in item.evidence)


def test_stop_ends_a_run_soon_and_passes_nothing(lab: ScriptedLab) -> None:
    lab.spoil("silent", "")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    findings = lab.verify("smtp.banner", stop=stop)
    assert {(item.verdict, item.observed) for item in findings} == {
        (ERROR, "interrupted before it was tested")
    }


def test_a_probe_that_breaks_is_an_error_and_stops_no_other(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("mailprov.probe.clients.tls.remaining_fraction", broken)
    findings = lab.verify("tls", 993)
    assert {item.verdict for item in only(findings, "tls.expiry")} == {ERROR}
    assert "RuntimeError: a bug" in only(findings, "tls.expiry")[0].observed
    assert {item.verdict for item in only(findings, "tls.chain")} == {PASS}


def test_narrowing_to_a_host_and_a_domain(lab: ScriptedLab) -> None:
    lab.start()
    assert {item.target.host for item in lab.verify("net", hosts=["mx2"])} == {"mx2"}
    assert {item.target.domain for item in lab.verify("dns.mx", hosts=["mx2"])} == {"beta.test"}
    assert {item.target.domain for item in lab.verify("dns.mx", domains=["alpha.test"])} == {
        "alpha.test",
        "alfa.test",
    }
    assert {item.target.host for item in lab.verify("net", domains=["alpha.test"])} == {"mx1"}
    assert lab.verify("nothing.like.this") == []


def test_skip_leaves_probes_out(lab: ScriptedLab) -> None:
    found = {item.id for item in lab.verify("dns", skip="dns.s* dns.ptr")}
    assert "dns.mx" in found
    assert not found & {"dns.spf", "dns.servers", "dns.ptr"}
