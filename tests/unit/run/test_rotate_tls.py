"""How a certificate's key is changed: its record, the wait, the key, the old record goes; and what stops that."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailprov import dns as zones
from mailprov.components.dkim import Step
from mailprov.components.tls import material
from mailprov.dns.diff import ZoneDiff
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.dns.rrsets import Edit
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import HostFailed, Unreachable
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Notice
from mailprov.model.inventory import Inventory, KeyType, Tls, TlsMode
from mailprov.model.tls_keys import HostKeys
from mailprov.probe.clients.resolver import Answer, NoAnswer, Resolver
from mailprov.run import dkim_keys, rotate_tls
from mailprov.run.options import Options
from mailprov.run.select import select
from mailprov.run.waiting import Waiting
from tests.unit.run.scripted import inventory

OLD, NEW = "0a" * 32, "0b" * 32
NAME = "_25._tcp.mx1.alpha.test"
SERVES = HostKeys((OLD,), served=(OLD,))
PREPARED = HostKeys((OLD, NEW), served=(OLD,))


class World:
    """What hosts and zones say, and what was done, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.keys = {"mx1": SERVES}
        self.errors: list[Any] = []
        self.stands: list[str] = [f"3 1 1 {OLD}"]
        self.ttl = 7200
        self.edits: list[Edit] = []
        self.codes: dict[Step | None, int] = {}
        self.now = 1000.0
        self.dns = DnsSettings(Rfc2136Settings("192.0.2.2"), ttl=3600)
        self.hosts: list[tuple[str, ...]] = []
        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(dkim_keys, "ask", lambda *a, **k: dkim_keys.Told({}, {}, self.keys, self.errors))
        monkeypatch.setattr(zones, "plan", lambda *a, **k: [ZonePlan("alpha.test", (), work=self._work())])
        monkeypatch.setattr(Resolver, "ask", self._ask)
        monkeypatch.setattr(rotate_tls, "not_yet", self._not_yet)
        monkeypatch.setattr(rotate_tls, "toward_desired", self._run)
        self.asleep: Callable[[], None] = lambda: None

    def _work(self) -> Any:
        return SimpleNamespace(diff=ZoneDiff(edits=tuple(self.edits)))

    def _sleep(self, seconds: float) -> None:
        self.asleep()
        self.now += seconds

    def _ask(self, name: str, kind: str) -> Answer:
        assert (name, kind) == (NAME, "TLSA")
        if not self.ttl:
            raise NoAnswer("silence")
        return Answer(name, kind, tuple(self.stands), "ns", ttl=self.ttl if self.stands else 0)

    def _not_yet(self, settings: DnsSettings, wanted: Any, kind: str) -> dict[str, str]:
        return {
            name: f"{name} is not there"
            for name, values in wanted.items()
            if not set(values) <= set(self.stands)
        }

    def _run(self, read: Inventory, selection: Any, options: Options, *more: Any) -> Any:
        world, step = self, options.rotation.step if options.rotation else None

        class Run:
            changed = True

            def run(self) -> int:
                world.done.append(f"{step.value if step else 'zones'} at {world.now:.0f}")
                world.hosts.append(tuple(host.name for host in selection.hosts) if selection.on_hosts else ())
                assert options.switching is (step is not None)
                if step is Step.PUBLISH:
                    world.keys = {**world.keys, "mx1": options.tls.get("mx1", PREPARED)}
                    if world.stands and read.dns.provider.publishes:
                        world.stands = [f"3 1 1 {one}" for one in world.keys["mx1"].published]
                return world.codes.get(step, 0)

            def tls_keys(self) -> dict[str, HostKeys]:
                return world.keys

        return Run()

    def rotate(self, waiting: Waiting = Waiting(), tls: Tls = Tls()) -> tuple[int, str]:
        base = inventory("mx1")
        hosts = tuple(dataclasses.replace(host, tls=tls) for host in base.hosts)
        read = dataclasses.replace(base, dns=self.dns, hosts=hosts)
        said: list[str] = []
        more: Any = {
            "start": None,
            "report": lambda event: said.append(event.text) if isinstance(event, Notice) else None,
        }
        options = Options(command="tls rotate", confirm=lambda counts: True)
        return rotate_tls.rotate(read, select(read), options, waiting, **more), "\n".join(said)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_the_record_comes_first_and_what_is_remembered_of_the_old_one_is_waited_for(world: World) -> None:
    code, said = world.rotate()
    assert code == 0
    # The record that stood could be kept for 7200 s, though the inventory says 3600 by now.
    assert world.done == ["publish at 1000", "switch at 8200"]
    assert said.index("step 1 of 2") < said.index("waiting until") < said.index("step 2 of 2")
    world.keys, world.stands, world.done = {"mx1": SERVES}, [f"3 1 1 {OLD}"], []
    assert world.rotate(Waiting(seconds=0))[0] == 0
    assert world.done == ["publish at 8200", "switch at 8200"]


def test_without_a_record_nobody_need_wait(world: World) -> None:
    world.stands = []
    assert world.rotate()[0] == 0
    assert world.done == ["publish at 1000", "switch at 1000"]


def test_what_name_servers_do_not_say_is_waited_for(world: World) -> None:
    world.ttl = 0
    assert world.rotate()[0] == 0
    assert world.done == ["publish at 1000", "switch at 4600"]


