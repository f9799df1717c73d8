"""A host in foreign hands, whose agent keeps to the form and lies in the content: nothing of it may end anything but itself.

What has a wrong form is tested in tests/unit/run/test_believed.py. Here every field may hold what its form allows, several
fields at once, messages come twice, too early and in a wrong order; and the lines below them are broken.
"""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailprov.errors import HostFailed, MailprovError
from mailprov.model.events import Ended
from mailprov.run import deploy
from mailprov.run.select import select
from mailprov.transport.conversation import Conversation
from mailprov.wire import shapes
from tests.attacks.tries import LONG, Tries
from tests.unit.report.test_hostile_text import Everything, bad
from tests.unit.run.every_message import GOOD, at, changed, leaves, play
from tests.unit.run.scripted import FACTS, ScriptedAgent, hello, inventory, plan

TEXTS = [
    "", " ", "\0", "\n", "\r\n", "..", "../../etc/shadow", "/", "-", "--help", "~", "'", '"', "\\", "$(id)", "`id`", "%s%n", "%(x)s", "{}", "{0.__class__}", "{{ 7 * 7 }}", "{% raw %}", "[bold]x[/]", "[/]", "[link=http://x]y",
    "\x1b[2J", "\x1b]52;c;eA==\x07", "\x9b31m", "\u202e", "\u200b", "\ufeff", "\ud800", "\U0001f4a9", "\u0661\u0662", "\u00b2", "İ", "ß", "e\u0301" * 50, "Z\u0335" * 50, "a" * 4000, "1:2:3", "1:", ":", "~~", "0", "-1", "1e309", "9" * 300, "3.7.11-0", "99999999999999999999", "3", "3.", ".", "3..7", "a.b",
    "null", "nan", "true", "0x10", "2026-13-45T99:99:99Z", "99991231T235959Z-abcdef", "20240101T200000Z-0a1b2c", "00000000T000000Z-000000", "20240230T000000Z-abcdef", "mx2", "mx1", "alpha.test", "*.alpha.test", "_mailprov.alpha.test", "v=DKIM1; p=", "v=spf1 +all", "10 evil.test", "<script>", "]]>", "&#27;", "\x0b", "\x0c", "\x85", "\u2028",
]  # fmt: skip
NUMBERS = [0, 1, -0.0, 0.5, 2**31, 2**53, 253402300799, 1e-300, 59.999999, 10**15]


def odd(value: Any, dice: random.Random) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return dice.choice(NUMBERS)
    if value is None:
        return dice.choice(TEXTS)
    return dice.choice(TEXTS) if dice.random() < 0.8 else value + dice.choice(TEXTS)


def well_formed(message: dict[str, Any]) -> bool:
    try:
        shapes.check(message)
    except shapes.Nonsense:
        return False
    return True


def test_every_field_lies_within_its_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: Tries
) -> None:
    """One to five fields at a time: one host's failure or none, told in clean words, and the other host is done."""
    dice = random.Random(20261129)
    kinds = [kind for kind in shapes.MESSAGES if leaves(kind)]
    for number in range(600 if LONG else 60):
        kind = kinds[number % len(kinds)]
        message = copy.deepcopy(GOOD[kind])
        for path in dice.sample(leaves(kind), min(len(leaves(kind)), dice.randint(1, 5))):
            message = changed(message, path, odd(at(message, path), dice))
        if not well_formed(message):
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        reports = Everything(folder, monkeypatch, verbose=bool(number % 2))
        try:
            run = play(kind, message, reports.emit)
        except Exception as error:
            tries.held((kind, message), False, repr(error))
            continue
        ends = {one.subject: one for one in run.events if isinstance(one, Ended)}
        words = " ".join([*(one.error for one in ends.values()), *getattr(run, "errors", [])])
        tries.held((kind, str(message)[:200]), "internal error" not in words, words)
        tries.held((kind, "exit code"), run.code in (0, 1, 3), run.code)
        if "mx2" in ends:
            tries.held(
                (kind, "mx2"), ends["mx2"].status in ("ok", "skipped") or ends["mx1"].status != "ok", ends
            )
        for name, text in reports.parts.items():
            tries.held((kind, name), not bad(text), sorted(map(repr, bad(text))))


