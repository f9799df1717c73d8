"""One good message of each type, and every field of them: walked through wire/shapes.py, so that a new one is met.

GOOD                            type → a message with all its fields, the optional ones, too
leaves(type) -> [path]          of what is no object and no list: ("changes", 0, "name")
texts(type) -> [path]           of those that may hold any text
changed(message, path, value)   a copy with another value there; DROP takes the field away
play(type, message) -> Played   a run of two hosts: mx1 sends it where it belongs, mx2 behaves
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailprov.model.events import Event, RunEnded
from mailprov.model.inventory import Host
from mailprov.run import bans, deploy, dkim_keys, inquiry, mail_queue, purge
from mailprov.run.event_queue import EventQueue
from mailprov.run.history import history
from mailprov.run.select import select
from mailprov.transport.channel import Channel
from mailprov.wire import shapes
from tests.unit.run.scripted import FACTS, FILE, ScriptedAgent, end, hello, inventory, past, plan

DROP = object()
Path = tuple[str | int, ...]
RUN = "20240101T200000Z-0a1b2c"
KEY = "alpha.test.mx1-rsa-1"


@functools.cache
def record() -> str:
    """The text of a good DKIM record."""
    import base64

    public = rsa.generate_private_key(65537, 2048).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


CHANGE = {**FILE, "detail": "mode 0644", "drift": False, "edit": "-a\n+b", "because": ["/etc/a"]}
HALF = {"ttl": 300, "values": ["10 mx1.alpha.test"]}
IMAGE = {
    "zone": "alpha.test", "run": RUN, "seal": "00",
    "sets": [{"name": "alpha.test", "type": "MX", "before": HALF, "after": HALF}],
}  # fmt: skip
DKIM = {"state": "alpha.test mx1-rsa-1 signing -\n", "public": {KEY: ""}}


CERTIFICATE = "/etc/mailprov/tls/mx1.alpha.test.self-signed.crt"
TLS = {"served": {CERTIFICATE: "0a" * 32}, "next": {CERTIFICATE: "0b" * 32}}


def good() -> dict[str, dict[str, Any]]:
    srs = {"length": 8, "short_until": "2026-12-20"}
    dkim = {**DKIM, "public": {KEY: record()}}
    return {
        "hello": hello(),
        "plan": {
            **plan(CHANGE),
            "keys": {KEY: record()},
            "tls": TLS["served"],
            "waits": True,
            "takes_over": ["1 message of ana in /var/mail/ana"],
        },
        "runs": {
            "t": "runs",
            "runs": [
                {
                    **past(RUN, IMAGE, zones=["alpha.test"]),
                    "address": "ana@alpha.test",
                    "to": RUN,
                    "action": "hold",
                    "ids": ["4F0A1B2C3D"],
                }
            ],
            "tls": TLS,
        },
        "facts": {
            "t": "facts",
            "facts": {
                **FACTS,
                "dkim": dkim,
                "tls": TLS,
                "srs": srs,
                "web": {"taken": {"80": "apache2"}, "boots": ["apache2.service"]},
                "ipv6": ["2001:db8::1"],
                "peer": "192.0.2.9",
            },
        },
        "keys": {"t": "keys", "dkim": dkim, "tls": TLS},
        "served": {"t": "served", "tls": TLS},
        "bans": {
            "t": "bans",
            "bans": [{"jail": "mailprov-dovecot", "address": "192.0.2.9"}],
            "peer": "192.0.2.9",
        },
        "maillog": {
            "t": "maillog",
            "records": [
                {
                    "t": 1_764_460_800_000_000,
                    "ident": "postfix/smtpd",
                    "pid": 12,
                    "text": "4F3C2A1B0D: client=mx2.example.org[192.0.2.2]",
                    "source": "journal",
                }
            ],
            "gaps": [{"text": ["the log begins at {time}; what was before that is not in it", "noon"]}],
            "reach": 1_764_400_000.0,
            "sources": ["journal"],
            "more": False,
            "now": 1_764_460_801.5,
        },
        "traced": {
            "t": "traced",
            "files": [
                {
                    "address": "ana@alpha.test",
                    "path": "/var/vmail/alpha.test/ana/Maildir/new/1.M2P3.mx1",
                    "folder": "INBOX",
                    "size": 900,
                    "t": 1_764_460_800_000_000,
                    "headers": ["Subject: hello"],
                }
            ],
            "answers": [
                {
                    "name": "beta.test",
                    "type": "MX",
                    "server": "192.0.2.53",
                    "values": ["10 mx2.beta.test"],
                    "answer": "NOERROR",
                    "ttl": 300,
                    "seconds": 0.01,
                }
            ],
            "settings": {"minimal_backoff_time": "300s"},
            "now": 1_764_460_801.5,
        },
        "mailboxes": {
            "t": "mailboxes",
            "mailboxes": [{"address": "luis@alpha.test", "messages": 2, "bytes": 10, "changed": 5}],
            "homes": [
                {
                    "address": "luis@alpha.test",
                    "user": "luis",
                    "path": "/home/luis",
                    "files": 2,
                    "bytes": 10,
                    "changed": 5,
                }
            ],
        },
        "verbose": {"t": "verbose", "seconds": 120, "gaps": [{"text": "Postfix logs to a file"}]},
        "dialogues": {
            "t": "dialogues",
            "dialogues": [
                {
                    "agent": "smtp",
                    "queue_id": "4F1",
                    "peer": "mx2.alpha.test[192.0.2.2]:25",
                    "recipients": ["luis@alpha.test"],
                    "lines": [{"source": "sent", "text": "EHLO mx1.alpha.test"}],
                }
            ],
        },
        "queued": {
            "t": "queued",
            "messages": [
                {
                    "id": "4F0A1B2C3D",
                    "queue": "deferred",
                    "arrived": 5,
                    "size": 10,
                    "sender": "ana@alpha.test",
                    "recipients": [{"address": "x@else.test", "reason": "Connection refused"}],
                    "total": 1,
                    "next": 6,
                    "until": 7,
                    "instance": "/etc/postfix-out",
                }
            ],
        },
        "queue_state": {
            "t": "queue_state",
            "counts": {"active": 0, "deferred": 1, "hold": 0, "incoming": 0, "maildrop": 0},
            "messages": 1,
            "recipients": 1,
            "bytes": 10,
            "oldest": 5,
            "all": 1,
            "told": 1,
            "unreadable": 0,
            "reasons": [{"text": "Connection refused", "messages": 1, "recipients": 1, "oldest": 5}],
            "others": 0,
            "running": True,
            "now": 9.0,
        },
        "relaying": {"t": "relaying", "resolvers": ["192.0.2.53"]},
        "opened": {"t": "opened", "id": 1, "address": "192.0.2.3"},
        "refused": {"t": "refused", "id": 1, "how": "unreachable", "why": "No route to host"},
        "data": {"t": "data", "id": 1, "data": "MjIwIG14MQ0K"},
        "ended": {"t": "ended", "id": 1, "how": "end"},
        "taken": {"t": "taken", "id": 1, "octets": 6},
        "answered": {"t": "answered", "id": 1, "data": "", "why": "timeout"},
        "source": {"t": "source", "id": 1, "address": "192.0.2.3"},
        "trusts": {
            "t": "trusts",
            "peer": "192.0.2.9",
            "at": "192.0.2.1",
            "inside": [
                {"port": 25, "setting": "mynetworks", "address": "192.0.2.9", "network": "192.0.2.0/24"}
            ],
            "answers": ["192.0.2.1"],
        },
        "asked": {"t": "asked"},
        "queue_gone": {
            "t": "queue_gone",
            "whole": True,
            "running": True,
            "left": [
                {
                    "id": "4F1",
                    "queue": "deferred",
                    "address": "ana@alpha.test",
                    "reason": "Connection refused",
                }
            ],
        },
        "notice": {"t": "notice", "text": "an interrupted run"},
        "progress": {"t": "progress", "text": "installing"},
        "beat": {"t": "beat"},
        "applied": {"t": "applied", "change": CHANGE, "seconds": 0.1},
        "ready": {"t": "ready"},
        "end": {**end("failed", "disk full", 1), "advice": "make room", "output": ["No space left"]},
    }


GOOD = good()


def leaves(kind: str) -> list[Path]:
    return list(_walk(shapes.MESSAGES[kind], GOOD[kind], ()))


def texts(kind: str) -> list[Path]:
    """A field that only takes some words is none: there, other text is an error."""
    return [path for path in leaves(kind) if isinstance(at(GOOD[kind], path), str)]


def _walk(shape: Any, value: Any, path: Path) -> Iterator[Path]:
    if isinstance(shape, shapes.either):
        shape = shape.shapes[-1]
    if isinstance(shape, shapes.fields):
        for name, inner in {**shape.needed, **shape.optional}.items():
            assert name in value, f"{path} {name}: a new field, to be put into GOOD"
            yield from _walk(inner, value[name], (*path, name))
    elif isinstance(shape, shapes.many):
        assert value, path
        yield from _walk(shape.of, value[0], (*path, 0))
    elif isinstance(shape, shapes.by_name):
        name = next(iter(value))
        yield from _walk(shape.of, value[name], (*path, name))
    else:
        yield path


def at(message: Any, path: Path) -> Any:
    for step in path:
        message = message[step]
    return message


def changed(message: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(message)
    place = at(made, path[:-1])
    if value is DROP:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return made


RELAYED = ("relaying", "opened", "refused", "data", "ended", "taken", "answered", "source")


class Played:
    """`events` of a run, and its exit code."""

    def __init__(self, kind: str, message: dict[str, Any], emit: Callable[[Event], None]) -> None:
        self.events: list[Event] = []
        self.read = inventory("mx1", "mx2")
        mode, agent = _scripts(kind)
        self._agents = {"mx1": agent(message, "mx1"), "mx2": agent(_at_mx2(GOOD[kind]), "mx2")}

        def report(event: Event) -> None:
            self.events.append(event)
            emit(event)

        more: Any = {"start": self._start, "report": report}
        chosen = select(self.read)
        options = deploy.Options(command=mode, verify=False)
        if mode == "keys":
            told = dkim_keys.ask(self.read, chosen.hosts, command="dkim show", **more)
            self.code = max((error.exit_code for error in told.errors), default=0)
            self.errors = [str(error) for error in told.errors]
        elif mode == "bans":
            held = bans.ask(chosen.hosts, command="verify", start=self._start)
            self.code = max((error.exit_code for error in held.errors), default=0)
            self.errors = [str(error) for error in held.errors]
        elif mode in ("maillog", "trace", "wire", "queue_gone", "trusts", "relay"):
            answers = inquiry.ask(
                chosen.hosts,
                lambda host: {"mode": mode},
                command="trace",
                events=EventQueue(report),
                start=self._start,
            )
            wrong = [one.outcome.error for one in answers if one.outcome.error is not None]
            self.code = max((error.exit_code for error in wrong), default=0)
            self.errors = [str(error) for error in wrong]
            report(RunEnded(self.code, "", 0.0))
        elif mode == "mailboxes":
            self.code = purge.kept(self.read, chosen, **more)
        elif mode == "queue":
            wanted, limits = mail_queue.Wanted(everything=True), mail_queue.Limits()
            self.code = mail_queue.look(self.read, chosen, wanted, limits, **more)
        elif mode == "history":
            self.code = history(self.read, chosen, **more)
        else:
            self.code = deploy.apply(self.read, chosen, options, **more)

    def _start(self, host: Host, job: dict[str, Any]) -> Channel:
        return self._agents[host.name]


def _at_mx2(value: Any) -> Any:
    """As that host says it; times of now stay times of now."""
    if isinstance(value, str):
        return value.replace("mx1-rsa", "mx2-rsa")
    if isinstance(value, dict):
        return {_at_mx2(name): _at_mx2(inner) for name, inner in value.items()}
    return [_at_mx2(each) for each in value] if isinstance(value, list) else value


def _scripts(kind: str) -> tuple[str, Callable[[dict[str, Any], str], ScriptedAgent]]:
    """The mode in which a message belongs, and the agent of a host that sends it there."""
    facts = {"t": "facts", "facts": FACTS}

    def agent(one: dict[str, Any], host: str) -> ScriptedAgent:
        keys = GOOD["facts"] if host == "mx1" else _at_mx2(GOOD["facts"])
        if kind in (
            "keys",
            "mailboxes",
            "runs",
            "bans",
            "maillog",
            "verbose",
            "dialogues",
            "traced",
            "queued",
            "queue_state",
            "asked",
            "queue_gone",
            "trusts",
            *RELAYED,
        ):
            return ScriptedAgent([hello(), one, end()])
        if kind == "hello":
            return ScriptedAgent([one, facts, plan(CHANGE)])
        if kind == "facts":
            return ScriptedAgent([hello(), one, plan(CHANGE)])
        if kind == "plan":
            return ScriptedAgent([hello(), keys, one])
        if kind in ("notice", "progress", "beat"):
            return ScriptedAgent([hello(), one, facts, one, plan(CHANGE)], [one, end()])
        if kind == "end":
            return ScriptedAgent([hello(), facts, plan(CHANGE)], [one])
        return ScriptedAgent([hello(), facts, plan(CHANGE)], [one, end(changed=1)])

    return {
        "bans": "bans",
        "maillog": "maillog",
        "verbose": "wire",
        "dialogues": "wire",
        "traced": "trace",
        "keys": "keys",
        "mailboxes": "mailboxes",
        "runs": "history",
        "queued": "queue",
        "queue_state": "queue",
        "asked": "queue_gone",
        "queue_gone": "queue_gone",
        "trusts": "trusts",
        **dict.fromkeys(RELAYED, "relay"),
    }.get(kind, "apply"), agent


def play(kind: str, message: dict[str, Any], emit: Callable[[Event], None] = lambda event: None) -> Played:
    return Played(kind, message, emit)
