"""The names that lead to a domain's web corner: where they are wanted, and that nothing of anybody else gives way."""

from __future__ import annotations

import dataclasses

import pytest

from mailprov.components.web import place
from mailprov.dns.diff import ZoneDiff, plan_zone
from mailprov.dns.ownership import Identity
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls
from mailprov.model.records import Record
from mailprov.records import desired_records, kept

LABELS = ("autoconfig", "autodiscover")


def host(name: str, web: bool) -> Host:
    return place.SETTING.on(
        Host(name, "192.0.2.1", f"{name}.alpha.test", SshSettings(), Tls(), ("192.0.2.1",)), web
    )


def wanted(hosts: tuple[Host, ...], *domains: Domain) -> dict[str, Record]:
    """Of the web corner: by name."""
    records = desired_records(Inventory("i.yml", hosts, domains))
    return {one.name: one for one in records if one.name.partition(".")[0] in LABELS}


def plan(*standing: Record, **answered: str) -> ZoneDiff:
    found = wanted((host("mx1", True),), Domain("alpha.test", ("mx1",)))
    told = {(name, "CNAME"): (target,) for name, target in answered.items()}
    return plan_zone("alpha.test", standing, list(found.values()), Identity(("alpha.test",)), answered=told)


def test_each_name_leads_to_the_host_that_has_the_files() -> None:
    alpha = Domain("alpha.test", ("mx1", "mx2"), domain_aliases=("alfa.test",), mail_name="mail.alpha.test")
    found = wanted((host("mx1", True), host("mx2", True)), alpha)
    assert {name: (one.type, one.value) for name, one in found.items()} == {
        f"{label}.{name}": ("CNAME", "mx1.alpha.test")
        for label in LABELS
        for name in ("alpha.test", "alfa.test")
    }
    for one in found.values():
        assert (one.asked, one.need) == (False, "optional")
        assert one.purpose
        assert one.why


def test_without_a_web_server_there_is_none() -> None:
    assert wanted((host("mx1", False),), Domain("alpha.test", ("mx1",))) == {}


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("kind", ["CNAME", "A", "TXT", "DNAME"])
def test_what_somebody_else_has_at_such_a_name_stays_and_is_told(label: str, kind: str) -> None:
    value = {"A": "192.0.2.77", "TXT": "somebody's"}.get(kind, "elsewhere.example")
    name = f"{label}.alpha.test"
    diff = plan(Record(name, kind, value, 60))
    assert diff.conflicts == ()
    assert not [edit for edit in diff.edits if edit.name == name]
    assert [
        notice for notice in diff.notices if notice.startswith(f"{name} ") or notice.startswith(f"{name}:")
    ]
    other = next(one for one in LABELS if one != label)
    assert [edit for edit in diff.edits if edit.name == f"{other}.alpha.test"], (
        "the other name comes all the same"
    )


def test_the_same_of_somebody_else_stays_theirs() -> None:
    name = "autoconfig.alpha.test"
    diff = plan(Record(name, "CNAME", "mx1.alpha.test", 60))
    assert diff.conflicts == ()
    assert not [edit for edit in diff.edits if edit.name == name]


def test_what_a_wildcard_answers_there_is_not_hidden() -> None:
    diff = plan(**{"autoconfig.alpha.test": "elsewhere.example"})
    assert not [edit for edit in diff.edits if edit.name == "autoconfig.alpha.test"]
    assert any("elsewhere.example" in notice for notice in diff.notices)


def test_where_another_server_has_the_ports_none_comes_and_what_stands_stays() -> None:
    alpha = Domain("alpha.test", ("mx1",), srv=True, web_waits=True)
    inventory = Inventory("i.yml", (host("mx1", True),), (alpha,))
    assert wanted(inventory.hosts, alpha) == {}
    assert not [one for one in desired_records(inventory) if one.name == "_autodiscover._tcp.alpha.test"]
    for label in LABELS:
        assert kept(inventory, {})(f"{label}.alpha.test")
    inventory = dataclasses.replace(inventory, domains=(dataclasses.replace(alpha, web_waits=False),))
    assert not kept(inventory, {})("autoconfig.alpha.test")


def test_outlook_is_led_by_srv_to_the_name_that_users_connect_to() -> None:
    alpha = Domain(
        "alpha.test", ("mx1",), srv=True, mail_name="mail.alpha.test", domain_aliases=("alfa.test",)
    )
    for web, values in ((True, ["0 1 443 mail.alpha.test"]), (False, [])):
        records = desired_records(Inventory("i.yml", (host("mx1", web),), (alpha,)))
        found = {one.name: one.value for one in records if one.name.startswith("_autodiscover.")}
        assert found == dict.fromkeys(["_autodiscover._tcp.alpha.test"][: len(values)], *(values or [None]))
        assert [one for one in records if one.name == "_imaps._tcp.alfa.test"]
