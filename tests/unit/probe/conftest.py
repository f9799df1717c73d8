"""Fixtures: an authority for the whole run, and a fresh scripted world for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprov.probe.clients import connection
from mailprov.probe.clients.resolver import Resolver
from mailprov.selftest.certificates import Authority
from mailprov.selftest.scripted_lab import PATIENCE, ScriptedLab


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(Path(tmp_path_factory.mktemp("certs")))


@pytest.fixture(autouse=True)
def _no_public_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's store is empty: verdicts do not hang on this machine, and loading it takes no time."""
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    monkeypatch.setenv("SSL_CERT_DIR", "/nonexistent")


@pytest.fixture
def lab(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLab]:
    """Where nobody is taken for mute because this machine is busy, and no name server is looked for at its port 53."""
    for name in ("_AFTER_A_DROP", "_BESIDE_ANOTHER", "_WHEN_MUTE"):
        monkeypatch.setattr(connection, name, PATIENCE)
    item = ScriptedLab(authority)
    monkeypatch.setattr(Resolver, "name_server_port", property(lambda _: item.world.dns_port))
    try:
        yield item
    finally:
        item.close()
