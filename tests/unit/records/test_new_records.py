"""CAA, TLS-RPT, SRV and PTR: where they are wanted, and how their values are spelled."""

from __future__ import annotations

import dataclasses

import pytest

from mailprov import dns as zones
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Acme, Domain, Host, Inventory, SshSettings, Tls, TlsMode
from mailprov.model.records import Record
from mailprov.records import desired_records, types
from mailprov.records.types.caa import CAA

PUBLIC = "9.9.9.9"


def host(name: str = "mx1", fqdn: str = "", acme: Acme | None = None, ipv4: str = PUBLIC) -> Host:
    tls = Tls(mode=TlsMode.ACME, acme=acme) if acme else Tls()
    return Host(name, ipv4, fqdn or f"{name}.alpha.test", SshSettings(), tls, (ipv4,))


def wanted(
    kind: str, hosts: tuple[Host, ...], *domains: Domain, dns: DnsSettings | None = None
) -> list[Record]:
    inventory = Inventory("i.yml", hosts, domains, dns or DnsSettings())
    return [record for record in desired_records(inventory) if record.type == kind]


def test_caa_stands_at_names_of_hosts_only_and_names_the_authority() -> None:
    alpha = Domain("alpha.test", ("mx1",), mail_name="mail.alpha.test")
    records = wanted("CAA", (host(acme=Acme()), host("mx2")), alpha)
    assert [(one.name, one.value, one.need, one.asked) for one in records] == [
        ("mx1.alpha.test", '0 issue "letsencrypt.org"', "recommended", False),
        ("mail.alpha.test", '0 issue "letsencrypt.org"', "recommended", False),
    ]
    (asked,) = wanted("CAA", (host(acme=Acme(caa="ca.example")),))
    assert (asked.value, asked.asked) == ('0 issue "ca.example"', True)


@pytest.mark.parametrize(
    "acme",
    [
        None,
        Acme(caa=""),
        Acme(directory="https://ca.lab.test:14000/dir"),
        Acme(directory="https://letsencrypt.org.x/directory"),
    ],
)
def test_no_caa_where_it_is_off_or_the_authority_is_not_known(acme: Acme | None) -> None:
    assert wanted("CAA", (host(acme=acme),), Domain("alpha.test", ("mx1",))) == []


def test_no_caa_at_a_mail_domain_whose_website_may_have_another_authority() -> None:
    hosts = (host(fqdn="alpha.test", acme=Acme()), host("mx2", fqdn="alfa.test", acme=Acme()))
    assert wanted("CAA", hosts, Domain("alpha.test", ("mx1",), domain_aliases=("alfa.test",))) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('0 issue "letsencrypt.org"', '0 issue "letsencrypt.org"'),
        ("000 ISSUE letsencrypt.org", '0 issue "letsencrypt.org"'),
        ('128 issuewild ";"', '128 issuewild ";"'),
        (
            '0 issue "ca.test; accounturi=https://ca.test/1; x=\\"y\\""',
            '0 issue "ca.test; accounturi=https://ca.test/1; x=\\"y\\""',
        ),
    ],
)
def test_caa_has_one_spelling(text: str, value: str) -> None:
    assert types.parse("CAA", text) == value
    assert types.parse("CAA", types.render("CAA", value)) == value
    assert types.valid("CAA", value)


def test_a_caa_of_another_property_is_no_rival_and_another_authority_is_judged() -> None:
    assert not CAA.alone("mx1.alpha.test", "CAA", '0 issuewild ";"')
    assert not CAA.alone("mx1.alpha.test", "CAA", '0 iodef "mailto:a@b.test"')
    ours = '0 issue "letsencrypt.org"'
    assert "not among them" in CAA.judge(['0 issue "ca.test"'], ours)
    assert "not" not in CAA.judge(['0 issue "ca.test"', ours], ours)


def test_tls_reports_are_asked_for_where_the_inventory_says_who_reads_them() -> None:
    alpha = Domain("alpha.test", ("mx1",), domain_aliases=("alfa.test",), tls_rpt="tls!@alpha.test")
    texts = {one.name: one.value for one in wanted("TXT", (host(),), alpha) if "_tls" in one.name}
    assert texts == dict.fromkeys(
        ("_smtp._tls.alpha.test", "_smtp._tls.alfa.test"), "v=TLSRPTv1; rua=mailto:tls%21@alpha.test"
    )
    assert not [one for one in wanted("TXT", (host(),), Domain("a.test", ("mx1",))) if "_tls" in one.name]
    assert types.writes_at("_smtp._tls.alpha.test", "TXT")


