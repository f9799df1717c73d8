"""Hetzner: what only it has, what it refuses, and that nothing of anybody else is ever harmed."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from mailprov import dns as zones
from mailprov.errors import DnsFailed, DnsUnreachable, InputError, MailprovError
from mailprov.model.events import Applied, Event
from tests.unit.dns.api_server import Answer, Fault
from tests.unit.dns.hetzner_backend import Hetzner, hetzner
from tests.unit.dns.hetzner_server import READ_ONLY, TOKEN, error
from tests.unit.dns.servers import inventory

ZONE = "contract1.test"


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Hetzner]:
    with hetzner(tmp_path) as made:
        yield made


def publish(backend: Hetzner, **changes: object) -> list[Event]:
    events: list[Event] = []
    for plan in zones.plan(inventory(ZONE, backend.settings(**changes))):  # type: ignore[arg-type]
        zones.apply(plan, events.append)
    return events


def told(kind: type[MailprovError], backend: Hetzner, **changes: object) -> str:
    with pytest.raises(kind) as caught:
        publish(backend, **changes)
    assert type(caught.value) is kind
    assert TOKEN not in str(caught.value)
    return str(caught.value)


WRITING = "^(?!GET)"


def test_what_somebody_adds_at_the_same_moment_stays(
    backend: Hetzner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no compare-and-swap, and nothing to be lost by it: values go one by one."""
    backend.put(ZONE, ZONE, 300, "TXT", '"theirs"')
    write = backend.driver.write

    def late(self: object, zone: str, *args: object) -> object:
        backend.put(ZONE, ZONE, 300, "TXT", '"theirs"', '"late"')
        return write(self, zone, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(backend.driver, "write", late)
    publish(backend)
    assert backend.texts(ZONE, ZONE, "TXT") == {'"theirs"', '"late"', '"v=spf1 mx -all"'}
    (spf, *_) = [r for r in backend.server.sets[ZONE]["@", "TXT"]["records"] if r["value"] == '"late"']
    assert spf["comment"] == "theirs"


def test_a_set_without_a_ttl_of_its_own_keeps_none(backend: Hetzner) -> None:
    backend.server.put(ZONE, "@", "TXT", None, '"theirs"')
    publish(backend)
    there = backend.server.sets[ZONE]["@", "TXT"]
    assert there["ttl"] is None
    assert [record["value"] for record in there["records"]] == ['"theirs"', '"v=spf1 mx -all"']


def test_a_protected_set_is_told_and_the_rest_is_named(backend: Hetzner) -> None:
    backend.server.put(ZONE, "@", "TXT", 60, '"theirs"', protected=True)
    before = backend.whole(ZONE)
    events: list[Event] = []
    (plan,) = zones.plan(inventory(ZONE, backend.settings()))
    with pytest.raises(DnsFailed) as caught:
        zones.apply(plan, events.append)
    assert str(caught.value) == (
        f"Hetzner: it refused to change {ZONE} TXT: the record set is protected against changes (protected: rrset "
        "is protected). Take the protection away in the Cloud Console, or publish that record by hand."
    )
    done = {event.change.name for event in events if isinstance(event, Applied)}
    # The marker comes first: what is written is known for ours wherever it ends.
    assert done == {f"_mailprov.{ZONE} TXT", f"mx1.{ZONE} A", f"mx1.{ZONE} TXT", f"{ZONE} MX"}
    assert before.items() <= backend.whole(ZONE).items()
    backend.server.put(ZONE, "@", "TXT", 60, '"theirs"')
    publish(backend)
    assert not zones.plan(inventory(ZONE, backend.settings()))[0].changes


def test_a_token_that_may_only_read(backend: Hetzner) -> None:
    before = backend.whole(ZONE)
    assert zones.plan(inventory(ZONE, backend.settings(token=READ_ONLY)))[0].changes
    assert "the token may only read (token_readonly: " in told(DnsFailed, backend, token=READ_ONLY)
    assert backend.whole(ZONE) == before


def test_a_token_that_is_wrong(backend: Hetzner) -> None:
    assert told(DnsFailed, backend, token="wrong") == (
        "Hetzner: it refused to list its zones: it does not know the token (unauthorized: unable to authenticate). "
        "Correct dns.token (env:HCLOUD_TOKEN): an API token of the project that has the zone."
    )


def test_a_secondary_zone(backend: Hetzner) -> None:
    backend.server.zones[ZONE]["mode"] = "secondary"
    assert "the zone is a secondary one (incorrect_zone_mode" in told(DnsFailed, backend)


def test_an_action_that_fails_later(backend: Hetzner) -> None:
    (plan,) = zones.plan(inventory(ZONE, backend.settings()))
    before = backend.whole(ZONE)
    running = '{"action": {"id": 0, "command": "x", "status": "running", "resources": [], "error": null}}'
    backend.server.actions.append("zone_update_failed")
    backend.server.faults.append(Fault(WRITING, Answer(201, running.encode())))
    with pytest.raises(
        DnsFailed, match=r"it failed to change _mailprov\.contract1\.test TXT: The pending action failed: no"
    ):
        zones.apply(plan, lambda event: None)
    assert backend.whole(ZONE) == before


def test_the_rate_limit_is_waited_for_and_then_told(backend: Hetzner) -> None:
    limit = error(429, "rate_limit_exceeded", "rate limit exceeded")
    backend.server.faults.append(Fault(WRITING, limit, times=2))
    publish(backend)
    assert not zones.plan(inventory(ZONE, backend.settings()))[0].changes
    backend.server.faults.append(Fault("", limit, times=6))
    assert "it is called too often (rate_limit_exceeded) when asked to list its zones" in told(
        DnsUnreachable, backend
    )


@pytest.mark.parametrize(
    "instead",
    [
        error(500, "server_error"),
        error(503, "unavailable"),
        Answer(500, b"<html>"),
        None,
        Answer(200, b"no JSON"),
        Answer(200, b"{}"),
    ],
    ids=["500", "503", "html", "lost", "garbage", "empty"],
)
def test_broken(backend: Hetzner, instead: Answer | None) -> None:
    before = backend.whole(ZONE)
    backend.server.faults.append(Fault(WRITING, instead))
    assert "read back, nothing of it was done" in told(DnsUnreachable, backend)
    backend.server.faults.append(Fault("rrsets", instead))
    told(DnsUnreachable, backend)
    assert backend.whole(ZONE) == before


@pytest.mark.parametrize("code", [502, 504])
@pytest.mark.parametrize("body", [b"", b"coded"], ids=["bare", "coded"])
def test_what_was_done_behind_a_gateway_that_gave_up_is_not_done_twice(
    backend: Hetzner, code: int, body: bytes
) -> None:
    """hcloud tries that again, and is told then that the value is there already: as if it had been refused."""
    named = {502: "bad_gateway", 504: "timeout"}[code]
    instead = error(code, named) if body else Answer(code)
    backend.server.faults.append(Fault(WRITING, instead, after=True))
    with contextlib.suppress(DnsUnreachable):
        publish(backend)
    writes = [(one.path, one.raw) for one in backend.server.requests if one.method != "GET"]
    assert len(set(writes)) == len(writes)
    publish(backend)
    assert not zones.plan(inventory(ZONE, backend.settings()))[0].changes


def test_a_write_without_an_answer_is_not_done_twice(
    backend: Hetzner, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    request = requests.Session.request

    def late(self: requests.Session, method: str, url: str, **more: object) -> requests.Response:
        answer = request(self, method, url, **more)  # type: ignore[arg-type]
        if method == "POST":
            sent.append(url)
            raise requests.exceptions.ReadTimeout("too late")
        return answer

    monkeypatch.setattr(requests.Session, "request", late)
    assert "no usable answer (too late)" in told(DnsUnreachable, backend)
    assert len(sent) == 1
    monkeypatch.undo()


def test_no_redirect_is_followed_with_the_token(backend: Hetzner) -> None:
    there = Answer(302, b"", {"Location": f"{backend.server.url}/elsewhere"})
    backend.server.faults.append(Fault("", there))
    assert "it redirects elsewhere, where the token is not sent" in told(DnsFailed, backend)
    assert [request.path for request in backend.server.requests] == ["/zones"]


def test_the_token_is_in_no_log(backend: Hetzner, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    publish(backend)
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    assert TOKEN not in caplog.text + repr(backend.settings())


def test_without_hcloud_it_is_said_what_to_install(backend: Hetzner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hcloud", None)
    assert "Run `pip install 'mailprov[hetzner]'` in" in told(InputError, backend)
