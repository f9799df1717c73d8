"""`dns move` on a real BIND, with a clock that waits: step by step, there and back, killed, by two machines."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailprov.errors import DnsFailed, DnsUnreachable, InputError
from mailprov.run import deploy, move, moves
from mailprov.run.select import select
from tests.unit.dns.moving import HOSTED, PLACES, Clock, Killed, Machine, killing, waiting
from tests.unit.dns.servers import serving
from tests.unit.dns.updates_backend import Updates

ZONES = (f"move{number}.test" for number in itertools.count(1))
DAY, WEEK = 86_400, 7 * 86_400


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Updates]:
    zones = {f"move{number}.test": "www A 192.0.2.80\n" for number in range(1, 60)}
    with serving("bind", tmp_path_factory.mktemp("bind"), zones) as server:
        yield Updates(server)


@pytest.fixture
def zone() -> str:
    return next(ZONES)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, backend: Updates, zone: str) -> Clock:
    return waiting(backend, zone, monkeypatch)


@pytest.fixture
def machine(backend: Updates, zone: str, tmp_path: Path, clock: Clock) -> Machine:
    made = Machine(tmp_path / "one", backend, zone, {})
    made.write(None)
    assert made.apply() == 0
    made.write("google-workspace")
    return made


def another(machine: Machine) -> Machine:
    """Somebody else's computer with the same inventory."""
    made = Machine(machine.folder.parent / "two", machine.backend, machine.zone, machine.hosts)
    made.path.write_text(machine.path.read_text())
    return made


def test_to_a_provider_step_by_step(machine: Machine, clock: Clock) -> None:
    zone, began = machine.zone, clock.now
    before = machine.whole()
    assert (machine.mx, machine.spf, machine.ttl(zone, "MX")) == ("10 mx1", "v=spf1 mx -all", 3600)

    assert machine.move("google-workspace", never=True) == 4
    assert (machine.mx, machine.spf, machine.step) == ("10 mx1", "v=spf1 mx -all", "step=ttls")
    assert (machine.ttl(zone, "MX"), machine.ttl(zone, "TXT")) == (300, 300)
    assert "google-site-verification=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG" in machine.texts(
        zone, "TXT"
    )
    assert machine.table("domains") == f"{zone} mail"
    assert "go on at" in machine.ended
    assert "let Google Workspace verify the domain" in machine.said

    assert machine.move("google-workspace", never=True) == 4, "the hour of the old TTL is not over"
    assert machine.step == "step=ttls"
    clock.now = began + 3600 + move.MARGIN + 1
    assert machine.move("google-workspace", never=True) == 4
    assert machine.step == "step=both"
    assert machine.mx == "10 mx1"
    assert machine.spf == f"v=spf1 a:mx1.{zone} include:_spf.google.com ~all"
    assert machine.texts(f"google._domainkey.{zone}", "TXT")
    assert machine.texts(f"mx1-rsa-1._domainkey.{zone}", "TXT")
    assert f"@{zone} " not in machine.table("own_senders"), "Google's users write to lists here, too"

    clock.now += 300 + move.MARGIN + 1
    assert machine.move("google-workspace", never=True) == 4
    assert (machine.step, machine.mx) == ("step=mx", "1 smtp.google.com.")
    assert machine.table("domains") == f"{zone} mail", "who has the old MX in a cache finds his way"
    assert f"info@{zone} ana@{zone}" in machine.table("virtual")
    assert "Google Workspace must know all 3 addresses" in machine.said

    clock.now += 300 + move.MARGIN + 1
    assert machine.move("google-workspace", never=True) == 4
    assert machine.step == "step=away"
    assert machine.table("domains") == "", "mail of the host's own users goes to the new MX"
    assert f"@{zone}" not in machine.table("virtual").replace(f" ana@{zone}", "")
    assert machine.table("mailboxes") == ""
    assert f"/@{zone.replace('.', chr(92) + '.')}$/ 450 4.4.4" in machine.table("moved_checks")
    assert f"ana@{zone} ana@{zone}" in machine.table("logins"), "the old mailboxes can be read, and mail sent"
    assert machine.spf.startswith(f"v=spf1 a:mx1.{zone} ")

    clock.now += WEEK + move.MARGIN + 1
    assert machine.move("google-workspace", never=True) == 0
    assert machine.step == ""
    assert machine.spf == "v=spf1 include:_spf.google.com ~all"
    assert not machine.texts(f"mx1-rsa-1._domainkey.{zone}", "TXT")
    assert machine.ttl(zone, "MX") == 3600
    assert machine.table("logins") == machine.table("moved_checks") == ""
    assert "leave `hosts`" in machine.ended

    # The inventory may still have both sides; without the old one nothing changes.
    there = machine.whole()
    assert machine.apply() == 0
    assert "its MX lead to Google Workspace" in machine.said
    machine.write("google-workspace", hosts=False)
    assert machine.apply() == 0
    assert machine.whole() == there
    assert there[f"www.{zone}", "A"] == before[f"www.{zone}", "A"]


