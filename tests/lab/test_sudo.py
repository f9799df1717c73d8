"""Becoming root, and logging in by password, on real hosts: sudo of Debian 12 and 13, sudo-rs, login shells.

The hosts are a lab's. To work on this file: MAILPROV_TEST_HOST="ADDRESS KEYFILE" names a Debian to be spoilt.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailprov import lab
from mailprov.errors import HostFailed, HostUnreachable
from mailprov.lab import hosts
from mailprov.lab.paths import paths as lab_paths
from mailprov.model.inventory import Host, SshSettings, Tls, Transport
from mailprov.model.secret import Secret
from mailprov.transport import local
from mailprov.transport.channel import Channel
from mailprov.transport.ssh import hostkeys
from mailprov.transport.start import launch, sudo
from mailprov.wire import bundle
from tests.lab.inside import inside
from tests.lab.starting import scan, start
from tests.lab.test_transport import ECHO, job, wait_for

pytestmark = pytest.mark.lab

INVENTORY = """
filter: none
hosts:
  old: {address: 192.0.2.1, fqdn: old.sudo.test, lab: {release: debian-12}}
  new: {address: 192.0.2.2, fqdn: new.sudo.test, lab: {release: debian-13}}
domains: {sudo.test: {hosts: [old, new], accounts: {ana: {password: {env: ANA}}}}}
"""

# Awkward for shells and for printf, and with a letter outside ASCII.
PASSWORD = 'p%s "$x\\n`! é'

# sudo-rs lies beside sudo; Debian's bash reads .bashrc for commands over ssh, so a user chooses by PATH.
SETUP = r"""
set -e
export DEBIAN_FRONTEND=noninteractive
dpkg-query -W $PACKAGES >/dev/null 2>&1 || {
    apt-get -q update
    apt-get -qy install --no-install-recommends $PACKAGES
}
user() {
    useradd -m -s "$2" "$1"
    printf '%s:%s\n' "$1" "$PASSWORD" | chpasswd
    install -d -m 700 -o "$1" "/home/$1/.ssh"
    install -m 600 -o "$1" /root/.ssh/authorized_keys "/home/$1/.ssh/authorized_keys"
}
for name in pw wrong zero zerowrong free python none denied; do
    user "c-$name" /bin/bash
    [ -n "$RS" ] || continue
    user "rs-$name" /bin/bash
    echo 'PATH=/usr/lib/cargo/bin:$PATH' >"/home/rs-$name/.bashrc"
done
[ -n "$RS" ] || { user c-fish /usr/bin/fish; user c-csh /bin/tcsh; }
user c-nologin /usr/sbin/nologin
user c-kbd /bin/bash
for kind in c ${RS:+rs}; do
    for name in pw wrong zero zerowrong; do echo "$kind-$name ALL=(ALL) ALL"; done
    echo "Defaults:$kind-zero,$kind-zerowrong timestamp_timeout=0"
    echo "$kind-free ALL=(ALL) NOPASSWD: ALL"
    echo "$kind-python ALL=(root) NOPASSWD: /usr/bin/python3"
