"""Traces as the tests of their looks take them: `TRACES`, name → trace.

Written by hand after real logs of the lab (Debian 12 and 13); those of real messages are in tests/golden/trace.
"""

from __future__ import annotations

from mailprov.model.trace import (
    Agent,
    Arrival,
    Clock,
    Delays,
    Evidence,
    Outcome,
    Source,
    Step,
    Trace,
    TraceLine,
)

ANA, EVA, LUIS, JON = "ana@alpha.test", "eva@beta.test", "luis@alpha.test", "jon@gamma.example"
ID = "<20261130014411.1f3c@alpha.test>"
BEGAN = 1796003051.25
OBSERVED, LOGGED, RECONSTRUCTED, MISSING = Evidence


def sent(text: str) -> TraceLine:
    return TraceLine(Source.SENT, text)


def got(text: str) -> TraceLine:
    return TraceLine(Source.RECEIVED, text)


def log(text: str) -> TraceLine:
    return TraceLine(Source.LOG, text)


def submission(recipients: tuple[str, ...], queue_id: str = "4fN2jT0Qz1z5w") -> list[Step]:
    """The first three steps: this machine to mx1, which takes it into its queue."""
    dialogue = [
        got("220 mx1.alpha.test ESMTP Postfix"),
        sent("EHLO [10.99.0.1]"),
        got("250-mx1.alpha.test"),
        got("250-SIZE 51200000"),
        got("250-AUTH PLAIN LOGIN"),
        got("250 8BITMIME"),
        sent("AUTH PLAIN ****"),
        got("235 2.7.0 Authentication successful"),
        sent(f"MAIL FROM:<{ANA}> SIZE=612"),
        got("250 2.1.0 Ok"),
    ]
    for each in recipients:
        dialogue += [sent(f"RCPT TO:<{each}>"), got("250 2.1.5 Ok")]
    dialogue += [
        sent("DATA"),
        got("354 End data with <CR><LF>.<CR><LF>"),
        sent("."),
        got(f"250 2.0.0 Ok: queued as {queue_id}"),
    ]
    return [
        Step(
            1,
            0,
            Agent.MUA,
            OBSERVED,
            f"Writes a message of 612 octets for {', '.join(recipients)}",
            "this machine",
            at=0.0,
        ),
        Step(
            2,
            1,
            Agent.SUBMISSION,
            OBSERVED,
            f"Takes the message over TLS 1.3 from {ANA}, who logged in",
            "mx1",
            465,
            at=0.214,
            seconds=0.191,
            queue_id=queue_id,
            lines=tuple(dialogue),
        ),
        Step(
            3,
            2,
            Agent.QUEUE,
            LOGGED,
            "Puts it into its queue",
            "mx1",
            at=0.221,
            clock="mx1",
            queue_id=queue_id,
            lines=(
                log(
                    f"postfix/submissions/smtpd[713]: {queue_id}: client=unknown[10.99.0.1], sasl_method=PLAIN, "
                    f"sasl_username={ANA}"
                ),
                log(f"postfix/cleanup[718]: {queue_id}: message-id={ID}"),
                log(f"postfix/qmgr[402]: {queue_id}: from=<{ANA}>, size=1021, nrcpt=1 (queue active)"),
            ),
            headers=(
                "Received: from [10.99.0.1] (unknown [10.99.0.1]) by mx1.alpha.test (Postfix) with ESMTPSA id "
                f"{queue_id} for <{recipients[0]}>; Mon, 30 Nov 2026 01:44:11 +0000 (UTC)",
            ),
        ),
    ]


def signed(number: int, after: int) -> Step:
    return Step(
        number,
        after,
        Agent.FILTER,
        LOGGED,
        "Rspamd signs it as alpha.test, and finds nothing wrong (score -0.1 of 15)",
        "mx1",
        11332,
        at=0.259,
        clock="mx1",
        seconds=0.031,
        lines=(
            log(
                f"rspamd: <7a1e2f>; proxy; rspamd_task_write_log: id: {ID}, qid: <4fN2jT0Qz1z5w>, ip: 10.99.0.1"
            ),
        ),
        headers=(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=alpha.test; s=mail2026; t=1796003051;",
        ),
    )


