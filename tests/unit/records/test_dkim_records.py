"""Records of DKIM keys: of hosts that told theirs they are published, of others they are left alone."""

from __future__ import annotations

from mailprov.dns.diff import plan_zone
from mailprov.dns.ownership import Identity
from mailprov.dns.shown import shown
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls
from mailprov.model.records import Record
from mailprov.records import desired_records, kept

IDENTITY = Identity(("alpha.test",))
PUBLIC = "v=DKIM1; k=rsa; p=" + "A" * 392
DOMAIN = Domain("alpha.test", ("mx1", "mx2"), domain_aliases=("alfa.test",))


def host(name: str) -> Host:
    return Host(name, "10.0.0.1", f"{name}.alpha.test", SshSettings(), Tls())


INVENTORY = Inventory("inv.yml", (host("mx1"), host("mx2")), (DOMAIN,))
KEYS = {
    "mx1": {"alpha.test.mx1-rsa-1": PUBLIC, "other.test.mx1-rsa-1": PUBLIC},
    "mx2": {"alpha.test.mx2-rsa-1": ""},
}


def dkim(keys: dict[str, dict[str, str]]) -> list[Record]:
    return [record for record in desired_records(INVENTORY, keys) if "_domainkey" in record.name]


def test_each_name_gets_the_keys_of_all_its_hosts_and_no_other_domains() -> None:
    assert [record.name for record in dkim(KEYS)] == [
        "mx1-rsa-1._domainkey.alpha.test",
        "mx2-rsa-1._domainkey.alpha.test",
        "mx1-rsa-1._domainkey.alfa.test",
        "mx2-rsa-1._domainkey.alfa.test",
    ]
    assert dkim(KEYS)[0].value == PUBLIC


def test_a_plan_says_the_same_before_a_key_is_made_and_after() -> None:
    before = plan_zone("alpha.test", [], dkim(KEYS)[:2], IDENTITY)
    made = {**KEYS, "mx2": {"alpha.test.mx2-rsa-1": PUBLIC}}
    after = plan_zone("alpha.test", [], dkim(made)[:2], IDENTITY)
    assert before.changes == after.changes
    assert shown(PUBLIC) == "v=DKIM1; k=rsa; p=…"


def test_records_of_a_host_that_told_nothing_stay_and_those_of_one_that_did_follow_it() -> None:
    both = dkim({**KEYS, "mx2": {"alpha.test.mx2-rsa-1": PUBLIC}})[:2]
    first = plan_zone("alpha.test", [], both, IDENTITY)
    zone = [Record(edit.name, edit.type, value, 3600) for edit in first.edits for value in edit.add]

    silent = {"mx1": KEYS["mx1"]}
    diff = plan_zone("alpha.test", zone, dkim(silent)[:1], IDENTITY, kept=kept(INVENTORY, silent))
    assert diff.edits == ()

    rotated = {"mx1": {"alpha.test.mx1-rsa-2": PUBLIC}}
    diff = plan_zone("alpha.test", zone, dkim(rotated)[:1], IDENTITY, kept=kept(INVENTORY, rotated))
    names = {(edit.name.partition(".")[0], bool(edit.add), bool(edit.remove)) for edit in diff.edits}
    assert names == {("mx1-rsa-2", True, False), ("mx1-rsa-1", False, True), ("_mailprov", True, True)}

    later = [record for record in zone if record.name != "mx1-rsa-1._domainkey.alpha.test"]
    gone = Inventory("inv.yml", (host("mx1"),), (Domain("alpha.test", ("mx1",)),))
    diff = plan_zone("alpha.test", later, dkim(rotated)[:1], IDENTITY, kept=kept(gone, rotated))
    assert "mx2-rsa-1._domainkey.alpha.test" in {edit.name for edit in diff.edits if edit.remove}