@pytest.mark.parametrize("hosted", HOSTED)
def test_there_and_back_it_waits_by_itself(hosted: str, machine: Machine, clock: Clock) -> None:
    """Every kind of provider, in its forms; and the zone is at last what it was at first."""
    before = machine.whole()
    machine.write(hosted)
    to = hosted.partition(",")[0]
    began = clock.now

    assert machine.move(to) == 4, "a week is too long to wait for"
    assert machine.step == "step=away"
    assert began + 3600 + 300 + 300 <= clock.now < began + 3600 + 300 + 300 + 60
    assert "waiting until" in machine.said
    assert "(1 h 0 min)" in machine.said
    assert machine.move(to, seconds=0) == 0
    at_provider = machine.whole()
    assert machine.move(to) == 0, "there is nothing left to do"
    assert machine.whole() == at_provider
    machine.write(hosted, hosts=False)
    assert machine.apply() == 0
    assert machine.whole() == at_provider

    machine.write(hosted)
    began = clock.now
    assert machine.move("hosts") == 4
    assert began + 3600 + 300 <= clock.now < began + 3600 + 300 + 60
    assert (machine.step, machine.mx) == ("step=mx", "10 mx1")
    assert machine.table("domains") == f"{machine.zone} mail"
    assert machine.move("hosts", seconds=0) == 0
    assert "leave `hosted` out" in machine.ended
    machine.write(None)
    assert machine.apply() == 0
    assert machine.whole() == before


def test_back_to_hosts_they_take_no_mail_before_the_mx(machine: Machine, clock: Clock) -> None:
    machine.move("google-workspace")
    machine.move("google-workspace", seconds=0)
    seen = []
    for _ in range(3):
        assert machine.move("hosts", never=True) == 4
        seen.append((machine.step, machine.mx, machine.table("domains"), bool(machine.table("logins"))))
        clock.now += 3600 + move.MARGIN + 1

    google = "1 smtp.google.com."
    assert seen == [
        ("step=ttls", google, "", True),
        ("step=both", google, "", True),
        ("step=mx", "10 mx1", f"{machine.zone} mail", True),
    ]


