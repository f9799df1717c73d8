"""--report junit=FILE, and --junit FILE: findings and endings as JUnit XML, for GitLab, Jenkins, Azure and GitHub.

One suite per host (or zone, or domain), one case per finding, named by the probe's stable id. fail → failure,
error → error, skip → skipped. JUnit has no word for a warning: it is a pass with its text in system-out.
How a host or zone ended is a case named by the command: `plan mx1`. Each mistake in the inventory is a failure, in a
suite of the file's name; another error that ends the command is a case as well.
A run without one case gets a failing case, so that an empty run is never green; so does one that did not complete,
which is what is left of one that is killed.
No two cases of a suite have one name, because readers such as GitLab keep only one of them.
"""

from __future__ import annotations

import io
from collections import Counter
from xml.etree import ElementTree as ET

from mailprov.i18n import _
from mailprov.model.answers import Tried
from mailprov.model.events import Ended
from mailprov.model.findings import Finding, Verdict
from mailprov.report.whole_run import Making, WholeRun, details, name

_ELEMENT = {Verdict.FAIL: "failure", Verdict.ERROR: "error", Verdict.SKIP: "skipped"}


def render(run: WholeRun, making: Making) -> str:
    suites: dict[str, list[ET.Element]] = {}

    def add(suite: str, case: ET.Element) -> None:
        suites.setdefault(suite, []).append(case)

    for problem in run.problems:
        key = f"{problem.line}:{problem.column} {problem.path}".strip()
        message = f"{problem.file}:{problem.line}:{problem.column}: {problem.text}"
        add(problem.file, _error_case(key, "failure", message, "inventory"))
    for error in run.errors:
        message = ". ".join(part for part in (error.what, error.advice) if part)
        add("mailprov", _error_case(error.where or run.command, "error", message))
    for ending in run.endings:
        add(ending.subject, _ended(ending, run.command))
    for finding in run.findings:
        add(finding.target.host or finding.target.domain or "verify", _case(finding))
    for tried in run.tried:
        add(tried.fixture, _tried(tried))
    if not run.complete:
        add("mailprov", _error_case("run", "error", run.summary))
    elif not suites:
        add("mailprov", _error_case("run", "error", _("nothing ran")))
    out = io.BytesIO()
    _tree(suites, run).write(out, encoding="utf-8", xml_declaration=True)
    return out.getvalue().decode("utf-8") + "\n"


def _tree(suites: dict[str, list[ET.Element]], run: WholeRun) -> ET.ElementTree[ET.Element]:
    root = ET.Element("testsuites", name="mailprov", time=f"{run.seconds:.3f}")
    for suite_name, cases in suites.items():
        _make_names_differ(cases)
        count = {
            tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")
        }
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_xml_safe(suite_name),
            tests=str(len(cases)),
            failures=str(count["failure"]),
            errors=str(count["error"]),
            skipped=str(count["skipped"]),
        )
        if run.profile:
            ET.SubElement(ET.SubElement(suite, "properties"), "property", name="profile", value=run.profile)
        suite.extend(cases)
    ET.indent(root)
    return ET.ElementTree(root)


def _error_case(case_name: str, tag: str, message: str, classname: str = "mailprov") -> ET.Element:
    case = ET.Element("testcase", name=_xml_safe(case_name), classname=classname)
    ET.SubElement(case, tag, message=_xml_safe(message))
    return case


def _make_names_differ(cases: list[ET.Element]) -> None:
    """The second of one name becomes `name #2`."""
    seen: Counter[str] = Counter()
    for case in cases:
        case_name = case.get("name", "")
        seen[case_name] += 1
        if seen[case_name] > 1:
            case.set("name", f"{case_name} #{seen[case_name]}")


def _case(finding: Finding) -> ET.Element:
    case = ET.Element(
        "testcase",
        name=_xml_safe(name(finding)),
        classname=_xml_safe(finding.id),
        time=f"{finding.seconds:.3f}",
    )
    body = "\n".join(details(finding))
    tag = _ELEMENT.get(finding.verdict)
    if tag:
        ET.SubElement(case, tag, message=_xml_safe(finding.observed or finding.title)).text = _xml_safe(body)
    elif finding.verdict is Verdict.WARN:
        ET.SubElement(case, "system-out").text = _xml_safe("warning\n" + body)
    return case


def _tried(event: Tried) -> ET.Element:
    case = ET.Element("testcase", name=event.probe, classname=event.probe)
    if not event.good:
        seen = ", ".join(event.seen) or _("nothing")
        message = _("it must say {wanted}, and says {seen}").format(wanted=event.wanted, seen=seen)
        text = "\n".join((*event.what, *event.observed))
        ET.SubElement(case, "failure", message=_xml_safe(message)).text = _xml_safe(text)
    return case


def _ended(event: Ended, command: str) -> ET.Element:
    case = ET.Element(
        "testcase", name=f"{command} {event.subject}", classname=command, time=f"{event.seconds:.3f}"
    )
    tag = {"ok": "", "failed": "failure", "skipped": "skipped"}.get(event.status, "error")
    if tag:
        message = _xml_safe(event.error or event.status)
        ET.SubElement(case, tag, message=message).text = _xml_safe("\n".join(event.output))
    return case


def _xml_safe(text: str) -> str:
    """XML 1.0 has no way to write most control characters; servers can send any."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?"
        for c in text
    )
