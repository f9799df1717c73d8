"""The records an inventory wants: which, in which order, and with which texts."""

from __future__ import annotations

from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Dmarc, Domain, Host, Inventory, Mx, Spf, SshSettings, Tls
from mailprov.model.records import Record
from mailprov.records import desired_records


def host(name: str, fqdn: str = "", ipv4: tuple[str, ...] = (), ipv6: tuple[str, ...] = ()) -> Host:
    return Host(name, "10.0.0.1", fqdn or f"{name}.alpha.test", SshSettings(), Tls(), ipv4, ipv6)


def brief(records: list[Record]) -> list[tuple[str, str, str]]:
    return [(record.name, record.type, record.value) for record in records]


def test_two_hosts_one_domain_with_an_alias() -> None:
    inventory = Inventory(
        "inv.yml",
        (
            host("mx1", ipv4=("10.0.0.1",), ipv6=("2001:DB8:0::1",)),
            host("mx2", ipv4=("10.0.0.2", "10.0.1.2")),
        ),
        (
            Domain(
                "alpha.test",
                ("mx2", "mx1"),
                domain_aliases=("alfa.test",),
                dmarc=Dmarc("quarantine", "postmaster@alpha.test"),
            ),
        ),
        DnsSettings(ttl=300),
    )
    records = desired_records(inventory)
    assert brief(records) == [
        ("mx1.alpha.test", "A", "10.0.0.1"),
        ("mx1.alpha.test", "AAAA", "2001:db8::1"),
        ("mx1.alpha.test", "TXT", "v=spf1 a -all"),
        ("mx2.alpha.test", "A", "10.0.0.2"),
        ("mx2.alpha.test", "A", "10.0.1.2"),
        ("mx2.alpha.test", "TXT", "v=spf1 a -all"),
        ("alpha.test", "MX", "10 mx2.alpha.test"),
        ("alpha.test", "MX", "20 mx1.alpha.test"),
        ("alpha.test", "TXT", "v=spf1 mx -all"),
        ("_dmarc.alpha.test", "TXT", "v=DMARC1; p=quarantine; aspf=s; rua=mailto:postmaster@alpha.test"),
        ("alfa.test", "MX", "10 mx2.alpha.test"),
        ("alfa.test", "MX", "20 mx1.alpha.test"),
        ("alfa.test", "TXT", "v=spf1 mx -all"),
        ("_dmarc.alfa.test", "TXT", "v=DMARC1; p=quarantine; aspf=s; rua=mailto:postmaster@alfa.test"),
    ]
    assert all(record.ttl == 300 and record.why for record in records)
    assert records == desired_records(inventory)


def test_a_domain_that_is_also_a_host_name_has_one_spf_for_both() -> None:
    inventory = Inventory("i", (host("mx1", "alpha.test", ("10.0.0.1",)),), (Domain("alpha.test", ("mx1",)),))
    assert brief(desired_records(inventory)) == [
        ("alpha.test", "A", "10.0.0.1"),
        ("srs.alpha.test", "MX", "10 alpha.test"),
        ("srs.alpha.test", "TXT", "v=spf1 mx -all"),
        ("alpha.test", "MX", "10 alpha.test"),
        ("alpha.test", "TXT", "v=spf1 a mx -all"),
    ]


def test_the_name_for_what_a_host_sends_on_is_nobody_elses() -> None:
    hosts = (host("mx1", "alpha.test"), host("mx2"))
    alpha, named = Domain("alpha.test", ("mx2",)), Domain("beta.test", ("mx2",), mail_name="srs1.alpha.test")
    taken = (alpha, named, Domain("gamma.test", ("mx1",), domain_aliases=("srs.alpha.test",)))

    assert [Inventory("i", hosts, taken).sender_domain(each) for each in hosts] == [
        "srs2.alpha.test",
        "mx2.alpha.test",
    ]
    unserved = Inventory("i", hosts, (Domain("alpha.test", ()),))
    assert unserved.sender_domain(hosts[0]) == "alpha.test"


def test_more_than_ten_mx_hosts_are_listed_by_address() -> None:
    hosts = (*(host(f"mx{n}", ipv4=(f"10.0.0.{n}",)) for n in range(1, 11)), host("mx11"))
    inventory = Inventory("i", hosts, (Domain("alpha.test", tuple(h.name for h in hosts)),))
    (spf,) = [r for r in desired_records(inventory) if r.name == "alpha.test" and r.type == "TXT"]
    assert spf.value.startswith("v=spf1 ip4:10.0.0.1 ip4:10.0.0.2 ")
    assert spf.value.endswith(" ip4:10.0.0.10 a:mx11.alpha.test -all")
    ten = Inventory("i", hosts, (Domain("alpha.test", tuple(h.name for h in hosts[:10])),))
    assert ("alpha.test", "TXT", "v=spf1 mx -all") in brief(desired_records(ten))


