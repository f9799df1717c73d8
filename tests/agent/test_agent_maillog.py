"""Mode `maillog`: which records of a host's log belong to a message, who wrote them, and how much is read for that.

The records in tests/agent/maillog are of real hosts of four releases, between which a message went to eight recipients:
`journalctl -o json SYSLOG_FACILITY=2`, without the fields that nobody reads.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent.maillog import found as found_in
from mailprov.agent.maillog import journald, log_files, records, search
from mailprov.agent.maillog.found import Keys
from mailprov.agent.maillog.ids import Ids
from mailprov.agent.maillog.records import Record

HERE = Path(__file__).parent / "maillog"
RELEASES = ("debian-11", "debian-12", "debian-13", "debian-testing")
MESSAGE = "<second.mx4@test.example>"


class Log:
    """A source with the records of a test; `read_of` has the number that each reading was given."""

    def __init__(self, given: list[Record]) -> None:
        self.given, self.read_of = given, list[int]()
        self._lock = threading.Lock()  # refusals are read beside the rest

    def _reading(self) -> int:
        with self._lock:
            self.read_of.append(0)
            return len(self.read_of) - 1

    def read(
        self,
        pattern: str,
        since: float = 0,
        until: float = 0,
        cursor: str = "",
        any_case: bool = False,
        among: Sequence[str] = (),
        but: Sequence[str] = (),
    ) -> Iterator[Record]:
        number = self._reading()
        begun = not cursor
        for record in self.given:
            begun = begun or record.place[-1] == cursor
            if not begun or (since and not cursor and record.received < since * 1e6):
                continue
            if until and record.received > until * 1e6:
                return
            program = record.ident.rpartition("/")[2]
            if (among and program not in among) or program in but:
                continue
            self.read_of[number] += 1
            if re.search(pattern, record.text, re.IGNORECASE if any_case else 0):
                yield record

    def near(self, since: float = 0, cursor: str = "") -> Iterator[Record]:
        return self.read("", since=since, cursor=cursor)

    def before(self, pattern: str, record: Record) -> Record | None:
        number = self._reading()
        for each in reversed(self.given):
            if each.place[1] <= record.place[1]:
                self.read_of[number] += 1
                if re.search(pattern, each.text):
                    return each
        return None

    def follow(self, since: float, seconds: float) -> Iterator[Record | None]:
        yield from self.given
        while True:
            yield None
            pytest.fail("it reads on although all has left the queues")


def recorded(release: str) -> list[Record]:
    lines = (HERE / f"{release}.jsonl").read_bytes().splitlines()
    return [record for line in lines if (record := records.of_journal(line)) is not None]


def line(text: str, ident: str = "postfix/smtpd", number: int = 1, **more: Any) -> Record:
    """A record as Postfix's own unit writes it, unless `more` says other things."""
    raw = {
        "MESSAGE": text,
        "SYSLOG_IDENTIFIER": ident,
        "_PID": "7",
        "_UID": "105",
        "_SYSTEMD_UNIT": ident.partition("/")[0] + ".service",
        "_COMM": ident.rpartition("/")[2],
        "__REALTIME_TIMESTAMP": str(1_796_000_000_000_000 + number * 1_000_000),
        "__CURSOR": f"s=a;i={number:x};x=1",
        **more,
    }
    made = records.of_journal(json.dumps(raw).encode())
    assert made is not None
    return made


def log(*texts: tuple[str, str]) -> Log:
    return Log([line(text, ident, number) for number, (ident, text) in enumerate(texts, 1)])


def found(source: Log, **keys: Any) -> list[str]:
    return [record.text for record in search.find(source, Keys(**keys)).records]


def others(count: int, start: int = 1) -> list[Record]:
    """Each message of somebody else has five records."""
    made = []
    for number in range(start, start + count):
        own = f"{number:06X}A"
        for each, (ident, text) in enumerate(
            (
                ("postfix/smtpd", "client=mx.example[192.0.2.7]"),
                ("postfix/cleanup", f"message-id=<{number}@other.example>"),
                ("postfix/qmgr", "from=<bo@other.example>, size=300, nrcpt=1 (queue active)"),
                (
                    "postfix/lmtp",
                    "to=<eva@beta.test>, relay=mx[private/dovecot-lmtp], status=sent (250 Saved)",
                ),
                ("postfix/qmgr", "removed"),
            )
        ):
            made.append(line(f"{own}: {text}", ident, number * 5 + each))
    return made


