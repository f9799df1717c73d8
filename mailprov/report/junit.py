"""--junit FILE: the findings and the hosts' endings as JUnit XML, for GitLab, Jenkins, Azure and GitHub.

One suite per host (or zone, or domain), one case per finding, named by the probe's stable id. fail → failure,
error → error, skip → skipped. JUnit has no word for a warning: it is a pass with its text in system-out.
How a host or zone ended is a case named by the command: `plan mx1`. Each mistake in the inventory is a failure, in a
suite of the file's name; another error that ends the command is a case as well.
A run without one case gets a failing case, so that an empty run is never green; and from its beginning the file holds
the report of a run that did not complete, which is what is left of one that is killed.
No two cases of a suite have one name, because readers such as GitLab keep only one of them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from mailprov.errors import InputError, ReportFailed
from mailprov.i18n import _
from mailprov.model.answers import Found
from mailprov.model.events import Ended, Error, Event, InventoryProblem, RunEnded, RunStarted
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
        self._command = "run"
        if not path.resolve().parent.is_dir():
            raise InputError(f"--junit {path}", _("its folder does not exist"), _("Make the folder first"))
        try:
            _tree({"mailprov": [_error_case("run", "error", _("the run did not complete"))]}, 0).write(
                path, encoding="utf-8", xml_declaration=True
            )
        except OSError as error:
            raise InputError(
                f"--junit {path}",
                _("cannot be written: {error}").format(error=error.strerror),
                _("Give a path you may write"),
            ) from error

    def __call__(self, event: Event) -> None:
        if isinstance(event, Found):
            self._add(
                event.finding.target.host or event.finding.target.domain or "verify", _case(event.finding)
            )
        elif isinstance(event, RunStarted):
            self._command = event.command
        elif isinstance(event, Ended):
            self._add(event.subject, _ended(event, self._command))
        elif isinstance(event, InventoryProblem):
            name = f"{event.line}:{event.column} {event.path}".strip()
            message = f"{event.file}:{event.line}:{event.column}: {event.text}"
            self._add(event.file, _error_case(name, "failure", message, "inventory"))
        elif isinstance(event, Error):
            message = ". ".join(part for part in (event.what, event.advice) if part)
            self._add("mailprov", _error_case(event.where or self._command, "error", message))
        elif isinstance(event, RunEnded):
            self._write(event)

    def _add(self, suite: str, case: ET.Element) -> None:
        self._suites.setdefault(suite, []).append(case)

    def _write(self, end: RunEnded) -> None:
        if not self._suites:
            self._add("mailprov", _error_case("run", "error", _("nothing ran")))
        try:
            _tree(self._suites, end.seconds).write(self._path, encoding="utf-8", xml_declaration=True)
        except OSError as error:
            raise ReportFailed(
                f"--junit {self._path}",
                _("cannot be written: {error}").format(error=error.strerror),
                _("The run itself is over; make room, and run verify for a new report"),
            ) from error


def _tree(suites: dict[str, list[ET.Element]], seconds: float) -> ET.ElementTree[ET.Element]:
    root = ET.Element("testsuites", name="mailprov", time=f"{seconds:.3f}")
    for name, cases in suites.items():
        _make_names_differ(cases)
        count = {
            tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")
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
    return ET.ElementTree(root)


def _error_case(name: str, tag: str, message: str, classname: str = "mailprov") -> ET.Element:
    case = ET.Element("testcase", name=_xml_safe(name), classname=classname)
    ET.SubElement(case, tag, message=_xml_safe(message))
    return case


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
            _("expected: {text}").format(text=finding.expected) if finding.expected else "",
            _("observed: {text}").format(text=finding.observed) if finding.observed else "",
            _("to do: {text}").format(text=finding.advice) if finding.advice and not finding.tasks else "",
            *(_("task for others: {text}").format(text=task) for task in finding.tasks),
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
