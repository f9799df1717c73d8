"""Probes in the made-up language of test_languages: what they say of themselves, and what they say of servers.

Servers are those of tests/unit/probe, broken in many ways at once. English are names, commands, and what servers and
OpenSSL say, and nothing else.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Profile
from mailprov.probe import catalogue
from mailprov.report import findings as report
from mailprov.report.terminal import rich_console
from mailprov.selftest.certificates import Authority
from mailprov.selftest.scripted_lab import ScriptedLab
from tests.unit.cli.program import mailprov
from tests.unit.i18n.test_languages import _anew, _foreign, folder, plain_words  # noqa: F401
from tests.unit.probe.conftest import _no_public_authorities, authority  # noqa: F401

# Of hosts, and what must be typed; sources, as "RFC 5321 section 4.2", are names.
COMMANDS = {
    "auth",
    "doveadm",
    "doveconf",
    "dovecot",
    "postconf",
    "postfix",
    "postqueue",
    "protocols",
    "rspamd",
    "sendmail",
}
COMMANDS |= {profile.value for profile in Profile} | {"journalctl", "sport"}
COMMANDS |= {"apply", "dkim", "dns", "mailprov", "rotate", "section", "status", "systemctl"}
SERVICES = {"imap", "imaps", "submission", "submissions", "sieve"}
SETTINGS = {"yes", "may", "normalize", "myhostname", "all", "none", "policy"}
FIELDS = {"received", "from", "with", "date", "subject", "junk", "mail"}
OPENSSL = {"unable", "get", "local", "issuer", "certificate", "wrong", "version", "number"}
ACTIONS = {"delivered", "expanded", "failed", "relayed"}  # of a delivery report: RFC 3464 section 2.3.3
SOURCES = {"baseline", "browser", "forum", "requirements"}
NAMES = COMMANDS | SERVICES | SETTINGS | FIELDS | OPENSSL | ACTIONS | SOURCES
WORLDS = {
    "down": ("refused", ""),
    "open": (
        "banner-version clear-auth starttls-twice xclient no-8bitmime no-uidl anybody-gets-in auth-on-25 open-relay "
        "catch-all tells-users sent-ahead smuggles spoof unsigned other-helo into-junk",
        "ageing",
    ),
    "poor": ("banner-name no-starttls no-auth no-imap4 no-capa", "unknown-ca"),
    "lossy": (
        "banner-stars preauth clear-hop keeps-forgery spf-fails doubles-mail signs-little rcpt-4xx",
        "",
    ),
}
VERDICTS = {verdict.value for verdict in Verdict}


@pytest.fixture
def lab(authority: Authority) -> Iterator[ScriptedLab]:  # noqa: F811
    item = ScriptedLab(authority)
    try:
        yield item
    finally:
        item.close()


@pytest.mark.usefixtures("_foreign")
def test_explain_has_no_word_of_english_but_names(tmp_path: Path) -> None:
    done = mailprov("explain", "smuggle.in", cwd=tmp_path)

    assert plain_words(done.stdout) <= NAMES | VERDICTS, done.stdout
    for entry in catalogue():
        shown = entry.translated()
        texts = (shown.title, shown.expected, *shown.steps, *(when for verdict, when in shown.verdicts))
        for text in texts:
            assert plain_words(text) <= NAMES, text


@pytest.mark.usefixtures("_foreign")
@pytest.mark.parametrize("world", WORLDS)
def test_findings_have_no_word_of_english_but_names(lab: ScriptedLab, world: str) -> None:
    lab.spoil(*WORLDS[world])
    found = lab.verify(delivery=2)
    said = {word for finding in found for word in servers_words(finding)}
    out = io.StringIO()
    console = rich_console(out)
    for verbose in (False, True):
        for each in report.render(found, verbose=verbose):
            console.print(each)

    assert plain_words(out.getvalue()) <= NAMES | VERDICTS | said


def servers_words(finding: Finding) -> set[str]:
    target = finding.target
    lines = [line for line in finding.evidence if line.startswith(("S: ", "C: "))]
    words = " ".join([*lines, target.host, target.domain, target.account])
    return {word.lower() for word in re.findall(r"[A-Za-z]{3,}", words)}
