"""Which checks a reload needs: those of the tables alone when nothing but tables differs, else all of them."""

from __future__ import annotations

from typing import Any

import pytest

from mailprov.agent.changes import Observed
from mailprov.agent.resources.services import needed
from mailprov.agent.systemd import State

FULL = [["postfix", "check"], ["postconf", "-n"]]
SPEC: dict[str, Any] = {
    "unit": "postfix.service",
    "files": ["/etc/postfix/main.cf", "/etc/postfix/virtual", "/etc/postfix/logins"],
    "restart_on": ["/etc/postfix/main.cf"],
    "checks": FULL,
    "tables": [["/etc/postfix/virtual", ["check", "virtual"]], ["/etc/postfix/logins", ["check", "logins"]]],
    "ports": [25],
}


def checks(
    differ: list[str], installing: tuple[str, ...] = (), runs: bool = True, tables: bool = True
) -> list[list[str]]:
    spec = SPEC if tables else {key: value for key, value in SPEC.items() if key != "tables"}
    state = State("loaded", "active" if runs else "inactive", "enabled")
    observed = Observed({}, {"postfix.service": state}, {25})
    found: list[list[str]] = needed(spec, observed, differ=differ, installing=installing).spec["checks"]
    return found


@pytest.mark.parametrize(
    ("differ", "wanted"),
    [
        (["/etc/postfix/virtual"], [["check", "virtual"]]),
        (["/etc/postfix/logins", "/etc/postfix/virtual"], [["check", "logins"], ["check", "virtual"]]),
        (["/etc/postfix/virtual", "/etc/postfix/main.cf"], FULL),
        (["/etc/postfix/virtual", "/etc/postfix/gone"], FULL),
        ([], FULL),
    ],
)
def test_a_reload_for_tables_alone_checks_these(differ: list[str], wanted: list[list[str]]) -> None:
    assert checks(differ) == wanted


def test_a_start_or_a_restart_checks_everything() -> None:
    assert checks(["/etc/postfix/virtual"], runs=False) == FULL
    assert checks(["/etc/postfix/virtual"], installing=("postfix-pcre",)) == FULL


def test_a_service_without_tables_checks_everything() -> None:
    assert checks(["/etc/postfix/virtual"], tables=False) == FULL
