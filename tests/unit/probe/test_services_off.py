"""Services that are off: each port of them is proved closed, nothing else looks there, and the rest is as ever."""

from __future__ import annotations

import dataclasses

import pytest

from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain
from mailprov.model.ports import SERVICES
from mailprov.probe.clients.connection import Connection
from mailprov.probe.clients.errors import Unreachable
from mailprov.selftest.scripted_lab import ScriptedLab, account
from tests.unit.probe.apart import apart

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP
POP_AND_SIEVE = ("pop3", "pop3s", "sieve")


def at(findings: list[Finding], host: str) -> dict[int, set[str]]:
    """Port → the probes that looked there."""
    seen: dict[int, set[str]] = {}
    for finding in findings:
        if finding.target.host == host and finding.target.port:
            seen.setdefault(finding.target.port, set()).add(finding.id)
    return seen


def numbers(*services: str) -> set[int]:
    return {SERVICES[name].number for name in services}


def test_each_port_that_is_off_is_proved_closed_and_looked_at_by_nothing_else(lab: ScriptedLab) -> None:
    lab.switch_off("mx1", *POP_AND_SIEVE)
    findings = apart(lab.verify())
    assert [item for item in findings if item.verdict is not PASS and item.target.host] == []
    closed = {(item.target.host, item.target.port) for item in findings if item.id == "net.closed"}
    assert closed == {("mx1", number) for number in numbers(*POP_AND_SIEVE)}
    seen = at(findings, "mx1")
    assert {number: seen[number] for number in numbers(*POP_AND_SIEVE)} == {
        number: {"net.closed"} for number in numbers(*POP_AND_SIEVE)
    }
    assert {"auth.ok", "auth.bad-password", "tls.chain"} <= seen[993]
    assert {"auth.ok", "auth.bad-password"} <= at(findings, "mx2")[110]
    fetched = {(item.target.host, item.target.port) for item in findings if item.id == "delivery.fetch"}
    assert fetched == {("mx1", 993), ("mx1", 143), ("mx2", 993), ("mx2", 143), ("mx2", 995), ("mx2", 110)}


def test_tls_from_the_first_byte_alone(lab: ScriptedLab) -> None:
    """Neither 143 nor 110 nor 587, also not where a test message is sent and fetched."""
    lab.switch_off("mx1", "imap", "pop3", "submission")
    findings = apart(lab.verify())
    assert [item for item in findings if item.verdict is not PASS and item.target.host] == []
    sent = {(item.target.domain, item.target.port) for item in findings if item.id == "delivery.path"}
    assert sent == {
        ("alpha.test->beta.test", 465),
        ("beta.test->alpha.test", 465),
        ("beta.test->alpha.test", 587),
    }


def test_mail_is_looked_for_on_143_where_993_is_off(lab: ScriptedLab) -> None:
    lab.switch_off("mx1", "imaps")
    findings = apart(lab.verify("delivery. smuggle.in"))
    assert [item for item in findings if item.verdict is not PASS and item.target.host] == []
    cleaned = {
        item.target.port for item in findings if item.id == "delivery.cleanup" and item.target.host == "mx1"
    }
    assert cleaned == {143}


def test_without_imap_no_mail_is_sent_and_one_finding_says_why(lab: ScriptedLab) -> None:
    lab.switch_off("mx1", "imap", "imaps")
    findings = apart(lab.verify())
    left_out = [item for item in findings if item.verdict is not PASS]
    told = {(item.id, item.verdict, item.target.host) for item in left_out if item.target.host == "mx1"}
    assert told == {("delivery.ready", SKIP, "mx1"), ("smuggle.in", SKIP, "mx1")}
    assert all("offers no IMAP" in item.observed for item in left_out if item.target.host == "mx1")
    assert {item.id for item in findings if item.target.host == "mx1" and item.target.port == 110} >= {
        "auth.ok"
    }
    # The other domain has no partner then, which is told where that message would have been judged.
    (path,) = {(item.verdict, item.observed) for item in findings if item.id == "delivery.path"}
    assert path[0] is WARN
    assert "offers no IMAP" in path[1]


def test_what_listens_on_a_port_that_is_off_is_red(lab: ScriptedLab) -> None:
    lab.switch_off("mx1", "pop3", "pop3s")
    lab.world.off["127.0.0.1"] = {"pop3s"}
    findings = lab.verify("net.")
    (red,) = [item for item in findings if item.verdict is not PASS]
    assert (red.id, red.verdict, red.target.port) == ("net.closed", FAIL, 110)
    assert red.advice == (
        "see on the host what it is (ss -ltnp 'sport = :110') and stop it, or add pop3 to `services`"
    )


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """Address and port as they are dialled: to these nothing is answered, as behind a firewall that drops."""
    dropped: set[tuple[str, int]] = set()
    real = Connection.connect.__func__  # type: ignore[attr-defined]

    def connect(cls: type[Connection], address: str, port: int, *args: object, **more: object) -> Connection:
        if (address, port) in dropped:
            raise Unreachable("no answer to the connection attempt within 2 s")
        made: Connection = real(cls, address, port, *args, **more)
        return made

    monkeypatch.setattr(Connection, "connect", classmethod(connect))
    return dropped


def test_silence_is_a_warning_where_another_port_answers_and_else_proves_nothing(
    lab: ScriptedLab, dropping: set[tuple[str, int]]
) -> None:
    lab.switch_off("mx1", "pop3")
    lab.start()
    dropping.add(("127.0.0.1", lab.world.port_map["127.0.0.1", 110]))
    (only,) = lab.verify("net.closed")
    assert (only.verdict, only.target.port) == (WARN, 110)
    assert "a firewall drops what comes to this port" in only.observed
    dropping |= {
        ("127.0.0.1", port) for (address, __), port in lab.world.port_map.items() if address == "127.0.0.1"
    }
    (only,) = lab.verify("net.closed")
    assert only.verdict is ERROR


def test_where_every_host_offers_everything_it_says_so_to_who_asks_for_it(lab: ScriptedLab) -> None:
    (only,) = lab.verify("net.closed")
    assert (only.verdict, only.observed) == (SKIP, "every host offers every service")


def test_what_a_ban_is_looked_for_by_is_what_the_host_offers(lab: ScriptedLab) -> None:
    """Ports that are off do not answer, and that is no ban: with fail2ban on the host nobody is asked then."""
    from mailprov.components import fail2ban

    lab.switch_off("mx1", "pop3", "pop3s", "imap", "sieve")
    hosts = tuple(
        fail2ban.SETTING.on(host, fail2ban.Fail2ban(("127.0.0.0/8",))) for host in lab.inventory.hosts
    )
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)

    def ask(hosts: object) -> dict[str, object]:
        raise AssertionError("asked although a port of each kind answers")

    findings = lab.verify("net.", bans=ask)  # type: ignore[arg-type]
    assert [item for item in findings if item.verdict is not PASS and item.target.host] == []


def test_a_second_host_of_a_domain_is_judged_by_what_it_offers_itself(lab: ScriptedLab) -> None:
    both = Domain("alpha.test", ("mx1", "mx2"), (account("ana@alpha.test"),))
    lab.inventory = dataclasses.replace(lab.inventory, domains=(both,))
    lab.switch_off("mx2", "pop3", "pop3s")
    findings = lab.verify("net. auth.ok")
    assert [item for item in findings if item.verdict is not PASS and item.target.host] == []
    assert at(findings, "mx2")[110] == {"net.closed"}
    assert at(findings, "mx1")[110] == {"net.tcp", "auth.ok"}
