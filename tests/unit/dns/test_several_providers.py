"""One inventory over BIND, PowerDNS by its API and Cloudflare (stood in for): each zone at its provider, whole zones
compared before and after, and what one provider fails at stops its own zones alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from mailprov import dns as zones
from mailprov.dns import routes, seal
from mailprov.dns.providers.cloudflare import CloudflareSettings
from mailprov.dns.providers.powerdns.settings import PowerDnsSettings
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.errors import DnsFailed, DnsUnreachable, MailprovError
from mailprov.model.dns import DnsSettings, ProviderSettings
from mailprov.model.events import Event
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls
from mailprov.model.secret import Secret
from tests.unit.dns.api_backends import ApiBackend, standing_in
from tests.unit.dns.api_server import Fault
from tests.unit.dns.backend import Zone
from tests.unit.dns.rows import TOKEN
from tests.unit.dns.servers import API_KEY, NameServer, free_port, serving
from tests.unit.dns.transfer import whole

THEIRS = '@ TXT "site=abc; x"\nwww 77 A 192.0.2.80\nwww TXT "v=spf1 -all"\n'
COUNT = range(1, 13)


@dataclass
class World:
    """a*.test is at BIND, b*.test at PowerDNS, c*.test at Cloudflare."""

    bind: NameServer
    powerdns: NameServer
    cloudflare: ApiBackend

    def settings(self, number: int, **more: Any) -> DnsSettings:
        """`top`: another provider for what is not named; `token`: at Cloudflare."""
        token = Secret("env:CF", more.get("token", TOKEN))
        top = more.get("top", self.bind.settings().provider)
        entries: dict[str, ProviderSettings] = {
            f"b{number}.test": PowerDnsSettings(Secret("env:PDNS", API_KEY), self.powerdns.api()),
            f"c{number}.test": CloudflareSettings(token, self.cloudflare.api.url),
            "hand.test": ProviderSettings(),
        }
        named = {
            zone: DnsSettings(
                dataclasses.replace(own, key=f"dns.zones.{zone}"), 120 if zone[0] == "c" else 300
            )
            for zone, own in entries.items()
        }
        return DnsSettings(top, 300, zones=tuple(named.items()))

    def inventory(self, number: int, domains: str = "abc", **more: Any) -> Inventory:
        """mx1 has its name in b, and serves a domain in each; mx2 has its name in a."""
        hosts = [
            Host(name, address, fqdn, SshSettings(), Tls(), (address,))
            for name, address, fqdn in (
                ("mx1", "10.0.0.1", f"mx1.b{number}.test"),
                ("mx2", "10.0.0.2", f"mx2.a{number}.test"),
            )
        ]
        named = [f"{letter}{number}.test" for letter in domains] + list(more.pop("others", ()))
        served = tuple(Domain(name, ("mx1", "mx2")) for name in named)
        return Inventory("inv.yml", tuple(hosts), served, self.settings(number, **more))

    def all(self, number: int) -> dict[str, Zone]:
        return {
            f"a{number}.test": whole(self.bind, f"a{number}.test"),
            f"b{number}.test": whole(self.powerdns, f"b{number}.test"),
            f"c{number}.test": self.cloudflare.whole(f"c{number}.test"),
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:

        def zone_files(letter: str) -> dict[str, str]:
            return {f"{letter}{number}.test": THEIRS for number in COUNT}

        bind = stack.enter_context(serving("bind", tmp_path_factory.mktemp("bind"), zone_files("a")))
        powerdns = stack.enter_context(serving("powerdns", tmp_path_factory.mktemp("pdns"), zone_files("b")))
        cloudflare = stack.enter_context(standing_in("cloudflare", tmp_path_factory.mktemp("cf")))
        cloudflare.api.zones.clear()
        for zone, text in zone_files("c").items():
            cloudflare.api.add(zone, text)
        cloudflare.api.add("a9.test", THEIRS)  # an old copy of a zone that has moved to BIND
        yield World(bind, powerdns, cloudflare)


@pytest.fixture(autouse=True)
def calm(world: World) -> None:
    world.cloudflare.api.faults.clear()
    world.cloudflare.api.rights = {TOKEN: "edit"}


def publish(plans: list[zones.ZonePlan]) -> dict[str, MailprovError]:
    """Every zone; the errors of those that failed."""
    failed = {}
    events: list[Event] = []
    for plan in plans:
        try:
            if plan.error is None:
                zones.apply(plan, events.append)
        except MailprovError as error:
            failed[plan.zone] = error
    return failed


def names_of(plans: list[zones.ZonePlan]) -> list[str]:
    return sorted(plan.zone for plan in plans if plan.zone and plan.error is None)


def kept(before: Zone, after: Zone) -> None:
    for key, (ttl, texts) in before.items():
        assert texts <= after[key][1], key
        assert after[key][0] == ttl, key


def test_each_zone_is_written_at_its_provider_and_nowhere_else(world: World) -> None:
    before, wanted = world.all(1), world.inventory(1)
    plans = zones.plan(wanted)
    assert names_of(plans) == ["a1.test", "b1.test", "c1.test"]
    assert not publish(plans)
    after = world.all(1)
    for zone, stood in before.items():
        kept(stood, after[zone])
        assert after[zone][zone, "MX"][1] == {"10 mx1.b1.test.", "20 mx2.a1.test."}
        assert all(name == zone or name.endswith(f".{zone}") for name, __ in after[zone])
    assert after["b1.test"]["mx1.b1.test", "A"] == (300, {"10.0.0.1"})
    assert after["a1.test"]["mx2.a1.test", "A"] == (300, {"10.0.0.2"})
    assert after["c1.test"]["c1.test", "MX"][0] == 120  # its own ttl
    assert not [change for plan in zones.plan(wanted) for change in plan.changes]


def test_a_wrong_token_stops_the_zones_of_that_provider_alone(world: World) -> None:
    before = world.all(2)
    plans = zones.plan(world.inventory(2, token="another-token"))
    (wrong,) = (plan for plan in plans if plan.error is not None)
    assert (wrong.zone, type(wrong.error)) == ("c2.test", DnsFailed)
    assert "dns.zones.c2.test.token (env:CF)" in str(wrong.error)
    assert names_of(plans) == ["a2.test", "b2.test"]
    assert not publish(plans)
    after = world.all(2)
    assert after["c2.test"] == before["c2.test"]
    assert after["a2.test"] != before["a2.test"]
    assert after["b2.test"] != before["b2.test"]
    assert names_of([plan for plan in zones.plan(world.inventory(2)) if plan.changes]) == ["c2.test"]


def test_a_server_that_does_not_answer_stops_what_is_there_alone(world: World) -> None:
    before = world.all(3)
    silent = Rfc2136Settings("127.0.0.1", free_port())
    plans = zones.plan(world.inventory(3, top=silent))
    (lost,) = (plan for plan in plans if plan.error is not None)
    assert (lost.zone, type(lost.error)) == ("", DnsUnreachable)
    assert lost.notices == ("not planned: a3.test, mx2.a3.test",)
    assert not publish(plans)
    assert world.all(3)["a3.test"] == before["a3.test"]
    assert names_of(plans) == ["b3.test", "c3.test"]


def test_a_zone_that_is_not_there_stops_what_is_there_alone(world: World) -> None:
    wanted = world.inventory(4)
    world.cloudflare.api.zones.pop("c4.test")
    plans = zones.plan(wanted)
    (lost,) = (plan for plan in plans if plan.error is not None)
    assert lost.zone == "c4.test"
    assert "the zone of c4.test is not there" in str(lost.error)
    assert names_of(plans) == ["a4.test", "b4.test"]


def test_what_fails_in_the_middle_of_an_apply_is_healed_by_the_next_one(world: World) -> None:
    before, wanted = world.all(5), world.inventory(5)
    plans = zones.plan(wanted)
    world.cloudflare.api.rights = {}  # revoked between plan and apply
    failed = publish(plans)
    assert list(failed) == ["c5.test"]
    assert "dns.zones.c5.test.token" in str(failed["c5.test"])
    assert world.all(5)["c5.test"] == before["c5.test"]
    world.cloudflare.api.rights = {TOKEN: "edit"}
    plans = zones.plan(wanted)
    assert names_of([plan for plan in plans if plan.changes]) == ["c5.test"]
    # The change is made, and its answer lost: what stands counts.
    world.cloudflare.api.faults.append(Fault("POST .*batch", after=True))
    assert not publish(plans)
    assert not [change for plan in zones.plan(wanted) for change in plan.changes]
    for zone, stood in before.items():
        kept(stood, world.all(5)[zone])


def test_back_over_all_providers_each_image_under_its_own_credential(world: World) -> None:
    before, wanted = world.all(6), world.inventory(6)
    plans = zones.plan(wanted)
    images = [seal.sealed(image, "run", wanted.dns) for plan in plans if (image := zones.before_image(plan))]
    assert not publish(plans)
    assert [image["zone"] for image in images if seal.genuine(image, wanted.dns)] == [
        image["zone"] for image in images
    ]
    # Under the credential of another zone it proves nothing.
    moved = dict(wanted.dns.zones)
    moved["b6.test"], moved["c6.test"] = moved["c6.test"], moved["b6.test"]
    crossed = DnsSettings(wanted.dns.provider, zones=tuple(moved.items()))
    assert [image["zone"] for image in images if seal.genuine(image, crossed)] == ["a6.test"]
    assert not publish(zones.plan_undo(wanted, [{**image, "told": ["mx1"]} for image in images]))
    assert world.all(6) == before


def test_going_back_is_all_or_nothing(world: World) -> None:
    wanted = world.inventory(7)
    plans = zones.plan(wanted)
    images = [seal.sealed(image, "run", wanted.dns) for plan in plans if (image := zones.before_image(plan))]
    world.cloudflare.api.rights = {}
    with pytest.raises(DnsFailed, match=r"dns\.zones\.c7\.test\.token"):
        zones.plan_undo(wanted, [{**image, "told": ["mx1"]} for image in images])


def test_a_domain_leaves_its_zone_though_only_a_marker_at_another_provider_names_it(world: World) -> None:
    before = world.all(8)
    assert not publish(zones.plan(world.inventory(8)))
    left = world.inventory(8, domains="ab")
    # First its provider cannot be asked: it stays named, so nothing is forgotten.
    assert not publish(zones.plan(dataclasses.replace(left, dns=world.settings(8, token="another-token"))))
    assert world.all(8)["c8.test"] != before["c8.test"]
    plans = zones.plan(left)
    assert names_of([plan for plan in plans if plan.changes]) == ["a8.test", "b8.test", "c8.test"]
    assert not publish(plans)
    assert world.all(8)["c8.test"] == before["c8.test"]
    assert not [change for plan in zones.plan(left) for change in plan.changes]


def test_an_old_copy_of_a_zone_at_another_provider_is_left_alone(world: World) -> None:
    """Cloudflare has a9.test too, and is asked about sub.a9.test, which is no zone there."""
    before = world.cloudflare.whole("a9.test")
    wanted = world.inventory(9, others=["sub.a9.test"])
    cloudflare = wanted.dns.at("c9.test")
    wanted = dataclasses.replace(
        wanted, dns=dataclasses.replace(wanted.dns, zones=(*wanted.dns.zones, ("sub.a9.test", cloudflare)))
    )
    (lost,) = (plan for plan in zones.plan(wanted) if plan.zone == "sub.a9.test")
    assert "sub.a9.test is in zone a9.test there, which `dns.zones` does not give to this provider" in str(
        lost.error
    )
    publish(zones.plan(wanted))
    assert world.cloudflare.whole("a9.test") == before


def test_what_is_by_hand_is_told_beside_what_is_written(world: World) -> None:
    wanted = world.inventory(10, others=["hand.test"])
    plans = zones.plan(wanted)
    (notices,) = (plan.notices for plan in plans if not plan.zone)
    command = "`mailprov dns export --by-hand --dkim inv.yml`"
    assert f"published by hand: hand.test; {command} prints their records" in notices
    assert names_of(plans) == ["a10.test", "b10.test", "c10.test"]
    assert not any(
        "hand.test" in f"{change.name} {change.detail}" for plan in plans for change in plan.changes
    )
    every, by_hand = zones.export(wanted), zones.export(wanted, by_hand=True)
    assert "hand.test. 300 IN MX 10 mx1.b10.test." in by_hand
    records = [line for line in by_hand.splitlines() if line and not line.startswith(";")]
    assert {line.split(".test.")[0].split(".")[-1] for line in records} == {"hand"}
    assert "c10.test. 120 IN MX 10 mx1.b10.test." in every
    for form in zones.FORMS:
        assert "c10.test. " not in zones.export(wanted, form=form, by_hand=True).replace("mx1.b10", "")


def test_equal_settings_are_one_connection(world: World) -> None:
    settings = world.settings(11)
    own = settings.at("c11.test")
    again = DnsSettings(dataclasses.replace(own.provider, key="dns.zones.c12.test"))
    settings = dataclasses.replace(settings, zones=(*settings.zones, ("c12.test", again)))
    before = len(world.cloudflare.api.calls("GET .*zones$"))
    with routes.open_driver(settings) as driver:
        told = driver.query([("c11.test", "TXT"), ("c12.test", "TXT"), ("hand.test", "TXT")], ["a11.test"])
        assert driver.query([("c12.test", "MX")]).answers["c12.test", "MX"].authoritative
        assert driver.at("c12.test").query([("c11.test", "MX")]).answers["c11.test", "MX"].authoritative
    assert [bool(answer.sets) for answer in told.answers.values()] == [True, True, False]
    assert told.places["a11.test"].zone == "a11.test"
    assert len(world.cloudflare.api.calls("GET .*zones$")) == before + 1


def test_ours_that_is_published_by_hand_from_now_on_stays_named_and_is_no_news(world: World) -> None:
    assert not publish(zones.plan(world.inventory(12)))
    stands = world.all(12)["c12.test"]
    wanted = world.inventory(12)
    entries = dict(wanted.dns.zones) | {"c12.test": DnsSettings()}
    wanted = dataclasses.replace(wanted, dns=dataclasses.replace(wanted.dns, zones=tuple(entries.items())))
    plans = zones.plan(wanted)
    assert not publish(plans)
    assert world.all(12)["c12.test"] == stands
    assert not any("has left" in notice for plan in plans for notice in plan.notices)
    assert not [change for plan in zones.plan(world.inventory(12)) for change in plan.changes]