def across(number: int, after: int, recipient: str = EVA, delays: Delays | None = None) -> list[Step]:
    """DNS, port 25 of mx2, its queue, LMTP, the mailbox, IMAP: six steps."""
    domain = recipient.partition("@")[2]
    return [
        Step(
            number,
            after,
            Agent.DNS,
            RECONSTRUCTED,
            f"The mail of {domain} goes to mx2.{domain} (MX 10), which is at 10.99.0.3",
            "10.99.0.2",
            53,
            recipient=recipient,
            lines=(
                got(f"{domain}. 300 IN MX 10 mx2.{domain}."),
                got(f"mx2.{domain}. 300 IN A 10.99.0.3"),
            ),
        ),
        Step(
            number + 1,
            number,
            Agent.SMTP,
            LOGGED,
            f"mx1 gives it to mx2.{domain} over TLS 1.3, which was verified by DANE",
            "mx2",
            25,
            at=0.871,
            clock="mx1",
            seconds=0.55,
            queue_id="4fN2jT0Qz1z5w",
            recipient=recipient,
            delays=delays or Delays(0.05, 0.01, 0.38, 0.17),
            lines=(
                log(
                    "postfix/smtp[721]: Verified TLS connection established to "
                    f"mx2.{domain}[10.99.0.3]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384"
                ),
                log(
                    f"postfix/smtp[721]: 4fN2jT0Qz1z5w: to=<{recipient}>, relay=mx2.{domain}[10.99.0.3]:25, "
                    "delay=0.61, delays=0.05/0.01/0.38/0.17, dsn=2.0.0, "
                    "status=sent (250 2.0.0 Ok: queued as 1C2D3E4F5A)"
                ),
                log("postfix/qmgr[402]: 4fN2jT0Qz1z5w: removed"),
            ),
        ),
        Step(
            number + 2,
            number + 1,
            Agent.QUEUE,
            LOGGED,
            "Puts it into its queue",
            "mx2",
            at=3.102,
            clock="mx2",
            queue_id="1C2D3E4F5A",
            recipient=recipient,
            lines=(log(f"postfix/qmgr[377]: 1C2D3E4F5A: from=<{ANA}>, size=2310, nrcpt=1 (queue active)"),),
            headers=(
                f"Received: from mx1.alpha.test (mx1.alpha.test [10.99.0.2]) by mx2.{domain} (Postfix) with ESMTPS",
                f"Authentication-Results: mx2.{domain}; dkim=pass header.d=alpha.test; spf=pass; dmarc=pass",
            ),
        ),
        Step(
            number + 3,
            number + 2,
            Agent.LMTP,
            LOGGED,
            "Postfix gives it to Dovecot, which puts it into INBOX",
            "mx2",
            at=3.164,
            clock="mx2",
            queue_id="1C2D3E4F5A",
            recipient=recipient,
            delays=Delays(0.19, 0.01, 0.01, 0.04),
            lines=(
                log(
                    f"postfix/lmtp[731]: 1C2D3E4F5A: to=<{recipient}>, relay=mx2.{domain}[private/dovecot-lmtp], "
                    f"delay=0.25, delays=0.19/0.01/0.01/0.04, dsn=2.0.0, status=sent (250 2.0.0 <{recipient}> Saved)"
                ),
                log(f"dovecot: lmtp({recipient})<732><aB3>: msgid={ID}: saved mail to INBOX"),
            ),
            headers=(
                f"Return-Path: <{ANA}>",
                f"Delivered-To: {recipient}",
            ),
        ),
        Step(
            number + 4,
            number + 3,
            Agent.MAILBOX,
            OBSERVED,
            "A file of 2,402 octets in INBOX",
            "mx2",
            at=3.164,
            clock="mx2",
            recipient=recipient,
            lines=(
                TraceLine(
                    Source.FILE,
                    f"/var/vmail/{domain}/{recipient.partition('@')[0]}/Maildir/new/1796003054.M164P732.mx2",
                ),
            ),
        ),
        Step(
            number + 5,
            number + 4,
            Agent.IMAP,
            OBSERVED,
            "Shows it as UID 17 of INBOX, where it stays",
            "mx2",
            993,
            at=1.304,
            recipient=recipient,
            lines=(
                sent("a2 UID SEARCH HEADER Message-ID " + ID),
                got("* SEARCH 17"),
                got("a2 OK Search completed"),
            ),
        ),
    ]