def test_reports_to_another_domain_of_the_inventory_need_its_consent() -> None:
    inventory = Inventory(
        "i",
        (host("mx1"),),
        (
            Domain("alpha.test", ("mx1",)),
            Domain("beta.test", ("mx1",), dmarc=Dmarc("reject", "post!master@alpha.test")),
            Domain("sub.alpha.test", ("mx1",), dmarc=Dmarc("none", "p@alpha.test")),
            Domain("gamma.test", ("mx1",), dmarc=Dmarc("none", "p@outside.example")),
            Domain("delta.test", ("mx1",), dmarc=Dmarc("none")),
        ),
    )
    texts = [(n, v) for n, t, v in brief(desired_records(inventory)) if "DMARC1" in v]
    assert texts == [
        ("beta.test._report._dmarc.alpha.test", "v=DMARC1"),
        ("_dmarc.beta.test", "v=DMARC1; p=reject; aspf=s; rua=mailto:post%21master@alpha.test"),
        ("_dmarc.sub.alpha.test", "v=DMARC1; p=none; aspf=s; rua=mailto:p@alpha.test"),
        ("_dmarc.gamma.test", "v=DMARC1; p=none; aspf=s; rua=mailto:p@outside.example"),
        ("_dmarc.delta.test", "v=DMARC1; p=none; aspf=s"),
    ]


def test_a_host_without_a_known_address_and_a_domain_without_hosts_publish_nothing_wrong() -> None:
    inventory = Inventory("i", (host("mx1"),), (Domain("alpha.test", ()),))
    assert brief(desired_records(inventory)) == [("mx1.alpha.test", "TXT", "v=spf1 a -all")]


def test_a_name_of_its_own_leads_to_the_first_host() -> None:
    hosts = (host("mx1", ipv4=("10.0.0.1",)), host("mx2", ipv4=("10.0.0.2",), ipv6=("2001:db8::2",)))
    domain = Domain("alpha.test", ("mx2", "mx1"), mail_name="mail.alpha.test")
    named = [
        each for each in brief(desired_records(Inventory("inv.yml", hosts, (domain,)))) if "mail." in each[0]
    ]
    assert named == [("mail.alpha.test", "A", "10.0.0.2"), ("mail.alpha.test", "AAAA", "2001:db8::2")]


def test_other_senders_are_named_and_the_rest_may_be_suspicious_only() -> None:
    spf = Spf(("_spf.example.net", "mail.example.org"), soft=True)
    inventory = Inventory(
        "i", (host("mx1"),), (Domain("alpha.test", ("mx1",), domain_aliases=("alfa.test",), spf=spf),)
    )
    texts = [
        value
        for name, kind, value in brief(desired_records(inventory))
        if kind == "TXT" and "mx1" not in name
    ]
    assert texts == ["v=spf1 mx include:_spf.example.net include:mail.example.org ~all"] * 2


def test_an_mx_of_somebody_else_is_published_and_may_not_send() -> None:
    mx = (Mx("backup.example.net", 50, False), Mx("mx2", 5, True))
    inventory = Inventory("i", (host("mx1"), host("mx2")), (Domain("alpha.test", ("mx1", "mx2"), mx=mx),))
    assert [record for record in brief(desired_records(inventory)) if record[0] == "alpha.test"] == [
        ("alpha.test", "MX", "5 mx2.alpha.test"),
        ("alpha.test", "MX", "10 mx1.alpha.test"),
        ("alpha.test", "MX", "50 backup.example.net"),
        ("alpha.test", "TXT", "v=spf1 a:mx1.alpha.test a:mx2.alpha.test -all"),
    ]


def test_a_host_behind_somebody_elses_filter_is_no_mx_and_still_sends() -> None:
    mx = (Mx("mx1", None, True), Mx("filter.example.net", 10, False))
    inventory = Inventory("i", (host("mx1"),), (Domain("alpha.test", ("mx1",), mx=mx),))
    assert [record for record in brief(desired_records(inventory)) if record[0] == "alpha.test"] == [
        ("alpha.test", "MX", "10 filter.example.net"),
        ("alpha.test", "TXT", "v=spf1 a:mx1.alpha.test -all"),
    ]
