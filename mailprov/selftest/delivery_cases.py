"""The probes of delivery: each broken way of a message, and what they say of it.

Public: DELIVERIES (which tests have one by one), PARTNERS, fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.model.findings import Verdict
from mailprov.selftest.broken import described
from mailprov.selftest.fixture import Fixture, Wanted, on_lab
from mailprov.selftest.scripted_lab import PATIENCE

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP

# faults → what they must show: (probe, port, verdict, words)
DELIVERIES = {
    "data-refused": [
        ("delivery.submit", 587, FAIL, "554 5.6.0"),
        ("delivery.path", 465, ERROR, "not submitted"),
        ("delivery.fetch", 993, ERROR, "nothing to fetch"),
        ("delivery.cleanup", 993, SKIP, "nothing was sent"),
    ],
    "unsigned": [("delivery.dkim", 587, FAIL, "no DKIM signature of alpha.test")],
    "signs-with-other-key": [("delivery.dkim", 465, FAIL, "the published key is not the signer's")],
    "signs-little": [("delivery.dkim", 465, WARN, "does not sign subject, date, message-id")],
    "keeps-forgery": [
        ("delivery.forged", 587, FAIL, "arrived"),
        ("delivery.results", 587, PASS, "spf=pass, dkim=pass"),
    ],
    "unchecked": [("delivery.results", 587, WARN, "no Authentication-Results of mx2.beta.test")],
    "spf-fails": [("delivery.results", 465, FAIL, "spf=softfail"), ("delivery.dkim", 465, PASS, "ed25519")],
    "data-4xx": [("delivery.submit", 465, ERROR, "451 4.3.0")],
    "sender-4xx": [("delivery.submit", 465, ERROR, "450 4.1.8")],
    "missing-hop": [("delivery.path", 587, FAIL, "no Received field of an MX of the recipient")],
    "no-submission-hop": [("delivery.path", 465, FAIL, "no Received field shows a submission")],
    "clear-hop": [("delivery.path", 587, FAIL, "sent without TLS between the hosts")],
    "clear-submission": [("delivery.path", 465, FAIL, "submitted without TLS")],
    "other-relay": [("delivery.path", 587, FAIL, "the MX did not get it from mx1.alpha.test")],
    "other-helo": [("delivery.path", 587, WARN, "gives another name in EHLO")],
    "other-address": [
        ("delivery.path", 587, WARN, "10.9.9.9"),
        ("delivery.results", 587, FAIL, "but SPF of alpha.test for 10.9.9.9, where it came from, is fail"),
    ],
    "loses-mail": [
        ("delivery.path", 587, FAIL, "not in the mailbox within"),
        ("delivery.fetch", 993, ERROR, "nothing to fetch"),
        ("delivery.cleanup", 993, WARN, "not there"),
    ],
    "doubles-mail": [("delivery.path", 465, FAIL, "arrived 2 times")],
    "into-junk": [
        ("delivery.path", 465, WARN, "arrived in Junk Mail"),
        ("delivery.fetch", 995, SKIP, "POP does not show"),
        ("delivery.fetch", 143, PASS, "the same"),
        ("delivery.cleanup", 993, PASS, "from Junk Mail"),
    ],
    "other-bytes-143 pop-empty": [
        ("delivery.fetch", 993, PASS, "the same"),
        ("delivery.fetch", 143, FAIL, "not the same as over IMAP before: byte"),
        ("delivery.fetch", 110, FAIL, "the message is not there"),
    ],
    # Another probe, or the user, removes a message while we look through the mailbox.
    "pop-removed-meanwhile": [
        ("delivery.fetch", 995, PASS, "the same"),
        ("delivery.fetch", 110, PASS, "the same"),
    ],
    "pop-removed-meanwhile pop-empty": [("delivery.fetch", 995, FAIL, "not there (-ERR Message expunged.)")],
    "other-bytes-pop": [
        ("delivery.fetch", 995, FAIL, "the same as over IMAP before: byte"),
        ("delivery.fetch", 993, PASS, "the same"),
    ],
    "pop-unstuffed": [("delivery.fetch", 110, FAIL, "the same as over IMAP before: byte")],
    "alters-body": [
        ("delivery.dkim", 587, PASS, "signed by alpha.test"),
        ("delivery.fetch", 993, FAIL, "the body is not the same as it was sent: byte"),
    ],
    "adds-disclaimer": [
        ("delivery.dkim", 587, FAIL, "the body was changed after it was signed"),
        ("delivery.fetch", 993, FAIL, "the body is not the same as it was sent: byte"),
    ],
    "read-only": [("delivery.cleanup", 993, WARN, "read only")],
    "no-uidplus others-deleted": [("delivery.cleanup", 993, WARN, "no UIDPLUS")],
    "no-uidplus": [("delivery.cleanup", 993, PASS, "removed 1")],
}

# What keeps beta.test from taking part → (verdict, words); None: it takes part.
PARTNERS = {
    "nobody-gets-in": (FAIL, "587: login as eva@beta.test: 535"),
    "refused": (ERROR, "587: connection refused"),
    "dropped": (ERROR, "993: the server closed the connection"),
    "auth-later": (ERROR, "465: temporary refusal: 454"),
    "banner-554": (ERROR, "25: the greeting is 554"),
}


def fixtures() -> Iterator[Fixture]:
    for faults, cases in DELIVERIES.items():
        wanted = [
            Wanted(probe, verdict, words, "alpha.test->beta.test", port)
            for probe, port, verdict, words in cases
        ]
        look = on_lab(faults=faults, delivery=0.3 if "loses-mail" in faults else PATIENCE)
        name = "+".join(faults.split())
        yield Fixture(f"delivery-{name}", described(faults), tuple(wanted), look)
    for fault, (verdict, words) in PARTNERS.items():
        yield Fixture(
            f"partner-{fault}",
            described(fault),
            (Wanted("delivery.ready", verdict, words, "beta.test"),),
            on_lab(faults=f"127.0.0.2/{fault}"),
        )