def trace(recipients: tuple[str, ...], steps: list[Step], arrivals: list[Arrival], **more: object) -> Trace:
    words = {"clocks": (Clock("mx1", 0.012), Clock("mx2", 2.19)), **more}
    return Trace(ID, ANA, recipients, BEGAN, tuple(steps), tuple(arrivals), **words)  # type: ignore[arg-type]


def two_domains() -> Trace:
    steps = [*submission((EVA,)), signed(4, 3), *across(5, 4)]
    text = f"{EVA} has it in INBOX, 1.3 s after it was sent"
    return trace((EVA,), steps, [Arrival(EVA, EVA, Outcome.DELIVERED, text, 9, "INBOX")])


def alias() -> Trace:
    steps = [
        *submission(("info@alpha.test",)),
        Step(
            4, 3, Agent.ADDRESS, LOGGED, f"info@alpha.test is an alias of {LUIS}", "mx1", at=0.23, clock="mx1"
        ),
        Step(
            5,
            4,
            Agent.LMTP,
            LOGGED,
            "Postfix gives it to Dovecot, which puts it into INBOX",
            "mx1",
            at=0.301,
            clock="mx1",
            queue_id="4fN2jT0Qz1z5w",
            recipient=LUIS,
            delays=Delays(0.06, 0.01, 0.01, 0.03),
            lines=(
                log(
                    f"postfix/lmtp[724]: 4fN2jT0Qz1z5w: to=<{LUIS}>, orig_to=<info@alpha.test>, "
                    "relay=mx1.alpha.test[private/dovecot-lmtp], delay=0.11, delays=0.06/0.01/0.01/0.03, dsn=2.0.0, "
                    f"status=sent (250 2.0.0 <{LUIS}> Saved)"
                ),
            ),
        ),
        Step(6, 5, Agent.MAILBOX, OBSERVED, "A file of 1,107 octets in INBOX", "mx1", at=0.3, clock="mx1"),
        Step(7, 6, Agent.IMAP, OBSERVED, "Shows it as UID 3 of INBOX, where it stays", "mx1", 993, at=0.52),
        Step(
            8,
            6,
            Agent.POP3,
            RECONSTRUCTED,
            "Was not asked: only a message that trace itself has sent to its own account is downloaded",
            "mx1",
            995,
        ),
    ]
    text = f"info@alpha.test is {LUIS}, who has it in INBOX, 0.3 s after it was sent"
    return trace(("info@alpha.test",), steps, [Arrival("info@alpha.test", LUIS, Outcome.DELIVERED, text, 6)])


def mailing_list() -> Trace:
    """Members on the same host, on another one of the inventory, and at somebody else's server."""
    name = "team@alpha.test"
    text = f"{name} is a list: {LUIS}, {EVA} and {JON}"
    steps = [
        *submission((name,)),
        signed(4, 3),
        Step(5, 4, Agent.ADDRESS, LOGGED, text, "mx1", at=0.27, clock="mx1"),
        Step(
            6,
            5,
            Agent.LMTP,
            LOGGED,
            "Postfix gives it to Dovecot, which puts it into INBOX",
            "mx1",
            at=0.35,
            clock="mx1",
            recipient=LUIS,
            lines=(log(f"postfix/lmtp[724]: 4fN2jT0Qz1z5w: to=<{LUIS}>, orig_to=<{name}>, status=sent"),),
        ),
        Step(7, 6, Agent.MAILBOX, OBSERVED, "A file of 1,107 octets in INBOX", "mx1", recipient=LUIS),
        *across(8, 5),
        Step(
            14,
            5,
            Agent.DNS,
            OBSERVED,
            "The mail of gamma.example goes to mx.gamma.example (MX 10), which is at 192.0.2.25",
            "10.99.0.2",
            53,
            recipient=JON,
        ),
        Step(
            15,
            14,
            Agent.SMTP,
            LOGGED,
            "mx1 gives it to mx.gamma.example, which takes it",
            "mx.gamma.example",
            25,
            at=2.918,
            clock="mx1",
            seconds=2.4,
            recipient=JON,
            delays=Delays(0.06, 0.01, 1.92, 0.63),
            lines=(
                log(
                    f"postfix/smtp[722]: 4fN2jT0Qz1z5w: to=<{JON}>, orig_to=<{name}>, "
                    "relay=mx.gamma.example[192.0.2.25]:25, delay=2.6, delays=0.06/0.01/1.92/0.63, dsn=2.0.0, "
                    "status=sent (250 2.0.0 Ok: queued as 9A8B7C)"
                ),
            ),
        ),
    ]
    arrivals = [
        Arrival(name, LUIS, Outcome.DELIVERED, f"{LUIS}, a member of {name}, has it in INBOX", 7, "INBOX"),
        Arrival(name, EVA, Outcome.DELIVERED, f"{EVA}, a member of {name}, has it in INBOX", 12, "INBOX"),
        Arrival(
            name,
            JON,
            Outcome.HANDED_ON,
            f"mx.gamma.example took it for {JON}, a member of {name}",
            15,
            "",
            'Ask its postmaster about "queued as 9A8B7C" if it did not arrive',
        ),
    ]
    return trace((name,), steps, arrivals)


