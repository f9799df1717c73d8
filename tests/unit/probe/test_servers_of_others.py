"""Servers that mailprov did not build (`managed: false`): what a package, mbox or PAM does by default is taken for what
it is, and no advice names `mailprov apply` there. On managed hosts the same is as wrong as ever.
"""

from __future__ import annotations

import dataclasses
import threading
from contextlib import ExitStack
from unittest import mock

import pytest

from mailprov.inventory.of_server import Login, of_server
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.inventory import Filter
from mailprov.probe import other_software
from mailprov.probe.checks import probes
from mailprov.probe.clients.connection import Deadline
from mailprov.probe.context import Run
from mailprov.probe.jobs import Job, Jobs
from mailprov.probe.mailauth import delivery_report
from mailprov.probe.timing import Timing
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.session import PASSWORDS
from mailprov.selftest.signer import SELECTOR

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


def of_others(lab: ScriptedLab, *, login: bool = False) -> None:
    """As of a file with `managed: false`, whose filter is none; with `login`, accounts are system users."""
    hosts = tuple(
        dataclasses.replace(host, managed=False, filter=Filter.NONE) for host in lab.inventory.hosts
    )
    domains = tuple(
        dataclasses.replace(
            domain,
            accounts=tuple(
                dataclasses.replace(each, login=each.local_part if login else None)
                for each in domain.accounts
            ),
        )
        for domain in lab.inventory.domains
    )
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts, domains=domains)


def test_system_users_log_in_by_their_own_names(lab: ScriptedLab) -> None:
    of_others(lab, login=True)
    lab.spoil("system-users", "")

    findings = lab.verify("auth spoof delivery smuggle")

    assert [item for item in findings if item.verdict in (FAIL, ERROR)] == []
    logins = {item.target.port for item in findings if item.id == "auth.ok" and item.verdict is PASS}
    assert logins == {465, 587, 110, 995, 143, 993, 4190}
    names = {user for user, _ in lab.world.attempts if not user.startswith("nobody-")}
    assert names == {"ana", "zoe", "eva"}


def test_without_login_the_advice_names_the_key(lab: ScriptedLab) -> None:
    of_others(lab)
    lab.spoil("system-users", "")

    refused = lab.verify("auth.ok", 993, hosts=["mx1"])

    assert {item.verdict for item in refused} == {FAIL}
    assert "`login: ana`" in refused[0].advice


# (fault, probe, port, verdict on a server of others, verdict on a managed host)
DEFAULTS = [
    ("vrfy-as-packaged", "smtp.vrfy", 25, WARN, FAIL),
    ("vrfy-as-packaged catch-all", "smtp.vrfy", 25, FAIL, FAIL),
    ("tells-users", "smtp.vrfy", 25, FAIL, FAIL),
    ("sent-ahead", "smuggle.pipelining", 25, WARN, FAIL),
    ("defers-relay", "relay.classic", 25, PASS, PASS),
    ("alters-body", "delivery.fetch", 993, WARN, FAIL),
    ("alters-body", "delivery.fetch", 110, WARN, FAIL),
    ("keeps-forgery", "delivery.forged", 587, WARN, FAIL),
]


@pytest.mark.parametrize(("faults", "probe", "port", "theirs", "ours"), DEFAULTS)
@pytest.mark.parametrize("managed", [False, True])
def test_what_a_package_does_by_default(
    lab: ScriptedLab, faults: str, probe: str, port: int, theirs: Verdict, ours: Verdict, managed: bool
) -> None:
    if not managed:
        of_others(lab)
    lab.spoil(faults, "")

    found = [item for item in lab.verify(probe) if item.target.port == port]

    assert {item.verdict for item in found} == {ours if managed else theirs}
    assert all(item.advice or item.verdict is PASS for item in found)


def test_a_filter_that_is_declared_must_take_forged_results_out(lab: ScriptedLab) -> None:
    of_others(lab)
    hosts = tuple(dataclasses.replace(host, filter=Filter.RSPAMD) for host in lab.inventory.hosts)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    lab.spoil("keeps-forgery", "")

    assert {item.verdict for item in lab.verify("delivery.forged")} == {FAIL}


def test_a_signature_is_judged_as_it_was_before_mbox_changed_the_body(lab: ScriptedLab) -> None:
    lab.spoil("alters-body", "")

    found = lab.verify("delivery.dkim")

    assert {item.verdict for item in found} == {PASS}, [item.observed for item in found]


@pytest.mark.parametrize(
    "faults", ["unsigned", "signs-with-other-key", "signs-little", "refused", "nobody-gets-in"]
)
def test_no_advice_tells_to_apply(lab: ScriptedLab, faults: str) -> None:
    of_others(lab)
    lab.spoil(faults, "")

    findings = lab.verify("net auth delivery")

    assert [item.advice for item in findings if "apply" in item.advice or "rotate" in item.advice] == []


