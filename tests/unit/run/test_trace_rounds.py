"""Messages are followed from host to host: who is asked what next, and who is not."""

from __future__ import annotations

from typing import Any

from mailprov.model.inventory import Inventory
from mailprov.model.values import replace
from mailprov.run.trace_rounds import Rounds, message_ids
from tests.unit.run.scripted import inventory
from tests.unit.run.test_trace_logs import ID, Hosts, record, told

SENT = "AAAAAA1: to=<eva@x>, relay={relay}, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok: queued as BBBBBB2)"
HERE = SENT.format(relay="mx2.alpha.test[192.0.2.2]:25")


def asked(read: Inventory, hosts: Hosts, wanted: dict[str, Any], everywhere: bool = True) -> Rounds:
    addresses = {"mx1": ("192.0.2.1",), "mx2": ("192.0.2.2",)}
    rounds = Rounds(read, hosts.start, lambda host: addresses[host.name])
    rounds.ask(wanted, everywhere=everywhere)
    return rounds


def test_a_message_is_followed_to_the_host_that_took_it() -> None:
    """Its queue id there is asked of nobody else."""
    hosts = Hosts(
        mx1=[told(record(f"AAAAAA1: message-id={ID}", "postfix/cleanup"), record(HERE))],
        mx2=[told(record(f"BBBBBB2: message-id={ID}", "postfix/cleanup"))],
    )
    rounds = asked(inventory("mx1", "mx2"), hosts, {"mx1": {"queue_ids": ["AAAAAA1"]}})
    assert hosts.asked == [
        ("mx1", {"queue_ids": ["AAAAAA1"]}), ("mx2", {"message_ids": [ID], "queue_ids": ["BBBBBB2"]}),
    ]  # fmt: skip
    assert list(rounds.told) == ["mx1", "mx2"]
    assert message_ids(rounds.told.values()) == (ID,)


def test_a_message_id_is_asked_of_every_host_only_where_that_is_wanted() -> None:
    answer = told(record(f"AAAAAA1: message-id={ID}", "postfix/cleanup"))
    hosts = Hosts(mx1=[answer], mx2=[told()])
    asked(inventory("mx1", "mx2"), hosts, {"mx1": {"queue_ids": ["AAAAAA1"]}})
    assert [name for name, _keys in hosts.asked] == ["mx1", "mx2"]
    hosts = Hosts(mx1=[answer], mx2=[told()])
    asked(inventory("mx1", "mx2"), hosts, {"mx1": {"queue_ids": ["AAAAAA1"]}}, everywhere=False)
    assert [name for name, _keys in hosts.asked] == ["mx1"]


def test_what_a_stranger_answers_leads_to_no_host() -> None:
    hosts = Hosts(mx1=[told(record(SENT.format(relay="mx.evil.test[203.0.113.9]:25")))])
    rounds = asked(inventory("mx1", "mx2"), hosts, {"mx1": {"queue_ids": ["AAAAAA1"]}})
    assert list(rounds.told) == ["mx1"]


def test_a_host_that_others_built_is_not_asked_also_where_a_message_went_there() -> None:
    read = inventory("mx1", "mx2")
    read = replace(read, hosts=(read.hosts[0], replace(read.hosts[1], managed=False)))
    hosts = Hosts(mx1=[told(record(f"AAAAAA1: message-id={ID}", "postfix/cleanup"), record(HERE))])
    asked(read, hosts, {"mx1": {"queue_ids": ["AAAAAA1"]}})
    assert [name for name, _keys in hosts.asked] == ["mx1"]
    rounds = asked(read, hosts, {"mx2": {"message_ids": [ID]}})
    assert [gap.partition(":")[0] for gap in rounds.gaps] == ["mx2 has `managed"]
    assert [name for name, _keys in hosts.asked] == ["mx1"]


def test_who_does_not_answer_is_not_asked_again_and_keeps_what_was_told_before() -> None:
    read = inventory("mx1", "mx2")
    hosts = Hosts(mx1=[told(record(f"AAAAAA1: message-id={ID}", "postfix/cleanup"))])
    addresses = {"mx1": ("192.0.2.1",), "mx2": ("192.0.2.2",)}
    rounds = Rounds(read, hosts.start, lambda host: addresses[host.name])
    rounds.ask({"mx1": {"message_ids": [ID]}})
    del hosts.rounds["mx1"]
    for _again in range(2):
        rounds.ask({"mx1": {"message_ids": [ID]}, "mx2": {"message_ids": [ID]}})
    assert [name for name, _keys in hosts.asked] == ["mx1", "mx1", "mx2"]
    assert len(rounds.told["mx1"].log.records) == 1
    assert any("mx1 could not be read" in gap for gap in rounds.told["mx1"].log.gaps)
    assert rounds.told["mx2"].error is not None


def test_each_time_begins_anew_so_what_came_meanwhile_is_seen() -> None:
    read = inventory("mx1", "mx2")
    begun = record(f"AAAAAA1: message-id={ID}", "postfix/cleanup")
    hosts = Hosts(
        mx1=[told(begun, record(HERE))] * 2,
        mx2=[
            told(record("BBBBBB2: client=x[192.0.2.1]", "postfix/smtpd")),
            told(record("BBBBBB2: removed", "postfix/qmgr")),
        ],
    )
    addresses = {"mx1": ("192.0.2.1",), "mx2": ("192.0.2.2",)}
    rounds = Rounds(read, hosts.start, lambda host: addresses[host.name])
    for _time in range(2):
        rounds.ask({"mx1": {"queue_ids": ["AAAAAA1"]}})
    assert {each.text for each in rounds.told["mx2"].log.records} == {
        "BBBBBB2: client=x[192.0.2.1]", "BBBBBB2: removed",
    }  # fmt: skip
