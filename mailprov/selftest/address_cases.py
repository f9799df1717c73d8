"""The probes of mail for every kind of address: each way that it can go wrong, and what they say of it.

Public: gone, WRONG, fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.model.findings import Verdict
from mailprov.probe import QueueTold
from mailprov.probe.expected_mail import KINDS
from mailprov.selftest.broken import described
from mailprov.selftest.fixture import Fixture, Wanted, on_lab
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR, SKIP = (
    Verdict.PASS,
    Verdict.WARN,
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.SKIP,
)


def gone(*_: object) -> QueueTold:
    """What a host says whose queue is empty."""
    return QueueTold(whole=True)


# faults → what they must show: (probe and address, verdict, words)
WRONG = [
    ("address-refused", "address.alias far@alpha.test", FAIL, "RCPT TO:<far@alpha.test> gets 550 5.1.1"),
    ("address-refused", "address.list staff@alpha.test", FAIL, "550 5.1.1"),
    ("address-refused", "address.domain-alias ana@alfa.test", FAIL, "550 5.1.1"),
    ("address-4xx", "address.alias far@alpha.test", ERROR, "451 4.3.0"),
    ("address-astray", "address.alias far@alpha.test", FAIL, "not in the mailbox of eva@beta.test"),
    ("address-astray", "address.domain-alias ana@alfa.test", FAIL, "also in the mailbox of zoe@alpha.test"),
    ("loses-mail", "address.alias office@alpha.test", FAIL, "not in the mailbox of ana@alpha.test, eva@beta"),
    ("member-lost", "address.list staff@alpha.test", FAIL, "not in the mailbox of eva@beta.test"),
    ("member-twice", "address.list staff@alpha.test", FAIL, "2 copies in the mailbox of ana@alpha.test"),
    ("doubles-mail", "address.alias far@alpha.test", FAIL, "2 copies in the mailbox of eva@beta.test"),
    ("forward-lost", "address.forward user2@alpha.test", FAIL, "not in the mailbox of zoe@alpha.test"),
    ("forward-lost", "address.forward user1@alpha.test", FAIL, "not in the mailbox of eva@beta.test"),
    ("forward-keeps", "address.forward user2@alpha.test", FAIL, "also in the mailbox of user2@alpha.test"),
    ("bcc-visible", "address.bcc ana@alpha.test", FAIL, "zoe@alpha.test, in Bcc alone, is in the header"),
    ("loses-mail", "address.bcc ana@alpha.test", FAIL, "not in the mailbox of ana@alpha.test and zoe"),
    ("attachment-altered", "address.attachment ana@alpha.test", FAIL, "is not the one that was sent: byte 8"),
    ("loses-mail", "address.attachment ana@alpha.test", ERROR, "no copy arrived"),
    ("into-junk", "address.alias far@alpha.test", WARN, "but in Junk Mail"),
    ("data-refused", "address.alias far@alpha.test", FAIL, "554 5.6.0"),
    ("data-4xx", "address.list staff@alpha.test", ERROR, "451 4.3.0"),
    ("roundabout", "delivery.within zoe@alpha.test", FAIL, "it left the domain's hosts on its way"),
    ("no-submission-hop", "delivery.within zoe@alpha.test", FAIL, "no Received field shows a submission"),
    ("loses-mail", "delivery.within zoe@alpha.test", FAIL, "not in the mailbox of zoe@alpha.test"),
    ("no-reports", "dsn.success zoe@alpha.test", FAIL, "no report came"),
    ("reports-twice", "dsn.success zoe@alpha.test", FAIL, "2 reports about one message"),
    ("report-lies", "dsn.success zoe@alpha.test", FAIL, "the report says failed with status 5.1.1"),
    ("report-about-another", "dsn.bounce beta.test", FAIL, "the report is about zoe@alpha.test"),
    ("report-has-sender", "dsn.success zoe@alpha.test", FAIL, "has the sender MAILER-DAEMON@mx1.alpha.test"),
    ("report-other-name", "dsn.success zoe@alpha.test", WARN, "(Original-Envelope-Id)"),
    ("report-in-prose", "dsn.success zoe@alpha.test", WARN, "it is text/plain, not multipart/report"),
    ("data-refused", "dsn.success zoe@alpha.test", FAIL, "554 5.6.0"),
    ("no-dsn", "dsn.success zoe@alpha.test", SKIP, "DSN is not offered"),
    ("no-reports", "dsn.bounce beta.test", FAIL, "no report came"),
    ("report-lies", "dsn.bounce beta.test", FAIL, "the report says relayed with status 2.1.5"),
    ("report-has-sender", "dsn.bounce beta.test", FAIL, "has the sender"),
    ("report-in-prose", "dsn.bounce beta.test", WARN, "programs cannot read"),
    ("data-4xx", "dsn.bounce beta.test", ERROR, "451 4.3.0"),
    ("address-refused", "address.catch-all", FAIL, ""),
    ("address-refused", "address.detail", FAIL, ""),
]


def fixtures() -> Iterator[Fixture]:
    sound = tuple(Wanted(probe, PASS) for probe in KINDS)
    yield Fixture("address-sound", (), sound, on_lab(ScriptedLab.with_addresses, queues=gone, accounts=None))
    wanted: dict[str, list[Wanted]] = {}
    for faults, key, verdict, words in WRONG:
        probe, _blank, account = key.partition(" ")
        wanted.setdefault(faults, []).append(Wanted(probe, verdict, words, account))
    for faults, each in wanted.items():
        look = on_lab(ScriptedLab.with_addresses, faults=faults, queues=gone, accounts=None)
        name = faults if faults.startswith("address-") else f"address-{faults}"
        yield Fixture(name, described(faults), tuple(each), look)
