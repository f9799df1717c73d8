"""Findings without those that say that the scripted world has too few accounts for a probe: no account for tests, and
one account of beta.test. test_mailboxes.py and test_addresses.py are about these.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailprov.model.findings import Finding, Verdict
from mailprov.selftest.mailbox_cases import PROBES


def apart(findings: Iterable[Finding]) -> list[Finding]:
    return [item for item in findings if not _too_few(item)]


def _too_few(item: Finding) -> bool:
    few = item.id in PROBES or item.observed.startswith("fewer than two accounts of ")
    return few and item.verdict is Verdict.SKIP
