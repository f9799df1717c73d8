"""PACC: file and digest are one thing, whatever stands and wherever a run was killed."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

import pytest

from mailprov.client.pacc import pacc as file_of
from mailprov.client.pacc import wanted
from mailprov.client.settings import of_domain
from mailprov.dns import standing
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.dns.rrsets import RRset, Stored
from mailprov.errors import DnsUnreachable
from mailprov.model import pacc
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls, TlsMode
from mailprov.records import desired_records, kept
from mailprov.run import configurations, policies
from mailprov.run.policies import ReadBack

NAME = "_ua-auto-config.alpha.test"
KEY = (NAME, "TXT")


def inventory(mail_name: str | None = None, mode: TlsMode = TlsMode.ACME) -> Inventory:
    settings = {"web": True}
    mx1 = Host(
        "mx1", "192.0.2.1", "mx1.alpha.test", SshSettings(), Tls(mode), ("192.0.2.1",), settings=settings
    )
    dns = DnsSettings(Rfc2136Settings("192.0.2.9"))
    return Inventory(
        "-", (mx1,), (Domain("alpha.test", ("mx1",), mail_name=mail_name, mta_sts="off"),), dns=dns
    )


def file(of: Inventory) -> str:
    made = wanted(of, of.domains[0])
    assert made
    return made


OLD, NEW, THIRD = inventory(), inventory("mail.alpha.test"), inventory("imap.alpha.test")


class World:
    """One zone and one host. `zone`: None where no name server answers; `given`: None where nobody can fetch it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.zone: tuple[str, ...] | None = ()
        self.given: str | None = None
        self.now = datetime.datetime(2026, 11, 29, 12, 30, tzinfo=datetime.timezone.utc)
        self.said: list[str] = []

        def stand(settings: object, keys: Any) -> Any:
            if self.zone is None:
                raise DnsUnreachable("dns", "no answer", "")
            return {KEY: RRset(3600, tuple(map(Stored, self.zone)))} if self.zone else {}

        def fetch(host: Host, name: str, path: str, kind: str) -> str:
            if self.given is None:
                raise OSError("Connection refused")
            return self.given

        monkeypatch.setattr(standing, "standing", stand)
        monkeypatch.setattr(policies, "fetch", fetch)
        monkeypatch.setattr(configurations, "_now", lambda: self.now)

    def records(self, of: Inventory) -> None:
        """The zone is planned and written; of a name that is kept nothing changes."""
        back = ReadBack(of).inventory()
        wish = tuple(one.value for one in desired_records(back) if one.name == NAME)
        if wish or not kept(back, {})(NAME):
            self.zone = wish

    def apply(self, of: Inventory, killed: int = 9) -> list[str]:
        """A run up to a step: what is planned is written when the hosts are done; then once more what was read back.
        After each step whoever knew any set before finds the file's digest in what stands now.
        """
        self.said.clear()
        settled = configurations.settled(of, self.said.append)
        planned = ReadBack(settled).inventory()  # zones are planned before hosts change
        change = settled.domains[0].pacc
        steps = [
            lambda: setattr(self, "given", change.file if change else wanted(of, of.domains[0])),
            lambda: self._write(planned),
            lambda: self.records(settled),
        ]
        for step in steps[:killed]:
            step()
            self.whole()
        return self.said

    def _write(self, planned: Inventory) -> None:
        wish = tuple(one.value for one in desired_records(planned) if one.name == NAME)
        if wish or not kept(planned, {})(NAME):
            self.zone = wish

    def whole(self) -> None:
        if self.zone and self.given is not None:
            assert pacc.digest(self.given) in pacc.stated(self.zone), (self.zone, self.given)

    def stand(self) -> dict[str, str]:
        return pacc.stated(self.zone or ())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_the_file_names_hosts_alone_and_no_user() -> None:
    content = json.loads(file(NEW))
    assert content["protocols"] == {
        member: {"host": "mail.alpha.test"} for member in ("imap", "pop3", "submit", "smtp")
    }
    assert content["authentication"] == {"password": True}
    assert content["info"]["provider"]["name"] == "alpha.test"
    assert "@" not in file(NEW)


