"""Logging in: the right keys in a fixed order, no try wasted, and a record of what was tried.

    authenticate(transport, endpoint, keyring)

Order: the inventory's `identity_file` alone if given; else ssh_config's IdentityFile, then the agent's keys (without
IdentitiesOnly), and where nobody names a file, ~/.ssh/id_*. A certificate goes before its key. Then the password if
given (as `password`, or as the answer to a keyboard-interactive prompt where the server wants it so). A server allows
six tries by default (sshd_config(5) MaxAuthTries): no key is offered twice, and the number of keys is
bounded. Raises HostUnreachable that names each try.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import paramiko

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.known_hosts import fingerprint
from mailprov.transport.ssh import ssh_agent
from mailprov.transport.ssh.keyring import Keyring, Unusable, default_keys, public_part

_MAX_TRIES = 6
_TIMEOUT = 30.0  # seconds for each answer; a PAM stack may be slow


def authenticate(transport: paramiko.Transport, endpoint: Endpoint, keyring: Keyring) -> None:
    """Log in as `endpoint.user`, or raise with the list of what was tried."""
    _Login(transport, endpoint, keyring).run()


class _Login:
    def __init__(self, transport: paramiko.Transport, endpoint: Endpoint, keyring: Keyring) -> None:
        self.transport = transport
        self.endpoint = endpoint
        self.keyring = keyring
        self.user = endpoint.user
        self.tried: list[str] = []
        self.left_out: list[str] = []
        self._agent: ssh_agent.Agent | None = None
        self._keys_held: dict[bytes, paramiko.AgentKey] | None = None
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
        most = _MAX_TRIES - (1 if self.endpoint.password else 0)
        for label, key in self._identities():
            if len(self.tried) == most:
                self.left_out.append(
                    _("{label}: not tried, servers allow {count} tries").format(label=label, count=_MAX_TRIES)
                )
                continue
            try:
                further = self.transport.auth_publickey(self.user, key)
            except paramiko.BadAuthenticationType as error:
                self.left_out.append(
                    _("{label}: the server takes only {methods}").format(
                        label=label, methods=_(" or ").join(error.allowed_types) or _("nothing")
                    )
                )
                return False
            except paramiko.AuthenticationException:
                self._still_connected(label)
                self.tried.append(label)
            except (paramiko.SSHException, EOFError, OSError) as error:
                self._still_connected(label)
                # The key could not sign: a security key that was not touched, an agent that said no.
                self.left_out.append(
                    _("{label}: it could not be used ({error})").format(label=label, error=error)
                )
            else:
                if self.transport.is_authenticated():
                    return True
                self.tried.append(
                    _("{label} (accepted, but the server also wants {methods})").format(
                        label=label, methods=_(" and ").join(further)
                    )
                )
                return False
        return False

    def _password(self) -> bool:
        password = self.endpoint.password
        if password is None:
            return False
        try:
            self.transport.auth_password(self.user, password.reveal())
        except paramiko.BadAuthenticationType as error:
            if "keyboard-interactive" in error.allowed_types:
                self._still_connected(_("the password"))
                self.tried.append(_("the password"))
            else:
                takes = _(" or ").join(error.allowed_types)
                self.left_out.append(_("the password: the server takes only {methods}").format(methods=takes))
        except (paramiko.SSHException, EOFError, OSError):
            self._still_connected(_("the password"))
            self.tried.append(_("the password"))
        return bool(self.transport.is_authenticated())

    def _identities(self) -> Iterator[tuple[str, paramiko.PKey]]:
        """What to offer, in order, each key once. Keys that cannot be used are noted in `left_out`."""
        endpoint = self.endpoint
        only = endpoint.only_key
        if only is not None:
            if not only.exists():
                raise HostUnreachable(
                    endpoint.name,
                    _("identity_file {path} does not exist").format(path=only),
                    _("Correct the path"),
                )
            yield from self._from_file(only)
            return
        offered: set[bytes] = set()
        for path in endpoint.keys:
            for label, key in self._from_file(path):
                offered.add(_blob(key))
                yield label, key
        if not endpoint.only_named_keys:
            for blob, key in self._held().items():
                if blob not in offered:
                    yield (
                        _("agent key {name}").format(name=getattr(key, "comment", "") or fingerprint(blob)),
                        key,
                    )
        if not endpoint.keys:
            held = {} if endpoint.only_named_keys else self._held()
            for path in default_keys():
                if public_part(path) not in held:
                    yield from self._from_file(path)

    def _held(self) -> dict[bytes, paramiko.AgentKey]:
        """The agent's keys. Asked for only when needed: an agent may be far away and slow."""
        if self._keys_held is None:
            self._keys_held = {}
            try:
                self._agent = ssh_agent.open_agent(self.endpoint)
                if self._agent is not None:
                    self._keys_held = ssh_agent.held(self._agent)
            except (paramiko.SSHException, OSError) as error:
                self.left_out.append(_("the ssh agent: {error}").format(error=error))
        return self._keys_held

    def _from_file(self, path: Path) -> Iterator[tuple[str, paramiko.PKey]]:
        """The key of a file; if it is encrypted, a public half or a security key's, then by the agent."""
        by = ""
        key: paramiko.PKey | None
        try:
            key = self.keyring.load(path, self.endpoint)
        except Unusable as reason:
            key, by = self._held().get(public_part(path) or b""), _(" (by the agent)")
            if key is None:
                self.left_out.append(_("key {path}: {reason}").format(path=path, reason=reason))
                return
        for label, variant in self.keyring.variants(key, path, self.endpoint):
            yield _("key {path}{by}{certificate}").format(path=path, by=by, certificate=label), variant

    def _still_connected(self, label: str) -> None:
        if self.transport.is_active():
            return
        if not self.tried:
            raise HostUnreachable(
                self.endpoint.name,
                _("the server closed the connection at the login as {user}, with {label}").format(
                    user=self.user, label=label
                ),
                _("Look at the host's sshd log"),
            )
        self.tried.append(label)
        self._refused(_("The server closed the connection after the last try (MaxAuthTries). "))

    def _refused(self, hint: str = "") -> NoReturn:
        who = f"{self.user}@{self.endpoint.address}"
        said = "; ".join([*(_("tried {item}").format(item=item) for item in self.tried), *self.left_out])
        if not said:
            raise HostUnreachable(
                self.endpoint.name,
                _(
                    "there is nothing to log in with as {who}: no ssh agent, no key in ~/.ssh, no password"
                ).format(who=who),
                _("Set `ssh.identity_file` or `ssh.password`, or start an agent"),
            )
        if self.tried == [_("the password")]:
            raise HostUnreachable(
                self.endpoint.name,
                _("the password of {who} was refused").format(who=who)
                + (f" ({'; '.join(self.left_out)})" if self.left_out else ""),
                hint
                + _("Check `ssh.user` and `ssh.password`, and that the server lets this user in by password"),
            )
        if self.endpoint.only_key is not None:
            advice = _(
                "Put its public key into ~{user}/.ssh/authorized_keys there, or correct `ssh.user`"
            ).format(user=self.user)
        else:
            advice = _(
                "Name the right key with `ssh.identity_file`, or put one into authorized_keys on the host"
            )
        raise HostUnreachable(
            self.endpoint.name,
            _("the login as {who} was refused ({said})").format(who=who, said=said),
            hint + advice,
        )


def _blob(key: paramiko.PKey) -> bytes:
    return key.public_blob.key_blob if key.public_blob is not None else key.asbytes()