class Times:
    """When what was written: of each write of the zone the time, the step, the MX."""

    def __init__(self, machine: Machine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[float, str, str]] = []
        written = deploy.dns.apply

        def apply(plan: Any, emit: Any) -> None:
            written(plan, emit)
            self.seen.append((clock.now, machine.step, machine.mx))

        monkeypatch.setattr(deploy.dns, "apply", apply)

    def check(self) -> None:
        first = {}
        for when, step, mx in self.seen:
            first.setdefault(step, when)
            assert (mx == "10 mx1") == (step in ("step=ttls", "step=both")), (step, mx)
        assert list(first) == ["step=ttls", "step=both", "step=mx", "step=away", ""]
        assert first["step=both"] - first["step=ttls"] >= 3600
        assert first["step=mx"] - first["step=both"] >= 300
        assert first["step=away"] - first["step=mx"] >= 300
        assert first[""] - first["step=away"] >= WEEK


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", range(5))
def test_killed_anywhere_the_same_command_goes_on(
    place: str, number: int, machine: Machine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on another machine; waiting is never cut short, and the zone ends as if nothing had been."""
    times = Times(machine, clock, monkeypatch)
    killing(place, number, clock, monkeypatch)
    killed = 0
    machines = itertools.cycle([machine, another(machine)])
    for _ in range(8):
        try:
            code = next(machines).move("google-workspace")
        except Killed:
            killed += 1
            continue
        if code == 0:
            break
        assert code == 4
        clock.now += WEEK
    else:
        pytest.fail("it does not come to its end")
    assert killed == 1
    times.check()
    assert machine.spf == "v=spf1 include:_spf.google.com ~all"
    assert (machine.step, machine.table("domains"), machine.table("logins")) == ("", "", "")


def test_ctrl_c_while_it_waits(machine: Machine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(clock, "sleep", sleep)
    assert machine.move("google-workspace") == 130
    assert "the same command goes on" in machine.ended
    assert machine.step == "step=ttls"


def test_an_apply_of_another_machine_leaves_every_step_as_it_is(machine: Machine, clock: Clock) -> None:
    other = another(machine)
    for step in ("ttls", "both", "mx", "away"):
        machine.move("google-workspace", never=True)
        there, files = machine.whole(), machine.hosts["mx1"]["files"]
        assert machine.step == f"step={step}"
        assert other.apply() == 0
        assert machine.whole() == there
        assert machine.hosts["mx1"]["files"] == files
        assert "moves to Google Workspace; `mailprov dns move` goes on with it" in other.said
        clock.now += WEEK


def test_a_run_that_has_read_an_older_step_changes_nothing(machine: Machine, clock: Clock) -> None:
    machine.move("google-workspace", never=True)
    old = moves.settled(machine.read())
    clock.now += WEEK
    machine.move("google-workspace", never=True)
    there = machine.whole()

    run = deploy.toward_desired(
        old, select(old), deploy.Options(verify=False), "apply", machine.start, lambda event: None
    )
    assert run.run() == 1
    assert "went on since it was looked at" in str(run.zones.error)
    assert machine.whole() == there


def test_of_two_machines_that_take_a_step_at_once_one_does(
    machine: Machine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        machine.move("google-workspace", never=True)
        clock.now += WEEK
    deployed, other, codes = move.toward_desired, another(machine), []

    def deploying(*given: Any) -> Any:
        made = deployed(*given)
        publish = made._publish

        def publishing() -> None:
            monkeypatch.setattr(move, "toward_desired", deployed)
            clock.now += 60
            codes.append(other.move("google-workspace", never=True))
            publish()

        made._publish = publishing
        return made

    monkeypatch.setattr(move, "toward_desired", deploying)
    codes.append(machine.move("google-workspace", never=True))
    assert codes == [4, 1]
    assert (machine.step, machine.mx) == ("step=mx", "1 smtp.google.com.")
    (since,) = machine.texts(f"_mailprov-move.{machine.zone}", "TXT")
    assert move.words.stamp(clock.now) in since, "of the one that did it"


def test_verification_looks_where_the_mail_goes(machine: Machine, clock: Clock) -> None:
    seen = []
    for _ in range(4):
        machine.move("google-workspace", never=True)
        clock.now += WEEK
        (domain,) = moves.seen(machine.read()).domains
        seen.append((domain.hosts, domain.hosted is not None, domain.spf.include))
    google = ("_spf.google.com",)
    assert seen == [
        (("mx1",), False, ()), (("mx1",), False, google), ((), True, google), ((), True, google),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "then"),
    [(1, [""]), (2, ["step=mx", ""]), (3, ["step=mx", ""]), (4, ["step=mx", ""])],
)
def test_it_turns_back_at_every_step(steps: int, then: list[str], machine: Machine, clock: Clock) -> None:
    before = machine.whole()
    for _ in range(steps):
        machine.move("google-workspace", never=True)
        clock.now += WEEK
    seen = []
    for _ in then:
        machine.move("hosts", never=True)
        seen.append(machine.step)
        assert machine.mx == "10 mx1"
        assert machine.table("domains") == f"{machine.zone} mail"
        clock.now += WEEK + move.MARGIN + 1
    assert seen == then
    after = machine.whole()
    assert after == before


@pytest.mark.parametrize(
    ("steps", "then"), [(1, [""]), (2, ["step=away", ""]), (3, ["step=mx", "step=away", ""])]
)
def test_it_turns_back_to_a_provider(steps: int, then: list[str], machine: Machine, clock: Clock) -> None:
    machine.move("google-workspace")
    machine.move("google-workspace", seconds=0)
    before = machine.whole()
    for _ in range(steps):
        machine.move("hosts", never=True)
        clock.now += WEEK
    seen = []
    for _ in then:
        machine.move("google-workspace", never=True)
        seen.append(machine.step)
        clock.now += WEEK + move.MARGIN + 1
    assert seen == then
    assert machine.mx == "1 smtp.google.com."
    assert machine.whole() == before


def test_a_rollback_takes_the_step_back_with_its_records(machine: Machine, clock: Clock) -> None:
    for _ in range(2):
        machine.move("google-workspace", never=True)
        clock.now += WEEK
    before = machine.whole()
    machine.move("google-workspace", never=True)
    assert machine.step == "step=mx"
    machine.undo()
    assert machine.whole() == before
    assert machine.step == "step=both"
    assert machine.move("google-workspace", never=True) == 4
    assert machine.step == "step=mx"


def test_a_rollback_does_not_take_mail_from_hosts_to_which_it_comes(machine: Machine, clock: Clock) -> None:
    """They would stop at once, and what their own users send to the domain would come back to them: returned."""
    machine.move("google-workspace")
    machine.move("google-workspace", seconds=0)
    images: list[Any] = []
    for step in ("step=ttls", "step=both", "step=mx", ""):
        machine.hosts["mx1"]["images"].clear()
        machine.move("hosts", never=True)
        assert machine.step == step
        images.append(json.loads(json.dumps(machine.hosts["mx1"]["images"])))
        clock.now += WEEK + move.MARGIN + 1
    inventory = machine.read()
    *early, to_hosts, end = images
    for image in (*early, end):
        moves.refuse_back(inventory, image)
    for refused in (
        to_hosts,
        [*early[1], *to_hosts],
        [*to_hosts, *end],
        [one for each in images for one in each],
    ):
        with pytest.raises(DnsFailed, match="they would take no more of it while senders still") as caught:
            moves.refuse_back(inventory, refused)
        assert f"`mailprov dns move {machine.zone} --to google-workspace` turns back" in str(caught.value)
    # A provider goes on taking what comes there: that may go back, also all at once; so may hosts that never stopped.
    images.clear()
    for step in ("step=ttls", "step=both", "step=mx"):
        machine.hosts["mx1"]["images"].clear()
        machine.move("google-workspace", never=True)
        assert machine.step == step
        images.append(machine.hosts["mx1"]["images"][:])
        clock.now += WEEK + move.MARGIN + 1
    moves.refuse_back(inventory, [one for each in images for one in each])
    machine.hosts["mx1"]["images"].clear()
    machine.move("hosts", never=True)
    assert (machine.step, machine.mx) == ("step=mx", "10 mx1")
    moves.refuse_back(inventory, machine.hosts["mx1"]["images"])


def test_the_steps_are_shown_and_nothing_is_changed(machine: Machine, clock: Clock) -> None:
    before = machine.whole()
    assert machine.move("google-workspace", look=True) == 0
    shown = [event for event in machine.events if type(event).__name__ == "MoveStep"]
    assert [(one.number, one.step, one.state) for one in shown] == [  # type: ignore[union-attr]
        (1, "ttls", "later"), (2, "both", "later"), (3, "mx", "later"), (4, "away", "later"), (5, "end", "later"),
    ]  # fmt: skip
    changes = [
        change.name
        for event in machine.events
        if type(event).__name__ == "Planned"
        for change in event.changes
    ]  # type: ignore[union-attr]
    assert f"_mailprov-move.{machine.zone} TXT" in changes
    assert machine.whole() == before
    machine.move("google-workspace", never=True)
    there = machine.whole()
    assert machine.move("google-workspace", look=True) == 0
    states = [event.state for event in machine.events if type(event).__name__ == "MoveStep"]  # type: ignore[union-attr]
    assert states == ["waiting", "later", "later", "later", "later"]
    assert machine.whole() == there


def test_somebody_changed_the_mx_in_between(backend: Updates, machine: Machine, clock: Clock) -> None:
    machine.move("google-workspace", never=True)

    def edit(message: Any) -> None:
        message.delete(f"{machine.zone}.", "MX")
        message.add(f"{machine.zone}.", 300, "MX", "5 elsewhere.example.")

    backend.server.change(machine.zone, edit)
    there = machine.whole()
    clock.now += WEEK
    assert machine.move("google-workspace", never=True) == 1
    assert machine.whole() == there


def test_records_of_others_stay_and_their_ttl_is_waited_for(
    backend: Updates, machine: Machine, clock: Clock
) -> None:
    """A TXT beside the SPF record, whose TTL nobody lowers; a wildcard that answers for the name of the move, too."""

    def edit(message: Any) -> None:
        message.delete(f"{machine.zone}.", "TXT")
        message.add(f"{machine.zone}.", 7200, "TXT", '"theirs"', '"v=spf1 mx -all"')
        message.add(f"*.{machine.zone}.", 300, "TXT", '"v=mailprov-move1; to=hosts; step=mx"')

    backend.server.change(machine.zone, edit)
    before = machine.whole()
    began = clock.now
    assert machine.move("google-workspace") == 4
    assert clock.now >= began + 7200 + 7200 + 300
    assert machine.ttl(machine.zone, "TXT") == 7200
    assert machine.move("google-workspace", seconds=0) == 0
    assert "theirs" in machine.texts(machine.zone, "TXT")
    assert machine.move("hosts", seconds=0) == 0
    assert machine.whole() == before


def test_mx_that_lead_to_neither_side(backend: Updates, machine: Machine, clock: Clock) -> None:
    backend.server.change(machine.zone, lambda message: message.delete(f"{machine.zone}.", "MX"))
    there = machine.whole()
    for run in (machine.apply, lambda: machine.move("hosts"), lambda: machine.move("google-workspace")):
        with pytest.raises(DnsFailed, match="its MX lead to neither: there are none"):
            run()
    assert machine.whole() == there


def test_a_zone_that_cannot_be_asked(backend: Updates, machine: Machine, clock: Clock) -> None:
    machine.path.write_text(machine.path.read_text().replace(f"port: {backend.server.port}", "port: 1"))
    with pytest.raises(DnsUnreachable):
        machine.move("google-workspace")
    with pytest.raises(DnsUnreachable):
        machine.apply()


def test_what_only_the_console_shows_is_asked_for_when_it_is_needed(machine: Machine, clock: Clock) -> None:
    machine.write("{provider: exchange-online}")
    for _ in range(2):
        assert machine.move("exchange-online", never=True) == 4
        clock.now += WEEK
    there = machine.whole()
    with pytest.raises(InputError, match=r"`mx` is missing.*which the console of Exchange Online shows"):
        machine.move("exchange-online", never=True)
    assert machine.whole() == there
    machine.write("exchange-online")
    machine.move("exchange-online", never=True)
    assert machine.step == "step=both", "its DKIM keys are new, and caches may not know them yet"
    assert machine.texts(f"selector1._domainkey.{machine.zone}", "CNAME")
    machine.move("exchange-online", seconds=0)
    assert machine.step == ""


def test_another_provider_than_that_of_the_move(machine: Machine, clock: Clock) -> None:
    machine.move("google-workspace", never=True)
    machine.write("exchange-online")
    with pytest.raises(DnsFailed, match="it moves to google-workspace"):
        machine.apply()


@pytest.mark.parametrize(
    ("hosted", "hosts", "to", "said"),
    [
        (None, True, "google-workspace", "has no `hosted`"),
        ("google-workspace", False, "hosts", "has no `hosts`"),
        (
            "google-workspace",
            True,
            "exchange-online",
            "has google-workspace as its provider, not exchange-online",
        ),
        ("google-workspace", True, "gmail", "is no place for mail"),
    ],
)
def test_moves_that_cannot_be(hosted: str, hosts: bool, to: str, said: str, machine: Machine) -> None:
    machine.write(hosted, hosts=hosts)
    inventory = machine.read()
    with pytest.raises(InputError, match=said):
        move.domain_to_move(inventory, machine.zone, to, looks=False)
    with pytest.raises(InputError, match=r'"nowhere.test" is not in the inventory'):
        move.domain_to_move(inventory, "nowhere.test", to, looks=False)


def test_where_mailprov_publishes_nothing_the_steps_are_listed(machine: Machine) -> None:
    lines = machine.path.read_text().splitlines()[1:]
    machine.path.write_text("\n".join(lines))
    assert machine.move("google-workspace", look=True) == 0
    assert "to be done by hand" in machine.ended
    with pytest.raises(InputError, match="publishes no records here"):
        machine.move("google-workspace")
