"""The probes of webmail against a scripted Roundcube: the right one passes, and each thing that is wrong is seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

import pytest

from mailprov.components.fail2ban import SETTING, Fail2ban
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Host
from mailprov.probe import Bans
from mailprov.selftest.certificates import Authority
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.servers import refusing
from mailprov.selftest.state import PASSWORDS
from mailprov.selftest.webmail_cases import CASES, PROBES, webmail
from mailprov.selftest.webmail_server import Roundcube

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


@pytest.fixture
def roundcube(lab: ScriptedLab, authority: Authority) -> Iterator[Roundcube]:
    with webmail(lab, authority) as made:
        yield made


def look(lab: ScriptedLab) -> dict[str, Finding]:
    found = {item.id: item for item in lab.verify("webmail")}
    assert {item.target.domain for item in found.values()} == {"alpha.test"}
    return found


def test_a_right_one_passes_and_the_inbox_was_seen(lab: ScriptedLab, roundcube: Roundcube) -> None:
    found = look(lab)
    assert {name: item.verdict for name, item in found.items()} == dict.fromkeys(PROBES, PASS), found
    assert "saw the inbox" in found["webmail.login"].observed
    asked = [line.split(" ")[1] for line in roundcube.requests]
    assert "/installer/" in asked
    assert any("_task=logout" in path for path in asked)
    password = PASSWORDS["ana@alpha.test"]
    assert not any(password in line for item in found.values() for line in item.evidence)


def test_no_password_is_sent_where_the_host_cannot_show_who_it_is(
    lab: ScriptedLab, roundcube: Roundcube
) -> None:
    roundcube.certificate = "unknown-ca"
    found = look(lab)
    assert found["webmail.login"].verdict is ERROR
    assert not any(line.startswith("POST") for line in roundcube.requests)


@pytest.mark.parametrize("case", CASES)
def test_each_thing_that_is_wrong_is_seen(case: str, lab: ScriptedLab, roundcube: Roundcube) -> None:
    act, verdicts, words = CASES[case]
    act(lab, roundcube)
    found = look(lab)
    assert tuple(found[name].verdict for name in PROBES) == verdicts, found
    assert any(words in item.observed for item in found.values() if item.verdict is not PASS), found


def test_a_ban_at_the_web_is_one_error_and_each_probe_says_it_was_skipped(
    lab: ScriptedLab, roundcube: Roundcube, request: pytest.FixtureRequest
) -> None:
    one, *others = lab.inventory.hosts
    lab.inventory = dataclasses.replace(lab.inventory, hosts=(SETTING.on(one, Fail2ban()), *others))
    lab.start()
    dead = refusing("127.0.0.1")
    request.addfinalizer(dead.close)
    lab.world.port_map.update(dict.fromkeys([("127.0.0.1", 443), ("127.0.0.1", 80)], dead.getsockname()[1]))
    asked: list[str] = []

    def ask(hosts: Collection[Host]) -> dict[str, Bans]:
        asked.extend(host.name for host in hosts)
        return {host.name: Bans("127.0.0.1", ((jail, "127.0.0.1"),)) for host in hosts}

    jail = "mailprov-dovecot"
    down = lab.verify("webmail", bans=ask)
    assert {item.verdict for item in down} == {ERROR}
    assert not [item for item in down if "fail2ban" in item.observed]
    jail = "mailprov-webmail"
    first, *rest = lab.verify("webmail", bans=ask)
    assert (first.id, first.verdict, first.target.host) == ("webmail.page", ERROR, one.name)
    assert "has banned this machine's address 127.0.0.1 from the web" in first.observed
    assert first.advice.startswith(
        f"on {one.name}: fail2ban-client unban 127.0.0.1; then add 127.0.0.1 to fail2ban."
    )
    assert [(item.id, item.verdict) for item in rest] == [(name, SKIP) for name in PROBES]
    assert asked == [one.name] * 2


def test_without_the_key_nothing_is_looked_at(lab: ScriptedLab) -> None:
    lab.start()
    found = lab.verify("webmail")
    assert [(item.id, item.verdict) for item in found] == [(name, SKIP) for name in PROBES]
