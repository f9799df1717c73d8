"""mailprov 0.1.0 and this version in one zone, 0.1.0 by its own code: what it wrote is taken over and can be rolled
back, and where this version has written, it stops, touches nothing and says why.

Its code comes from this repository's history (a clone without history, or a packed source, has none: those tests say
so, and test_what_0_1_0_stops_at holds without it).
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailprov import dns as driver
from mailprov.model.events import Action
from tests.unit.dns.servers import NameServer, inventory

COMMIT = "b23127c"  # 0.1.0
ROOT = Path(__file__).resolve().parents[3]
# Runs in a checkout of 0.1.0: publishes a domain, or says what keeps it from that; JSON on standard output.
PROGRAM = """
import dataclasses, json, sys
from tests.unit.dns.named_server import Named, inventory
from mailprov import dns
from mailprov.errors import MailprovError
zone, host, port = sys.argv[1:]
wanted = inventory(zone, Named(int(port)).settings())
wanted = dataclasses.replace(wanted, hosts=(dataclasses.replace(wanted.hosts[0], fqdn=host),))
try:
    plans = dns.plan(wanted)
    images = [image for plan in plans if (image := dns.image(plan))]
    for plan in plans:
        dns.apply(plan, lambda event: None)
    print(json.dumps({"images": images}))
except MailprovError as error:
    print(json.dumps({"error": str(error), "code": error.exit_code}))
"""
Earlier = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory, name_server: NameServer) -> Earlier:
    """Run PROGRAM for a mail domain, whose host is `host`, or mx1 in it."""
    argv = ["git", "-C", str(ROOT), "archive", COMMIT, "mailprov", "tests/unit/dns/named_server.py"]
    try:
        packed = subprocess.run(argv, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(
            f"the history with {COMMIT} is not here (git fetch --unshallow), so 0.1.0 itself cannot be run"
        )
    folder = tmp_path_factory.mktemp("0.1.0")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")

    def run(domain: str, host: str = "") -> dict[str, Any]:
        arguments = [domain, host or f"mx1.{domain}", str(name_server.port)]
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(result.stdout)  # type: ignore[no-any-return]

    return run


def apply(plans: list[driver.ZonePlan]) -> list[str]:
    for plan in plans:
        driver.apply(plan, lambda event: None)
    return [f"{change.action.value} {change.name}" for plan in plans for change in plan.changes]


def standing(name_server: NameServer, zone: str) -> dict[str, set[str]]:
    keys = [
        (zone, "MX"),
        (zone, "TXT"),
        (f"mx1.{zone}", "A"),
        (f"mx1.{zone}", "TXT"),
        (f"_dmarc.{zone}", "TXT"),
    ]
    keys.append((f"_mailprov.{zone}", "TXT"))
    return {f"{name} {kind}": name_server.values(name, kind) for name, kind in keys}


def test_what_it_wrote_is_taken_over_and_its_run_can_be_rolled_back(
    name_server: NameServer, earlier: Earlier
) -> None:
    wanted = inventory("earlier1.test", name_server.settings())
    pristine = standing(name_server, "earlier1.test")
    images = earlier("earlier1.test")["images"]
    (text,) = name_server.values("_mailprov.earlier1.test", "TXT")
    assert text.startswith('"v=mailprov1 for=earlier1.test ')
    published = standing(name_server, "earlier1.test")

    plans = driver.plan(wanted)
    (change,) = plans[0].changes
    assert (change.action, change.name) == (Action.UPDATE, "_mailprov.earlier1.test TXT")
    assert change.detail == (
        "ownership marker: 5 values, and replaces the one that mailprov 0.1.0 wrote for the whole zone"
    )
    taken_over = driver.before_image(plans[0])
    apply(plans)
    assert not driver.plan(wanted)[0].changes
    (text,) = name_server.values("_mailprov.earlier1.test", "TXT")
    assert text.startswith('"v=mailprov2 zone=earlier1.test for=earlier1.test ')

    # The run that took it over is rolled back: byte for byte what 0.1.0 left.
    assert taken_over is not None
    apply(driver.plan_undo(wanted, [json.loads(json.dumps(taken_over))]))
    assert standing(name_server, "earlier1.test") == published

    # Taken over again, and now the run of 0.1.0 itself is rolled back.
    apply(driver.plan(wanted))
    undo = driver.plan_undo(wanted, images)
    assert (undo[0].left, undo[0].notices) == ((), ())
    apply(undo)
    assert standing(name_server, "earlier1.test") == pristine


@pytest.mark.parametrize("domain", ["earlier2.test", "student.earlier2.test", "class.student.earlier2.test"])
def test_where_this_version_has_written_it_stops_and_touches_nothing(
    name_server: NameServer, earlier: Earlier, domain: str
) -> None:
    """Also where all the markers of this version stand below the name at which it looks."""
    zone = "earlier2.test"
    for wanted in (
        inventory(domain, name_server.settings()),
        inventory(f"other.{zone}", name_server.settings()),
    ):
        apply(driver.plan(wanted))
        serial = name_server.serial(zone)
        told = earlier(domain)
        assert name_server.serial(zone) == serial
        assert told["code"] == 1
        assert told["error"].startswith(
            f"zone {zone}: _mailprov.{zone} was written by a later mailprov (v=mailprov2 zone={zone} for="
        )
        assert "Use that version of mailprov for this zone" in told["error"]


def test_terms_in_a_record_of_somebody_else_stop_it_too(name_server: NameServer, earlier: Earlier) -> None:
    """It knows nothing of terms, and would take the record for the owner's, and the marker's word for nothing."""
    zone = "earlier5.test"
    apply(driver.plan(inventory(zone, name_server.settings())))
    assert name_server.values(zone, "TXT") == {'"v=spf1 ip4:192.0.2.1 mx ~all"'}
    serial = name_server.serial(zone)
    told = earlier(zone)
    assert (name_server.serial(zone), told["code"]) == (serial, 1)
    assert f"was written by a later mailprov (v=mailprov3 zone={zone} for=" in told["error"]


def test_another_inventory_of_0_1_0_in_the_zone_keeps_its_own(
    name_server: NameServer, earlier: Earlier
) -> None:
    """Its marker and its records stay, and what both have stays when this version's inventory leaves."""
    earlier("ana.earlier3.test", "mx1.earlier3.test")
    (text,) = name_server.values("_mailprov.earlier3.test", "TXT")
    mine = inventory("earlier3.test", name_server.settings())
    apply(driver.plan(mine))
    assert text in name_server.values("_mailprov.earlier3.test", "TXT")
    theirs = standing(name_server, "ana.earlier3.test")

    moved = inventory("earlier3.test", name_server.settings(), start=2)
    assert "delete mx1.earlier3.test A" not in apply(driver.plan(moved))
    assert name_server.values("mx1.earlier3.test", "A") == {"10.0.0.1"}, "that of ana.earlier3.test, too"
    assert standing(name_server, "ana.earlier3.test") == theirs


@pytest.mark.parametrize("domain", ["earlier4.test", "student.earlier4.test"])
def test_what_0_1_0_stops_at(name_server: NameServer, domain: str) -> None:
    """Its rule (dns/memory.py there): a text at _mailprov.ZONE whose first word begins so and is another one."""
    apply(driver.plan(inventory(domain, name_server.settings())))
    texts = [text.strip('"') for text in name_server.values("_mailprov.earlier4.test", "TXT")]
    first = [text.split(" ")[0] for text in texts]
    assert any(word.startswith("v=mailprov") and word != "v=mailprov1" for word in first)
