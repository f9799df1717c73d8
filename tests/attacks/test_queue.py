"""Somebody wants `mailprov queue` to delete, hold or release more than the one message that is named: by words in place of an
id, by messages that look like another, by hosts that say so. The agent, on a Postfix of scripts; the command, as a process.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from mailprov.agent.mail_queue import ids
from mailprov.model.queue import is_id
from tests.agent.driver import Agent, job
from tests.agent.fake_postfix import Spool
from tests.attacks.tries import Tries, some
from tests.unit.cli.program import mailprov
from tests.unit.cli.test_exit_codes import NOWHERE

ONE, TWO = "4F0A1B2C3D", "4F0A1B2C3E"
WORDS = [
    "ALL", "all", "All", "ALL ", " ALL", "-", "--", "-d", "-h", "-r ALL", "*", "?", "4F*", "[0-9]*", "4F0A1B2C3D*", "%", ".", "..", "/",
    "../deferred/4F0A1B2C3D", "deferred/4F0A1B2C3D", "4F0A1B2C3D 4F0A1B2C3E", "4F0A1B2C3D,4F0A1B2C3E", "4F0A1B2C3D\n4F0A1B2C3E", "4F0A1B2C3D\n", "\n4F0A1B2C3D", "4F0A1B2C3D\0", "\t4F0A1B2C3D", "4f0a1b2c3d", "4F0A", "", " ", "0", "0x4F0A1B2C3D",
    "4F0A1B2C3D;id", "$(id)", "`id`", "4F0A1B2C3D|id", "4F0A1B2C3D&", "4F0A1B2C3D'", '4F0A1B2C3D"', "4F0A1B2C3D\\", "٤F0A1B2C3D", "４F0A1B2C3D", "4F0A1B2C3D\u200b", "4F0A1B2C3D\u202e", "\x1b[2J", "A" * 25, "A" * 100_000, "deferred", "hold", "active", "MAILER-DAEMON",
    "4jd6bZ6tFsz", "4jd6bZ6tFs", "z2RBGG", "4jd6bZ6tFsz2RBGGz", "4jd6bZ6tFsz2RBGA", "4jd6bZ6tFsz2RBGG ", "4jd6bZ6tFsZ2RBGG", "4jd6bZ6tFsz2RBGG" * 3, "ALLALLALLAzALL", "id=4F0A1B2C3D", "--all", "-c/tmp/x", "-v", "+", "=", "null", "None", "true",
]  # fmt: skip


ACTIONS = ("flush", "hold", "release", "delete")


def test_words_in_place_of_an_id_on_the_host(tmp_path: Path, tries: Tries) -> None:
    """A controller that asks for it, whoever wrote that controller: no program of Postfix's is called."""
    (tmp_path / "root").mkdir()
    spool = Spool(tmp_path / "root")
    spool.put(ONE)
    spool.put(TWO, "hold")
    strange: list[object] = [*WORDS, [], ["ALL"], {"a": 1}, 7, None, True, 1e300]
    for action in ACTIONS:
        for word in some(strange, 6):
            agent = Agent(
                None, job(str(spool.root), "queue_act", action=action, ids=[ONE, word]), spool.before
            )
            end = agent.end()
            untouched = (spool.calls(), spool.ids()) == ([], {ONE, TWO})
            tries.held((action, word), end["status"] == "failed" and untouched, (end, spool.calls()))


def test_words_in_place_of_an_id_on_the_command_line(tmp_path: Path, tries: Tries) -> None:
    """Refused before a host is asked: exit code 2, one line, nothing of the word unescaped."""
    (tmp_path / "mail.yml").write_text(NOWHERE)
    for action in ACTIONS:
        option = "--id" if action == "flush" else f"--{action}"
        for word in some([word for word in WORDS if "\0" not in word], 3):
            more = ["--flush"] if action == "flush" else []
            done = mailprov("queue", *more, f"{option}={word}", "--yes", "mail.yml", cwd=tmp_path)
            clean = done.stderr.rstrip("\n").isprintable() and len(done.stderr) < 600
            tries.held((action, word), done.returncode == 2 and clean, (done.returncode, done.stderr[:200]))


def test_every_word_is_refused_by_both_sides(tries: Tries) -> None:
    chance = random.Random(7)
    alphabet = "ALL alz0123456789BCDFz*?-./\n\0\\'\"$`é"
    words = WORDS + [
        "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 18))) for _each in range(20_000)
    ]
    for word in words:
        same = ids.is_id(word) == is_id(word)
        plain = not is_id(word) or (
            word.isascii() and word.isalnum() and word != "A" * 3 and word.upper() != "ALL"
        )
        tries.held(repr(word), same and plain)
    for word in WORDS:
        tries.held(repr(word), not is_id(word))


@pytest.mark.parametrize("field", ["sender", "to", "reason"])
def test_messages_that_say_they_are_another(tmp_path: Path, tries: Tries, field: str) -> None:
    """Addresses and reasons that hold ids, lines of postcat's and postqueue's form, options and shells' words."""
    texts = [
        TWO, "x\nmessage_arrival_time: Mon Nov 13 22:13:20 2023\nsender: eva@a.test\n", "\nsender: ana@a.test", '", "queue_id": "4F0A1B2C3E', '"}]}\n{"queue_name": "hold", "queue_id": "4F0A1B2C3E"',
        "-d ALL", "ALL", "$(touch owned)", "`touch owned`", "'; touch owned; '", "\x1b]0;t\x07", "\u202e", "*", "a b", "<>", "@", "x" * 5000, "\ud800", "\0",
    ]  # fmt: skip
    for number, text in enumerate(some(texts, 4)):
        root = tmp_path / str(number)
        root.mkdir()
        spool = Spool(root)
        spool.put(ONE, **{field: text})  # type: ignore[arg-type]
        spool.put(TWO, sender="eva@a.test")
        work = job(str(root), "queue_act", action="delete", ids=[ONE])
        agent = Agent(None, work, spool.before)
        if agent.until("plan")["t"] == "plan" and agent.messages[-1]["waits"]:
            agent.send("go", fingerprint=agent.messages[-1]["fingerprint"])
        end = agent.end()
        there = spool.where(TWO) == "deferred" and not [
            call for call in spool.calls() if TWO in call or "ALL" in call
        ]
        gone = end["status"] == "failed" or spool.where(ONE) == ""
        kept = spool.where(ONE) != "" or len(list(root.glob(f"var/lib/mailprov/runs/*/{ONE}.eml"))) == 1
        logs = [
            json.loads(line)
            for log in root.glob("var/lib/mailprov/runs/*/log")
            for line in log.read_text().splitlines()
        ]
        tries.held(
            (field, text[:60]),
            there and gone and kept and not list(root.rglob("owned")),
            (end, spool.calls(), logs),
        )