def test_all_of_a_message_on_each_release() -> None:
    """Everything that Postfix and Dovecot logged of it, of its copies and of its bounce, found by its Message-ID."""
    for release in RELEASES:
        given = recorded(release)
        made = search.find(Log(given), Keys(message_ids=(MESSAGE,)))
        got = made.records
        of_queue = {record.text.partition(":")[0] for record in got if record.ident.startswith("postfix/")}
        wanted = {
            record.text.partition(":")[0] for record in given if record.text.endswith(f"message-id={MESSAGE}")
        }
        assert wanted <= of_queue, release
        assert [record for record in given if record.text.partition(":")[0] in of_queue] == [
            record for record in got if record.ident.startswith("postfix/")
        ], release
        saved = [record for record in got if record.ident == "dovecot"]
        assert len(saved) == sum("Saved)" in record.text for record in got), release
        assert {record.text.partition(":")[0] for record in given} - of_queue, "there are others as well"
        assert (made.more, made.forged, search.out_of_order(got)) == (False, {}, 0), release


def test_a_bounce_leads_to_its_message_and_the_other_way() -> None:
    given = recorded("debian-testing")
    bounce = next(record.text.split()[-1] for record in given if "non-delivery" in record.text)
    by_bounce = search.find(Log(given), Keys(queue_ids=(bounce,))).records
    assert by_bounce == search.find(Log(given), Keys(message_ids=(MESSAGE,))).records
    assert any(f"message-id={MESSAGE}" in record.text for record in by_bounce)


def test_sender_and_recipient_find_what_has_both() -> None:
    given = recorded("debian-12")
    keys = {"sender": "DORA@delta.test", "recipient": "ventas@alfa.test"}
    got = search.find(Log(given), Keys(**keys)).records
    assert {record.text.partition(":")[0] for record in got if record.ident != "dovecot"} == {"4AE2AFC462F"}
    assert search.find(Log(given), Keys(**{**keys, "recipient": "nobody@delta.test"})).records == []


def test_a_refusal_without_a_queue_id_is_found_by_its_addresses() -> None:
    refused = (
        "NOQUEUE: reject: RCPT from x[192.0.2.9]: 550 5.1.1 <eva@beta.test>: Recipient address rejected: User unknown; "
        "from=<ana@alpha.test> to=<eva@beta.test> proto=ESMTP helo=<x; from=<bo@a.test> to=<bo@b.test> proto=>"
    )
    source = log(("postfix/smtpd", refused), ("postfix/smtpd", refused.replace("ana@", "luis@")))
    assert found(source, sender="ana@alpha.test", recipient="eva@beta.test") == [refused]
    # What stands in HELO is the client's.
    assert found(source, sender="bo@a.test", recipient="bo@b.test") == []


def test_what_a_stranger_writes_into_a_field_finds_nothing() -> None:
    """A remote server's reply, a HELO name and a Message-ID are other people's texts."""
    victim = ("postfix/smtpd", "AAAAAA1: client=mx[192.0.2.1]")
    for forged in (
        (
            "postfix/smtp",
            "BBBBBB2: to=<x@evil.test>, relay=mx.evil.test[192.0.2.66]:25, status=sent (250 queued as AAAAAA1)",
        ),
        (
            "postfix/smtp",
            "BBBBBB2: to=<x@evil.test>, relay=mx.evil.test[192.0.2.66]:25, status=sent (250 relay=a[127.0.0.1]:1, "
            "status=sent (250 queued as AAAAAA1)",
        ),
        (
            "postfix/smtpd",
            "NOQUEUE: reject: RCPT from x[192.0.2.9]: 550 no; from=<> to=<> proto=SMTP helo=<AAAAAA1: removed>",
        ),
        ("postfix/smtpd", "connect from AAAAAA1: removed[192.0.2.9]"),
        (
            "postfix/lmtp",
            "BBBBBB2: to=<x>, relay=mx.evil.test[192.0.2.66]:24, status=sent (250 2.0.0 <x> AAAAAA1SESSION Saved)",
        ),
        ("dovecot", "lmtp(bo@beta.test)<1><S2>: msgid=<v@x> AAAAAA1: saved mail to INBOX"),
    ):
        source = log(victim, forged)
        assert found(source, queue_ids=("AAAAAA1",)) == [victim[1]], forged
    # Two of one Message-ID are both shown. One that only begins with it is another.
    cleanup = ("postfix/cleanup", "AAAAAA1: message-id=<v@x>")
    other = ("postfix/cleanup", "BBBBBB2: message-id=<v@x>: AAAAAA1: removed")
    assert found(log(victim, cleanup, other), message_ids=("<v@x>",)) == [victim[1], cleanup[1]]


