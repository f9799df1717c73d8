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
from mailprov.model.answers import Found, KeptHome, KeptMailbox
from mailprov.model.events import (
    Action,
    Applied,
    Change,
    Ended,
    Event,
    Notice,
    Planned,
    Progress,
    RunEnded,
    RunStarted,
)
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.report.jsonlines import JsonLines
from mailprov.report.report_files import ReportFiles
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


def run(*events: Event, verbose: bool = False, quiet: bool = False, diff: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=160, highlight=False, soft_wrap=True)
    report = TextReport(console, verbose=verbose, quiet=quiet, diff=diff)
    for event in events:
        report(event)
    return out.getvalue()


def finding(verdict: Verdict = Verdict.PASS, probe: str = "tls.name", port: int = 465) -> Finding:
    return Finding(
        probe, Target("mx1", "192.0.2.1", port), verdict, "the certificate names the host", "mx1.alpha.test",
        "seen: other.example", "give tls.certificate for mx1.alpha.test", ("S: 220 hello",), ("RFC 7817",),
    )  # fmt: skip


def junit(path: Path) -> ReportFiles:
    return ReportFiles(junit=path)


def test_a_plan_shows_signs_diffs_and_counts() -> None:
    text = run(
        RunStarted("plan", "mail.yml", "0.1.0", "now"),
        Planned("mx1", CHANGES, "4 packages"),
        RunEnded(0, "2 to add, 1 to change, 0 to remove", 1.5),
    )

    assert "  mx1       2       1       0\n" in text
    assert "+ create   ~ change   > reload or restart" in text
    assert "- remove" not in text, "a sign that is not used is not explained"
    assert "+ package     postfix" in text
    assert "+new [not markup]" in text
    assert "whole file" not in text, "the diff of a new file is for --verbose"
    assert text.endswith("Plan: 2 to add, 1 to change, 0 to remove (1.5 s)\n"), "a plan is not done"
    assert "Done" not in text


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
        text.index(each)
        for each in (
            "  mx2  could not be asked",
            "+ package",
            "note: two mailboxes",
            "mx2: no route.",
            "Could not tell:",
        )
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


def test_accounts_that_did_not_log_in_are_no_row_beside_the_table() -> None:
    found = [finding(probe="auth.ok", port=993), finding(Verdict.SKIP, "auth.ok", port=0)]
    told = run(RunStarted("verify", "m", "0", ""), *map(Found, found), RunEnded(0, ""))
    assert [line for line in told.splitlines() if "auth.ok" in line] == [
        "- auth.ok  skipped 1×: seen: other.example"
    ]


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
    assert text.endswith("Failed: 1 pass, 1 fail (0.0 s)\n")
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
        assert "  mx1       1       1       0   ! 1 edited by hand" in text
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
    report = junit(path)
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
    report = junit(tmp_path / "out.xml")
    report(RunEnded(3, "no probe ran"))

    assert ET.parse(tmp_path / "out.xml").find(".//error") is not None


def test_junit_into_a_folder_that_is_not_there_is_said_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its folder does not exist"):
        junit(tmp_path / "no" / "out.xml")


def test_junit_into_a_place_one_may_not_write_is_said_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: it is a folder"):
        junit(tmp_path)


def test_a_run_that_is_killed_leaves_a_junit_file_that_says_so(tmp_path: Path) -> None:
    """And no report of an earlier run; a file of 0 bytes is no XML, which stops what reads it."""
    path = tmp_path / "out.xml"
    path.write_text("<testsuites/>")
    junit(path)

    (error,) = ET.parse(path).iter("error")
    assert error.get("message") == "the run did not complete"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_junit_file_that_does_not_fit_is_not_called_wrong_usage(tmp_path: Path) -> None:
    """The hosts were changed by then: exit code 2 would say that nothing was done."""
    path = tmp_path / "out.xml"
    report = junit(path)
    report(Found(finding()))
    path.unlink()
    path.symlink_to("/dev/full")

    with pytest.raises(ReportFailed, match="No space left") as caught:
        report(RunEnded(0, ""))
    assert caught.value.exit_code == 1


