"""A host in foreign hands at a rollback, on a real BIND: what it makes up gets into no zone, and keeps nobody back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from mailprov import dns as driver
from mailprov.model.events import Ended, Event, Notice
from mailprov.model.inventory import Domain, Host, Inventory
from mailprov.run import deploy
from mailprov.run.rollback import rollback
from mailprov.run.select import select
from mailprov.transport.channel import Channel
from tests.unit.dns.servers import NameServer, inventory
from tests.unit.run.scripted import FILE, Remembering, past

RUN = "20240101T200000Z-0a1b2c"


def two(name_server: NameServer, first: str, second: str) -> Inventory:
    """mx1 serves `first` alone, mx2 `second` alone."""
    one, other = inventory(first, name_server.settings()), inventory(second, name_server.settings(), start=2)
    return dataclasses.replace(one, hosts=one.hosts + other.hosts, domains=one.domains + other.domains)


def publish(wanted: Inventory, **options: Any) -> list[dict[str, Any]]:
    """Publish; the images as 0.1.0 gave them to hosts, after a journey as JSON."""
    plans = driver.plan(wanted, **options)
    images = [driver.before_image(plan) for plan in plans]
    for plan in plans:
        driver.apply(plan, lambda event: None)
    return json.loads(json.dumps([one for one in images if one]))  # type: ignore[no-any-return]


class Run:
    def __init__(self, wanted: Inventory, **runs: dict[str, Any] | None) -> None:
        self.agents = {name: Remembering(run, FILE) for name, run in runs.items()}
        self.events: list[Event] = []
        options = deploy.Options(command="rollback", verify=False)
        more: Any = {"start": self.start, "report": self.events.append}
        self.code = rollback(wanted, select(wanted), options, **more)

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        return self.agents[host.name]

    def said(self, host: str) -> list[str]:
        return [message["t"] for message in self.agents[host].sent]

    def error(self, subject: str) -> str:
        return next(e.error for e in self.events if isinstance(e, Ended) and e.subject == subject)

    @property
    def notices(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Notice))


def made_up(zone: str, name: str, kind: str, *values: str) -> dict[str, Any]:
    """ "Before that run there was this, and then nothing": a rollback would bring it back."""
    half = {"ttl": 60, "values": list(values)}
    return {"zone": zone, "sets": [{"name": name, "type": kind, "before": half, "after": None}]}


def everything(name_server: NameServer, zone: str) -> dict[str, set[str]]:
    names = [zone, f"_acme-challenge.{zone}", f"www.{zone}", f"mx1.{zone}", f"mx2.{zone}", f"_dmarc.{zone}"]
    kinds = ("A", "MX", "TXT", "NS")
    found = {f"{name} {kind}": name_server.values(name, kind) for name in names for kind in kinds}
    return {**found, "marker": name_server.values(f"_mailprov.{zone}", "TXT")}


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("told2.test", "MX", "5 evil.example"),
        ("told2.test", "TXT", "v=spf1 +all"),
        ("mx2.told2.test", "A", "203.0.113.66"),
        ("_acme-challenge.told2.test", "TXT", "proof"),
        ("www.told2.test", "A", "203.0.113.66"),
    ],
)
def test_of_a_zone_of_another_host_nothing_is_believed(
    name_server: NameServer, name: str, kind: str, value: str
) -> None:
    wanted = two(name_server, "told1.test", "told2.test")
    publish(wanted)
    before = everything(name_server, "told2.test")
    lie = made_up("told2.test", name, kind, value)
    run = Run(wanted, mx1=past(RUN, lie), mx2=past(RUN))

    assert everything(name_server, "told2.test") == before
    assert run.code == 1
    assert "mx1: it reports what zone told2.test was before, in which it serves no domain" in run.error("mx1")
    assert run.said("mx1") == [], "it is not asked to do anything"
    assert run.said("mx2") == ["target", "go"], "the other host goes back"


@pytest.mark.parametrize(
    "run_id",
    [
        "99991231T235959Z-ffffff",
        "99999999999999",
        "~~~",
        "20269999T999999Z-0a1b2c",
        "20240101T200000Z-0A1B2C",
    ],
)
def test_an_invented_run_keeps_no_other_host_from_going_back(name_server: NameServer, run_id: str) -> None:
    wanted = two(name_server, "told3.test", "told4.test")
    images = [one for one in publish(wanted) if one["zone"] == "told4.test"]
    if not images:  # published by an earlier case
        images = [made_up("told4.test", "told4.test", "MX", "10 mx2.told4.test")]
    run = Run(wanted, mx1=past(run_id), mx2=past(RUN, *images))

    assert run.code == 1
    assert "mx1: it reports a run" in run.error("mx1")
    assert (run.said("mx1"), run.said("mx2")) == ([], ["target", "go"])
    assert run.agents["mx2"].sent[0]["run"] == RUN


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("told5.test", "MX", "5 evil.example"),
        ("told5.test", "TXT", "v=spf1 +all"),
        ("told5.test", "TXT", "v=spf1 include:evil.example -all"),
        ("www.told5.test", "AAAA", "2001:db8::66"),
        ("_dmarc.told5.test", "TXT", "v=DMARC1; p=none; ruf=mailto:eve@evil.example"),
        ("mx2-rsa-1._domainkey.told5.test", "TXT", "v=DKIM1; k=rsa; p="),
        ("_mailprov.told5.test", "TXT", "v=mailprov1 for=told5.test www/A=AAAAAAAAAAAA"),
        ("_mailprov.told5.test", "TXT", "v=mailprov2 zone=told5.test for=told5.test www/A=AAAAAAAAAAAA"),
    ],
)
def test_in_its_own_zone_only_what_mailprov_would_write_comes_back(
    name_server: NameServer, name: str, kind: str, value: str
) -> None:
    """Without a seal: the zone is left as it is, and told, with the host's name."""
    wanted = inventory("told5.test", name_server.settings())
    publish(wanted)
    before = everything(name_server, "told5.test")
    run = Run(wanted, mx1=past(RUN, made_up("told5.test", name, kind, value)))

    assert everything(name_server, "told5.test") == before
    assert run.code == 1
    assert f"what mx1 reports of {name} {kind}" in run.notices


