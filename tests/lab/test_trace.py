"""`mailprov trace` on real hosts, Debian 12 (Dovecot 2.3) and Debian 13 (Dovecot 2.4), with Rspamd: ten ways.

Each is compared with a text in tests/golden/trace, where times, ids, addresses and points of the filter are masked.
MAILPROV_GOLDEN=write writes these anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mailprov import lab
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.program import Result, interrupt_when, run
from tests.lab.trace_past import Past
from tests.unit.cli.terminal import Terminal

GOLDEN = Path(__file__).parents[1] / "golden" / "trace"


def _domain(name: str, host: str, accounts: str, more: str) -> str:
    return f"  {name}:\n    hosts: [{host}]\n    accounts:\n{accounts}{more}"


def _accounts(*names: str) -> str:
    return "".join(f"      {name}: {{password: {{env: P}}}}\n" for name in names)


INVENTORY = (
    """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
"""
    + _domain(
        "alpha.test",
        "mx1",
        _accounts("ana", "luis", "pia") + "      small: {password: {env: P}, quota: 20K}\n"
        "      away: {password: {env: P}, forward: {to: [eva@beta.test], keep: false}}\n",
        "    aliases: {sales: luis}\n",
    )
    + _domain(
        "beta.test",
        "mx2",
        _accounts("eva", "bob"),
        "    lists: {crew: [bob, luis@alpha.test]}\n    domain_aliases: [bela.test]\n",
    )
)
# Name → exit code, what follows INVENTORY.
WAYS: dict[str, tuple[int, list[str]]] = {
    "between-two-domains": (0, ["ana@alpha.test", "eva@beta.test"]),
    "within-one-domain": (0, ["eva@beta.test", "bob@beta.test"]),
    "alias": (0, ["ana@alpha.test", "sales@alpha.test"]),
    "list": (0, ["eva@beta.test", "crew@beta.test"]),
    "forwarding-with-srs": (0, ["bob@beta.test", "away@alpha.test", "--wire"]),
    "domain-alias": (0, ["ana@alpha.test", "eva@bela.test"]),
    "over-quota": (1, ["eva@beta.test", "small@alpha.test"]),
    "spam-to-junk": (0, ["stranger@else.test", "luis@alpha.test"]),
    "unknown-user": (1, ["ana@alpha.test", "nobody@beta.test"]),
    "next-host-down": (3, ["ana@alpha.test", "eva@beta.test"]),
}

# What --wire may have left on a host, and how many mounts.
OF_WIRE = (
    "systemctl list-units --all --no-legend --plain 'mailprov-wire*'; ls -d /run/mailprov/wire* 2>/dev/null; "
    "ls /var/lib/mailprov | grep journal; ls /var/spool/postfix/private | grep mailprov-wire; "
    "grep -c mailprov/wire /proc/self/mountinfo"
)


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> Iterator[lab.Lab]:
    made = ready_lab_factory(INVENTORY)
    result = run("apply", "--yes", "--no-verify", str(made.inventory_path), timeout=580)
    assert result.code == 0, result.events[-3:]
    yield made
    assert [run_on(made, host, OF_WIRE, check=False) for host in ("mx1", "mx2")] == ["0\n", "0\n"]
    left = [head for host in ("mx1", "mx2") for _box, _folder, head in post.stored(made, host)]
    assert not [head for head in left if "X-Mailprov-Probe" in head or "mailer-daemon" in head.lower()]


def traced(hosts: lab.Lab, *words: str, inventory: Path | None = None) -> Result:
    result = run("trace", str(inventory or hosts.inventory_path), *words, "--wait", "60")
    assert len(result.of("traced")) <= 1
    return result


class Masks:
    """Each id and each address is the same word wherever it stands."""

    def __init__(self, trace: dict[str, Any]) -> None:
        ids = dict.fromkeys(step["queue_id"] for step in trace["steps"] if step["queue_id"])
        self._words = {name: f"ID{number}" for number, name in enumerate(ids, 1)}

    def __call__(self, text: str) -> str:
        for name, word in self._words.items():
            text = text.replace(name, word)
        text = re.sub(r"SRS0=\S+?=\S\S=", "SRS0=HASH=DAY=", text)
        text = re.sub(r"\b10\.\d+\.\d+\.\d+\b|\bfd[0-9a-f]{2}:[0-9a-f:]+", "ADDRESS", text)
        text = re.sub(r"ADDRESS(, ADDRESS)+", "ADDRESS", text)
        text = re.sub(r"-?\d+(\.\d+)? of 15 points", "N of 15 points", text)
        return re.sub(r"\d+ bytes", "N bytes", text)


def shown(trace: dict[str, Any]) -> str:
    """Steps and arrivals as the golden texts have them."""
    mask = Masks(trace)
    lines = []
    for step in trace["steps"]:
        place = f"{step['host']}:{step['port']}" if step["port"] else step["host"]
        about = f" for {step['recipient']}" if step["recipient"] else ""
        lines.append(
            f"{step['number']:2} <- {step['after']:2}  {step['agent']:10} {step['evidence']:13} "
            f"{mask(place)} {mask(step['queue_id'])}{about}: {mask(step['text'])}"
        )
        told = sorted(
            {
                re.sub(r"^\w+ (TLS connection) established.*|\[\d+\]:.*", r"\1", line["text"])
                for line in step["lines"]
                if line["source"] == "log"
            }
        )
        kinds = [
            kind
            for kind in ("sent", "received", "file")
            if any(each["source"] == kind for each in step["lines"])
        ]
        # Rspamd has no order in what it adds, and X-Spam-Level only where there is a whole point.
        names = sorted(header.partition(":")[0] for header in step["headers"])
        names = [name for name in names if name != "X-Spam-Level"]
        for word, values in (("log", told), ("dialogue", kinds), ("headers", names)):
            if values:
                lines.append(f"{'':10}{word}: {', '.join(values)}")
    for each in trace["arrivals"]:
        where = f" ({each['mailbox']})" if each["mailbox"] else ""
        lines.append(
            f"{each['recipient']} -> {each['final']}: {each['outcome']}{where}: {mask(each['text'])}"
        )
        if each["next"]:
            lines.append(f"{'':10}{mask(each['next'])}")
    lines += [f"gap: {mask(gap)}" for gap in trace["gaps"]] + [
        f"doubt: {mask(doubt)}" for doubt in trace["doubts"]
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


@pytest.mark.parametrize("name", WAYS)
def test_each_of_ten_ways_is_told_whole(hosts: lab.Lab, tmp_path: Path, name: str) -> None:
    code, words = WAYS[name]
    if name == "over-quota":
        (tmp_path / "large.txt").write_text("x" * 70 + "\n" + "y\n" * 20_000)
        words = [*words, "--attach", str(tmp_path / "large.txt")]
    down = name == "next-host-down"
    if down:
        run_on(hosts, "mx2", "systemctl stop postfix")
    try:
        result = traced(hosts, *words)
    finally:
        if down:
            run_on(hosts, "mx2", "systemctl start postfix")
            run_on(hosts, "mx1", "postsuper -d ALL")
    (trace,) = result.of("traced")
    text = shown(trace)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("MAILPROV_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
    assert result.code == code


def test_what_the_filter_refuses_says_so(hosts: lab.Lab, tmp_path: Path) -> None:
    """GTUBE (spamassassin.apache.org/gtube): every filter takes it for spam."""
    path = tmp_path / "gtube.txt"
    path.write_text("XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n")
    result = traced(hosts, "ana@alpha.test", "eva@beta.test", "--attach", str(path))
    (trace,) = result.of("traced")
    (arrival,) = trace["arrivals"]

    assert (result.code, arrival["outcome"]) == (1, "refused")
    assert arrival["text"].startswith("The filter refused it: ")
    assert [(step["agent"], step["text"]) for step in trace["steps"][1:]] == [
        ("submission", "The server refused: 554 5.7.1 Gtube pattern"),
        ("filter", "The filter looked at it: reject (15 of 15 points)"),
    ]


def test_without_ssh_a_trace_has_what_an_outsider_sees_and_says_what_is_missing(
    hosts: lab.Lab, tmp_path: Path
) -> None:
    read = hosts.inventory_path.read_text()
    closed = re.sub(r"(?m)^( *)port: *\d+.*$", r"\1port: 1", read)
    if closed == read:
        closed = re.sub(r"(?m)^ssh:\n", "ssh:\n  port: 1\n", read)
    assert closed != read
    path = hosts.inventory_path.with_name("closed.yml")
    path.write_text(closed)
    try:
        result = traced(hosts, "ana@alpha.test", "eva@beta.test", inventory=path)
    finally:
        path.unlink()
    (trace,) = result.of("traced")

    assert result.code == 0
    assert [each["outcome"] for each in trace["arrivals"]] == ["delivered"]
    assert any("the log of mx1 could not be read" in gap for gap in trace["gaps"])
    hops = [step for step in trace["steps"] if step["evidence"] == "reconstructed"]
    assert [step["host"] for step in hops] == ["mx2.beta.test"]
    assert any(step["evidence"] == "missing" and step["hint"] for step in trace["steps"])


@contextmanager
def hashed(hosts: lab.Lab, user: str) -> Iterator[Path]:
    """An inventory that has only a hash of this user's password."""
    changed, count = re.subn(
        rf"(?m)^( *){user}:.*(\n\1 .*)*",
        rf"\1{user}: {{password: {{hash: '{{SHA512-CRYPT}}$6$aaaaaaaa$" + "b" * 86 + r"'}}",
        hosts.inventory_path.read_text(),
        count=1,
    )
    assert count
    path = hosts.inventory_path.with_name("hashed.yml")
    path.write_text(changed)
    try:
        yield path
    finally:
        path.unlink()


