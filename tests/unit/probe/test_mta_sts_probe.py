"""zone.mta-sts against a real HTTPS server on loopback, with an authority of the test's own: each thing wrong once."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest

from mailprov import probe
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain, Inventory
from mailprov.probe import Timing
from mailprov.probe.clients.resolver import Answer, NoAnswer, Resolver
from mailprov.selftest.certificates import Authority
from mailprov.selftest.policy_cases import RECORDS, SERVED
from mailprov.selftest.policy_server import ADDRESS, DOMAIN, HOST, POLICY, page, serving

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP

# A CNAME to a name of whoever serves policies for others.
ALIASES = {
    (f"_mta-sts.{DOMAIN}", "TXT"): "id.policies.zz",
    (HOST, "A"): "web.policies.zz",
    (HOST, "AAAA"): "web.policies.zz",
}
ALIASED = {
    ("id.policies.zz", "TXT"): ("v=STSv1; id=1",),
    ("web.policies.zz", "A"): (ADDRESS,),
    (DOMAIN, "MX"): RECORDS[DOMAIN, "MX"],
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("mta-sts"))


def look(
    monkeypatch: pytest.MonkeyPatch,
    trusted: Path,
    port: int,
    records: dict[tuple[str, str], tuple[str, ...]] = RECORDS,
    aliases: dict[tuple[str, str], str] | None = None,
    seconds: float = 60,
) -> Finding:
    known = aliases or {}
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setattr(
        Resolver,
        "ask",
        lambda self, name, kind: Answer(
            name, kind, records.get((name, kind), ()), "ns", known.get((name, kind), "")
        ),
    )
    (found,) = probe.verify(
        Inventory("-", (), (Domain(DOMAIN, ()),)),
        emit=lambda finding: None,
        probe_ids=["zone.mta-sts"],
        timing=dataclasses.replace(Timing(), probe=seconds, connect=seconds),
        port_map={(ADDRESS, 443): port},
        selectors=(),
    )
    assert bool(found.advice) is (found.verdict not in (PASS, SKIP))
    return found


def test_a_policy_for_all_mx_passes(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(authority, page()) as server:
        found = look(monkeypatch, authority.file, server.port)
    assert (found.verdict, found.observed) == (
        PASS,
        "v=STSv1; id=1; mode: enforce, mx: mx1.sound.zz, *.backup.zz, max_age: 604800",
    )
    (request,) = server.requests
    assert request.startswith(f"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {HOST}\r\n")


def test_cnames_to_whoever_serves_policies_for_others(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is for the name that was asked for, not for the one that it leads to (RFC 8461 section 8.2)."""
    with serving(authority, page()) as server:
        assert look(monkeypatch, authority.file, server.port, ALIASED, ALIASES).verdict is PASS
    with serving(authority, page(), name="web.policies.zz") as server:
        found = look(monkeypatch, authority.file, server.port, ALIASED, ALIASES)
    assert (found.verdict, "certificate of mta-sts.sound.zz is not valid" in found.observed) == (FAIL, True)


@pytest.mark.parametrize(
    "answer",
    [
        page(kind="TEXT/plain; charset=utf-8"),
        page().replace(b"Content-Length", b"X-Length"),  # until the connection ends
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        + f"{10:x};x=y\r\n{POLICY[:10]}\r\n{len(POLICY) - 10:X}\r\n{POLICY[10:]}\r\n0\r\n\r\n".encode(),
    ],
)
def test_forms_of_an_answer(authority: Authority, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    with serving(authority, answer) as server:
        found = look(monkeypatch, authority.file, server.port)
    assert found.verdict is PASS, found.observed


@pytest.mark.parametrize(
    ("answer", "verdict", "says"),
    SERVED,
)
def test_what_is_served_wrong(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, answer: bytes, verdict: Verdict, says: str
) -> None:
    with serving(authority, answer) as server:
        found = look(monkeypatch, authority.file, server.port)
    assert (found.verdict, says in found.observed) == (verdict, True), (found.verdict, found.observed)
    assert len(server.requests) == 1  # no redirect was followed


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("wrong-name", "Hostname mismatch"),
        ("expired", "certificate has expired"),
        ("unknown-ca", "unable to get local issuer certificate"),
        ("self-signed", "self-signed certificate"),
    ],
)
def test_a_certificate_that_senders_do_not_take(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, kind: str, says: str
) -> None:
    with serving(authority, page(), kind) as server:
        found = look(monkeypatch, authority.file, server.port)
    assert (found.verdict, says in found.observed) == (FAIL, True), found.observed
    assert not server.requests


def test_a_host_that_is_not_there(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(authority, page()) as server:
        pass
    refused = look(monkeypatch, authority.file, server.port)
    assert (refused.verdict, refused.observed.endswith("connection refused")) == (FAIL, True)
    gone = {**RECORDS, (HOST, "A"): ()}
    found = look(monkeypatch, authority.file, server.port, gone)
    assert (found.verdict, "mta-sts.sound.zz has no address" in found.observed) == (FAIL, True)


def test_a_second_address_counts_where_the_first_takes_no_connection(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = {**RECORDS, (HOST, "A"): ("127.0.0.66", ADDRESS)}  # nobody listens at port 443 of the first
    with serving(authority, page()) as server:
        assert look(monkeypatch, authority.file, server.port, records).verdict is PASS


def test_a_host_that_never_answers_is_not_waited_for_long(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((ADDRESS, 0)) as mute:
        found = look(monkeypatch, authority.file, mute.getsockname()[1], seconds=0.3)
    assert (found.verdict, found.timed_out) == (ERROR, True), found.observed


@pytest.mark.parametrize(
    ("texts", "verdict", "says"),
    [
        ((), SKIP, "no MTA-STS record"),
        (("hello",), SKIP, "no MTA-STS record"),
        (("v=STSv1; id=1", "v=STSv1; id=2"), FAIL, "several records, of which senders take none"),
        (("v=STSv1;",), FAIL, "it has no id"),
        (("v=STSv1; id=2026-11-29",), FAIL, "its id is not 1 to 32 letters and digits"),
    ],
)
def test_records_that_are_wrong(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], verdict: Verdict, says: str
) -> None:
    records = {**RECORDS, (f"_mta-sts.{DOMAIN}", "TXT"): texts}
    with serving(authority, page()) as server:
        found = look(monkeypatch, authority.file, server.port, records)
    assert (found.verdict, says in found.observed) == (verdict, True), found.observed
    assert not server.requests


def test_a_name_server_that_says_nothing(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(self: Resolver, name: str, kind: str) -> Answer:
        raise NoAnswer("nobody answers")

    with serving(authority, page()) as server:
        look(monkeypatch, authority.file, server.port)
        monkeypatch.setattr(Resolver, "ask", silent)
        (found,) = probe.verify(
            Inventory("-", (), (Domain(DOMAIN, ()),)),
            emit=lambda finding: None,
            probe_ids=["zone.mta-sts"],
            selectors=(),
        )
    assert found.verdict is ERROR
