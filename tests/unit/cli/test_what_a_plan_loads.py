"""What a no-change plan of one host loads, and nothing else: half of its CPU is the loading of modules.

Seconds are `make bench`'s (phase `cpu`); here is what they come from. Components and DNS providers are not counted:
each new one is loaded with the inventory, because its keys are part of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.test_help_page import INVENTORY

# Libraries that are loaded on purpose, and what they bring.
LIBRARIES = {
    "annotated_types", "bcrypt", "cryptography", "jinja2", "markupsafe", "nacl", "paramiko", "pydantic",
    "pydantic_core", "ruamel", "typing_extensions", "typing_inspection",
    "invoke",  # the one that stands for it: mailprov/transport/__init__.py
}  # fmt: skip
# Of the standard library: those that take milliseconds, and are loaded by nobody whom a plan needs.
HEAVY = {
    "asyncio", "concurrent.futures", "configparser", "csv", "email.message", "html", "http", "multiprocessing",
    "sqlite3", "ssl", "unittest", "urllib.request", "xml", "zipfile",
}  # fmt: skip
# Modules of ours that belong to other commands, or to what a run without changes does not come to.
OTHERS = {
    "cli.app", "cli.options", "cli.saved", "cli.hints", "dns.planner", "dns.publishing", "dns.undo",
    "dns.zoneplan", "lab", "model.answers", "model.findings", "plan.saved", "probe", "records", "report.findings",
    "report.jsonlines", "report.junit", "report.terminal", "run.as_saved", "run.dkim_keys", "run.inquiry",
    "run.move", "run.moves",
    "run.purge", "run.rollback", "run.rotate", "run.verify", "run.zone_backup",
}  # fmt: skip
# What grows with the program: 108 when this was written. A module costs a quarter of a millisecond, so whoever raises
# this has looked at importing later.
MOST_MODULES = 126

_PROGRAM = """\
import dataclasses, json, sys
bare = set(sys.modules)
made = []
process = dataclasses._process_class
def counted(cls, init, *args):
    if init:
        made.append(f"{cls.__module__}.{cls.__qualname__}")
    return process(cls, init, *args)
dataclasses._process_class = counted
sys.argv = ["mailprov", *sys.argv[1:]]
from mailprov.__main__ import main
try:
    main()
except SystemExit:
    pass
sys.stderr.write("\\n" + json.dumps([sorted(set(sys.modules) - bare), made]))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], list[str]]:
    """All modules, and the dataclasses of the standard library's kind. The host refuses the connection: what follows
    loads the files of the host's services, a module for each.
    """
    path = tmp_path_factory.mktemp("plan") / "mail.yml"
    path.write_text(INVENTORY)
    words = ["plan", "--only", "hosts", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, check=True
    )
    modules, made = json.loads(done.stderr.splitlines()[-1])
    return set(modules), made


def counted(names: list[str]) -> list[str]:
    grows = ("mailprov.components", "mailprov.dns.providers")
    return [name for name in names if name.startswith("mailprov") and not name.startswith(grows)]


def test_a_plan_gets_as_far_as_the_connection(loaded: tuple[set[str], list[str]]) -> None:
    assert {"paramiko.transport", "mailprov.transport.ssh.client", "mailprov.run.hosts"} <= loaded[0]


def test_ssh_is_loaded_before_what_can_wait_for_the_login(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(INVENTORY)
    code = (
        "import sys; sys.argv = ['mailprov', *sys.argv[1:]]\n"
        "from mailprov.transport import connections\n"
        "from mailprov.__main__ import main\n"
        "connections._SOON = 60\n"  # however busy the machine is
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.stderr.write('\\n' + ' '.join(sys.modules))"
    )
    words = [sys.executable, "-c", code, "plan", "--only", "hosts", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    order = done.stderr.splitlines()[-1].split(" ")

    last = max(place for place, name in enumerate(order) if name.startswith("paramiko"))
    assert last < order.index("pydantic") < order.index("mailprov.run.deploy") < order.index("jinja2")


def test_a_plan_loads_no_other_library(loaded: tuple[set[str], list[str]]) -> None:
    tops = {name.partition(".")[0] for name in loaded[0]}
    theirs = {name for name in tops if not name.startswith("_")} - sys.stdlib_module_names - {"mailprov"}

    assert theirs - LIBRARIES <= {"cython_runtime"}
    assert loaded[0] & HEAVY == set()


def test_a_plan_loads_nothing_of_other_commands(loaded: tuple[set[str], list[str]]) -> None:
    assert {name for name in OTHERS if f"mailprov.{name}" in loaded[0]} == set()


def test_a_plan_loads_few_modules(loaded: tuple[set[str], list[str]]) -> None:
    modules = counted(sorted(loaded[0]))

    assert len(modules) <= MOST_MODULES, modules


def test_no_dataclass_of_ours_is_compiled(loaded: tuple[set[str], list[str]]) -> None:
    """Until Python 3.13 that takes a millisecond for each: mailprov/model/values.py makes them without."""
    assert [name for name in loaded[1] if name.startswith("mailprov")] == []
    assert loaded[1], "those of libraries are seen"
