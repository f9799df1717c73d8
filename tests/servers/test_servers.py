"""Servers that mailprov did not build, judged by `verify --server` as their sheets say; each mutated twice, and seen.

The sheets (`sheets/*.yml`) say what passes, warns, fails and is skipped, and why. See `servers.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from mailprov import lab
from tests.lab.labs import run_on
from tests.lab.program import run
from tests.servers.servers import SERVERS, build, differences, domain, inventory, judged, sheet

LONG = bool(os.environ.get("MAILPROV_SERVERS"))
ONE = os.environ.get("MAILPROV_SERVER") or "exim"
NAMES = list(SERVERS) if LONG else [ONE, "procmail" if ONE != "procmail" else "exim"]
RELEASES = ["debian-12", "debian-13"] if LONG else ["debian-12"]
JUDGED = NAMES if LONG else [ONE]
SENDING = [name for name in NAMES if name != "stock"]  # as it comes, nobody can hand mail in there


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def made(release: str, lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = lab_factory(inventory(NAMES, release))
    build(made, NAMES)
    return made


@pytest.mark.parametrize("name", JUDGED)
def test_the_server_is_judged_as_its_sheet_says(made: lab.Lab, release: str, name: str) -> None:
    result = judged(made, name)
    told = [f for f in result.of("found") if f["verdict"] in ("fail", "warn", "error") and not f["observed"]]
    assert told == []
    assert differences(sheet(name, release), result, strict=LONG) == []


@pytest.mark.parametrize("name", JUDGED)
def test_no_advice_is_about_other_software(made: lab.Lab, name: str) -> None:
    """A postconf line helps nobody whose server is Exim; nor does `mailprov apply`."""
    probes = [
        word
        for probe in ("smtp", "spoof", "tls.versions", "smuggle.pipelining")
        for word in ("--probe", probe)
    ]
    advice = {
        f["advice"] for f in judged(made, name, *probes).of("found") if f["target"]["port"] in (25, 465, 587)
    }
    if name in ("sendmail", "exim", "courier"):
        assert [text for text in advice if text.startswith("postconf")] == []
    assert [text for text in advice if "mailprov" in text] == []


@pytest.mark.parametrize("name", SENDING if LONG else JUDGED)
def test_mail_goes_to_another_host_and_comes_back(made: lab.Lab, name: str) -> None:
    """By the inventory of all of them, which is the only way to name a second host."""
    result = run("verify", str(made.inventory_path), "--domain", domain(name), "--probe", "delivery.path")
    paths = result.of("found", id="delivery.path")
    assert {f["verdict"] for f in paths} == {"pass"}, [f["observed"] for f in paths]
    assert {f["target"]["host"] for f in paths} >= {SERVERS[name].host}


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name in JUDGED for number in range(len(SERVERS[name].mutations))]
)
def test_what_is_made_wrong_is_seen(made: lab.Lab, name: str, number: int) -> None:
    mutation = SERVERS[name].mutations[number]
    host = SERVERS[name].host
    run_on(made, host, mutation.break_it)
    try:
        found = judged(made, name, "--probe", mutation.probe).of("found", id=mutation.probe)
    finally:
        run_on(made, host, mutation.mend_it)
    red = [f for f in found if f["verdict"] == "fail"]
    assert red, (mutation.what, [(f["verdict"], f["target"]["port"], f["observed"]) for f in found])
    assert not mutation.port or mutation.port in {f["target"]["port"] for f in red}
