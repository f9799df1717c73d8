"""The ssh transport against a real OpenSSH server: what works, and each way in that is barred."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mailprov.errors import HostFailed, HostUnreachable
from mailprov.model.host_state import HostState
from mailprov.model.inventory import Host, Transport
from mailprov.transport.ssh import hostkeys
from mailprov.transport.start import launch
from mailprov.wire import bundle
from tests.lab.delayproxy import DelayProxy
from tests.lab.sshd import Sshd, make_key
from tests.lab.starting import endpoint, scan, start

pytestmark = pytest.mark.lab

# Says hello, then does what the control lines say, until stdin ends.
ECHO = """\
import json, os, sys

def run(job, stdin):
    def say(**message):
        print(job["tag"], json.dumps(message), flush=True)
    say(t="hello", uid=os.getuid(), pid=os.getpid())
    for line in stdin:
        message = json.loads(line)
        if message["t"] == "flood":
            sys.stderr.write(("x" * 99 + chr(10)) * 60000)  # 6 MB, three windows
            say(t="progress", text="y" * 3000000)
        elif message["t"] == "die":
            raise RuntimeError("on purpose")
        elif message["t"] == "size":
            say(t="progress", text=str(len(line)))
        elif message["t"] == "go":
            say(t="end", status="ok")
            return
    if job.get("epitaph"):
        with open(job["epitaph"], "w") as file:
            file.write("stdin ended")
"""


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small agent in place of the real one, for what is the transport's own."""
    modules = {"mailprov": "", "mailprov.agent": "", "mailprov.agent.main": ECHO}
    monkeypatch.setattr(bundle, "agent_modules", lambda: modules)


@pytest.fixture(params=[Transport.BUILTIN, Transport.OPENSSH], ids=["builtin", "openssh"])
def each_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Transport:
    """What holds for mailprov's own client must hold for the ssh program."""
    transport: Transport = request.param
    monkeypatch.setattr(Sshd, "transport", transport)
    return transport


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(autouse=True)
def no_agent_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The tester's own keys and known hosts play no part, and no test leaves a thread behind."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    threads = threading.active_count()
    yield
    deadline = time.monotonic() + 60
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads, threading.enumerate()


def job(**more: Any) -> dict[str, Any]:
    return {"tag": secrets.token_hex(8), "mode": "plan", "owner": "test", "packages": [], "root": "", **more}


def talk(host: Host, **more: Any) -> list[dict[str, Any]]:
    channel = start(host, job(**more))
    try:
        channel.send({"t": "go"})
        return list(channel.messages())
    finally:
        channel.close()


def refusal(host: Host) -> str:
    with pytest.raises(HostUnreachable) as caught:
        start(host, job(), connect_timeout=5).close()
    assert caught.value.where == "mx1"
    return str(caught.value)


