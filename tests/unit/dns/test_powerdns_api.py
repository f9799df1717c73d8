"""What only PowerDNS has, over its HTTP API: on a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from mailprov import dns as zones
from mailprov.dns.driver import Driver, Outcome
from mailprov.dns.providers.powerdns.settings import PowerDnsSettings
from mailprov.errors import DnsFailed
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Event, Notice
from mailprov.model.secret import Secret
from tests.unit.dns.drivers import PowerDnsApi
from tests.unit.dns.servers import API_KEY, STORED, inventory, serving

NAMES = ("off.test", "off2.test", "made.test", "serial.test", "lua.test", "whole.test")
ZONES = dict.fromkeys(NAMES, "")


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerDnsApi]:
    with serving("powerdns", tmp_path_factory.mktemp("powerdns"), ZONES) as server:
        yield PowerDnsApi(server)


def call(backend: PowerDnsApi, method: str, path: str, body: Any = None) -> Any:
    reply = urllib3.request(
        method,
        f"{backend.server.api()}/api/v1/servers/localhost/zones/{path}",
        body=json.dumps(body),
        headers={"X-API-Key": API_KEY},
    )
    assert reply.status < 300, reply.data
    return json.loads(reply.data) if reply.data else None


def stored(backend: PowerDnsApi, zone: str, name: str, kind: str) -> dict[str, Any]:
    """With what is disabled: the server leaves that out when it is asked for one set."""
    told = call(backend, "GET", f"{zone}.")["rrsets"]
    return next(one for one in told if (one["name"], one["type"]) == (f"{name}.", kind))


def put(backend: PowerDnsApi, zone: str, name: str, kind: str, records: list[dict[str, Any]]) -> None:
    comment = {"content": "mind the gap", "account": "somebody", "modified_at": 1700000000}
    one = {"name": f"{name}.", "type": kind, "ttl": 60, "changetype": "REPLACE", "records": records}
    call(backend, "PATCH", f"{zone}.", {"rrsets": [{**one, "comments": [comment]}]})


def publish(backend: PowerDnsApi, zone: str, *, ttl: int = 300) -> list[Event]:
    events: list[Event] = []
    for plan in zones.plan(inventory(zone, backend.settings(ttl))):
        zones.apply(plan, events.append)
    return events


def test_what_somebody_disabled_stays_so_and_comments_stay(backend: PowerDnsApi) -> None:
    texts = [{"content": '"off"', "disabled": True}, {"content": r'"a\; b"', "disabled": False}]
    put(backend, "off.test", "off.test", "TXT", texts)
    for ttl in (300, 900):
        publish(backend, "off.test", ttl=ttl)
        found = stored(backend, "off.test", "off.test", "TXT")
        assert {(one["content"], one["disabled"]) for one in found["records"]} == {
            ('"off"', True),
            (r'"a\; b"', False),
            ('"v=spf1 mx -all"', False),
        }
        assert found["comments"] == [
            {"content": "mind the gap", "account": "somebody", "modified_at": 1700000000}
        ]
        assert found["ttl"] == 60
    assert backend.texts("off.test", "off.test", "TXT") == {'"a; b"', '"v=spf1 mx -all"'}


def test_a_change_in_the_last_moment_is_found_as_far_as_can_be(
    backend: PowerDnsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind what guard.py reads: the driver itself reads once more."""
    (plan,) = zones.plan(inventory("made.test", backend.settings()))
    write, calls = backend.driver.write, []

    def late(self: Driver, zone: str, *args: Any) -> Outcome:
        if not calls:
            backend.put("made.test", "made.test", 60, "TXT", '"late"')
        calls.append(1)
        return write(self, zone, *args)

    monkeypatch.setattr(backend.driver, "write", late)
    zones.apply(plan, lambda event: None)
    assert backend.texts("made.test", "made.test", "TXT") == {'"late"', '"v=spf1 mx -all"'}
    assert len(calls) == 2


def test_what_is_wanted_and_disabled_is_refused(backend: PowerDnsApi) -> None:
    put(backend, "off2.test", "mx1.off2.test", "A", [{"content": "10.0.0.1", "disabled": True}])
    before = backend.whole("off2.test")
    with pytest.raises(
        DnsFailed, match=r"mx1\.off2\.test A 10\.0\.0\.1 is disabled in PowerDNS at .*; nothing was"
    ):
        publish(backend, "off2.test")
    assert backend.whole("off2.test") == before


def test_what_a_lua_record_makes_up_is_a_conflict(backend: PowerDnsApi) -> None:
    put(
        backend, "lua.test", "mx1.lua.test", "LUA", [{"content": STORED["lua.test"][0][2], "disabled": False}]
    )
    with pytest.raises(DnsFailed, match=r"mx1\.lua\.test A is made up by a LUA record of the name server"):
        publish(backend, "lua.test")


def test_a_copy_of_a_zone_is_not_written(backend: PowerDnsApi) -> None:
    with pytest.raises(DnsFailed, match=r"zone copy\.test: PowerDNS at 127\S+ has only a copy"):
        publish(backend, "copy.test")


def test_secondaries_that_would_not_notice(backend: PowerDnsApi) -> None:
    call(backend, "PUT", "serial.test.", {"kind": "Master", "soa_edit_api": ""})
    told = [event.text for event in publish(backend, "serial.test") if isinstance(event, Notice)]
    assert len(told) == 1
    assert told[0].endswith(
        "so its secondaries do not fetch them; this changes it: pdnsutil set-meta serial.test SOA-EDIT-API DEFAULT"
    )
    call(backend, "PUT", "serial.test.", {"kind": "Master", "soa_edit_api": "DEFAULT"})
    before = backend.server.serial("serial.test")
    told = [event.text for event in publish(backend, "serial.test", ttl=900) if isinstance(event, Notice)]
    assert told == []
    assert backend.server.serial("serial.test") != before


def test_a_batch_is_done_whole_or_not_at_all(backend: PowerDnsApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """One set of it is what PowerDNS refuses."""
    from mailprov.records import types

    (plan,) = zones.plan(inventory("whole.test", backend.settings()))
    before = backend.whole("whole.test")
    render = types.render
    monkeypatch.setattr(
        types, "render", lambda kind, value: "nonsense" if kind == "MX" else render(kind, value)
    )
    with pytest.raises(DnsFailed, match=r"PowerDNS at .* it answered 422: .*\(PATCH mx1\.whole\.test A, "):
        zones.apply(plan, lambda event: None)
    assert backend.whole("whole.test") == before


def test_a_wrong_key_and_what_is_no_powerdns(backend: PowerDnsApi) -> None:
    wrong = DnsSettings(PowerDnsSettings(Secret("env:DNS_TOKEN", "another-key"), backend.server.api()))
    with pytest.raises(DnsFailed) as caught:
        zones.plan(inventory("off.test", wrong))
    assert "it refused the token with 401" in str(caught.value)
    assert str(caught.value).endswith(
        "Correct dns.token (env:DNS_TOKEN); what the token needs: it is the server's `api-key`, which may do "
        "everything there."
    )
    assert "another-key" not in str(caught.value)
