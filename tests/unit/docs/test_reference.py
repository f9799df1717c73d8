"""The generated pages and the manual page have everything that the program has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mailprov import __version__, probe
from mailprov.cli.help_page import COMMANDS
from mailprov.components import registry
from mailprov.dns import providers as dns_providers
from mailprov.inventory import json_schema
from mailprov.records.types import TYPES
from scripts.reference import commands, components, inventory, man, probes, providers, records
from tests.unit.dns.drivers import BACKENDS


def test_every_command_stands_on_its_page_with_every_option() -> None:
    page = commands.page()
    found = commands.all_commands()

    assert {name.name.partition(" ")[0] for name in found} == set(COMMANDS)
    assert "dns plan" in {each.name for each in found}
    for command in found:
        level = "##" if " " not in command.name else "###"
        section = page.partition(f"{level} mailprov {command.name}\n")[2].partition("\n## ")[0]
        assert section, command.name
        for names, _ in command.options:
            if "--help" not in names:
                assert commands.code(names) in section, (command.name, names)


def test_every_key_of_the_inventory_stands_on_its_page() -> None:
    page = inventory.page()
    schema = json_schema()
    for node in (schema, *schema["$defs"].values()):
        for key in node.get("properties", {}):
            assert re.search(rf"^\| \[?`{key}`", page, re.MULTILINE), key
    links = re.findall(r"\]\(#([^)]+)\)", page)
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(links) <= anchors


def test_every_probe_stands_on_its_page_with_its_verdicts() -> None:
    page = probes.page()
    for entry in probe.catalogue():
        section = page.partition(f"### {entry.id}\n")[2].partition("\n### ")[0]
        assert section, entry.id
        for verdict, _ in entry.verdicts:
            assert f"| {verdict} |" in section, entry.id


def test_every_component_stands_on_its_page_with_its_packages() -> None:
    page = components.page()
    for each in registry.components():
        (row,) = re.findall(rf"^\| `{each.name}`.*$", page, re.MULTILINE)
        assert components.text(each.about) in row
        assert all(f"`{setting.key}`" in row for setting in each.settings)
    assert "`certbot`" in page
    assert "`postfix`" in page


def test_every_type_of_record_stands_on_its_page() -> None:
    for each in TYPES:
        assert f"| {each.name} | {each.need.value} |" in records.page()


def test_every_dns_provider_stands_on_its_page_and_its_driver_is_tried() -> None:
    """What the table says of a driver is shown by tests/unit/dns/test_abilities.py, which runs on each of BACKENDS."""
    page = providers.page()
    writing = [each for each in dns_providers.every() if each.abilities]
    for each in writing:
        assert len(re.findall(rf"^\| `{each.name}` \|", page, re.MULTILINE)) == (2 if each.scope else 1)
    assert {each.name for each in writing} == {name.partition("-")[0] for name in BACKENDS} - {"memory"}


def test_no_table_of_the_reference_is_broken() -> None:
    for page in (m.page() for m in (commands, components, inventory, probes, providers, records)):
        width = 0
        for line in page.splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            assert not width or not cells or cells == width, line
            width = cells


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    path = tmp_path / "mailprov.1"
    path.write_text(man.page(__version__))
    return path


def test_the_manual_page_has_every_command_and_option(manual: Path) -> None:
    text = manual.read_text().replace("\\-", "-")
    for command in commands.all_commands():
        assert f".SS mailprov {command.name}\n" in text
        for names, _ in command.options:
            assert "--help" in names or f".B {names}\n" in text, (command.name, names)


def test_no_word_of_the_manual_page_is_a_request_of_roff(manual: Path) -> None:
    known = {".TH", ".nh", ".SH", ".SS", ".B", ".I", ".BR", ".PP", ".TP", ".nf", ".fi", '.\\"'}
    for line in manual.read_text().splitlines():
        assert not line.startswith("'"), line
        assert not line.startswith(".") or line.split()[0] in known, line


@pytest.mark.parametrize(
    ("text", "roff"),
    [
        (".local is no name", "\\&.local is no name"),
        ("'quoted'", "\\&'quoted'"),
        ("a\\b --yes", "a\\eb \\-\\-yes"),
        ("…", "\\[u2026]"),
    ],
)
def test_what_is_markup_to_roff_is_shown_as_it_is(text: str, roff: str) -> None:
    assert man.escaped(text) == roff


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc here (apt-get install mandoc)")
def test_mandoc_finds_nothing_wrong_with_the_manual_page(manual: Path) -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", manual], capture_output=True, text=True, check=False
    )
    told = [
        line for line in done.stdout.splitlines() if "missing date" not in line
    ]  # each build would be another file
    assert told == []
    assert "mandoc" in done.stdout


@pytest.mark.skipif(shutil.which("man") is None, reason="no man here (apt-get install man-db)")
def test_man_shows_it_without_a_warning(manual: Path) -> None:
    done = subprocess.run(
        ["man", "--warnings", "-l", str(manual)],
        capture_output=True,
        text=True,
        check=False,
        env={"MANWIDTH": "80", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MANPAGER": "cat"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "mailprov dkim rotate" in done.stdout