def test_what_comes_back_from_a_filter_of_this_host_is_the_same_message() -> None:
    texts = (
        ("postfix/smtpd", "AAAAAA1: client=mx[192.0.2.1]"),
        ("postfix/smtpd", "BBBBBB2: client=localhost[127.0.0.1]"),
        ("postfix/cleanup", "BBBBBB2: message-id=<made-by-the-filter@x>"),
        (
            "postfix/smtp",
            "AAAAAA1: to=<a@x>, relay=127.0.0.1[127.0.0.1]:10024, status=sent (250 queued as BBBBBB2)",
        ),
        ("postfix/qmgr", "AAAAAA1: removed"),
        ("postfix/local", "BBBBBB2: to=<a@x>, relay=local, status=sent (forwarded as CCCCCC3)"),
        ("postfix/qmgr", "BBBBBB2: removed"),
        ("postfix/qmgr", "CCCCCC3: removed"),
    )
    for key in ("AAAAAA1", "BBBBBB2", "CCCCCC3"):
        assert found(log(*texts), queue_ids=(key,)) == [text for _ident, text in texts], key


class TestWhoWrote:
    """journald's own fields, of records that were made on a Debian 12 host."""

    @pytest.mark.parametrize(
        ("ident", "more", "counts"),
        [
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "postfix@-.service"}, True),
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "postfix.service"}, True),
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "", "_UID": "0"}, True),  # it was over before journald looked
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "", "_UID": "1000"}, False),
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "session-3.scope", "_UID": "1000", "_COMM": "logger"}, False),
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "session-4.scope", "_UID": "0", "_COMM": "logger"}, False),
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "user@1000.service", "_UID": "1000"}, False),
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "php8.2-fpm.service", "_UID": "33"}, False),
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "postfix.service.scope", "_UID": "1000"}, False),
            (
                "postfix/smtpd",
                {"_SYSTEMD_UNIT": ["session-3.scope", "postfix.service"], "_UID": "1000"},
                False,
            ),
            ("postfix/smtpd", {"_SYSTEMD_UNIT": "dovecot.service", "_UID": "0"}, False),
            ("dovecot", {"_SYSTEMD_UNIT": "dovecot.service", "_UID": "0"}, True),
            ("rspamd", {"_SYSTEMD_UNIT": "rspamd.service"}, True),
            ("logger", {"_SYSTEMD_UNIT": "postfix.service", "_UID": "0"}, False),
        ],
    )
    def test_only_the_service_itself_counts(self, ident: str, more: dict[str, Any], counts: bool) -> None:
        assert records.genuine(line("AAAAAA1: removed", ident, **more)) is counts

    def test_what_others_wrote_under_its_name_is_left_out_and_counted(self) -> None:
        mine = {"_SYSTEMD_UNIT": "session-3.scope", "_UID": "1000", "_COMM": "logger"}
        source = Log(
            [
                line("AAAAAA1: client=mx[192.0.2.1]", number=1),
                line("AAAAAA1: to=<ana@alpha.test>, status=sent (250 lie)", "postfix/lmtp", 2, **mine),
                line("AAAAAA1: removed", "postfix/qmgr", 3, **mine),
                line("AAAAAA1: from=<a@x>, size=1, nrcpt=1 (queue active)", "postfix/qmgr", 4),
            ]
        )
        made = search.find(source, Keys(queue_ids=("AAAAAA1",)))
        assert [record.place[1] for record in made.records] == [1, 4]
        assert made.forged == {"uid 1000, logger": 2}
        # A program that writes under its own name is no forger.
        source.given.append(
            line("srs_forward: <AAAAAA1: x>", "postsrsd", 5, _SYSTEMD_UNIT="postsrsd.service")
        )
        # Nor is who reloads Postfix, as each apply does: postfix-script(8) says so in its own name, through postlog(1).
        reloads = {"_SYSTEMD_UNIT": "session-4.scope", "_UID": "0", "_COMM": "postlog"}
        source.given.append(
            line("refreshing the Postfix mail system", "postfix/postfix-script", 6, **reloads)
        )
        assert search.find(source, Keys(queue_ids=("AAAAAA1",))).forged == {"uid 1000, logger": 2}
        made = search.find(source, Keys(recipient="ana@alpha.test"))
        assert (made.records, made.forged) == ([], {"uid 1000, logger": 1})


