"""A probe is added by one file in mailprov/probe/checks: nothing else names it, and it runs and is explained."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprov.cli import complete
from mailprov.model.findings import Finding, Verdict
from mailprov.model.ports import Protocol
from mailprov.probe import catalogue, checks, registry
from mailprov.probe.clients.session import CLIENTS
from mailprov.probe.context import HostContext
from mailprov.selftest.scripted_lab import ScriptedLab

# A small real one: a server that names no limit takes a whole message before it says that it was too large.
PROBE = '''"""The probe of SIZE: whether senders know beforehand what is too large. Public: the probe `smtp.size`."""

from collections.abc import Iterator

from mailprov.model.findings import Finding
from mailprov.probe.context import PortContext
from mailprov.probe.registry import SMTP_PORTS, Scope, probe


@probe(
    "smtp.size",
    Scope.PORT,
    "The server says how large a message may be",
    expected="SIZE with a number above 0",
    steps=("EHLO.",),
    verdicts={"pass": "a number above 0", "warn": "no SIZE, or none with a number", "error": "no EHLO to judge"},
    refs=("RFC 1870 section 4",),
    ports=SMTP_PORTS,
    after="smtp.ehlo",
)
def size(context: PortContext) -> Iterator[Finding]:
    client = context.smtp()
    with client.connection:
        told = client.offers().get("SIZE", "")
    if told.isdecimal() and int(told):
        yield context.passed(f"{told} octets")
    else:
        yield context.warn(f"SIZE {told}".rstrip(), "postconf -e 'message_size_limit = 50000000'")
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "size.py").write_text(PROBE)
    monkeypatch.setattr(registry, "PROBES", [*registry.PROBES])
    monkeypatch.setattr(checks, "__path__", [*checks.__path__, str(tmp_path)])
    checks.load()
    yield
    del sys.modules["mailprov.probe.checks.size"]


@pytest.mark.usefixtures("added")
def test_a_file_in_checks_is_a_probe(lab: ScriptedLab) -> None:
    findings = lab.verify("smtp.size")

    assert {finding.target.port for finding in findings} == {25, 465, 587}
    assert {finding.verdict for finding in findings} == {Verdict.PASS}, findings
    ids = [entry.id for entry in catalogue()]
    assert ids.index("smtp.ehlo") < ids.index("smtp.size") < ids.index("imap.capability")
    assert "smtp.size" in [name for name, _ in complete.probes(None, "smtp.")]


@pytest.mark.usefixtures("added")
def test_what_costs_others_something_runs_only_where_somebody_agrees(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def tries(context: HostContext) -> Iterator[Finding]:
        ran.append(context.host.name)
        yield context.passed("tried")

    registry.probe(
        "smtp.tries", registry.Scope.HOST, "", expected="", steps=(), verdicts={}, refs=(), intrusive=True
    )(tries)

    (told, *_) = [each for each in lab.verify("smtp", 25) if each.id == "smtp.tries"]
    assert told.verdict is Verdict.SKIP
    assert lab.verify(skip="[!s]* s[!m]* smu* smtp.[!t]*") == [], "nobody asked for it"
    (told,) = lab.verify("smtp.tries")
    assert (told.verdict, ran) == (Verdict.SKIP, [])
    assert "only with --intrusive" in told.observed
    assert {each.verdict for each in lab.verify("smtp.tries", intrusive=True)} == {Verdict.PASS}
    assert sorted(ran) == ["mx1", "mx2"]


@pytest.mark.usefixtures("added")
def test_a_probe_in_a_new_family_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.probe(
        "calendar.new", registry.Scope.HOST, "", expected="", steps=(), verdicts={}, refs=(), after=""
    )(lambda context: ())

    assert catalogue()[-1].id == "calendar.new"


def test_probes_build_on_probes_that_there_are() -> None:
    known = {entry.id: probe for entry, probe in zip(catalogue(), checks.probes(), strict=True)}
    for probe in known.values():
        if probe.after:
            assert probe.after in known
            assert probe.after.partition(".")[0] == probe.entry.id.partition(".")[0]
    assert [probe.entry.id for probe in known.values() if probe.reachability] == ["net.tcp"]


def test_every_protocol_has_a_client_and_no_probe_asks_which() -> None:
    """What differs between protocols is in their clients; a probe of one of them may assert that it has that."""
    assert set(CLIENTS) == set(Protocol)
    names = {client.__name__ for client in CLIENTS.values()}
    asked = []
    for path in Path(checks.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text())
        asserted = {id(node.test) for node in ast.walk(tree) if isinstance(node, ast.Assert)}
        asked += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and id(node) not in asserted
            and getattr(node.func, "id", "") == "isinstance"
            and names & {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)}
        ]
    assert asked == []
