"""A page about one message shows the addresses of nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailprov.model.trace import Agent, Evidence, Source, Step, TraceLine
from mailprov.report.trace_masking import Masker
from tests.unit.report.traces import ANA, EVA, ID, LUIS, TRACES, mailing_list

KEEP = {ANA, "team@alpha.test"}


def masked(text: str, keep: set[str] = KEEP) -> str:
    trace = replace(TRACES["list"], steps=(Step(1, 0, Agent.QUEUE, Evidence.LOGGED, text),))
    return Masker(keep).trace(trace).steps[0].text


@pytest.mark.parametrize(
    "text",
    [
        "postfix/lmtp[1]: 4fN: to=<{}>, orig_to=<team@alpha.test>",
        "dovecot: lmtp({})<732><aB3>: saved mail to INBOX",
        "rspamd: from: <{}>, rcpts: {}",
        "postfix/smtpd[1]: client=unknown[::1], sasl_username={}",
        "Authentication-Results: mx2; spf=pass smtp.mailfrom={} header.i={}",
        "Received: from a for <{}>; Mon",
        "RCPT TO:<{}> ORCPT=rfc822;{}",
        "team@alpha.test is a list: luis@alpha.test, {} and ana@alpha.test",
        "The mailbox '{}' is full.",
        "{}",
        "mailto:{}?subject=x",
        "Ask {}.",
        "FORGED_RECIPIENTS(2.00){m:team@alpha.test;s:{};},FORGED_SENDER(0.30){{};ana@alpha.test;}",
    ],
)
@pytest.mark.parametrize(
    "address",
    [
        "eva.sanz@beta.test",
        "EVA+tag@Beta.Test",
        "o'neil@beta.test",
        '"eva_sanz"@beta.test',
        "éva@bêta.test",
        "e/v/a@beta.test",
        "eva@[192.0.2.1]",
        "bounce+jon=gamma.example@beta.test",
        "SRS0=ab1c=EB=gamma.example=jon@beta.test",
        "prvs=0123abc=eva@beta.test",
    ],
)
def test_addresses_of_others_are_masked_wherever_they_stand(text: str, address: str) -> None:
    shown = masked(text.replace("{}", address))
    assert "hidden-" in shown
    local = address.rpartition("@")[0]
    for part in (local, "eva", "jon", "neil"):
        assert part.lower() not in shown.lower().replace("hidden", ""), shown
    assert address.rpartition("@")[2] in shown, "the domain stays"
    assert masked(text.replace("{}", ANA)).count("hidden") == text.count("luis")


def test_one_address_is_one_number() -> None:
    masker = Masker({ANA})
    shown = masker.trace(mailing_list())
    whole = repr(shown)
    assert (LUIS in whole, EVA in whole, ANA in whole) == (False, False, True)
    recipients = [each.final for each in shown.arrivals]
    assert len(set(recipients)) == 3 < masker.hidden + 1
    assert [step.recipient for step in shown.steps if step.agent is Agent.LMTP] == recipients[:2]


def test_what_is_kept_stays_in_every_form() -> None:
    for text in (
        "from=<SRS0=y1Kx=EB=alpha.test=ana@beta.test>",
        "from=<SRS1=aa=gamma.example==y1Kx=EB=alpha.test=ana@beta.test>",
        "ANA@Alpha.Test",
        "FORGED_RECIPIENTS(2.00){m:team@alpha.test;s:ana@alpha.test;},FORGED_SENDER(0.30){ana@alpha.test;team@alpha.test;}",
        "/var/vmail/alpha.test/ana/Maildir/new/1.x",
        "/home/ana/Maildir/new/1",
    ):
        assert masked(text) == text


def test_folders_of_mailboxes_are_masked_as_their_addresses_are() -> None:
    text = "to=<eva@beta.test>: /var/vmail/beta.test/eva/Maildir/new/1796003054.M1.mx2"
    assert (
        masked(text) == "to=<hidden-1@beta.test>: /var/vmail/beta.test/hidden-1/Maildir/new/1796003054.M1.mx2"
    )
    assert masked("/var/vmail/beta.test/eva/Maildir") == "/var/vmail/beta.test/hidden-1/Maildir"
    assert masked("/home/eva/Maildir/new/1") == "/home/hidden/Maildir/new/1"
    assert masked("/var/log/mail.log /usr/lib/x.y/z") == "/var/log/mail.log /usr/lib/x.y/z"


@pytest.mark.parametrize(
    "text",
    [
        f"postfix/cleanup[1]: 4fN: message-id={ID}",
        "postfix/cleanup[1]: 4fN: message-id=<other@beta.test>",
        "dovecot: lmtp: msgid=<other@beta.test>: saved",
        "rspamd: id: <other@beta.test>, qid: <4fN>",
        "Message-ID: <other@beta.test>",
        f"Two messages have {ID}",
    ],
)
def test_ids_are_no_addresses(text: str) -> None:
    assert masked(text) == text


def test_names_beside_addresses_go_with_them() -> None:
    assert masked('To: "Eva Sanz" <eva@beta.test>, Ana <ana@alpha.test>') == (
        "To: <hidden-1@beta.test>, Ana <ana@alpha.test>"
    )
    assert masked("Cc: Eva Sanz <eva@beta.test>") == "Cc: <hidden-1@beta.test>"


def test_other_fields_are_masked_too_and_values_stay() -> None:
    step = Step(
        1,
        0,
        Agent.LMTP,
        Evidence.LOGGED,
        "x",
        recipient=EVA,
        lines=(TraceLine(Source.LOG, f"to=<{EVA}>"),),
        headers=(f"Delivered-To: {EVA}",),
        hint=f"Ask {EVA}",
    )
    trace = replace(mailing_list(), steps=(step,), gaps=(EVA,), doubts=(EVA,), arrivals=())
    shown = Masker({ANA}).trace(trace)
    assert EVA not in repr(shown)
    assert shown.message_id == ID
    assert shown.steps[0].agent is Agent.LMTP
    assert shown.steps[0].lines[0].source is Source.LOG
