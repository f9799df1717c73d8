"""What the quickstart and the page of the lab say is typed here, line by line, on a terminal, and every line succeeds.

What differs from the page: the address of the host is the lab's, and its name server stands in for publishing by hand.
A line that asks is answered with what the page says. Blocks with a `norun` comment are left out, with their reason.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import lab_name, run_on, silent
from tests.lab.terminal import Terminal
from tests.unit.docs.pages import commands, of_page

QUICKSTART, LAB = "docs/quickstart.md", "docs/lab.md"
INVENTORY = """\
hosts: {mx1: {address: 192.0.2.11, fqdn: mx1.example.org, lab: {release: debian-12}}}
domains: {example.org: {hosts: [mx1], accounts: {ana: {password: {env: P}}}}}
"""
YES = (r"\[y/N\]:? *$", "y")


def typed(page: str) -> list[str]:
    return [line for block in of_page(page, "console") if not block.norun for line in commands(block)]


@pytest.fixture
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return ready_lab_factory(INVENTORY)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True, mode=0o700)
    return folder


@pytest.fixture
def terminal(home: Path, tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(tmp_path, home) as opened:
        yield opened


def answers(line: str, address: str) -> list[tuple[str, str]]:
    if line == "mailprov init":
        return [
            (r"^Mail domain: *$", "example.org"),
            (r"^Host's full name \[mx1\.example\.org\]: *$", ""),
            (r"^Address for SSH \[mx1\.example\.org\]: *$", address),
            (r"^SSH user \[root\]: *$", ""),
            YES,  # the host's key
            (r"^Certificates .*: *$", ""),
            (r"^Filter .*: *$", ""),
            (r"^Webmail .*: *$", ""),
            (r"^Mailboxes.*: *$", "ana, luis"),
            (r"^Account for tests .*: *$", "none"),
            (r"^Passwords .*: *$", ""),
        ]
    return [YES] if re.search(r"mailprov (apply|rollback)\b", line) else []


def test_the_quickstart_is_typed_as_it_stands(hosts: lab.Lab, home: Path, terminal: Terminal) -> None:
    address = hosts.host("mx1").address
    key = home / ".ssh/id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    run_on(hosts, "mx1", f"echo '{key.with_suffix('.pub').read_text().strip()}' >>/root/.ssh/authorized_keys")
    lines = typed(QUICKSTART)
    shown = {}
    for line in lines:
        screen = terminal.run(line, answers(line, address), timeout=600)
        assert screen.code == 0, f"{line}:\n{screen.text}"
        assert not screen.ugly()
        shown[line] = screen.text
        if line == "mailprov init":
            (home / "mail.yml").write_text(of_the_page(address, hosts, home))

    assert "is good" in shown["mailprov validate"] or "good." in shown["mailprov validate"]
    assert "postfix" in shown["mailprov plan"]
    assert re.search(r"Done: \d+ changes applied", shown["mailprov apply"])
    assert re.search(r"Done: \d+ pass", shown["mailprov verify"])
    assert re.search(r"mx1-rsa-1\._domainkey", shown["mailprov dns export --dkim"])
    assert "apply" in shown["mailprov history"]
    assert {"mailprov trust", "mailprov rollback"} <= shown.keys()


def of_the_page(address: str, hosts: lab.Lab, home: Path) -> str:
    """The page's inventory, which takes the place of what init wrote; its passwords are those that init made up."""
    (block,) = of_page(QUICKSTART, "yaml")
    assert "192.0.2.11" in block.text
    (home / "secrets/tsig").write_text((hosts.directory / "secrets/tsig").read_text())
    dns = (
        f"dns:\n  provider: rfc2136\n  server: {hosts.dns.address}\n"
        "  tsig: {name: mailprov-lab, secret: {file: secrets/tsig}}\n"
    )
    return block.text.replace("192.0.2.11", address) + dns


def test_the_page_of_the_lab_is_typed_as_it_stands(home: Path, terminal: Terminal, no_orphans: None) -> None:
    """Where there are other labs this one is named, as the page says, too; root needs no sudo."""
    if os.geteuid():
        pytest.skip("needs root on Linux: it boots real systemd hosts")
    name = lab_name("page")
    (home / f"{name}.yml").write_text(INVENTORY)
    lines = typed(LAB)
    shown = {}
    try:
        for line in lines:
            if line.startswith("make "):
                continue  # tests/lab/test_demo.py
            mine = line.replace("sudo ", "").replace("mail.yml", f"{name}.yml")
            if f"{name}.yml" not in mine and "cache" not in mine:
                mine = re.sub(r"(mailprov lab \w+)", rf"\1 --name {name}", mine)
            screen = terminal.run(mine, answers(line, ""), timeout=600)
            assert screen.code == 0, f"{mine}:\n{screen.text}"
            shown[line] = screen.text
            assert (name in lab.names()) == (line not in after("sudo mailprov lab down", lines)), line
    finally:
        lab.down(name, silent)
    (ssh,) = (text for line, text in shown.items() if "lab ssh" in line)
    assert ssh.split() == ["active", "active"]
    (applied,) = (text for line, text in shown.items() if "mailprov apply" in line)
    assert re.search(r"Probes: \d+ pass", applied)
    assert not re.search(r"\d+ (fail|error)", applied)


def after(line: str, lines: list[str]) -> list[str]:
    return lines[lines.index(line) :]
