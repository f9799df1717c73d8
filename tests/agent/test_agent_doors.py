"""Who has the ports of the web on a host: programs of others, and neither our own nginx nor a renewal of certbot."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprov.agent import doors, files, manifest

DROP_IN = "/etc/systemd/system/nginx.service.d/mailprov.conf"


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """One that this process listens on, in place of 80."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = int(listener.getsockname()[1])
        monkeypatch.setattr(doors, "PORTS", (number,))
        yield number


def name() -> str:
    return Path(f"/proc/{os.getpid()}/comm").read_text().strip()


def test_a_program_on_the_port_is_told_by_its_name(port: int, tmp_path: Path) -> None:
    assert doors.facts(files.Tree(str(tmp_path))) == {"taken": {str(port): name()}, "boots": []}


def test_certbot_listens_for_a_moment_and_is_nobodys_server(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "_PASSING", (name(),))
    assert doors.facts(files.Tree(str(tmp_path)))["taken"] == {}


def test_a_server_that_starts_at_boot_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "PORTS", ())
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    for unit in ("ssh.service", "apache2.service", "nginx.service"):
        (wants / unit).symlink_to(f"/lib/systemd/system/{unit}")
    assert doors.facts(files.Tree(str(tmp_path)))["boots"] == ["nginx.service", "apache2.service"]


@pytest.mark.usefixtures("port")
def test_ours_is_known_by_the_manifest_and_while_its_first_apply_is_not_done(tmp_path: Path) -> None:
    tree = files.Tree(str(tmp_path))
    nobody = {"taken": {}, "boots": []}
    held = tmp_path / "etc/systemd/system/nginx.service.d/mailprov-not-yet.conf"
    held.parent.mkdir(parents=True)
    held.write_text("")
    assert doors.facts(tree) == nobody
    held.unlink()
    assert doors.facts(tree) != nobody
    path = tmp_path / manifest.PATH.lstrip("/")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": 1, "files": {DROP_IN: {}}, "services": {}}))
    assert doors.facts(tree) == nobody
