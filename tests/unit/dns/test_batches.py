"""What one UPDATE does not hold goes in several, each with whole domains; sets that a server takes no more of."""

from __future__ import annotations

import dataclasses

import pytest

from mailprov import dns as driver
from mailprov.dns import ownership
from mailprov.dns.batches import batches
from mailprov.dns.diff import plan_zone
from mailprov.dns.ownership import FORMER, Identity, digest, marker_name
from mailprov.dns.providers.rfc2136 import ABILITIES, update
from mailprov.dns.providers.rfc2136.update import build_update, octets
from mailprov.dns.rrsets import Edit, RRset, Snapshot, Stored, after, as_records
from mailprov.errors import DnsFailed
from mailprov.model.events import Applied, Event
from mailprov.model.inventory import Dmarc, Domain, Inventory
from mailprov.model.records import Record
from tests.unit.dns.servers import NameServer, inventory

ZONE = "big.test"
KEY = "v=DKIM1; k=rsa; p=" + "A" * 390
NAMES = tuple(f"d{number}.{ZONE}" for number in range(300))
IDENTITY = Identity(NAMES)
HOST = [Record(f"mx1.{ZONE}", "A", "192.0.2.1"), Record(f"mx1.{ZONE}", "TXT", "v=spf1 a -all")]


def records(name: str) -> list[Record]:
    return [
        Record(name, "MX", f"10 mx1.{ZONE}"),
        Record(name, "TXT", "v=spf1 mx -all"),
        Record(f"_dmarc.{name}", "TXT", "v=DMARC1; p=none; aspf=s"),
        Record(f"mx1-rsa-1._domainkey.{name}", "TXT", KEY),
    ]


DESIRED = [*HOST, *(record for name in NAMES for record in records(name))]


def written_by_0_1_0() -> Snapshot:
    """All domains in one marker, which 0.1.0 could write in several runs."""
    snapshot: Snapshot = {}
    words = []
    for record in DESIRED:
        key = (record.name, record.type)
        snapshot[key] = RRset(
            3600, (*(snapshot[key].stored if key in snapshot else ()), Stored(record.value))
        )
        words.append(
            f"{record.name.removesuffix('.' + ZONE)}/{record.type}={digest(record.type, record.value)}"
        )
    text = f"{FORMER} for={','.join(NAMES[:8])} {' '.join(words)}"
    snapshot[marker_name(ZONE), "TXT"] = RRset(3600, (Stored(text),))
    return snapshot


def cut(snapshot: Snapshot, desired: list[Record], identity: Identity = IDENTITY) -> list[list[Edit]]:
    diff = plan_zone(ZONE, as_records(snapshot), desired, identity)
    return batches(ZONE, snapshot, diff.edits, identity.names, ABILITIES, octets)


def check(snapshot: Snapshot, messages: list[list[Edit]], desired: list[Record]) -> None:
    """Each message fits; after each of them the markers know what stands of ours, and what is left is planned."""
    for number, edits in enumerate(messages):
        assert len(build_update(ZONE, snapshot, edits).to_wire()) <= (ABILITIES.capacity or 0)
        snapshot = after(snapshot, edits)
        there = as_records(snapshot)
        standing = {(r.name, r.type, digest(r.type, r.value)) for r in there}
        texts: dict[str, list[str]] = {}
        for record in there:
            if ownership.is_marker(record.name):
                texts.setdefault(record.name, []).append(record.value)
        owned = ownership.gather(texts, IDENTITY)
        marked = {entry for entry in standing if not ownership.is_marker(entry[0])}
        assert owned.entries == marked, f"after message {number}"
        assert any(text.startswith("v=mailprov2 ") for text in texts[marker_name(ZONE)]), "0.1.0 stops"
    assert not plan_zone(ZONE, as_records(snapshot), desired, IDENTITY).changes


def test_domains_are_never_cut() -> None:
    messages = cut({}, DESIRED)
    assert len(messages) > 3
    check({}, messages, DESIRED)