def test_messages_in_any_order(tmp_path: Path, tries: Tries) -> None:
    dice = random.Random(7)
    facts = {"t": "facts", "facts": FACTS}
    good = [hello(), facts, plan(), *GOOD.values()]
    for _number in range(400 if LONG else 60):
        first = [copy.deepcopy(dice.choice(good)) for _ in range(dice.randint(0, 8))]
        if dice.random() < 0.7:
            first = [hello(), facts, *first]
        agents = {
            "mx1": ScriptedAgent(
                first, [copy.deepcopy(dice.choice(good)) for _ in range(dice.randint(0, 5))]
            ),
            "mx2": ScriptedAgent([hello(), facts, plan(GOOD["applied"]["change"])]),
        }
        events: list[Any] = []
        read = inventory("mx1", "mx2")
        code = deploy.apply(
            read,
            select(read),
            deploy.Options(command="apply", verify=False),
            start=lambda host, job, agents=agents: agents[host.name],  # type: ignore[misc]
            report=events.append,
        )
        ends = {one.subject: one for one in events if isinstance(one, Ended)}
        kinds = [one["t"] for one in first]
        tries.held(kinds, "mx1" in ends and "internal error" not in ends["mx1"].error, ends.get("mx1"))
        tries.held((kinds, "code"), code in (0, 1, 3), code)


class Bytes:
    """A pipe that gives what it has, in pieces."""

    def __init__(self, data: bytes, dice: random.Random) -> None:
        self._pieces = []
        while data:
            size = dice.choice((1, 7, 100, 5000, 10**6))
            self._pieces.append((data[:size], b"") if dice.random() < 0.9 else (b"", data[:size]))
            data = data[size:]

    def read(self, timeout: float) -> tuple[bytes, bytes] | None:
        return self._pieces.pop(0) if self._pieces else None

    def write(self, data: bytes) -> None: ...

    def exit_status(self) -> int | None:
        return 0

    def close(self) -> None: ...


JSONS = [
    b"{}", b"[]", b"null", b"1", b'"x"', b'{"t":1}', b'{"t":null}', b'{"t":{}}', b'{"t":"end"}', b'{"t":"beat"}', b'{"t":"plan","changes":[' + b"[" * 100000, b"[" * 200000, b'{"a":' * 50000, b'{"t":"progress","text":"\\ud800"}', b'{"t":"progress","text":"\xff\xfe"}',
    b'{"t":"hello","time":1e999}', b'{"t":"hello","time":NaN}', b'{"t":"hello","time":' + b"9" * 5000 + b"}", b'{"t":"progress","text":"x","text":"y"}', b'{"t":"progress","t":"end"}', b'{"t":"notice","text":"' + b"x" * 70000 + b'"}', b'{"t":"progress","text":' + b'"' * 3, b"\0", b"\xef\xbb\xbf{}", b"\r", b" " * 100000,
]  # fmt: skip


def test_broken_lines(tries: Tries) -> None:
    """Of what is no message: an error that names the host, within a moment, and nothing else."""
    dice = random.Random(11)
    tag = "0123456789abcdef"
    good = [json.dumps(message, default=str).encode() for message in GOOD.values()]
    head = f"{tag} ".encode()
    for number in range(600 if LONG else 100):
        lines = []
        for _ in range(dice.randint(1, 6)):
            body = dice.choice(JSONS if dice.random() < 0.5 else good)
            if dice.random() < 0.4:
                body = bytearray(body)
                for _ in range(dice.randint(1, 5)):
                    place = dice.randrange(len(body) + 1)
                    body[place : place + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
            lines.append(
                dice.choice((head, head, head, b"", head[:-1], head + head, b"\x1b" + head)) + bytes(body)
            )
        conversation = Conversation("mx1", Bytes(b"\n".join(lines) + dice.choice((b"\n", b"")), dice), tag)
        began = time.monotonic()
        try:
            for message in _limited(conversation.messages()):
                tries.held((number, "a message"), isinstance(message, dict), message)
        except MailprovError as error:
            tries.held(number, isinstance(error, HostFailed) and error.where == "mx1", error)
        except Exception as error:
            tries.held((number, lines[:2]), False, repr(error))
        tries.held((number, "in time"), time.monotonic() - began < 5, time.monotonic() - began)
        tries.held((number, "kept"), sum(map(len, conversation.noise())) < 100_000)


def _limited(messages: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, message in enumerate(messages):
        assert number < 1000
        yield message
