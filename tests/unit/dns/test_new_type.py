"""A new type of record is one module: planned, written, read back, undone, exported and owned by it alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailprov import dns as zones
from mailprov.dns import ownership, seal
from mailprov.errors import DnsFailed
from mailprov.model.dns import DnsSettings
from mailprov.records import desired_records, types
from tests.unit.dns.caa import Caa
from tests.unit.dns.drivers import BACKENDS, Backend
from tests.unit.dns.servers import inventory

WITHOUT = [each for each in types.TYPES if each.name != "CAA"]


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture
def caa(monkeypatch: pytest.MonkeyPatch) -> Caa:
    """In place of mailprov's own."""
    made = Caa()
    monkeypatch.setattr(types, "TYPES", [*WITHOUT, made])
    return made


def test_its_way_through_a_zone_and_back(backend: Backend, caa: Caa) -> None:
    name = "mx1.contract1.test"
    wanted = inventory("contract1.test", backend.settings())
    before = backend.whole("contract1.test")
    (plan,) = [plan for plan in zones.plan(wanted) if plan.zone]
    assert [(c.action.value, c.detail) for c in plan.changes if c.name == f"{name} CAA"] == [
        ("create", '0 issue "ca.test"')
    ]
    image = zones.before_image(plan)
    zones.apply(plan, lambda event: None)
    assert backend.texts("contract1.test", name, "CAA") == {'0 issue "ca.test"'}
    assert not zones.plan(wanted)[0].changes
    (marker,) = [
        made
        for text in backend.texts("contract1.test", "_mailprov.contract1.test", "TXT")
        if (made := ownership.parse("_mailprov.contract1.test", text.replace('" "', "").strip('"')))
    ]
    assert (name, "CAA", ownership.digest("CAA", '0 issue "ca.test"')) in marker.entries
    assert image is not None
    (back,) = zones.plan_undo(wanted, [{**seal.sealed(image, "run", wanted.dns), "told": ["mx1"]}])
    zones.apply(back, lambda event: None)
    assert backend.whole("contract1.test") == before


def test_a_foreign_one_is_a_conflict_and_another_property_is_not(backend: Backend, caa: Caa) -> None:
    name = "mx1.contract9.test"
    texts = ('0 issue "other.test"', '0 iodef "mailto:a@other.test"')
    backend.put("contract9.test", name, 300, "CAA", *texts)
    wanted = inventory("contract9.test", backend.settings())
    with pytest.raises(
        DnsFailed, match=r'has CAA that mailprov did not write: 0 issue "other\.test"'
    ) as caught:
        zones.plan(wanted)
    assert caa.otherwise in str(caught.value)
    backend.put("contract9.test", name, 300, "CAA", texts[1])
    for plan in zones.plan(wanted):
        zones.apply(plan, lambda event: None)
    assert backend.texts("contract9.test", name, "CAA") == {texts[1], '0 issue "ca.test"'}


def test_the_zone_file_and_what_hosts_are_believed(caa: Caa) -> None:
    wanted = inventory("contract1.test", DnsSettings())
    assert 'mx1.contract1.test. 3600 IN CAA 0 issue "ca.test"' in zones.export(wanted).splitlines()
    assert "; CAA: certificates of mx1 come from ca.test (optional)" in zones.export(wanted).splitlines()
    assert types.writes_at("mx1.contract1.test", "CAA")
    assert not types.valid("CAA", "nonsense")


def test_without_it_nothing_of_it_is_left(caa: Caa, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = inventory("contract1.test", DnsSettings())
    assert "CAA" in {record.type for record in desired_records(wanted)}
    monkeypatch.setattr(types, "TYPES", WITHOUT)
    assert "CAA" not in {record.type for record in desired_records(wanted)}
    assert not types.writes_at("mx1.contract1.test", "CAA")
    assert "CAA" not in types.published()


def test_each_type_says_what_it_is_for() -> None:
    for each in types.TYPES:
        assert each.name
        assert each.need.value in ("required", "recommended", "optional")
        assert each.why[0].islower()
        assert not each.why.endswith(".")