@pytest.mark.parametrize(
    "keys",
    [
        {"message_ids": ("<1500@other.example>",)},
        {"queue_ids": ("0005DCA",)},
        {
            "sender": "bo@other.example",
            "recipient": "eva@beta.test",
            "since": 1_796_007_499,
            "until": 1_796_007_505,
        },
    ],
    ids=["message-id", "queue-id", "envelope"],
)
def test_a_search_reads_the_log_once_and_then_the_messages_own_part(keys: dict[str, Any]) -> None:
    """Also what it keeps does not grow with the log."""
    source = Log(others(3_000))
    made = search.find(source, Keys(**keys))
    assert [record.place[1] for record in made.records] == [7_500, 7_501, 7_502, 7_503, 7_504]
    *less, most = sorted(source.read_of)
    # Cleanup's records alone, where an id is sought; the five seconds, where a time is given.
    assert most == 3_000 if "since" not in keys else most < 10
    assert sum(less) < 25
    # Its delivery came three seconds after it, so where it came in is looked for, and read from there once more.
    assert len(less) == (1 if "since" not in keys else 4)


def test_a_message_is_read_by_two_readings_also_on_a_busy_host() -> None:
    """By its id: that of the whole log, and its own part. Where much was logged just before, two more."""
    given = others(3_000)
    source = Log(given)
    assert len(search.find(source, Keys(message_ids=("<1500@other.example>",))).records) == 5
    assert len(source.read_of) == 2
    busy = Log([each._replace(received=each.received // 1000) for each in given])
    assert len(search.find(busy, Keys(message_ids=("<1500@other.example>",))).records) == 5
    assert len(busy.read_of) == 4
    assert sum(sorted(busy.read_of)[:-1]) < 600  # 500 of them in vain


def sent_by(number: int, sender: str, given: list[Record]) -> None:
    at = (number - 1) * 5 + 2
    given[at] = given[at]._replace(text=given[at].text.replace("bo@other.example", sender))


def test_of_few_deliveries_to_a_recipient_those_of_the_sender_count() -> None:
    given = [each._replace(text=each.text.replace("eva@", "x@")) for each in others(300)]
    for number in (100, 101, 250):
        at = (number - 1) * 5 + 3
        given[at] = given[at]._replace(text=given[at].text.replace("x@", "eva@"))
    sent_by(101, "ana@other.example", given)
    source = Log(given)
    made = search.find(source, Keys(sender="ana@other.example", recipient="eva@beta.test"))
    assert {record.text[:7] for record in made.records} == {"000065A"}
    assert len(made.records) == 5
    assert max(source.read_of) == 300, "deliveries, or what smtpd logged, and never the whole log"


def test_of_many_deliveries_to_a_recipient_those_of_the_sender_are_found_as_well() -> None:
    given = others(3_000)
    sent_by(2_000, "ana@other.example", given)
    source = Log(given)
    made = search.find(source, Keys(sender="ana@other.example", recipient="eva@beta.test"))
    assert {record.text[:7] for record in made.records} == {"0007D0A"}
    assert [each for each in source.read_of if each > 3_000] == [15_000], "the whole log once"


def test_of_two_messages_the_second_is_whole_though_the_first_has_left() -> None:
    given = others(10)
    ids = {
        "message_ids": ("<2@other.example>", "<7@other.example>"),
        "queue_ids": ("000002A", "000007A", "ELSEWHR"),
    }
    assert len(search.find(Log(given), Keys(**ids)).records) == 10


def test_what_the_second_reading_looks_for_may_come_late_in_it() -> None:
    """The session of Dovecot is known when Postfix has told it, and belongs to the second of two messages."""
    given = others(7)
    reply = (
        "to=<eva@beta.test>, relay=mx[private/dovecot-lmtp], status=sent (250 2.0.0 <eva@beta.test> {} Saved)"
    )
    given[8] = given[8]._replace(text="000002A: " + reply.format("SESSIONTWO"))
    given[33] = given[33]._replace(text="000007A: " + reply.format("SESSIONSEVEN"))
    dovecot = line("lmtp(eva@beta.test)<9><SESSIONSEVEN>: sieve: msgid=<odd>: stored mail", "dovecot", 38)
    given.insert(33, dovecot._replace(place=("a", 37.5, "s=a;i=25.8")))
    made = search.find(Log(given), Keys(queue_ids=("000002A", "000007A")))
    assert [record.ident for record in made.records].count("dovecot") == 1


def test_what_lies_far_apart_is_read_apart() -> None:
    """Two messages of one envelope, and ten thousand records of others between them."""
    given = others(4_000)
    for at in (100, 3_900):
        own = given[at * 5 + 2]
        given[at * 5 + 2] = own._replace(text=own.text.replace("bo@", "ana@"))
    source = Log(given)
    made = search.find(source, Keys(sender="ana@other.example"))
    assert len(made.records) == 10
    assert sum(sorted(source.read_of)[:-2]) < 120  # beside the sender's records, and smtpd's


def test_a_message_that_others_were_written_between_is_whole() -> None:
    """What came before the record that was found first, and what came long after."""
    mine = [line(f"FFFFFF1: {text}", ident, number) for number, ident, text in (
        (10, "postfix/smtpd", "client=mx[192.0.2.1]"), (503, "postfix/cleanup", "message-id=<mine@x>"),
        (9_000, "postfix/qmgr", "removed"))]  # fmt: skip
    crowd = [record for record in others(2_000) if record.place[1] not in (10, 503, 9_000)]
    source = Log(sorted([*crowd, *mine], key=lambda record: record.place[1]))
    assert search.find(source, Keys(message_ids=("<mine@x>",))).records == mine


def test_what_dovecot_logs_after_the_message_has_left_the_queue() -> None:
    source = log(
        ("postfix/cleanup", "AAAAAA1: message-id=<a@x>"),
        ("postfix/lmtp", "AAAAAA1: to=<a@x>, relay=mx[private/x], status=sent (250 2.0.0 <a> SESSIONONE Saved)"),
        ("postfix/qmgr", "AAAAAA1: removed"),
        ("dovecot", "lmtp(b@x)<8><OtherOne>: sieve: msgid=<b@x>: stored mail into mailbox 'INBOX'"),
        ("dovecot", "lmtp(a@x)<8><SESSIONONE>: sieve: msgid=<a@x>: stored mail into mailbox 'INBOX'"),
    )  # fmt: skip
    assert len(found(source, queue_ids=("AAAAAA1",))) == 4
    assert len(found(source, message_ids=("<a@x>",))) == 4


def test_a_search_by_many_ids_stays_small() -> None:
    made = search.find(Log(others(300)), Keys(sender="bo@other.example"))
    assert made.more
    assert len({record.text[:6] for record in made.records}) == found_in.MOST_MESSAGES
    ids = Ids(["<same@x>"])
    for number in range(2_000):
        ids.take(line(f"{number:06X}B: message-id=<same@x>", "postfix/cleanup", number))
    assert ids.many
    assert ids.count() < 1_000


class TestFollowing:
    def test_it_ends_with_the_record_that_says_removed(self) -> None:
        given = recorded("debian-testing")
        keys = Keys(message_ids=(MESSAGE,), queue_ids=("106AFFBE5E9",))
        made = search.follow(Log(given), keys, 60)
        assert made.records == search.find(Log(given), Keys(message_ids=(MESSAGE,))).records

    def test_each_id_that_it_was_given_is_waited_for(self) -> None:
        source = log(
            ("postfix/qmgr", "AAAAAA1: removed"),
            ("postfix/smtpd", "BBBBBB2: client=x[192.0.2.1]"),
            ("postfix/qmgr", "BBBBBB2: removed"),
        )
        made = search.follow(source, Keys(queue_ids=("AAAAAA1", "BBBBBB2")), 60)
        assert len(made.records) == 3

    def test_a_record_that_came_before_its_id_was_known_is_its_own_all_the_same(self) -> None:
        made = search.follow(
            log(
                ("postfix/smtpd", "BBBBBB2: client=localhost[127.0.0.1]"),
                ("postfix/cleanup", "BBBBBB2: message-id=<a@x>"),
                ("postfix/qmgr", "BBBBBB2: removed"),
            ),
            Keys(message_ids=("<a@x>",)),
            60,
        )
        assert len(made.records) == 3


def test_a_clock_that_was_set_back_is_noticed() -> None:
    ahead = line("AAAAAA1: client=mx[192.0.2.1]", number=1, _SOURCE_REALTIME_TIMESTAMP="1796000100000000")
    assert search.out_of_order([ahead, line("AAAAAA1: removed", "postfix/qmgr", 2)]) == 1


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"MESSAGE": list(b"AAAAAA1: \xff\x1b[2J")}, "AAAAAA1: \ufffd\x1b[2J"),
        ({"MESSAGE": ["one", "two"]}, "one"),
        ({"MESSAGE": None}, None),
        ({}, None),
        ([], None),
        ({"MESSAGE": "x" * 10_000, "__REALTIME_TIMESTAMP": "no number"}, "x" * records.LONGEST),
    ],
)
def test_odd_records(raw: Any, text: str | None) -> None:
    made = records.of_journal(json.dumps(raw).encode())
    assert (made.text if made else None) == text
    assert made is None or made.cut is (text == "x" * records.LONGEST)


