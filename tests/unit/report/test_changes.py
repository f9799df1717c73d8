"""What has changed since a run before, and the trend of a folder of reports."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from mailprov.errors import InputError
from mailprov.model.answers import Found
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.report import changes
from mailprov.report.changes import Kind
from mailprov.report.whole_run import WholeRun
from tests.unit.cli.program import mailprov
from tests.unit.report.runs import FINDINGS, RUNS, START, finding
from tests.unit.report.test_hostile_text import EVIL, bad
from tests.unit.report.test_report_files import written
from tests.unit.report.test_report_kinds import story


def before(tmp_path: Path, run: str = "mixed") -> changes.Before:
    text = written(tmp_path, RUNS[run], ("json",))["json"]
    (tmp_path / "before.json").write_text(text)
    return changes.read(tmp_path / "before.json", "--changes-since before.json")


def told(was: changes.Before, findings: list[Finding]) -> list[tuple[Kind, str]]:
    return [(each.kind, each.name) for each in changes.compare(was, findings)]


def test_the_same_again_is_no_change_whatever_its_texts_and_addresses_are(tmp_path: Path) -> None:
    was = before(tmp_path)
    again = [
        dataclasses.replace(
            each,
            observed="in other words",
            target=dataclasses.replace(
                each.target,
                address=each.target.address.replace("192.0.2.", "203.0.113.").replace("db8::", "db8:1::"),
            ),
        )
        for each in FINDINGS
    ]
    assert told(was, again) == []
    assert "nothing has changed" in "\n".join(line.plain for line in changes.render(was, again))


def test_new_changed_mended_and_not_looked_at_are_told_apart(tmp_path: Path) -> None:
    was = before(tmp_path)
    now = [each for each in FINDINGS if each.id not in ("dns.ptr", "dns.dmarc", "tls.chain", "pop.greeting")]
    now.append(finding(Verdict.PASS, "tls.chain", Target("mx1", "192.0.2.11", 465)))  # mended
    now.append(finding(Verdict.WARN, "tls.chain", Target("mx1", "192.0.2.11", 993)))  # better
    now.append(finding(Verdict.SKIP, "dns.dmarc", Target(domain="alpha.test")))  # left out this time
    now.append(finding(Verdict.FAIL, "smtp.size", Target("mx1", "192.0.2.11", 25)))  # of a new probe
    now.append(finding(Verdict.PASS, "smtp.ehlo", Target("mx1", "192.0.2.11", 25)))
    now = [
        dataclasses.replace(each, verdict=Verdict.ERROR)  # passed before
        if (each.id, each.target.host, each.target.port) == ("tls.name", "mx2", 25)
        else each
        for each in now
    ]
    assert told(was, now) == [
        (Kind.NEW, "smtp.size mx1:25"),
        (Kind.NEW, "tls.name mx2:25"),
        (Kind.CHANGED, "tls.chain mx1:993"),
        (Kind.UNTESTED, "dns.dmarc alpha.test"),
        (Kind.UNTESTED, "dns.ptr mx2"),
        (Kind.UNTESTED, "pop.greeting mx2:110"),
        (Kind.GONE, "tls.chain mx1:465"),
    ]
    text = "\n".join(line.plain for line in changes.render(was, now))
    assert "tls.chain mx1:993  21% of the lifetime is left (it was fail)" in text
    assert "dns.ptr mx2  not looked at now, and wrong before" in text
    assert "tls.chain mx1:465" in text
    assert "Changes since the run of 2026-11-30 05:00:00 UTC" in text


def test_a_host_where_nothing_runs_is_one_change_and_so_is_its_end(tmp_path: Path) -> None:
    sound = before(tmp_path, "sound")
    ports = (110, 143, 993, 995)
    down = [finding(Verdict.FAIL, "net.tcp", Target("mx1", "192.0.2.11", port)) for port in ports]
    down += [
        finding(Verdict.ERROR, probe, Target("mx1", "192.0.2.11", port), waits_for=f"net.tcp mx1:{port}")
        for port in ports
        for probe in ("tls.name", "auth.ok", "tls.expiry")
    ]
    title, first, advice, _ = [line.plain for line in changes.render(sound, down)]
    assert first.startswith("  new      ✗ net.tcp mx1:110, mx1:995, mx1:143, mx1:993  self-signed")
    assert first.endswith("12 probes wait for that")
    assert "to do" in advice
    (tmp_path / "down").mkdir()
    text = written(tmp_path / "down", (START, *map(Found, down), RUNS["mixed"][-1]), ("json",))["json"]
    (tmp_path / "down.json").write_text(text)
    was = changes.read(tmp_path / "down.json", "x")
    again = [dataclasses.replace(each, verdict=Verdict.PASS, waits_for="") for each in down]
    assert [line.plain for line in changes.render(was, again)][1:-1] == [
        f"  mended   ✓ {probe} mx1:110, mx1:143, mx1:993, mx1:995"
        for probe in ("auth.ok", "net.tcp", "tls.expiry", "tls.name")
    ]
    assert title.startswith("Changes since")


def test_of_equal_findings_the_worst_counts(tmp_path: Path) -> None:
    was = before(tmp_path, "sound")
    place = Target("mx1", "192.0.2.11", 25)
    now = [finding(Verdict.FAIL, "net.tcp", place), finding(Verdict.PASS, "net.tcp", place)]
    assert told(was, now) == [(Kind.NEW, "net.tcp mx1:25")]


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "null", "{}", '{"schema_version": 1}', '{"schema_version": 2, "findings": []}', "[" * 100_000,
     '{"schema_version": 1, "findings": [{"id": "x"}], "counts": {}, "run": {}}', "\xff", "\x00"],
)  # fmt: skip
def test_what_is_no_report_is_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "before.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(
        InputError, match=r"it is no report of mailprov\. Give one that was written by --report"
    ):
        changes.read(path, "--changes-since before.json")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        changes.read(tmp_path, "x")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        changes.read(tmp_path / "none", "x")


def test_a_run_that_looked_at_nothing_is_nothing_to_compare_with(tmp_path: Path) -> None:
    """As one that was refused: beside it nothing would ever have changed."""
    value = json.loads(written(tmp_path, RUNS["mixed"], ("json",))["json"])
    (tmp_path / "nothing.json").write_text(json.dumps({**value, "findings": []}))
    with pytest.raises(InputError, match=r"its run looked at nothing\. Give the report of one"):
        changes.read(tmp_path / "nothing.json", "--changes-since nothing.json")


def test_hostile_texts_of_a_report_that_somebody_changed_are_cleaned(tmp_path: Path) -> None:
    value = json.loads(written(tmp_path, RUNS["mixed"], ("json",))["json"])
    for each in value["findings"]:
        each["id"] = each["target"]["host"] = EVIL
    value["run"]["started"] = EVIL
    (tmp_path / "before.json").write_text(json.dumps(value))
    was = changes.read(tmp_path / "before.json", "x")
    for line in changes.render(was, FINDINGS):
        assert not bad(line.plain)
        assert "\n" not in line.plain


def ended(number: int, findings: tuple[Finding, ...] = FINDINGS) -> WholeRun:
    run = story(
        dataclasses.replace(START, started=f"2026-11-{number:02}T05:00:00+00:00"),
        *map(Found, findings),
        RUNS["mixed"][-1],
    )
    run.ended = 1_790_000_000.0 + 86400 * number
    return run


def test_a_folder_of_reports_has_a_trend_of_the_last_ten(tmp_path: Path) -> None:
    for number in range(1, 13):
        changes.Past(tmp_path).keep(ended(number))
    past = changes.Past(tmp_path)
    past.keep(ended(13, FINDINGS[:33]))
    past.keep(story(*RUNS["interrupted"]))
    past.keep(story(*RUNS["nothing"]))
    assert len(os.listdir(tmp_path)) == 13, "a run that did not complete is none to compare with"
    assert [run.started[:10] for run in past.runs] == [f"2026-11-{number:02}" for number in range(4, 14)]
    table, sentence, _ = changes.trend(past)
    assert table.row_count == 10  # type: ignore[union-attr]
    assert str(sentence) == "4 less are wrong than before"
    (tmp_path / "verify-20261201T000000Z.json").write_text("{}")
    *_, unread, same, _ = changes.trend(changes.Past(tmp_path))
    assert str(unread) == "1 file there is no report, and is left out"
    assert str(same) == "4 less are wrong than before"


def test_the_command_line_refuses_what_it_cannot_compare_with_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text("hosts: {}\n")
    (tmp_path / "x").write_text("no report")
    for words, said in (
        (("--changes-since", "x"), "--changes-since x: it is no report of mailprov"),
        (("--changes-since", "none"), "--changes-since none: cannot be read: No such file"),
        (("--changes-since", "x", "--json"), "--json is for programs"),
        (("--history", "none"), "--history none: there is no such folder. Make the folder first"),
        (("--history", "x"), "--history x: there is no such folder"),
    ):
        seen = mailprov("verify", *words, "mail.yml", cwd=tmp_path)
        assert seen.returncode == 2
        assert said in seen.stderr
        assert sorted(os.listdir(tmp_path)) == ["mail.yml", "x"]
