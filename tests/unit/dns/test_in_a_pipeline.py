"""The commands on zones as a step of a pipeline has them: exit codes, JSON and JUnit, before a real name server."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.unit.cli.program import mailprov
from tests.unit.dns.servers import SECRET, NameServer

INVENTORY = """\
dns: {{provider: rfc2136, server: 127.0.0.1, port: {port}, tsig: {{name: mailprov, secret: {{env: MAILPROV_TSIG}}}}}}
managed: false
hosts:
  mx1: {{address: 127.0.0.1, fqdn: mx1.pipeline.test, ssh: {{port: 1, config: none}}}}
domains:
  pipeline.test: {{hosts: [mx1], accounts: {{ana: {{password: {{env: ANA_PASSWORD}}}}}}}}
"""


@pytest.mark.parametrize("name_server", ["bind"], indirect=True)  # the exit codes know no kinds of servers
def test_zones_are_planned_published_and_checked_by_exit_codes(
    name_server: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "mail.yml").write_text(INVENTORY.format(port=name_server.port))
    report = tmp_path / "report.xml"

    # A step without the secrets: all but them is looked at, and only if that was asked for.
    monkeypatch.delenv("ANA_PASSWORD", raising=False)
    monkeypatch.delenv("MAILPROV_TSIG", raising=False)
    assert mailprov("validate", cwd=tmp_path).returncode == 2
    seen = mailprov("validate", "--no-secrets", "--junit", str(report), cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    assert "secrets not checked" in seen.stdout
    assert ET.parse(report).getroot().get("failures", "0") == "0"

    monkeypatch.setenv("ANA_PASSWORD", "secret word")
    monkeypatch.setenv("MAILPROV_TSIG", SECRET)
    assert mailprov("dns", "plan", cwd=tmp_path).returncode == 0
    pending = mailprov("dns", "plan", "--exit-code", "--json", cwd=tmp_path)
    assert pending.returncode == 4, pending.stderr
    assert json.loads(pending.stdout.splitlines()[-1])["exit_code"] == 4

    checked = mailprov("dns", "check", "--junit", str(report), cwd=tmp_path)
    assert checked.returncode == 1
    assert {
        case.get("name")
        for case in ET.parse(report).getroot().iter("testcase")
        if case.find("failure") is not None
    }

    assert mailprov("dns", "apply", "--yes", cwd=tmp_path).returncode == 0
    assert name_server.values("pipeline.test", "MX") == {"10 mx1.pipeline.test."}
    assert mailprov("dns", "plan", "--exit-code", cwd=tmp_path).returncode == 0
    checked = mailprov("dns", "check", "--junit", str(report), cwd=tmp_path)
    assert [
        case.get("name")
        for case in ET.parse(report).getroot().iter("testcase")
        if case.find("failure") is not None
    ] == []
    assert checked.returncode == 0, checked.stdout
