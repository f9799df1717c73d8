"""What others' SPF records include is looked up: at the provider that has the zones, then of a resolver, in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from mailprov import dns as zones
from mailprov.dns import providers, spf_facts
from mailprov.dns.reading import read
from mailprov.errors import DnsFailed
from mailprov.records import desired_records
from tests.unit.dns.backend import Backend
from tests.unit.dns.drivers import BACKENDS
from tests.unit.dns.servers import PATIENCE, inventory

ZONE = "contracts1.test"
TEXTS = {"a.example.": "v=spf1 include:b.example -all", "b.example.": "v=spf1 a mx -all"}


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with BACKENDS["memory"](tmp_path) as made:
        yield made


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[dns.resolver.Resolver]:
    """One that knows TEXTS, has no answer about silent.example, and says of all else that it is not there."""
    monkeypatch.setattr(spf_facts, "SECONDS", PATIENCE)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            data, client = server.recvfrom(4096)
            if not data:
                return
            question = dns.message.from_wire(data)
            name = question.question[0].name.to_text()
            answer = dns.message.make_response(question)
            if name == "silent.example.":
                answer.set_rcode(dns.rcode.SERVFAIL)
            elif name in TEXTS:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", f'"{TEXTS[name]}"'))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            server.sendto(answer.to_wire(), client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    found = dns.resolver.Resolver(configure=False)
    found.nameservers, found.port = ["127.0.0.1"], server.getsockname()[1]
    yield found
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"", server.getsockname())
    thread.join()
    server.close()


def known(backend: Backend, text: str, resolver: dns.resolver.Resolver | None) -> dict[str, object]:
    backend.put(ZONE, ZONE, 77, "TXT", f'"{text}"')
    wanted = inventory(ZONE, backend.settings())
    with providers.open_driver(wanted.dns) as driver:
        snapshot = read(driver, ZONE, [(ZONE, "TXT")])
        facts = spf_facts.gather(driver, wanted, desired_records(wanted), {ZONE: snapshot}, resolver)
    return {name: texts if texts is None else list(texts) for name, texts in facts.texts.items()}


def test_as_deep_as_it_goes(backend: Backend, resolver: dns.resolver.Resolver) -> None:
    backend.put(ZONE, f"_spf.{ZONE}", 60, "TXT", '"v=spf1 include:a.example include:none.example -all"')
    assert known(backend, f"v=spf1 include:_SPF.{ZONE}. include:silent.example ~all", resolver) == {
        f"_spf.{ZONE}": ["v=spf1 include:a.example include:none.example -all"],
        "a.example": ["v=spf1 include:b.example -all"],
        "b.example": ["v=spf1 a mx -all"],
        "none.example": [],
        "silent.example": None,
    }


def test_nothing_is_asked_where_nothing_is_to_be_added(
    backend: Backend, resolver: dns.resolver.Resolver
) -> None:
    assert known(backend, "v=spf1 include:a.example mx ~all", resolver) == {}
    assert known(backend, "v=spf1 include:a.example ip4:10.0.0.0/8 ~all", resolver) != {}


@pytest.mark.parametrize("name", ["a..b.example", "é.example", "a" * 64, f"{'a.' * 127}test", "", "*"])
def test_a_name_that_cannot_be_asked_for_has_no_record(backend: Backend, name: str) -> None:
    assert list(known(backend, f"v=spf1 include:{name} ~all", None).values()) in ([[]], [])


def test_who_may_not_look_knows_nothing(backend: Backend) -> None:
    """The time is over: as where no resolver answers."""
    assert known(backend, "v=spf1 include:a.example ~all", None) == {"a.example": None}


def test_the_plan_goes_by_it(
    backend: Backend, resolver: dns.resolver.Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns.resolver, "Resolver", lambda: resolver)
    terms = " ".join(f"a:a{number}.example" for number in range(5))
    backend.put(ZONE, ZONE, 77, "TXT", f'"v=spf1 {terms} include:a.example ~all"')
    plan = next(one for one in zones.plan(inventory(ZONE, backend.settings())) if one.zone == ZONE)
    assert any(change.name == f"{ZONE} TXT" for change in plan.changes), "5 + 2 includes + a + mx, and ours"
    backend.put(ZONE, ZONE, 77, "TXT", f'"v=spf1 {terms} a include:a.example ~all"')
    with pytest.raises(DnsFailed, match="more than 10 DNS lookups"):
        zones.plan(inventory(ZONE, backend.settings()))
