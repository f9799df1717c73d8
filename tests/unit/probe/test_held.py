"""A host whose fail2ban holds this machine: one finding that says so, not one for each probe that waits for a port."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Collection, Mapping

import pytest

from mailprov.components.fail2ban import SETTING, Fail2ban
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Host
from mailprov.probe import Bans
from mailprov.probe.bans import Ask
from mailprov.probe.registry import PROBED
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.servers import refusing


@pytest.fixture
def shut(lab: ScriptedLab) -> ScriptedLab:
    """No port answers, and mx1 has fail2ban."""
    lab.spoil("refused", "")
    one, two = lab.inventory.hosts
    hosts = (SETTING.on(one, Fail2ban()), two)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    return lab


def told(bans: Bans | None, asked: list[str] | None = None) -> Ask:
    def ask(hosts: Collection[Host]) -> Mapping[str, Bans]:
        if asked is not None:
            asked.extend(host.name for host in hosts)
        return {host.name: bans for host in hosts} if bans is not None else {}

    return ask


def at(findings: list[Finding], host: str) -> list[Finding]:
    return [item for item in findings if item.target.host == host]


def test_a_ban_is_one_finding(shut: ScriptedLab) -> None:
    asked: list[str] = []
    bans = Bans("127.0.0.1", (("mailprov-dovecot", "127.0.0.1"), ("mailprov-postfix", "127.0.0.1")))

    findings = shut.verify("net auth smuggle delivery", bans=told(bans, asked))

    (only,) = at(findings, "mx1")
    assert (only.id, only.verdict, only.target.port) == ("net.tcp", Verdict.ERROR, 0)
    assert "has banned this machine's address 127.0.0.1 (mailprov-dovecot, mailprov-postfix)" in only.observed
    assert only.advice.startswith("on mx1: fail2ban-client unban 127.0.0.1; then add it to fail2ban.ignore")
    # The other host has no fail2ban: nothing listens there, and that is what is told.
    assert asked == ["mx1"]
    assert {item.verdict for item in at(findings, "mx2") if item.id == "net.tcp"} >= {Verdict.FAIL}


def test_bans_of_both_families_are_one_finding(shut: ScriptedLab) -> None:
    shut.world.records["mx1.alpha.test", "AAAA"] = ["::1"]
    shut.start()
    bans = Bans("127.0.0.1", (("mailprov-dovecot", "127.0.0.1"), ("mailprov-postfix", "::1")))

    with refusing("::1") as dead:
        shut.world.port_map.update({("::1", port.number): dead.getsockname()[1] for port in PROBED})
        (only,) = at(shut.verify("net auth", bans=told(bans)), "mx1")

    assert (only.id, only.target.address) == ("net.tcp", "")
    assert (
        "has banned this machine's addresses 127.0.0.1 (mailprov-dovecot) and ::1 (mailprov-postfix),"
        in only.observed
    )
    assert only.advice.startswith(
        "on mx1: fail2ban-client unban 127.0.0.1 ::1; then add them to fail2ban.ignore"
    )


def test_a_host_that_holds_somebody_else_is_down(shut: ScriptedLab) -> None:
    bans = Bans("127.0.0.1", (("mailprov-dovecot", "192.0.2.9"),))

    findings = at(shut.verify("net", bans=told(bans)), "mx1")

    assert {item.target.port for item in findings if item.verdict is Verdict.FAIL} == {
        25, 465, 587, 110, 995, 143, 993,
    }  # fmt: skip


def test_where_nobody_can_be_asked_ssh_tells_that_the_host_is_up(shut: ScriptedLab) -> None:
    shut.start()
    with socket.create_server(("127.0.0.1", 0)) as ssh:
        shut.world.port_map["127.0.0.1", 22] = ssh.getsockname()[1]
        (only,) = at(shut.verify("net", bans=told(None)), "mx1")

    assert only.verdict is Verdict.ERROR
    assert "SSH answers and no port of mail does" in only.observed


def test_without_ssh_either_every_port_is_told(shut: ScriptedLab) -> None:
    shut.start()
    shut.world.port_map["127.0.0.1", 22] = shut.world.port_map["127.0.0.1", 25]  # nothing listens there

    assert len(at(shut.verify("net", bans=told(None)), "mx1")) > 1


def test_a_host_that_answers_is_not_asked(lab: ScriptedLab) -> None:
    hosts = tuple(SETTING.on(host, Fail2ban(("127.0.0.0/8",))) for host in lab.inventory.hosts)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    asked: list[str] = []

    findings = lab.verify("net auth", bans=told(None, asked))

    assert asked == []
    assert {item.verdict for item in findings} == {Verdict.PASS}
