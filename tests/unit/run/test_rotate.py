"""How long a rotation waits before the new key signs, and what it says when it does not wait; no host, no DNS."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Notice
from mailprov.model.inventory import Host, Inventory, SshSettings, Tls
from mailprov.run import rotate
from mailprov.run.waiting import POLL, Waiting

NAME = "mx1-rsa-2._domainkey.alpha.test"
WANTED = {NAME: "v=DKIM1; k=rsa; p=AAAA"}
RFC2136 = DnsSettings(Rfc2136Settings("192.0.2.2"), ttl=3600)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only sleeping moves on."""
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def wait(
    settings: DnsSettings, since: float, waiting: Waiting, missing: Any, monkeypatch: Any
) -> tuple[int, str]:
    """Exit code, and everything that was said. `missing` is what the name servers lack, look by look."""
    looks = iter(missing)
    monkeypatch.setattr(rotate, "not_yet", lambda dns, wanted: next(looks))
    inventory = Inventory(
        "i.yml", (Host("mx1", "192.0.2.1", "mx1.a.test", SshSettings(), Tls()),), (), settings
    )
    said: list[str] = []
    code = rotate._wait(
        inventory,
        WANTED,
        since,
        waiting,
        lambda event: said.append(event.text) if isinstance(event, Notice) else None,
    )
    return code, "\n".join(said)


LACKS = {NAME: f"{NAME} is not on 192.0.2.3"}


def test_it_waits_for_every_server_and_then_for_the_caches(clock: list[float], monkeypatch: Any) -> None:
    code, said = wait(RFC2136, 1000, Waiting(), [LACKS, LACKS, {}], monkeypatch)
    assert (code, clock[0]) == (0, 1000 + 3600)
    assert "waiting until" in said


def test_time_that_has_gone_by_since_counts(clock: list[float], monkeypatch: Any) -> None:
    assert wait(RFC2136, 1000 - 3500, Waiting(), [{}], monkeypatch)[0] == 0
    assert clock[0] == 1100
    assert wait(RFC2136, 1100, Waiting(seconds=0), [{}], monkeypatch) == (0, "")


def test_a_server_that_stays_behind_is_named(clock: list[float], monkeypatch: Any) -> None:
    code, said = wait(RFC2136, 1000, Waiting(limit=10), iter(lambda: LACKS, None), monkeypatch)
    assert code == 3
    assert "is not on 192.0.2.3" in said


def test_without_waiting_it_says_when_to_come_again(clock: list[float], monkeypatch: Any) -> None:
    code, said = wait(RFC2136, 1000, Waiting(never=True), [{}], monkeypatch)
    assert (code, clock[0]) == (4, 1000)
    assert "01:16 UTC" in said
    assert wait(RFC2136, 1000, Waiting(never=True), [LACKS], monkeypatch)[0] == 4
    assert wait(RFC2136, 1000 - 3600, Waiting(never=True), [{}], monkeypatch)[0] == 0


def test_where_people_publish_it_prints_the_record(clock: list[float], monkeypatch: Any) -> None:
    code, said = wait(DnsSettings(), 1000, Waiting(), [LACKS], monkeypatch)
    assert code == 4
    assert f'publish: {NAME}. TXT "v=DKIM1; k=rsa; p=AAAA"' in said


def test_of_several_providers_what_people_publish_is_printed_once_the_rest_is_there(
    clock: list[float], monkeypatch: Any
) -> None:
    settings = DnsSettings(RFC2136.provider, zones=((NAME, DnsSettings(ttl=60)),))
    other = "s._domainkey.b.test"
    looks = [{**LACKS, other: f"{other} is not on 192.0.2.4"}, LACKS]
    code, said = wait(settings, 1000, Waiting(), looks, monkeypatch)
    assert (code, clock[0]) == (4, 1000 + POLL)
    assert said.count("publish: ") == 1
    assert wait(settings, 1000, Waiting(), [{}], monkeypatch)[0] == 0
    assert clock[0] == 1060  # the TTL of its own zone
