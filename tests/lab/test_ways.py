"""The ways in that people have, on loopback with real servers: ssh_config, jump hosts, certificates, passphrases.

Every test that says "both" holds for mailprov's own client and for the ssh program.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mailprov.errors import HostFailed, HostUnreachable
from mailprov.model.inventory import Host, SshSettings, Tls, Transport
from mailprov.model.jumps import parse_jumps
from mailprov.model.secret import Secret
from mailprov.transport.connections import Connections
from tests.lab.delayproxy import DelayProxy
from tests.lab.sshd import Sshd, make_key
from tests.lab.test_transport import echo, job, no_agent_no_home, refusal, ssh_agent, talk, wait_for

__all__ = ["echo", "no_agent_no_home"]  # fixtures
pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("echo")]

BOTH = pytest.mark.parametrize(
    "transport", [Transport.BUILTIN, Transport.OPENSSH], ids=["builtin", "openssh"]
)


def changed(host: Host, **ssh: Any) -> Host:
    return dataclasses.replace(host, ssh=dataclasses.replace(host.ssh, **ssh))


class Pair:
    """A jump host and a host behind it: two servers with keys of their own, one login key for both."""

    def __init__(self, folder: Path) -> None:
        self.jump, self.goal = Sshd(folder / "jump"), Sshd(folder / "goal", "MaxStartups 100")
        self.known = folder / "known"
        self.known.write_text(self.jump.known_hosts.read_text() + self.goal.known_hosts.read_text())
        self.key = self.jump.identity
        self.goal.authorized_keys.write_text(Path(f"{self.key}.pub").read_text())

    def host(self, **more: Any) -> Host:
        host = self.goal.host(known_hosts=self.known, identity=self.key)
        way = parse_jumps(f"127.0.0.1:{self.jump.port}")
        return changed(host, **{"proxy_jump": way, **more})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    with made.jump, made.goal:
        yield made


class TestConfig:
    @BOTH
    def test_all_from_the_users_file(self, pair: Pair, tmp_path: Path, transport: Transport) -> None:
        config = tmp_path / "config"
        config.write_text(
            f"Include {tmp_path}/more\nHost goal\n HostName 127.0.0.1\n Port {pair.goal.port}\n ProxyJump bastion\n"
        )
        (tmp_path / "more").write_text(
            f"Host *\n User {pair.goal.host().ssh.user}\n IdentityFile {pair.key}\n UserKnownHostsFile {pair.known}\n"
            f"Host bastion\n HostName 127.0.0.1\n Port {pair.jump.port}\n"
        )
        before = pair.jump.log.read_text().count("Accepted publickey")
        host = Host("mx1", "goal", "goal.test", SshSettings(config=config, transport=transport), Tls())
        assert talk(host)[-1]["t"] == "end"
        wait_for(
            lambda: pair.jump.log.read_text().count("Accepted publickey") > before, "it went by the jump host"
        )

    def test_a_proxy_command_goes_by_the_ssh_program_without_being_told(
        self, pair: Pair, tmp_path: Path
    ) -> None:
        config = tmp_path / "config"
        relay = f"{sys.executable} -c 'import sys'"  # fails: shows that it is run
        config.write_text(f"Host goal\n ProxyCommand {relay}\n")
        host = Host("mx1", "goal", "goal.test", SshSettings(config=config), Tls())
        assert "closed the connection without sending anything" in refusal(host)
        way = f"ssh -F {config} -W 127.0.0.1:{pair.goal.port} bastion"
        config.write_text(
            f"Host *\n User {pair.goal.host().ssh.user}\n IdentityFile {pair.key}\n UserKnownHostsFile {pair.known}\n"
            f" StrictHostKeyChecking yes\nHost bastion\n HostName 127.0.0.1\n Port {pair.jump.port}\n"
            f"Host goal\n ProxyCommand {way}\n HostKeyAlias [127.0.0.1]:{pair.goal.port}\n"
        )
        assert talk(host)[-1]["t"] == "end"

    def test_a_master_connection_that_stays(self, pair: Pair, tmp_path: Path) -> None:
        """ControlPersist leaves a process behind: it is used, and nothing waits for its end."""
        config, path = tmp_path / "config", tmp_path / "master"
        config.write_text(f"Host *\n ControlMaster auto\n ControlPath {path}\n ControlPersist 60\n")
        host = changed(pair.host(proxy_jump=None), transport=Transport.OPENSSH, config=config)
        before = pair.goal.log.read_text().count("Accepted publickey")
        try:
            assert talk(host)[-1]["t"] == "end"
            assert talk(host)[-1]["t"] == "end"
            assert pair.goal.log.read_text().count("Accepted publickey") == before + 1
        finally:
            subprocess.run(
                ["ssh", "-F", str(config), "-O", "exit", "127.0.0.1"], check=True, capture_output=True
            )
        with Sshd(tmp_path / "barred", "ForceCommand /bin/false") as barred:
            began = time.monotonic()
            said = refusal(changed(barred.host(), transport=Transport.OPENSSH, config=config))
            assert "ended at once without running anything" in said
            assert time.monotonic() - began < 20
            subprocess.run(
                ["ssh", "-F", str(config), "-O", "exit", "127.0.0.1"], check=True, capture_output=True
            )

    @BOTH
    def test_an_alias_is_what_known_hosts_is_asked_for(
        self, pair: Pair, tmp_path: Path, transport: Transport
    ) -> None:
        known = tmp_path / "known"
        known.write_text("the-alias " + pair.goal.line("ed25519").split(" ", 1)[1] + "\n")
        config = tmp_path / "config"
        host = changed(
            pair.host(proxy_jump=None),
            known_hosts=known,
            identity_file=pair.key,
            config=config,
            transport=transport,
        )
        config.write_text("Host *\n HostKeyAlias other\n")
        assert "is not known" in refusal(host)
        config.write_text("Host *\n HostKeyAlias the-alias\n")
        assert talk(host)[-1]["t"] == "end"

    def test_identities_only_keeps_the_agent_out(
        self, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = tmp_path / "config"
        stranger = make_key(tmp_path / "stranger")
        host = changed(pair.host(proxy_jump=None), identity_file=None, config=config)
        with ssh_agent(tmp_path, monkeypatch):
            subprocess.run(["ssh-add", "-q", str(pair.key)], check=True, capture_output=True)
            config.write_text(f"Host *\n IdentityFile {stranger}\n")
            assert talk(host)[-1]["t"] == "end", "after the named key the agent's"
            config.write_text(f"Host *\n IdentityFile {stranger}\n IdentitiesOnly yes\n")
            assert f"(tried key {stranger})" in refusal(host)
            config.write_text("Host *\n IdentityAgent none\n")
            assert "nothing to log in with" in refusal(host)
            where = os.environ["SSH_AUTH_SOCK"]
            monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere")
            config.write_text(f"Host *\n IdentityAgent {where}\n")
            assert talk(host)[-1]["t"] == "end"
            monkeypatch.setenv("SSH_AUTH_SOCK", where)


class TestJumpHosts:
    @BOTH
    def test_through_one_and_through_two(self, pair: Pair, transport: Transport) -> None:
        assert talk(pair.host(transport=transport))[-1]["t"] == "end"
        two = parse_jumps(f"127.0.0.1:{pair.jump.port},localhost:{pair.goal.port}")
        lines = pair.known.read_text()
        pair.known.write_text(lines + lines.replace("127.0.0.1", "localhost"))
        assert talk(pair.host(transport=transport, proxy_jump=two))[-1]["t"] == "end"

    @BOTH
    def test_each_key_is_checked_under_its_own_name(
        self, pair: Pair, tmp_path: Path, transport: Transport
    ) -> None:
        half = tmp_path / "half"
        half.write_text(pair.goal.known_hosts.read_text())
        said = refusal(pair.host(known_hosts=half, transport=transport))
        assert f"jump host 127.0.0.1:{pair.jump.port}" in said
        assert "is not known" in said
        half.write_text(pair.jump.known_hosts.read_text())
        said = refusal(pair.host(known_hosts=half, transport=transport))
        assert f"the host key of 127.0.0.1 port {pair.goal.port} is not known" in said
        swapped = pair.goal.line("ed25519").replace(str(pair.goal.port), str(pair.jump.port))
        half.write_text(pair.goal.known_hosts.read_text() + swapped + "\n")
        assert "HAS CHANGED" in refusal(pair.host(known_hosts=half, transport=transport))

    @BOTH
    def test_what_fails_says_which_hop(self, pair: Pair, tmp_path: Path, transport: Transport) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        said = refusal(pair.host(port=port, transport=transport))
        assert "jump host" in said
        assert f"cannot connect to 127.0.0.1 port {port}" in said
        said = refusal(pair.host(proxy_jump=parse_jumps(f"127.0.0.1:{port}"), transport=transport))
        assert f"jump host 127.0.0.1:{port}" in said
        assert "refused the connection" in said
        with Sshd(tmp_path / "closed", "AllowTcpForwarding no") as closed:
            known = tmp_path / "known"
            known.write_text(closed.known_hosts.read_text() + pair.known.read_text())
            closed.authorized_keys.write_text(Path(f"{pair.key}.pub").read_text())
            way = parse_jumps(f"127.0.0.1:{closed.port}")
            said = refusal(pair.host(known_hosts=known, proxy_jump=way, transport=transport))
        assert "forwards no connection to" in said

    def test_one_connection_for_all_behind_it(self, pair: Pair) -> None:
        before = pair.jump.log.read_text().count("Accepted publickey")
        hosts = [dataclasses.replace(pair.host(), name=f"mx{number}") for number in range(12)]
        with Connections(hosts) as connections:

            def one(host: Host) -> str:
                channel = connections.start(host, job())
                channel.send({"t": "go"})
                messages = list(channel.messages())
                channel.close()
                return str(messages[-1]["status"])

            with ThreadPoolExecutor(12) as pool:
                try:
                    assert list(pool.map(one, hosts)) == ["ok"] * 12
                except (HostFailed, HostUnreachable) as error:  # seen twice: what do the servers say?
                    logs = [server.log.read_text()[-6000:] for server in (pair.jump, pair.goal)]
                    pytest.fail("\n".join([str(error), *logs]))
        assert pair.jump.log.read_text().count("Accepted publickey") == before + 1
        wait_for(lambda: not pair.jump.sessions(), "the jump host is let go")

    def test_a_jump_host_that_fails_is_asked_once(self, pair: Pair, tmp_path: Path) -> None:
        stranger = make_key(tmp_path / "stranger")
        before = pair.jump.log.read_text().count("Failed publickey")
        hosts = [
            dataclasses.replace(pair.host(identity_file=stranger), name=f"mx{number}") for number in range(5)
        ]
        with Connections(hosts) as connections:
            for host in hosts:
                with pytest.raises(HostUnreachable, match=f"{host.name}: jump host .* the login as"):
                    connections.start(host, job())
        assert pair.jump.log.read_text().count("Failed publickey") <= before + 1

    def test_the_jump_adds_only_its_own_connect(self, pair: Pair, tmp_path: Path) -> None:
        """Direct: n round trips. Through a jump host as far away: its own connect, then the same n again."""
        with DelayProxy("127.0.0.1", pair.goal.port, one_way=0.01) as proxy:
            pin = pair.goal.fingerprint("ed25519")
            talk(pair.host(proxy_jump=(), port=proxy.port, host_key=pin))
            direct = proxy.round_trips
        with DelayProxy("127.0.0.1", pair.jump.port, one_way=0.01) as proxy:
            line = pair.jump.line("ed25519").replace(str(pair.jump.port), str(proxy.port))
            known = tmp_path / "known"
            known.write_text(pair.known.read_text() + line + "\n")
            talk(pair.host(proxy_jump=parse_jumps(f"127.0.0.1:{proxy.port}"), known_hosts=known))
            jumped = proxy.round_trips
        assert direct <= 10
        assert jumped <= 2 * direct, (direct, jumped)


class TestCertificates:
    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("certificates")
        make_key(folder / "ca")
        return folder

    @pytest.fixture(scope="class")
    @classmethod
    def trusting(cls, folder: Path) -> Iterator[Sshd]:
        """A server that lets in whom the authority has signed, and shows host certificates by it."""
        server = Sshd(
            folder / "sshd",
            f"TrustedUserCAKeys {folder}/ca.pub\n"
            + "".join(f"HostCertificate {folder}/sshd/host_{kind}-cert.pub\n" for kind in ("ed25519", "rsa")),
            kinds=("ed25519", "rsa"),
        )
        server.authorized_keys.write_text("")
        for kind in ("ed25519", "rsa"):
            cls.sign(folder, folder / "sshd" / f"host_{kind}", "-h", "-n", "127.0.0.1")
        with server:
            yield server

    @staticmethod
    def sign(folder: Path, key: Path, *options: str) -> None:
        signing = ["ssh-keygen", "-q", "-s", str(folder / "ca"), "-I", "id", *options, f"{key}.pub"]
        subprocess.run(signing, check=True)

    @BOTH
    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_a_users(
        self, trusting: Sshd, folder: Path, tmp_path: Path, kind: str, transport: Transport
    ) -> None:
        host = trusting.host()
        key = make_key(tmp_path / "key", kind)
        assert "refused" in refusal(changed(host, identity_file=key, transport=transport))
        self.sign(folder, key, "-n", host.ssh.user or "")
        assert talk(changed(host, identity_file=key, transport=transport))[-1]["t"] == "end"
        self.sign(folder, key, "-n", "somebody-else")
        assert "refused" in refusal(changed(host, identity_file=key, transport=transport))

    def test_a_users_in_the_agent_and_by_certificate_file(
        self, trusting: Sshd, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = trusting.host()
        key = make_key(tmp_path / "key", "rsa")
        self.sign(folder, key, "-n", host.ssh.user or "")
        with ssh_agent(tmp_path, monkeypatch):
            subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
            assert talk(changed(host, identity_file=None))[-1]["t"] == "end"
        (tmp_path / "key-cert.pub").rename(tmp_path / "elsewhere")
        config = tmp_path / "config"
        config.write_text(f"Host *\n IdentityFile {key}\n CertificateFile {tmp_path}/elsewhere\n")
        assert talk(changed(host, identity_file=None, config=config))[-1]["t"] == "end"

    @BOTH
    def test_a_hosts(self, trusting: Sshd, folder: Path, tmp_path: Path, transport: Transport) -> None:
        host = trusting.host()
        key = make_key(tmp_path / "key")
        self.sign(folder, key, "-n", host.ssh.user or "")
        known = tmp_path / "known"
        public = (folder / "ca.pub").read_text()
        known.write_text(f"@cert-authority [127.0.0.1]:* {public}")
        host = changed(host, identity_file=key, known_hosts=known, transport=transport)
        assert talk(host)[-1]["t"] == "end"
        known.write_text(f"@cert-authority other.test {public}")
        assert "is not known" in refusal(host), "an authority for other hosts"
        stranger = make_key(tmp_path / "stranger")
        known.write_text("@cert-authority * " + Path(f"{stranger}.pub").read_text())
        assert "is not known" in refusal(host), "an authority that has not signed"
        known.write_text(known.read_text() + trusting.line("ed25519") + "\n")
        assert talk(host)[-1]["t"] == "end", "then its plain key does"
        known.write_text(f"@cert-authority * {public}@revoked * {public}")
        assert "revoked" in refusal(host).lower()

    @BOTH
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("-n", "mx2.test"), "it is for mx2.test, not for 127.0.0.1"),
            (("-n", "127.0.0.1", "-V", "20200101:20210101"), "it has expired on 20"),
        ],
    )
    def test_a_hosts_that_proves_nothing(
        self, folder: Path, tmp_path: Path, options: tuple[str, ...], words: str, transport: Transport
    ) -> None:
        certificate = f"HostCertificate {tmp_path}/sshd/host_ed25519-cert.pub"
        server = Sshd(tmp_path / "sshd", certificate, kinds=("ed25519",))
        self.sign(folder, tmp_path / "sshd" / "host_ed25519", "-h", *options)
        known = tmp_path / "known"
        known.write_text("@cert-authority * " + (folder / "ca.pub").read_text())
        with server:
            said = refusal(changed(server.host(known_hosts=known), transport=transport))
        assert (
            words in said
            if transport is Transport.BUILTIN
            else "is not accepted" in said or "is not known" in said
        )


class TestPassphrases:
    def test_by_reference(self, pair: Pair, tmp_path: Path) -> None:
        key = make_key(tmp_path / "key", passphrase="correct horse")
        pair.goal.authorized_keys.write_text(
            pair.goal.authorized_keys.read_text() + Path(f"{key}.pub").read_text()
        )
        host = changed(pair.host(proxy_jump=()), identity_file=key)
        assert talk(changed(host, passphrase=Secret("env:P", "correct horse")))[-1]["t"] == "end"
        said = refusal(changed(host, passphrase=Secret("env:P", "wrong word")))
        assert "the passphrase of env:P does not open it" in said
        assert "wrong" not in said

    def test_asked_once_for_two_hosts_on_a_terminal(self, pair: Pair, tmp_path: Path) -> None:
        """The program itself, on a pseudo-terminal. The hosts are refused later: their agent is not wanted here."""
        key = make_key(tmp_path / "key", passphrase="correct horse")
        inventory = tmp_path / "mail.yml"
        ports = f"{pair.goal.port}", f"{pair.jump.port}"
        hosts = "".join(
            f"  h{port}: {{address: 127.0.0.1, fqdn: h{port}.test, ssh: {{port: {port}}}}}\n"
            for port in ports
        )
        inventory.write_text(
            f"ssh: {{user: nobody-here, identity_file: {key}, known_hosts: {pair.known}, config: none}}\n"
            f"hosts:\n{hosts}domains: {{a.test: {{hosts: [h{ports[0]}, h{ports[1]}], accounts: "
            "{ana: {password: {env: HOME}}}}}\n"
        )
        shown = on_a_terminal(["plan", "--only", "hosts", str(inventory)], "correct horse\n")
        assert shown.count("Passphrase for") == 1, shown
        assert (
            " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", shown).split()).count(f"tried key {key}") == 2
        ), shown


def on_a_terminal(words: list[str], answer: str) -> str:
    """What mailprov prints on a terminal where `answer` is typed at the first question."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "mailprov", *words])
    shown, answered, deadline = b"", False, time.monotonic() + 180
    try:
        while time.monotonic() < deadline:
            try:
                data = os.read(terminal, 4096)
            except OSError:
                break
            if not data:
                break
            shown += data
            if not answered and b"Passphrase" in shown:
                os.write(terminal, answer.encode())
                answered = True
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return " ".join(shown.decode("utf-8", "replace").split())


