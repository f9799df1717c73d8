"""MTA-STS: a record comes behind its policy, and only behind it, and so for each domain alias."""

from __future__ import annotations

import dataclasses
import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from mailprov.client.pacc import wanted
from mailprov.dns import standing
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.model import pacc, web
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Domain, Host, Inventory, Mx, SshSettings, Tls, TlsMode
from mailprov.model.mta_sts import parse, record_flaw
from mailprov.probe.clients.errors import Refused
from mailprov.records import desired_records, kept
from mailprov.run import configurations, leaving, policies
from mailprov.run.policies import ReadBack
from mailprov.run.zones import Policies

NAME = "_mta-sts.alpha.test"


def host(name: str, mode: TlsMode = TlsMode.ACME, **settings: bool) -> Host:
    address = "192.0.2." + name[-1]
    return Host(name, address, f"{name}.alpha.test", SshSettings(), Tls(mode), (address,), settings=settings)


def inventory(*hosts: Host, **more: Any) -> Inventory:
    return Inventory("-", hosts, (Domain("alpha.test", tuple(one.name for one in hosts), **more),))


def policy_of(of: Inventory) -> Any:
    return web.policy(of, of.domains[0])


def texts(of: Inventory) -> list[str]:
    return [record.value for record in desired_records(of) if record.name == NAME]


WEB = host("mx1", web=True)


def test_the_policy_names_every_mx_and_its_id_follows_its_text() -> None:
    of = inventory(
        host("mx1"), host("mx2", web=True), mx=(Mx("mx.else.test", 30, False), Mx("mx1", None, True))
    )
    made = policy_of(of)
    assert (made.mode, made.mx) == ("testing", ("mx2.alpha.test", "mx.else.test"))
    assert parse(made.text()) == made
    assert "\r\nmode: testing\r\n" in made.text()
    several = [inventory(WEB, mta_sts=mode) for mode in ("testing", "enforce")]
    several.append(inventory(WEB, mta_sts="off", leaving="2026121319"))
    ids = {web.policy_id(of.domains[0], policy_of(of)) for of in several}
    assert len(ids) == 3
    assert not any(record_flaw(f"v=STSv1; id={one}") for one in ids)
    assert (policy_of(several[2]).mode, policy_of(several[2]).mx) == ("none", ())


@pytest.mark.parametrize(
    "of",
    [
        inventory(host("mx1")),
        inventory(WEB, mta_sts="off"),
        inventory(host("mx1", TlsMode.SELF_SIGNED, web=True)),
        inventory(WEB, host("mx2", TlsMode.SELF_SIGNED)),
    ],
    ids=["no web server", "off", "self-signed", "another MX is self-signed"],
)
def test_there_is_none_where_nobody_could_deliver_by_it(of: Inventory) -> None:
    assert policy_of(of) is None
    assert texts(of) == []
    assert not kept(of, {})(NAME)


def served(of: Inventory, text: str, monkeypatch: pytest.MonkeyPatch) -> ReadBack:
    def fetch(host: Host, name: str, path: str, kind: str) -> str:
        if not text or kind != "text/plain":
            raise OSError("Connection refused")
        return text

    monkeypatch.setattr(policies, "fetch", fetch)
    return ReadBack(of)


def told_of_the_policy(back: ReadBack) -> str:
    return "".join(text for text in back.reasons() if text.startswith("MTA-STS"))


def test_without_the_policy_there_is_no_record_and_the_one_that_stands_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = inventory(WEB)
    for text, why in (("", "Connection refused"), ("version: STSv1\r\n", "another one is given out")):
        back = served(of, text, monkeypatch)
        assert texts(back.inventory()) == []
        assert kept(back.inventory(), {})(NAME)
        assert why in told_of_the_policy(back)


def test_the_record_tells_of_the_very_policy_that_was_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    testing, enforce = inventory(WEB), inventory(WEB, mta_sts="enforce")
    back = served(testing, policy_of(testing).text(), monkeypatch)
    assert texts(back.inventory()) == [f"v=STSv1; id={web.policy_id(testing.domains[0], policy_of(testing))}"]
    assert not told_of_the_policy(back)
    assert not kept(back.inventory(), {})(NAME)
    back = served(enforce, policy_of(testing).text(), monkeypatch)
    assert texts(back.inventory()) == []
    assert kept(back.inventory(), {})(NAME)


def test_what_came_into_service_in_the_same_run_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    of, answers = inventory(WEB), ["", "", ""]
    monkeypatch.setattr(policies.time, "sleep", lambda seconds: None)

    def fetch(host: Host, name: str, path: str, kind: str) -> str:
        if kind == pacc.KIND:
            return str(wanted(of, of.domains[0]))
        if not answers:
            return str(policy_of(of).text())
        answers.pop()
        raise OSError("Connection refused")

    monkeypatch.setattr(policies, "fetch", fetch)
    monkeypatch.setattr(configurations, "settled", lambda inventory, say: inventory)
    run, told = Policies(of), []  # type: Policies, list[Any]
    assert texts(run.read().inventory()) == []
    assert run.wait()
    run.tell(told.append)
    assert len(told) == 1
    assert len(texts(run.read().inventory())) == 1
    assert not run.wait()


