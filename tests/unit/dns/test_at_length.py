"""Random zones, races and lost connections on each of the three servers, judged by the whole zone as it is transferred;
random zones also at providers with an API.

MAILPROV_ATTACKS=long (`make test-attacks`) tries hundreds; else there are some of each, which `make test` has.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import dns.message
import dns.name
import dns.query
import dns.rdata
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import dns.zone
import pytest

from mailprov import dns as driver
from mailprov.dns import ownership, seal
from mailprov.dns.providers.rfc2136.rdata import from_rdata, to_rdata
from mailprov.errors import DnsFailed, MailprovError
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Applied, Event
from mailprov.model.inventory import Inventory
from mailprov.records import desired_records
from tests.attacks.tries import LONG, Tries
from tests.unit.dns import random_zones
from tests.unit.dns.backend import Backend
from tests.unit.dns.drivers import BACKENDS
from tests.unit.dns.random_zones import TEXTS
from tests.unit.dns.servers import NameServer, inventory
from tests.unit.dns.transfer import Zone, whole

ZONE = "random.test"
KEYS = {f"mx{n}": {f"{ZONE}.mx{n}-rsa-1": f"v=DKIM1; k=rsa; p=b3Vycy{n}"} for n in (1, 2, 3)}
Value = tuple[tuple[str, str], str]  # (name and type, value)


def make_so(name_server: NameServer, made: list[tuple[str, int, str, str]]) -> Zone:
    def edit(message: dns.update.UpdateMessage) -> None:
        for name, kind in whole(name_server, ZONE):
            message.delete(f"{name}.", kind)
        for name, ttl, kind, value in made:
            message.add(name, ttl, kind, value)

    name_server.change(ZONE, edit)
    return whole(name_server, ZONE)


def wishes(stage: Stage, rng: random.Random) -> Inventory:
    return inventory(
        ZONE,
        stage.settings(ttl=rng.choice((60, 300))),
        hosts=rng.randrange(1, 3),
        start=rng.randrange(1, 3),
    )


def only_once(key: tuple[str, str], text: str) -> bool:
    """What taking over may replace."""
    words = text.strip('"').replace('" "', "").lower()
    selector = "._domainkey." in key[0]
    return key[1] == "MX" or (key[1] == "TXT" and (words.startswith(("v=spf1", "v=dmarc1")) or selector))


class Stage:
    """Where it is tried."""

    def __init__(self, name_server: NameServer) -> None:
        self.kind, self._server = name_server.kind, name_server

    def settings(self, ttl: int) -> DnsSettings:
        return self._server.settings(ttl=ttl)

    def whole(self, zone: str) -> Zone:
        return whole(self._server, zone)

    def make_so(self, records: list[tuple[str, int, str, str]]) -> Zone:
        return make_so(self._server, records)


class ApiStage(Stage):
    """A provider with an API, which others change as they do."""

    def __init__(self, kind: str, backend: Backend) -> None:
        self.kind, self._backend = f"{kind} by its API", backend

    def settings(self, ttl: int) -> DnsSettings:
        return self._backend.settings(ttl)

    def whole(self, zone: str) -> Zone:
        return self._backend.whole(zone)

    def make_so(self, records: list[tuple[str, int, str, str]]) -> Zone:
        for name, kind in self.whole(ZONE):
            self._backend.put(ZONE, name, 0, kind)
        sets: dict[tuple[str, str, int], list[str]] = {}
        for name, ttl, kind, value in records:
            sets.setdefault((name.removesuffix("."), kind, ttl), []).append(value)
        for (name, kind, ttl), values in sets.items():
            self._backend.put(ZONE, name, ttl, kind, *values)
        return self.whole(ZONE)


APIS = ("powerdns", "cloudflare", "digitalocean", "gandi", "ovh", "octodns-powerdns", "octodns-cloudflare")


@pytest.fixture(scope="module", params=APIS)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiStage]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as backend:
        yield ApiStage(request.param, backend)


PARTS = pytest.mark.parametrize(("part", "with_seal"), [(0, True), (1, True), (1, False)])


@PARTS
def test_foreign_records_survive_in_random_zones(name_server: NameServer, part: int, with_seal: bool) -> None:
    survive(Stage(name_server), part, with_seal)


@PARTS
def test_foreign_records_survive_in_random_zones_at_providers(
    api: ApiStage, part: int, with_seal: bool
) -> None:
    survive(api, part, with_seal)


def survive(stage: Stage, part: int, with_seal: bool) -> None:
    """Three runs, of which some take over and some are rolled back: what is whose is told here without any marker.

    With the controller's seal all goes back as it was. Without it (0.1.0, another key) a set may be left, if values
    would come back that this inventory does not want; then it is told.
    """
    tries = Tries(f"random zones, {stage.kind}, part {part}{'' if with_seal else ', without seals'}")
    for number in range(150 if LONG else 2):
        seed = part * 1000 + number
        rng = random.Random(seed)
        before = stage.make_so(random_zones.records(rng, ZONE))
        theirs = {(key, value) for key, (_, values) in before.items() for value in values}
        for step in range(3):
            wanted, take_over = wishes(stage, rng), rng.random() < 0.3
            at_first, theirs_at_first = stage.whole(ZONE), theirs
            events: list[Event] = []
            what = f"seed {seed}, step {step}, take_over {take_over}"
            try:
                plans = driver.plan(wanted, take_over, KEYS)
                images = [image for plan in plans if (image := driver.before_image(plan))]
                for plan in plans:
                    driver.apply(plan, events.append)
            except DnsFailed as error:
                tries.held(f"{what}: refused, nothing written", stage.whole(ZONE) == at_first, error)
                tries.held(
                    f"{what}: a reason",
                    "mailprov did not write" in str(error)
                    or "CNAME" in str(error)
                    or "only one" in str(error)
                    or "octoDNS may not write back" in str(error),
                    error,
                )
                continue
            now = stage.whole(ZONE)
            desired = desired_records(wanted, KEYS)
            gone = {one for one in theirs - standing(now) if not added_to(one, now)}
            tries.held(
                f"{what}: foreign values",
                not gone or (take_over and all(only_once(*one) for one in gone)),
                gone,
            )
            theirs = theirs - gone
            if take_over:  # an equal value of others is ours from now on
                theirs = theirs - {one for one in asked(wanted) if only_once(*one)}
            tries.held(f"{what}: foreign TTLs", not (moved := retimed(before, now, theirs)), moved)
            missing = [r for r in desired if (r.name, r.type) not in now]
            tries.held(f"{what}: wanted sets stand", not missing, missing)
            tries.held(
                f"{what}: at peace", not any(plan.changes for plan in driver.plan(wanted, False, KEYS))
            )
            if images and rng.random() < 0.5:
                told = [as_hosts_tell(image, wanted, with_seal=with_seal) for image in images]
                undone = driver.plan_undo(wanted, told)
                for plan in undone:
                    driver.apply(plan, events.append)
                back = stage.whole(ZONE)
                left = {place for plan in undone for place in plan.left}
                if not left:
                    tries.held(f"{what}: taken back", not (wrong := differing(back, at_first)), wrong)
                    theirs = again(theirs_at_first, back)
                    continue
                tries.held(f"{what}: taken back, nothing left", not with_seal, left)
                everything = f"zone {ZONE}" in left
                unnamed = [
                    key
                    for key in differing(back, at_first)
                    if " ".join(key) not in left and not ownership.is_marker(key[0])
                ]
                tries.held(f"{what}: what is left is named", everything or not unnamed, (unnamed, left))
                said = {one for one in owned(now) if everything or " ".join(one[:2]) in left}
                said |= {one for one in owned(at_first) if not everything and " ".join(one[:2]) not in left}
                tries.held(f"{what}: markers know what is left", owned(back) == said, (owned(back), said))
                strange = {" ".join(key) for key, _ in standing(at_first) - standing(now) - asked(wanted)}
                tries.held(f"{what}: left with a reason", strange & left or (everything and strange), left)
                theirs = theirs | again(theirs_at_first, back) - standing(now)
                lost = {one for one in theirs - standing(back) if not added_to(one, back)}
                tries.held(f"{what}: foreign values afterwards", not lost, (lost, back))
                tries.held(f"{what}: foreign TTLs then", not (moved := retimed(before, back, theirs)), moved)
    tries.settle()


def standing(zone: Zone) -> set[Value]:
    return {(key, value) for key, (_, values) in zone.items() for value in values}


def added_to(one: Value, zone: Zone) -> bool:
    """An SPF record of theirs, with terms of ours in it (foreign_spf.py)."""
    key, text = one
    return key[1] == "TXT" and random_zones.merged(text, zone[key][1] if key in zone else ())


def owned(zone: Zone) -> set[ownership.Entry]:
    """What the markers say."""
    found = [(key[0], canonical((key, value))[1]) for key, value in standing(zone)]
    markers = [ownership.parse(name, text) for name, text in found if ownership.is_marker(name)]
    return {entry for marker in markers if marker for entry in marker.entries}


def canonical(one: Value) -> Value:
    """As resolvers' users read it: strings of a text joined (RFC 7208 section 3.3), names in lower case."""
    key, text = one
    return key, from_rdata(dns.rdata.from_text("IN", key[1], text))


