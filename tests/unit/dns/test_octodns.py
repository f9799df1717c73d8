"""What octoDNS would do to a zone if it was let: each of the guards around it. All else is in test_contract.py."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
import urllib3
from octodns.provider.plan import Plan

from mailprov import dns as zones
from mailprov.dns import providers
from mailprov.dns.driver import Driver, Outcome
from mailprov.dns.providers.octodns import texts
from mailprov.dns.providers.octodns.settings import OctodnsSettings
from mailprov.dns.rrsets import Edit
from mailprov.errors import DnsFailed, DnsUnreachable, InputError, MailprovError
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Event, Notice
from mailprov.model.secret import Secret
from tests.unit.dns import octodns_fakes as fakes
from tests.unit.dns.api_backends import standing_in
from tests.unit.dns.api_server import Answer, ApiServer, Request
from tests.unit.dns.api_server import serving as api_serving
from tests.unit.dns.octodns_backend import OctodnsCloudflare, OctodnsPowerDns
from tests.unit.dns.servers import API_KEY, inventory, serving

FAKES = "tests.unit.dns.octodns_fakes"
TOKEN = "the token/of a+fake"
ZONE = "fake.test"
NAMES = ("off.test", "semicolon.test", "long.test", "serial.test", "gone.test", "odd.test", "contract2.test")


@pytest.fixture(scope="module")
def powerdns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OctodnsPowerDns]:
    with serving("powerdns", tmp_path_factory.mktemp("pdns"), dict.fromkeys(NAMES, "")) as server:
        yield OctodnsPowerDns(server)


@pytest.fixture
def cloudflare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OctodnsCloudflare]:
    with standing_in("cloudflare", tmp_path_factory.mktemp("cf")) as backend:
        yield OctodnsCloudflare("cloudflare", backend.api, backend.naps)


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    fakes.ZONES.clear()
    fakes.RAISES.clear()
    fakes.CALLS.clear()
    fakes.ZONES[f"{ZONE}."] = {("www", "A"): (60, ["192.0.2.1"]), ("", "TXT"): (60, ["site=a\\; b"])}
    yield
    fakes.RAISES.clear()


def fake(name: str = "Fake", ttl: int = 300, zone_names: tuple[str, ...] = (), **options: Any) -> DnsSettings:
    secret = Secret("env:DNS_TOKEN", TOKEN)
    own = OctodnsSettings(f"{FAKES}.{name}", tuple(options.items()), (("token", secret),), zone_names)
    return DnsSettings(own, ttl)


def planned(settings: DnsSettings, zone: str) -> zones.ZonePlan:
    return next(plan for plan in zones.plan(inventory(zone, settings)) if plan.zone == zone)


def publish(settings: DnsSettings, zone: str, **options: Any) -> list[Event]:
    events: list[Event] = []
    for plan in zones.plan(inventory(zone, settings), **options):
        zones.apply(plan, events.append)
    return events


def call(backend: OctodnsPowerDns, method: str, path: str, body: Any = None) -> Any:
    reply = urllib3.request(
        method,
        f"{backend.server.api()}/api/v1/servers/localhost/zones{path}",
        body=json.dumps(body),
        headers={"X-API-Key": API_KEY},
    )
    assert reply.status < 300, reply.data
    return json.loads(reply.data) if reply.data else None


def stored(backend: OctodnsPowerDns, zone: str, name: str, kind: str) -> set[tuple[str, bool]]:
    told = call(backend, "GET", f"/{zone}.")["rrsets"]
    (one,) = [one for one in told if (one["name"], one["type"]) == (f"{name}.", kind)]
    return {(each["content"], each["disabled"]) for each in one["records"]}


def put(backend: OctodnsPowerDns, zone: str, records: list[dict[str, Any]]) -> None:
    one = {"name": f"{zone}.", "type": "TXT", "ttl": 60, "changetype": "REPLACE", "records": records}
    call(backend, "PATCH", f"/{zone}.", {"rrsets": [one]})


class TestTexts:
    @pytest.mark.parametrize(
        ("raw", "text"),
        [
            ("v=spf1 mx -all", "v=spf1 mx -all"),
            ('"v=spf1 mx -all"', "v=spf1 mx -all"),
            ("k=a\\; p=b", "k=a; p=b"),
            ("x" * 255 + '" "' + "y", "x" * 255 + "y"),
            ("x" * 600, "x" * 600),
            ('a" "bc', None),
            ('"ab" "c"', None),
            ('say \\"no\\"', None),
            ('say "no"', None),
            ("a\\\\b", None),
            ("a\\200b", None),
            ("a\\\\\\;b", None),
            ("ü", None),
            (" a", None),
            ("", None),
        ],
    )
    def test_which_come_back_as_they_are(self, raw: str, text: str | None) -> None:
        assert texts.safe(raw) == text

    def test_one_that_is_cut_elsewhere_stays_and_stops_what_is_beside_it(
        self, cloudflare: OctodnsCloudflare
    ) -> None:
        """Both are read as abc, and octoDNS would write abc."""
        for texts_there in ('"a" "bc"', '"ab" "c"'):
            cloudflare.put("contract1.test", "contract1.test", 300, "TXT", texts_there)
            before = cloudflare.whole("contract1.test")
            for take_over in (False, True):
                with pytest.raises(DnsFailed, match=r"octoDNS may not write back .*so v=spf1 mx -all cannot"):
                    zones.plan(inventory("contract1.test", cloudflare.settings()), take_over)
            assert cloudflare.whole("contract1.test") == before

    def test_one_that_comes_later_stops_nothing_as_long_as_ours_stands(
        self, cloudflare: OctodnsCloudflare
    ) -> None:
        zone = "contract1.test"
        publish(cloudflare.settings(), zone)
        cloudflare.put(zone, zone, 300, "TXT", '"v=spf1 mx -all"', '"ab" "c"')
        assert not planned(cloudflare.settings(), zone).changes
        before = cloudflare.whole(zone)
        others = inventory("contract10.test", cloudflare.settings(), start=9)
        notices = []
        for plan in zones.plan(others, served={zone: [f"mx1.{zone}"]}):
            notices += plan.notices
            zones.apply(plan, lambda event: None)
        (said,) = [one for one in notices if "remove it by hand" in one]
        assert said.endswith("so this stays there; remove it by hand: v=spf1 mx -all")
        assert cloudflare.whole(zone)[zone, "TXT"] == before[zone, "TXT"]
        assert (zone, "MX") not in cloudflare.whole(zone)

    def test_one_that_comes_in_the_last_moment(
        self, cloudflare: OctodnsCloudflare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        zone = "contract1.test"
        plan = planned(cloudflare.settings(), zone)
        late(cloudflare, monkeypatch, zone, '"ab" "c"')
        with pytest.raises(DnsFailed, match="octoDNS may not write back"):
            zones.apply(plan, lambda event: None)
        assert cloudflare.texts(zone, zone, "TXT") == {'"ab" "c"'}

    def test_semicolons_are_stored_as_they_were(self, powerdns: OctodnsPowerDns) -> None:
        """PowerDNS finds a value for an update by what is stored."""
        put(powerdns, "semicolon.test", [{"content": '"site=a; b"', "disabled": False}])
        publish(powerdns.settings(), "semicolon.test")
        assert stored(powerdns, "semicolon.test", "semicolon.test", "TXT") == {
            ('"site=a; b"', False),
            ('"v=spf1 mx -all"', False),
        }
        (text,) = stored(powerdns, "semicolon.test", "_mailprov.semicolon.test", "TXT")
        assert "\\;" not in text[0]
        put(powerdns, "odd.test", [{"content": '"site=a\\; b"', "disabled": False}])
        with pytest.raises(DnsFailed, match="octoDNS may not write back"):
            zones.plan(inventory("odd.test", powerdns.settings()))

    def test_a_long_one_is_cut(self, powerdns: OctodnsPowerDns) -> None:
        key = "v=DKIM1; k=rsa; p=" + "A" * 736
        publish(powerdns.settings(), "long.test", keys={"mx1": {"long.test.mx1-rsa-1": key}})
        ((text, __),) = stored(powerdns, "long.test", "mx1-rsa-1._domainkey.long.test", "TXT")
        assert [len(piece) for piece in text[1:-1].split('" "')] == [255, 255, 244]
        assert text[1:-1].replace('" "', "") == key

    def test_what_octodns_cannot_write_is_said(self) -> None:
        with providers.open_driver(fake()) as driver:
            done = driver.write(ZONE, {}, [Edit(f"x.{ZONE}", "TXT", 60, (), ('say "no"',))], None, print)
        assert 'octoDNS cannot write every text as it is: say "no"' in str(done.error)
        assert fakes.ZONES[f"{ZONE}."].keys() == {("www", "A"), ("", "TXT")}


def late(
    backend: Any, monkeypatch: pytest.MonkeyPatch, zone: str, *values: str, kind: str = "TXT"
) -> list[int]:
    """Somebody makes that set at the zone so when all has been read but what the driver reads itself."""
    write = backend.driver.write
    calls: list[int] = []

    def wrapped(self: Driver, *args: Any) -> Outcome:
        if not calls:
            backend.put(zone, zone, 60, kind, *values)
        calls.append(1)
        result: Outcome = write(self, *args)
        return result

    monkeypatch.setattr(backend.driver, "write", wrapped)
    return calls


class TestSomebodyElse:
    def test_what_comes_after_all_was_read_is_met_just_before_the_write(
        self, cloudflare: OctodnsCloudflare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = planned(cloudflare.settings(), "contract1.test")
        calls = late(cloudflare, monkeypatch, "contract1.test", '"late"')
        zones.apply(plan, lambda event: None)
        assert cloudflare.texts("contract1.test", "contract1.test", "TXT") == {'"late"', '"v=spf1 mx -all"'}
        assert len(calls) == 2

    def test_what_its_class_keeps_of_an_earlier_reading_is_not_gone_by(
        self, cloudflare: OctodnsCloudflare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That for Cloudflare keeps zones, and their records until it writes there."""
        zone = "contract1.test"
        publish(cloudflare.settings(), zone)
        cloudflare.put(zone, zone, 300, "MX")
        plan = planned(cloudflare.settings(), zone)
        late(cloudflare, monkeypatch, zone, "5 theirs.test.", kind="MX")
        with pytest.raises(DnsFailed, match="has MX that mailprov did not write: 5 theirs"):
            zones.apply(plan, lambda event: None)
        assert cloudflare.texts(zone, zone, "MX") == {"5 theirs.test."}

    def test_a_ttl_that_comes_then(
        self, cloudflare: OctodnsCloudflare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        zone = "contract1.test"
        cloudflare.put(zone, zone, 300, "TXT", '"theirs"')
        plan = planned(cloudflare.settings(), zone)
        calls = late(cloudflare, monkeypatch, zone, '"theirs"')
        zones.apply(plan, lambda event: None)
        assert cloudflare.whole(zone)[zone, "TXT"] == (60, frozenset({'"theirs"', '"v=spf1 mx -all"'}))
        assert len(calls) == 2

    def test_between_two_sets_it_is_told_that_some_was_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each set is compared with the zone as it is then; what stands already is told."""
        plan = planned(fake(), ZONE)
        one = fakes.Fake.one

        def and_then(self: fakes.Fake, zone: str, change: Any) -> None:
            one(self, zone, change)
            fakes.ZONES[zone]["", "MX"] = (60, [{"preference": 5, "exchange": "theirs.test."}])

        monkeypatch.setattr(fakes.Fake, "one", and_then)
        events: list[Event] = []
        with pytest.raises(DnsFailed, match="has MX that mailprov did not write"):
            zones.apply(plan, events.append)
        done = {event.change.name for event in events if hasattr(event, "change")}
        assert done == {f"_mailprov.{ZONE} TXT", f"mx1.{ZONE} A", f"mx1.{ZONE} TXT"}
        assert fakes.ZONES[f"{ZONE}."]["", "MX"] == (60, [{"preference": 5, "exchange": "theirs.test."}])


class TestPowerDns:
    def test_what_is_disabled_stays_so(self, powerdns: OctodnsPowerDns) -> None:
        there = [{"content": '"off"', "disabled": True}, {"content": '"on"', "disabled": False}]
        put(powerdns, "off.test", there)
        with pytest.raises(
            DnsFailed, match=r"has values that are disabled at the provider \(off\), so v=spf1 mx -all cannot"
        ):
            zones.plan(inventory("off.test", powerdns.settings()))
        with providers.open_driver(powerdns.settings()) as driver:
            snapshot = driver.query([("off.test", "TXT")]).answers["off.test", "TXT"].sets
            assert snapshot["off.test", "TXT"].values == ("on",)
            edit = Edit("off.test", "TXT", 60, (), ("v=spf1 mx -all",))
            assert "disabled" in str(driver.write("off.test", snapshot, [edit], None, print).error)
        assert stored(powerdns, "off.test", "off.test", "TXT") == {('"off"', True), ('"on"', False)}

    def test_a_serial_that_is_not_raised_is_told(self, powerdns: OctodnsPowerDns) -> None:
        call(powerdns, "PUT", "/serial.test.", {"kind": "Master", "soa_edit_api": ""})
        told = [
            event.text for event in publish(powerdns.settings(), "serial.test") if isinstance(event, Notice)
        ]
        (said,) = [text for text in told if "serial" in text]
        assert "pdnsutil set-meta serial.test SOA-EDIT-API DEFAULT" in said

    def test_a_zone_that_went_is_not_made_again(self, powerdns: OctodnsPowerDns) -> None:
        plan = planned(powerdns.settings(), "gone.test")
        call(powerdns, "DELETE", "/gone.test.")
        with pytest.raises(DnsFailed, match="is no longer in this zone"):
            zones.apply(plan, lambda event: None)
        with providers.open_driver(powerdns.settings()) as driver:
            edit = Edit("gone.test", "TXT", 60, (), ("new",))
            assert "it is not at" in str(driver.write("gone.test", {}, [edit], None, print).error)
        assert "gone.test." not in {zone["name"] for zone in call(powerdns, "GET", "")}

    def test_a_wrong_key(self, powerdns: OctodnsPowerDns) -> None:
        with pytest.raises(DnsFailed, match="401 Client Error") as caught:
            zones.plan(inventory("off.test", powerdns.settings(key="a wrong one")))
        assert "Correct the credentials in dns.settings" in str(caught.value)


class TestCloudflare:
    def test_a_mail_host_behind_the_proxy_is_a_conflict(self, cloudflare: OctodnsCloudflare) -> None:
        zone = "contract1.test"
        cloudflare.put(zone, f"mx1.{zone}", 1, "A", "10.0.0.1", proxied=True)
        for take_over in (False, True):
            with pytest.raises(DnsFailed, match="is behind the provider's proxy, which takes no mail"):
                zones.plan(inventory(zone, cloudflare.settings()), take_over)

    def test_what_it_has_about_sets_of_others_stays(self, cloudflare: OctodnsCloudflare) -> None:
        zone = "contract1.test"
        cloudflare.put(zone, zone, 1, "TXT", '"theirs"', comment="for the shop", tags=["a:b"])
        cloudflare.put(zone, f"www.{zone}", 1, "A", "192.0.2.1", proxied=True, comment="web")
        before = cloudflare.api.details(zone)
        for ttl in (300, 900):
            publish(cloudflare.settings(ttl), zone)
            now = cloudflare.api.details(zone)
            for key, (number, more) in before.items():
                assert now[key][0] == number
                assert {name: now[key][1].get(name) for name in more} == more
            assert {row.ttl for row in cloudflare.api.zones[zone] if row.key == (zone, "TXT")} == {1}

    def test_its_lowest_ttl_is_not_forced_upon_others(self, cloudflare: OctodnsCloudflare) -> None:
        zone = "contract1.test"
        cloudflare.put(zone, zone, 60, "TXT", '"theirs"')
        events = publish(cloudflare.settings(60), zone)
        assert cloudflare.whole(zone)[zone, "TXT"] == (60, frozenset({'"theirs"', '"v=spf1 mx -all"'}))
        assert cloudflare.whole(zone)[f"mx1.{zone}", "A"][0] == 120
        assert events

    def test_an_empty_zone_is_there(self, cloudflare: OctodnsCloudflare) -> None:
        cloudflare.api.zones["contract1.test"] = []
        publish(cloudflare.settings(), "contract1.test")
        assert cloudflare.texts("contract1.test", "contract1.test", "MX") == {"10 mx1.contract1.test."}


class TestPlans:
    def test_the_plan_says_what_is_weaker_there(self, cloudflare: OctodnsCloudflare) -> None:
        settings = cloudflare.settings()
        said = " ".join(
            text for plan in zones.plan(inventory("contract1.test", settings)) for text in plan.notices
        )
        assert "CloudflareProvider of octoDNS guarantees less than mailprov's own drivers" in said
        assert "may be lost" in said
        assert "not seen: DNAME" in said
        assert "`provider: cloudflare`" in said
        publish(settings, "contract1.test")
        again = [text for plan in zones.plan(inventory("contract1.test", settings)) for text in plan.notices]
        assert not [text for text in again if "guarantees" in text]

    def test_the_name_servers_of_a_zone_are_in_none(self) -> None:
        fakes.ZONES[f"{ZONE}."]["", "NS"] = (60, ["ns.fake.test."])
        with providers.open_driver(fake()) as driver:
            snapshot = driver.query([(ZONE, "NS")]).answers[ZONE, "NS"].sets
            edit = Edit(ZONE, "NS", 60, (), ("ns2.fake.test.",))
            error = driver.write(ZONE, snapshot, [edit], None, print).error
        assert "the name servers of a zone are not changed" in str(error)
        assert "apply" not in fakes.CALLS

    def test_octodns_judges_the_plan_as_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unsafe(self: Plan) -> None:
            raise RuntimeError("too much")

        monkeypatch.setattr(Plan, "raise_if_unsafe", unsafe)
        with pytest.raises(DnsFailed, match="too much"):
            publish(fake(), ZONE)
        assert "apply" not in fakes.CALLS

    def test_one_that_writes_whole_zones_is_not_let(self) -> None:
        with pytest.raises(DnsFailed, match="writes zones as a whole"):
            publish(fake("Whole"), ZONE)
        assert not [one for one in fakes.CALLS if one.startswith("wrote")]

    def test_one_that_is_told_not_to_write(self) -> None:
        with pytest.raises(DnsFailed, match="apply_disabled"):
            publish(fake(apply_disabled=True), ZONE)

    def test_one_that_cannot_list_its_zones(self) -> None:
        with pytest.raises(InputError, match=r"cannot list its zones\. Name them in dns\.zone_names\."):
            publish(fake("WithoutList"), ZONE)
        publish(fake("WithoutList", zone_names=(ZONE,)), ZONE)
        assert ("", "MX") in fakes.ZONES[f"{ZONE}."]
        with pytest.raises(DnsFailed, match="it is not at WithoutList of octoDNS"):
            zones.plan(inventory("other.test", fake("WithoutList", zone_names=("other.test",))))

    def test_types_that_it_does_not_know(self) -> None:
        plans = zones.plan(inventory(ZONE, fake("Few")))
        said = " ".join(text for plan in plans for text in plan.notices)
        assert "octodns has no MX records, so publish by hand: fake.test MX 10 mx1.fake.test" in said
        for plan in plans:
            zones.apply(plan, lambda event: None)
        assert {kind for __, kind in fakes.ZONES[f"{ZONE}."]} == {"A", "TXT"}

    def test_a_lowest_ttl_is_kept_to_and_told(self) -> None:
        plans = zones.plan(inventory(ZONE, fake("Raising")))
        assert "octodns takes a TTL of 600 to" in " ".join(text for plan in plans for text in plan.notices)
        for plan in plans:
            zones.apply(plan, lambda event: None)
        assert fakes.ZONES[f"{ZONE}."]["mx1", "A"][0] == 600
        assert fakes.ZONES[f"{ZONE}."]["", "TXT"] == (60, ["site=a; b", "v=spf1 mx -all"])


ERRORS = [
    RuntimeError(f"no, not with {TOKEN}"),
    ValueError(f"https://api.example/?key={quote(TOKEN, safe='')}"),
    KeyError("zone"),
    OSError(f"cannot reach {TOKEN!r}"),
    TimeoutError(),
    requests.ConnectionError("refused"),
    requests.HTTPError("401 of it", response=requests.Response()),
    type("FakeUnauthorized", (Exception,), {})("go away"),
    RecursionError("deep"),
]


class TestWhatItRaises:
    @pytest.mark.parametrize("error", ERRORS, ids=lambda one: type(one).__name__)
    @pytest.mark.parametrize("method", ["list_zones", "populate", "apply", "applied"])
    def test_is_one_sentence_without_a_secret(self, method: str, error: Exception) -> None:
        plan = planned(fake(), ZONE)
        fakes.RAISES[method] = error
        with pytest.raises(MailprovError) as caught:
            zones.apply(plan, lambda event: None)
        text = str(caught.value)
        assert type(error).__name__ in text
        assert "of octoDNS: it failed with" in text
        for spelled in (TOKEN, quote(TOKEN, safe="")):
            assert spelled not in text
        assert caught.value.exit_code == (3 if isinstance(error, OSError) else 1)

    @pytest.mark.parametrize(
        ("status", "code", "advice"),
        [(401, 1, "Correct the cred"), (429, 1, "too often"), (500, 3, "reached")],
    )
    def test_the_status_of_http_decides(self, status: int, code: int, advice: str) -> None:
        response = requests.Response()
        response.status_code = status
        fakes.RAISES["populate"] = requests.HTTPError(f"{status} error", response=response)
        with pytest.raises(MailprovError, match=advice) as caught:
            zones.plan(inventory(ZONE, fake()))
        assert caught.value.exit_code == code

    def test_after_a_set_was_written_it_is_read_back(self) -> None:
        """All of it stands then: that is what counts."""
        plan = planned(fake(), ZONE)
        edits = len(plan.changes)
        done: list[Event] = []
        one = fakes.Fake.one
        seen: list[int] = []

        def last(self: fakes.Fake, zone: str, change: Any) -> None:
            seen.append(1)
            one(self, zone, change)
            if len(seen) == edits:
                fakes.RAISES["applied"] = OSError("the connection broke")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fakes.Fake, "one", last)
            zones.apply(plan, done.append)
        fakes.RAISES.clear()
        assert not planned(fake(), ZONE).changes


class TestLoading:
    @pytest.mark.parametrize(
        ("path", "says"),
        [
            (
                "octodns_nowhere.Provider",
                "dns.class: octodns_nowhere.Provider is in the Python package octodns-nowhere, which is not installed. "
                "Run `pip install octodns-nowhere` in mailprov's environment.",
            ),
            ("octodns_powerdns.inner.Provider", "there is no module octodns_powerdns.inner. Name the module"),
            (
                "octodns_powerdns.Wrong",
                "octodns_powerdns has no Wrong. It has PowerDnsBaseProvider, PowerDnsProvider.",
            ),
            (f"{FAKES}.NO_CLASS", "is no provider of octoDNS that can write. It has "),
            (f"{FAKES}.OnlySource", "is no provider of octoDNS that can write"),
            ("json.JSONDecoder", "is no provider of octoDNS that can write. Name the module"),
        ],
    )
    def test_what_is_no_provider(self, path: str, says: str) -> None:
        settings = DnsSettings(OctodnsSettings(path))
        with pytest.raises(InputError) as caught:
            providers.open_driver(settings)
        assert says in str(caught.value)
        assert caught.value.exit_code == 2

    def test_a_module_that_cannot_be_loaded(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "octodns_lacks.py").write_text("import no_such_library")
        (tmp_path / "octodns_wrong.py").write_text("1 / 0")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(InputError, match="it needs the Python library no_such_library"):
            providers.open_driver(DnsSettings(OctodnsSettings("octodns_lacks.P")))
        with pytest.raises(InputError, match=r"octodns_wrong cannot be loaded \(ZeroDivisionError"):
            providers.open_driver(DnsSettings(OctodnsSettings("octodns_wrong.P")))

    @pytest.mark.parametrize("options", [{"no_such": 1}, {"id": "x"}])
    def test_what_it_is_not_called_with(self, options: dict[str, Any]) -> None:
        with pytest.raises(
            InputError, match=r"dns.settings: Fake cannot be made with these settings \(TypeError"
        ):
            providers.open_driver(fake(**options))

    def test_a_value_that_it_does_not_take(self) -> None:
        fakes.RAISES["init"] = ValueError(f"{TOKEN} is no token")
        with pytest.raises(InputError, match=r"\(ValueError: … is no token\)"):
            providers.open_driver(fake())
        fakes.RAISES["init"] = requests.ConnectionError("refused")
        with pytest.raises(DnsUnreachable):
            providers.open_driver(fake())

    def test_no_secret_in_what_is_shown(self) -> None:
        with providers.open_driver(fake()) as driver:
            for one in (driver, driver.where, vars(driver), fake()):
                assert TOKEN not in repr(one)
        assert fake().provider.without_credential().credential() == ""


class TestLogs:
    def test_nothing_is_written_to_the_terminal(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without any handler Python writes warnings to stderr; this class has a token in one."""
        root = logging.getLogger()
        monkeypatch.setattr(root, "handlers", [])
        publish(fake(), ZONE)
        assert capfd.readouterr() == ("", "")

    def test_no_secret_in_the_logs_of_octodns_and_its_libraries(
        self, powerdns: OctodnsPowerDns, cloudflare: OctodnsCloudflare, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        publish(powerdns.settings(), "contract2.test")
        publish(cloudflare.settings(), "contract1.test")
        with contextlib.suppress(DnsFailed):
            publish(cloudflare.settings(token="another secret one"), "contract1.test")
        assert len(caplog.messages) > 100
        for secret in (API_KEY, "token-of-the-stand-in", "another secret one"):
            assert secret not in caplog.text


class Elsewhere(ApiServer):
    """Redirects to another server."""

    def __init__(self, to: str) -> None:
        super().__init__()
        self.to = to

    def handle(self, request: Request) -> Answer:
        return Answer(302, None, {"Location": f"{self.to}{request.path}"} if self.to else {})

    def pretended(self, request: Request) -> Answer:
        return self.handle(request)


class TestConnections:
    def test_no_redirect_is_followed_with_a_key(self) -> None:
        """requests takes along a header of its own, as X-API-Key is."""
        thief = Elsewhere("")
        with api_serving(thief), api_serving(liar := Elsewhere(thief.url)):
            port = int(liar.url.rpartition(":")[2])
            own = OctodnsSettings(
                "octodns_powerdns.PowerDnsProvider",
                (("host", "127.0.0.1"), ("port", port)),
                (("api_key", Secret("env:K", TOKEN.replace(" ", "-"))),),
            )
            with pytest.raises(
                DnsFailed, match=r"it redirects to 127\.0\.0\.1:.*, where the secret is not sent"
            ):
                zones.plan(inventory(ZONE, DnsSettings(own)))
        assert (len(liar.requests), thief.requests) == (1, [])

    def test_no_key_goes_through_the_net_unencrypted(self) -> None:
        own = OctodnsSettings(
            "octodns_powerdns.PowerDnsProvider",
            (("host", "192.0.2.1"),),
            (("api_key", Secret("env:K", "key")),),
        )
        with pytest.raises(DnsFailed, match=r"it would send the secret unencrypted, to 192\.0\.2\.1:8081"):
            zones.plan(inventory(ZONE, DnsSettings(own)))
