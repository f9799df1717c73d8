"""tls.injection, where a server takes what was slipped in for TLS and says so a moment later."""

from __future__ import annotations

import pytest

from mailprov.model.findings import Verdict
from mailprov.probe.clients.connection import Connection
from mailprov.selftest.scripted_lab import ScriptedLab

ALERT = b"\x15\x03\x03\x00\x02\x02\x0a"  # fatal, unexpected_message (RFC 8446 section 6)


def test_an_alert_that_comes_when_the_handshake_begins_is_no_answer(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Dovecot does on a busy machine: nothing is there before, and the alert is there then."""
    slipped: set[int] = set()
    begun: set[int] = set()
    send, start_tls, surplus = Connection.send, Connection.start_tls, Connection.surplus

    def sent(self: Connection, data: bytes, shown: str | None = None) -> None:
        if data.count(b"\r\n") == 2:
            slipped.add(id(self))
        send(self, data, shown)

    def begins(self: Connection, *args: object) -> None:
        begun.update({id(self)} & slipped)
        start_tls(self, *args)  # type: ignore[arg-type]

    def waits(self: Connection) -> bytes:
        return ALERT if id(self) in begun else surplus(self)

    monkeypatch.setattr(Connection, "send", sent)
    monkeypatch.setattr(Connection, "start_tls", begins)
    monkeypatch.setattr(Connection, "surplus", waits)
    kept: list[Connection] = []  # so that no other connection gets the id of one that is gone
    connect = Connection.connect.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        Connection,
        "connect",
        classmethod(lambda cls, *args, **kwargs: kept.append(connect(cls, *args, **kwargs)) or kept[-1]),
    )
    findings = lab.verify("tls.injection")
    assert begun
    assert {item.verdict for item in findings} == {Verdict.PASS}, [item.observed for item in findings]
