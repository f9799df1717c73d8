"""dns.mta-sts: record, policy, MX and certificates of a domain of the inventory, each wrong once."""

from __future__ import annotations

import dataclasses
import ssl
from pathlib import Path

import pytest

from mailprov import probe
from mailprov.model import web
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls, TlsMode
from mailprov.probe import Timing
from mailprov.probe.checks import own_mta_sts
from mailprov.probe.clients.resolver import Answer, Resolver
from mailprov.selftest.certificates import Authority
from mailprov.selftest.policy_server import ADDRESS, DOMAIN, HOST, page, serving

PASS, WARN, FAIL, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.SKIP


def inventory(mode: str | None = None, tls: TlsMode = TlsMode.ACME, **settings: bool) -> Inventory:
    host = Host(
        "mx1",
        ADDRESS,
        "mx1.sound.zz",
        SshSettings(),
        Tls(tls),
        (ADDRESS,),
        settings=settings or {"web": True},
    )
    return Inventory("-", (host,), (Domain(DOMAIN, ("mx1",), mta_sts=mode),))


def text(of: Inventory) -> str:
    policy = web.policy(of, of.domains[0])
    assert policy is not None
    return policy.text()


def record(of: Inventory) -> str:
    policy = web.policy(of, of.domains[0])
    assert policy is not None
    return f"v=STSv1; id={web.policy_id(of.domains[0], policy)}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("own-mta-sts"))


@pytest.fixture(autouse=True)
def mx_certificate(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why the one at port 25 is not trusted; none here."""
    bad: list[str] = []

    def served(self: object, *_: object) -> bytes:
        if bad:
            error = ssl.SSLCertVerificationError(1, bad[0])
            error.verify_message, error.verify_code = bad[0], 18
            raise error
        return b""

    monkeypatch.setattr(own_mta_sts.DomainContext, "served", served)
    return bad


def look(
    monkeypatch: pytest.MonkeyPatch,
    trusted: Path,
    of: Inventory,
    port: int,
    txt: tuple[str, ...],
    mx: tuple[str, ...] = ("10 mx1.sound.zz",),
) -> Finding:
    known = {(f"_mta-sts.{DOMAIN}", "TXT"): txt, (HOST, "A"): (ADDRESS,), (DOMAIN, "MX"): mx}
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setattr(
        Resolver,
        "ask",
        lambda self, name, kind: Answer(name, kind, known.get((name, kind), ()), "ns", ""),
    )
    found = probe.verify(
        of,
        emit=lambda finding: None,
        probe_ids=["dns.mta-sts"],
        timing=dataclasses.replace(Timing(), probe=60, connect=60),
        port_map={(ADDRESS, 443): port},
    )
    (one,) = [each for each in found if each.id == "dns.mta-sts"]
    return one


@pytest.mark.parametrize("mode", [None, "testing", "enforce"])
def test_all_in_step_passes_in_every_mode(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, mode: str | None
) -> None:
    of = inventory(mode)
    with serving(authority, page(text(of))) as server:
        found = look(monkeypatch, authority.file, of, server.port, (record(of),))
    assert found.verdict is PASS, found
    assert f"mode: {mode or 'testing'}" in found.observed


@pytest.mark.parametrize(
    ("mode", "txt", "mx", "verdict", "words"),
    [
        ("testing", (), None, WARN, "there is no record"),
        ("testing", ("v=STSv1; id=1",), None, WARN, "tells of another policy"),
        ("testing", ("ours", "v=STSv1; id=1"), None, WARN, "several records"),
        ("testing", ("ours",), ("10 mx9.else.zz",), WARN, "names no mx for mx9.else.zz"),
        ("enforce", ("ours",), ("10 mx9.else.zz",), FAIL, "names no mx for mx9.else.zz"),
    ],
)
def test_each_thing_wrong_once(
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    txt: tuple[str, ...],
    mx: tuple[str, ...] | None,
    verdict: Verdict,
    words: str,
) -> None:
    of = inventory(mode)
    told = tuple(record(of) if one == "ours" else one for one in txt)
    with serving(authority, page(text(of))) as server:
        found = look(monkeypatch, authority.file, of, server.port, told, mx or ("10 mx1.sound.zz",))
    assert (found.verdict, words in found.observed) == (verdict, True), found
    assert found.advice


def test_a_policy_that_is_not_the_inventorys(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    of = inventory("enforce")
    with serving(authority, page(text(inventory("testing")))) as server:
        found = look(monkeypatch, authority.file, of, server.port, (record(of),))
    assert (found.verdict, "another one than the inventory's: mode: testing" in found.observed) == (
        WARN,
        True,
    )


def test_a_record_without_a_policy_fails_and_neither_of_both_waits_for_an_apply(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = inventory()
    with serving(authority, page("", "404 Not Found")) as server:
        found = look(monkeypatch, authority.file, of, server.port, (record(of),))
        assert (found.verdict, "answers 404" in found.observed) == (FAIL, True)
        found = look(monkeypatch, authority.file, of, server.port, ())
        assert (found.verdict, "mailprov apply" in found.advice) == (WARN, True)


@pytest.mark.parametrize(("mode", "verdict"), [("testing", WARN), ("enforce", FAIL)])
def test_an_mx_whose_certificate_nobody_trusts(
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    mx_certificate: list[str],
    mode: str,
    verdict: Verdict,
) -> None:
    of = inventory(mode)
    mx_certificate.append("self-signed certificate")
    with serving(authority, page(text(of))) as server:
        found = look(monkeypatch, authority.file, of, server.port, (record(of),))
    assert (found.verdict, "mx1.sound.zz" in found.observed) == (verdict, True), found


def test_a_domain_that_leaves_is_as_it_should_be(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(monkeypatch, authority.file, inventory("off"), 1, ("v=STSv1; id=none2026121313",))
    assert (found.verdict, "the policy has ended" in found.observed) == (PASS, True)


def test_nothing_is_wanted_and_nothing_stands(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    for of in (inventory("off"), inventory(web=False), inventory(tls=TlsMode.SELF_SIGNED)):
        assert look(monkeypatch, authority.file, of, 1, ()).verdict is SKIP