def test_no_two_junit_cases_have_one_name(tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    report = junit(path)
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


def test_kept_homes_are_a_table_of_their_own() -> None:
    text = run(
        RunStarted("purge", "m", "0", ""),
        KeptHome("mx1", "luis@alpha.test", "luis", "/home/luis", 3, 3_400_000, 1_700_000_000),
        RunEnded(0, "no mailboxes without an account; 1 home of a user without one"),
    )
    lines = [line.split() for line in text.splitlines()]
    assert ["host", "account", "home", "files", "size", "last", "change"] in lines
    assert any(line[:6] == ["mx1", "luis@alpha.test", "/home/luis", "3", "3.4", "MB"] for line in lines)
    assert "messages" not in text


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


ZONES = tuple(Planned(f"zone {name}.test", (), "6 records") for name in ("alfa", "beta", "gama"))


def test_no_changes_is_said_of_those_alone_that_were_asked() -> None:
    """It was "No changes. Everything is as the inventory says." with an unreachable host beside it."""
    text = run(
        RunStarted("apply", "mail.yml", "0", ""),
        Planned("mx1", (), "4 packages"),
        *ZONES,
        Ended("mx2", "unreachable", 0, "mx2: connection refused."),
        Ended("mx3", "failed", 0, "mx3: the lock is held by ana."),
        RunEnded(3, "0 changes applied; not done on mx2, mx3"),
    )

    assert (
        "No changes on mx1 and 3 zones; mx2 could not be asked; mx3 could not be compared. Compared:\n"
        in text
    )
    assert "Everything is as" not in text
    assert "  zone alfa.test, zone beta.test and zone gama.test: 6 records\n" in text


def test_changes_are_counted_beside_who_could_not_be_asked() -> None:
    text = run(
        RunStarted("plan", "mail.yml", "0", ""),
        Planned("mx1", CHANGES),
        Ended("mx2", "unreachable", 0, "mx2: connection refused."),
        Ended("dns", "unreachable", 0, "zone alpha.test: no answer."),
        RunEnded(3, ""),
    )

    assert "  mx1             2       1       0\n  mx2        could not be asked\n" in text
    assert "  the zones  could not be asked\n" in text


def test_equal_changes_are_told_once_with_their_places() -> None:
    text = run(
        RunStarted("plan", "mail.yml", "0", ""),
        Planned("mx2", (CHANGES[0], dataclasses.replace(CHANGES[2], subject="mx2"))),
        Planned("mx1", (CHANGES[0], CHANGES[1])),
        RunEnded(0, "1"),
    )

    assert text.count("postfix  3.7.11") == 1
    assert "mx1 and mx2  the same on both\n  + package     postfix  3.7.11-0+deb12u1\n\nmx1\n" in text


def test_a_long_diff_is_a_number_and_whole_with_diff() -> None:
    long = "--- a\n+++ b\n@@ -1,30 +1 @@\n" + "-# Debian says\n" * 30 + "+ours\n"
    events = (
        RunStarted("plan", "m", "0", ""),
        Planned("mx1", (Change("mx1", "file", Action.UPDATE, "/etc/postfix/master.cf", "", long),)),
        RunEnded(0, ""),
    )
    text = run(*events)
    assert "~ file        /etc/postfix/master.cf  +1 -30 lines\n" in text
    assert "Debian says" not in text
    assert "--diff shows" in text
    whole = run(*events, diff=True)
    assert whole.count("-# Debian says") == 30
    assert "--diff shows" not in whole


def test_new_files_of_a_folder_are_told_together() -> None:
    made = tuple(Change("mx1", "file", Action.CREATE, f"/etc/mailprov/{name}") for name in ("a", "b", "c"))
    events = (RunStarted("plan", "m", "0", ""), Planned("mx1", made), RunEnded(0, ""))

    assert "  + 3 files     /etc/mailprov/\n                  a, b, c\n" in run(*events)
    assert "+ file        /etc/mailprov/b\n" in run(*events, verbose=True)


def test_why_a_service_is_reloaded_is_listed_with_v() -> None:
    """It was a list of six lines at 80 columns."""
    paths = tuple(f"/etc/postfix/mailprov/{number}" for number in range(18))
    reload = Change(
        "mx1", "service", Action.RUN, "postfix.service", "reload: 18 files changed", because=paths
    )
    events = (RunStarted("plan", "m", "0", ""), Planned("mx1", (reload,)), RunEnded(0, ""))

    assert "postfix.service  reload: 18 files changed (-v lists them)\n" in run(*events)
    assert "/etc/postfix/mailprov/17" not in run(*events)
    assert "        /etc/postfix/mailprov/17\n" in run(*events, verbose=True)


def test_what_stood_in_the_plan_is_not_told_again_while_it_is_done() -> None:
    events = (
        RunStarted("apply", "m", "0", ""), Planned("mx1", CHANGES), *(Applied(change) for change in CHANGES),
        Ended("mx1", "ok", 3, "", seconds=1.0), RunEnded(0, "3 changes applied"),
    )  # fmt: skip
    assert run(*events).count("dovecot.conf") == 1
    assert run(*events, verbose=True).count("dovecot.conf") > 1


def test_quiet_prints_errors_and_the_last_line() -> None:
    """The last line was missing where all went well."""
    good = run(
        RunStarted("apply", "m", "0", ""),
        Planned("mx1", CHANGES),
        RunEnded(0, "3 changes applied"),
        quiet=True,
    )
    assert good == "Done: 3 changes applied (0.0 s)\n"

    events = [Found(finding(Verdict.FAIL, port=port)) for port in (465, 25)] + [Found(finding(port=993))]
    bad = run(RunStarted("verify", "m", "0", ""), *events, RunEnded(1, "1 pass, 2 fail"), quiet=True)
    assert (
        bad
        == "✗ tls.name  mx1:25, 465 (192.0.2.1)  2×: seen: other.example\nFailed: 1 pass, 2 fail (0.0 s)\n"
    )


def test_a_host_where_nothing_runs_is_one_cause() -> None:
    """837 lines for a host: each probe of each port said that its connection was refused."""
    found = [
        dataclasses.replace(
            finding(Verdict.FAIL, "net.tcp", port), observed="connection refused", advice="start it"
        )
        for port in (993, 25, 465)
    ]
    found += [
        dataclasses.replace(finding(Verdict.ERROR, probe, port), waits_for=f"net.tcp mx1:{port}")
        for port in (25, 465)
        for probe in ("smtp.banner", "smtp.ehlo")
    ]
    # What waits for something that waits is behind the same cause.
    login = dataclasses.replace(finding(Verdict.ERROR, "auth.ok", 465), waits_for="net.tcp mx1:465")
    wrong = dataclasses.replace(finding(Verdict.ERROR, "auth.bad-password", 465), waits_for="auth.ok mx1:465")
    text = run(
        RunStarted("verify", "m", "0", ""),
        *(Found(each) for each in [wrong, *found, login]),
        RunEnded(1, "x"),
    )

    assert (
        "✗ net.tcp  mx1: nothing listens on 3 ports (25, 465, 993) (192.0.2.1); 6 probes wait for that\n"
        in text
    )
    assert text.count("start it") == 1
    assert text.count("smtp.banner") == 0
    assert "✗ wrong   ? could not be tested" in text
    assert "auth.ok  mx1:465" in run(*(Found(each) for each in [wrong, login]), RunEnded(3, "x")), (
        "nothing tells why"
    )


def test_equal_findings_are_told_once_worst_first_with_ports_in_order() -> None:
    warned = [Found(finding(Verdict.WARN, "smtp.ehlo", port)) for port in (587, 25)]
    failed = [
        Found(dataclasses.replace(finding(Verdict.FAIL, "tls.name", 110), advice=word)) for word in ("a", "b")
    ]
    text = run(RunStarted("verify", "m", "0", ""), *warned, *failed, RunEnded(1, "x"))

    assert text.index("✗ tls.name  mx1:110 (192.0.2.1)  2×") < text.index(
        "! smtp.ehlo  mx1:25, 587 (192.0.2.1)  2×"
    )
    assert "    to do     mx1:110: a\n              mx1:110: b\n" in text


def test_the_numbers_of_a_row_are_true() -> None:
    """`✓ delivery.dkim 4×` stood there, although two of the four were skipped."""
    verdicts = (Verdict.PASS, Verdict.SKIP, Verdict.PASS, Verdict.SKIP)
    found = [Found(dataclasses.replace(finding(one, "delivery.dkim", 0))) for one in verdicts]
    text = run(RunStarted("verify", "m", "0", ""), *found, RunEnded(0, "x"))
    assert "✓  delivery.dkim  2 of 4, 2 skipped  " in text


def test_hosts_with_the_same_table_share_it() -> None:
    found = [Found(finding()), Found(dataclasses.replace(finding(), target=Target("mx2", "192.0.2.2", 465)))]
    text = run(RunStarted("verify", "m", "0", ""), *found, RunEnded(0, "x"))
    assert "mx1 and mx2  192.0.2.1 and 192.0.2.2\n" in text
    assert text.count("submissions") == 1


def test_probes_that_met_the_same_are_told_together() -> None:
    """A name server that does not answer was told for each probe of each domain."""
    silent = Finding(
        "", Target(domain="a.test"), Verdict.ERROR, "title", "x", "no answer from 192.0.2.53", "start it"
    )
    found = [
        Found(dataclasses.replace(silent, id=probe, target=Target(domain=domain)))
        for probe in ("dns.spf", "dns.mx")
        for domain in ("b.test", "a.test")
    ]
    text = run(RunStarted("verify", "m", "0", ""), *found, RunEnded(3, "4 error"))
    assert "? dns.mx and dns.spf  a.test, b.test  4×\n    observed  no answer from 192.0.2.53\n" in text
    assert text.count("start it") == 1
