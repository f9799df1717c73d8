"""The probe of TLSA records: green with the key that is served, else what senders that check them would meet."""

from __future__ import annotations

import dataclasses

import pytest

from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.inventory import Tls
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


def look(lab: ScriptedLab, faults: str, certificate: str = "") -> list[Finding]:
    lab.spoil(faults, certificate)
    found = lab.verify("dane.tlsa")
    assert {item.target.host for item in found} == {"mx1", "mx2"}
    return found


def test_where_the_inventory_wants_none(lab: ScriptedLab) -> None:
    hosts = tuple(dataclasses.replace(host, tls=Tls(tlsa=False)) for host in lab.inventory.hosts)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    assert {item.verdict for item in look(lab, "tlsa-absent")} == {SKIP}
    # What stands is looked at all the same: senders go by it.
    assert {item.verdict for item in look(lab, "", "self-signed")} == {FAIL}


@pytest.mark.parametrize(
    "faults",
    ["tlsa-absent unsigned-zone", "tlsa-absent", "unsigned-zone", "tlsa-servfail"],
)
def test_what_the_records_alone_decide_is_told_once_for_all_addresses(lab: ScriptedLab, faults: str) -> None:
    lab.world.records["mx1.alpha.test", "A"] = ["127.0.0.1", "127.0.0.3", "127.0.0.4"]
    mine = [item.target for item in look(lab, faults) if item.target.host == "mx1"]
    assert mine == [Target(host="mx1", port=25)]


def test_the_key_is_looked_at_on_each_address(lab: ScriptedLab) -> None:
    lab.world.records["mx1.alpha.test", "A"] = ["127.0.0.1", "127.0.0.3"]
    seen = {item.target.address: item.verdict for item in look(lab, "") if item.target.host == "mx1"}
    assert seen == {"127.0.0.1": PASS, "127.0.0.3": ERROR}  # nothing listens there