def test_another_4xx_than_the_one_for_relaying_shows_nothing(lab: ScriptedLab) -> None:
    of_others(lab)
    lab.spoil("rcpt-4xx", "")

    assert _verdicts(lab.verify("relay.classic", 25)) == {ERROR}


def _verdicts(findings: list[Finding]) -> set[Verdict]:
    return {item.verdict for item in findings}


def test_what_postfix_agrees_to_by_default_is_a_warning(lab: ScriptedLab) -> None:
    """Anonymous suites and TLS 1.0, also where users submit; what no package has is a failure there, too."""
    lab.spoil("agrees-aNULL agrees-tls-1.0", "")
    assert _verdicts(lab.verify("tls.versions", 587)) == _verdicts(lab.verify("tls.ciphers", 587)) == {FAIL}
    of_others(lab)
    assert _verdicts(lab.verify("tls.versions", 587)) == _verdicts(lab.verify("tls.ciphers", 587)) == {WARN}
    lab.world.faults = frozenset({"agrees-NULL", "agrees-ssl-3.0"})
    assert _verdicts(lab.verify("tls.versions", 587)) == _verdicts(lab.verify("tls.ciphers", 587)) == {FAIL}


def strange(lab: ScriptedLab, server: str = "mx1.alpha.test", *, by_name: bool = False) -> list[Finding]:
    """What `verify --server` finds, with one account of its domain."""
    domain = server.partition(".")[2]
    login = {"alpha.test": "ana@alpha.test", "beta.test": "eva@beta.test"}[domain]
    ca_file = lab.authority.file
    lab.inventory = of_server(
        server, [], [Login(login)], by_name=by_name, ca_file=ca_file, ask=lambda address: PASSWORDS[address]
    )
    return lab.verify("", wait=60, selectors=(SELECTOR,))


@pytest.mark.parametrize("server", ["mx1.alpha.test", "mx2.beta.test"])
def test_a_sound_server_that_no_inventory_describes(lab: ScriptedLab, server: str) -> None:
    findings = strange(lab, server)

    assert [item for item in findings if item.verdict in (FAIL, ERROR)] == []
    passed = {(item.id, item.target.port) for item in findings if item.verdict is PASS}
    for probe in ("net.tcp", "tls.chain", "auth.ok", "auth.bad-password"):
        assert {port for found, port in passed if found == probe} >= {465, 587, 110, 995, 143, 993}, probe
    assert {("relay.classic", 25), ("unknown.user", 25), ("zone.mx", 0), ("zone.dkim", 0)} <= passed
    # Records are judged for what they are: no inventory says what they should be.
    assert not {item.id for item in findings} & {
        "dns.mx",
        "dns.spf",
        "dns.dkim",
        "dns.dmarc",
        "dns.published",
    }
    assert not [item for item in findings if "the inventory" in item.advice or "hosts." in item.advice]


@pytest.mark.parametrize(
    ("fault", "certificate", "red"),
    [
        ("open-relay", "", "relay.classic"),
        ("nobody-gets-in", "", "auth.ok"),
        ("anybody-gets-in", "", "auth.bad-password"),
        ("", "expired", "tls.expiry"),
        ("clear-auth", "", "smtp.ehlo"),
    ],
)
def test_what_is_wrong_with_it_is_found(lab: ScriptedLab, fault: str, certificate: str, red: str) -> None:
    lab.spoil(fault, certificate)
    findings = strange(lab)
    assert red in {item.id for item in findings if item.verdict is FAIL}
    assert not [item for item in findings if item.verdict is FAIL and "hosts." in item.advice]


def test_system_users_of_it_log_in_by_name_and_the_advice_says_how(lab: ScriptedLab) -> None:
    lab.spoil("system-users", "")

    refused = [item for item in strange(lab) if item.id == "auth.ok"]
    assert {item.verdict for item in refused} == {FAIL}
    assert "`--login-as name`" in refused[0].advice

    assert {item.verdict for item in strange(lab, by_name=True) if item.id == "auth.ok"} == {PASS}


def test_what_nobody_has_said_of_it_is_not_told_as_a_setting(lab: ScriptedLab) -> None:
    skipped = {item.observed for item in strange(lab) if item.id == "delivery.results"}
    assert skipped == {"nobody has said whether mx1.alpha.test checks what arrives"}


def test_one_domain_is_not_told_as_two(lab: ScriptedLab) -> None:
    paths = {item.observed for item in strange(lab) if item.id == "delivery.path"}
    assert paths
    assert all("sender and recipient are on one host" in seen for seen in paths)
    assert not [seen for seen in paths if "domains" in seen]


