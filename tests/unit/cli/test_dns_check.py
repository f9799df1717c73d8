"""The command line of `mailprov dns check`: with --zone no inventory is needed, and none is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["mail.yml", "--zone", "a.example"],
            "mail.yml: is about an inventory, and with --zone none is read",
        ),
        (
            ["--zone", "a.example", "--domain", "b.example"],
            "--domain: is about an inventory, and with --zone",
        ),
        (["--zone", "nope"], "--zone nope: is no domain: it has only one label"),
        (["--zone", "a.example", "--probe", "nix"], '--probe: no probe or family of probes is "nix"'),
        (["--zone", "a.example", "--skip", "nix"], '--skip: no probe or family of probes is "nix"'),
        (["--selector", "s1"], "no inventory was given"),
        (["mail.yml", "--selector", "s1"], "--selector: is about a domain that no inventory describes"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str], words: str, tmp_path: Path) -> None:
    if arguments[0] == "mail.yml":
        (tmp_path / "other.yml").write_text("hosts: {}\n")
        arguments = ["other.yml", *arguments[1:]]
        words = words.replace("mail.yml", "other.yml")
    ended = subprocess.run(
        [sys.executable, "-m", "mailprov", "dns", "check", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (ended.returncode, words in ended.stderr) == (2, True), ended.stderr
