"""Log records become the way of a message: by ids alone, in any order, among those of others, with some of them lost.

`logs/` has what two hosts logged (Debian 12: Postfix 3.7 and Dovecot 2.3; Debian 13: Postfix 3.10 and Dovecot 2.4)
while two dozen messages went between and within them.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from mailprov.inventory import SecretMode, load
from mailprov.model.inventory import Inventory
from mailprov.model.trace import Agent, Evidence, Outcome, Trace
from mailprov.trace.lives import lives
from mailprov.trace.observed import Dialogue, HostLog, Question, Record, Seen
from mailprov.trace.way import way, ways

LOGS = Path(__file__).parent / "logs"
PLACES = {
    "mx1": ("mx1.alpha.test", ("10.78.4.11", "fdfb:bc58:24ad:1::b")),
    "mx2": ("mx2.beta.test", ("10.78.4.12", "fdfb:bc58:24ad:1::c")),
}
INVENTORY = """\
hosts:
  mx1: {address: 10.78.4.11, fqdn: mx1.alpha.test}
  mx2: {address: 10.78.4.12, fqdn: mx2.beta.test}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {password: {env: P}}
      luis: {password: {env: P}}
      away: {password: {env: P}, forward: {to: [eva@beta.test], keep: false}}
    aliases: {sales: luis}
    lists: {team: [luis, eva@beta.test]}
  beta.test:
    hosts: [mx2]
    accounts:
      eva: {password: {env: P}}
      bob: {password: {env: P}}
      back: {password: {env: P}, forward: {to: [luis@alpha.test], keep: false}}
      small: {password: {env: P}, quota: 20K}
    domain_aliases: [bela.test]