def test_nobody_elses_values_are_taken_away_or_get_another_ttl(name_server: NameServer) -> None:
    wanted = inventory("told6.test", name_server.settings())
    publish(wanted)
    before = everything(name_server, "told6.test")
    www = {"ttl": 300, "values": ["192.0.2.80"]}
    taken = {"name": "www.told6.test", "type": "A", "before": None, "after": www}
    slower = {**taken, "before": {**www, "ttl": 2**31 - 1}}
    for lie in (taken, slower):
        run = Run(wanted, mx1=past(RUN, {"zone": "told6.test", "sets": [lie]}))
        assert (run.code, everything(name_server, "told6.test")) == (1, before)
        assert name_server.ask("www.told6.test", "A").answer[0].ttl == 300


def test_with_the_seal_what_was_taken_over_comes_back_and_forged_it_does_not(name_server: NameServer) -> None:
    """The controller made the image itself, and the host only kept it."""
    from mailprov.dns import seal

    wanted = inventory("told7.test", name_server.settings())
    name_server.change("told7.test", lambda m: m.add("told7.test.", 300, "MX", "5 www.told7.test."))
    before = everything(name_server, "told7.test")
    images = publish(wanted, take_over=True)
    kept = [json.loads(json.dumps(seal.sealed(one, RUN, wanted.dns))) for one in images]
    assert not seal.genuine(
        kept[0], dataclasses.replace(wanted.dns, provider=wanted.dns.provider.without_credential())
    ), "nothing to check with"
    run = Run(wanted, mx1=past(RUN, *kept))
    assert (run.code, everything(name_server, "told7.test")) == (0, before)

    publish(wanted, take_over=True)
    forged = json.loads(json.dumps(kept).replace("5 www.told7.test", "5 evil.example"))
    assert forged != kept
    run = Run(wanted, mx1=past(RUN, *forged))
    assert run.code == 1
    assert "left alone: told7.test MX, mx1.told7.test A; what mx1 reports" in run.notices
    assert name_server.values("told7.test", "MX") == {"10 mx1.told7.test."}, "as it was: the rest went back"
    assert name_server.values("mx1.told7.test", "A") == {"10.0.0.1"}, "what that MX leads to"
    assert name_server.values("_dmarc.told7.test", "TXT") == set()


