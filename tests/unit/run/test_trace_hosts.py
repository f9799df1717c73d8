"""A message is followed from host to host; a clock that is off stops nothing, and a host that is silent is a gap."""

from __future__ import annotations

import time
from typing import Any

from mailprov.errors import HostUnreachable
from mailprov.model.inventory import Host
from mailprov.run.trace_hosts import Ears
from mailprov.transport.channel import Channel
from tests.unit.run.scripted import ScriptedAgent, end, hello, inventory

HOUR = 3600.0
ID = "<a@alpha.test>"


def logged(*texts: tuple[str, str]) -> dict[str, Any]:
    records = [
        {"t": 1_796_000_000_000_000 + number, "ident": ident, "pid": 7, "text": text, "source": "journal"}
        for number, (ident, text) in enumerate(texts)
    ]
    return {
        "t": "maillog", "records": records, "gaps": [], "reach": 1.796e9, "sources": ["journal"], "more": False,
        "now": time.time() + HOUR,
    }  # fmt: skip


FIRST = (
    ("postfix/smtpd", "AAAAAA1: client=unknown[192.0.2.9]"),
    ("postfix/cleanup", f"AAAAAA1: message-id={ID}"),
    (
        "postfix/smtp",
        "AAAAAA1: to=<eva@beta.test>, relay=mx2.alpha.test[192.0.2.2]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
        "status=sent (250 2.0.0 Ok: queued as BBBBBB2)",
    ),
)
SEEN = {
    "t": "traced", "files": [], "settings": {"minimal_backoff_time": "300s"}, "now": time.time() + HOUR,
    "answers": [
        {"name": "beta.test", "type": "MX", "server": "192.0.2.53", "values": ["10 mx2.beta.test"],
         "answer": "NOERROR", "ttl": 300, "seconds": 0.1},
    ],
}  # fmt: skip


class Hosts:
    def __init__(self, silent: str = "") -> None:
        self.asked: list[tuple[str, str]] = []
        self._silent = silent

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        self.asked.append((host.name, job["mode"]))
        if host.name == self._silent:
            raise HostUnreachable(host.name, "no answer on port 22", "look")
        told = (
            logged(*FIRST) if host.name == "mx1" else logged(("postfix/cleanup", f"BBBBBB2: message-id={ID}"))
        )
        return ScriptedAgent([hello(HOUR), SEEN if job["mode"] == "trace" else told, end()])


def ears(hosts: Hosts) -> Ears:
    addresses = {"mx1": ("192.0.2.1",), "mx2": ("192.0.2.2",)}
    return Ears(inventory("mx1", "mx2"), time.time(), hosts.start, lambda host: addresses[host.name])


def test_it_goes_on_to_the_host_that_took_the_message_whatever_its_clock_says() -> None:
    hosts = Hosts()
    found = ears(hosts)
    found.follow({"mx1": ["AAAAAA1"]}, ID, 0.0)

    assert hosts.asked == [("mx1", "maillog"), ("mx2", "maillog")]
    assert {log.host: round(log.offset or 0, -1) for log in found.logs} == {"mx1": HOUR, "mx2": HOUR}
    found.look(
        inventory("mx1").host("mx1"), ID, ["eva@beta.test"], [("beta.test", "MX")], ["minimal_backoff_time"]
    )
    assert found.settings == {"mx1": {"minimal_backoff_time": "300s"}}
    assert [(each.host, each.values) for each in found.questions] == [("mx1", ("10 mx2.beta.test",))]
    assert found.gaps == []


def test_a_host_that_is_silent_is_a_gap_and_is_asked_once() -> None:
    hosts = Hosts(silent="mx2")
    found = ears(hosts)
    found.follow({"mx1": ["AAAAAA1"]}, ID, 0.0)
    found.follow({"mx1": ["AAAAAA1"]}, ID, 0.0)

    assert hosts.asked.count(("mx2", "maillog")) == 1
    assert [log.host for log in found.logs] == ["mx1"]
    assert ["the log of mx2 could not be read" in gap for gap in found.gaps] == [True]