@pytest.mark.usefixtures("echo", "each_transport")
class TestConversation:
    def test_good_key(self, server: Sshd) -> None:
        messages = talk(server.host())
        assert [message["t"] for message in messages] == ["hello", "end"]
        assert messages[0]["uid"] == os.getuid()

    def test_both_streams_flooded_at_once(self, server: Sshd) -> None:
        channel = start(server.host(), job())
        channel.send({"t": "flood"})
        channel.send({"t": "go"})
        messages = list(channel.messages())
        channel.close()
        assert [message["t"] for message in messages] == ["hello", "progress", "end"]
        assert len(messages[1]["text"]) == 3000000
        assert len(channel.noise()) == 50

    def test_a_desired_state_larger_than_any_window(self, server: Sshd) -> None:
        channel = start(server.host(), job())
        channel.send({"t": "size", "state": "z" * 9_000_000})
        channel.send({"t": "go"})
        sizes = [message["text"] for message in channel.messages() if message["t"] == "progress"]
        channel.close()
        assert int(sizes[0]) > 9_000_000

    def test_an_agent_that_dies_is_told_with_its_last_words(self, server: Sshd) -> None:
        channel = start(server.host(), job())
        channel.send({"t": "die"})
        with pytest.raises(HostFailed, match=r"exit status 1 \(RuntimeError: on purpose\)"):
            list(channel.messages())
        channel.close()
        assert any("raise RuntimeError" in line for line in channel.noise())

    def test_a_connection_cut_in_the_middle(self, server: Sshd, tmp_path: Path) -> None:
        epitaph = tmp_path / "epitaph"
        channel = start(server.host(), job(epitaph=str(epitaph)))
        messages = channel.messages()
        assert next(messages)["t"] == "hello"
        server.kill_sessions()
        started = time.monotonic()
        with pytest.raises(HostFailed, match="the connection was lost before the host was done"):
            next(messages)
        assert time.monotonic() - started < 30
        channel.send({"t": "go"})  # not an error
        channel.close()
        wait_for(epitaph.exists, "the agent sees the end of its stdin")

    def test_close_from_another_thread_ends_the_wait(self, server: Sshd, tmp_path: Path) -> None:
        epitaph = tmp_path / "epitaph"
        channel = start(server.host(), job(epitaph=str(epitaph)))
        messages = channel.messages()
        next(messages)
        timer = threading.Timer(0.2, channel.close)
        timer.start()
        with pytest.raises(HostFailed, match="closed before"):
            next(messages)
        timer.join()
        channel.close()
        wait_for(epitaph.exists, "the agent sees the end of its stdin")

    def test_login_shell_that_prints(self, tmp_path: Path) -> None:
        prints = "echo Welcome; echo warning >&2; printf 'no newline '"
        noisy = f'ForceCommand {prints}; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'
        with Sshd(tmp_path / "noisy", noisy) as server:
            channel = start(server.host(), job())
            channel.send({"t": "go"})
            assert [message["t"] for message in channel.messages()] == ["hello", "end"]
            channel.close()
            assert set(channel.noise()) == {"Welcome", "warning", "no newline"}


@pytest.mark.usefixtures("echo")
def test_fifty_at_once_and_nothing_left(tmp_path: Path) -> None:
    with Sshd(tmp_path / "many", "MaxStartups 100:30:200") as many:
        talk(many.host())
        before = len(os.listdir("/proc/self/fd"))
        with ThreadPoolExecutor(50) as pool:
            results = list(pool.map(lambda _: talk(many.host()), range(50)))
        assert all(messages[-1]["status"] == "ok" for messages in results)
        assert len({messages[0]["pid"] for messages in results}) == 50
        wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before, "descriptors are given back")