"""


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    path = tmp_path_factory.mktemp("inventory") / "mail.yml"
    path.write_text(INVENTORY)
    return load(path, SecretMode.IGNORE)


def logged(host: str) -> list[Record]:
    lines = (json.loads(line) for line in (LOGS / f"{host}.jsonl").read_text().splitlines())
    return [Record(host, each["t"], each["ident"], each["pid"], each["text"]) for each in lines]


EVERY = logged("mx1") + logged("mx2")


def seen(inventory: Inventory, records: Iterable[Record], **more: object) -> Seen:
    every = list(records)
    logs = tuple(
        HostLog(host, fqdn, addresses, tuple(each for each in every if each.host == host), 0.0)
        for host, (fqdn, addresses) in PLACES.items()
    )
    values = {
        "message_id": "",
        "sender": "",
        "recipients": (),
        "began": 1_796_004_690.0,
        "logs": logs,
        **more,
    }
    return Seen(inventory, **values)  # type: ignore[arg-type]


def of(inventory: Inventory, records: Iterable[Record]) -> dict[str, Trace]:
    """By the first queue id: a Message-ID may be that of several."""
    return {f"{one.steps[0].host} {one.steps[0].queue_id}": one for one in ways(seen(inventory, records))}


def said(one: Trace) -> list[tuple[str, str, str]]:
    return [(each.recipient, each.final, each.outcome.value) for each in one.arrivals]


def agents(one: Trace) -> list[str]:
    return [f"{each.agent.value} {each.host}" for each in one.steps]


def test_each_way_is_told_from_the_logs_of_both_dovecots(inventory: Inventory) -> None:
    told = {
        tuple(one.recipients): one
        for one in of(inventory, EVERY).values()
        if one.sender.startswith(("ana", "bob"))
    }

    assert said(told["sales@alpha.test",]) == [("sales@alpha.test", "luis@alpha.test", "delivered")]
    assert agents(told["sales@alpha.test",]) == [
        "submission mx1", "filter mx1", "queue mx1", "address mx1", "lmtp mx1", "mailbox mx1",
    ]  # fmt: skip
    assert said(told["team@alpha.test",]) == [
        ("team@alpha.test", "eva@beta.test", "delivered"),
        ("team@alpha.test", "luis@alpha.test", "delivered"),
    ]
    assert agents(told["away@alpha.test",]) == [
        "submission mx2", "filter mx2", "queue mx2", "smtp mx1", "filter mx1", "queue mx1", "address mx1",
        "address mx1", "queue mx1", "smtp mx2", "filter mx2", "queue mx2", "lmtp mx2", "mailbox mx2",
    ]  # fmt: skip
    assert said(told["away@alpha.test",]) == [("away@alpha.test", "eva@beta.test", "delivered")]
    (alias,) = said(told["eva@bela.test",])
    assert alias == ("eva@bela.test", "eva@beta.test", "delivered")
    (full,) = told["small@beta.test",].arrivals
    assert (full.outcome, full.mailbox) == (Outcome.BOUNCED, "")
    assert "552 5.2.2" in full.text
    (unknown,) = told["nobody@beta.test",].arrivals
    assert (unknown.outcome, unknown.recipient) == (Outcome.BOUNCED, "nobody@beta.test")
    report = next(step for step in told["nobody@beta.test",].steps if step.text.startswith("A report"))
    assert report.after == unknown.step, "it hangs from the refusal"


def test_the_way_is_the_same_where_clients_log_under_another_name(inventory: Inventory) -> None:
    """As they do with --wire: then the service that rewrites senders is known by what takes the message there."""
    heard = [
        dataclasses.replace(each, ident=f"postfix/wire/{each.ident.rpartition('/')[2]}")
        if each.ident.rpartition("/")[2] in ("smtp", "lmtp")
        else each
        for each in EVERY
    ]
    assert any(each.ident == "postfix/srs/smtp" for each in EVERY)
    assert [agents(one) for one in ways(seen(inventory, heard))] == [
        agents(one) for one in ways(seen(inventory, EVERY))
    ]


def test_spam_is_in_junk_and_says_so(inventory: Inventory) -> None:
    every = [each for one in of(inventory, EVERY).values() for each in one.arrivals]
    junk = [each for each in every if each.mailbox == "Junk"]

    assert {each.final for each in junk} == {"luis@alpha.test"}
    assert all(each.outcome is Outcome.DELIVERED and "not in INBOX" in each.next for each in junk)


def test_what_is_put_off_says_when_it_is_tried_again(inventory: Inventory) -> None:
    settings = {
        "mx1": {
            "minimal_backoff_time": "300s",
            "maximal_backoff_time": "4000s",
            "maximal_queue_lifetime": "5d",
        }
    }
    for more, wanted in (
        (
            {"settings": settings},
            "after 5 minutes, then after longer and longer times, up to 66 minutes apart; after 5 d",
        ),
        ({}, "mailprov queue"),
    ):
        every = ways(seen(inventory, EVERY, **more))
        (put_off,) = [each for one in every for each in one.arrivals if each.outcome is Outcome.DEFERRED]
        assert wanted in put_off.next
        assert "Connection refused" in put_off.text


def test_the_order_of_records_changes_nothing_and_the_same_twice_is_once(inventory: Inventory) -> None:
    wanted = ways(seen(inventory, EVERY))
    for number in range(20):
        shuffled = EVERY + random.Random(number).sample(EVERY, 40)
        random.Random(number).shuffle(shuffled)
        assert ways(seen(inventory, shuffled)) == wanted, number


def about(one: Trace, records: Iterable[Record]) -> list[Record]:
    """The records that its steps show."""
    shown = {(step.host, line.text) for step in one.steps for line in step.lines}
    texts = {text for _host, text in shown}
    return [each for each in records if f"{each.ident}[{each.pid}]: {each.text}" in texts]


def test_records_of_other_messages_in_between_change_nothing(inventory: Inventory) -> None:
    for name, one in of(inventory, EVERY).items():
        alone = of(inventory, about(one, EVERY))
        assert dataclasses.replace(alone[name], doubts=()) == dataclasses.replace(one, doubts=()), name


def test_lost_records_make_less_known_and_never_more(inventory: Inventory) -> None:
    """Whatever is lost: nothing is joined to another message, and what did not arrive did not arrive."""
    whole = of(inventory, EVERY)
    arrived = {
        (name, each.final)
        for name, one in whole.items()
        for each in one.arrivals
        if each.outcome is Outcome.DELIVERED
    }
    ends = {name for one in whole.values() for each in one.arrivals for name in (each.final, each.recipient)}
    for number in range(60):
        kept = [each for each in EVERY if random.Random(f"{number} {each}").random() < 0.8]
        for name, one in of(inventory, kept).items():
            ids = {step.queue_id for step in one.steps if step.queue_id}
            mine = {
                step.queue_id
                for each in whole.values()
                for step in each.steps
                if ids & {s.queue_id for s in each.steps}
            }
            assert ids <= mine
            if name in whole:
                assert {each.final for each in one.arrivals} <= ends
                there = {(name, each.final) for each in one.arrivals if each.outcome is Outcome.DELIVERED}
                assert there <= arrived, (number, name)


def record(host: str, t: int, ident: str, text: str) -> Record:
    return Record(host, 1_796_004_700_000_000 + t, ident, 7, text)


def sent(host: str, queue_id: str, message_id: str, to: str, start: int = 0, reply: str = "") -> list[Record]:
    """One message that Dovecot takes."""
    reply = reply or f"250 2.0.0 <{to}> SESSION{queue_id} Saved"
    return [
        record(host, start, "postfix/smtpd", f"{queue_id}: client=unknown[192.0.2.9]"),
        record(host, start + 1, "postfix/cleanup", f"{queue_id}: message-id={message_id}"),
        record(host, start + 2, "postfix/qmgr", f"{queue_id}: from=<a@else.test>, size=9, nrcpt=1 (queue active)"),
        record(
            host, start + 3, "postfix/lmtp",
            f"{queue_id}: to=<{to}>, relay=h[private/dovecot-lmtp], delay=1, delays=0.1/0.2/0.3/0.4, dsn=2.0.0, "
            f"status=sent ({reply})",
        ),
        record(host, start + 4, "postfix/qmgr", f"{queue_id}: removed"),
    ]  # fmt: skip


def test_a_queue_id_that_is_used_again_is_two_messages(inventory: Inventory) -> None:
    records = sent("mx1", "ABCDEF01", "<one@x>", "ana@alpha.test") + sent(
        "mx1", "ABCDEF01", "<two@x>", "luis@alpha.test", 90
    )
    one, two = ways(seen(inventory, records))

    assert [(each.message_id, said(each)[0][1]) for each in (one, two)] == [
        ("<one@x>", "ana@alpha.test"), ("<two@x>", "luis@alpha.test"),
    ]  # fmt: skip
    lost = [each for each in records if not each.text.endswith("removed")]
    assert [each.message_id for each in ways(seen(inventory, lost))] == ["<one@x>", "<two@x>"]
    handed = Dialogue("mx1", 25, 0.0, 1.0, taken=("luis@alpha.test",), code=250, queue_id="ABCDEF01")
    live = way(
        seen(inventory, records, message_id="<two@x>", recipients=("luis@alpha.test",), dialogue=handed)
    )
    assert said(live) == [("luis@alpha.test", "luis@alpha.test", "delivered")]
    other = way(
        seen(inventory, records, message_id="<three@x>", recipients=("luis@alpha.test",), dialogue=handed)
    )
    assert [each.outcome for each in other.arrivals] == [Outcome.UNKNOWN]
    assert other.steps[2].evidence is Evidence.MISSING


def test_two_messages_with_one_message_id_are_told_apart_and_it_is_said(inventory: Inventory) -> None:
    records = sent("mx1", "ABCDEF01", "<same@x>", "ana@alpha.test") + sent(
        "mx1", "ABCDEF02", "<same@x>", "luis@alpha.test", 1
    )
    for one in ways(seen(inventory, records)):
        assert len(one.arrivals) == 1
        (doubt,) = one.doubts
        assert "1 other message has the same Message-ID (mx1 ABCDEF0" in doubt


def test_lines_in_an_order_that_cannot_be_are_a_doubt(inventory: Inventory) -> None:
    records = sent("mx1", "ABCDEF01", "<one@x>", "ana@alpha.test")
    late = dataclasses.replace(records[3], t=records[4].t + 5)
    (one,) = ways(seen(inventory, [*records[:3], records[4], late]))

    assert said(one) == [("ana@alpha.test", "ana@alpha.test", "delivered")]
    assert "in another order than they were written in" in one.doubts[0]


FORGED = (
    # What a server of others says is no word of ours, whatever it looks like.
    ("status=bounced (host evil[192.0.2.66] said: 550 Ok: queued as ABCDEF99)", "bounced"),
    (
        "status=deferred (host evil[192.0.2.66] said: 450 status=sent (250 2.0.0 Ok: queued as ABCDEF99))",
        "deferred",
    ),
)


@pytest.mark.parametrize(("status", "outcome"), FORGED)
def test_what_others_say_joins_nothing(inventory: Inventory, status: str, outcome: str) -> None:
    victim = sent("mx1", "ABCDEF99", "<victim@x>", "ana@alpha.test", 50)
    mine = sent("mx1", "ABCDEF01", "<mine@x>", "x@evil.test")
    line = (
        "ABCDEF01: to=<x@evil.test>, relay=evil[192.0.2.66]:25, delay=1, delays=0.1/0.2/0.3/0.4, dsn=5.0.0, "
        + status
    )
    mine[3] = dataclasses.replace(mine[3], ident="postfix/smtp", text=line)
    told = of(inventory, mine + victim)

    assert [each.outcome.value for each in told["mx1 ABCDEF01"].arrivals] == [outcome]
    assert all("ABCDEF99" not in step.queue_id for step in told["mx1 ABCDEF01"].steps)


def test_an_id_that_a_strange_server_gives_leads_to_no_host_of_ours(inventory: Inventory) -> None:
    mine = sent("mx1", "ABCDEF01", "<mine@x>", "x@evil.test")
    text = (
        "ABCDEF01: to=<x@evil.test>, relay=mx2.beta.test[192.0.2.66]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
        "status=sent (250 2.0.0 Ok: queued as ABCDEF99)"
    )
    mine[3] = dataclasses.replace(mine[3], ident="postfix/smtp", text=text)
    told = of(inventory, mine + sent("mx2", "ABCDEF99", "<mine@x>", "eva@beta.test", 50))

    (arrival,) = told["mx1 ABCDEF01"].arrivals
    assert (arrival.outcome, arrival.final) == (Outcome.HANDED_ON, "x@evil.test")
    assert "ABCDEF99" in arrival.next


def test_a_recipient_whose_name_looks_like_the_rest_of_a_line_is_one_recipient(inventory: Inventory) -> None:
    name = (
        '"a>, relay=mx2.beta.test[10.78.4.12]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, '
        'status=sent (250 2 queued as ABCDEF99)"@x.test'
    )
    mine = sent("mx1", "ABCDEF01", "<mine@x>", name, reply="450 4.0.0 no")
    text = "status=deferred".join(mine[3].text.rsplit("status=sent", 1))
    mine[3] = dataclasses.replace(mine[3], text=text)
    (arrival,) = of(inventory, mine)["mx1 ABCDEF01"].arrivals

    assert (arrival.final, arrival.outcome) == (name, Outcome.DEFERRED)


def test_hostile_text_is_written_out_wherever_it_stands(inventory: Inventory) -> None:
    evil = "<\x1b]0;x\x07\u202e\nFORGED@x>"
    mine = sent(
        "mx1", "ABCDEF01", evil, "ana@alpha.test", reply="250 2.0.0 <ana@alpha.test> \x1b[2J SESSION99 Saved"
    )
    for one in ways(seen(inventory, mine)):
        texts = [one.message_id, *(each.text for each in one.arrivals)]
        texts += [line.text for step in one.steps for line in step.lines] + [step.text for step in one.steps]
        assert all(text.isprintable() for text in texts)
        assert any("\\x1b" in text for text in texts)


def line(t: int, program: str, text: str) -> Record:
    return record("mx1", t, f"postfix/{program}", f"ABCDEF01: {text}")


def test_what_administrators_do_is_told(inventory: Inventory) -> None:
    begun = sent("mx1", "ABCDEF01", "<one@x>", "ana@alpha.test")[:3]
    held, released = line(10, "postsuper", "placed on hold"), line(20, "postsuper", "released from hold")
    deleted = line(30, "postsuper", "removed")

    def outcome(records: list[Record]) -> str:
        recipients = {"recipients": ("ana@alpha.test",), "message_id": "<one@x>"}
        handed = Dialogue("mx1", 25, 0.0, 1.0, taken=("ana@alpha.test",), code=250, queue_id="ABCDEF01")
        (one,) = way(seen(inventory, records, dialogue=handed, **recipients)).arrivals
        return one.outcome.value

    assert outcome([*begun, held]) == "held"
    assert outcome([*begun, held, released]) == "unknown"
    assert outcome([*begun, held, deleted]) == "deleted"
    assert (
        outcome([*begun, held, released, *sent("mx1", "ABCDEF01", "<one@x>", "ana@alpha.test", 40)[3:]])
        == "delivered"
    )
    put_off = line(
        5, "lmtp", "to=<ana@alpha.test>, relay=none, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred (no)"
    )
    expired = line(6, "qmgr", "from=<a@else.test>, status=expired, returned to sender")
    report = line(7, "bounce", "sender non-delivery notification: ABCDEF02")
    assert outcome([*begun, put_off]) == "deferred"
    assert outcome([*begun, put_off, expired, report, line(8, "qmgr", "removed")]) == "bounced"


def test_a_users_filter_that_sends_on_is_followed_in_both_dovecots_words(inventory: Inventory) -> None:
    for words in ("forwarded to <eva@beta.test>", "redirect action: forwarded to <eva@beta.test>"):
        first = sent("mx1", "ABCDEF01", "<one@x>", "ana@alpha.test")
        dovecot = record(
            "mx1", 3, "dovecot", f"lmtp(ana@alpha.test)<9><SESSIONABCDEF01>: sieve: msgid=<one@x>: {words}"
        )
        text = "ABCDEF02: client=localhost[127.0.0.1]"
        second = sent("mx1", "ABCDEF02", "<one@x>", "luis@alpha.test", 20)
        second[0] = dataclasses.replace(second[0], ident="postfix/sieve-redirect/smtpd", text=text)
        (one,) = ways(seen(inventory, [*first, dovecot, *second]))
        assert "A filter of the user's sends it on" in [step.text for step in one.steps]
        assert one.doubts == ()


def test_a_time_is_by_the_clock_of_its_host(inventory: Inventory) -> None:
    fast = [
        dataclasses.replace(each, t=each.t + 90_000_000)
        for each in sent("mx1", "ABCDEF01", "<a@x>", "ana@alpha.test")
    ]
    base = seen(inventory, fast, began=1_796_004_700.0)
    logs = tuple(dataclasses.replace(log, offset=90.0) if log.host == "mx1" else log for log in base.logs)
    handed = Dialogue("mx1", 25, 0.0, 1.0, taken=("ana@alpha.test",), code=250, queue_id="ABCDEF01")
    made = way(
        dataclasses.replace(
            base, logs=logs, dialogue=handed, message_id="<a@x>", recipients=("ana@alpha.test",)
        )
    )

    assert [(each.host, each.offset) for each in made.clocks if each.offset] == [("mx1", 90.0)]
    queued = next(step for step in made.steps if step.agent is Agent.LMTP)
    assert (queued.clock, queued.at) == ("mx1", 3e-06)


def test_records_of_other_programs_under_a_queue_id_are_no_lines_of_postfix() -> None:
    assert lives([record("mx1", 0, "postfixed/smtpd", "ABCDEF01: client=x[192.0.2.1]")])[0] == ()
    assert lives([record("mx1", 0, "dovecot", "ABCDEF01: removed")])[0] == ()


def test_dns_is_a_step_of_the_server_that_answered_with_every_address(inventory: Inventory) -> None:
    questions = (
        Question("mx1", "bela.test", "MX", "10.78.4.2", ("10 mx2.beta.test",), observed=True),
        Question("mx1", "mx2.beta.test", "A", "10.78.4.2", ("10.78.4.12",), observed=True),
        Question("mx1", "mx2.beta.test", "AAAA", "10.78.4.2", ("fdfb:bc58:24ad:1::c",), observed=True),
        Question("mx2", "bela.test", "MX", "10.78.4.9", ("10 wrong.test",), observed=True),
    )
    told = ways(seen(inventory, EVERY, questions=questions))
    steps = [step for one in told for step in one.steps if step.agent is Agent.DNS]

    assert steps
    for step in steps:
        assert (step.host, step.port, step.evidence) == ("10.78.4.2", 53, Evidence.RECONSTRUCTED)
        assert step.text == (
            "Mail for bela.test goes to mx2.beta.test (MX 10), at 10.78.4.12, fdfb:bc58:24ad:1::c"
        )