done >/etc/sudoers.d/mailprov-test
echo 'c-fish,c-csh ALL=(ALL) ALL' >>/etc/sudoers.d/mailprov-test
echo 'c-kbd ALL=(ALL) NOPASSWD: ALL' >>/etc/sudoers.d/mailprov-test
chmod 440 /etc/sudoers.d/mailprov-test
visudo -c -q
cat >/etc/ssh/sshd_config.d/kbd.conf <<E
Match User c-kbd
PasswordAuthentication no
KbdInteractiveAuthentication yes
E
systemctl reload ssh
"""


@dataclass(frozen=True)
class Place:
    """A host for these tests. `run` executes a shell command there as root and gives its output."""

    address: str
    key: Path
    known_hosts: Path
    run: Callable[[str], str]
    has_rs: bool
    leader: int | None  # the first process of the host, when it is a lab's

    def host(self, user: str, become: str | None = None, login: str | None = None) -> Host:
        settings = SshSettings(
            user=user,
            identity_file=None if login else self.key,
            password=Secret("env:LOGIN", login) if login else None,
            become_password=Secret("env:SUDO", become) if become is not None else None,
            known_hosts=self.known_hosts,
        )
        return Host("mx1", self.address, "mx1.sudo.test", settings, Tls())

    def failures(self, user: str) -> int:
        """How often PAM saw a sudo attempt of this user fail, empty passwords and broken prompts included."""
        text = self.run("journalctl -o cat --no-pager | grep 'pam_unix(sudo:auth)' || true")
        return sum(f"user={user}" in line or f"[{user}]" in line for line in text.splitlines())


def _prepare(address: str, key: Path, folder: Path, argv: list[str], leader: int | None = None) -> Place:
    def run(command: str) -> str:
        done = subprocess.run([*argv, command], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{command[:60]}: {done.stdout[-500:]} {done.stderr[-500:]}"
        return done.stdout

    known = folder / "known_hosts"
    has_rs = run("grep ^VERSION_ID /etc/os-release || true").strip() != 'VERSION_ID="12"'
    quoted = PASSWORD.replace("'", "'\\''")
    if "done" not in run("cat /root/.sudo-test 2>/dev/null || true"):
        words = f"RS={'1' if has_rs else ''} PACKAGES='{'sudo-rs' if has_rs else 'fish tcsh'}'"
        run(f"PASSWORD='{quoted}' {words}\n{SETUP}\necho done >/root/.sudo-test")
    place = Place(address, key, known, run, has_rs, leader)
    wait_for(lambda: _answers(address), "sshd is back after its reload")
    for _, _, line in scan(place.host("root")):
        hostkeys.append(known, line)
    return place


def _answers(address: str) -> bool:
    try:
        socket.create_connection((address, 22), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module", params=["old", "new"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("place")
    given = os.environ.get("MAILPROV_TEST_HOST", "").split()
    if given:
        options = ["-q", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        return _prepare(
            given[0], Path(given[1]), folder, ["ssh", "-i", given[1], *options, f"root@{given[0]}"]
        )
    made: lab.Lab = request.getfixturevalue("lab_factory")(INVENTORY)
    boot = hosts.boot_of(lab_paths(made.name), request.param)
    return _prepare(
        made.host(request.param).address,
        made.identity_file,
        folder,
        made.ssh_argv(request.param),
        boot and boot.leader,
    )


@pytest.fixture(params=["c", "rs"])
def kind(request: pytest.FixtureRequest, place: Place) -> str:
    """Which sudo: users are named after it."""
    if request.param == "rs" and not place.has_rs:
        pytest.skip("Debian 12 has no sudo-rs")
    return str(request.param)


@pytest.fixture(autouse=True)
def echo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    modules = {"mailprov": "", "mailprov.agent": "", "mailprov.agent.main": ECHO}
    monkeypatch.setattr(bundle, "agent_modules", lambda: modules)


def talk(host: Host, *, bootstrap: bool = False) -> Channel:
    channel = start(host, job(), bootstrap=bootstrap)
    try:
        channel.send({"t": "go"})
        messages = list(channel.messages())
    finally:
        channel.close()
    assert [message["t"] for message in messages] == ["hello", "end"]
    assert messages[0]["uid"] == 0
    return channel


def refusal(host: Host, *, bootstrap: bool = False) -> str:
    with pytest.raises(HostUnreachable) as caught:
        start(host, job(), bootstrap=bootstrap).close()
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_with_a_password(place: Place, kind: str) -> None:
    talk(place.host(f"{kind}-pw", PASSWORD))
    talk(place.host(f"{kind}-pw", PASSWORD))
    assert place.failures(f"{kind}-pw") == 0


def test_with_a_password_and_no_timestamp(place: Place, kind: str) -> None:
    talk(place.host(f"{kind}-zero", PASSWORD))
    assert place.failures(f"{kind}-zero") == 0


@pytest.mark.parametrize("name", ["wrong", "zerowrong"])
def test_a_wrong_password_is_one_failed_attempt(place: Place, kind: str, name: str) -> None:
    user = f"{kind}-{name}"
    before = place.failures(user)
    assert refusal(place.host(user, "not it")) == (
        f"mx1: sudo on mx1 refused the password of {user}. "
        "Check `ssh.become_password`; one attempt was made, and nothing else was sent."
    )
    assert place.failures(user) - before == 1


@pytest.mark.parametrize("password", [None, "not wanted"])
@pytest.mark.parametrize("name", ["free", "python"])
def test_nopasswd_rules(place: Place, kind: str, name: str, password: str | None) -> None:
    """Also a rule for nothing but python3; a password that is given all the same does no harm."""
    channel = talk(place.host(f"{kind}-{name}", password))
    assert not any("not wanted" in line for line in channel.noise())
    assert place.failures(f"{kind}-{name}") == 0


def test_a_password_is_needed_and_none_is_given(place: Place, kind: str) -> None:
    assert refusal(place.host(f"{kind}-pw")) == (
        f"mx1: {kind}-pw may not use sudo without a password on mx1. "
        "Give `ssh.become_password`, or add a NOPASSWD rule for this user."
    )


def test_a_user_who_may_not(place: Place, kind: str) -> None:
    said = refusal(place.host(f"{kind}-none", PASSWORD))
    assert said.startswith(f"mx1: {kind}-none may not use sudo on mx1 to run python3 as root (")
    assert said.endswith(f"Add a sudoers rule for {kind}-none there, or log in as root.")


@pytest.mark.parametrize("shell", ["fish", "csh"])
def test_other_login_shells(place: Place, shell: str) -> None:
    if place.has_rs:
        pytest.skip("the shells are tried on Debian 12")
    talk(place.host(f"c-{shell}", PASSWORD))


def test_nologin(place: Place) -> None:
    assert "may not run commands" in refusal(place.host("c-nologin", PASSWORD))


@pytest.fixture
def seems_without_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt finds no python3; what follows is real, and apt-get finds nothing to do."""
    monkeypatch.setattr(launch, "remote_command", lambda become: "echo MAILPROV1 no-python; exit 127")
    script = sudo._BOOTSTRAPS[sudo.Become.PASSWORD]
    monkeypatch.setitem(sudo._BOOTSTRAPS, sudo.Become.PASSWORD, script.replace("-s KILL 20", "-s KILL 5"))


