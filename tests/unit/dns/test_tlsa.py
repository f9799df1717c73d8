"""TLSA records: in signed zones alone, beside nobody else's, and a key that they name changes in no plan."""

from __future__ import annotations

import dataclasses
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.resolver
import dns.rrset
import pytest

from mailprov import dns as zones
from mailprov.dns import dnssec, providers, read_back, seal
from mailprov.dns.driver import Answer, Driver, Outcome, Reading
from mailprov.dns.rrsets import Edit, RRset, Stored
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import DnsFailed
from mailprov.model.inventory import Inventory, Mx, Tls
from mailprov.model.tls_keys import HostKeys
from mailprov.records import desired_records, types
from tests.unit.dns import servers
from tests.unit.dns.drivers import BACKENDS, Backend
from tests.unit.dns.servers import NameServer, inventory

OLD, NEW, THEIRS = "0a" * 32, "0b" * 32, "0c" * 32
SERVES = HostKeys((OLD,), served=(OLD,))


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


def signs(backend: Backend, monkeypatch: pytest.MonkeyPatch, told: bool | None = True) -> None:
    monkeypatch.setattr(backend.driver, "signed", lambda driver, zones: dict.fromkeys(zones, told))


def holds(wanted: Inventory) -> bool:
    abilities = providers.of(wanted.dns).abilities
    return abilities is not None and (abilities.types is None or "TLSA" in abilities.types)


def applied(wanted: Inventory, keys: HostKeys, switching: bool = False) -> list[ZonePlan]:
    plans = zones.plan(wanted, tls={"mx1": keys}, switching=switching)
    for plan in plans:
        if plan.zone:
            zones.apply(plan, lambda event: None)
    return plans


