"""What each kind of report says, read as its readers read it; and hostile texts, which change nothing of its form."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from mailprov.components.templates import folders
from mailprov.inventory.places import places
from mailprov.model.answers import Found
from mailprov.model.events import Error, Event, InventoryProblem, Notice, RunEnded
from mailprov.model.findings import Finding, Remedy, Target, Verdict
from mailprov.report import markdown, sarif
from mailprov.report.fanout import fan_out
from mailprov.report.report_files import KINDS
from mailprov.report.whole_run import Making, WholeRun
from tests.unit.report import formats
from tests.unit.report.runs import FINDINGS, MX1, RUNS, START, finding
from tests.unit.report.test_hostile_text import EVIL, bad, filled
from tests.unit.report.test_report_files import READERS, written

HOSTILE = (
    "a%0A::error file=x,line=1::forged::set-output name=x:: | `b` **c** [d](http://e.example) <img src=x onerror=1>\n"
    "| f | g |\n|---|---|\n</pre></details><script>h()</script> ]]> &lt; &#124; # SKIP i \\# TODO j\n  ...\n"
    "not ok 1 - k\n"
    'Bail out! l" } mailprov_forged{m="n"} 1\n# HELP o\r\n\'=1;2;3 --- @p https://q.example ' + EVIL
)


def story(*events: Event) -> WholeRun:
    run = WholeRun()
    emit = fan_out([run.take])
    for event in events:
        emit(event)
    return run


def test_json_has_every_field_of_a_finding_and_its_schema_requires_them() -> None:
    schema = json.loads((Path(__file__).parents[3] / "docs/report.schema.json").read_text())
    for cls, part in (
        (Finding, schema["$defs"]["finding"]),
        (Target, schema["$defs"]["finding"]["properties"]["target"]),
    ):
        fields = {each.name for each in dataclasses.fields(cls)}
        assert fields == set(part["required"]) == set(part["properties"]), cls


def test_the_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    """That is: this reader of it does."""
    text = written(tmp_path, RUNS["mixed"], ("json",))["json"]
    for path, value in (
        (("schema_version",), 2), (("findings", 0, "verdict"), "passed"), (("findings", 0, "target", "port"), "25"),
        (("run", "complete"), 1), (("counts", "pass"), -1), (("run", "exit_code"), True),
    ):  # fmt: skip
        told = json.loads(text)
        at = told
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        with pytest.raises(AssertionError):
            READERS["json"](json.dumps(told))


def test_tap_tells_verdicts_apart(tmp_path: Path) -> None:
    points, bailed = formats.tap(written(tmp_path, RUNS["mixed"], ("tap",))["tap"])
    assert bailed == ""
    assert len(points) == len(FINDINGS)
    assert sum(not point.ok for point in points) == 5
    (skip,) = [point for point in points if point.directive]
    assert (skip.directive, skip.reason, skip.ok) == ("SKIP", "the domain has no mail_name", True)
    warns = [point for point in points if point.block.get("severity") == "warn"]
    assert len(warns) == 2
    assert all(point.ok for point in warns)
    (chain, _) = [point for point in points if point.text.startswith("tls.chain")]
    assert chain.text == f"tls.chain mx1:465 ({MX1})"
    assert chain.block["message"] == "self-signed certificate in certificate chain"
    assert "S: 220 mx1.alpha.test ESMTP" in chain.block["data"]


def test_tap_of_a_run_that_tells_nothing_is_no_success(tmp_path: Path) -> None:
    for run, why in (
        ("nothing", "no probe ran"),
        ("interrupted", "interrupted"),
        ("killed", "the run did not complete"),
    ):
        assert formats.tap(written(tmp_path, RUNS[run], ("tap",))["tap"])[1] == why


def test_markdown_tells_the_worst_first_one_row_for_a_cause(tmp_path: Path) -> None:
    text = written(tmp_path, RUNS["mixed"], ("markdown",))["markdown"]
    rows = [html.unescape(row) for row in text.splitlines() if row.startswith("| ")][1:]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| ❌", "net.tcp"], ["| ❌", "tls.chain"], ["| ❓", "dns.ptr"], ["| ⚠️", "auth.ok"], ["| ⚠️", "dns.dmarc"],
    ]  # fmt: skip
    assert "1 probe waits for that" in rows[0]
    assert "mx1:465, mx1:993" in rows[1], "both places in one row"
    assert "Ask the owner of the address for a PTR" in rows[2]


def test_markdown_stays_below_the_limit_of_a_summary_and_says_what_it_left_out() -> None:
    many = [
        dataclasses.replace(
            finding(Verdict.FAIL, "tls.chain", Target(f"mx{number}", "192.0.2.1", 25)),
            observed=f"wrong {number}",
            evidence=("S: " + "é" * 2000,) * 5,
        )
        for number in range(400)
    ]
    text = markdown.render(story(START, *map(Found, many), RunEnded(1, "400 fail")), Making())
    assert len(text.encode()) < 2**20
    assert len(text.encode()) > 900_000
    assert "would not fit into the summary" in text.splitlines()[-1]
    assert text.count("<details>") == text.count("</details>")
    short = markdown.render(story(START, *map(Found, many[:3]), RunEnded(1, "3 fail")), Making())
    assert "would not fit" not in short


def test_annotations_are_few_worst_first_and_at_the_line_of_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(
        "hosts:\n  mx1: {fqdn: mx1.alpha.test}\n  mx2: {}\ndomains:\n  alpha.test:\n"
        "    accounts:\n      eva: {}\n      ana: {}\n"
    )
    from mailprov.report import github

    run = story(*RUNS["mixed"])
    told = formats.commands(github.render(run, Making(places(tmp_path / "mail.yml"))))
    assert [(each.level, each.properties["title"], each.properties["line"]) for each in told] == [
        ("error", "mailprov net.tcp mx2:110", "3"),
        ("error", "mailprov tls.chain mx1:465, mx1:993", "2"),
        ("error", "mailprov dns.ptr mx2", "3"),
        ("warning", "mailprov auth.ok mx2:993 ana@alpha.test", "8"),
        ("warning", "mailprov dns.dmarc alpha.test", "5"),
    ]
    many = [finding(Verdict.WARN, f"probe.n{number}") for number in range(30)]
    told = formats.commands(github.render(story(START, *map(Found, many), RunEnded(0, "")), Making()))
    assert len(told) == 10
    assert told[-1].message == "and 21 more, in the log"
    (sound,) = formats.commands(github.render(story(*RUNS["sound"]), Making()))
    assert sound.level == "notice"


def test_a_plugin_says_the_worst_and_how_long_certificates_last(tmp_path: Path) -> None:
    told = {
        run: formats.plugin(text["nagios"])
        for run in RUNS
        if (text := written(tmp_path, RUNS[run], ("nagios",)))
    }
    assert {run: state for run, (state, _, _) in told.items() if run != "killed"} == {
        "mixed": "CRITICAL", "sound": "OK", "nothing": "UNKNOWN", "interrupted": "UNKNOWN", "wrong": "UNKNOWN",
        "refused": "UNKNOWN", "applied": "CRITICAL",
    }  # fmt: skip
    _, text, figures = told["mixed"]
    assert text.startswith("31 pass, 2 warn, 3 fail, 2 error, 1 skip; net.tcp mx2:110: self-signed")
    assert figures["fail"] == "3"
    assert float(figures["cert_days"]) > 30
    warned = story(START, Found(finding(Verdict.PASS)), Found(finding(Verdict.WARN)), RunEnded(0, "1 pass"))
    from mailprov.report import nagios

    assert nagios.exit_code(warned) == 1
    assert [nagios.exit_code(story(*RUNS[run])) for run in ("sound", "mixed", "nothing", "killed")] == [
        0, 2, 3, 3,
    ]  # fmt: skip


def test_prometheus_guesses_nothing_where_a_probe_could_not_test(tmp_path: Path) -> None:
    told = formats.metrics(written(tmp_path, RUNS["mixed"], ("prometheus",))["prometheus"])
    success = {key: value for key, value in told.items() if key.startswith("mailprov_probe_success")}
    assert (
        success['mailprov_probe_success{probe="tls.chain",host="mx1",address="192.0.2.11",port="465"}'] == 0
    )
    assert not [key for key in success if "pop.greeting" in key or "dns.ptr" in key or "tls.sni" in key]
    assert success['mailprov_probe_success{probe="dns.dmarc",domain="alpha.test"}'] == 1
    place = 'host="mx1",address="192.0.2.11",port="995"'
    assert told[f"mailprov_cert_not_after_timestamp_seconds{{{place}}}"] == 1_803_900_000
    assert told["mailprov_run_timestamp_seconds"] > 1_700_000_000
    assert (told["mailprov_run_complete"], told["mailprov_run_exit_code"]) == (1, 1)
    twice = (Found(finding(Verdict.PASS)), Found(finding(Verdict.FAIL)), Found(finding(Verdict.PASS)))
    (worst,) = [
        value
        for key, value in formats.metrics(
            written(tmp_path, (START, *twice, RunEnded(1, "")), ("prometheus",))["prometheus"]
        ).items()
        if key.startswith("mailprov_probe_success")
    ]
    assert worst == 0, "the worst of equal ones"


def test_sarif_points_at_the_inventory_and_its_fingerprints_stay(tmp_path: Path) -> None:
    inventory = tmp_path / "mail.yml"
    inventory.write_text("hosts:\n  mx1: {}\n  mx2: {}\ndomains:\n  alpha.test: {}\n")
    run = story(*RUNS["mixed"])
    told = formats.sarif(sarif.render(run, Making(places(inventory))))["runs"][0]
    lines = {
        (each["ruleId"], each["locations"][0]["physicalLocation"]["region"]["startLine"])
        for each in told["results"]
    }
    assert {("tls.chain", 2), ("net.tcp", 3), ("dns.dmarc", 5)} <= lines
    assert [each["level"] for each in told["results"]] == ["error"] * 3 + ["warning"] * 4
    assert told["invocations"][0]["executionSuccessful"] is True
    prints = [each["partialFingerprints"]["mailprovFinding/v1"] for each in told["results"]]
    assert len(set(prints)) == len(prints)
    inventory.write_text("# a line more\n" * 3 + inventory.read_text())
    moved = story(
        *(
            Found(
                dataclasses.replace(
                    each.finding,
                    target=dataclasses.replace(each.finding.target, address="203.0.113.9"),
                    observed="other",
                )
            )
            if isinstance(each, Found)
            else each
            for each in RUNS["mixed"]
        )
    )
    again = formats.sarif(sarif.render(moved, Making(places(inventory))))["runs"][0]["results"]
    assert {each["partialFingerprints"]["mailprovFinding/v1"] for each in again} == set(prints)
    assert {each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in again} == {5, 6, 8}
    for odd in ("interrupted", "refused", "wrong", "killed"):
        told = formats.sarif(sarif.render(story(*RUNS[odd]), Making()))["runs"][0]
        assert told["invocations"][0]["executionSuccessful"] is False, odd
        assert told["invocations"][0]["toolExecutionNotifications"], odd


def test_the_page_has_the_table_the_worst_first_and_every_finding(tmp_path: Path) -> None:
    parsed = formats.page(written(tmp_path, RUNS["mixed"], ("html",))["html"])
    text = parsed.text
    for each in FINDINGS:
        for said in (each.id, each.observed, each.expected, *each.evidence, *each.tasks):
            assert said in text
    first = [
        text.index("net.tcp mx2:110 self-signed"),
        text.index("dns.ptr mx2 no answer"),
        text.index("Findings"),
    ]
    assert first == sorted(first)
    cells = [each["class"] for tag, each in parsed.elements if tag == "a"]
    assert " ".join(cells) == "pass fail pass pass pass fail pass pass pass fail pass warn error"
    assert sum(tag == "details" for tag, _ in parsed.elements) == len(FINDINGS)
    for run, said in (
        ("interrupted", "This run did not come to its end"), ("killed", "This run did not come to its end"),
        ("nothing", "nothing ran"), ("wrong", "no such key"), ("refused", "no such file"),
        ("applied", "fatal: bad main.cf"),
    ):  # fmt: skip
        assert said in formats.page(written(tmp_path, RUNS[run], ("html",)).get("html", "")).text, run


def test_where_a_name_stands_in_the_inventory(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(
        "hosts:\n  MX1: {}\n  mx2: {}\ndomains:\n  münchen.test:\n    accounts:\n"
        "      Ana: {}\n  beta.test: {}\n"
    )
    place = places(path)
    assert place(Target("mx1", "", 25)) == (2, 3)
    assert place(Target("mx2", "", 25, "beta.test")) == (3, 3)
    assert place(Target("mx2", domain="beta.test")) == (8, 3)
    assert place(Target("mx1", "", 993, account="ana@xn--mnchen-3ya.test")) == (7, 7)
    assert place(Target("mx1", "", 993, account="eva@beta.test")) == (2, 3)
    assert place(Target(domain="none.test")) == (1, 1)
    path.write_text("hosts: [")
    assert places(path)(Target("mx1")) == (1, 1)
    assert places(tmp_path / "none")(Target("mx1")) == (1, 1)


def hostile_run(text: str) -> tuple[Event, ...]:
    """Each text that hosts, servers and zones can say, or that stands in an inventory, is `text`."""
    evil: Finding = filled(Finding, text)
    more = [
        dataclasses.replace(
            evil,
            id="tls.chain",
            verdict=verdict,
            accepted="fail",
            by_default="fail",
            remedies=(Remedy("record", text, text),),
            target=Target(text, text, 25, text, text),
        )
        for verdict in Verdict
    ]
    return (
        dataclasses.replace(START, inventory=text),
        Notice(text, text),
        *(Found(each) for each in more),
        InventoryProblem(text, 1, 1, text, text),
        Error(text, text, text),
        RunEnded(1, text, 1.0),
    )


def shape(kind: str, text: str) -> Any:
    """What a reader makes of its form, without the texts."""
    if kind == "junit":
        return [(element.tag, sorted(element.attrib)) for element in formats.junit(text).iter()]
    if kind == "tap":
        points, bailed = formats.tap(text)
        return [(p.ok, p.directive, sorted(p.block)) for p in points], bool(bailed)
    if kind == "github":
        return [(each.level, sorted(each.properties)) for each in formats.commands(text)]
    if kind == "nagios":
        state, _, figures = formats.plugin(text)
        return state, sorted(figures)
    if kind == "prometheus":
        return [
            (re.sub(r'"(?:[^"\\]|\\.)*"', "", key), value)
            for key, value in formats.metrics(text).items()
            if "timestamp" not in key
        ]
    if kind in ("json", "sarif"):
        READERS[kind](text)
        return keys(json.loads(text))
    if kind == "html":
        parsed = formats.page(text)
        return [
            (tag, each.get("class"), each.get("href"), sorted(each)) for tag, each in parsed.elements
        ], parsed.raw
    assert kind == "markdown"
    outside = re.sub(r"<pre>\n.*?\n</pre>", "<pre></pre>", text, flags=re.DOTALL)
    assert not re.search(r"<(?!/?(details|summary|pre)>)", text), "no element but those of the page"
    tables = [row.count("|") for row in outside.splitlines() if row.startswith("|")]
    return tables, re.findall("<[^>]*>", text), outside.count("\n"), outside.count("**"), outside.count("`")


def keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: keys(part) for key, part in value.items()}
    return [keys(part) for part in value] if isinstance(value, list) else type(value).__name__


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_texts_change_nothing_of_the_form_of_a_report(kind: str, tmp_path: Path) -> None:
    def through(text: str) -> str:
        path = tmp_path / "report"
        from mailprov.report.report_files import ReportFiles

        emit = fan_out([ReportFiles([f"{kind}={path}"], making=Making(folders=folders))])
        for event in hostile_run(text):
            emit(event)
        return path.read_text(encoding="utf-8")

    harmless, evil = through("word"), through(HOSTILE)
    assert shape(kind, evil) == shape(kind, harmless)
    assert not bad(evil), "no control character, no mark that turns text"
    assert "forged" in evil or kind == "prometheus", "it is in there"
