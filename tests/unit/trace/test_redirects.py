"""What a user's filter (Sieve) sends on, as Dovecot 2.3 and 2.4 log it: who has it then, and who wrote what.

The lines are those of a message to bob, whose filter says `redirect "luis@…";`, and of luis' copy, whose filter says
`redirect :copy`; here all of them have their mailbox on one host.
"""

from __future__ import annotations

import pytest

from mailprov.inventory import SecretMode, load
from mailprov.model.inventory import Inventory
from mailprov.model.trace import Agent, Outcome, Trace
from mailprov.trace.observed import Dialogue, HostLog, Record, Seen, Visit
from mailprov.trace.way import way

INVENTORY = """\
hosts:
  mx2: {address: 10.78.1.12, fqdn: mx2.beta.test}
domains:
  beta.test:
    hosts: [mx2]
    accounts: {bob: {password: {env: P}}, eva: {password: {env: P}}, luis: {password: {env: P}}}
"""
ID = "<c3938f6518a3137ab643ebce@beta.test>"
_LMTP = (
    "relay=mx2.beta.test[private/dovecot-lmtp], delay=0.05, delays=0.01/0/0.03/0.01, dsn=2.0.0, status=sent"
)
LINES = [
    (
        "postfix/submission/smtpd",
        "BCD8DFCE003: client=unknown[10.78.1.1], sasl_method=PLAIN, sasl_username=eva@beta.test",
    ),
    ("postfix/submission-cleanup/cleanup", f"BCD8DFCE003: message-id={ID}"),
    ("postfix/qmgr", "BCD8DFCE003: from=<eva@beta.test>, size=811, nrcpt=1 (queue active)"),
    (
        "postfix/lmtp",
        f"BCD8DFCE003: to=<bob@beta.test>, {_LMTP} (250 2.0.0 <bob@beta.test> 9SJcNAcRDWsyHwAAEHk4WA Saved)",
    ),
    (
        "dovecot",
        f"lmtp(bob@beta.test)<7986><9SJcNAcRDWsyHwAAEHk4WA>: sieve: msgid={ID}: redirect action: forwarded to "
        "<luis@beta.test>",
    ),
    ("postfix/qmgr", "BCD8DFCE003: removed"),
    ("postfix/sieve-redirect/smtpd", "21B1BFCE018: client=localhost[127.0.0.1]"),
    ("postfix/sieve-cleanup/cleanup", f"21B1BFCE018: message-id={ID}"),
    ("postfix/qmgr", "21B1BFCE018: from=<eva@beta.test>, size=1972, nrcpt=1 (queue active)"),
    (
        "postfix/lmtp",
        f"21B1BFCE018: to=<luis@beta.test>, {_LMTP} (250 2.0.0 <luis@beta.test> ZTU4NQgRDWuOJQAA7Dvb1A Saved)",
    ),
    (
        "dovecot",
        f"lmtp(luis@beta.test)<9614><ZTU4NQgRDWuOJQAA7Dvb1A>: sieve: msgid={ID}: stored mail into mailbox 'INBOX'",
    ),
    ("postfix/qmgr", "21B1BFCE018: removed"),
]
# As they lay in luis' mailbox: above the sender's own lines stands what Sieve added on the way out of bob's.
HEADERS = (
    "Return-Path: <eva@beta.test>",
    "Received: from mx2.beta.test (localhost [127.0.0.1]) by mx2.beta.test (Postfix) with ESMTP id 21B1BFCE018 for "
    "<luis@beta.test>; Mon, 30 Nov 2026 06:00:39 +0000 (UTC)",
    "X-Sieve: Pigeonhole Sieve 2.4.1-4 (0a86619f)",
    "X-Sieve-Redirected-From: bob@beta.test",
    "Delivered-To: bob@beta.test",
    "Received: from mx2.beta.test by mx2.beta.test with LMTP id iZdhEXoRDWviHwAAEHk4WA (envelope-from <eva@beta.test>) "
    "for <bob@beta.test>; Mon, 30 Nov 2026 06:00:39 +0000",
    "Received: from localhost (localhost [127.0.0.1]) by mx2.beta.test (Postfix) with ESMTPSA id BCD8DFCE003 for "
    "<bob@beta.test>; Mon, 30 Nov 2026 06:00:39 +0000 (UTC)",
    "Date: Mon, 30 Nov 2026 06:00:39 +0000",
)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    path = tmp_path_factory.mktemp("inventory") / "mail.yml"
    path.write_text(INVENTORY)
    return load(path, SecretMode.IGNORE)


def told(inventory: Inventory, lines: list[tuple[str, str]] = LINES) -> Trace:
    records = tuple(
        Record("mx2", 1_796_018_439_000_000 + number * 1_000, ident, 7, text)
        for number, (ident, text) in enumerate(lines)
    )
    log = HostLog("mx2", "mx2.beta.test", ("10.78.1.12",), records, 0.0)
    looked = Visit("mx2", 993, "imap", "bob@beta.test", 1.0, 0.1)
    read = Visit("mx2", 993, "imap", "luis@beta.test", 1.0, 0.1, folder="INBOX", headers=HEADERS)
    dialogue = Dialogue("mx2", 587, 0.0, 0.1, code=250, queue_id="BCD8DFCE003", taken=("bob@beta.test",))
    return way(
        Seen(
            inventory, ID, "eva@beta.test", ("bob@beta.test",), 1_796_018_439.0, dialogue=dialogue, logs=(log,),
            visits=(looked, read),
        )
    )  # fmt: skip


def test_who_keeps_nothing_has_sent_it_on(inventory: Inventory) -> None:
    """It is in no folder, and nobody has to look for it."""
    assert [(each.final, each.outcome, each.text) for each in told(inventory).arrivals] == [
        (
            "bob@beta.test",
            Outcome.HANDED_ON,
            "A filter of bob@beta.test (Sieve) sent it on to luis@beta.test, and kept nothing",
        ),
        ("luis@beta.test", Outcome.DELIVERED, "luis@beta.test has it in INBOX"),
    ]


def test_who_keeps_a_copy_has_it(inventory: Inventory) -> None:
    kept = (
        "dovecot",
        LINES[4][1].replace(
            "redirect action: forwarded to <luis@beta.test>", "stored mail into mailbox 'Old'"
        ),
    )
    made = told(inventory, [*LINES[:5], kept, *LINES[5:]])
    assert (made.arrivals[0].outcome, made.arrivals[0].final) == (Outcome.UNKNOWN, "bob@beta.test"), (
        "IMAP is believed"
    )


def test_what_sieve_wrote_is_not_told_as_a_spam_filters(inventory: Inventory) -> None:
    made = told(inventory)
    (sent_on,) = [step for step in made.steps if step.agent is Agent.ADDRESS]
    added = ["Received", "X-Sieve", "X-Sieve-Redirected-From", "Delivered-To", "Received"]
    assert [line.partition(":")[0] for line in sent_on.headers] == added
    assert [step.queue_id for step in made.steps if step.agent is Agent.FILTER] == []
