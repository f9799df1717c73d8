"""What is said when this machine cannot run a lab; locks; status for people."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from mailprov.errors import LabError
from mailprov.lab import client, preflight
from mailprov.lab.facts import HostStatus, LabStatus
from mailprov.lab.mounts import Lock, delete_tree, mounts_below
from mailprov.model.events import Event


def silent(event: Event) -> None: ...


def test_without_root_the_sentence_says_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    with pytest.raises(LabError, match=r"a lab needs root.*\. Run the same command with sudo\.$"):
        preflight.require_machine(silent)


def test_off_linux_the_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(LabError, match="needs Linux, and this is Darwin"):
        preflight.require_machine(silent)


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(preflight.os, "geteuid", lambda: 0)
    monkeypatch.setattr(preflight, "_SBIN", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    for tool in preflight.TOOLS:
        if tool not in ("nft", "systemd-nspawn"):
            (tmp_path / tool).write_text("#!/bin/sh\n")
            (tmp_path / tool).chmod(0o755)
    monkeypatch.setattr(preflight, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(
        LabError, match=r"apt-get install debian-archive-keyring nftables systemd-container\.$"
    ):
        preflight.require_machine(silent)


def test_a_failing_tool_gives_one_sentence() -> None:
    with pytest.raises(LabError, match=r"^mx1: `sh -c .*` failed: E: the real reason\.$"):
        preflight.run_tool(["sh", "-c", "echo E: the real reason >&2; echo bye >&2; exit 3"], where="mx1")
    with pytest.raises(LabError, match="did not end within 0 s"):
        preflight.run_tool(["sleep", "5"], timeout=0.05)


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    with Lock(path), pytest.raises(BlockingIOError):
        Lock(path, wait=False).take()
    with Lock(path, wait=False) as lock:
        lock.forget()
        assert not path.exists()
    with Lock(path, wait=False):
        assert path.exists()


def test_trees_go_and_nothing_is_mounted_in_them(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to("/etc")
    assert mounts_below(tmp_path) == []
    delete_tree(tmp_path / "a")
    delete_tree(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    assert Path("/etc/passwd").exists()


def test_status_reads_like_a_table() -> None:
    hosts = (HostStatus("mx1", "mx1.alpha.test", "debian-12", "10.78.0.11", "up", 75.0, 1),)
    dns = HostStatus("ns1", "ns1.alpha.test", "dns", "10.78.0.2", "down", None, 0)
    where = Path("/var/lib/x")
    text = str(
        LabStatus(
            "demo",
            "today",
            "up",
            "10.78.0.0/24",
            where / "i.yml",
            hosts,
            dns,
            ("alpha.test",),
            where / "ca",
            where,
            ("send by SMTP: 465",),
        )
    )
    assert "  mx1  mx1.alpha.test  10.78.0.11  debian-12  up    1 min 15 s\n" in text
    assert "  ns1  DNS             10.78.0.2   1 zone     down\n" in text
    assert text.splitlines()[-3].endswith(" /var/lib/x (its size: mailprov lab cache)")
    assert text.splitlines()[-1] == "    send by SMTP: 465"


def test_settings_for_a_mail_client_name_servers_ports_and_accounts(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(
        "hosts:\n  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}\n"
        "domains:\n  alpha.test: {hosts: [mx1], accounts: {ana: {password: {file: secrets/ana}}}}\n"
    )
    lines = "\n".join(client.settings(path))

    assert "993 (TLS) or 143 (STARTTLS); by POP: 995 (TLS) or 110 (STARTTLS)" in lines
    assert "465 (TLS) or 587 (STARTTLS)" in lines
    assert "mx1.alpha.test (192.0.2.1) for ana@alpha.test" in lines
    assert f"cat {tmp_path}/secrets/ADDRESS" in lines
