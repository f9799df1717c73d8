"""`dns move` on every driver: there and back in each form, and killed in between, by the whole zone before and after.

What its steps are is shown by test_move.py. The short form has one form on each driver, and each kill on one of them;
MAILPROV_ATTACKS=long (`make test-attacks`) has all on all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import dns as zones
from tests.attacks.tries import LONG
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.drivers import BACKENDS
from tests.unit.dns.moving import HOSTED, PLACES, Clock, Killed, Machine, killing, waiting
from tests.unit.dns.one_at_a_time import one_at_a_time
from tests.unit.dns.servers import inventory

WEEK = 7 * 86_400
FORMS = tuple(HOSTED)
KILLS = [(place, number) for number in (2, 0, 4) for place in PLACES]


MOVED = [
    (name, number)
    for turn, name in enumerate(BACKENDS)
    for number in range(len(FORMS))
    if LONG or number == turn % len(FORMS)
]
KILLED = [(name, number) for name in BACKENDS for number in range(len(KILLS))]
SOME = list(zip(("powerdns", "route53", "hetzner", "ovh"), range(len(PLACES)), strict=True))


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Backend]]:
    with one_at_a_time(BACKENDS, tmp_path_factory) as made:
        yield made


@pytest.fixture
def backend(request: pytest.FixtureRequest, backends: Callable[[str], Backend]) -> Backend:
    return backends(request.param)


def machine(backend: Backend, zone: str, folder: Path) -> Machine:
    made = Machine(folder, backend, zone, {})
    made.write(None)
    assert made.apply() == 0
    return made


def foreign(before: Zone, now: Zone) -> None:
    """Theirs stand, with the TTL that they gave; in a set that we share, too."""
    for key, (ttl, texts) in before.items():
        assert texts <= now.get(key, (0, frozenset()))[1], key
        assert now[key][0] == ttl, key


def left(backend: Backend, zone: str) -> Zone:
    """The inventory does not have the domain any more."""
    others = inventory("contract10.test", backend.settings(), start=9)
    for plan in zones.plan(others, served={zone: [f"mx1.{zone}"]}):
        zones.apply(plan, lambda event: None)
    return backend.whole(zone)


@pytest.mark.parametrize(("backend", "number"), MOVED, indirect=["backend"])
def test_there_and_back(
    backend: Backend, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = f"contractm{number + 1}.test"
    before = backend.whole(zone)
    waiting(backend, zone, monkeypatch)
    one = machine(backend, zone, tmp_path)
    at_hosts = backend.whole(zone)
    foreign(before, at_hosts)
    one.write(FORMS[number])
    to = FORMS[number].partition(",")[0]

    assert one.move(to) == 4, "a week is too long to wait for"
    assert one.step == "step=away"
    foreign(before, backend.whole(zone))
    assert one.move(to, seconds=0) == 0
    at_provider = backend.whole(zone)
    foreign(before, at_provider)
    one.write(FORMS[number], hosts=False)
    assert one.apply() == 0
    assert backend.whole(zone) == at_provider

    one.write(FORMS[number])
    assert one.move("hosts") == 4
    assert (one.step, one.mx) == ("step=mx", "10 mx1")
    foreign(before, backend.whole(zone))
    assert one.move("hosts", seconds=0) == 0
    one.write(None)
    assert one.apply() == 0
    assert backend.whole(zone) == at_hosts
    assert left(backend, zone) == before


def to_its_end(one: Machine, clock: Clock) -> None:
    for _ in range(8):
        if one.move("google-workspace") == 0:
            return
        clock.now += WEEK
    pytest.fail("it does not come to its end")


@pytest.mark.parametrize(("backend", "number"), KILLED if LONG else SOME, indirect=["backend"])
def test_killed_it_goes_on(
    backend: Backend, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = f"contractm{len(FORMS) + number + 1}.test"
    before = backend.whole(zone)
    clock = waiting(backend, zone, monkeypatch)
    one = machine(backend, zone, tmp_path)
    one.write("google-workspace")
    killing(*KILLS[number], clock, monkeypatch)
    with pytest.raises(Killed):
        to_its_end(one, clock)
    foreign(before, backend.whole(zone))
    to_its_end(one, clock)
    assert (one.mx, one.step, one.table("domains")) == ("1 smtp.google.com.", "", "")
    assert one.spf == "v=spf1 include:_spf.google.com ~all"
    foreign(before, backend.whole(zone))
    assert one.move("hosts", seconds=0) == 0
    one.write(None)
    assert one.apply() == 0
    assert left(backend, zone) == before
