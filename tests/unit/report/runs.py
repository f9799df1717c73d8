"""Runs for the tests of reports: a verification in which every verdict occurs, and others that end oddly."""

from __future__ import annotations

from mailprov.model.answers import Found
from mailprov.model.events import Ended, Error, Event, InventoryProblem, Notice, RunEnded, RunStarted
from mailprov.model.findings import Finding, Target, Verdict

START = RunStarted("verify", "mail.yml", "0.1.0", "2026-11-30T05:00:00+00:00")
MX1, MX2 = "192.0.2.11", "2001:db8::12"


def finding(
    verdict: Verdict, probe: str = "tls.chain", target: Target | None = None, **more: object
) -> Finding:
    observed = {
        Verdict.PASS: "trusted",
        Verdict.WARN: "21% of the lifetime is left",
        Verdict.FAIL: "self-signed certificate in certificate chain",
        Verdict.ERROR: "no answer within 5 s",
        Verdict.SKIP: "the domain has no mail_name",
    }[verdict]
    advice = "" if verdict in (Verdict.PASS, Verdict.SKIP) else "give tls.mode: acme for mx1"
    return Finding(
        probe,
        target or Target("mx1", MX1, 465),
        verdict,
        "The chain leads to a trusted authority",
        "a trusted chain",
        observed,
        advice,
        ("S: 220 mx1.alpha.test ESMTP", "C: EHLO probe.test", "S: 250-SIZE 10240000"),
        ("RFC 5280",),
        0.125,
        **more,  # type: ignore[arg-type]
    )


FINDINGS = (
    *(
        finding(Verdict.PASS, probe, Target(host, address, port))
        for host, address in (("mx1", MX1), ("mx2", MX2))
        for port in (25, 465, 587, 143, 993)
        for probe in ("net.tcp", "tls.name", "tls.expiry")
    ),
    finding(Verdict.FAIL, "tls.chain", Target("mx1", MX1, 465)),
    finding(Verdict.FAIL, "tls.chain", Target("mx1", MX1, 993)),
    finding(Verdict.FAIL, "net.tcp", Target("mx2", MX2, 110)),
    finding(Verdict.ERROR, "pop.greeting", Target("mx2", MX2, 110), waits_for="net.tcp mx2:110"),
    finding(Verdict.WARN, "dns.dmarc", Target(domain="alpha.test")),
    finding(Verdict.WARN, "auth.ok", Target("mx2", MX2, 993, account="ana@alpha.test")),
    finding(Verdict.SKIP, "tls.sni", Target("mx2", MX2, 25, "beta.test")),
    finding(Verdict.ERROR, "dns.ptr", Target("mx2", MX2), tasks=("Ask the owner of the address for a PTR",)),
    finding(Verdict.PASS, "tls.expiry", Target("mx1", MX1, 995), not_after=1_803_900_000.0),
)
MIXED: tuple[Event, ...] = (
    START,
    Notice("", "mx3 is left out"),
    *map(Found, FINDINGS),
    RunEnded(1, "31 pass, 2 warn, 3 fail, 2 error, 1 skip", 4.25),
)
SOUND: tuple[Event, ...] = (
    START,
    *(Found(each) for each in FINDINGS if each.verdict in (Verdict.PASS, Verdict.SKIP)),
    RunEnded(0, "31 pass, 1 skip", 3.5),
)
NOTHING: tuple[Event, ...] = (START, RunEnded(3, "no probe ran", 0.1))
INTERRUPTED: tuple[Event, ...] = (START, *map(Found, FINDINGS[:3]), RunEnded(130, "interrupted", 0.5))
WRONG: tuple[Event, ...] = (
    InventoryProblem("mail.yml", 7, 3, "hosts.mx1", "no such key"),
    RunEnded(2, "1 problem in the inventory; nothing was done", 0.1),
)
REFUSED: tuple[Event, ...] = (
    START,
    Error("mail.yml", "no such file", "Give another one"),
    RunEnded(2, "ended before its work was done", 0.1),
)
APPLIED: tuple[Event, ...] = (
    RunStarted("apply", "mail.yml", "0.1.0", "2026-11-30T05:00:00+00:00"),
    Ended("mx1", "ok", 3, "", (), 2.5),
    Ended("mx2", "failed", 0, "postfix check failed", ("fatal: bad main.cf",), 1.0),
    Ended("zone alpha.test", "skipped", 0, "a host failed", (), 0.0),
    Ended("mx3", "unreachable", 0, "connection refused", (), 0.0),
    *map(Found, FINDINGS[:4]),
    RunEnded(1, "3 changes applied; not done on mx2", 4.0),
)
RUNS: dict[str, tuple[Event, ...]] = {
    "mixed": MIXED,
    "sound": SOUND,
    "nothing": NOTHING,
    "interrupted": INTERRUPTED,
    "wrong": WRONG,
    "refused": REFUSED,
    "applied": APPLIED,
    "killed": (START, *map(Found, FINDINGS[:3])),
}