def test_a_host_that_cannot_be_asked_stops_it(world: World) -> None:
    world.errors = [Unreachable("mx1", "no route", "")]
    with pytest.raises(Unreachable):
        world.rotate()
    assert world.done == []


@pytest.mark.parametrize("step", [Step.PUBLISH, Step.SWITCH])
def test_a_step_that_fails_is_the_last_one(world: World, step: Step) -> None:
    world.codes[step] = 1
    assert world.rotate()[0] == 1
    assert len(world.done) == (1 if step is Step.PUBLISH else 2)


def test_interrupted_the_old_key_stays_and_the_same_command_goes_on(world: World) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    world.asleep = interrupt
    code, said = world.rotate()
    assert (code, world.done) == (130, ["publish at 1000"])
    assert "the same command continues" in said
    world.asleep, world.now = lambda: None, 2000.0
    assert world.rotate()[0] == 0
    # Nobody knows when it was published: it waits anew.
    assert world.done[1:] == ["publish at 2000", "switch at 9200"]


def test_killed_before_the_old_record_went_it_only_puts_the_records_right(world: World) -> None:
    world.edits = [Edit(NAME, "TLSA", 300, (f"3 1 1 {OLD}",), ())]
    code, said = world.rotate()
    assert (code, world.done, world.hosts) == (0, ["zones at 1000"], [()])
    assert "is served already" in said
    # In a new zone; and where the one before was killed when it had made the key and not published it.
    for edit in (
        Edit(NAME, "TLSA", 300, (), (f"3 1 1 {OLD}",)),
        Edit(NAME, "TLSA", 300, (), (f"3 1 1 {NEW}",)),
    ):
        world.edits = [edit, Edit(NAME, "TXT", 300, ("theirs",), ())]
        world.done.clear()
        assert world.rotate()[0] == 0
        assert [one.split()[0] for one in world.done] == ["publish", "switch"]


def test_by_hand_it_says_what_to_publish_and_goes_on_from_there(world: World) -> None:
    world.dns = DnsSettings()
    code, said = world.rotate()
    assert (code, world.done) == (4, ["publish at 1000"])
    assert f"publish: {NAME}. TLSA 3 1 1 {NEW}" in said
    world.stands.append(f"3 1 1 {NEW}")
    assert world.rotate()[0] == 0
    assert world.done[1:] == ["publish at 1000", "switch at 8200"]


def test_given_files_are_published_before_a_host_gets_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = Tls(TlsMode.FILES, Path("mx1.crt"), Path("mx1.key"))
    monkeypatch.setattr(rotate_tls, "given_key", lambda host: NEW)
    assert world.rotate(tls=tls)[0] == 0
    assert world.done == ["publish at 1000", "switch at 8200"]
    assert world.hosts == [(), ("mx1",)]  # in the first step only zones are written
    world.keys, world.done = {"mx1": HostKeys((NEW,), served=(NEW,))}, []
    code, said = world.rotate(tls=tls)
    assert (code, world.done) == (0, [])
    assert "the key of mx1.crt is the one that it serves" in said


def test_files_in_place_of_another_mode_are_published_beside_the_key_that_is_served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.keys = {"mx1": HostKeys((), changes=True, served=(OLD,))}
    monkeypatch.setattr(rotate_tls, "given_key", lambda host: NEW)
    assert world.rotate(tls=Tls(TlsMode.FILES, Path("mx1.crt"), Path("mx1.key")))[0] == 0
    assert world.keys["mx1"] == HostKeys((OLD, NEW), False, (OLD,))
    assert world.done == ["publish at 1000", "switch at 8200"]


def test_a_key_that_would_be_served_before_its_record_is_known_is_refused(world: World) -> None:
    """A second kind of key, or another mode: the daemons read it as soon as it is there."""
    world.keys = {"mx1": HostKeys((OLD,), changes=True, served=(OLD,))}
    with pytest.raises(HostFailed, match="would show the new one before its record can be known") as caught:
        world.rotate(tls=Tls(TlsMode.ACME, key_type=KeyType.BOTH))
    assert "tls: {tlsa: off}" in str(caught.value)
    assert world.done == []
    assert world.rotate(tls=Tls(TlsMode.ACME, key_type=KeyType.BOTH, tlsa=False))[0] == 0
    world.stands, world.done = [], []
    assert world.rotate(tls=Tls(TlsMode.ACME, key_type=KeyType.BOTH))[0] == 0
    assert world.done == ["publish at 1000", "switch at 1000"]


@pytest.mark.parametrize(("step", "rotate"), [(None, ""), (Step.PUBLISH, "prepare"), (Step.SWITCH, "switch")])
@pytest.mark.parametrize("mode", [TlsMode.SELF_SIGNED, TlsMode.ACME])
def test_hosts_are_told_by_their_state(mode: TlsMode, step: Step | None, rotate: str) -> None:
    host = dataclasses.replace(inventory("mx1").hosts[0], tls=Tls(mode))
    made = material.material(host, rotate=rotate)
    assert [each.rotate for each in (*made.certificates, *made.issued)] == [rotate]
    assert [each.path for each in made.issued] + [each.certificate for each in made.certificates] == list(
        material.served_paths(host)
    )
    assert all("--reuse-key" in each.arguments for each in made.issued)
