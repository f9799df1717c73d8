"""Logins that begin before the inventory is checked: used where they fit, else ended, and nothing runs meanwhile."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from mailprov.errors import HostUnreachable, InventoryError
from mailprov.inventory import load
from mailprov.model.inventory import Host
from mailprov.transport import connections, early_logins
from mailprov.transport.early_logins import EarlyLogins
from mailprov.transport.known_hosts import fingerprint
from tests.unit.cli.program import mailprov

JOB = {"tag": "aa11", "mode": "plan"}
_KEY = paramiko.ECDSAKey.generate()


class Sshd(paramiko.ServerInterface):
    """An SSH server that lets everybody in who has a key, and runs nothing. It notes what it is asked for."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.transports: list[paramiko.Transport] = []
        self.logins = 0
        self.asked: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(peer)
            transport.add_server_key(_KEY)
            self.transports.append(transport)
            transport.start_server(threading.Event(), self)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self.asked.append(kind)
        return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def logged_in(self) -> bool:
        return any(each.is_authenticated() for each in self.transports)

    def alone(self) -> bool:
        return not any(each.is_active() for each in self.transports)


@pytest.fixture
def sshd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sshd]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    paramiko.ECDSAKey.generate().write_private_key_file(str(tmp_path / "key"))
    made = Sshd()
    yield made
    made.listener.close()
    for each in made.transports:
        each.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def inventory(folder: Path, sshd: Sshd, hosts: str = "[mx1]") -> Path:
    path = folder / "mail.yml"
    path.write_text(
        f"""\
ssh: {{port: {sshd.port}, identity_file: key, config: none, host_key: "{fingerprint(_KEY.asbytes())}"}}
hosts: {{mx1: {{address: 127.0.0.1, fqdn: mx1.alpha.test}}}}
domains: {{alpha.test: {{hosts: {hosts}, accounts: {{ana: {{password: {{env: HOME}}}}}}}}}}
"""
    )
    return path


def test_the_login_is_done_when_the_inventory_is_checked_and_is_used(sshd: Sshd, tmp_path: Path) -> None:
    with EarlyLogins() as early:

        def log_in(hosts: tuple[Host, ...]) -> None:
            early.begin(hosts, hosts)
            wait_until(sshd.logged_in)
            assert sshd.asked == []

        read = load(inventory(tmp_path, sshd), early=log_in)
        with early.settled(read.hosts, read.hosts) as settled:
            settled.begin(read.hosts)
            assert sshd.asked == []
            with pytest.raises(HostUnreachable, match="accepted the login of root, but runs no command"):
                settled.start(read.hosts[0], JOB)

    assert (len(sshd.transports), sshd.asked) == (1, ["session"])
    wait_until(sshd.alone)


def test_where_the_server_did_not_wait_there_is_another_login(sshd: Sshd, tmp_path: Path) -> None:
    """Passwords may come from a manager that somebody has to open first."""
    read = load(inventory(tmp_path, sshd))
    with EarlyLogins() as early:
        early.begin(read.hosts, read.hosts)
        wait_until(sshd.logged_in)
        begun = early._begun
        assert begun is not None
        wait_until(lambda: begun._early["mx1"]._made is not None)
        sshd.transports[0].close()
        wait_until(lambda: not begun._early["mx1"]._made.is_active())  # type: ignore[union-attr]
        with (
            early.settled(read.hosts, read.hosts) as settled,
            pytest.raises(HostUnreachable, match="accepted the login of root, but runs no command"),
        ):
            settled.start(read.hosts[0], JOB)
    assert (len(sshd.transports), sshd.asked) == (2, ["session"])


def test_a_wrong_inventory_runs_nothing_and_leaves_no_connection(sshd: Sshd, tmp_path: Path) -> None:
    def log_in(hosts: tuple[Host, ...]) -> None:
        early.begin(hosts, hosts)
        wait_until(sshd.logged_in)

    with pytest.raises(InventoryError), EarlyLogins() as early:
        load(inventory(tmp_path, sshd, "[mx2]"), early=log_in)

    wait_until(sshd.alone)
    assert sshd.asked == []


