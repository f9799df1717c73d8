"""The probes of webmail: each thing that is wrong there, and what they say of it.

Public: PROBES, CASES (which tests have one by one), webmail, fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from mailprov.components.web import place
from mailprov.components.webmail import checks
from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.model.web import with_webmail
from mailprov.selftest.certificates import Authority
from mailprov.selftest.fixture import Fixture, Wanted
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.webmail_server import HEADERS, Roundcube

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP
PROBES = ("webmail.page", "webmail.closed", "webmail.login")
NAME = "webmail.alpha.test"
Act = Callable[[ScriptedLab, Roundcube], None]


@contextmanager
def webmail(lab: ScriptedLab, authority: Authority) -> Iterator[Roundcube]:
    """mx1 has webmail for alpha.test."""
    first, second = lab.inventory.hosts
    domains = tuple(
        replace(domain, webmail="roundcube") if domain.name == "alpha.test" else domain
        for domain in lab.inventory.domains
    )
    hosts = with_webmail((place.SETTING.on(first, True), second), domains)
    lab.inventory = replace(lab.inventory, hosts=hosts, domains=domains)
    lab.world.records[NAME, "A"] = ["127.0.0.1"]
    made = Roundcube(authority)
    lab.start()
    lab.world.port_map.update(made.ports)
    try:
        yield made
    finally:
        made.close()


def _set(**values: object) -> Act:
    def act(lab: ScriptedLab, roundcube: Roundcube) -> None:
        for name, value in values.items():
            setattr(roundcube, name, value)

    return act


def no_name(lab: ScriptedLab, roundcube: Roundcube) -> None:
    del lab.world.records[NAME, "A"]


def led_away(lab: ScriptedLab, roundcube: Roundcube) -> None:
    lab.world.records[NAME, "A"] = ["192.0.2.77"]


def hashes_only(lab: ScriptedLab, roundcube: Roundcube) -> None:
    domains = tuple(
        replace(domain, accounts=tuple(replace(one, password=None) for one in domain.accounts))
        for domain in lab.inventory.domains
    )
    lab.inventory = replace(lab.inventory, domains=domains)


def lacks(name: str) -> Act:
    return _set(headers={each: value for each, value in HEADERS.items() if each != name})


# What is wrong, the verdicts of page, closed and login, and words that must be seen.
CASES: dict[str, tuple[Act, tuple[Verdict, ...], str]] = {
    **{name: (lacks(name), (FAIL, PASS, PASS), name.lower()) for name in HEADERS},
    **{path: (_set(served={path}), (PASS, FAIL, PASS), path) for path in sorted(checks.CLOSED)},
    N_("no PHP"): (_set(php=False), (FAIL, PASS, FAIL), "PHP does not (502); mail goes on"),
    N_("a database that is locked"): (_set(keeps=False), (PASS, PASS, FAIL), "database is locked"),
    N_("a password that is refused"): (_set(takes=False), (PASS, PASS, FAIL), "refuses the login"),
    N_("another page"): (_set(first=b"It works!"), (FAIL, PASS, FAIL), "not Roundcube's login page"),
    N_("no inbox"): (_set(inbox=b"{}"), (PASS, PASS, FAIL), "the inbox is not listed"),
    N_("no name"): (no_name, (WARN, WARN, WARN), "does not exist"),
    N_("a name that leads elsewhere"): (led_away, (WARN, WARN, WARN), "192.0.2.77"),
    N_("a certificate for other names"): (
        _set(certificate="wrong-name"),
        (WARN, PASS, ERROR),
        "not valid for",
    ),
    N_("nobody who could log in"): (hashes_only, (PASS, PASS, SKIP), "only a hash"),
}


def fixtures() -> Iterator[Fixture]:
    right = tuple(Wanted(probe, PASS, place="alpha.test") for probe in PROBES)
    ports = Wanted("web.tls", PASS, place="mx1")
    yield Fixture("webmail-sound", (), (*right, ports), _looked(lambda lab, roundcube: None))
    in_clear = (Wanted("web.tls", FAIL, "answers 200 Word without TLS", "mx1"),)
    yield Fixture("webmail-clear", (_("webmail without TLS"),), in_clear, _looked(_set(clear=True)))
    for number, (case, (act, verdicts, words)) in enumerate(CASES.items(), 1):
        alone = sum(verdict is not PASS for verdict in verdicts) == 1  # else the words are of one of them
        wanted = tuple(
            Wanted(probe, verdict, words if alone and verdict is not PASS else "", "alpha.test")
            for probe, verdict in zip(PROBES, verdicts, strict=True)
        )
        yield Fixture(f"webmail-{number}", (_told(case),), wanted, _looked(act))


def _told(case: str) -> str:
    if case.startswith("/"):
        return _("{path} can be fetched").format(path=case)
    if case in HEADERS:
        return _("the header field {name} is missing").format(name=case)
    return _(case)


def _looked(act: Act) -> Callable[[Authority, Collection[str]], list[Finding]]:
    def look(authority: Authority, probes: Collection[str]) -> list[Finding]:
        lab = ScriptedLab(authority)
        try:
            with webmail(lab, authority) as roundcube:
                act(lab, roundcube)
                return lab.verify(" ".join(probes))
        finally:
            lab.close()

    return look