def differing(one: Zone, other: Zone) -> list[tuple[str, str]]:
    """Sets that do not say the same, or not with the same TTL."""

    def read(zone: Zone) -> dict[tuple[str, str], object]:
        return {key: (ttl, {canonical((key, v)) for v in values}) for key, (ttl, values) in zone.items()}

    first, second = read(one), read(other)
    return [key for key in {*one, *other} if first.get(key) != second.get(key)]


def again(theirs: set[Value], zone: Zone) -> set[Value]:
    """Those of these values that stand, as they are spelled now: an image does not keep how a text was cut."""
    read = {canonical(one) for one in theirs}
    merged = {one for one in theirs if added_to(one, zone)}
    return merged | {one for one in standing(zone) if canonical(one) in read}


def retimed(before: Zone, now: Zone, theirs: set[Value]) -> list[tuple[str, str]]:
    """Sets with values of others that have another TTL than they gave."""
    return [
        key
        for key, (ttl, values) in before.items()
        if key in now and now[key][0] != ttl and any((key, value) in theirs for value in values & now[key][1])
    ]


def asked(wanted: Inventory) -> set[Value]:
    """What the inventory wants, in each spelling that others give it here."""
    wants = {((record.name, record.type), record.value) for record in desired_records(wanted, KEYS)}
    spelled = {((name, kind), to_rdata(kind, value).to_text()) for (name, kind), value in wants}
    texts = {(key, text) for key, _ in wants if key[1] == "TXT" for text in TEXTS}
    return spelled | {one for one in texts if canonical(one) in wants}