def test_while_no_web_server_answers_one_sentence_says_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> str:
        raise Refused("connection refused")

    monkeypatch.setattr(policies, "fetch", refused)
    (sentence,) = ReadBack(inventory(WEB, domain_aliases=("alfa.test",))).reasons()
    assert (
        "MTA-STS and PACC of alfa.test and alpha.test follow once the web server on mx1 answers" in sentence
    )


def test_a_certificate_that_is_not_valid_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def untrusted(host: Host, name: str, path: str, kind: str) -> str:
        asked.append(name)
        raise policies.Untrusted("its certificate is not valid: Hostname mismatch")

    monkeypatch.setattr(policies, "fetch", untrusted)
    monkeypatch.setattr(policies.time, "sleep", lambda seconds: pytest.fail("it waits"))
    reasons = ReadBack(inventory(WEB), waits=True).reasons()
    assert len(asked) == len(set(asked)) == len(reasons) > 1


def test_nobody_is_asked_where_no_domain_has_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    of = inventory(host("mx1"))
    assert served(of, "", monkeypatch).inventory() is of


def leaving_by(
    monkeypatch: pytest.MonkeyPatch, record: str, now: str = "2026-11-29T12:30"
) -> tuple[Any, list[str]]:
    """What a run makes of `mta_sts: off` where this record stands."""
    stands = {(NAME, "TXT"): SimpleNamespace(values=(record,))} if record else {}
    monkeypatch.setattr(standing, "standing", lambda settings, keys: stands)
    time = datetime.datetime.fromisoformat(now).replace(tzinfo=datetime.timezone.utc)
    monkeypatch.setattr(leaving, "_now", lambda: time)
    of = dataclasses.replace(inventory(WEB, mta_sts="off"), dns=DnsSettings(Rfc2136Settings("192.0.2.9")))
    told: list[str] = []
    return leaving.settled(of, told.append), told


def test_who_leaves_tells_it_until_senders_have_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumable from any machine: the record itself says until when."""
    of, told = leaving_by(monkeypatch, "v=STSv1; id=0123456789abcdef0123")
    assert of.domains[0].leaving == "2026121313"
    assert "until 2026-12-13 13:00 UTC senders are told mode none" in told[0]
    back = served(of, policy_of(of).text(), monkeypatch)
    (record,) = texts(back.inventory())
    assert record == "v=STSv1; id=none2026121313"
    assert "mode: none" in policy_of(of).text()
    of, told = leaving_by(monkeypatch, record, "2026-12-13T12:59")
    assert (of.domains[0].leaving, len(told)) == ("2026121313", 1)
    of, told = leaving_by(monkeypatch, record, "2026-12-13T13:00")
    assert (of.domains[0].leaving, told) == (None, [])
    assert policy_of(of) is None
    assert not kept(of, {})(NAME)


@pytest.mark.parametrize("record", ["", "v=STSv1; id=20260101", "v=spf1 -all"])
def test_what_is_somebody_elses_is_not_left(monkeypatch: pytest.MonkeyPatch, record: str) -> None:
    of, told = leaving_by(monkeypatch, record)
    assert (of.domains[0].leaving, told, policy_of(of)) == (None, [], None)


def test_the_web_names_lead_to_the_first_host_that_has_a_web_server() -> None:
    of = inventory(host("mx1"), host("mx2", web=True), host("mx3", web=True))
    found = {record.name: record.value for record in desired_records(of) if record.type == "CNAME"}
    assert found == {
        f"{label}.alpha.test": "mx2.alpha.test"
        for label in ("autoconfig", "autodiscover", "mta-sts", "ua-auto-config")
    }
    assert not any(record.asked for record in desired_records(of) if record.type == "CNAME")
    assert [
        r for r in desired_records(inventory(dataclasses.replace(WEB, settings={}))) if r.type == "CNAME"
    ] == []


def test_a_domain_alias_has_the_same_policy_and_a_record_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    of = inventory(WEB, domain_aliases=("alfa.test",))
    back = served(of, policy_of(of).text(), monkeypatch).inventory()
    (text,) = texts(back)
    assert [one.value for one in desired_records(back) if one.name == "_mta-sts.alfa.test"] == [text]
    seen = back.domains[0].read_back
    half = dataclasses.replace(back.domains[0], read_back=tuple(one for one in seen if "alfa" not in one[0]))
    back = dataclasses.replace(back, domains=(half,))
    assert [one.name for one in desired_records(back) if one.name.startswith("_mta")] == [NAME]
    assert kept(back, {})("_mta-sts.alfa.test")
