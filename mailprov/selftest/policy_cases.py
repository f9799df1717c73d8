"""The probes of MTA-STS: each thing that is wrong with record, policy or web server, and what they say of it.

Public: DOMAIN, HOST, ADDRESS, POLICY, RECORDS, SERVED (which tests have one by one), fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from mailprov.i18n import N_, _
from mailprov.model import web
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain, Inventory
from mailprov.selftest.broken import described
from mailprov.selftest.certificates import Authority
from mailprov.selftest.fixture import Fixture, Wanted
from mailprov.selftest.policy_server import ADDRESS, DOMAIN, HOST, POLICY, page, serving
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR

RECORDS = {
    (f"_mta-sts.{DOMAIN}", "TXT"): ("v=STSv1; id=1",),
    (HOST, "A"): (ADDRESS,),
    (DOMAIN, "MX"): ("10 mx1.sound.zz", "20 a.backup.zz"),
}

# What the web server answers, verdict, words
SERVED: list[tuple[bytes, Verdict, str]] = [
    (page("", "404 Not Found"), FAIL, "answers 404 Not Found"),
    (page("", "500 Oops"), FAIL, "answers 500 Oops"),
    (
        page("", "301 Moved", "Location: https://www.sound.zz/"),
        FAIL,
        "redirects to https://www.sound.zz/, which senders do not follow",
    ),
    (page(kind="text/html"), FAIL, "is of the type text/html"),
    (page().replace(b"Content-Type", b"X-Type"), FAIL, "is of the type none"),
    (page("x" * 65537), FAIL, "longer than the 65536 bytes"),
    (page("x" * 65537).replace(b"Content-Length", b"X-Length"), FAIL, "longer than the 65536 bytes"),
    (page(b"\xff\xfe"), FAIL, "is not text in UTF-8"),
    (page("<html>soon</html>"), FAIL, "cannot be read: line 1 is not `key: value`: <html>soon</html>"),
    (page(POLICY.replace("enforce", "strict")), FAIL, "its mode is strict"),
    (page(POLICY.replace("mx: mx1.sound.zz\r\n", "")), FAIL, "the policy names no mx for mx1.sound.zz"),
    (page(POLICY.replace("*.backup", "backup")), FAIL, "the policy names no mx for a.backup.zz"),
    (
        page(POLICY.replace("enforce", "testing").replace("*.backup", "backup")),
        WARN,
        "names no mx for a.backup.zz",
    ),
    (page(POLICY.replace("enforce", "testing")), WARN, "mode: testing forbids nothing"),
    (page("version: STSv1\nmode: none\nmax_age: 86400\n"), WARN, "there is no policy any more"),
    (page(POLICY.replace("604800", "3600")), WARN, "senders forget the policy within a week"),
    (b"220 mx1.sound.zz ESMTP\r\n", ERROR, "this is not HTTP: 220 mx1.sound.zz ESMTP"),
    (b"", ERROR, "the server closed the connection"),
    (page().replace(b"Content-Length: ", b"Content-Length: -"), ERROR, "a length that is no number"),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101, ERROR, "more than 100 header fields"),
]
_WHAT = (
    N_("there is no policy"),
    N_("the web server fails"),
    N_("the policy is behind a redirect"),
    N_("the policy is sent as HTML"),
    N_("the policy has no type"),
    N_("the policy is too long"),
    N_("the policy is too long, and does not say how long"),
    N_("the policy is no text"),
    N_("another page in place of the policy"),
    N_("a mode that there is not"),
    N_("an MX is missing in the policy"),
    N_("a backup MX is missing in the policy"),
    N_("a backup MX is missing in the policy, while testing"),
    N_("the policy is only tested"),
    N_("the policy has ended"),
    N_("senders forget the policy soon"),
    N_("another program listens there"),
    N_("the connection is closed at once"),
    N_("the length is no number"),
    N_("header fields without end"),
)
# TXT at _mta-sts, verdict, words, what is wrong
TEXTS: list[tuple[tuple[str, ...], str, str]] = [
    (("v=STSv1; id=1", "v=STSv1; id=2"), "several records", N_("two records")),
    (("v=STSv1;",), "it has no id", N_("a record without id")),
    (("v=STSv1; id=2026-11-29",), "its id is not", N_("an id that is none")),
]


def fixtures() -> Iterator[Fixture]:
    probe = "zone.mta-sts"
    yield Fixture("policy-sound", (), (Wanted(probe, PASS),), _foreign(page()))
    for number, ((answer, verdict, words), what) in enumerate(zip(SERVED, _WHAT, strict=True), 1):
        yield Fixture(f"policy-{number}", (_(what),), (Wanted(probe, verdict, words),), _foreign(answer))
    for kind in ("wrong-name", "expired", "unknown-ca", "self-signed"):
        wanted = (Wanted(probe, FAIL),)
        yield Fixture(f"policy-{kind}", described("", kind), wanted, _foreign(page(), kind=kind))
    for number, (texts, words, what) in enumerate(TEXTS, 1):
        wanted = (Wanted(probe, FAIL, words),)
        yield Fixture(f"policy-record-{number}", (_(what),), wanted, _foreign(page(), texts))
    yield from _own()


def _foreign(answer: bytes, texts: tuple[str, ...] = ("v=STSv1; id=1",), kind: str = "right") -> Look:
    """Of a domain that no inventory describes."""

    def look(authority: Authority, probes: Collection[str]) -> list[Finding]:
        lab = ScriptedLab(authority)
        records = {**RECORDS, (f"_mta-sts.{DOMAIN}", "TXT"): texts}
        _publish(lab, records)
        lab.inventory = Inventory("-", (), (Domain(DOMAIN, ()),))
        with serving(authority, answer, kind) as server:
            lab.world.port_map[ADDRESS, 443] = server.port
            try:
                return lab.verify(" ".join(probes), selectors=())
            finally:
                lab.close()

    return look


Look = Callable[[Authority, Collection[str]], list[Finding]]


def _publish(lab: ScriptedLab, records: dict[tuple[str, str], tuple[str, ...]]) -> None:
    for (name, kind), values in records.items():
        form = {"TXT": '"{}"', "MX": "{}."}.get(kind, "{}")
        lab.world.records[name, kind] = [form.format(value) for value in values]


def _own() -> Iterator[Fixture]:
    """dns.mta-sts, of alpha.test in the inventory."""
    probe, place = "dns.mta-sts", "alpha.test"
    rows: list[tuple[str, str, str, tuple[str, ...], str, str, Verdict, str]] = [
        # name, what, mode, texts (ours: the right one), served (ours), certificate of the MX, verdict, words
        ("sound", "", "enforce", ("ours",), "ours", "", PASS, ""),
        (
            "no-record",
            N_("no record tells of the policy"),
            "testing",
            (),
            "ours",
            "",
            WARN,
            "there is no record",
        ),
        (
            "other-record",
            N_("the record tells of another policy"),
            "testing",
            ("v=STSv1; id=1",),
            "ours",
            "",
            WARN,
            "tells of another policy",
        ),
        (
            "two-records",
            N_("two records"),
            "testing",
            ("ours", "v=STSv1; id=1"),
            "ours",
            "",
            WARN,
            "several records",
        ),
        (
            "other-policy",
            N_("another policy is served"),
            "enforce",
            ("ours",),
            "testing",
            "",
            WARN,
            "another one",
        ),
        (
            "no-policy",
            N_("a record, and there is no policy"),
            "testing",
            ("ours",),
            "",
            "",
            FAIL,
            "answers 404",
        ),
        (
            "certificate",
            N_("the MX has a certificate that nobody trusts"),
            "enforce",
            ("ours",),
            "ours",
            "unknown-ca",
            FAIL,
            "mx1.alpha.test",
        ),
    ]
    for name, what, mode, texts, served, certificate, verdict, words in rows:
        look = _described(mode, texts, served, certificate)
        yield Fixture(
            f"dns.mta-sts-{name}", (_(what),) if what else (), (Wanted(probe, verdict, words, place),), look
        )


def _described(mode: str, texts: tuple[str, ...], served: str, certificate: str) -> Look:
    def look(authority: Authority, probes: Collection[str]) -> list[Finding]:
        lab = ScriptedLab(authority)
        lab.spoil("", certificate)
        hosts = tuple(replace(host, settings={"web": True}) for host in lab.inventory.hosts)
        inventory = replace(lab.inventory, hosts=hosts)

        def with_mode(mode: str) -> Inventory:
            alpha, beta = inventory.domains
            return replace(inventory, domains=(replace(alpha, mta_sts=mode, domain_aliases=()), beta))

        lab.inventory = with_mode(mode)
        policy = web.policy(lab.inventory, lab.inventory.domains[0])
        assert policy is not None
        ours = f"v=STSv1; id={web.policy_id(lab.inventory.domains[0], policy)}"
        _publish(
            lab,
            {
                ("_mta-sts.alpha.test", "TXT"): tuple(ours if text == "ours" else text for text in texts),
                ("mta-sts.alpha.test", "A"): (ADDRESS,),
            },
        )
        other = web.policy(with_mode("testing"), with_mode("testing").domains[0])
        assert other is not None
        answer = {"ours": page(policy.text()), "testing": page(other.text())}.get(
            served, page("", "404 Not Found")
        )
        with serving(authority, answer, name="mta-sts.alpha.test") as server:
            lab.world.port_map[ADDRESS, 443] = server.port
            try:
                return lab.verify(" ".join(probes), domains=["alpha.test"])
            finally:
                lab.close()

    return look