def as_hosts_tell(image: Any, wanted: Inventory, *, with_seal: bool) -> Any:
    """As run/ gives it to hosts and gets it back."""
    given = seal.sealed(image, "20261129-010101-abcd", wanted.dns) if with_seal else image
    return {**json.loads(json.dumps(given)), "told": [host.name for host in wanted.hosts]}


def test_others_who_write_at_the_same_time_lose_nothing(name_server: NameServer) -> None:
    tries = Tries(f"races, {name_server.kind}")
    for number in range(25 if LONG else 1):
        make_so(name_server, [])
        done: list[str] = []
        stop = threading.Event()

        def write(stop: threading.Event = stop, done: list[str] = done) -> None:
            while not stop.is_set() and len(done) < 60:  # BIND takes 100 in a set
                text = f'"other={len(done)}"'
                name_server.change(ZONE, lambda m, text=text: m.add(f"{ZONE}.", 300, "TXT", text))  # type: ignore[misc]
                done.append(text)
                time.sleep(random.uniform(0, 0.02))

        other = threading.Thread(target=write)
        other.start()
        try:
            for hosts in (1, 2, 1):
                try:
                    for plan in driver.plan(inventory(ZONE, name_server.settings(), hosts=hosts)):
                        driver.apply(plan, lambda event: None)
                except DnsFailed as error:
                    tries.held(f"race {number}: a clear end", "changed" in str(error), error)
        finally:
            stop.set()
            other.join()
        missing = set(done) - whole(name_server, ZONE)[ZONE, "TXT"][1]
        tries.held(f"race {number}: {len(done)} values of others", not missing, missing)
    tries.settle()


class Torn:
    """Passes on between client and server, and cuts the connection after so many octets from either side."""

    def __init__(self, upstream: int, after: int) -> None:
        self.upstream, self.left = upstream, after

    def __call__(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.upstream)) as server:
            pair = {connection: server, server: connection}
            for one in pair:
                one.settimeout(0.01)
            while self.left > 0:
                for one, other in pair.items():
                    try:
                        data = one.recv(min(64, self.left))
                    except TimeoutError:
                        continue
                    if not data:
                        return
                    self.left -= len(data)
                    other.sendall(data)


def test_a_connection_that_is_cut_anywhere(
    name_server: NameServer, tcp_server: Callable[[Callable[[socket.socket], None]], int]
) -> None:
    """It is done whole or not at all, and what is told is true."""
    tries = Tries(f"cut connections, {name_server.kind}")
    for number in range(60 if LONG else 2):
        start = make_so(name_server, [(f"{ZONE}.", 300, "TXT", '"site=a"')])
        events: list[Event] = []
        after = random.Random(number).randrange(200, 9000)
        wanted = inventory(ZONE, name_server.settings(port=tcp_server(Torn(name_server.port, after))))
        try:
            for plan in driver.plan(wanted):
                driver.apply(plan, events.append)
            told = True
        except MailprovError as error:
            told = False
            tries.held(f"cut after {after}: one sentence", str(error).endswith("."), error)
        now = whole(name_server, ZONE)
        direct = inventory(ZONE, name_server.settings())
        whole_done = not any(plan.changes for plan in driver.plan(direct))
        tries.held(f"cut after {after}: all or nothing", whole_done or now == start, now)
        applied = [event for event in events if isinstance(event, Applied)]
        tries.held(f"cut after {after}: told as it is", (told and whole_done and applied) or not told, events)
    tries.settle()