class TestOtherPlaces:
    @BOTH
    def test_ipv6_and_a_port_of_its_own(self, tmp_path: Path, transport: Transport) -> None:
        with Sshd(tmp_path / "six", "ListenAddress ::1") as server:
            known = tmp_path / "known"
            known.write_text(f"[::1]:{server.port} {server.line('ed25519').split(' ', 1)[1]}\n")
            host = changed(server.host(known_hosts=known), transport=transport)
            assert talk(dataclasses.replace(host, address="::1"))[-1]["t"] == "end"

    @BOTH
    def test_an_address_with_a_zone(self, tmp_path: Path, transport: Transport) -> None:
        address = "fe80::6d70"
        subprocess.run(["ip", "-6", "address", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)
        try:
            with Sshd(tmp_path / "zone", f"ListenAddress {address}%lo") as server:
                known = tmp_path / "known"
                known.write_text(f"[{address}%lo]:{server.port} {server.line('ed25519').split(' ', 1)[1]}\n")
                host = changed(server.host(known_hosts=known), transport=transport)
                assert talk(dataclasses.replace(host, address=f"{address}%lo"))[-1]["t"] == "end"
        finally:
            subprocess.run(["ip", "-6", "address", "del", f"{address}/128", "dev", "lo"], check=True)

    def test_localhost_without_ssh(self) -> None:
        host = Host("mx1", "localhost", "mx1.test", SshSettings(transport=Transport.LOCAL), Tls())
        messages = talk(host)
        assert (messages[0]["uid"], messages[-1]["t"]) == (0, "end")


class TestInterrupt:
    """Ctrl-C while connecting is answered at once, whatever the other side does."""

    @pytest.mark.parametrize("stage", ["accepts no connection", "is silent", "login", "shell"])
    @BOTH
    def test_at_every_stage(self, tmp_path: Path, stage: str, transport: Transport) -> None:
        inventory = tmp_path / "mail.yml"
        servers: list[Any] = []
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            port = silent.getsockname()[1]
            settings = ""
            if stage == "accepts no connection":
                for _ in range(4):
                    filler = socket.socket()
                    filler.setblocking(False)
                    filler.connect_ex(("127.0.0.1", port))
                    servers.append(filler)
            elif stage in ("login", "shell"):
                hanging = "ForceCommand exec sleep 60"
                server = Sshd(tmp_path / "sshd", hanging if stage == "shell" else "")
                server.__enter__()
                servers.append(server)
                port = server.port
                settings = f", identity_file: {server.identity}, known_hosts: {server.known_hosts}"
                if stage == "login":
                    port = Stalling(server.port, servers).port
                    settings = (
                        f", identity_file: {server.identity}, host_key: '{server.fingerprint('ed25519')}'"
                    )
            inventory.write_text(
                f"ssh: {{port: {port}, transport: {transport.value}, config: none{settings}}}\n"
                "hosts: {mx1: {address: 127.0.0.1, fqdn: mx1.a.test}}\n"
                "domains: {a.test: {hosts: [mx1], accounts: {ana: {password: {env: HOME}}}}}\n"
            )
            command = [sys.executable, "-m", "mailprov", "plan", "--only", "hosts", "--json", str(inventory)]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            try:
                assert process.stdout
                for line in process.stdout:
                    if "connecting to" in line:
                        break
                time.sleep(1.0)  # into the stage; nothing on this side tells when
                assert process.poll() is None
                process.send_signal(signal.SIGINT)
                assert process.wait(120) == 130
                said = process.stdout.read()
                assert "interrupted" in said
                assert " within " not in said, "it has not waited for the end of its own patience"
            finally:
                process.kill()
                process.wait()
                for each in servers:
                    each.close() if hasattr(each, "close") else each.__exit__(None, None, None)


class Stalling:
    """In front of an SSH server: lets the key exchange through, then nothing more."""

    def __init__(self, goal: int, servers: list[Any]) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._goal = goal
        self._open = [self._server]
        servers.append(self)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self) -> None:
        try:
            near, _ = self._server.accept()
        except OSError:  # closed before anybody came
            return
        far = socket.create_connection(("127.0.0.1", self._goal))
        self._open += [near, far]

        def carry(source: socket.socket, target: socket.socket, most: int) -> None:
            with contextlib.suppress(OSError):
                while most > 0 and (data := source.recv(65536)):
                    target.sendall(data)
                    most -= len(data)

        threading.Thread(target=carry, args=(near, far, 1 << 20), daemon=True).start()
        carry(far, near, 2600)  # greeting, offers, keys: the answer to the login does not come any more