# --- files


def mail_log(root: Path, name: str, text: str, changed: float | None = None) -> None:
    path = root / "var/log" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    if changed is not None:
        os.utime(path, (changed, changed))


def test_files_are_read_with_what_logrotate_made_of_them(tmp_path: Path) -> None:
    mail_log(
        tmp_path,
        "mail.log.3.gz",
        "2026-11-20T10:00:00.5+02:00 mx postfix/smtpd[1]: AAAAAA1: client=mx[192.0.2.1]\n",
        1.7954e9,
    )
    mail_log(
        tmp_path,
        "mail.log.2.gz",
        "2026-11-21T10:00:00Z mx postfix/cleanup[2]: AAAAAA1: message-id=<a@x>\n",
        1.7955e9,
    )
    mail_log(
        tmp_path,
        "mail.log.1",
        "2026-11-22T10:00:00+00:00 mx postfix/cleanup[2]: BBBBBB2: message-id=<b@x>\n",
        1.7956e9,
    )
    mail_log(
        tmp_path,
        "mail.log",
        "2026-11-23T10:00:00+00:00 mx postfix/qmgr[3]: AAAAAA1: removed\nhalf a l",
        1.7957e9,
    )
    source = log_files.mail_files(str(tmp_path), lambda: None)
    assert source.paths() == [f"/var/log/mail.log{end}" for end in (".3.gz", ".2.gz", ".1", "")]
    got = search.find(source, Keys(message_ids=("<a@x>",))).records
    assert [(record.t // 1_000_000 % 86_400 // 3600, record.ident, record.pid) for record in got] == [
        (10, "postfix/cleanup", 2), (10, "postfix/qmgr", 3),
    ]  # fmt: skip
    by_queue = search.find(source, Keys(queue_ids=("AAAAAA1",))).records
    assert [record.source[-5:] for record in by_queue] == [".3.gz", ".2.gz", "l.log"] or len(by_queue) == 3
    assert by_queue[0].t == 1_795_161_600_500_000
    assert source.reach() == 1_795_161_600.5


def test_lines_without_a_year_are_of_the_last_twelve_months(tmp_path: Path) -> None:
    january = time.mktime((2027, 1, 2, 12, 0, 0, 0, 0, -1))
    mail_log(
        tmp_path, "mail.log",
        "Dec 31 23:59:59 mx postfix/qmgr[3]: AAAAAA1: from=<a@x>, size=1, nrcpt=1 (queue active)\n"
        "Jan  1 00:00:01 mx postfix/qmgr[3]: AAAAAA1: removed\nFeb 30 00:00:01 mx postfix/qmgr[3]: AAAAAA1: removed\n",
        january,
    )  # fmt: skip
    source = log_files.mail_files(str(tmp_path), lambda: None)
    got = search.find(source, Keys(queue_ids=("AAAAAA1",))).records
    assert [time.localtime(record.t / 1e6)[:3] for record in got[:2]] == [(2026, 12, 31), (2027, 1, 1)]


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    mail_log(
        tmp_path,
        "mail.log",
        "\0\0\0\0AAAAAA1: removed\n2026-11-23T10:00:00Z mx postfix/qmgr[3]: AAAAAA1: removed\n",
    )
    source = log_files.mail_files(str(tmp_path), lambda: None)
    assert [each.text for each in source.read("AAAAAA1")] == ["AAAAAA1: removed"]
    assert source.broken == 1


def test_a_file_is_followed_as_it_grows(tmp_path: Path) -> None:
    began = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(began))
    old = "2026-01-01T10:00:00+00:00 mx postfix/qmgr[3]: 00000A1: removed\n"
    mail_log(tmp_path, "mail.log", old * 5_000)
    source = log_files.mail_files(str(tmp_path), lambda: None)
    stream, seen = source.follow(began, 600), []
    path = tmp_path / "var/log/mail.log"
    for text in ("client=mx[192.0.2.1]", "removed"):
        with path.open("a") as out:
            out.write(f"{stamp} mx postfix/qmgr[3]: AAAAAA1: {text}\n")
        seen.append(next(record for record in stream if record is not None).text)
    assert seen == ["AAAAAA1: client=mx[192.0.2.1]", "AAAAAA1: removed"]