@pytest.mark.usefixtures("seems_without_python")
def test_bootstrap_with_sudo(place: Place, kind: str) -> None:
    talk(place.host(f"{kind}-free"), bootstrap=True)
    host = place.host(f"{kind}-zero", PASSWORD)
    talk(host, bootstrap=True)
    before = place.failures(f"{kind}-zerowrong")
    said = refusal(place.host(f"{kind}-zerowrong", "not it"), bootstrap=True)
    assert f"sudo on mx1 refused the password of {kind}-zerowrong" in said
    assert place.failures(f"{kind}-zerowrong") == before + 1


def test_the_agent_under_sudo_sees_the_end_of_a_lost_connection(place: Place, kind: str) -> None:
    place.run("rm -f /root/epitaph")
    channel = start(place.host(f"{kind}-pw", PASSWORD), job(epitaph="/root/epitaph"))
    messages = channel.messages()
    assert next(messages)["t"] == "hello"
    place.run(f"pkill -9 -u {kind}-pw sshd")  # on the host, and only this user's session
    with pytest.raises(HostFailed, match="connection was lost"):
        next(messages)
    channel.close()
    wait_for(
        lambda: place.run("cat /root/epitaph 2>/dev/null || true") == "stdin ended", "the agent's epitaph"
    )


def test_no_secret_is_in_the_process_list_or_in_a_log(place: Place, kind: str) -> None:
    channel = start(place.host(f"{kind}-zero", PASSWORD), job())
    assert next(channel.messages())["t"] == "hello"
    seen = place.run("ps -eww -o args")
    channel.close()
    assert "python3 -I -u -c import" in seen
    assert "p%s" not in seen
    assert "p%s" not in place.run("journalctl --no-pager -n 2000")


@pytest.mark.parametrize("user", ["c-free", "c-kbd"])
def test_login_by_password(place: Place, user: str) -> None:
    """As `password`, and as the answer to a prompt where the server offers only keyboard-interactive."""
    talk(place.host(user, login=PASSWORD))
    said = refusal(place.host(user, login="n0t it"))
    assert said.startswith(f"mx1: the password of {user}@{place.address} was refused")
    assert "n0t it" not in said
    text = place.run(
        "journalctl -o cat --no-pager | grep 'pam_unix(sshd:auth): authentication failure' || true"
    )
    assert sum(f"user={user}" in line for line in text.splitlines()) == 1


class TestLocal:
    """`transport: local`: mailprov on the mail host itself, run by somebody who is not root."""

    @staticmethod
    def talk(place: Place, user: str, password: str | None = None) -> list[dict[str, Any]]:
        if place.leader is None:
            pytest.skip("a host that is not the lab's cannot be entered")
        host = place.host("somebody", password)
        here = dataclasses.replace(
            host, address="localhost", ssh=dataclasses.replace(host.ssh, transport=Transport.LOCAL)
        )

        # Read by now: none of mailprov's files is in there.
        assert local.start
        assert bundle.start_payload(job())

        def work() -> list[dict[str, Any]]:
            channel = start(here, job())
            channel.send({"t": "go"})
            messages = list(channel.messages())
            channel.close()
            return messages

        messages: list[dict[str, Any]] = inside(place.leader, user, work)
        return messages

    def test_by_sudo(self, place: Place) -> None:
        for user, password in (("c-free", None), ("c-zero", PASSWORD)):
            before = place.failures(user)
            messages = self.talk(place, user, password)
            assert [message["t"] for message in messages] == ["hello", "end"]
            assert messages[0]["uid"] == 0
            assert place.failures(user) == before

    def test_as_root_without_sudo(self, place: Place) -> None:
        used = "journalctl -o cat --no-pager _COMM=sudo | grep -c COMMAND= || true"
        before = place.run(used)
        assert self.talk(place, "root")[0]["uid"] == 0
        assert place.run(used) == before

    def test_who_may_not_is_named(self, place: Place) -> None:
        with pytest.raises(AssertionError, match=r"HostUnreachable: mx1: c-none may not use sudo"):
            self.talk(place, "c-none", PASSWORD)
        before = place.failures("c-zerowrong")
        with pytest.raises(AssertionError, match=r"sudo on mx1 refused the password of c-zerowrong"):
            self.talk(place, "c-zerowrong", "not it")
        assert place.failures("c-zerowrong") == before + 1
