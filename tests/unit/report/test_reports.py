"""Text, JSON lines and JUnit from the same events."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from mailprov.errors import InputError, ReportFailed
from mailprov.model.events import (
    Action,
    Applied,
    Change,
    Ended,
    Event,
    Found,
    KeptMailbox,
    Notice,
    Planned,
    Progress,
    RunEnded,
    RunStarted,
)
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.report.jsonlines import JsonLines
from mailprov.report.junit import JUnit
from mailprov.report.text import TextReport

DIFF = "--- a\n+++ b\n@@ -1,2 +1,2 @@\n same\n-old\n+new [not markup]\n"
CHANGES = (
    Change("mx1", "package", Action.CREATE, "postfix", "3.7.11-0+deb12u1"),
    Change(
        "mx1",
        "file",
        Action.CREATE,
        "/etc/postfix/main.cf",
        "",
        "--- /dev/null\n+++ b\n@@ -0,0 +1 @@\n+whole file\n",
    ),
    Change("mx1", "file", Action.UPDATE, "/etc/dovecot/dovecot.conf", "", DIFF),
    Change("mx1", "service", Action.RUN, "postfix.service", "reload"),
)


def run(*events: Event, verbose: bool = False, quiet: bool = False) -> str:
    out = io.StringIO()
    report = TextReport(
        Console(file=out, width=160, highlight=False, soft_wrap=True), verbose=verbose, quiet=quiet
    )
    for event in events:
        report(event)
    return out.getvalue()


def finding(verdict: Verdict = Verdict.PASS, probe: str = "tls.name", port: int = 465) -> Finding:
    return Finding(
        probe, Target("mx1", "192.0.2.1", port), verdict, "the certificate names the host", "mx1.alpha.test",
        "seen: other.example", "give tls.certificate for mx1.alpha.test", ("S: 220 hello",), ("RFC 7817",),
    )  # fmt: skip


def test_a_plan_shows_signs_diffs_and_counts() -> None:
    text = run(
        RunStarted("plan", "mail.yml", "0.1.0", "now"),
        Planned("mx1", CHANGES, "4 packages"),
        RunEnded(0, "2 to add, 1 to change, 0 to remove"),
    )

    assert "+ create   ~ change   > reload or restart" in text
    assert "- remove" not in text, "a sign that is not used is not explained"
    assert "+ package     postfix" in text
    assert "+new [not markup]" in text
    assert "whole file" not in text, "the diff of a new file is for --verbose"
    assert "Plan: 2 to add, 1 to change, 0 to remove." in text


def test_verbose_shows_new_files_whole() -> None:
    assert "+whole file" in run(
        RunStarted("plan", "m", "0", ""), Planned("mx1", CHANGES), RunEnded(0, ""), verbose=True
    )


def test_no_changes_says_what_was_compared() -> None:
    text = run(
        RunStarted("apply", "mail.yml", "0.1.0", "now"),
        Planned("mx1", (), "4 packages, 12 files"),
        RunEnded(0, "0 changes applied"),
    )

    assert "No changes." in text
    assert "mx1: 4 packages, 12 files" in text


def test_no_changes_is_not_said_when_no_host_could_be_asked() -> None:
    text = run(
        RunStarted("plan", "mail.yml", "0.1.0", "now"),
        Ended("mx1", "unreachable", 0, "mx1: connection refused. Start sshd."),
        RunEnded(3, "0 to add, 0 to change, 0 to remove; not done on mx1"),
    )

    assert "No changes" not in text
    assert "mx1: connection refused. Start sshd." in text
    assert "Could not tell" in text


def test_what_could_not_be_planned_is_said_below_the_plan() -> None:
    """Above it, it would scroll away; on an interrupted run there is no plan, and it is said all the same."""
    events = (
        RunStarted("plan", "mail.yml", "0", ""),
        Notice("", "two mailboxes"),
        Ended("mx2", "unreachable", 0, "mx2: no route."),
        Planned("mx1", CHANGES, {}),
    )
    text = run(*events, RunEnded(3, "4 to add"))
    places = [
        text.index(each) for each in ("Plan: ", "note: two mailboxes", "mx2: no route.", "Could not tell:")
    ]
    assert places == sorted(places)
    assert text.count("mx2: no route.") == 1

    assert "mx2: no route." in run(*events, RunEnded(130, "interrupted"))
    assert "mx2: no route." in run(*events, RunEnded(3, "4 to add"), quiet=True)


def test_why_something_was_skipped_is_said_once_for_each_reason() -> None:
    skipped = [Found(finding(Verdict.SKIP, port=port)) for port in (465, 587)]
    told = run(RunStarted("verify", "m", "0", ""), *skipped, Found(finding(port=993)), RunEnded(0, ""))
    assert told.count("tls.name  skipped 2×: seen: other.example") == 1
    assert "skipped" not in run(RunStarted("verify", "m", "0", ""), Found(finding()), RunEnded(0, ""))


def test_a_row_counts_what_was_tried() -> None:
    found = [
        dataclasses.replace(finding(verdict, port=0), id="loop.dkim")
        for verdict in (Verdict.PASS, Verdict.PASS, Verdict.SKIP, Verdict.SKIP)
    ]
    told = run(RunStarted("verify", "m", "0", ""), *map(Found, found), RunEnded(0, ""))
    (row,) = [line for line in told.splitlines() if line.startswith("✓") and "loop.dkim" in line]
    assert "2 of 4×" in row


def test_a_failed_host_shows_the_last_lines_of_the_command_even_when_quiet() -> None:
    text = run(Ended("mx1", "failed", 0, "mx1: apt-get failed.", ("E: one", "E: two")), quiet=True)

    assert text.splitlines() == ["✗ mx1: apt-get failed.", "    E: one", "    E: two"]


def test_verification_names_what_is_wrong_and_what_to_do() -> None:
    text = run(
        RunStarted("verify", "mail.yml", "0.1.0", "now"),
        Found(finding(Verdict.FAIL)),
        Found(finding(port=993)),
        RunEnded(1, "1 pass, 1 fail"),
    )

    assert "✗ tls.name  mx1:465" in text
    assert "to do     give tls.certificate for mx1.alpha.test" in text
    assert "Probes: 1 pass, 1 fail." in text
    assert "S: 220 hello" not in text, "evidence is for --verbose"


EDIT = "--- /etc/a\n+++ /etc/a\n@@ -1 +1,2 @@\n one\n+by hand"
UNDO = "--- /etc/a\n+++ /etc/a\n@@ -1,2 +1 @@\n one\n-by hand"
OTHER = "--- /etc/a\n+++ /etc/a\n@@ -1,2 +1,2 @@\n one\n-by hand\n+two"


def test_an_edit_by_hand_has_a_sign_a_legend_a_count_and_its_own_diff() -> None:
    plans = []
    for diff in (UNDO, OTHER):
        drifted = Change("mx1", "file", Action.UPDATE, "/etc/a", "edited", diff, drift=True, edit=EDIT)
        events = (RunStarted("plan", "m", "0", ""), Planned("mx1", (drifted, CHANGES[0])), RunEnded(0, ""))
        plans.append(run(*events))

    for text in plans:
        assert "! edited by hand since the last apply, which stops an apply" in text
        assert "\n! ~ file        /etc/a" in text
        assert "\n  + package " in text
        assert "the edit:\n        @@ -1 +1,2 @@\n         one\n        +by hand" in text
        assert "1 to add, 1 to change, 0 to remove; 1 edited by hand." in text
    assert "--accept-drift would undo it" in plans[0]
    assert "-by hand" not in plans[0], "the edit backwards says nothing new"
    assert "--accept-drift would do:\n        @@ -1,2 +1,2 @@" in plans[1]


def test_a_plan_without_edits_does_not_speak_of_them() -> None:
    text = run(RunStarted("plan", "m", "0", ""), Planned("mx1", CHANGES), RunEnded(0, ""))

    assert "by hand" not in text
    assert "!" not in text


def test_nothing_on_stdout_waits_for_a_terminal() -> None:
    """Outside a terminal there are no cursor movements and no colours."""
    text = run(
        RunStarted("apply", "m", "0", ""), Progress("mx1", "connecting"), Applied(CHANGES[0]), Notice("", "x")
    )

    assert "\x1b" not in text


def test_json_lines_are_one_flat_object_each() -> None:
    out = io.StringIO()
    report = JsonLines(out)
    for event in (
        RunStarted("plan", "mail.yml", "0.1.0", "now"),
        Planned("mx1", CHANGES),
        Found(finding(Verdict.FAIL)),
    ):
        report(event)

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["run_started", "planned", "found"]
    assert lines[1]["changes"][0]["action"] == "create"
    assert lines[2]["id"] == "tls.name"
    assert lines[2]["verdict"] == "fail"


def test_junit_tells_failure_error_skip_and_warning_apart(tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    report = JUnit(path)
    for verdict in Verdict:
        report(Found(finding(verdict)))
    report(Ended("mx2", "unreachable", 0, "mx2: \x00 refused."))
    report(RunEnded(1, ""))

    suites = {suite.get("name"): suite for suite in ET.parse(path).getroot()}
    assert {key: suites["mx1"].get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    assert "warning" in suites["mx1"].findtext("testcase/system-out", "")
    assert suites["mx2"].get("errors") == "1"


def test_an_empty_run_is_never_green_in_junit(tmp_path: Path) -> None:
    report = JUnit(tmp_path / "out.xml")
    report(RunEnded(3, "no probe ran"))

    assert ET.parse(tmp_path / "out.xml").find(".//error") is not None


def test_junit_into_a_folder_that_is_not_there_is_said_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its folder does not exist"):
        JUnit(tmp_path / "no" / "out.xml")


def test_junit_into_a_place_one_may_not_write_is_said_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: Is a directory"):
        JUnit(tmp_path)


def test_a_run_that_is_killed_leaves_a_junit_file_that_says_so(tmp_path: Path) -> None:
    """And no report of an earlier run; a file of 0 bytes is no XML, which stops what reads it."""
    path = tmp_path / "out.xml"
    path.write_text("<testsuites/>")
    JUnit(path)

    (error,) = ET.parse(path).iter("error")
    assert error.get("message") == "the run came to no end"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_junit_file_that_does_not_fit_is_not_called_wrong_usage(tmp_path: Path) -> None:
    """The hosts were changed by then: exit code 2 would say that nothing was done."""
    path = tmp_path / "out.xml"
    report = JUnit(path)
    report(Found(finding()))
    path.unlink()
    path.symlink_to("/dev/full")

    with pytest.raises(ReportFailed, match="No space left") as caught:
        report(RunEnded(0, ""))
    assert caught.value.exit_code == 1


def test_no_two_junit_cases_have_one_name(tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    report = JUnit(path)
    for address in ("192.0.2.1", "2001:db8::1", "2001:db8::1"):
        report(Found(dataclasses.replace(finding(), target=Target("mx1", address, 465))))
    report(RunEnded(0, ""))

    names = [case.get("name") for case in ET.parse(path).iter("testcase")]
    assert names == [
        "tls.name mx1:465 (192.0.2.1)", "tls.name mx1:465 (2001:db8::1)", "tls.name mx1:465 (2001:db8::1) #2",
    ]  # fmt: skip


def test_kept_mailboxes_are_a_table() -> None:
    text = run(
        RunStarted("purge", "m", "0", ""),
        KeptMailbox("mx1", "luis@alpha.test", 12, 3_400_000, 1_700_000_000),
        KeptMailbox("mx2", "eva@beta.test", 0, 10),
        RunEnded(0, "2 mailboxes without an account"),
    )

    lines = [line.split() for line in text.splitlines() if "@" in line]
    assert lines[0][:5] == ["mx1", "luis@alpha.test", "12", "3.4", "MB"]
    assert lines[1] == ["mx2", "eva@beta.test", "0", "10", "bytes", "none"]


def test_the_table_of_ports_is_whole_on_a_terminal_of_80_columns() -> None:
    out = io.StringIO()
    report = TextReport(Console(file=out, width=80, highlight=False, soft_wrap=True))
    for port in (25, 465):
        report(Found(finding(port=port)))
    report(RunEnded(0, "2 pass"))

    assert "…" not in out.getvalue()
    lines = out.getvalue().splitlines()
    row = next(line for line in lines if "submissions" in line)
    heading = next(line for line in lines if line.startswith("port "))
    assert heading.split() == [
        "port", "service", "connects", "greets", "offers", "TLS", "trusted", "name", "in", "clear", "login", "refused",
    ]  # fmt: skip
    assert len(row) < 80
