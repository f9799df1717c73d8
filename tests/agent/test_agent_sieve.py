"""Whose filters need what a new configuration refuses: named before it is written, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import files
from mailprov.agent.resources import sieve
from mailprov.model.host_state import AccountEntry, Filters
from tests.agent.driver import account_file, converse, file, of_kind, state

CONF = "/etc/dovecot/dovecot.conf"
SPEC: dict[str, Any] = {
    "configuration": CONF,
    "root": "/var/vmail",
    "scripts": "sieve",
    "active": ".dovecot.sieve",
    "refused": ("enotify",),
}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", set()),
        ('require "enotify";', {"enotify"}),
        (
            '# a\n/* require "x"; */ REQUIRE ["a",\n"enotify" /* "b" */ ,\t"c"] ;require "d";keep;',
            {"a", "enotify", "c", "d"},
        ),
        ('keep; require "enotify";', set()),
        ('if header "subject" "require \\"enotify\\";" { keep; }', set()),
        ('require "enotify"', set()),
        ('required "enotify";', set()),
        # Nobody's script keeps an apply waiting.
        ("require " + "/*x*/" * 50_000 + "!", set()),
        ("require " + "[" * 500_000, set()),
        ("/*" * 500_000, set()),
    ],
)
def test_what_a_script_requires(text: str, names: set[str]) -> None:
    assert sieve.required(text) == names


def script(root: Path, account: str, name: str, text: str, active: bool = True) -> None:
    local, _, domain = account.partition("@")
    home = root / "var/vmail" / domain / local
    (home / "sieve").mkdir(parents=True, exist_ok=True)
    (home / "sieve" / name).write_text(text)
    if active:
        (home / ".dovecot.sieve").symlink_to(f"sieve/{name}")


def test_active_scripts_and_what_they_include_are_looked_at_and_nothing_else(tmp_path: Path) -> None:
    script(tmp_path, "ana@a.test", "mine.sieve", 'require ["vacation", "enotify"];')
    script(tmp_path, "bob@a.test", "mine.sieve", 'require "enotify";', active=False)
    script(tmp_path, "cyd@a.test", "mine.sieve", 'require "include"; include :personal "more";')
    script(tmp_path, "cyd@a.test", "more.sieve", 'require "enotify";', active=False)
    script(tmp_path, "dan@a.test", "more.sieve", 'require "vacation";')
    for name, target in (("eva", "../ana/sieve/mine.sieve"), ("fay", "/dev/zero"), ("gus", ".")):
        (tmp_path / "var/vmail/a.test" / name).mkdir()
        (tmp_path / "var/vmail/a.test" / name / ".dovecot.sieve").symlink_to(target)
    script(tmp_path, "hal@a.test", "mine.sieve", 'require "enotify";', active=False)
    (tmp_path / "var/vmail/a.test/hal/.dovecot.sieve").symlink_to("sieve")  # a directory
    everybody = [
        f"{name}@a.test" for name in ("ana", "bob", "cyd", "dan", "eva", "fay", "gus", "hal", "nobody")
    ]
    found = sieve.requiring(files.Tree(str(tmp_path)), SPEC, reversed(everybody))
    assert found == ["ana@a.test", "cyd@a.test"]
    assert sieve.notices(SPEC, []) == []
    (said,) = sieve.notices(SPEC, found)
    assert said.startswith("2 active filters (Sieve) cannot run")
    many = sieve.notices(SPEC, [f"user{number}@a.test" for number in range(10_000)])
    assert len(many) == 100
    assert max(map(len, many)) < 8192


def wanted(text: str) -> dict[str, Any]:
    account = AccountEntry("o\\'neil@a.test", hash="{CRYPT}x")
    return state(
        files=(file(CONF, text),),
        account_files=(account_file("/etc/dovecot/users", account),),
        filters=(Filters(**SPEC),),
    )


def test_a_plan_names_them_where_the_configuration_changes(tmp_path: Path) -> None:
    script(tmp_path, "o'neil@a.test", "mine.sieve", 'require "enotify";')
    converse(tmp_path, wanted("old\n"))
    assert of_kind(converse(tmp_path, wanted("old\n"), mode="plan"), "notice") == []
    (notice,) = of_kind(converse(tmp_path, wanted("new\n"), mode="plan"), "notice")
    assert notice["text"].startswith("1 active filter (Sieve) cannot run")
    assert notice["text"].endswith(" Accounts: o'neil@a.test")
