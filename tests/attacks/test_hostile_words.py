"""A host in foreign hands wants its words on the terminal of whoever runs mailprov, or in a file that it writes: by `plan`,
saved plans, `history`, `dkim show`, `dns export` and `purge`, run as commands; only the SSH connection is a stub.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mailprov.cli.app import build_app
from mailprov.errors import MailprovError
from mailprov.transport.connections import Connections
from tests.attacks.test_hostile_agents import TEXTS, well_formed
from tests.attacks.tries import LONG, Tries
from tests.unit.report.test_hostile_text import EVIL, bad
from tests.unit.run.every_message import CHANGE, GOOD, _at_mx2, at, changed, texts
from tests.unit.run.scripted import ScriptedAgent, end, hello

INVENTORY = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}
  mx2: {address: 192.0.2.2, fqdn: mx2.alpha.test}
domains: {alpha.test: {hosts: [mx1, mx2], accounts: {ana: {password: {env: ANA}}}}}
"""
# Command → the message that says the most there.
COMMANDS: dict[tuple[str, ...], str] = {
    ("plan", "mail.yml"): "plan", ("plan", "--out", "saved.plan", "mail.yml"): "plan", ("plan", "--json", "mail.yml"): "plan", ("plan", "--junit", "junit.xml", "-v", "mail.yml"): "plan",
    ("history", "mail.yml"): "runs", ("history", "--json", "mail.yml"): "runs", ("dkim", "show", "mail.yml"): "keys", ("dns", "export", "-o", "zone", "mail.yml"): "keys", ("dns", "export", "mail.yml"): "keys",
    ("purge", "mail.yml"): "mailboxes", ("purge", "--json", "mail.yml"): "mailboxes", ("purge", "--yes", "mail.yml", "luis@alpha.test"): "plan",
}  # fmt: skip


def _script(kind: str, mode: str, message: dict[str, Any], host: str) -> ScriptedAgent:
    one = message if host == "mx1" else _at_mx2(GOOD[kind])
    facts = GOOD["facts"] if host == "mx1" else _at_mx2(GOOD["facts"])
    first = [hello(), facts, one, end()] if mode == "plan" else [hello(), one]
    if mode not in ("plan", "purge"):
        first.append(end())
    return ScriptedAgent(first, [{"t": "applied", "change": CHANGE, "seconds": 0.1}, end(changed=1)])


def test_what_a_host_says_to_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: Tries) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANA", "s3cret-word")
    Path("mail.yml").write_text(INVENTORY)
    dice = random.Random(17)
    messages: dict[str, Any] = {}
    monkeypatch.setattr(
        Connections,
        "start",
        lambda self, host, job: _script(messages["kind"], job["mode"], messages["one"], host.name),
    )
    for command, kind in COMMANDS.items():
        messages.update(kind=kind, one=GOOD[kind])
        honest = CliRunner().invoke(build_app(), list(command))
        assert honest.exit_code in (0, 3), (command, honest.exit_code, honest.output, honest.exception)

        for path in texts(kind):
            for evil in [EVIL, *dice.sample(TEXTS, 4 if LONG else 0)]:
                value = evil if dice.random() < 0.7 else f"{at(GOOD[kind], path)}{evil}"
                message = changed(copy.deepcopy(GOOD[kind]), path, value)
                if not well_formed(message):
                    continue
                messages.update(kind=kind, one=message)
                done = CliRunner().invoke(build_app(), list(command))
                what = (command, path, value[:30])
                known = done.exception is None or isinstance(done.exception, (SystemExit, MailprovError))
                tries.held((what, "no traceback"), known, repr(done.exception))
                said = done.output + (
                    str(done.exception) if isinstance(done.exception, MailprovError) else ""
                )
                tries.held((what, "on the terminal"), not bad(said) and "\n✓ mx9" not in said, said[-300:])
                for file in (one for one in tmp_path.iterdir() if one.name != "mail.yml"):
                    text = file.read_text(encoding="utf-8", errors="surrogateescape")
                    tries.held(
                        (what, file.name),
                        not bad(text) and "s3cret-word" not in text,
                        sorted(map(repr, bad(text))),
                    )
                    file.unlink()
