"""Fixtures: an authority for the whole run, and a fresh scripted world for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprov.selftest.certificates import Authority
from mailprov.selftest.scripted_lab import ScriptedLab


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(Path(tmp_path_factory.mktemp("certs")))


@pytest.fixture(autouse=True)
def _no_public_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's store is empty: verdicts do not hang on this machine, and loading it takes no time."""
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    monkeypatch.setenv("SSL_CERT_DIR", "/nonexistent")


@pytest.fixture
def lab(authority: Authority) -> Iterator[ScriptedLab]:
    item = ScriptedLab(authority)
    try:
        yield item
    finally:
        item.close()