def test_srv_leads_to_the_name_for_users_programs_tls_first() -> None:
    alpha = Domain("alpha.test", ("mx1",), srv=True, mail_name="mail.alpha.test")
    beta = Domain("beta.test", ("mx2", "mx1"), srv=True)
    found = {one.name: one.value for one in wanted("SRV", (host(), host("mx2")), alpha, beta)}
    assert found["_imaps._tcp.alpha.test"] == "0 1 993 mail.alpha.test"
    assert found["_imap._tcp.alpha.test"] == "10 1 143 mail.alpha.test"
    assert found["_submissions._tcp.beta.test"] == "0 1 465 mx2.alpha.test"
    assert found["_sieve._tcp.beta.test"] == "0 1 4190 mx2.alpha.test"
    assert len(found) == 2 * 7
    assert wanted("SRV", (host(),), Domain("alpha.test", ("mx1",))) == []


def test_srv_says_what_the_domains_mail_host_does_not_offer() -> None:
    """The first host of a domain is the one that programs connect to."""
    some = dataclasses.replace(host("mx2"), services=("submissions", "submission", "imap", "imaps"))
    alpha = Domain("alpha.test", ("mx1", "mx2"), srv=True)
    beta = Domain("beta.test", ("mx2", "mx1"), srv=True, domain_aliases=("beta.example",))
    records = wanted("SRV", (host(), some), alpha, beta)
    found = {one.name: one.value for one in records}
    off = {
        f"_{each}._tcp.{name}"
        for each in ("pop3", "pop3s", "sieve")
        for name in ("beta.test", "beta.example")
    }
    assert {name for name, value in found.items() if value == "0 0 0 ."} == off
    assert found["_imap._tcp.beta.test"] == "10 1 143 mx2.alpha.test"
    assert len(found) == 3 * 7
    assert {one.why for one in records if one.name == "_pop3._tcp.beta.test"} == {
        "SRV: beta.test has no pop3"
    }


@pytest.mark.parametrize(
    ("text", "value"), [("0 01 993 MX1.a.test.", "0 1 993 mx1.a.test"), ("0 0 0 .", "0 0 0 .")]
)
def test_srv_has_one_spelling(text: str, value: str) -> None:
    assert types.parse("SRV", text) == value
    assert types.parse("SRV", types.render("SRV", value)) == value
    assert types.valid("SRV", value)


def test_ptr_is_published_where_the_zone_is_the_providers_and_else_asked_for() -> None:
    both = dataclasses.replace(host(), ipv6=("2620:fe::fe",))
    records = wanted("PTR", (both,), dns=DnsSettings(reverse=True))
    assert [(one.value, one.need) for one in records] == [("mx1.alpha.test", "required")] * 2
    assert records[0].name == "9.9.9.9.in-addr.arpa"
    assert records[1].name.endswith(".0.2.6.2.ip6.arpa")
    assert all(types.writes_at(one.name, "PTR") for one in records)
    assert not types.writes_at("alpha.test", "PTR")
    assert wanted("PTR", (both,)) == []
    inventory = Inventory("i.yml", (both, host("mx2", ipv4="10.0.0.1")), (Domain("alpha.test", ("mx1",)),))
    lines = zones.export(inventory).splitlines()
    told = " ".join(line.lstrip("; ") for line in lines if line.startswith(";"))
    assert told.count("PTR") == 1
    assert "take no mail: 9.9.9.9 mx1.alpha.test, 2620:fe::fe mx1.alpha.test" in told
    assert max(len(line) for line in lines if line.startswith(";")) < 80, "as it is read on a terminal"
    published = zones.export(dataclasses.replace(inventory, dns=DnsSettings(reverse=True)))
    assert "9.9.9.9.in-addr.arpa. 3600 IN PTR mx1.alpha.test." in published.splitlines()
    assert "have the owner" not in published
