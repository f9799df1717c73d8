"""Findings that the inventory accepts: which they are, until when, and what is told of entries that are not needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov.errors import InventoryError
from mailprov.inventory import SecretMode, load
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.run.accepting import Acceptance, check
from mailprov.run.verify import exit_code

INVENTORY = """\
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test}}
  mx2: {{address: 192.0.2.2, fqdn: mx2.alpha.test}}
domains:
  alpha.test: {{hosts: [mx1, mx2], accounts: {{ana: {{password: {{env: P}}}}}}}}
verify:
  accept:
    - {entry}
"""
NOW = 1_800_000_000.0  # 2027-01-15


def acceptance(tmp_path: Path, *entries: str) -> Acceptance:
    path = tmp_path / "mail.yml"
    path.write_text(INVENTORY.format(entry="\n    - ".join(entries)))
    read = load(path, SecretMode.IGNORE)
    check(read)
    return Acceptance(read, NOW)


def found(
    verdict: Verdict, probe: str = "tls.chain", target: Target | None = None, waits_for: str = ""
) -> Finding:
    target = target or Target("mx1", "192.0.2.1", 993)
    return Finding(
        probe, target, verdict, "title", "wanted", "seen", "to do", ("S: 220",), waits_for=waits_for
    )


CHAIN = "{probe: tls.chain, target: mx1, reason: 'ticket 4711', until: 2027-06-30}"


def test_a_failure_that_is_accepted_is_a_skip_with_the_reason_and_changes_no_exit_code(
    tmp_path: Path,
) -> None:
    judged = acceptance(tmp_path, CHAIN).judged(found(Verdict.FAIL))
    assert (judged.verdict, judged.accepted, judged.advice) == (Verdict.SKIP, "fail", "")
    assert judged.observed == "accepted: ticket 4711; it is fail: seen"
    assert judged.evidence == ("S: 220",), "what was seen can be looked at"
    assert exit_code([judged, found(Verdict.PASS)]) == 0
    assert exit_code([judged]) == 3, "what is accepted proves nothing"


@pytest.mark.parametrize(
    ("entry", "finding", "accepted"),
    [
        (CHAIN, found(Verdict.WARN), True),
        (CHAIN, found(Verdict.PASS), False),
        (CHAIN, found(Verdict.SKIP), False),
        (CHAIN, found(Verdict.ERROR), False),  # what could not be tested
        (CHAIN, found(Verdict.FAIL, "tls.name"), False),
        (CHAIN, found(Verdict.FAIL, target=Target("mx2", "192.0.2.2", 993)), False),
        ("{probe: tls, target: MX1, reason: x}", found(Verdict.FAIL, "tls.name"), True),
        ("{probe: 'tls.*', reason: x}", found(Verdict.FAIL, target=Target("mx2", "", 25)), True),
        ("{probe: tls, target: 'mx1:993', reason: x}", found(Verdict.FAIL), True),
        ("{probe: tls, target: 'mx1:99', reason: x}", found(Verdict.FAIL), False),
        ("{probe: dns, target: alpha.test, reason: x}",
         found(Verdict.WARN, "dns.dmarc", Target(domain="alpha.test")), True),
        ("{probe: auth, target: ana@alpha.test, reason: x}",
         found(Verdict.FAIL, "auth.ok", Target("mx1", "192.0.2.1", 993, account="ana@alpha.test")), True),
        ("{probe: net.tcp, target: 'mx1:993', reason: x}",
         found(Verdict.ERROR, "imap.greeting", waits_for="net.tcp mx1:993"), True),
        ("{probe: net.tcp, target: 'mx1:995', reason: x}",
         found(Verdict.ERROR, "imap.greeting", waits_for="net.tcp mx1:993"), False),
    ],
)  # fmt: skip
def test_what_an_entry_holds_for(entry: str, finding: Finding, accepted: bool, tmp_path: Path) -> None:
    judged = acceptance(tmp_path, entry).judged(finding)
    assert (judged is not finding) is accepted
    assert judged.accepted == (finding.verdict.value if accepted else "")


def test_from_its_date_on_it_counts_again_and_that_is_said(tmp_path: Path) -> None:
    ended = acceptance(tmp_path, "{probe: tls.chain, reason: ticket 4711, until: 2027-01-14}")
    assert ended.judged(found(Verdict.FAIL)).verdict is Verdict.FAIL
    (text,) = ended.told(True)
    assert text == (
        f"{tmp_path}/mail.yml:8: tls.chain is no longer accepted since 2027-01-15 00:00 UTC: ticket 4711"
    )
    today = acceptance(tmp_path, "{probe: tls.chain, reason: x, until: 2027-01-15}")
    assert today.judged(found(Verdict.FAIL)).verdict is Verdict.SKIP, "until the end of that day"


def test_an_entry_that_nothing_was_found_for_is_named_when_all_was_looked_at(tmp_path: Path) -> None:
    some = acceptance(tmp_path, CHAIN, "{probe: dns.dmarc, reason: x}")
    some.judged(found(Verdict.FAIL))
    assert list(some.told(False)) == []
    (text,) = some.told(True)
    assert text.startswith(f"{tmp_path}/mail.yml:9: dns.dmarc is accepted, and nothing of it was found wrong")


def test_a_probe_that_there_is_not_is_a_problem_at_its_line(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"mail.yml:9:7: .*no probe or family of probes is .tls.chian."):
        acceptance(tmp_path, CHAIN, "{probe: tls.chian, reason: x}")
