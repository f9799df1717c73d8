"""No report holds a password of the run, not even where a server says it back: in clear, in base64, escaped or not."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import pytest

from mailprov.components.templates import folders
from mailprov.model.answers import Found
from mailprov.model.events import RunEnded, RunStarted
from mailprov.report.fanout import fan_out
from mailprov.report.jsonlines import JsonLines
from mailprov.report.plain_text import Plain
from mailprov.report.report_files import KINDS, ReportFiles
from mailprov.report.terminal import rich_console
from mailprov.report.text import TextReport
from mailprov.report.whole_run import Making
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.session import Session
from mailprov.selftest.state import PASSWORDS
from tests.unit.report.test_hostile_text import bad


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_server_that_says_passwords_back_puts_them_into_no_report(
    lab: ScriptedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def says_back(self: Session, user: str, password: str) -> str:
        forms = (password, encoded(password), encoded(f"\0{user}\0{password}"))
        said.append(password)
        answers[self] = f" not {user} with {' or '.join(forms)}, says \x1b]0;me\x07"
        return "no"

    def send(self: Session, *lines: str) -> None:
        real(self, *lines[:-1], lines[-1] + answers.pop(self, ""))

    answers: dict[Session, str] = {}
    real = Session.send
    monkeypatch.setattr(Session, "check", says_back)
    monkeypatch.setattr(Session, "send", send)
    findings = lab.verify("auth.ok tls.name", wait=120)
    assert {password for user, password in PASSWORDS.items() if user[0] in "aze"} <= set(said)
    assert any("not ana@alpha.test with" in "".join((each.observed, *each.evidence)) for each in findings)

    out, lines = io.StringIO(), io.StringIO()
    text = TextReport(Plain(out, lambda: rich_console(out)), verbose=True)
    files = {kind: tmp_path / f"report.{kind}" for kind in KINDS}
    words = [f"{kind}={path}" for kind, path in files.items()]
    emit = fan_out([text, JsonLines(lines), ReportFiles(words, making=Making(folders=folders))])
    emit(RunStarted("verify", "mail.yml", "0", "2026-11-30T05:00:00+00:00"))
    for finding in findings:
        emit(Found(finding))
    emit(RunEnded(1, "done"))

    artefacts = {kind: path.read_text(encoding="utf-8") for kind, path in files.items()}
    artefacts |= {"text": out.getvalue(), "events": lines.getvalue()}
    assert set(artefacts) == {*KINDS, "text", "events"}
    for kind, artefact in artefacts.items():
        plain = " ".join(decoded(kind, artefact))
        for user, password in PASSWORDS.items():
            for form in (password, encoded(password), encoded(f"\0{user}\0{password}")):
                assert form not in plain, (kind, user)
        assert not re.search(r"right-(ana|zoe)|right\\*eva", artefact), kind
        assert not bad(artefact), kind


def decoded(kind: str, artefact: str) -> list[str]:
    """The text as it is, and as a reader of JSON has it."""
    if kind in ("json", "sarif"):
        return [artefact, *strings(json.loads(artefact))]
    if kind == "events":
        return [artefact, *(text for line in artefact.splitlines() for text in strings(json.loads(line)))]
    import html

    return [artefact, html.unescape(artefact)]


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in strings(part)]
