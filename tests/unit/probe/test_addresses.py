"""Mail for every kind of address ends where the inventory says: what is lost, doubled or astray is a failure, nothing
is left behind, and nobody outside of the inventory gets anything.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mailprov.model.findings import Finding, Verdict
from mailprov.probe import QueueTold, QueueWaiting
from mailprov.probe.expected_mail import KINDS, ends_of
from mailprov.selftest.address_cases import gone
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


@pytest.fixture
def town(lab: ScriptedLab) -> ScriptedLab:
    lab.with_addresses()
    return lab


def verdicts(lab: ScriptedLab, probe: str = "address") -> dict[str, Finding]:
    found = lab.verify(probe, queues=gone, accounts=None)
    assert not [item for item in found if not item.id.startswith("address.")], found
    return {f"{item.id} {item.target.account}": item for item in found}


def left(lab: ScriptedLab) -> list[bytes]:
    return [text for box in lab.world.boxes.values() for text in box if text]


def test_a_sound_server_passes_and_nothing_is_left(town: ScriptedLab) -> None:
    found = verdicts(town)

    assert {item.id for item in found.values()} == {name for name in KINDS if name.startswith("address.")}
    unsent = {key: item.observed for key, item in found.items() if item.verdict is not PASS}
    assert set(unsent) == {
        "address.list closed@alpha.test",
        "address.list away@alpha.test",
        "address.bcc ",
        "address.attachment ",
    }
    few = "fewer than two accounts of beta.test with known passwords keep their mail"
    assert few in unsent["address.bcc "]
    assert few in unsent["address.attachment "]
    assert {found[key].verdict for key in unsent} == {SKIP}
    assert "user3@alpha.test cannot be opened" in unsent["address.list closed@alpha.test"]
    assert "somebody@example.com, outside" in unsent["address.list away@alpha.test"]
    assert found["address.alias office@alpha.test"].observed == (
        "once for ana@alpha.test, eva@beta.test and zoe@alpha.test"
    )
    assert not any("example.com" in command for command in town.world.commands)
    assert left(town) == [b"old mail\r\n\r\nbody\r\n"]


def test_mail_goes_outside_only_where_somebody_agrees(town: ScriptedLab) -> None:
    def away(**more: Any) -> Finding:
        found = town.verify("address.list", queues=gone, accounts=None, **more)
        return next(item for item in found if item.target.account == "away@alpha.test")

    assert (away().verdict, "without --intrusive" in away().observed) == (SKIP, True)
    assert not any("example.com" in command or "away@" in command for command in town.world.commands)
    town.world.routes["away@alpha.test"] = ["ana@alpha.test"]
    sent = away(intrusive=True)
    assert sent.verdict is PASS
    assert sent.observed == (
        "once for ana@alpha.test; and it left for somebody@example.com, where nobody looks"
    )
    assert any("away@alpha.test" in command for command in town.world.commands)
    town.spoil("returns-all", "")
    back = away(intrusive=True)
    assert (back.verdict, back.observed) == (
        WARN,
        "what went to somebody@example.com came back to the sender",
    )
    assert left(town) == [b"old mail\r\n\r\nbody\r\n"]


def test_one_that_waits_for_the_other_host_is_told_with_the_reason(town: ScriptedLab) -> None:
    def waits(*_: object) -> QueueTold:
        return QueueTold(waiting=[QueueWaiting("4F", "deferred", "somebody@example.com", "450 later")])

    town.world.routes["away@alpha.test"] = ["ana@alpha.test"]
    found = town.verify(
        "address.list", queues=waits, accounts=None, intrusive=True, delivery=0.2, domains=["alpha.test"]
    )
    away = next(item for item in found if item.target.account == "away@alpha.test")
    assert away.verdict is WARN
    assert "what went to somebody@example.com has not left" in away.observed
    assert "450 later" in away.observed


def test_reports_are_taken_out_of_the_senders_mailbox(town: ScriptedLab) -> None:
    found = town.verify("dsn", queues=gone)
    seen = {f"{item.id} {item.target.domain}": item for item in found}
    assert {key: item.verdict for key, item in seen.items()} == {
        "dsn.success alpha.test": PASS,
        "dsn.bounce alpha.test": SKIP,
        "dsn.success beta.test": SKIP,
        "dsn.bounce beta.test": PASS,
    }
    assert "relayed, 2.1.5, from the null sender, not signed" in seen["dsn.success alpha.test"].observed
    assert "no domain is on another host that refuses" in seen["dsn.bounce alpha.test"].observed
    assert left(town) == [b"old mail\r\n\r\nbody\r\n"]


def test_without_asking_the_hosts_what_is_expected_is_waited_for(town: ScriptedLab) -> None:
    found = town.verify("address.alias", accounts=None)
    assert {item.verdict for item in found} == {PASS}
    assert all("so far; the queue of mx1 could not be asked" in item.observed for item in found)
    town.spoil("loses-mail", "")
    lost = town.verify("address.alias", delivery=0.2, accounts=None)
    assert {item.verdict for item in lost} == {FAIL}


def test_what_is_not_asked_for_is_not_sent(town: ScriptedLab) -> None:
    verdicts(town, "address.catch-all")
    rcpts = {command for command in town.world.commands if command.upper().startswith("RCPT")}
    assert not any("staff@" in each or "office@" in each or "alfa.test" in each for each in rcpts)


def test_a_run_writes_to_some_and_says_how_many_it_left_out(town: ScriptedLab) -> None:
    alpha, beta = town.inventory.domains
    aliases = tuple((f"name{number}@alpha.test", "ana@alpha.test") for number in range(12))
    town.inventory = dataclasses.replace(
        town.inventory, domains=(dataclasses.replace(alpha, aliases=aliases), beta)
    )
    town.world.routes |= {alias: [to] for alias, to in aliases}
    found = town.verify("address.alias", queues=gone, ident="one")
    assert [item.verdict for item in found].count(PASS) == 5
    assert [item.observed for item in found if item.verdict is SKIP] == [
        "7 more were not written to in this run; --accounts all writes to all"
    ]
    again = town.verify("address.alias", queues=gone, ident="two")
    assert {item.target.account for item in again} != {item.target.account for item in found}


def test_where_mail_ends_by_the_inventory_alone(town: ScriptedLab) -> None:
    def ends(address: str) -> tuple[set[str], set[str], int]:
        found = ends_of(town.inventory, address)
        return found.accounts, found.outside | found.deaf, found.crossings

    assert ends("office@alpha.test") == ({"ana@alpha.test", "zoe@alpha.test", "eva@beta.test"}, set(), 1)
    assert ends("ANA+x@alfa.test") == ({"ana@alpha.test"}, set(), 0)
    assert ends("user1@alpha.test") == ({"user1@alpha.test", "eva@beta.test"}, set(), 1)
    assert ends("user2+y@alpha.test") == ({"zoe@alpha.test"}, set(), 0)
    assert ends("nobody@alpha.test") == (set(), {"nobody@alpha.test"}, 0)
    assert ends("nobody@beta.test") == ({"eva@beta.test"}, set(), 0)
    assert ends("away@alpha.test") == ({"ana@alpha.test"}, {"somebody@example.com"}, 0)
