"""What a driver says that it can do (dns/abilities.py), shown on its provider: so the table of the reference is true.

    shown(backend, zone) -> {ability: whether it holds}        of all that its abilities claim

A driver that claims less than it can do is careful; one that claims more loses somebody's records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mailprov.dns import providers
from mailprov.dns.driver import Driver, Result, ZoneDriver
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, Stored
from mailprov.records import types
from tests.unit.dns.backend import Backend
from tests.unit.dns.drivers import BACKENDS, Memory

ZONE = "contractf22.test"
EXAMPLES = {
    "A": "192.0.2.7",
    "AAAA": "2001:db8::7",
    "CAA": '0 issue "ca.example"',
    "CNAME": "elsewhere.example",
    "MX": f"10 www.{ZONE}",
    "PTR": "elsewhere.example",
    "SRV": f"0 1 993 www.{ZONE}",
    "TLSA": f"3 1 1 {'ab' * 32}",
    "TXT": "some text",
}
WHERE = {"SRV": "_imaps._tcp.", "TLSA": "_25._tcp."}


@pytest.fixture(scope="module", params=[name for name in BACKENDS if name != "memory"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


def make(name: str, kind: str, value: str, ttl: int = 600) -> Edit:
    return Edit(f"{name}.{ZONE}", kind, ttl, (), (value,))


def write(driver: Driver, edits: Sequence[Edit], stale: Snapshot | None = None) -> Result:
    """As publishing.py does: what stands is read first. `stale`: as it is believed to be."""
    keys: list[Key] = [(edit.name, edit.type) for edit in edits]
    answers = driver.query(keys).answers
    snapshot: dict[Key, RRset] = {key: rrset for key in keys for key, rrset in answers[key].sets.items()}
    return driver.write(ZONE, {**snapshot, **(stale or {})}, edits, None, lambda text: None).result


def there(backend: Backend, *edits: Edit) -> list[bool]:
    whole = backend.whole(ZONE)
    return [
        any(
            types.parse(edit.type, text) in edit.add for text in whole.get((edit.name, edit.type), (0, ()))[1]
        )
        for edit in edits
    ]


def atomic(backend: Backend, driver: Driver) -> bool:
    """Of two edits one is not done: then the other is not, either. It is what the provider refuses: a CNAME beside
    other data; where that is dropped silently (RFC 2136 section 3.4.2.2), a set that is not as it was read.
    """
    first = make("whole", "TXT", "first")
    if driver.abilities.compare_and_swap:
        second, stale = make("www", "TXT", "second"), believed("www", "TXT", "what is not there")
        result = write(driver, [first, second], stale)
    else:
        second = make("www", "CNAME", "elsewhere.example")
        result = write(driver, [first, second])
    return result is not Result.DONE and not any(there(backend, first, second))


def believed(name: str, kind: str, value: str) -> Snapshot:
    return {(f"{name}.{ZONE}", kind): RRset(300, (Stored(value, types.render(kind, value)),))}


def compare_and_swap(backend: Backend, driver: Driver) -> bool:
    edit = make("www", "TXT", "over what came since")
    result = write(driver, [edit], believed("www", "TXT", "what is not there"))
    return result is Result.CHANGED and there(backend, edit) == [False]


def lists_zones(backend: Backend, driver: Driver) -> bool:
    return isinstance(driver, ZoneDriver) and ZONE in driver.find_zones()


def holds_types(backend: Backend, driver: Driver) -> bool:
    """Of the types that mailprov writes."""
    can = driver.abilities.types
    edits = [
        make(f"{WHERE.get(kind, '')}t{kind.lower()}", kind, EXAMPLES[kind])
        for kind in sorted(types.published())
        if can is None or kind in can
    ]
    return all(write(driver, [edit]) is Result.DONE and there(backend, edit) == [True] for edit in edits)


def ttls(backend: Backend, driver: Driver) -> bool:
    lowest, highest = driver.abilities.ttls
    held = []
    for number, ttl in enumerate((max(lowest, 1), highest)):
        edit = make(f"ttl{number}", "TXT", "x", ttl)
        write(driver, [edit])
        held.append(backend.whole(ZONE)[edit.name, "TXT"][0] == ttl)
    return all(held)


def capacity(backend: Backend, driver: Driver) -> bool:
    """One write of nearly as much as it says is done."""
    most = driver.abilities.capacity
    assert most is not None
    text = "x" * (8000 if most > 1_000_000 else 250 if most > 1000 else 1)
    share = driver.weigh(ZONE, {}, [make("c0", "TXT", text)])
    several = driver.weigh(ZONE, {}, [make(f"c{number}", "TXT", text) for number in range(101)])
    each = (several - share) / 100
    edits = [make(f"c{number}", "TXT", text) for number in range(int((most - share) / each) - 1)]
    while driver.weigh(ZONE, {}, edits) > most:
        del edits[-1 - len(edits) // 100 :]
    assert driver.weigh(ZONE, {}, edits) > most * 0.9
    keys = [(edit.name, edit.type) for edit in edits]
    done = driver.write(ZONE, {}, edits, None, lambda text: None).result is Result.DONE
    read = {
        key: rrset for key, answer in driver.query(keys).answers.items() for rrset in answer.sets.values()
    }
    gone = [dataclasses.replace(edit, remove=edit.add, add=()) for edit in edits]
    driver.write(ZONE, read, gone, None, lambda text: None)  # before PowerDNS is asked for a transfer of it
    return done and read.keys() == set(keys)


def most_in_set(backend: Backend, driver: Driver) -> bool:
    most = driver.abilities.most_in_set
    assert most is not None
    edit = Edit(f"many.{ZONE}", "A", 600, (), tuple(f"192.0.{n >> 8}.{n & 255}" for n in range(most)))
    return write(driver, [edit]) is Result.DONE and len(backend.texts(ZONE, edit.name, "A")) == most


def longest_text(backend: Backend, driver: Driver) -> bool:
    most = driver.abilities.longest_text
    assert most is not None
    text = "x" * (most - 2 - 3 * ((most - 2) // 258))  # quotes around it and between its strings
    assert len(types.render("TXT", text)) == most
    return write(driver, [make("long", "TXT", text)]) is Result.DONE


def shown(backend: Backend) -> dict[str, bool]:
    """`reads_sets` is shown by `large zone` of test_fault_matrix.py, `holds_version` by test_races.py."""
    before = backend.whole(ZONE)
    with providers.open_driver(backend.settings()) as driver:
        can = driver.abilities
        tries = {
            "atomic": (can.atomic, atomic),
            "compare_and_swap": (can.compare_and_swap, compare_and_swap),
            "lists_zones": (can.lists_zones, lists_zones),
            "types": (True, holds_types),
            "ttls": (True, ttls),
            "most_in_set": (can.most_in_set is not None, most_in_set),
            "longest_text": (can.longest_text is not None, longest_text),
            "capacity": (can.capacity is not None, capacity),
        }
        found = {name: holds(backend, driver) for name, (claimed, holds) in tries.items() if claimed}
    after = backend.whole(ZONE)
    found["others' records stay"] = before.items() <= after.items()
    for name, kind in after.keys() - before.keys():
        backend.put(ZONE, name, 0, kind)
    return found


def test_a_driver_can_do_what_it_claims(backend: Backend) -> None:
    found = shown(backend)
    assert [name for name, held in found.items() if not held] == []
    named = providers.of(backend.settings()).abilities
    with providers.open_driver(backend.settings()) as driver:
        can = driver.abilities
    if "octodns" in type(backend).__module__:  # whose limits say that these two are those of a class
        assert named is not None
        named, can = (dataclasses.replace(each, types=None, ttls=(0, 1)) for each in (named, can))
    assert can == named, "what is told of a provider is not what its driver goes by"


@pytest.mark.parametrize("claim", ["atomic", "compare_and_swap"])
def test_one_that_claims_what_it_cannot_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: str
) -> None:
    """Of the provider that is made for tests, which writes set by set, over whatever is there."""
    with BACKENDS["memory"](tmp_path) as backend:
        monkeypatch.setattr(Memory, "abilities", dataclasses.replace(Memory.abilities, **{claim: True}))
        assert shown(backend)[claim] is False