def test_who_has_only_a_hash_begins_at_port_25_and_it_is_said(hosts: lab.Lab) -> None:
    with hashed(hosts, "ana") as path:
        result = traced(hosts, "ana@alpha.test", "luis@alpha.test", inventory=path)
    (trace,) = result.of("traced")

    assert [(step["agent"], step["port"]) for step in trace["steps"][:2]] == [("mua", 0), ("smtp", 25)]
    assert any("the password of ana@alpha.test is not known here" in gap for gap in trace["gaps"])
    assert [each["outcome"] for each in trace["arrivals"]] == ["delivered"]


def test_a_password_is_asked_for_at_the_terminal_and_shown_nowhere(hosts: lab.Lab, tmp_path: Path) -> None:
    """Sent as a mail program does, with a login; and the same password opens ana's own mailbox."""
    known = post.password(hosts, "ana@alpha.test")
    words = ["ana@alpha.test", "ana@alpha.test", "--password", "--verbose", "--wait", "60"]
    with (
        hashed(hosts, "ana") as path,
        Terminal("trace", str(path), *words, cwd=tmp_path, env={"COLUMNS": "300"}) as terminal,
    ):
        terminal.answer("Password of ana@alpha.test: ", known)
        assert terminal.end() == 0, terminal.shown
    assert known not in terminal.shown
    assert "The message was handed over, with a login as ana@alpha.test, over TLS" in terminal.shown
    assert "AUTH PLAIN ****" in terminal.shown
    assert "It was read in INBOX" in terminal.shown


