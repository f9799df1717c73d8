"""Logging in: the right keys in a fixed order, no try wasted, and a record of what was tried.

    authenticate(transport, host)

Order: `identity_file` alone if given; else the agent's keys, then ~/.ssh/id_*; then the password if given (as
`password`, or as the answer to a keyboard-interactive prompt where the server wants it so). A server allows
six tries by default (sshd_config(5) MaxAuthTries): no key is offered twice, and the number of keys is
bounded. Raises HostUnreachable that names each try.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import paramiko

from mailprov.errors import HostUnreachable
from mailprov.model.inventory import Host
from mailprov.transport.known_hosts import fingerprint

_MAX_TRIES = 6
_TIMEOUT = 30.0  # seconds for each answer; a PAM stack may be slow
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def authenticate(transport: paramiko.Transport, host: Host) -> None:
    """Log in as `host.ssh.user`, or raise with the list of what was tried."""
    _Login(transport, host).run()


class _Login:
    def __init__(self, transport: paramiko.Transport, host: Host) -> None:
        self.transport = transport
        self.host = host
        self.user = host.ssh.user
        self.tried: list[str] = []
        self.left_out: list[str] = []
        self._agent: paramiko.Agent | None = None
        transport.auth_timeout = _TIMEOUT

    def run(self) -> None:
        try:
            if self._keys() or self._password():
                return
        finally:
            if self._agent is not None:
                self._agent.close()
        self._refused()

    def _keys(self) -> bool:
        most = _MAX_TRIES - (1 if self.host.ssh.password else 0)
        for label, key in self._identities():
            if len(self.tried) == most:
                self.left_out.append(f"{label}: not tried, servers allow {_MAX_TRIES} tries")
                continue
            try:
                further = self.transport.auth_publickey(self.user, key)
            except paramiko.BadAuthenticationType as error:
                self.left_out.append(
                    f"{label}: the server takes only {' or '.join(error.allowed_types) or 'nothing'}"
                )
                return False
            except paramiko.AuthenticationException:
                self._still_connected(label)
                self.tried.append(label)
            except (paramiko.SSHException, EOFError, OSError) as error:
                self._still_connected(label)
                # The key could not sign: a security key that was not touched, an agent that said no.
                self.left_out.append(f"{label}: it could not be used ({error})")
            else:
                if self.transport.is_authenticated():
                    return True
                self.tried.append(f"{label} (accepted, but {' and '.join(further)} is wanted as well)")
                return False
        return False

    def _password(self) -> bool:
        password = self.host.ssh.password
        if password is None:
            return False
        try:
            self.transport.auth_password(self.user, password.reveal())
        except paramiko.BadAuthenticationType as error:
            if "keyboard-interactive" in error.allowed_types:
                self._still_connected("the password")
                self.tried.append("the password")
            else:
                takes = " or ".join(error.allowed_types)
                self.left_out.append(f"the password: the server takes only {takes}")
        except (paramiko.SSHException, EOFError, OSError):
            self._still_connected("the password")
            self.tried.append("the password")
        return bool(self.transport.is_authenticated())

    def _identities(self) -> Iterator[tuple[str, paramiko.PKey]]:
        """What to offer, in order, each key once. Keys that cannot be used are noted in `left_out`."""
        if self.host.ssh.identity_file is not None:
            path = self.host.ssh.identity_file.expanduser()
            if not path.exists():
                raise HostUnreachable(
                    self.host.name, f"identity_file {path} does not exist", "Correct the path"
                )
            yield from self._from_file(path)
            return
        held = self._held()
        for blob, key in held.items():
            yield f"agent key {getattr(key, 'comment', '') or fingerprint(blob)}", key
        for path in (Path.home() / ".ssh" / name for name in _DEFAULT_KEYS):
            if path.exists() and _public_part(path) not in held:
                yield from self._from_file(path)

    def _held(self) -> dict[bytes, paramiko.AgentKey]:
        """The agent's keys. Asked for only when needed: an agent may be far away and slow."""
        if self._agent is None:
            try:
                self._agent = paramiko.Agent()
            except (paramiko.SSHException, OSError) as error:
                self.left_out.append(f"the ssh agent: {error}")
                return {}
        return {key.asbytes(): key for key in self._agent.get_keys()}

    def _from_file(self, path: Path) -> Iterator[tuple[str, paramiko.PKey]]:
        """The key of a file; if it is encrypted, a public half or a security key's, then by the agent."""
        try:
            own = paramiko.PKey.from_path(path)
        except (paramiko.PasswordRequiredException, TypeError):
            # cryptography says TypeError when a key is encrypted and no passphrase is given
            reason = f"it is encrypted and the agent does not hold it; run `ssh-add {path}`"
        except OSError as error:
            reason = error.strerror or str(error)
        except Exception as error:  # the parsers below paramiko raise many kinds for a file that is no key
            words = str(error).split("\n")[0] or type(error).__name__
            reason = f"not a usable private key ({words[:80]})"
        else:
            yield f"key {path}", own
            return
        key = self._held().get(_public_part(path) or b"")
        if key is None:
            self.left_out.append(f"key {path}: {reason}")
        else:
            yield f"key {path} (by the agent)", key

    def _still_connected(self, label: str) -> None:
        if self.transport.is_active():
            return
        if not self.tried:
            raise HostUnreachable(
                self.host.name,
                f"the server closed the connection at the login as {self.user}, with {label}",
                "Look at the host's sshd log",
            )
        self.tried.append(label)
        self._refused("The server closed the connection after the last try (MaxAuthTries). ")

    def _refused(self, hint: str = "") -> NoReturn:
        ssh = self.host.ssh
        who = f"{self.user}@{self.host.address}"
        said = "; ".join([*(f"tried {item}" for item in self.tried), *self.left_out])
        if not said:
            raise HostUnreachable(
                self.host.name,
                f"there is nothing to log in with as {who}: no ssh agent, no key in ~/.ssh, no password",
                "Set `ssh.identity_file` or `ssh.password`, or start an agent",
            )
        if self.tried == ["the password"]:
            raise HostUnreachable(
                self.host.name,
                f"the password of {who} was refused"
                + (f" ({'; '.join(self.left_out)})" if self.left_out else ""),
                hint
                + "Check `ssh.user` and `ssh.password`, and that the server lets this user in by password",
            )
        if ssh.identity_file is not None:
            advice = f"Put its public key into ~{self.user}/.ssh/authorized_keys there, or correct `ssh.user`"
        else:
            advice = (
                "Name the right key with `ssh.identity_file`, or put one into authorized_keys on the host"
            )
        raise HostUnreachable(self.host.name, f"the login as {who} was refused ({said})", hint + advice)


def _public_part(path: Path) -> bytes | None:
    """The public half of a key file without its passphrase: from the .pub beside it, or OpenSSH's format."""
    pub = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
    with contextlib.suppress(OSError, ValueError, IndexError):
        return base64.b64decode(pub.read_text().split()[1], validate=True)
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = path.read_text().split("-----")[2]
        data = base64.b64decode("".join(lines.split()))
        if data.startswith(b"openssh-key-v1\0"):
            return _fifth_field(data[15:])
    return None


def _fifth_field(data: bytes) -> bytes:
    """PROTOCOL.key: cipher, kdf, kdf options, number of keys, then the public key."""
    fields: list[bytes] = []
    while len(fields) < 4:
        length = int.from_bytes(data[:4], "big")
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
        if len(fields) == 3:
            data = data[4:]
    return fields[3]
