"""tests/cases/*.json: a host and a desired state, and the changes that the agent must plan.

A case is {"why", "host", "last", "observed", "desired", "changes" | "stop", "compared"}:
  host      path → content | {"content", "mode"} | {"link"} | {"directory": mode}; what is on the host
  last      path → content | null; what the last apply wrote there (the manifest), null: as it is on the host
  loaded    unit → [path]; the files each unit has loaded as they are on the host
  observed  {"packages", "units": {unit: [load, active, enabled]}, "ports"}; what the host's tools said
  desired   the parts of a HostState that are not empty; owners are filled in
  changes   [kind, action, name, detail] each, in order; with a fifth element, lines that the diff must have
  hidden    texts that must appear nowhere in the plan
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import changes, files, manifest, redaction, systemd
from mailprov.agent.errors import AgentError
from mailprov.agent.plan import diff
from mailprov.agent.resources import passwd_file
from tests.agent.driver import me, state

CASES = sorted((Path(__file__).resolve().parents[1] / "cases").glob("*.json"))
DEFAULTS = {
    "directories": {"mode": "0755"},
    "files": {"mode": "0644", "secret": False, "local": "", "merges": False, "guarded": []},
    "account_files": {"mode": "0640"},
    "services": {
        "files": [],
        "restart_on": [],
        "reload": [],
        "checks": [],
        "quiet_checks": False,
        "ports": [],
    },
    "users": {"shell": "/usr/sbin/nologin", "comment": ""},
    "certificates": {"days": 3650},
}


def desired(parts: dict[str, Any]) -> dict[str, Any]:
    owner, group = me()
    wanted = state()
    for name, value in parts.items():
        if name in DEFAULTS:
            owned = {} if name in ("services", "users", "certificates") else {"owner": owner, "group": group}
            value = [{**owned, **DEFAULTS[name], **item} for item in value]
        wanted[name] = value
    for account_file in wanted["account_files"]:
        names = ("user", "password", "hash", "fields")
        account_file["entries"] = [
            [entry.get(name, "") for name in names] for entry in account_file["entries"]
        ]
    return wanted


def lay_out(root: Path, host: dict[str, Any]) -> None:
    for name, what in host.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        item = {"content": what} if isinstance(what, str) else what
        if "link" in item:
            path.symlink_to(item["link"])
            continue
        if "directory" in item:
            path.mkdir()
        else:
            path.write_text(item["content"])
        path.chmod(int(item.get("directory") or item.get("mode", "0644"), 8))


def planned(root: Path, case: dict[str, Any]) -> diff.Plan:
    tree = files.Tree(str(root))
    lay_out(root, case.get("host", {}))
    on_host = {
        path: (root / path.lstrip("/")).read_bytes()
        for path, what in case.get("host", {}).items()
        if isinstance(what, str) or "content" in what
    }
    last = {
        path: on_host[path] if content is None else content.encode()
        for path, content in case.get("last", {}).items()
    }
    body = {
        "files": {path: {"sha256": files.sha256(content), "kind": "file"} for path, content in last.items()},
        "services": {
            unit: {path: files.sha256(on_host[path]) for path in paths}
            for unit, paths in case.get("loaded", {}).items()
        },
    }
    seen = case.get("observed", {})
    observed = changes.Observed(
        seen.get("packages", {}),
        {unit: systemd.State(*words) for unit, words in seen.get("units", {}).items()},
        set(seen.get("ports", [])),
    )
    wanted = desired(case["desired"])
    return diff.compare(
        tree,
        wanted,
        observed,
        manifest=manifest.Manifest(tree, body),
        passwords=passwd_file.Passwords(tree),
        redact=redaction.Redactor(redaction.secrets_of(wanted)),
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text())
    if "stop" in case:
        with pytest.raises(AgentError) as stop:
            planned(tmp_path, case)
        assert (stop.value.what, bool(stop.value.advice)) == (case["stop"], True)
        return
    before = sorted(tmp_path.rglob("*"))
    plan = planned(tmp_path, case)

    found = [[one["kind"], one["action"], one["name"], one["detail"]] for one in plan.changes]
    text = json.dumps(found).replace("/".join(me()), "").replace(":".join(me()), "ME:ME")
    assert json.loads(text) == [change[:4] for change in case["changes"]], case["why"]
    for change, wanted in zip(plan.changes, case["changes"], strict=True):
        lines = change["diff"].splitlines()
        assert [line for line in wanted[4:5] for line in line if line not in lines] == [], change["diff"]
    assert plan.changes == [] or plan.changes[-1].get("because", []) == case.get("because", []), case["why"]
    if "compared" in case:
        assert plan.compared == case["compared"]
    for secret in case.get("hidden", []):
        assert secret not in json.dumps(plan.changes, ensure_ascii=False)
    assert before == [] or os.path.exists(before[0])


def test_there_are_cases() -> None:
    assert len(CASES) >= 20
    assert all(json.loads(path.read_text())["why"] for path in CASES)