def wait_for(condition: Any, what: str, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.usefixtures("echo")
class TestHostKeys:
    @pytest.mark.usefixtures("each_transport")
    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_a_host_known_by_any_one_type(self, server: Sshd, tmp_path: Path, kind: str) -> None:
        known = tmp_path / "known"
        known.write_text(server.line(kind) + "\n")
        assert talk(server.host(known_hosts=known))[-1]["t"] == "end"

    @pytest.mark.usefixtures("each_transport")
    def test_hashed_names(self, server: Sshd, tmp_path: Path) -> None:
        known = tmp_path / "known"
        known.write_text(server.line("ecdsa") + "\n")
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
        assert talk(server.host(known_hosts=known))[-1]["t"] == "end"

    @pytest.mark.usefixtures("each_transport")
    def test_the_users_own_file(self, server: Sshd, tmp_path: Path) -> None:
        home = tmp_path / "home" / ".ssh"
        home.mkdir(parents=True)
        (home / "known_hosts").write_text(server.line("ed25519") + "\n")
        host = server.host()
        assert host.ssh.known_hosts
        settings = type(host.ssh)(**{**vars(host.ssh), "known_hosts": None})
        assert talk(type(host)(**{**vars(host), "ssh": settings}))[-1]["t"] == "end"

    def test_unknown(self, server: Sshd, tmp_path: Path) -> None:
        said = refusal(server.host(known_hosts=tmp_path / "none"))
        shown = server.fingerprint("ed25519")
        assert said == (
            f"mx1: the host key of 127.0.0.1 port {server.port} is not known (ssh-ed25519 {shown}). "
            "Compare it with the host's own, then run `mailprov trust mx1` "
            f'or set `host_key: "{shown}"` in the inventory.'
        )

    @pytest.mark.usefixtures("each_transport")
    def test_changed(self, server: Sshd, tmp_path: Path) -> None:
        other = make_key(tmp_path / "other")
        words = Path(f"{other}.pub").read_text().split()
        known = tmp_path / "known"
        known.write_text(f"# mine\n[127.0.0.1]:{server.port} {words[0]} {words[1]}\n")
        said = refusal(server.host(known_hosts=known))
        assert "HAS CHANGED" in said
        assert server.fingerprint("ed25519") in said
        assert f"but {known}:2 " in said

    @pytest.mark.usefixtures("each_transport")
    def test_a_known_type_that_the_server_no_longer_has_is_a_changed_key(
        self, server: Sshd, tmp_path: Path
    ) -> None:
        with Sshd(tmp_path / "small", kinds=("ed25519",)) as small:
            known = tmp_path / "known"
            known.write_text(f"[127.0.0.1]:{small.port} {server.line('rsa').split(' ', 1)[1]}\n")
            assert "HAS CHANGED" in refusal(small.host(known_hosts=known))

    @pytest.mark.usefixtures("each_transport")
    def test_revoked(self, server: Sshd, tmp_path: Path) -> None:
        known = tmp_path / "known"
        marked = "@revoked * " + server.line("ed25519").split(" ", 1)[1]
        known.write_text(f"{server.line('ed25519')}\n{marked}\n")
        assert "is REVOKED" in refusal(server.host(known_hosts=known))
        pinned = server.host(known_hosts=known, host_key=server.fingerprint("ed25519"))
        assert "is REVOKED" in refusal(pinned)

    @pytest.mark.usefixtures("each_transport")
    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_pinned_right(self, server: Sshd, tmp_path: Path, kind: str) -> None:
        host = server.host(known_hosts=tmp_path / "none", host_key=server.fingerprint(kind))
        assert talk(host)[-1]["t"] == "end"

    @pytest.mark.usefixtures("each_transport")
    def test_pinned_wrong(self, server: Sshd) -> None:
        wrong = "SHA256:" + base64.b64encode(bytes(32)).decode().rstrip("=")
        said = refusal(server.host(host_key=wrong))
        assert "HAS CHANGED" in said
        assert f"the inventory's host_key says {wrong}" in said

    def test_scan_and_append_make_the_host_known(self, server: Sshd, tmp_path: Path) -> None:
        known = tmp_path / "new" / "known_hosts"
        host = server.host(known_hosts=known)
        assert hostkeys.known_hosts_path(endpoint(host)) == known
        found = scan(host)
        assert [kind for kind, _, _ in found] == ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]
        assert [mark for _, mark, _ in found] == [server.fingerprint(kind) for kind in server.host_keys]
        for _, _, line in found:
            hostkeys.append(known, line)
        assert talk(host)[-1]["t"] == "end"
        judge = subprocess.run(
            ["ssh-keygen", "-F", f"[127.0.0.1]:{server.port}", "-f", str(known)],
            capture_output=True,
            check=False,
        )
        assert judge.returncode == 0

    def test_nothing_of_the_login_is_sent_to_a_wrong_host(
        self, server: Sshd, tmp_path: Path, each_transport: Transport
    ) -> None:
        before = server.log.read_text()
        password = None if each_transport is Transport.OPENSSH else "s3cret"
        refusal(server.host(known_hosts=tmp_path / "none", password=password))
        wait_for(lambda: server.log.read_text() != before, "sshd writes its log")
        assert "publickey" not in server.log.read_text()[len(before) :]


