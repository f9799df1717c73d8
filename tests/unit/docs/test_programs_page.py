"""The page on mail programs has each program, with the ports and securities that the host has for it.

tests/clients uses what it shows for Thunderbird, mutt and Alpine on real hosts.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailprov.model.ports import PORTS, Protocol, TlsStart

PAGE = Path(__file__).parents[3] / "docs/programs.md"
PROGRAMS = (
    "Thunderbird",
    "Outlook",
    "Apple Mail",
    "Android",
    "Thunderbird for Android and K-9",
    "mutt",
    "Alpine",
)
# As the page calls it: what a user is to take of each, which is TLS from the first byte.
BEST = {port.protocol: port.number for port in PORTS if port.login and port.tls is TlsStart.IMPLICIT}


def section(program: str) -> str:
    text = PAGE.read_text().partition(f"\n### {program}\n")[2]
    assert text, program
    return text.partition("\n### ")[0]


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_has_what_must_be_typed(program: str) -> None:
    text = section(program)
    assert "mx1.example.org" in text
    assert "ana@example.org" in text or program == "Android"  # Gmail has the address already
    ports = {int(port) for port in re.findall(r"\b\d{3}\b", text)}
    assert ports >= {BEST[Protocol.IMAP], BEST[Protocol.SMTP]}
    assert ports <= set(BEST.values())


@pytest.mark.parametrize("program", ["Thunderbird", "Thunderbird for Android and K-9"])
def test_the_tables_have_every_field(program: str) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(program).splitlines()
        if "|" in line
    ]
    table = {row[0]: row[1:] for row in rows}
    assert table["Port"] == [f"{BEST[Protocol.IMAP]} (POP3: {BEST[Protocol.POP3]})", str(BEST[Protocol.SMTP])]
    assert table["Username"] == ["`ana@example.org`"] * 2
    assert {tuple(row) for row in table.values()} >= {("SSL/TLS", "SSL/TLS"), ("Normal password",) * 2}


def test_no_other_program_is_on_the_page() -> None:
    assert re.findall(r"^### (.*)$", PAGE.read_text(), re.MULTILINE) == list(PROGRAMS)
