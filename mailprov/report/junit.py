"""--junit FILE: the findings and the hosts' endings as JUnit XML, for GitLab, Jenkins, Azure and GitHub.

One suite per host (or zone, or domain), one case per finding, named by the probe's stable id. fail → failure,
error → error, skip → skipped. JUnit has no word for a warning: it is a pass with its text in system-out.
A run without one case gets a failing case, so that an empty run is never green.
No two cases of a suite have one name, because readers such as GitLab keep only one of them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from mailprov.errors import InputError, ReportFailed
from mailprov.model.events import Ended, Event, Found, RunEnded
from mailprov.model.findings import Finding, Verdict

_ELEMENT = {Verdict.FAIL: "failure", Verdict.ERROR: "error", Verdict.SKIP: "skipped"}


class JUnit:
    """Collects until RunEnded, then writes the file.

    Raises InputError at once, before anything is done, when the file cannot be written; ReportFailed when that shows
    only at the end (a full disk).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._suites: dict[str, list[ET.Element]] = {}
        if not path.resolve().parent.is_dir():
            raise InputError(f"--junit {path}", "its folder does not exist", "Make the folder first")
        try:
            path.write_text("")  # also so that a run that is killed leaves no report of an earlier one
        except OSError as error:
            raise InputError(
                f"--junit {path}", f"cannot be written: {error.strerror}", "Give a path you may write"
            ) from error

    def __call__(self, event: Event) -> None:
        if isinstance(event, Found):
            self._add(
                event.finding.target.host or event.finding.target.domain or "verify", _case(event.finding)
            )
        elif isinstance(event, Ended):
            self._add(event.subject, _ended(event))
        elif isinstance(event, RunEnded):
            self._write(event)

    def _add(self, suite: str, case: ET.Element) -> None:
        self._suites.setdefault(suite, []).append(case)

    def _write(self, end: RunEnded) -> None:
        if not self._suites:
            case = ET.Element("testcase", name="run", classname="mailprov")
            ET.SubElement(case, "error", message="nothing ran")
            self._add("mailprov", case)
        root = ET.Element("testsuites", name="mailprov", time=f"{end.seconds:.3f}")
        for name, cases in self._suites.items():
            _make_names_differ(cases)
            count = {
                tag: sum(case.find(tag) is not None for case in cases)
                for tag in ("failure", "error", "skipped")
            }
            suite = ET.SubElement(
                root,
                "testsuite",
                name=name,
                tests=str(len(cases)),
                failures=str(count["failure"]),
                errors=str(count["error"]),
                skipped=str(count["skipped"]),
            )
            suite.extend(cases)
        ET.indent(root)
        try:
            ET.ElementTree(root).write(self._path, encoding="utf-8", xml_declaration=True)
        except OSError as error:
            raise ReportFailed(
                f"--junit {self._path}",
                f"cannot be written: {error.strerror}",
                "The run itself is over; make room, and run verify for a new report",
            ) from error


def _make_names_differ(cases: list[ET.Element]) -> None:
    """The second of one name becomes `name #2`."""
    seen: Counter[str] = Counter()
    for case in cases:
        name = case.get("name", "")
        seen[name] += 1
        if seen[name] > 1:
            case.set("name", f"{name} #{seen[name]}")


def _case(finding: Finding) -> ET.Element:
    address = f" ({finding.target.address})" if finding.target.address else ""
    case = ET.Element(
        "testcase",
        name=f"{finding.id} {finding.target}{address}".strip(),
        classname=finding.id,
        time=f"{finding.seconds:.3f}",
    )
    body = "\n".join(
        part
        for part in (
            f"expected: {finding.expected}" if finding.expected else "",
            f"observed: {finding.observed}" if finding.observed else "",
            f"to do: {finding.advice}" if finding.advice else "",
            *finding.evidence,
        )
        if part
    )
    tag = _ELEMENT.get(finding.verdict)
    if tag:
        ET.SubElement(case, tag, message=_xml_safe(finding.observed or finding.title)).text = _xml_safe(body)
    elif finding.verdict is Verdict.WARN:
        ET.SubElement(case, "system-out").text = _xml_safe("warning\n" + body)
    return case


def _ended(event: Ended) -> ET.Element:
    case = ET.Element(
        "testcase", name=f"apply {event.subject}", classname="apply", time=f"{event.seconds:.3f}"
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