def test_an_image_of_the_first_release_is_taken_back(name_server: NameServer) -> None:
    """It has no seal; what the run wrote is in the markers, and what it changed mailprov had written."""
    wanted = inventory("told8.test", name_server.settings())
    pristine = everything(name_server, "told8.test")
    first = publish(wanted)
    published = everything(name_server, "told8.test")
    more = inventory("told8.test", name_server.settings(ttl=77), hosts=2)
    second = publish(more)

    run = Run(more, mx1=past(RUN, *second), mx2=past(RUN, *second))
    assert (run.code, everything(name_server, "told8.test")) == (0, published)
    run = Run(wanted, mx1=past(RUN, *first))
    assert (run.code, everything(name_server, "told8.test")) == (0, pristine)


def test_what_the_zone_bears_out_goes_back_beside_what_is_left(name_server: NameServer) -> None:
    """Of an image without a seal: a lie, or what --take-over replaced, keeps nothing else of the zone from it."""
    wanted = inventory("told9.test", name_server.settings())
    publish(wanted)
    published = everything(name_server, "told9.test")
    (image,) = publish(inventory("told9.test", name_server.settings(), hosts=2))
    assert everything(name_server, "told9.test") != published
    lie = made_up("told9.test", "www.told9.test", "AAAA", "2001:db8::66")["sets"]
    run = Run(wanted, mx1=past(RUN, {**image, "sets": image["sets"] + lie}))

    assert (run.code, everything(name_server, "told9.test")) == (1, published)
    assert "left alone: www.told9.test AAAA; what mx1 reports from before" in run.notices
    assert name_server.values("www.told9.test", "AAAA") == set()
    assert driver.plan(wanted)[0].changes == (), "and the markers know it"


def test_of_a_shared_zone_a_host_puts_back_its_own_part(name_server: NameServer) -> None:
    """Its image of 0.1.0 tells of the other's domain, too: that is the other's to tell, and no failure."""
    wanted = inventory("told9.test", name_server.settings(), hosts=2)
    wanted = dataclasses.replace(
        wanted, domains=(Domain("told9.test", ("mx1",)), Domain("sub.told9.test", ("mx2",)))
    )
    publish(wanted)
    policy = {"ttl": 300, "values": ["v=DMARC1; p=none; aspf=s"]}
    lie = {"name": "_dmarc.told9.test", "type": "TXT", "before": policy, "after": None}
    run = Run(wanted, mx1=None, mx2=past(RUN, {"zone": "told9.test", "sets": [lie]}))

    assert (run.code, name_server.values("_dmarc.told9.test", "TXT")) == (0, set())
    assert "what mx2 reports of _dmarc.told9.test TXT" in run.notices


def test_hosts_that_tell_different_things_of_a_zone_are_not_believed(name_server: NameServer) -> None:
    wanted = inventory("told6.test", name_server.settings(), hosts=2)
    images = publish(wanted)
    before = everything(name_server, "told6.test")
    lie = made_up("told6.test", "told6.test", "MX", "40 mx2.told6.test")
    run = Run(wanted, mx1=past(RUN, *images), mx2=past(RUN, lie))

    assert (run.code, everything(name_server, "told6.test")) == (1, before)
    assert "mx1, mx2" in run.notices


def test_a_domain_of_nobody_is_of_no_zone_of_this_host(name_server: NameServer) -> None:
    wanted = inventory("told5.test", name_server.settings())
    left = dataclasses.replace(wanted, domains=(*wanted.domains, Domain("elsewhere.test", ())))
    run = Run(left, mx1=past(RUN, made_up("elsewhere.test", "elsewhere.test", "MX", "5 evil.example")))

    assert run.code == 1
    assert "serves no domain" in run.error("mx1")