def test_the_commands_say_the_same_of_it_and_validate_connects_nowhere(sshd: Sshd, tmp_path: Path) -> None:
    path = inventory(tmp_path, sshd, "[mx2]")
    told = mailprov("validate", str(path))
    assert sshd.transports == []

    for words in (["plan"], ["apply", "--yes"]):
        done = mailprov(*words, str(path))
        assert (done.returncode, done.stderr) == (told.returncode, told.stderr) == (2, done.stderr)
    wait_until(sshd.alone)
    assert sshd.asked == []


@pytest.mark.parametrize("changed", [{"address": "127.0.0.2"}, {"name": "mx2"}, {"port": 1}])
def test_what_does_not_fit_the_checked_inventory_is_not_used(
    sshd: Sshd, tmp_path: Path, changed: dict[str, object]
) -> None:
    read = load(inventory(tmp_path, sshd))
    other = dict(changed)
    ssh = dataclasses.replace(read.hosts[0].ssh, **({"port": other.pop("port")} if "port" in other else {}))  # type: ignore[arg-type]
    seeming = (dataclasses.replace(read.hosts[0], ssh=ssh, **other),)  # type: ignore[arg-type]
    with EarlyLogins() as early:
        early.begin(seeming, seeming)
        begun = early._begun
        assert begun is not None
        with early.settled(read.hosts, read.hosts) as settled:
            assert settled is not begun
            assert begun._cancel.is_set()
            with pytest.raises(HostUnreachable, match="accepted the login of root, but runs no command"):
                settled.start(read.hosts[0], JOB)
    assert sshd.asked == ["session"]
    wait_until(sshd.alone)


def test_a_jump_host_that_was_told_otherwise_spoils_them_too(sshd: Sshd, tmp_path: Path) -> None:
    one = load(inventory(tmp_path, sshd)).hosts[0]
    bastion = dataclasses.replace(one, name="bastion", address="127.0.0.2")
    with EarlyLogins() as early:
        early.begin((one,), (one, bastion))
        begun = early._begun
        with early.settled((one,), (one, dataclasses.replace(bastion, address="127.0.0.3"))) as settled:
            assert settled is not begun


def test_of_other_hosts_than_those_chosen_none_is_used(sshd: Sshd, tmp_path: Path) -> None:
    one = load(inventory(tmp_path, sshd)).hosts[0]
    with EarlyLogins() as early:
        early.begin((one,), (one,))
        begun = early._begun
        with early.settled((), (one,)) as settled:
            assert settled is not begun


@pytest.mark.parametrize("terminal", [False, True])
def test_where_a_passphrase_is_asked_for_nothing_begins_before(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    paramiko.ECDSAKey.generate().write_private_key_file(str(tmp_path / "key"), "open sesame")
    monkeypatch.setattr(connections, "on_terminal", lambda: terminal)
    monkeypatch.setattr(early_logins, "on_terminal", lambda: terminal)
    monkeypatch.setattr(connections, "_ask_on_terminal", lambda prompt: "open sesame")
    read = load(inventory(tmp_path, sshd))
    with EarlyLogins() as early:
        early.begin(read.hosts, read.hosts)
        assert (early._begun is None) == terminal
        with (
            early.settled(read.hosts, read.hosts) as settled,
            pytest.raises(HostUnreachable, match="runs no command" if terminal else "encrypted"),
        ):
            settled.start(read.hosts[0], JOB)


def test_of_many_hosts_none_is_connected_before(sshd: Sshd, tmp_path: Path) -> None:
    one = load(inventory(tmp_path, sshd)).hosts[0]
    many = tuple(dataclasses.replace(one, name=f"mx{number}") for number in range(11))
    with EarlyLogins() as early:
        early.begin(many, many)
        assert early._begun is None
    assert sshd.transports == []
