"""The probes of what becomes of strangers' mail, of spam and of forgeries: each thing that is wrong, and what they say.

Public: fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mailprov.model.findings import Verdict
from mailprov.model.inventory import Dmarc, Filter
from mailprov.probe.letters import LETTERS
from mailprov.selftest.address_cases import gone
from mailprov.selftest.broken import described
from mailprov.selftest.fixture import Fixture, Wanted, on_lab
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP

# faults → what they must show of alpha.test: (probe, verdict, words)
WRONG = {
    "loses-mail": [
        ("stranger.mail", FAIL, "accepted, and in no folder of ana@alpha.test"),
        ("stranger.results", ERROR, "no message to look at"),
        ("delivery.header", FAIL, "in no folder"),
    ],
    "doubles-mail": [("stranger.mail", FAIL, "arrived 2 times")],
    "refuses-all": [
        ("stranger.mail", ERROR, "RCPT TO:<ana@alpha.test> gets 554 5.7.1"),
        ("stranger.spam", ERROR, "fares no better"),
        ("stranger.own-domain", ERROR, "fares no better"),
    ],
    "no-null-sender": [("stranger.mail", ERROR, "MAIL FROM:<> gets 550 5.7.1")],
    "sender-4xx": [("stranger.mail", ERROR, "450 4.1.8"), ("spoof.header", ERROR, "refused as well")],
    "data-refused": [("stranger.mail", ERROR, "the message gets 554"), ("delivery.header", PASS, "554")],
    "read-only": [("stranger.mail", WARN, "stays there")],
    "into-junk": [
        ("stranger.mail", PASS, "in Junk Mail"),
        ("stranger.spam", PASS, "the message gets 554 5.7.1"),
    ],
    "keeps-forgery": [("stranger.results", FAIL, "the forged field in the name of mx1.alpha.test arrived")],
    "spam-to-inbox": [("stranger.spam", FAIL, "GTUBE is in INBOX")],
    "spam-4xx": [("stranger.spam", ERROR, "451 4.7.1")],
    "forgeries-to-inbox": [
        ("stranger.own-domain", FAIL, "in INBOX, with dmarc=fail, though the domain says p=reject")
    ],
    "forgeries-to-inbox unchecked": [
        ("stranger.own-domain", FAIL, "in INBOX, and nothing marks it as forged")
    ],
    "from-of-others": [("spoof.header", WARN, "ana@alpha.test may write zoe@alpha.test into From")],
    "adds-no-header": [("delivery.header", WARN, "Date: 0, Message-ID: 0")],
    "shows-device": [("delivery.header", FAIL, "is in the header")],
}


def fixtures() -> Iterator[Fixture]:
    sound = tuple(Wanted(probe, PASS) for probe in LETTERS)
    yield Fixture("letters-sound", (), sound, on_lab(queues=gone))
    for faults, cases in WRONG.items():
        wanted = tuple(Wanted(probe, verdict, words, "alpha.test") for probe, verdict, words in cases)
        name = "+".join(faults.split())
        yield Fixture(
            f"letters-{name}",
            described(faults),
            wanted,
            on_lab(faults=faults, queues=gone, domains=("alpha.test",)),
        )
    marked = (Wanted("stranger.own-domain", PASS, "in INBOX, with dmarc=fail", "alpha.test"),)
    yield Fixture(
        "letters-no-policy",
        described("forgeries-to-inbox"),
        marked,
        on_lab(_without_policy, faults="forgeries-to-inbox", queues=gone, domains=("alpha.test",)),
    )
    none = (Wanted("stranger.spam", SKIP, "`filter: none` on mx1", "alpha.test"),)
    look = on_lab(_without_filter, faults="spam-to-inbox", queues=gone, domains=("alpha.test",))
    yield Fixture("letters-no-filter", described("spam-to-inbox"), none, look)


def _without_policy(lab: ScriptedLab) -> None:
    alpha, beta = lab.inventory.domains
    lab.inventory = replace(lab.inventory, domains=(replace(alpha, dmarc=Dmarc("none")), beta))


def _without_filter(lab: ScriptedLab) -> None:
    hosts = tuple(replace(host, filter=Filter.NONE) for host in lab.inventory.hosts)
    lab.inventory = replace(lab.inventory, hosts=hosts)
