"""The probes of the web corner against scripted servers: right ones pass, and each thing that is wrong is seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailprov.client import reading
from mailprov.client.autoconfig import autoconfig
from mailprov.client.autodiscover import autodiscover
from mailprov.client.mobileconfig import mobileconfig
from mailprov.client.pacc import pacc as pacc_file
from mailprov.client.settings import of_account, of_domain
from mailprov.model.findings import Finding, Verdict
from mailprov.selftest.certificates import Authority
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.web_cases import CASES, NAMES, PATHS, PROBES, web_corner
from mailprov.selftest.web_server import Web

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


@pytest.fixture
def web(lab: ScriptedLab, authority: Authority) -> Iterator[Web]:
    with web_corner(lab, authority) as made:
        yield made


def look(lab: ScriptedLab, only: str = "web.") -> dict[str, Finding]:
    """Of alpha.test; its alias is another test's, and the ports are the kill matrix'."""
    found = [item for item in lab.verify(only) if item.id != "web.tls"]
    assert {item.target.domain for item in found} == {"alpha.test", "alfa.test"}
    return {item.id: item for item in found if item.target.domain == "alpha.test"}


def test_what_is_served_right_passes_after_a_login_with_what_it_says(lab: ScriptedLab, web: Web) -> None:
    found = look(lab)
    assert {name: item.verdict for name, item in found.items()} == dict.fromkeys(PROBES, PASS), found
    assert "mail.alpha.test:993" in found["web.autoconfig"].observed
    assert "mail.alpha.test:995" in found["web.autoconfig"].observed
    assert "mail.alpha.test:465" in found["web.mobileconfig"].observed
    asked = sorted(line.split(" HTTP/")[0] for line in web.requests)
    assert asked == [
        "http://autoconfig.alpha.test GET /mail/config-v1.1.xml",
        "https://autoconfig.alpha.test GET /mail.mobileconfig",
        "https://autodiscover.alpha.test POST /autodiscover/autodiscover.xml",
        "https://ua-auto-config.alpha.test GET /.well-known/user-agent-configuration.json",
    ]
    assert not any("ana@" in line for line in web.requests), "nobody's address is told to a web server"


@pytest.mark.parametrize("case", CASES)
def test_each_thing_that_is_wrong_is_seen(case: str, lab: ScriptedLab, web: Web) -> None:
    act, verdicts, words = CASES[case]
    act(lab, web)
    found = look(lab)
    assert tuple(found[name].verdict for name in PROBES) == verdicts, found
    assert all(words in item.observed for item in found.values() if item.verdict is not PASS), found
    if case in ("another program's page", "a server of somebody else"):
        assert all("another file" in found[name].observed for name in PROBES[:3])
        assert "programs refuse the file" in found["web.pacc"].observed
    if case == "a server of somebody else":
        assert not any("LOGIN" in line.upper() or "AUTH " in line.upper() for line in lab.world.commands)


def test_without_the_key_nothing_is_looked_at(lab: ScriptedLab) -> None:
    lab.start()
    found = lab.verify("web.")
    assert sorted((item.id, item.verdict) for item in found) == sorted(
        (name, SKIP) for name in (*PROBES, "web.tls")
    )
    assert all("web: true" in item.observed for item in found)


def test_a_program_reads_from_each_file_what_the_table_says(lab: ScriptedLab) -> None:
    inventory = lab.inventory
    for domain in inventory.domains:
        for account in domain.accounts:
            wanted, right = of_account(inventory, account.address), of_domain(inventory, domain)
            assert reading.of_autoconfig(autoconfig(right).encode(), account.address) == wanted.servers
            for settings in (right, wanted):
                read = (
                    reading.of_autodiscover(autodiscover(settings).encode(), account.address),
                    reading.of_mobileconfig(mobileconfig(settings).encode(), account.address),
                    reading.of_pacc(pacc_file(settings).encode(), account.address),
                )
                for servers in read:
                    assert servers
                    assert all(server == wanted.best(server.protocol) for server in servers)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<",
        b"<clientConfig/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><clientConfig/>',
        b"<clientConfig><emailProvider><incomingServer type='nntp'/></emailProvider></clientConfig>",
        b"\xff\xfe\x00",
        b"<plist/>",
        b"<plist><dict/></plist>",
        b"[]",
        b'{"protocols": {}, "authentication": {"password": true}}',
        b'{"protocols": {"imap": "mx1"}, "authentication": {"password": true}}',
        b'{"protocols": {"imap": {"host": "mx1"}}}',
    ],
)
def test_what_is_no_such_file_is_told_and_never_a_traceback(data: bytes) -> None:
    every = (reading.of_autoconfig, reading.of_autodiscover, reading.of_mobileconfig, reading.of_pacc)
    for read in every:
        with pytest.raises(reading.Unreadable):
            read(data, "ana@alpha.test")


def test_an_address_at_a_domain_alias_logs_in_as_the_account(lab: ScriptedLab, web: Web) -> None:
    """By each file that can say who that is; PACC has no place for it, so there is none."""
    settings = of_domain(lab.inventory, lab.inventory.domains[0], "alfa.test")
    for file, read in ((autoconfig, reading.of_autoconfig), (autodiscover, reading.of_autodiscover)):
        servers = read(file(settings).encode(), "ana@alfa.test")
        assert {one.user for one in servers} == {"ana@alpha.test"}
        web.pages[PATHS[f"web.{file.__name__}"]] = (200, "text/xml", file(settings).encode())
    for name in NAMES:
        lab.world.records[name.replace("alpha", "alfa"), "A"] = ["127.0.0.1"]
    found = {item.id: item for item in lab.verify("web") if item.target.domain == "alfa.test"}
    assert {name: found[name].verdict for name in PROBES[:3]} == dict.fromkeys(PROBES[:3], PASS), found
    assert "web.pacc" not in found or found["web.pacc"].verdict is SKIP
