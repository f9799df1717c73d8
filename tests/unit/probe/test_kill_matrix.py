"""The kill matrix: no probe without something that it must find wrong, and none that stays green on it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mailprov import i18n
from mailprov.model.findings import Finding, Verdict
from mailprov.probe import catalogue, registry
from mailprov.selftest import matrix
from mailprov.selftest.certificates import Authority
from mailprov.selftest.fixture import Fixture
from scripts.reference import kill_matrix
from tests.unit.cli.program import mailprov
from tests.unit.probe.test_exact_changes import check

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = matrix.fixtures()
# Probes of which some advice has nothing to copy: what is right there only the owner of the zone knows. None is added.
PROSE = {
    "dns.dnssec", "dns.mx", "dns.servers", "dns.spf", "dns.wildcard", "hosted.dkim", "zone.caa", "zone.dkim", "zone.mx",
    "zone.tlsa",
}  # fmt: skip
IDS = [entry.id for entry in catalogue()]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("matrix"))


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_what_is_broken_is_red_and_what_is_sound_is_green(
    fixture: Fixture, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    outcomes = list(fixture.tried(authority, IDS))

    assert [each.wanted for each in outcomes] == list(fixture.wanted)
    for each in outcomes:
        assert each.good, (
            each.wanted,
            [(item.verdict, str(item.target), item.observed) for item in each.seen],
        )
        for item in each.seen:
            assert item.title
            assert item.refs
            # What can be mended comes with the exact change; an error may have nothing to mend.
            if item.verdict in (Verdict.WARN, Verdict.FAIL):
                assert item.advice, item
                assert item.remedies or item.id in PROSE, (item.id, item.advice)
            for remedy in item.remedies:
                check(remedy)


def test_no_probe_is_without_a_fixture_that_kills_it() -> None:
    without = {probe for probe in IDS if not matrix.kills(probe, FIXTURES)}
    untried = matrix.untried()

    assert without == set(untried), "a line in the table of its family in mailprov/selftest, or in `_UNTRIED`"
    for why, test in untried.values():
        assert why
        assert (ROOT / test).is_file(), test


def test_fixtures_have_names_of_their_own_and_are_for_probes_that_there_are() -> None:
    names = [fixture.name for fixture in FIXTURES]
    assert sorted(names) == sorted(set(names))
    assert {wanted.probe for fixture in FIXTURES for wanted in fixture.wanted} <= set(IDS)
    for fixture in FIXTURES:
        green = all(wanted.verdict is Verdict.PASS for wanted in fixture.wanted)
        assert fixture.wanted
        assert green or not fixture.sound, fixture.name


def test_every_fixture_is_on_the_page() -> None:
    page = kill_matrix.page()
    for fixture in FIXTURES:
        assert kill_matrix.cell(", ".join(fixture.what)) in page
    assert page.count("\n## ") == len(IDS)


def test_it_says_what_it_tried_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    (tmp_path / "here").chmod(0o500)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)

    done = mailprov(
        "selftest",
        "--probe",
        "net.closed",
        "--probe",
        "net.tcp",
        "--probe",
        "dns.rpki",
        cwd=tmp_path / "here",
    )

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[:7] for line in lines[2:5]] == [
        ["probe", "passes", "objects", "to", "what", "is", "broken"],
        ["net.closed", "1", "of", "1", "1", "of", "1"],
        ["net.tcp", "1", "of", "1", "1", "of", "1"],
    ]
    assert "dns.rpki is not tried here: " in done.stdout
    assert lines[-1].startswith("2 probes tried against 4 scripted servers; red on everything that is broken")
    assert [*(tmp_path / "here").iterdir(), *(tmp_path / "temporary").iterdir()] == []


def blind(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That probe passes whatever it sees."""

    def passes(context: object) -> Iterable[Finding]:
        yield context.passed("all is well")  # type: ignore[attr-defined]

    probes = [replace(each, run=passes) if each.entry.id == name else each for each in registry.PROBES]
    monkeypatch.setattr(registry, "PROBES", probes)


@pytest.mark.parametrize("name", ["smtp.vrfy", "dns.mx"])
def test_a_probe_that_passes_whatever_it_sees_is_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind(name, monkeypatch)

    done = mailprov("selftest", "--probe", name, "--junit", "found.xml", cwd=tmp_path)

    wanted = [each for fixture in FIXTURES for each in fixture.wanted if each.probe == name]
    broken = sum(each.verdict is not Verdict.PASS for each in wanted)
    assert done.returncode == 1
    assert f"0 of {broken}" in done.stdout
    assert done.stdout.count(f"{name} on: ") == broken
    assert "says pass (all is well)" in done.stdout
    assert "1 of them cannot be trusted" in done.stdout
    tree = ET.parse(tmp_path / "found.xml")
    assert len(tree.findall(".//failure")) == broken
    assert len(tree.findall(".//testcase")) > broken


def test_a_probe_that_finds_fault_with_everything_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(context: object) -> Iterable[Finding]:
        yield context.failed("nothing is well", "mend it")  # type: ignore[attr-defined]

    probes = [replace(each, run=fails) if each.entry.id == "net.tcp" else each for each in registry.PROBES]
    monkeypatch.setattr(registry, "PROBES", probes)

    done = mailprov("selftest", "--probe", "net.tcp", cwd=tmp_path)

    assert done.returncode == 1
    assert "net.tcp on something sound: it must say pass, and says fail (nothing is well)" in done.stdout


def test_programs_get_each_outcome(tmp_path: Path) -> None:
    done = mailprov("selftest", "--probe", "smtp.vrfy", "--json", cwd=tmp_path)

    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["run_started", *["tried"] * 3, "run_ended"]
    assert {(event["fixture"], *event["seen"]) for event in events[1:-1]} == {
        ("sound", "pass"),
        ("tells-users", "fail"),
        ("vrfy-4xx", "error"),
    }
    assert all(event["good"] for event in events[1:-1])


def test_in_another_language_it_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    monkeypatch.setattr(i18n, "_looked", False)

    done = mailprov("selftest", "--probe", "smtp.vrfy", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_where_no_port_can_be_opened_it_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "create_server", none)

    done = mailprov("selftest", "--probe", "net.tcp", cwd=tmp_path)

    assert done.returncode == 3
    assert (
        "selftest: no servers can be opened on this machine's loopback: [Errno 1] Operation not"
        in done.stderr
    )
    assert done.stderr.count("\n") == 1


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)

    done = mailprov("selftest", "--probe", "net.tcp", cwd=tmp_path)

    assert (done.returncode, "Set TMPDIR to a folder" in done.stderr) == (3, True)


def test_what_was_left_out_leaves_nothing_to_try(tmp_path: Path) -> None:
    assert mailprov("selftest", "--probe", "net", "--skip", "net", cwd=tmp_path).returncode == 2
    done = mailprov("selftest", "--probe", "dns.rpki", cwd=tmp_path)
    assert (done.returncode, "nothing of what was asked for" in done.stdout) == (3, True)
    assert os.environ.get("SSL_CERT_FILE") == "/dev/null"
