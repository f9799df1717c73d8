"""A real OpenSSH server of this machine on a loopback port, with its own keys and configuration.

with Sshd(folder, "ForceCommand …") as server:
    server.port, server.identity (private key file that may log in as root), server.known_hosts
    server.fingerprint("ed25519"), server.kill_sessions()
"""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from mailprov.model.inventory import Host, SshSettings, Tls, Transport
from mailprov.model.secret import Secret
from tests.unit.dns.servers import free_port

BINARY = shutil.which("sshd", path="/usr/sbin:/usr/bin")


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new key pair at `path` and `path`.pub."""
    bits = ["-b", "2048"] if kind == "rsa" else []
    command = ["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True)
    return path


class Sshd:
    """`extra` are lines of sshd_config that come first, and so win (sshd_config(5))."""

    transport: Transport | None = None  # of the hosts that `host` makes

    def __init__(
        self, folder: Path, extra: str = "", kinds: tuple[str, ...] = ("ed25519", "ecdsa", "rsa")
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.host_keys = {kind: make_key(folder / f"host_{kind}", kind) for kind in kinds}
        self.identity = make_key(folder / "id_ed25519")
        self.authorized_keys = folder / "authorized_keys"
        shutil.copy(f"{self.identity}.pub", self.authorized_keys)
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text("".join(f"{self.line(kind)}\n" for kind in kinds))
        self.log = folder / "log"
        config = [
            extra,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {path}" for path in self.host_keys.values()),
            f"AuthorizedKeysFile {self.authorized_keys}",
            "StrictModes no",
            "UsePAM no",
            "PidFile none",
            "LogLevel VERBOSE",
            "PermitRootLogin yes",
        ]
        self.config = folder / "sshd_config"
        self.config.write_text("\n".join(config) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def line(self, kind: str) -> str:
        """The known_hosts line of the server's key."""
        words = Path(f"{self.host_keys[kind]}.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {words[0]} {words[1]}"

    def fingerprint(self, kind: str) -> str:
        shown = subprocess.run(
            ["ssh-keygen", "-l", "-f", f"{self.host_keys[kind]}.pub"],
            capture_output=True,
            text=True,
            check=True,
        )
        return shown.stdout.split()[1]

    def __enter__(self) -> Sshd:
        assert BINARY, "the lab needs openssh-server"
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        command = [BINARY, "-D", "-f", str(self.config), "-E", str(self.log)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 300
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert self._process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, "sshd does not listen"
                time.sleep(0.02)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_sessions()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)

    def sessions(self) -> list[int]:
        """Process ids of the server's children: one for each connection."""
        assert self._process is not None
        shown = subprocess.run(
            ["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in shown.stdout.split()]

    def kill_sessions(self) -> None:
        """Cut every connection as a crash would."""
        for pid in self.sessions():
            subprocess.run(["kill", "-9", str(pid)], check=False, stderr=subprocess.DEVNULL)

    def host(
        self,
        *,
        user: str = "",
        port: int = 0,
        identity: Path | None = None,
        known_hosts: Path | None = None,
        host_key: str | None = None,
        password: str | None = None,
    ) -> Host:
        """An inventory host for this server; what is not said is right."""
        settings = SshSettings(
            user=user or getpass.getuser(),
            port=port or self.port,
            identity_file=identity or self.identity,
            known_hosts=known_hosts or self.known_hosts,
            host_key=host_key,
            password=Secret("env:PASSWORD", password) if password is not None else None,
            transport=self.transport,
        )
        return Host("mx1", "127.0.0.1", "mx1.alpha.test", settings, Tls())
