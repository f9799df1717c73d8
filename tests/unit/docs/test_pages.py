"""What pages show can be typed and written: the real reader reads inventories, the real command line commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from ruamel.yaml import YAML

from mailprov import probe
from mailprov.cli.app import build_app
from mailprov.cli.help_page import COMMANDS
from mailprov.i18n import N_
from mailprov.inventory import SecretMode, json_schema, load
from mailprov.model.findings import Finding
from mailprov.probe import context, registry
from scripts.reference import inventory
from tests.unit.docs.pages import PAGES, ROOT, Block, blocks, commands

# What a block of a few keys is completed with. Its own keys win.
BASE = {
    "hosts": {
        "mx1": {"address": "192.0.2.11", "fqdn": "mx1.example.org"},
    },
    "domains": {"example.org": {"accounts": {"ana": {"password": {"env": "ANA_PASSWORD"}}}}},
}
# Programs that pages name beside mailprov.
OTHERS = {
    "make", "git", "cd", "pipx", "python3", "export", "sudo", "jq", "diff", "rspamc", "apt-get", "man", "ssh", "alpine",
    "doveadm", "systemctl", "journalctl", "~/mailprov/bin/pip", ".venv/bin/python", "scripts/lock",
}  # fmt: skip


def names(block: Block) -> str:
    return str(block)


@pytest.mark.parametrize("block", blocks("yaml"), ids=names)
def test_an_inventory_that_a_page_shows_is_one(block: Block, tmp_path: Path) -> None:
    shown = YAML(typ="safe").load(block.text)
    path = tmp_path / "mail.yml"
    domains = shown.get("domains", {}).values()
    if domains and ("hosts" in shown or all("hosted" in domain for domain in domains)):
        path.write_text(block.text)  # whole: as it stands, so that its lines are those of the page
    else:
        with path.open("w") as file:
            YAML(typ="safe").dump(completed(shown), file)
    load(path, SecretMode.IGNORE)


def completed(shown: dict[str, Any]) -> dict[str, Any]:
    made = merged(BASE, shown)
    hosts = list(made["hosts"])
    for domain in made["domains"].values():
        domain.setdefault("hosts", hosts)
        for name in domain["hosts"]:
            made["hosts"].setdefault(name, {"address": "192.0.2.12", "fqdn": f"{name}.example.org"})
    if made.get("tls", {}).get("challenge") == "dns-01" and "dns" not in made:
        made["dns"] = {
            "provider": "rfc2136",
            "server": "192.0.2.53",
            "tsig": {"name": "k", "secret": {"env": "K"}},
        }
    return made


def merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {**under, **over}
    for key in under.keys() & over.keys():
        if isinstance(under[key], dict) and isinstance(over[key], dict):
            both[key] = merged(under[key], over[key])
    return both


@pytest.mark.parametrize("block", blocks("console"), ids=names)
def test_a_command_that_a_page_shows_is_one(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mail.yml", "other.yml", "plan.json"):
        Path(name).write_text("{}")
    typed = commands(block)
    assert typed, "a console block without a command: begin it with `$ `"
    for line in typed:
        for words in simple(line):
            assert words[0] in OTHERS or words[0] == "mailprov", line
            if words[0] == "make":
                assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
            if words[0] == "mailprov":
                parse(words[1:])


def in_sentences() -> list[tuple[str, str]]:
    """(page, command) of each command within a sentence; `mailprov COMMAND --help` stands for any."""
    found = []
    for path in PAGES:
        prose = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        for words in re.findall(r"`(mailprov [^`]+)`", prose):
            command = " ".join(words.split())
            if "COMMAND" not in command and "…" not in command:
                found.append((path.name, command))
    return sorted(set(found))


@pytest.mark.parametrize(("page", "command"), in_sentences())
def test_a_command_within_a_sentence_is_one(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mail.yml", "other.yml"):
        Path(name).write_text("{}")
    (words,) = simple(command)
    if words[1].startswith("-"):
        return  # of the program itself, such as --version
    if words[1:] in ([name] for name, (_, attribute, _) in COMMANDS.items() if attribute == "app"):
        return  # a group, as a whole
    parse(words[1:])


def simple(line: str) -> list[list[str]]:
    """The simple commands of a line: of a pipe, and those within $( )."""
    inner = re.findall(r"\$\(([^()]*)\)", line)
    lexer = shlex.shlex(re.sub(r"\$\([^()]*\)", "mail.yml", line), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;"):
            found.append([])
        else:
            found[-1].append(word)
    found += [words for each in inner for words in simple(each)]
    for words in found:
        while words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0]):
            del words[0]
    return found


@lru_cache(maxsize=1)
def program() -> Any:
    return typer.main.get_command(build_app())


def parse(words: list[str]) -> None:
    """As the program parses it, without doing it; raises what it would print."""
    command = program()
    context = command.make_context("mailprov", list(words))
    while hasattr(command, "commands"):
        rest = [*context._protected_args, *context.args]
        assert rest or "--" in " ".join(words), "names no command"
        if not rest:
            return
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("block", blocks("python"), ids=names)
def test_a_piece_of_code_that_a_page_shows_fits_the_code(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does a probe that somebody adds as CONTRIBUTING.md says; here it enters a table of its own."""
    monkeypatch.setattr(registry, "PROBES", [])
    known = {**vars(registry), **vars(context), "Iterator": Iterator, "Finding": Finding, "N_": N_}
    exec(block.text, known)
    assert registry.PROBES


def test_every_probe_that_a_page_names_is_there() -> None:
    ids = {entry.id for entry in probe.catalogue()}
    families = "|".join(sorted({each.partition(".")[0] for each in ids}))
    known = ids | keys()
    for path in PAGES:
        for named in re.findall(rf"`((?:{families})\.[a-z0-9_-]+)`", path.read_text()):
            assert named in known, f"{path.name} names {named}"


def keys() -> set[str]:
    """`dns.provider` and the like: keys of the inventory that look as probes do."""
    places = inventory.objects(json_schema())
    nodes = {path: node for node, paths in places.items() for path in paths}
    schema = json_schema()
    return {
        f"{path}.{key}"
        for path, name in nodes.items()
        if name
        for key in inventory.resolved(schema, {"$ref": name})["properties"]
    }


def test_every_block_says_what_it_is_and_every_reason_is_one() -> None:
    for path in PAGES:
        text = path.read_text()
        fences = re.findall(r"^```(.*)$", text, re.MULTILINE)
        assert all(fences[::2]), f"{path.name}: a fenced block without a language"
        for reason in re.findall(r"<!-- norun:?(.*?)-->", text):
            assert len(reason.split()) > 2, f"{path.name}: norun without a reason"


def test_every_file_that_a_page_names_is_there() -> None:
    """Named from the repository's folder, or from mailprov/."""
    for path in PAGES:
        for named in re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9.]+\.(?:py|j2))`", path.read_text()):
            there = (ROOT / named).is_file() or (ROOT / "mailprov" / named).is_file()
            assert there, f"{path.name} names {named}"