def forwarding() -> Trace:
    new = "SRS0=y1Kx=EB=alpha.test=ana@beta.test"
    first = across(4, 3)[:3]
    steps = [
        *submission((EVA,)),
        *first,
        Step(
            7,
            6,
            Agent.ADDRESS,
            LOGGED,
            f"{EVA} forwards to {JON}, and the envelope's sender becomes {new} (SRS)",
            "mx2",
            at=3.2,
            clock="mx2",
            queue_id="7F6E5D4C",
        ),
        Step(
            8,
            7,
            Agent.SMTP,
            LOGGED,
            "mx2 gives it to mx.gamma.example, which takes it",
            "mx.gamma.example",
            25,
            at=3.91,
            clock="mx2",
            queue_id="7F6E5D4C",
            recipient=JON,
            lines=(log(f"postfix/qmgr[377]: 7F6E5D4C: from=<{new}>, size=2711, nrcpt=1 (queue active)"),),
        ),
    ]
    text = f"{EVA} forwards to {JON}, and mx.gamma.example took it for that address"
    return trace((EVA,), steps, [Arrival(EVA, JON, Outcome.HANDED_ON, text, 8)])


def over_quota() -> Trace:
    steps = [
        *submission((LUIS,)),
        Step(
            4,
            3,
            Agent.LMTP,
            LOGGED,
            f"Dovecot refuses it: the mailbox of {LUIS} is full",
            "mx1",
            at=0.33,
            clock="mx1",
            queue_id="4fN2jT0Qz1z5w",
            recipient=LUIS,
            delays=Delays(0.06, 0.01, 0.01, 0.03),
            lines=(
                log(
                    f"postfix/lmtp[724]: 4fN2jT0Qz1z5w: to=<{LUIS}>, relay=mx1.alpha.test[private/dovecot-lmtp], "
                    "delay=0.11, delays=0.06/0.01/0.01/0.03, dsn=5.2.2, status=bounced (host "
                    "mx1.alpha.test[private/dovecot-lmtp] said: 552 5.2.2 Mailbox is full (in reply to end of DATA))"
                ),
            ),
        ),
        Step(
            5,
            4,
            Agent.QUEUE,
            LOGGED,
            f"Makes a bounce for {ANA}",
            "mx1",
            at=0.34,
            clock="mx1",
            queue_id="4fN2jT5Xy2z5x",
            lines=(
                log("postfix/bounce[726]: 4fN2jT0Qz1z5w: sender non-delivery notification: 4fN2jT5Xy2z5x"),
            ),
        ),
        Step(
            6, 5, Agent.MAILBOX, OBSERVED, f"The bounce is in the INBOX of {ANA}", "mx1", at=0.41, clock="mx1"
        ),
    ]
    return trace(
        (LUIS,),
        steps,
        [
            Arrival(
                LUIS,
                LUIS,
                Outcome.BOUNCED,
                f"The mailbox of {LUIS} is full (5.2.2), and {ANA} got a bounce",
                4,
                "",
                "Give the account more quota, or delete mail in it, and send the message again",
            )
        ],
    )