def test_the_marker_of_0_1_0_goes_last() -> None:
    snapshot = written_by_0_1_0()
    less = [record for record in DESIRED if "rsa-1._domainkey" not in record.name]
    messages = cut(snapshot, less)
    assert len(messages) > 1
    for edits in messages[:-1]:
        snapshot = after(snapshot, edits)
        assert any(r.value.startswith(FORMER) for r in as_records(snapshot)), "until all is known elsewhere"
    (last,) = messages[-1]
    assert [text.split(" ")[0] for text in last.remove] == [FORMER]
    snapshot = after(snapshot, messages[-1])
    assert not plan_zone(ZONE, as_records(snapshot), less, IDENTITY).changes


def test_domains_that_leave_are_not_cut_either() -> None:
    snapshot: Snapshot = {}
    for edits in cut({}, DESIRED):
        snapshot = after(snapshot, edits)
    stay = Identity(NAMES[:3], departed=frozenset(NAMES[3:]))
    for edits in cut(snapshot, [*HOST, *(record for name in NAMES[:3] for record in records(name))], stay):
        units = {
            ownership.unit_of(edit.name, ZONE, NAMES) for edit in edits if not ownership.is_marker(edit.name)
        }
        markers = {edit.name.removeprefix(marker_name("")) for edit in edits}
        assert units <= markers


def test_a_set_that_bind_takes_only_if_told_to_comes_first() -> None:
    many = [Record(NAMES[200], "MX", f"{number} mx{number}.{ZONE}") for number in range(1, 102)]
    first, *rest = cut({}, [*DESIRED, *many])
    assert f"{NAMES[200]} MX" in {f"{edit.name} {edit.type}" for edit in first}
    assert rest


def large(name_server: NameServer, domains: int) -> tuple[Inventory, dict[str, dict[str, str]]]:
    base = inventory("batches1.test", name_server.settings())
    several = tuple(
        Domain(f"d{n}.batches1.test", ("mx1",), dmarc=Dmarc("none", None)) for n in range(domains)
    )
    keys = {"mx1": {f"{domain.name}.mx1-rsa-1": KEY for domain in several}}
    return dataclasses.replace(base, domains=several), keys


def test_more_domains_than_one_message_holds(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second message is refused: what the first one did stands, is told, and the next run does the rest."""
    wanted, keys = large(name_server, 90)
    (plan,) = driver.plan(wanted, keys=keys)
    send, sent = update.send, []

    def refused_once(*args: object) -> bool:
        sent.append(1)
        if len(sent) == 2:
            raise DnsFailed("zone batches1.test", "it refused the update", "")
        return send(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(update, "send", refused_once)
    events: list[Event] = []
    with pytest.raises(DnsFailed, match="it refused the update"):
        driver.apply(plan, events.append)
    done = {event.change.name for event in events if isinstance(event, Applied)}
    assert 0 < len(done) < len(plan.changes)
    (rest,) = driver.plan(wanted, keys=keys)
    assert {change.name for change in rest.changes} == {change.name for change in plan.changes} - done
    driver.apply(rest, lambda event: None)
    assert not driver.plan(wanted, keys=keys)[0].changes
    assert name_server.values("d89.batches1.test", "MX") == {"10 mx1.batches1.test."}


def test_a_set_of_more_records_than_the_server_takes(name_server: NameServer) -> None:
    wanted = inventory("batches2.test", name_server.settings(), hosts=101)
    (plan,) = driver.plan(wanted)
    serial = name_server.serial("batches2.test")
    if name_server.kind == "bind":
        with pytest.raises(DnsFailed) as caught:
            driver.apply(plan, lambda event: None)
        assert (
            "BIND takes at most 100 records in one set by default, and there would be: batches2.test MX 101"
            in str(caught.value)
        )
        assert "max-records-per-type" in str(caught.value)
        assert name_server.serial("batches2.test") == serial
    else:
        driver.apply(plan, lambda event: None)
        assert len(name_server.values("batches2.test", "MX")) == 101
