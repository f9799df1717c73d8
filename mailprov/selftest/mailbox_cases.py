"""The probes of a mailbox for tests: each way in which it can be wrong, and what they say of it.

Public: WRONG, PROBES, fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.model.findings import Verdict
from mailprov.selftest.address_cases import gone
from mailprov.selftest.broken import described
from mailprov.selftest.fixture import Fixture, Wanted, on_lab
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR
PROBES = ("quota.full", "quota.warn", "imap.shared", "imap.keep", "pop.delete")

# fault → what it must show: (probe, verdict, words)
WRONG = [
    ("quota-untold", "quota.full", FAIL, "the server tells no limit, and the inventory says 256 KiB"),
    ("quota-other", "quota.full", FAIL, "its limit is 512 KiB, and the inventory says 256 KiB"),
    ("quota-unheeded", "quota.full", FAIL, "more than its limit is stored"),
    ("quota-late", "quota.full", WARN, "taken though it is full, and sent back later"),
    ("quota-loses", "quota.full", FAIL, "is lost: nobody was told"),
    ("quota-stores", "quota.full", FAIL, "a message is stored in it though it is full"),
    ("quota-odd-code", "quota.full", WARN, "a code that does not say why: 550 5.7.1"),
    ("quota-sticks", "quota.full", FAIL, "it was emptied, and mail is refused all the same: 552 5.2.2"),
    ("quota-refuses-all", "quota.full", ERROR, "refused before it is full"),
    ("append-refused", "quota.full", FAIL, "is refused where 256 KiB are free"),
    ("quota-unwarned", "quota.warn", WARN, "none came within"),
    ("sees-nothing-new", "imap.shared", FAIL, "does not see a new message"),
    ("sees-no-flags", "imap.shared", FAIL, "does not see its flag"),
    ("sees-what-has-gone", "imap.shared", FAIL, "does not see its removal"),
    ("peek-marks", "imap.keep", FAIL, "marked as read"),
    ("fetch-removes", "imap.keep", FAIL, "it has gone"),
    ("uids-are-new", "imap.keep", FAIL, "UIDVALIDITY was"),
    ("append-refused", "imap.keep", ERROR, "APPEND is refused"),
    ("pop-deletes-at-once", "pop.delete", FAIL, "the session ended without QUIT"),
    ("pop-keeps", "pop.delete", FAIL, "still there after QUIT"),
    ("pop-deletes-another", "pop.delete", FAIL, "another message than the deleted one"),
    ("pop-uids-are-new", "pop.delete", FAIL, "unique ids have changed"),
]


def fixtures() -> Iterator[Fixture]:
    sound = tuple(Wanted(probe, PASS) for probe in PROBES)
    yield Fixture("mailbox-sound", (), sound, on_lab(ScriptedLab.with_a_mailbox_for_tests, queues=gone))
    wanted: dict[str, list[Wanted]] = {}
    for fault, probe, verdict, words in WRONG:
        wanted.setdefault(fault, []).append(Wanted(probe, verdict, words, "user9@alpha.test"))
    for fault, each in wanted.items():
        look = on_lab(ScriptedLab.with_a_mailbox_for_tests, faults=fault, queues=gone)
        yield Fixture(f"mailbox-{fault}", described(fault), tuple(each), look)
