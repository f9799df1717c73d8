"""An agent that says what a test tells it to: for endings that no real host can be brought to give on demand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from mailprov.model.accounts import Account
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls
from mailprov.model.secret import Secret

FACTS = {
    "system": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)", "like": ["debian"]},
    "init": "systemd",
    "hostname": "mx1",
    "time": 0.0,
    "packages": {
        name: {"installed": version, "candidate": version}
        for name, version in {
            "postfix": "3.7.11-0+deb12u1",
            "dovecot-core": "1:2.3.19.1+dfsg1-2.1+deb12u1",
            "dovecot-imapd": "1:2.3.19.1+dfsg1-2.1+deb12u1",
            "dovecot-pop3d": "1:2.3.19.1+dfsg1-2.1+deb12u1",
            "dovecot-lmtpd": "1:2.3.19.1+dfsg1-2.1+deb12u1",
            "ca-certificates": "20230311",
            "openssl": "3.0.17-1",
            "postsrsd": "1.10-2+b1",
        }.items()
    },
    "ipv4": ["192.0.2.1"],
    "ipv6": [],
}
FILE = {"kind": "file", "action": "create", "name": "/etc/postfix/main.cf", "detail": "", "diff": "+x"}


class _Clock(float):
    """Seconds before or after ours, as they were when the script was written: many are when a module is loaded."""

    offset: float

    @staticmethod
    def now(offset: float) -> _Clock:
        clock = _Clock(time.time() + offset)
        clock.offset = offset
        return clock


def hello(offset: float = 0.0) -> dict[str, Any]:
    return {"t": "hello", "version": "0", "python": "3.11", "pid": 1, "uid": 0, "time": _Clock.now(offset)}


def _said_now(message: dict[str, Any]) -> dict[str, Any]:
    clock = message.get("time")
    return {**message, "time": _Clock.now(clock.offset)} if isinstance(clock, _Clock) else message


def plan(*changes: dict[str, Any]) -> dict[str, Any]:
    return {"t": "plan", "changes": list(changes), "compared": "1 file", "fingerprint": "f1"}


def end(status: str = "ok", what: str = "", changed: int = 0) -> dict[str, Any]:
    return {
        "t": "end", "status": status, "changed": changed, "seconds": 0.1, "what": what, "advice": "", "output": [],
    }  # fmt: skip


class ScriptedAgent:
    """A Channel that plays `before` up to the plan, and then what the answer calls for."""

    def __init__(self, before: list[dict[str, Any]], on_go: list[dict[str, Any]] | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = False
        self._before = before
        self._on_go = on_go if on_go is not None else [end(changed=1)]

    def messages(self) -> Iterator[dict[str, Any]]:
        yield from map(_said_now, self._before)
        kinds = [message["t"] for message in self.sent]
        if "go" in kinds:
            yield from self._on_go
        elif "cancel" in kinds:
            yield end("cancelled", "interrupted")

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def noise(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        self.closed = True


def past(run: str, *images: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {
        "run": run, "kind": "apply", "owner": "ana", "began": "t", "ended": "t", "status": "ok",
        "committed": True, "changed": 1, "undoes": "", "zones": [], "next": True, "images": list(images),
    }  # fmt: skip
    return {**told, **more}


class Remembering(ScriptedAgent):
    """An agent in mode rollback whose last run is `run`."""

    def __init__(self, run: dict[str, Any] | None, *changes: dict[str, Any]) -> None:
        super().__init__([])
        self.run, self.changes = run, changes

    def messages(self) -> Iterator[dict[str, Any]]:
        yield hello()
        yield {"t": "runs", "runs": [self.run] if self.run else []}
        hit = self.run is not None and self.sent[-1]["run"] == self.run["run"]
        yield {**plan(*(self.changes if hit else ())), "waits": hit}
        if not hit:
            yield end()
        elif self.sent[-1]["t"] == "go":
            yield end(changed=len(self.changes))
        else:
            yield end("cancelled", "interrupted")


def inventory(*hosts: str) -> Inventory:
    return Inventory(
        "mail.yml",
        tuple(Host(name, "192.0.2.1", f"{name}.alpha.test", SshSettings(), Tls()) for name in hosts),
        (Domain("alpha.test", hosts, (Account("ana@alpha.test", Secret("env:ANA", "s3cret-word")),)),),
        DnsSettings(),
    )