def deferred() -> Trace:
    dns = across(4, 3)[0]
    steps = [
        *submission((EVA,)),
        dns,
        Step(
            5,
            4,
            Agent.SMTP,
            LOGGED,
            "mx1 reaches nobody at mx2.beta.test: connection timed out",
            "mx2",
            25,
            at=30.62,
            clock="mx1",
            seconds=30.1,
            queue_id="4fN2jT0Qz1z5w",
            recipient=EVA,
            delays=Delays(0.05, 0.01, 30.1, 0.0),
            lines=(
                log("postfix/smtp[721]: connect to mx2.beta.test[10.99.0.3]:25: Connection timed out"),
                log(
                    f"postfix/smtp[721]: 4fN2jT0Qz1z5w: to=<{EVA}>, relay=none, delay=30, delays=0.05/0.01/30.1/0, "
                    "dsn=4.4.1, status=deferred (connect to mx2.beta.test[10.99.0.3]:25: Connection timed out)"
                ),
            ),
        ),
    ]
    return trace(
        (EVA,),
        steps,
        [
            Arrival(
                EVA,
                EVA,
                Outcome.DEFERRED,
                f"It waits in mx1's queue for {EVA}: connect to mx2.beta.test[10.99.0.3]:25: Connection timed out",
                5,
                "",
                "mx1 tries again in 5 minutes, then less often, for 5 days; `mailprov queue --flush` does now",
            )
        ],
        clocks=(Clock("mx1", 0.012),),
        gaps=("mx2: its log could not be read: no SSH connection to 10.99.0.3:22 (connection timed out)",),
    )


def past() -> Trace:
    """Of yesterday, on a host whose log was rotated, and another one that nobody may log in to."""
    queue_id = "4fL9kk1z5w"
    steps = [
        Step(
            1,
            0,
            Agent.SUBMISSION,
            MISSING,
            "How it came to mx1 is not in its log",
            "mx1",
            hint="The journal of mx1 begins at 2026-11-29 03:10:00; older records are in a backup, if anywhere",
        ),
        Step(
            2,
            1,
            Agent.QUEUE,
            LOGGED,
            "Is in its queue",
            "mx1",
            at=0.0,
            clock="mx1",
            queue_id=queue_id,
            lines=(log(f"postfix/qmgr[402]: {queue_id}: from=<{ANA}>, size=1021, nrcpt=1 (queue active)"),),
        ),
        Step(3, 2, Agent.DNS, RECONSTRUCTED, "The mail of beta.test goes to mx2.beta.test", recipient=EVA),
        Step(
            4,
            3,
            Agent.SMTP,
            LOGGED,
            "mx1 gives it to mx2.beta.test, which takes it",
            "mx2",
            25,
            at=4211.3,
            clock="mx1",
            queue_id=queue_id,
            recipient=EVA,
            delays=Delays(4199.0, 11.1, 0.4, 0.8),
            lines=(
                log(
                    f"postfix/smtp[721]: {queue_id}: to=<{EVA}>, relay=mx2.beta.test[10.99.0.3]:25, delay=4211, "
                    "delays=4199/11/0.4/0.8, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 1C2D3E4F5A)"
                ),
            ),
        ),
        Step(
            5,
            4,
            Agent.LMTP,
            MISSING,
            "What mx2 did with it is not known",
            "mx2",
            recipient=EVA,
            hint="Look on mx2 for 1C2D3E4F5A: journalctl -g 1C2D3E4F5A",
        ),
    ]
    return trace(
        (EVA,),
        steps,
        [
            Arrival(
                EVA,
                EVA,
                Outcome.UNKNOWN,
                f"mx2.beta.test took it for {EVA} and put it into its queue as 1C2D3E4F5A; what came then is not known",
                4,
                "",
                "Look on mx2 for 1C2D3E4F5A: journalctl -g 1C2D3E4F5A",
            )
        ],
        clocks=(Clock("mx1", -0.4), Clock("mx2", 0.0, known=False)),
        gaps=("mx2: nobody may log in there: its log was not read",),
        doubts=("Two messages have this Message-ID: 4fL9kk1z5w and 4fL9kk7z5y are shown apart",),
    )


TRACES = {
    "two-domains": two_domains(),
    "alias": alias(),
    "list": mailing_list(),
    "forwarding": forwarding(),
    "over-quota": over_quota(),
    "deferred": deferred(),
    "past": past(),
}