@pytest.mark.parametrize(("managed", "most"), [(False, 2), (True, 6)])
def test_few_at_once_to_a_port_of_a_server_of_others(lab: ScriptedLab, managed: bool, most: int) -> None:
    """Courier takes four connections from one address, as packaged, and drops what comes beyond."""
    host = dataclasses.replace(lab.inventory.hosts[0], managed=managed)
    run = Run(lab.inventory, mock.Mock(), Timing(), "", threading.Event(), Deadline(600))
    run.addresses[host.name] = ("127.0.0.1",)
    jobs = list(Jobs(run, probes(), ("smtp.banner", "tls.starttls"), (25,)).looks([host], []))
    assert len(jobs) == 2
    with ExitStack() as held:
        assert sum(_taken(jobs[number % 2], held) for number in range(10)) == most


def _taken(job: Job, held: ExitStack) -> bool:
    """Whether there is room for it beside those that hold their limits."""
    with ExitStack() as mine:
        for limit in job.limits:
            if not limit.acquire(blocking=False):
                return False
            mine.callback(limit.release)
        held.push(mine.pop_all())
    return True


def test_a_server_that_refuses_any_mechanism_alike_has_looked_at_no_password(lab: ScriptedLab) -> None:
    """Courier says 535 in clear, to whatever it does not offer; one that says 535 to a known mechanism alone looks."""
    lab.spoil("refuses-alike", "")
    (found,) = [item for item in lab.verify("tls.enforced", 587, hosts=["mx1"]) if item.target.port == 587]
    assert found.verdict is PASS


def test_one_port_of_those_that_do_the_same_is_enough_where_nobody_has_described_it(lab: ScriptedLab) -> None:
    lab.world.off["127.0.0.1"] = {"submissions", "pop3", "pop3s"}
    findings = strange(lab)
    assert {
        item.verdict for item in findings if item.id == "net.tcp" and item.target.port in (465, 110, 995)
    } == {SKIP}
    assert [item for item in findings if item.verdict in (FAIL, ERROR)] == []


def test_where_nobody_can_hand_mail_in_that_is_a_failure(lab: ScriptedLab) -> None:
    lab.world.off["127.0.0.1"] = {"submissions", "submission"}
    failed = {(item.id, item.target.port) for item in strange(lab) if item.verdict is FAIL}
    assert failed == {("net.tcp", 465), ("net.tcp", 587)}


@pytest.mark.parametrize(
    ("greeting", "offered", "name"),
    [
        ("220 mx.example.org ESMTP Exim 4.96 Mon, 30 Nov 2026 08:30:22 +0000", (), "exim"),
        ("220 mx.example.org ESMTP Sendmail 8.17.1.9/8.17.1.9/Debian-2; Mon, 30 Nov 2026", (), "sendmail"),
        ("220 mx.example.org ESMTP", ("XVERP=COURIER", "XEXDATA"), "courier"),
        ("220 X.outlook.com Microsoft ESMTP MAIL Service ready at Mon, 30 Nov 2026", (), "exchange"),
        ("220 exim.example.org ESMTP Postfix (Debian/GNU)", ("PIPELINING",), ""),
    ],
)
def test_a_server_is_known_by_what_it_says_of_itself(
    greeting: str, offered: tuple[str, ...], name: str
) -> None:
    assert other_software.named(greeting, offered) == name


@pytest.mark.parametrize("software", other_software.NAMES)
def test_no_advice_of_postfix_stands_alone_for_another_server(software: str) -> None:
    for probe in probes():
        advice = "postconf -e 'smtpd_banner = $myhostname ESMTP'"
        finding = Finding(probe.entry.id, Target("mx1", port=25), FAIL, "", "", "", advice)
        text = other_software.suited(software, finding)
        assert text
        assert text != advice
        assert "postconf" not in text or text.startswith(f"this is {other_software.NAMES[software]}")


def test_advice_names_probes_that_exist() -> None:
    known = {probe.entry.id for probe in probes()}
    tables = (other_software.SMTP, other_software.MAILBOX)
    named = {probe for table in tables for advice in table.values() for probe in advice}
    assert named <= known


def test_lost_mail_is_looked_for_by_the_server_s_own_means() -> None:
    """address.bcc has two kinds of advice: of the field, and of a copy that did not arrive."""
    lost = Finding(
        "address.bcc", Target("mx1"), FAIL, "", "", "", "ask Postfix (sendmail -bv ana@example.org)"
    )
    shown = Finding(
        "address.bcc", Target("mx1"), FAIL, "", "", "", "postconf -e 'message_drop_headers = bcc'"
    )
    assert "exim -bt" in other_software.suited("exim", lost)
    assert "remove_header = Bcc" in other_software.suited("exim", shown)


def test_sendmail_says_in_a_comment_where_it_has_delivered_to() -> None:
    """RFC 3464 section 2.3.3 has no comment there; Sendmail writes `Action: delivered (to mailbox)`."""
    text = (
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx1.alpha.test\r\n\r\n"
        b"Final-Recipient: RFC822; eva@alpha.test\r\nAction: delivered (to mailbox)\r\nStatus: 2.1.5\r\n\r\n--x--\r\n"
    )
    assert [about.action for about in delivery_report.read(text).about] == ["delivered"]
