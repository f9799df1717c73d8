"""Units that packages bring and nobody needs: which are stopped once an upgrade of the system has brought them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import commands, files, manifest
from mailprov.agent.apt import installation
from mailprov.agent.changes import Observed
from mailprov.agent.resources import unwanted_services
from mailprov.agent.resources.unwanted_services import UnwantedService
from mailprov.agent.systemd import State
from tests.agent.looking import look_at

RUNS, RESTS = State("loaded", "active", "enabled"), State("loaded", "inactive", "disabled")
BOOTS, ABSENT = State("loaded", "inactive", "enabled"), State("not-found", "inactive", "")
OLD, NEW, TIMER = "php8.2-fpm.service", "php8.4-fpm.service", "roundcube-gc.timer"


def stopped(tmp_path: Path, known: dict[str, str], packages: Sequence[str] = (), **seen: State) -> list[str]:
    """`seen`: old, new and timer, where something else than rest. The state wants neither NEW nor TIMER."""
    tree = files.Tree(str(tmp_path))
    units = {
        OLD: seen.get("old", RESTS),
        NEW: seen.get("new", RESTS),
        TIMER: seen.get("timer", RESTS),
    }
    look = look_at(
        tree,
        Observed({}, units, set()),
        manifest.Manifest(tree, {"unwanted": known}),
        unwanted=[NEW, TIMER],
        packages=packages,
    )
    found = list(UnwantedService.compare(look))
    assert all(one.changes[0]["action"] == "delete" for one in found)
    assert all(one.snapshot(look.observed)["runs"] is units[one.spec["unit"]].runs for one in found)
    return [str(one.spec["unit"]) for one in found]


def test_what_an_upgrade_brings_is_stopped(tmp_path: Path) -> None:
    assert stopped(tmp_path, {OLD: "rests"}, new=RUNS) == [NEW]
    assert stopped(tmp_path, {OLD: "rests"}, new=BOOTS) == [NEW]
    assert stopped(tmp_path, {OLD: "rests"}, new=RUNS, old=ABSENT) == [NEW]
    assert stopped(tmp_path, {TIMER: "absent"}, timer=RUNS) == [TIMER]
    assert stopped(tmp_path, {OLD: "rests", TIMER: "rests"}) == []


def test_what_is_somebodys_own_goes_on(tmp_path: Path) -> None:
    assert stopped(tmp_path, {}, new=RUNS, timer=RUNS) == [], "they ran before mailprov came"
    assert stopped(tmp_path, {NEW: "rests", TIMER: "rests"}, new=RUNS, timer=RUNS) == [], "started since"
    assert stopped(tmp_path, {OLD: "rests"}, new=RUNS, old=RUNS) == [], "so was its predecessor"


def test_what_somebody_has_asked_apt_for_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"dpkg-query": "roundcube-core: /usr/lib/systemd/system/roundcube-gc.timer\n", "apt-mark": ""}
    monkeypatch.setattr(commands, "run", lambda argv: commands.Outcome(0, said[argv[0]], ""))
    assert stopped(tmp_path, {TIMER: "absent"}, timer=RUNS) == [TIMER]
    said["apt-mark"] = "roundcube-core\n"
    assert stopped(tmp_path, {TIMER: "absent"}, timer=RUNS) == []
    assert stopped(tmp_path, {TIMER: "absent"}, packages=["roundcube-core"], timer=RUNS) == [TIMER]


def test_what_an_apply_that_was_killed_holds_back_is_disabled(tmp_path: Path) -> None:
    tree = files.Tree(str(tmp_path))
    installation.hold_units(tree, [NEW])
    assert stopped(tmp_path, {}, new=BOOTS) == [NEW]
    assert stopped(tmp_path, {}, new=ABSENT) == []


def test_the_manifest_has_what_rests_and_nothing_where_nothing_is_unwanted(tmp_path: Path) -> None:
    tree = files.Tree(str(tmp_path))
    files.make_state(tree)
    known = manifest.load(tree)
    known.loaded("nginx.service", {}, ran=False)
    state: dict[str, Any] = {"unwanted": [OLD, NEW, TIMER]}
    known.unwanted = unwanted_services.as_they_are(state, {OLD: RESTS, NEW: RUNS, TIMER: ABSENT})
    known.save()
    again = manifest.load(tree)
    assert again.unwanted == {OLD: "rests", TIMER: "absent"}
    assert unwanted_services.units({"unwanted": [NEW]}, again) == [NEW, OLD, TIMER]
    assert unwanted_services.units({"unwanted": []}, again) == []
    again.unwanted = unwanted_services.as_they_are({"unwanted": []}, {})
    again.save()
    assert "unwanted" not in json.loads(Path(tree.at(manifest.PATH)).read_text())