def heads_of(hosts: lab.Lab, mark: str) -> dict[str, str]:
    """Account → the header of its copy of the message with this mark."""
    every = [one for host in ("mx1", "mx2") for one in post.stored(hosts, host)]
    return {box: head for box, _folder, head in every if f"X-Mailprov-Probe: {mark}" in head}


def test_everybody_sees_to_and_cc_and_nobody_sees_bcc(hosts: lab.Lab) -> None:
    others = ["--cc", "bob@beta.test", "--bcc", "luis@alpha.test", "--keep"]
    result = traced(hosts, "ana@alpha.test", "eva@beta.test", *others)
    (trace,) = result.of("traced")
    mark = trace["message_id"].strip("<>").partition("@")[0]
    copies = heads_of(hosts, mark)
    for host, account in (("mx2", "eva@beta.test"), ("mx2", "bob@beta.test"), ("mx1", "luis@alpha.test")):
        run_on(hosts, host, f"doveadm expunge -u {account} mailbox '*' header X-Mailprov-Probe {mark}")

    assert result.code == 0
    arrived = {each["recipient"]: each["outcome"] for each in trace["arrivals"]}
    assert arrived == dict.fromkeys(("eva@beta.test", "bob@beta.test", "luis@alpha.test"), "delivered")
    assert set(copies) == set(arrived)
    for account, head in copies.items():
        assert re.findall(r"(?mi)^(to|cc|bcc): *(.*?)\r?$", head) == [
            ("To", "eva@beta.test"),
            ("Cc", "bob@beta.test"),
        ]
        assert account == "luis@alpha.test" or "luis" not in head
    assert heads_of(hosts, mark) == {}


def test_ctrl_c_takes_the_message_out_of_the_mailbox_again(hosts: lab.Lab) -> None:
    path = str(hosts.inventory_path)
    result = interrupt_when(
        lambda event: event.get("text") == "reading the logs",
        "trace",
        path,
        "ana@alpha.test",
        "eva@beta.test",
    )
    assert (result.code, result.of("traced")) == (130, [])
    told = [event["text"] for event in result.of("notice")]
    assert told == ["the message was removed from the mailbox of eva@beta.test"]


def test_ctrl_c_says_by_which_command_it_goes_where_the_mailbox_is_closed(hosts: lab.Lab) -> None:
    """luis' password is known to nobody here: the fixture's end looks whether the command that is told does it."""
    with hashed(hosts, "luis") as path:
        result = interrupt_when(
            lambda event: event.get("text") == "reading the logs",
            *("trace", str(path), "ana@alpha.test", "luis@alpha.test"),
        )
    assert result.code == 130
    (told,) = [event["text"] for event in result.of("notice")]
    host, command = re.fullmatch(r".*; this removes it, on (\w+): (doveadm expunge .*)", told).groups()  # type: ignore[union-attr]
    mark = command.split()[-1]
    wait_until(lambda: heads_of(hosts, mark), "the message is in luis' mailbox")
    assert list(heads_of(hosts, mark)) == ["luis@alpha.test"]
    run_on(hosts, host, command)
    assert heads_of(hosts, mark) == {}


def test_a_sender_or_recipient_that_cannot_be_is_2(hosts: lab.Lab) -> None:
    for words, what in (
        (["nobody@alpha.test", "eva@beta.test"], "is no account of alpha.test"),
        (["x@else.test", "y@else.test"], "neither the sender nor a recipient can be followed"),
        (["ana", "eva@beta.test"], "has no @"),
    ):
        result = traced(hosts, *words)
        assert result.code == 2
        assert what in result.of("error")[0]["what"]


class TestPast(Past):
    """Messages of the past, on the same hosts. Comes last: in the end it spoils their logs."""