def test_a_host_without_tls_from_the_start_has_no_file() -> None:
    (mx1,) = NEW.hosts
    for off in ({"imaps", "pop3s"}, {"submissions"}):
        services = tuple(one for one in mx1.ports if one.service not in off)
        read = of_domain(NEW, NEW.domains[0])
        some = dataclasses.replace(
            read, servers=tuple(one for one in read.servers if one.port in {port.number for port in services})
        )
        assert file_of(some) == ""


@pytest.mark.parametrize("of", [inventory(mode=TlsMode.SELF_SIGNED)])
def test_with_a_certificate_that_nobody_trusts_there_is_neither(of: Inventory, world: World) -> None:
    assert wanted(of, of.domains[0]) is None
    world.apply(of)
    assert (world.given, world.zone) == (None, ())
    assert not kept(of, {})(NAME)


def test_the_first_file_comes_before_its_digest(world: World) -> None:
    world.apply(OLD, killed=2)
    assert (world.given, world.zone) == (file(OLD), ())
    world.apply(OLD)
    assert world.zone == (pacc.record(file(OLD)),)
    assert world.apply(OLD) == []


def test_a_new_file_comes_when_all_know_its_digest_and_the_old_digest_goes_behind_it(world: World) -> None:
    world.apply(OLD)
    (told,) = world.apply(NEW)
    assert "by 2026-11-29 14:00 UTC" in told
    assert world.given == file(OLD)
    assert world.stand() == {pacc.digest(file(OLD)): "", pacc.digest(file(NEW)): "2026112914"}
    world.now += datetime.timedelta(minutes=59)
    before = world.zone
    assert len(world.apply(NEW)) == 1
    assert (world.given, world.zone) == (file(OLD), before)
    world.now += datetime.timedelta(minutes=31)
    assert world.apply(NEW) == []
    assert (world.given, world.zone) == (file(NEW), (pacc.record(file(NEW)),))
    assert world.apply(NEW) == []


@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("second", range(3))
def test_killed_anywhere_the_next_apply_goes_on(world: World, first: int, second: int) -> None:
    world.apply(OLD)
    world.apply(NEW, killed=first)
    world.now += datetime.timedelta(hours=3)
    world.apply(NEW, killed=second)
    world.now += datetime.timedelta(hours=3)
    world.apply(NEW)
    world.now += datetime.timedelta(hours=3)
    world.apply(NEW)
    assert (world.given, world.zone) == (file(NEW), (pacc.record(file(NEW)),))


def test_another_change_meanwhile_begins_anew(world: World) -> None:
    world.apply(OLD)
    world.apply(NEW)
    world.now += datetime.timedelta(hours=1)
    world.apply(THIRD)
    assert world.stand() == {pacc.digest(file(OLD)): "", pacc.digest(file(THIRD)): "2026112915"}
    world.apply(OLD)  # and back: nothing is to be waited for
    assert (world.given, world.zone) == (file(OLD), (pacc.record(file(OLD)),))


def test_a_host_that_gives_nothing_out_gets_the_new_file_at_once(world: World) -> None:
    """It was installed anew: nobody can have the old file from it."""
    world.apply(OLD)
    world.given = None
    change = configurations.settled(NEW).domains[0].pacc
    assert change is None


def test_where_no_record_vouches_for_the_old_file_nobody_waits(world: World) -> None:
    world.given, world.zone = file(OLD), ("v=UAAC1; a=sha256; d=c29tZWJvZHkgZWxzZQ==",)
    assert configurations.settled(NEW).domains[0].pacc is None


def test_without_an_answer_from_dns_the_file_stays_as_it_is(world: World) -> None:
    world.apply(OLD)
    world.zone = None
    change = configurations.settled(NEW).domains[0].pacc
    assert change is not None
    assert change.file == file(OLD)


def test_unread_it_stays_as_it_stands(world: World) -> None:
    world.apply(OLD)
    before, world.given = world.zone, None
    world.records(OLD)
    assert world.zone == before


def test_what_is_published_by_hand_is_told_with_what_it_rests_on() -> None:
    read = dataclasses.replace(NEW, domains=(dataclasses.replace(NEW.domains[0], unread=True),))
    (record,) = [one for one in desired_records(read) if one.name == NAME]
    assert record.value == pacc.record(file(NEW))
    assert "publish it when https://ua-auto-config.alpha.test/" in record.why