@pytest.mark.usefixtures("echo")
class TestLogin:
    def test_key_refused(self, server: Sshd, tmp_path: Path) -> None:
        stranger = make_key(tmp_path / "stranger")
        host = server.host(identity=stranger)
        user = host.ssh.user
        assert refusal(host) == (
            f"mx1: the login as {user}@127.0.0.1 was refused (tried key {stranger}). Put its public key into "
            f"~{user}/.ssh/authorized_keys there, or correct `ssh.user`."
        )

    def test_an_encrypted_key_is_named_and_not_tried(self, server: Sshd, tmp_path: Path) -> None:
        locked = make_key(tmp_path / "locked", passphrase="x" * 8)
        assert (
            f"key {locked}: it is encrypted and the agent does not hold it; run `ssh-add {locked}`"
            in refusal(server.host(identity=locked))
        )

    def test_files_that_are_no_keys(self, server: Sshd, tmp_path: Path) -> None:
        junk = tmp_path / "junk"
        junk.write_text("not a key\n")
        assert "not a usable private key" in refusal(server.host(identity=junk))
        assert "does not exist" in refusal(server.host(identity=tmp_path / "none"))

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_other_key_types(self, server: Sshd, tmp_path: Path, kind: str) -> None:
        key = make_key(tmp_path / "key", kind)
        with server.authorized_keys.open("a") as file:
            file.write(Path(f"{key}.pub").read_text())
        assert talk(server.host(identity=key))[-1]["t"] == "end"

    def test_nothing_to_log_in_with(self, server: Sshd) -> None:
        assert "there is nothing to log in with" in refusal(without_identity(server))

    def test_default_keys_of_the_home(self, server: Sshd, tmp_path: Path) -> None:
        home = tmp_path / "home" / ".ssh"
        home.mkdir(parents=True)
        (home / "id_ed25519").write_bytes(server.identity.read_bytes())
        assert talk(without_identity(server))[-1]["t"] == "end"

    def test_keys_of_the_agent(self, server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        locked = make_key(tmp_path / "locked")
        with server.authorized_keys.open("a") as file:
            file.write(Path(f"{locked}.pub").read_text())
        with ssh_agent(tmp_path, monkeypatch):
            subprocess.run(["ssh-add", "-q", str(locked)], check=True, capture_output=True)
            subprocess.run(
                ["ssh-keygen", "-q", "-p", "-N", "x" * 8, "-f", str(locked)], check=True, capture_output=True
            )
            assert talk(without_identity(server))[-1]["t"] == "end"
            assert talk(server.host(identity=locked))[-1]["t"] == "end", (
                "an encrypted key that the agent holds"
            )
            Path(f"{locked}.pub").unlink()
            assert talk(server.host(identity=locked))[-1]["t"] == "end", "found without the .pub"

    def test_more_keys_than_the_server_allows(
        self, server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with ssh_agent(tmp_path, monkeypatch):
            for number in range(8):
                key = make_key(tmp_path / f"k{number}")
                subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
            said = refusal(without_identity(server))
        assert said.count("tried agent key") == 6
        assert "Name the right key with `ssh.identity_file`" in said

    def test_an_agent_that_gives_up_is_told_or_not_needed(
        self, server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.socket(socket.AF_UNIX) as broken:
            broken.bind(str(tmp_path / "agent"))
            broken.listen()
            monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
            assert talk(server.host())[-1]["t"] == "end", "with a key of its own, nobody waits for the agent"
            closing = threading.Thread(target=lambda: broken.accept()[0].close())
            closing.start()
            assert "the ssh agent: " in refusal(without_identity(server))
            closing.join()

    def test_a_server_that_takes_no_keys(self, tmp_path: Path) -> None:
        with Sshd(tmp_path / "pw", "PubkeyAuthentication no\nPasswordAuthentication yes") as server:
            assert "the server takes only password" in refusal(server.host())

    def test_password_refused_once(self, tmp_path: Path) -> None:
        with Sshd(tmp_path / "pw", "PasswordAuthentication yes\nPermitRootLogin yes") as server:
            (tmp_path / "stranger").mkdir()
            host = without_identity(server, password="wr0ng pass")
            said = refusal(host)
            assert said.startswith(f"mx1: the password of {host.ssh.user}@127.0.0.1 was refused. ")
            assert "wr0ng" not in said
            wait_for(lambda: "Failed password" in server.log.read_text(), "sshd logs the failure")
            assert server.log.read_text().count("Failed password") == 1

    def test_a_server_that_takes_no_passwords(self, server: Sshd, tmp_path: Path) -> None:
        stranger = make_key(tmp_path / "stranger")
        with Sshd(tmp_path / "nopw", "PasswordAuthentication no\nKbdInteractiveAuthentication no") as strict:
            said = refusal(strict.host(identity=stranger, password="x"))
            assert "the password: the server takes only publickey" in said


class TestBarred:
    @pytest.mark.usefixtures("each_transport")
    def test_refused_port(self, server: Sshd) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        assert f"127.0.0.1 port {port} refused the connection" in refusal(server.host(port=port))

    @pytest.mark.parametrize(
        ("greeting", "words"),
        [
            (
                b"220 mx1.alpha.test ESMTP Postfix\r\n",
                "is not an SSH server (it says '220 mx1.alpha.test ESMTP Postfix')",
            ),
            (b"", "closed the connection without sending anything"),
            (b"SSH-2.0-Fake\r\n", "broke off"),
            (b"SSH-1.5-Old\r\n", "no algorithm in common"),
        ],
    )
    def test_other_servers(self, server: Sshd, greeting: bytes, words: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:

            def serve() -> None:
                connection, _ = other.accept()
                connection.recv(100)
                connection.sendall(greeting)
                connection.close()

            thread = threading.Thread(target=serve)
            thread.start()
            said = refusal(server.host(port=other.getsockname()[1]))
            thread.join()
        assert words in said

    @pytest.mark.usefixtures("each_transport")
    def test_no_common_key_exchange(self, tmp_path: Path) -> None:
        with Sshd(tmp_path / "old", "KexAlgorithms diffie-hellman-group14-sha1") as old:
            assert "has no algorithm in common with" in refusal(old.host())

    @pytest.mark.usefixtures("each_transport")
    def test_no_python(self, tmp_path: Path) -> None:
        hide = 'ForceCommand exec /bin/sh -c "$(echo "$SSH_ORIGINAL_COMMAND" | sed s/python3/python-none/g)"'
        with Sshd(tmp_path / "nopython", hide) as server:
            assert refusal(server.host()) == (
                "mx1: there is no python3 on the host. Install it there: apt-get install python3, or run apply "
                "with --bootstrap-python."
            )

    @pytest.mark.usefixtures("each_transport")
    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("/usr/sbin/nologin", "may not run commands (This account is currently not available.)"),
            ("/bin/false", "ended at once without running anything (exit status 1)"),
            ("echo Please log in as ubuntu; exit 3", "exit status 3 (Please log in as ubuntu)"),
            ("kill -9 $PPID", "the connection was lost"),
        ],
    )
    def test_shells_that_run_nothing(self, tmp_path: Path, command: str, words: str) -> None:
        with Sshd(tmp_path / "barred", f"ForceCommand {command}") as server:
            assert words in refusal(server.host())

    def test_a_server_that_opens_no_sessions(self, tmp_path: Path) -> None:
        with Sshd(tmp_path / "closed", "MaxSessions 0") as server:
            assert "runs no command for this user" in refusal(server.host())

    def test_a_shell_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(launch, "SILENCE", 1.0)
        with Sshd(tmp_path / "hangs", "ForceCommand echo press enter; exec sleep 60") as server:
            assert "no command came to run within a minute (press enter)" in refusal(server.host())


def test_at_most_ten_round_trips_for_a_whole_plan(server: Sshd, tmp_path: Path) -> None:
    """Connect, log in, exec, hello, facts → desired → plan without changes → end, with the real agent."""
    (tmp_path / "root").mkdir()
    with DelayProxy("127.0.0.1", server.port, one_way=0.01) as proxy:
        host = server.host(port=proxy.port, host_key=server.fingerprint("ed25519"))
        channel = start(host, job(root=str(tmp_path / "root")))
        seen = []
        for message in channel.messages():
            seen.append(message["t"])
            if message["t"] == "facts":
                channel.send({"t": "desired", "state": HostState("mx1", "mx1.alpha.test").to_wire()})
        trips = proxy.round_trips
        channel.close()
        assert (seen[-1], proxy.connections) == ("end", 1), channel.noise()
    assert "plan" in seen
    assert trips <= 10


def without_identity(server: Sshd, **more: Any) -> Host:
    host = server.host(**more)
    settings = type(host.ssh)(**{**vars(host.ssh), "identity_file": None})
    return type(host)(**{**vars(host), "ssh": settings})


class ssh_agent:
    """A fresh ssh-agent for the time of a test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "agent"
        self.monkeypatch = monkeypatch

    def __enter__(self) -> None:
        self.process = subprocess.Popen(["ssh-agent", "-D", "-a", str(self.path)], stdout=subprocess.DEVNULL)
        wait_for(self.path.exists, "the agent's socket")
        self.monkeypatch.setenv("SSH_AUTH_SOCK", str(self.path))

    def __exit__(self, *_: object) -> None:
        self.monkeypatch.delenv("SSH_AUTH_SOCK")
        self.process.terminate()
        self.process.wait(60)
