"""Somebody else's SPF record, on every driver: our terms are added to it and leave again, the rest never changes.

What is added where: test_foreign_spf.py. Each test has a zone of its own and compares all of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from mailprov import dns as zones
from mailprov.dns import seal
from mailprov.errors import DnsFailed, MailprovError
from mailprov.model.inventory import Inventory, Spf
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.drivers import BACKENDS
from tests.unit.dns.servers import inventory
from tests.unit.dns.test_contract import planned, publish


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


def spf(backend: Backend, zone: str) -> str:
    (text,) = (one for one in backend.texts(zone, zone, "TXT") if "v=spf1" in one.lower())
    return text.replace('" "', "")


def others(whole: Zone, zone: str) -> Zone:
    """Without what the inventory publishes, and without its terms."""
    ours = (f"_mailprov.{zone}", f"mx1.{zone}", f"_dmarc.{zone}")
    found = {key: each for key, each in whole.items() if key[0] not in ours and key[1] != "MX"}
    ttl, texts = found[zone, "TXT"]
    return {**found, (zone, "TXT"): (ttl, frozenset(text.replace(" mx", "") for text in texts))}


def leave(wanted: Inventory, zone: str) -> None:
    elsewhere = inventory("contract10.test", wanted.dns, start=9)
    for plan in zones.plan(elsewhere, served={zone: [f"mx1.{zone}"]}):
        zones.apply(plan, lambda event: None)


def published(wanted: Inventory, zone: str) -> dict[str, Any]:
    """The image of it, as a host has it."""
    plan = planned(wanted, zone)
    image = zones.before_image(plan)
    assert image is not None
    zones.apply(plan, lambda event: None)
    return {**seal.sealed(image, "run", wanted.dns), "told": ["mx1"]}


def taken_back(wanted: Inventory, image: dict[str, Any]) -> zones.ZonePlan:
    (plan,) = zones.plan_undo(wanted, [image])
    zones.apply(plan, lambda event: None)
    return plan


def test_our_term_comes_and_leaves(backend: Backend) -> None:
    zone = "contracts1.test"
    before = backend.whole(zone)
    wanted = inventory(zone, backend.settings())
    plan = planned(wanted, zone)
    (change,) = (one for one in plan.changes if one.name == f"{zone} TXT")
    assert change.detail == (f"v=spf1 Include:_spf.{zone}  ~all → v=spf1 Include:_spf.{zone}  mx ~all")
    assert not [notice for notice in plan.notices if "not known" in notice], "the zone itself answered"
    publish(wanted)
    assert spf(backend, zone) == f'"v=spf1 Include:_spf.{zone}  mx ~all"'
    assert others(backend.whole(zone), zone) == before
    assert not planned(wanted, zone).changes
    leave(wanted, zone)
    assert backend.whole(zone) == before


def test_what_the_owner_changes_stays_and_what_he_takes_out_is_planned_again(backend: Backend) -> None:
    zone = "contracts2.test"
    wanted = inventory(zone, backend.settings())
    publish(wanted)
    backend.put(zone, zone, 77, "TXT", '"v=spf1 a:new.example ?all"', '"theirs"')
    again = planned(wanted, zone)
    assert [change.name for change in again.changes] == [f"{zone} TXT"]
    assert "somebody took mx out of the SPF record" in again.notices[0]
    publish(wanted)
    backend.put(zone, zone, 77, "TXT", '"v=spf1 mx a:new.example  -all"', '"theirs"', '"more"')
    assert not planned(wanted, zone).changes
    leave(wanted, zone)
    assert backend.texts(zone, zone, "TXT") == {'"v=spf1 a:new.example  -all"', '"theirs"', '"more"'}


def test_a_rollback_is_exact(backend: Backend) -> None:
    zone = "contracts3.test"
    before = backend.whole(zone)
    wanted = inventory(zone, backend.settings())
    plan = taken_back(wanted, published(wanted, zone))
    assert plan.left == ()
    assert backend.whole(zone) == before


@pytest.mark.parametrize("with_seal", [True, False])
def test_a_rollback_takes_only_our_terms_from_a_record_that_was_changed_since(
    backend: Backend, with_seal: bool
) -> None:
    zone = "contracts4.test" if with_seal else "contracts5.test"
    wanted = inventory(zone, backend.settings())
    image = published(wanted, zone)
    if not with_seal:
        image = {key: each for key, each in image.items() if key not in ("seal", "run")}
    backend.put(zone, zone, 77, "TXT", '"v=spf1 mx a:new.example ?all"', '"theirs"')
    plan = taken_back(wanted, image)
    assert (plan.left, plan.notices) == ((), ())
    assert backend.texts(zone, zone, "TXT") == {'"v=spf1 a:new.example ?all"', '"theirs"'}
    assert not backend.texts(zone, f"_mailprov.{zone}", "TXT")
    assert not backend.texts(zone, zone, "MX")


def test_a_record_that_changes_after_the_plan_is_not_overwritten(backend: Backend) -> None:
    zone = "contracts6.test"
    plan = planned(inventory(zone, backend.settings()), zone)
    backend.put(zone, zone, 77, "TXT", '"v=spf1 a:new.example ~all"', '"theirs"')
    before = backend.whole(zone)
    with pytest.raises(MailprovError, match="was changed since the plan was made"):
        zones.apply(plan, lambda event: None)
    assert backend.whole(zone) == before


def test_more_lookups_than_there_may_be(backend: Backend) -> None:
    """In what it includes, which the zone itself answers."""
    zone = "contracts7.test"
    many = " ".join(f"a:a{number}.example" for number in range(9))
    backend.put(zone, f"_spf.{zone}", 77, "TXT", f'"v=spf1 {many} -all"')
    before = backend.whole(zone)
    with pytest.raises(DnsFailed, match="it would take more than 10 DNS lookups"):
        zones.plan(inventory(zone, backend.settings()))
    assert backend.whole(zone) == before


def test_what_the_inventory_wants_changes(backend: Backend) -> None:
    """Another term of ours comes and goes; the rest of the record stays, ours and theirs."""
    zone = "contracts8.test"
    before = backend.whole(zone)
    first = inventory(zone, backend.settings())
    publish(first)
    domain = dataclasses.replace(first.domains[0], spf=Spf(include=("_news.example",)))
    second = dataclasses.replace(first, domains=(domain,))
    publish(second)
    assert spf(backend, zone) == f'"v=spf1 Include:_spf.{zone}  mx include:_news.example ~all"'
    publish(first)
    assert spf(backend, zone) == f'"v=spf1 Include:_spf.{zone}  mx ~all"'
    leave(first, zone)
    assert backend.whole(zone) == before
