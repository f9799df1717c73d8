"""Every type of record at once: published, read back, owned and undone by each driver, in two zones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from mailprov import dns as zones
from mailprov.dns import providers, seal
from mailprov.errors import DnsFailed
from mailprov.model.inventory import Acme, Dmarc, Inventory, Tls, TlsMode
from tests.unit.dns.drivers import BACKENDS, Backend
from tests.unit.dns.servers import inventory

REVERSE = "0.0.10.in-addr.arpa"
POINTER = f"77.{REVERSE}"


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


def everything(zone: str, backend: Backend, acme: Acme) -> Inventory:
    settings = dataclasses.replace(backend.settings(), reverse=True)
    base = inventory(zone, settings, start=77)
    tls, offered = Tls(mode=TlsMode.ACME, acme=acme), ("submissions", "imap", "imaps")
    hosts = tuple(dataclasses.replace(host, tls=tls, services=offered) for host in base.hosts)
    domains = tuple(
        dataclasses.replace(
            domain, dmarc=Dmarc(asked=False), tls_rpt=f"tls@{zone}", srv=True, mail_name=f"mail.{zone}"
        )
        for domain in base.domains
    )
    return dataclasses.replace(base, hosts=hosts, domains=domains)


def holds(wanted: Inventory, kind: str) -> bool:
    with providers.open_driver(wanted.dns) as driver:
        return driver.abilities.types is None or kind in driver.abilities.types


def publish(wanted: Inventory) -> None:
    for plan in zones.plan(wanted):
        zones.apply(plan, lambda event: None)


def test_published_read_back_and_taken_back(backend: Backend) -> None:
    zone = "contract15.test"
    wanted = everything(zone, backend, Acme())
    before = backend.whole(zone), backend.whole(REVERSE)
    pointers = holds(wanted, "PTR")
    plans = [plan for plan in zones.plan(wanted) if plan.zone]
    assert {plan.zone for plan in plans} == ({zone, REVERSE} if pointers else {zone})
    images = [zones.before_image(plan) for plan in plans]
    for plan in plans:
        zones.apply(plan, lambda event: None)
    told = {change.label: change.need for plan in plans for change in plan.changes if change.label}
    assert told == {
        "address": "required", "CAA": "recommended", "SPF": "required", "MX": "required",
        "DMARC": "recommended", "TLS-RPT": "optional", "SRV": "optional",
    } | ({"PTR": "required"} if pointers else {})  # fmt: skip
    assert backend.texts(zone, f"mx77.{zone}", "CAA") == {'0 issue "letsencrypt.org"'}
    assert backend.texts(zone, f"mail.{zone}", "CAA") == {'0 issue "letsencrypt.org"'}
    assert backend.texts(zone, f"_imaps._tcp.{zone}", "SRV") == {f"0 1 993 mail.{zone}."}
    for off in ("submission", "pop3", "pop3s", "sieve"):
        assert backend.texts(zone, f"_{off}._tcp.{zone}", "SRV") == {"0 0 0 ."}
    assert backend.texts(zone, f"_smtp._tls.{zone}", "TXT") == {f'"v=TLSRPTv1; rua=mailto:tls@{zone}"'}
    assert backend.texts(REVERSE, POINTER, "PTR") == ({f"mx77.{zone}."} if pointers else set())
    assert not [plan.changes for plan in zones.plan(wanted) if plan.changes]
    told_by = [{**seal.sealed(image, "run", wanted.dns), "told": ["mx77"]} for image in images if image]
    for back in zones.plan_undo(wanted, told_by):
        zones.apply(back, lambda event: None)
    assert (backend.whole(zone), backend.whole(REVERSE)) == before


def test_foreign_ones_stay_or_stop_it(backend: Backend) -> None:
    """A CAA by default gives way; one that was asked for, SRV, TLS-RPT and PTR are conflicts."""
    zone = "contract16.test"
    backend.put(zone, f"mail.{zone}", 77, "CAA", '0 issue "other.test"')
    before = backend.whole(zone)
    wanted = everything(zone, backend, Acme())
    plans = zones.plan(wanted)
    (told,) = [text for plan in plans for text in plan.notices if "CAA" in text]
    assert (
        f'mail.{zone}: CAA of somebody else stands here and stays: 0 issue "other.test" (the authority'
        in told
    )
    for plan in plans:
        if plan.zone == zone:
            zones.apply(plan, lambda event: None)
    assert before.items() <= backend.whole(zone).items()
    with pytest.raises(DnsFailed, match="has CAA that mailprov did not write"):
        zones.plan(everything(zone, backend, Acme(caa="letsencrypt.org")))
    for place, name, kind, text in (
        ("contract17.test", "_imap._tcp.contract17.test", "SRV", "0 0 0 ."),
        ("contract17.test", "_smtp._tls.contract17.test", "TXT", '"v=TLSRPTv1; rua=mailto:a@b.test"'),
        (REVERSE, POINTER, "PTR", "old.example."),
    ):
        if not holds(wanted, kind):
            continue
        backend.put(place, name, 77, kind, text)
        with pytest.raises(DnsFailed, match=f"{name} has .* that mailprov did not write"):
            zones.plan(everything("contract17.test", backend, Acme()))
        backend.put(place, name, 77, kind)


@pytest.mark.parametrize("leaves", ["the domain", "reverse"])
def test_pointers_leave_with_what_wanted_them(backend: Backend, leaves: str) -> None:
    """No mail domain leads to the zone of an address: the markers of others do."""
    zone = "contract18.test"
    wanted = everything(zone, backend, Acme())
    if not holds(wanted, "PTR"):
        pytest.skip("there are no PTR records at this provider")
    backend.put(REVERSE, f"80.{REVERSE}", 77, "PTR", "theirs.example.")
    before = backend.whole(zone), backend.whole(REVERSE)
    beside = dataclasses.replace(
        inventory("contract19.test", wanted.dns, start=9),
        hosts=tuple(
            dataclasses.replace(one, ipv4=("10.9.9.9",))
            for one in inventory("contract19.test", wanted.dns, start=9).hosts
        ),
    )
    both = dataclasses.replace(
        wanted, hosts=(*wanted.hosts, *beside.hosts), domains=(*wanted.domains, *beside.domains)
    )
    publish(both)
    assert not [plan.changes for plan in zones.plan(both) if plan.changes]
    assert backend.texts(REVERSE, POINTER, "PTR") == {f"mx77.{zone}."}
    if leaves == "reverse":
        publish(dataclasses.replace(both, dns=dataclasses.replace(both.dns, reverse=False)))
        assert backend.whole(REVERSE) == before[1]
    publish(beside)
    assert (backend.whole(zone), backend.whole(REVERSE)) == before
    assert not [plan.changes for plan in zones.plan(beside) if plan.changes]
    assert "in-addr.arpa" not in str(backend.texts("contract19.test", "_mailprov.contract19.test", "TXT"))