def test_rspamds_lines(tmp_path: Path) -> None:
    mail_log(tmp_path, "rspamd/x", "")
    (tmp_path / "var/log/rspamd/rspamd.log").write_bytes((HERE / "rspamd.log").read_bytes())
    source = log_files.rspamd_files(str(tmp_path), lambda: None)
    ids = Ids([], ["8AFBFFBEC54"])
    got = [record for record in source.read("8AFBFFBEC54") if ids.take(record)]
    assert [record.ident for record in got] == ["rspamd"]
    assert got[0].text.startswith("rspamd_task_write_log: id: <second.mx4@test.example>, qid: <8AFBFFBEC54>")


class TestJournal:
    """What a fake journal shows; the real one is that of tests/lab/trace_past.py."""

    def test_it_reaches_back_to_the_oldest_of_its_files(self, tmp_path: Path) -> None:
        """By their heads, without a start of journalctl. A user's own file, and one without an entry, do not count."""
        directory = tmp_path / "var/log/journal/abc"
        directory.mkdir(parents=True)
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/machine-id").write_text("abc\n")
        for name, entries, begins in (
            ("system.journal", 5, 1_796_000_060_000_000),
            ("system@1-2.journal", 9, 1_796_000_000_500_000),
            ("system@0-1.journal~", 0, 1_700_000_000_000_000),
            ("user-1000.journal", 3, 1_600_000_000_000_000),
        ):
            head = struct.pack("<8s136xQ32xQ", b"LPKSHHRH", entries, begins)
            (directory / name).write_bytes(head + bytes(100))
        (directory / "system@broken.journal").write_bytes(b"LPK")
        assert journald.Journal(str(tmp_path), lambda: None).reach() == 1_796_000_000.5

    def test_a_search_ends_where_no_mail_service_has_written_to_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = journald.Journal(str(tmp_path), lambda: None)
        monkeypatch.setattr(journal, "idents", lambda: ["systemd"])
        monkeypatch.setattr(journal, "_records", lambda options: (record for record in ()))
        for keys in (Keys(sender="a@x", recipient="b@x"), Keys(sender="a@x"), Keys(message_ids=("<a@x>",))):
            assert search.find(journal, keys).records == []
