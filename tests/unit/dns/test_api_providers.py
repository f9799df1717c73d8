"""Every provider with an API: what it may do to us, and that nothing of anybody else ever changes by it.

Each test has zones of its own, and compares all of them before and after, with what the provider has besides DNS data.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailprov import dns as zones
from mailprov.dns import providers, seal
from mailprov.dns.providers.ovh import driver as ovh
from mailprov.errors import DnsFailed, DnsUnreachable, MailprovError
from mailprov.model.events import Applied, Event
from mailprov.model.inventory import Inventory
from tests.unit.dns.api_backends import STAND_INS, ApiBackend, standing_in
from tests.unit.dns.api_server import Answer, Fault
from tests.unit.dns.rows import TOKEN
from tests.unit.dns.servers import inventory

ZONE = "mine.test"
FOREIGN = (
    '@ MX 5 ns.mine.test.\n@ TXT "site=abc; x"\n@ TXT "v=spf1 include:x.example ~all"\nwww A 192.0.2.80\n'
    'www TXT "v=spf1 -all"\n*.web A 192.0.2.81\n_dmarc TXT "v=DMARC1; p=reject"\nsub NS ns.elsewhere.test.\n'
    "xn--bcher-kva A 192.0.2.82\nftp CNAME www\n"
)
WRITES = "^(POST|PUT|PATCH|DELETE) (?!.*/refresh)"


@pytest.fixture(params=STAND_INS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ApiBackend]:
    with standing_in(request.param, tmp_path) as made:
        made.api.zones.clear()
        for zone, text in (
            (ZONE, ""),
            ("theirs.test", FOREIGN.replace("mine", "theirs")),
            ("other.test", ""),
        ):
            made.api.add(zone, text)
        made.api.published()
        yield made


def wanted(backend: ApiBackend, zone: str = ZONE, **more: Any) -> Inventory:
    return inventory(zone, backend.settings(**more))


def plan(backend: ApiBackend, zone: str = ZONE, **more: Any) -> zones.ZonePlan:
    return next(one for one in zones.plan(wanted(backend, zone, **more)) if one.zone == zone)


def publish(backend: ApiBackend, zone: str = ZONE, **more: Any) -> list[Event]:
    events: list[Event] = []
    for one in zones.plan(wanted(backend, zone, **more)):
        zones.apply(one, events.append)
    return events


def leave(backend: ApiBackend, zone: str = ZONE) -> None:
    """The domain leaves the inventory."""
    others = inventory("other.test", backend.settings(), start=9)
    for one in zones.plan(others, served={zone: [f"mx1.{zone}"]}):
        zones.apply(one, lambda event: None)


def done(events: list[Event]) -> set[str]:
    return {event.change.name for event in events if isinstance(event, Applied)}


def everything(backend: ApiBackend) -> dict[str, Any]:
    return {zone: (backend.whole(zone), backend.api.details(zone)) for zone in backend.api.zones}


def test_a_token_that_is_wrong_or_may_only_read(backend: ApiBackend) -> None:
    before = everything(backend)
    with pytest.raises(DnsFailed) as caught:
        plan(backend, token="a-wrong-token-of-somebody")
    assert "it refused the token with 40" in str(caught.value)
    assert "what the token needs: " in str(caught.value)
    assert "a-wrong-token-of-somebody" not in str(caught.value)
    backend.api.rights["reading-token-of-somebody"] = "read"
    one = plan(backend, token="reading-token-of-somebody")
    with pytest.raises(DnsFailed, match="it refused the token with 403") as caught:
        zones.apply(one, lambda event: None)
    assert re.search(r"\((POST|PUT) ", str(caught.value))
    assert everything(backend) == before


@pytest.mark.parametrize("answer", [None, Answer(502, b"<html>bad gateway</html>"), Answer(200, b"<html>")])
def test_an_answer_that_is_lost_after_the_change(backend: ApiBackend, answer: Answer | None) -> None:
    """Of the last write: all of it stands, as reading back shows."""
    publish(backend)
    count = len(backend.api.calls(WRITES))
    leave(backend)
    one = plan(backend)
    backend.api.faults = [Fault(WRITES, answer, after=True, skip=count - 1)]
    events: list[Event] = []
    zones.apply(one, events.append)
    assert done(events) == {change.name for change in one.changes}
    assert not plan(backend).changes


def test_wherever_a_write_ends_the_next_one_heals_it(backend: ApiBackend) -> None:
    """After each call, done or not: what stands is said, is known for ours, and leaves with the domain."""
    backend.put(ZONE, ZONE, 600, "TXT", '"theirs"', comment="mind it")
    before = everything(backend)
    publish(backend)
    count = len(backend.api.calls(WRITES))
    leave(backend)
    assert everything(backend)["theirs.test"] == before["theirs.test"]
    assert backend.whole(ZONE) == before[ZONE][0]
    ends = [(number, after) for number in range(count) for after in (False, True)]
    for number, after in ends[:: 5 if backend.name == "ovh" else 1]:  # many calls each
        one = plan(backend)
        fault = Fault(WRITES, Answer(500, {"message": "oops"}), after=after, skip=number)
        backend.api.faults = [fault]
        events: list[Event] = []
        with contextlib.suppress(DnsUnreachable):
            zones.apply(one, events.append)
        backend.api.faults.clear()
        live = backend.whole(ZONE)
        for change in one.changes:
            name, kind = change.name.split(" ")
            stands = (name, kind) in live and change.name != f"{ZONE} TXT"
            assert change.name in done(events) or not stands or number or after
        publish(backend)
        assert not plan(backend).changes
        leave(backend)
        assert backend.whole(ZONE) == before[ZONE][0], (number, after)
    assert everything(backend)["theirs.test"] == before["theirs.test"]


def test_what_others_have_besides_dns_data_stays(backend: ApiBackend) -> None:
    """Comments, tags, ids: of records in sets that are shared, too, where each is a record of its own."""
    backend.put(ZONE, ZONE, 600, "TXT", '"theirs"', comment="mind it", tags=["a"])
    before = backend.api.details(ZONE)
    publish(backend)
    publish(backend, ttl=900)
    leave(backend)
    if backend.name == "gandi":  # it has no ids
        assert backend.whole(ZONE)[ZONE, "TXT"] == (600, frozenset({'"theirs"'}))
    else:
        assert backend.api.details(ZONE) == before


def test_take_over_and_back_in_a_full_zone(backend: ApiBackend) -> None:
    before = everything(backend)
    zone = "theirs.test"
    with pytest.raises(DnsFailed) as caught:
        plan(backend, zone)
    assert "has MX that mailprov did not write: 5 ns.theirs.test" in str(caught.value)
    (one,) = zones.plan(wanted(backend, zone), take_over=True)
    image = zones.before_image(one)
    zones.apply(one, lambda event: None)
    assert backend.texts(zone, zone, "TXT") == {'"site=abc; x"', '"v=spf1 mx -all"'}
    assert not plan(backend, zone).changes
    assert image is not None
    sealed = seal.sealed(image, "run", backend.settings())
    (back,) = zones.plan_undo(wanted(backend, zone), [{**sealed, "told": ["mx1"]}])
    zones.apply(back, lambda event: None)
    assert backend.whole(zone) == before[zone][0]
    assert everything(backend)[ZONE] == before[ZONE]


def test_a_domain_that_takes_no_mail_and_back(backend: ApiBackend) -> None:
    """RFC 7505: its MX is the root."""
    backend.put(ZONE, ZONE, 300, "MX", "0 .")
    before = everything(backend)
    (one,) = zones.plan(wanted(backend), take_over=True)
    image = zones.before_image(one)
    zones.apply(one, lambda event: None)
    assert backend.texts(ZONE, ZONE, "MX") == {"10 mx1.mine.test."}
    assert image is not None
    sealed = seal.sealed(image, "run", backend.settings())
    (back,) = zones.plan_undo(wanted(backend), [{**sealed, "told": ["mx1"]}])
    zones.apply(back, lambda event: None)
    assert {zone: one[0] for zone, one in everything(backend).items()} == {
        zone: one[0] for zone, one in before.items()
    }


def test_a_name_in_the_zone_that_is_no_domain_of_ours(backend: ApiBackend) -> None:
    """A mail domain below the zone, internationalised, and a host at a name that a wildcard covers."""
    before = backend.whole("theirs.test")
    base = inventory("theirs.test", backend.settings())
    host = dataclasses.replace(base.hosts[0], fqdn="mx.web.theirs.test")
    domain = dataclasses.replace(base.domains[0], name="xn--caf-dma.theirs.test")
    mine = dataclasses.replace(base, hosts=(host,), domains=(domain,))
    for one in zones.plan(mine):
        zones.apply(one, lambda event: None)
    after = backend.whole("theirs.test")
    assert {key: after[key] for key in before} == before
    assert after["xn--caf-dma.theirs.test", "MX"] == (300, frozenset({"10 mx.web.theirs.test."}))
    assert after["mx.web.theirs.test", "A"] == (300, frozenset({"10.0.0.1"}))
    assert not zones.plan(mine)[0].changes


SENSELESS = [None, True, 5, "x", [], [5], [None], {}, [{}], {"result": [{}], "success": True}, {"domains": 5}]
SENSELESS += [
    {"domain_records": [{}]},
    {"result": 7, "success": True},
    [[[]]],
    {"errors": [5]},
    [{"rrset_values": 1}],
]


@pytest.mark.parametrize("status", [200, 400, 404])
def test_answers_that_make_no_sense(backend: ApiBackend, status: int) -> None:
    """To each call of a plan and of an apply: one sentence, and nothing that was not there before is claimed."""
    one = plan(backend)
    count = len(backend.api.requests)
    before = everything(backend)
    for number in range(0, count, 7):
        for data in SENSELESS:
            backend.api.faults = [Fault("GET", Answer(status, data), skip=number)]
            with contextlib.suppress(MailprovError):
                zones.plan(wanted(backend))
    assert everything(backend) == before
    for data in SENSELESS:
        backend.api.faults = [Fault(WRITES, Answer(status, data), times=99)]
        with pytest.raises(MailprovError):
            zones.apply(one, lambda event: None)
    backend.api.faults.clear()
    assert everything(backend) == before


def test_a_zone_that_the_token_does_not_see(backend: ApiBackend) -> None:
    with pytest.raises(DnsFailed) as caught:
        plan(backend, "nowhere.example")
    assert "the zone of nowhere.example is not there (looked for nowhere.example in its 3 zones)" in str(
        caught.value
    )
    assert str(caught.value).endswith("Create the zone there, or use a token that may see it.")


def test_no_token_in_what_a_driver_shows(backend: ApiBackend) -> None:
    with providers.open_driver(backend.settings()) as driver:
        driver.query(names=[ZONE])
        for one in (driver, driver.where, backend.settings()):
            assert TOKEN not in repr(one)
    assert not any(TOKEN in one for one in backend.api.calls())


@pytest.mark.parametrize("backend", ["cloudflare"], indirect=True)
class TestCloudflare:
    def test_a_mail_host_behind_the_proxy_is_a_conflict(self, backend: ApiBackend) -> None:
        backend.put(ZONE, f"mx1.{ZONE}", 1, "A", "10.0.0.1", proxied=True)
        backend.put(ZONE, f"www.{ZONE}", 1, "A", "192.0.2.1", proxied=True, comment="web")
        before = everything(backend)
        for take_over in (False, True):
            with pytest.raises(
                DnsFailed, match=r"mx1\.mine\.test A is behind Cloudflare's proxy, which takes no mail"
            ):
                zones.plan(wanted(backend), take_over)
        assert everything(backend) == before
        backend.put(ZONE, f"mx1.{ZONE}", 1, "A", "10.0.0.1", proxied=False)
        publish(backend)
        key = (f"www.{ZONE}", "A")
        assert backend.api.details(ZONE)[key, "192.0.2.1"] == before[ZONE][1][key, "192.0.2.1"]
        assert not plan(backend).changes

    def test_proxied_since_the_plan(self, backend: ApiBackend) -> None:
        publish(backend)
        one = plan(backend, ttl=900)
        backend.put(ZONE, f"mx1.{ZONE}", 1, "A", "10.0.0.1", proxied=True)
        before = everything(backend)
        with pytest.raises(DnsFailed, match="behind Cloudflare's proxy"):
            zones.apply(one, lambda event: None)
        assert everything(backend) == before

    def test_an_automatic_ttl_of_others_stays(self, backend: ApiBackend) -> None:
        backend.put(ZONE, ZONE, 1, "TXT", '"theirs"')
        publish(backend, ttl=900)
        ttls = {row.text: row.ttl for row in backend.api.zones[ZONE] if row.key == (ZONE, "TXT")}
        assert ttls == {'"theirs"': 1, '"v=spf1 mx -all"': 300}
        assert not plan(backend, ttl=900).changes

    def test_texts_that_stand_there_without_quotes(self, backend: ApiBackend) -> None:
        backend.put(ZONE, ZONE, 300, "TXT", '"v=spf1 mx -all"', content="v=spf1 mx -all")
        assert f"{ZONE} TXT" not in {change.name for change in plan(backend).changes}

    def test_what_is_no_token_at_all(self, backend: ApiBackend) -> None:
        with pytest.raises(DnsFailed, match=r"it refused the token with 400: Invalid request headers"):
            plan(backend, token="short")

    def test_one_that_says_no_success_with_200(self, backend: ApiBackend) -> None:
        wrong = {"success": False, "errors": [{"code": 1, "message": "not today"}]}
        backend.api.faults = [Fault("POST", Answer(200, wrong))]
        one = plan(backend)
        with pytest.raises(DnsFailed, match="it answered 200: not today"):
            zones.apply(one, lambda event: None)


@pytest.mark.parametrize("backend", ["digitalocean"], indirect=True)
def test_digitalocean_takes_no_long_text(backend: ApiBackend) -> None:
    """Of a key of 4096 bits: said before anything is written. Of 2048 bits it fits."""
    before = everything(backend)
    long = {"mx1": {f"{ZONE}.mx1-rsa-1": "v=DKIM1; k=rsa; p=" + "A" * 736}}
    (one,) = zones.plan(wanted(backend), keys=long)
    with pytest.raises(DnsFailed, match=r"takes 512 at most, so nothing was written.*2048 bits"):
        zones.apply(one, lambda event: None)
    assert everything(backend) == before
    usual = {"mx1": {f"{ZONE}.mx1-rsa-1": "v=DKIM1; k=rsa; p=" + "A" * 392}}
    (one,) = zones.plan(wanted(backend), keys=usual)
    zones.apply(one, lambda event: None)
    assert len(backend.texts(ZONE, f"mx1-rsa-1._domainkey.{ZONE}", "TXT")) == 1


@pytest.mark.parametrize("kind", ["SRV", "MX"])
def test_a_target_that_is_nothing_is_read_as_that(backend: ApiBackend, kind: str) -> None:
    """`.` says that there is no such service (RFC 2782, RFC 7505); Gandi has it so in each new zone, with blanks."""
    text = "0 0 0 ." if kind == "SRV" else "0 ."
    told = {"as_told": "0 0 0   ."} if kind == "SRV" and backend.name == "gandi" else {}
    name = f"_imap._tcp.{ZONE}" if kind == "SRV" else f"none.{ZONE}"
    backend.put(ZONE, name, 300, kind, text, **told)
    with providers.open_driver(backend.settings()) as driver:
        answer = driver.query([(name, kind)]).answers[name, kind]
    assert [one.value for each in answer.sets.values() for one in each.stored] == [text]


@pytest.mark.parametrize("backend", ["ovh"], indirect=True)
class TestOvh:
    def test_types_of_its_own_are_texts(self, backend: ApiBackend) -> None:
        zone = "theirs.test"
        for row in backend.api.zones[zone]:
            if row.text.startswith(('"v=spf1 include', '"v=DMARC1')):
                row.more["fieldType"] = "SPF" if "spf1" in row.text else "DMARC"
                row.more["ttl"] = 0
        before = everything(backend)
        with pytest.raises(DnsFailed) as caught:
            plan(backend, zone)
        assert "has DMARC that mailprov did not write" in str(caught.value)
        assert everything(backend) == before
        (one,) = zones.plan(wanted(backend, zone), take_over=True)
        zones.apply(one, lambda event: None)
        kinds = {row.text: row.more.get("fieldType") for row in backend.api.zones[zone] if row.type == "TXT"}
        assert kinds['"v=spf1 mx -all"'] == "SPF"
        assert kinds['"v=DMARC1; p=none; aspf=s; rua=mailto:postmaster@theirs.test"'] == "DMARC"

    def test_its_filter_finds_names_that_only_look_alike(self, backend: ApiBackend) -> None:
        """LIKE: `_` is any character."""
        others = {f"adkim.{ZONE}": "theirs", f"xdmarc.{ZONE}": "v=DMARC1; p=reject"}
        for name, text in others.items():
            backend.put(ZONE, name, 300, "TXT", f'"{text}"')
        before = backend.whole(ZONE)
        with providers.open_driver(backend.settings()) as driver:
            found = driver.query([(f"_dmarc.{ZONE}", "TXT")]).answers[f"_dmarc.{ZONE}", "TXT"].sets
        assert (f"_dmarc.{ZONE}", "TXT") not in found
        publish(backend)
        assert backend.texts(ZONE, f"_dmarc.{ZONE}", "TXT")
        assert {name: backend.texts(ZONE, name, "TXT") for name in others} == {
            name: {f'"{text}"'} for name, text in others.items()
        }
        leave(backend)
        assert backend.whole(ZONE) == before

    def test_a_zone_that_is_stored_and_not_published(
        self, backend: ApiBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each try fails: that is an error, and the next apply publishes it though all of it is stored."""
        before = backend.whole(ZONE)
        backend.api.faults = [Fault("refresh", Answer(500), times=len(ovh._PAUSES) + 1)]
        events: list[Event] = []
        one = plan(backend)
        with pytest.raises(DnsFailed, match="has stored the records but not published them: it answered 500"):
            zones.apply(one, events.append)
        assert (done(events), backend.whole(ZONE)) == (set(), before)
        assert backend.naps == [*ovh._PAUSES, 0]
        publish(backend)
        assert backend.texts(ZONE, ZONE, "MX") == {"10 mx1.mine.test."}
        assert not plan(backend).changes
        assert all(
            "unpublished" not in text for _ttl, texts in backend.whole(ZONE).values() for text in texts
        )

    def test_a_clock_that_is_wrong(self, backend: ApiBackend) -> None:
        backend.api.ahead = -90_000  # type: ignore[attr-defined]
        publish(backend)
        assert backend.texts(ZONE, ZONE, "MX") == {"10 mx1.mine.test."}


@pytest.mark.parametrize("backend", ["gandi"], indirect=True)
def test_gandi_gets_back_others_values_as_it_told_them(backend: ApiBackend) -> None:
    """Also values as they are typed into its panel: a text without quotes, a relative name."""
    backend.put(ZONE, ZONE, 300, "TXT", '"theirs; x"', as_told="theirs; x")
    publish(backend)
    (put,) = (
        one for one in backend.api.requests if one.path.endswith("records/@/TXT") and one.method == "PUT"
    )
    assert put.body["rrset_values"] == ["theirs; x", '"v=spf1 mx -all"']
    leave(backend)
    backend.put(ZONE, ZONE, 300, "MX", "20 backup.mine.test.", as_told="20 backup")
    base = wanted(backend)
    backup = dataclasses.replace(base.domains[0], name=f"sub.{ZONE}")
    for one in zones.plan(dataclasses.replace(base, domains=(backup,))):
        zones.apply(one, lambda event: None)
    assert backend.texts(ZONE, ZONE, "MX") == {"20 backup.mine.test."}
    with pytest.raises(DnsFailed, match=r"has MX that mailprov did not write: 20 backup\.mine\.test "):
        plan(backend)
