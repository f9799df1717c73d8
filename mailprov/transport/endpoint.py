"""Where a connection goes and with what, after inventory and ssh_config have both had their say.

    Endpoint       one SSH server: a host of the inventory, or a jump host on the way to one

    known_name     how OpenSSH writes a place in known_hosts

Pure data; made by `transport.resolve`. Equal endpoints can share one connection: names for error texts do not count.
"""

from __future__ import annotations

from pathlib import Path

from mailprov.model.inventory import Transport
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass, field


@dataclass(frozen=True)
class Endpoint:
    """Where one SSH server is, and how to log in there. What is not compared does not make it another server."""

    name: str = field(compare=False)  # in errors: mx1, or "jump host bastion"
    host: str = field(compare=False)  # the inventory's host this is for: what `mailprov trust` takes
    address: str  # what a socket is opened to
    port: int
    user: str
    written: str = field(default="", compare=False)  # the address before ssh_config's HostName
    transport: Transport = Transport.BUILTIN
    only_key: Path | None = None  # the inventory's identity_file: nothing else is offered
    keys: tuple[Path, ...] = ()  # ssh_config's IdentityFile
    certificates: tuple[Path, ...] = ()  # ssh_config's CertificateFile
    only_named_keys: bool = False  # IdentitiesOnly
    agent: str | None = None  # IdentityAgent: a socket, or "none"; None is SSH_AUTH_SOCK
    passphrase: Secret | None = None
    password: Secret | None = None
    become_password: Secret | None = None
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    host_key: str | None = None  # pinned fingerprint
    host_key_alias: str | None = None
    jumps: tuple[Endpoint, ...] = ()  # all of them, the nearest first
    jumps_said_here: bool = field(default=False, compare=False)  # by the inventory, not by ssh_config
    config: Path | None = field(default=None, compare=False)  # as the inventory gives it
    ignore_config: bool = field(default=False, compare=False)
    program_config: Path | None = field(
        default=None, compare=False
    )  # for the ssh program: see SshConfig.for_program
    proxied: bool = field(default=False, compare=False)  # ssh_config has a ProxyCommand

    @property
    def direct(self) -> bool:
        """The host sees this machine itself, not a jump host or whatever a ProxyCommand connects through."""
        return self.transport is not Transport.LOCAL and not self.jumps and not self.proxied

    @property
    def at(self) -> str:
        return f"{self.address} port {self.port}"

    @property
    def lookup_name(self) -> str:
        """What known_hosts calls it: `host`, `[host]:port` on another port than 22, or the alias alone."""
        if self.host_key_alias:
            return self.host_key_alias.lower()
        return known_name(self.address, self.port)


def known_name(address: str, port: int) -> str:
    """How OpenSSH writes a place in known_hosts."""
    return address.lower() if port == 22 else f"[{address.lower()}]:{port}"
