"""What a run about the zones alone learns of the hosts' keys, and what it says of hosts that told nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.errors import HostUnreachable
from mailprov.model.dns import DnsSettings, ProviderSettings
from mailprov.model.events import Event, Notice
from mailprov.run import deploy, dkim_keys
from mailprov.run.select import select
from tests.unit.run.scripted import inventory

KEY = {"alpha.test.mx1-rsa-1": "v=DKIM1; k=rsa; p=AAAA"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that were asked: mx1 has a key, mx2 has none yet, mx3 does not answer."""
    names: list[str] = []

    def ask(inventory: Any, hosts: Any, **_: Any) -> dkim_keys.Told:
        names.extend(host.name for host in hosts)
        refused = HostUnreachable("mx3", "192.0.2.3 port 22 refused the connection", "See whether SSH runs")
        return dkim_keys.Told(public={"mx1": KEY, "mx2": {}}, errors=[refused])

    monkeypatch.setattr(dkim_keys, "ask", ask)
    return names


def deployment(provider: ProviderSettings, events: list[Event], *only: str) -> deploy.Deployment:
    settings = DnsSettings(provider)
    read = dataclasses.replace(inventory("mx1", "mx2", "mx3"), dns=settings)
    chosen = select(read, only=list(only))
    made = deploy.toward_desired(
        read,
        chosen,
        deploy.Options(command="dns plan"),
        "plan",
        lambda *_: None,
        events.append,  # type: ignore[arg-type,return-value]
    )
    made.events.emit = events.append  # type: ignore[method-assign]
    return made


def test_the_hosts_are_asked_and_of_who_tells_nothing_the_records_stay(asked: list[str]) -> None:
    events: list[Event] = []
    # Only mx1 is in what the zones are planned from: what stands there of the others is left
    # alone (records/types/dkim.py).
    assert deployment(Rfc2136Settings("192.0.2.53"), events, "dns").public_keys() == {"mx1": KEY}
    assert asked == ["mx1", "mx2", "mx3"]
    said = [event.text for event in events if isinstance(event, Notice)]
    assert len(said) == 2
    assert "DKIM records of mx3 are left as they are" in said[0]
    assert "192.0.2.3 port 22 refused the connection" in said[0]
    assert "mx2 has no DKIM keys yet" in said[1]


def test_nobody_is_asked_where_nothing_is_published(asked: list[str]) -> None:
    assert deployment(ProviderSettings(), [], "dns").public_keys() == {}
    assert asked == []