def test_only_where_the_zone_is_signed(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = "contract18.test"
    name = f"_25._tcp.mx1.{zone}"
    wanted = inventory(zone, backend.settings())
    before = backend.whole(zone)
    signs(backend, monkeypatch, False)
    plans = applied(wanted, SERVES)
    assert not backend.texts(zone, name, "TLSA")
    told = [text for plan in plans for text in plan.notices if "DNSSEC" in text]
    assert ["contract18.test is not signed with DNSSEC" in text for text in told] == [True]
    again = zones.plan(wanted, tls={"mx1": SERVES})
    assert not [text for plan in again for text in plan.notices if "DNSSEC" in text]  # it is told once

    signs(backend, monkeypatch)
    (first, *_rest) = zones.plan(wanted, tls={"mx1": SERVES})
    image = zones.before_image(first)
    applied(wanted, SERVES)
    if not holds(wanted):
        assert not backend.texts(zone, name, "TLSA")
        return
    assert backend.texts(zone, name, "TLSA") == {f"3 1 1 {OLD}"}
    assert not [plan.changes for plan in zones.plan(wanted, tls={"mx1": SERVES}) if plan.changes]
    # Of a host that has told nothing, and where nobody knows whether the zone is signed, it stays as it is.
    assert not [plan.changes for plan in zones.plan(wanted) if plan.changes]
    signs(backend, monkeypatch, None)
    (doubtful, *_rest) = zones.plan(wanted, tls={"mx1": HostKeys((NEW,), served=(NEW,))})
    assert not doubtful.changes
    signs(backend, monkeypatch)
    # Both side by side, and then the old one goes.
    applied(wanted, HostKeys((OLD, NEW), served=(OLD,)))
    assert backend.texts(zone, name, "TLSA") == {f"3 1 1 {OLD}", f"3 1 1 {NEW}"}
    applied(wanted, HostKeys((NEW,), served=(NEW,)))
    assert backend.texts(zone, name, "TLSA") == {f"3 1 1 {NEW}"}
    applied(wanted, SERVES)
    assert image is not None
    for back in zones.plan_undo(wanted, [{**seal.sealed(image, "run", wanted.dns), "told": ["mx1"]}]):
        zones.apply(back, lambda event: None)
    assert not backend.texts(zone, name, "TLSA")
    applied(wanted, SERVES)
    off = dataclasses.replace(wanted, hosts=(dataclasses.replace(wanted.hosts[0], tls=Tls(tlsa=False)),))
    applied(off, SERVES)
    assert not backend.texts(zone, name, "TLSA")
    assert before.items() <= backend.whole(zone).items()


def test_a_foreign_one_stays_and_is_judged(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = "contract19.test"
    name = f"_25._tcp.mx1.{zone}"
    wanted = inventory(zone, backend.settings())
    if not holds(wanted):
        return
    signs(backend, monkeypatch)
    backend.put(zone, name, 300, "TLSA", f"2 1 1 {THEIRS}")
    plans = applied(wanted, SERVES)
    (told,) = [text for plan in plans for text in plan.notices if "TLSA" in text]
    assert f"{name}: TLSA of somebody else stands here and stays: 2 1 1 {THEIRS}" in told
    assert "the key of this host is not among them as 3 1 1" in told
    assert backend.whole(zone)[name, "TLSA"] == (300, frozenset({f"2 1 1 {THEIRS}"}))
    backend.put(zone, name, 77, "TLSA")


def test_a_plan_that_changes_a_published_key_is_refused(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = "contract20.test"
    name = f"_25._tcp.mx1.{zone}"
    wanted = inventory(zone, backend.settings())
    if not holds(wanted):
        return
    signs(backend, monkeypatch)
    changing = HostKeys((OLD,), changes=True, served=(OLD,))
    (plan, *_rest) = zones.plan(wanted, tls={"mx1": changing})  # nothing is published yet
    assert "TLSA" not in str(plan.changes)
    applied(wanted, SERVES)
    with pytest.raises(DnsFailed, match="its certificate would change") as caught:
        zones.plan(wanted, tls={"mx1": changing})
    assert "mailprov tls rotate" in str(caught.value)
    applied(wanted, changing, switching=True)
    assert backend.texts(zone, name, "TLSA") == {f"3 1 1 {OLD}"}  # until the new one is served
    # Whatever stands there and names another key is no reason to wait.
    assert zones.plan(wanted, tls={"mx1": HostKeys((NEW,), changes=True, served=(NEW,))})
    signs(backend, monkeypatch, False)
    assert zones.plan(wanted, tls={"mx1": changing})


def test_what_follows_at_the_end_of_an_apply_is_told(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = "contract20.test"
    wanted = inventory(zone, backend.settings())
    if not holds(wanted):
        return
    name, key = f"_25._tcp.mx1.{zone} TLSA", HostKeys((), changes=True, coming=(NEW,))

    def told(keys: HostKeys, **how: Any) -> list[str]:
        plans = zones.plan(wanted, tls={"mx1": keys}, **how)
        return [text for plan in plans for text in plan.notices if "follows" in text]

    signs(backend, monkeypatch)
    known = f"{name} follows at the end of the apply, when mx1 serves that key: 3 1 1 {NEW}"
    unknown = f"{name} follows at the end of the apply, of the key that mx1 serves then"
    assert told(key) == [known]
    assert told(key._replace(coming=())) == [unknown]
    assert not told(SERVES)
    assert not told(key, switching=True)  # that run tells its steps
    signs(backend, monkeypatch, False)
    assert not told(key)


def test_going_back_its_record_is_that_of_the_key_that_is_served(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback does not always bring the key before back: an authority's certificate stays."""
    zone = "contract18.test"
    name = f"_25._tcp.mx1.{zone}"
    wanted = inventory(zone, backend.settings())
    if not holds(wanted):
        return
    signs(backend, monkeypatch)
    images = []
    for keys in (SERVES, HostKeys((OLD, NEW), served=(OLD,)), HostKeys((NEW,), served=(NEW,))):
        (plan, *_rest) = zones.plan(wanted, tls={"mx1": keys})
        image = zones.before_image(plan)
        assert image is not None
        images.append({**seal.sealed(image, "run", wanted.dns), "told": ["mx1"]})
        applied(wanted, keys)
    first, published, switched = images

    def back(served: str, *which: Any) -> list[str]:
        plans = zones.plan_undo(wanted, which, {name: {f"3 1 1 {served}"}})
        for plan in plans:
            zones.apply(plan, lambda event: None)
        return [text for plan in plans for text in plan.notices]

    (said,) = back(NEW, switched)
    assert said.startswith(f"{name} TLSA: not put back as it was before that run")
    assert backend.texts(zone, name, "TLSA") == {f"3 1 1 {NEW}"}  # not the old one, which was replaced
    assert not [plan.changes for plan in zones.plan(wanted, tls={"mx1": HostKeys((NEW,))}) if plan.changes]
    applied(wanted, HostKeys((OLD, NEW)))
    # Killed behind the switch: what the last run published is served, and stays.
    back(NEW, published)
    assert backend.texts(zone, name, "TLSA") == {f"3 1 1 {OLD}", f"3 1 1 {NEW}"}
    back(OLD, published)
    assert backend.texts(zone, name, "TLSA") == {f"3 1 1 {OLD}"}
    back(OLD, first)
    assert not backend.texts(zone, name, "TLSA")


def test_hosts_that_are_no_mx_have_none() -> None:
    wanted = inventory("alpha.test", servers.NameServer(53).settings(), hosts=2)
    keys = {name: HostKeys((digest,)) for name, digest in (("mx1", OLD), ("mx2", NEW))}
    assert {one.value for one in desired_records(wanted, tls=keys) if one.type == "TLSA"} == {
        f"3 1 1 {OLD}",
        f"3 1 1 {NEW}",
    }
    domain = dataclasses.replace(wanted.domains[0], mx=(Mx("mx2", None, True),))
    fewer = dataclasses.replace(wanted, domains=(domain,))
    assert [one.name for one in desired_records(fewer, tls=keys) if one.type == "TLSA"] == [
        "_25._tcp.mx1.alpha.test"
    ]
    (line,) = [line for line in zones.export(wanted, tls=keys).splitlines() if NEW in line]
    assert line == f"_25._tcp.mx2.alpha.test. 300 IN TLSA 3 1 1 {NEW}"


def test_one_spelling_for_each_meaning() -> None:
    assert types.parse("TLSA", "3 1 1 0A0B 0C0d") == "3 1 1 0a0b0c0d"
    assert types.valid("TLSA", f"3 1 1 {OLD}")
    assert not types.valid("TLSA", "3 1 1 nonsense")
    assert types.writes_at("_25._tcp.mx1.alpha.test", "TLSA")
    assert not types.writes_at("mx1.alpha.test", "TLSA")


def test_keys_without_a_signature_protect_nothing() -> None:
    def told(*rrsets: tuple[str, str], authoritative: bool = True) -> bool | None:
        answer = dns.message.make_response(dnssec.question("alpha.test"))
        answer.flags |= dns.flags.AA if authoritative else 0
        answer.answer = [dns.rrset.from_text("alpha.test.", 60, "IN", *one) for one in rrsets]
        return dnssec.told("alpha.test", answer)

    key = ("DNSKEY", "257 3 13 AAAA")
    signature = ("RRSIG", "DNSKEY 13 2 60 20400101000000 20200101000000 2371 alpha.test. AAAA")
    other = ("RRSIG", "SOA 13 2 60 20400101000000 20200101000000 2371 alpha.test. AAAA")
    assert told(key, signature) is True
    assert [told(), told(key), told(signature), told(key, other)] == [False] * 4
    assert told(key, signature, authoritative=False) is None  # a resolver's memory


def _sign(server: NameServer, zone: str) -> None:
    """Of a server that was stopped, or is going: keys for one zone, and signatures."""
    folder = server.folder
    if server.kind == "powerdns":
        with (folder / "pdns.conf").open("a") as told:
            told.write("gsqlite3-dnssec=yes\n")
        subprocess.run(
            ["pdnsutil", f"--config-dir={folder}", "secure-zone", zone], check=True, capture_output=True
        )
    elif server.kind == "knot":
        text = (folder / "knot.conf").read_text()
        line = f"  - domain: {zone}\n"
        assert line in text
        (folder / "knot.conf").write_text(text.replace(line, f"{line}    dnssec-signing: on\n"))
    else:
        text = (folder / "named.conf").read_text()
        head = f'zone "{zone}" {{'
        assert head in text
        signed = f'{head} dnssec-policy default; inline-signing yes; key-directory "{folder}";'
        (folder / "named.conf").write_text(text.replace(head, signed))


def _until_signed(server: NameServer, zone: str) -> None:
    """A server answers before it has signed all of its zones."""
    for _try in range(300):
        with suppress(dns.exception.DNSException, OSError, EOFError):  # no answer while it signs: asked again
            answer = dns.query.tcp(dnssec.question(zone), "127.0.0.1", port=server.port, timeout=5)
            if dnssec.told(zone, answer):
                return
        time.sleep(0.1)
    raise AssertionError(f"{server.kind} does not sign {zone}")


@pytest.mark.parametrize("kind", servers.KINDS)
def test_its_own_server_says_whether_a_zone_is_signed(kind: str, tmp_path: Path) -> None:
    """By update and by HTTP; and without either, as of providers that do not tell it, by DNS alone."""
    if missing := servers.KINDS[kind].missing():
        pytest.skip(missing)
    configure = servers.KINDS[kind].configure

    def signing(folder: Path, port: int, texts: object) -> list[str]:
        arguments = configure(folder, port, {"create.test": "", "same.test": ""})
        _sign(NameServer(port, kind, folder), "create.test")
        return arguments

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(servers.KINDS, kind, dataclasses.replace(servers.KINDS[kind], configure=signing))  # type: ignore[arg-type]
        with servers.serving(kind, tmp_path) as server:
            _until_signed(server, "create.test")
            with providers.open_driver(server.settings()) as driver:
                assert driver.signed(["create.test", "same.test", "gone.test"]) == {
                    "create.test": True,
                    "same.test": False,
                    "gone.test": None,
                }
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers, resolver.port = ["127.0.0.1"], server.port
            patch.setattr(dnssec, "PORT", server.port)
            patch.setattr(dns.resolver, "Resolver", lambda: resolver)
            assert dnssec.asked(["create.test", "same.test"]) == {"create.test": True, "same.test": False}


class Late(Driver):
    """A server that answers as it did before for some questions, since it keeps a signed copy of the zone."""

    where = "DNS server 192.0.2.2"

    def __init__(self, late: int, signs: bool) -> None:
        self.late, self.signs, self.asked = late, signs, 0

    def query(self, keys: Any = (), names: Any = (), proofs: Any = ()) -> Reading:
        self.asked += 1
        there = {("a.test", "TXT"): RRset(300, (Stored("new" if self.asked > self.late else "old"),))}
        return Reading({key: Answer(there, exists=True, zone="a.test") for key in keys})

    def write(self, *args: Any) -> Outcome:
        raise AssertionError

    def signed(self, zones: Any) -> dict[str, bool | None]:
        return dict.fromkeys(zones, self.signs)


def test_a_server_has_the_time_to_sign_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_back, "POLL_SECONDS", 0)
    edits = [Edit("a.test", "TXT", 300, ("old",), ("new",))]
    assert read_back.in_time(Late(3, True), "a.test", edits) == {}
    # Where nothing is signed nothing is late: then it was ignored, and that is said at once.
    unsigned = Late(3, False)
    assert read_back.in_time(unsigned, "a.test", edits) == {"a.test TXT": "a.test TXT"}
    assert unsigned.asked == 1
    monkeypatch.setattr(read_back, "SIGNING_SECONDS", 0)
    assert read_back.in_time(Late(3, True), "a.test", edits) == {"a.test TXT": "a.test TXT"}
