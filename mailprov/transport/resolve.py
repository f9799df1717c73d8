"""From an inventory's host to endpoints: the inventory first, then ssh_config, then mailprov's defaults.

    Resolver(hosts)                 the inventory's hosts, which may be named as jump hosts
      .endpoint(host) -> Endpoint   asked for once per host; for any thread
      .close()

Of a jump host, what neither `proxy_jump` nor ssh_config says is as for the host behind it: user, key and known_hosts.
Not its passwords: they belong to that host.
Raises HostUnreachable: ssh_config refused or unreadable, jump hosts in a circle.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable
from pathlib import Path

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.model.inventory import Host, SshSettings, Transport
from mailprov.model.jumps import Jump, parse_jumps
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.ssh_config import Answers, SshConfig

DEFAULT_USER = "root"
DEFAULT_PORT = 22
_MOST_JUMPS = 8
_Places = tuple[tuple[str, int | None], ...]  # address and port as written


class Resolver:
    def __init__(self, hosts: Iterable[Host] = ()) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._configs: dict[tuple[Path | None, bool], SshConfig] = {}
        self._found: dict[str, Endpoint] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def endpoint(self, host: Host) -> Endpoint:
        with self._lock:
            lock = self._locks.setdefault(host.name, threading.Lock())
        with lock:
            if host.name not in self._found:
                self._found[host.name] = self._resolve(host, host.name, ())
            return self._found[host.name]

    def close(self) -> None:
        for config in self._configs.values():
            config.close()

    def _config(self, settings: SshSettings) -> SshConfig:
        with self._lock:
            key = (settings.config, settings.ignore_config)
            if key not in self._configs:
                self._configs[key] = SshConfig(*key)
            return self._configs[key]

    def _resolve(self, host: Host, name: str, behind: _Places) -> Endpoint:
        """`behind`: the places whose way leads through this one, to find circles."""
        ssh = host.ssh
        if ssh.transport is Transport.LOCAL:
            answers = Answers()
        else:
            answers = self._config(ssh).ask(name, host.address, ssh.user, ssh.port)
        made = _merge(host, name, answers)
        if made.transport is Transport.LOCAL:
            return made
        if made.transport is Transport.OPENSSH:
            made = dataclasses.replace(made, program_config=self._config(ssh).for_program())
        said_here = ssh.proxy_jump is not None
        try:
            jumps = (
                ssh.proxy_jump if ssh.proxy_jump is not None else parse_jumps(answers.proxy_jump or "none")
            )
        except ValueError as error:
            raise HostUnreachable(
                name, _("ProxyJump in ssh_config: {error}").format(error=error), _("Fix it there")
            ) from error
        here = (host.address, ssh.port)
        hops: tuple[Endpoint, ...] = ()
        for index, jump in enumerate(jumps):
            if (jump.address, jump.port) in (*behind, here) or len(behind) + len(jumps) > _MOST_JUMPS:
                chain = " → ".join((*(each for each, _port in behind), host.address, jump.address))
                advice = _("Correct `proxy_jump` or ProxyJump")
                raise HostUnreachable(
                    name, _("the jump hosts go round in a circle ({chain})").format(chain=chain), advice
                )
            hop = self._hop(host, made, jump, (*behind, here), first=index == 0)
            # Only the way to the first hop begins here; the others are reached from the hop before.
            hops += (*hop.jumps, dataclasses.replace(hop, jumps=()))
        return dataclasses.replace(made, jumps=hops, jumps_said_here=said_here)

    def _hop(self, host: Host, made: Endpoint, jump: Jump, behind: _Places, *, first: bool) -> Endpoint:
        name = f"jump host {jump}"  # a name: it is also the `subject` of events
        known = self._hosts.get(jump.address)
        if known is not None:
            ssh = known.ssh if first else dataclasses.replace(known.ssh, proxy_jump=())
            if jump.user or jump.port:
                ssh = dataclasses.replace(ssh, user=jump.user or ssh.user, port=jump.port or ssh.port)
            hop = self._resolve(dataclasses.replace(known, ssh=ssh), name, behind)
            return dataclasses.replace(hop, host=host.name)
        own = host.ssh
        ssh = SshSettings(
            user=jump.user,
            port=jump.port,
            passphrase=own.passphrase,
            known_hosts=own.known_hosts,
            proxy_jump=None if first else (),
            config=own.config,
            ignore_config=own.ignore_config,
        )
        answers = self._config(ssh).ask(name, jump.address, jump.user, jump.port)
        if not answers.keys:
            ssh = dataclasses.replace(ssh, identity_file=own.identity_file)
        if not (jump.user or answers.user):
            ssh = dataclasses.replace(ssh, user=made.user)
        return self._resolve(dataclasses.replace(host, address=jump.address, ssh=ssh), name, behind)


def _merge(host: Host, name: str, answers: Answers) -> Endpoint:
    ssh = host.ssh
    home = Path.home() / ".ssh"
    usual: tuple[Path, ...] = (home / "known_hosts", home / "known_hosts2")
    all_users: tuple[Path, ...] = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
    if answers.user_known_hosts is not None:
        usual = answers.user_known_hosts
    if answers.global_known_hosts is not None:
        all_users = answers.global_known_hosts
    # A ProxyCommand is a program to run: the ssh program does that, with all that belongs to it.
    by_program = answers.proxy_command is not None and ssh.proxy_jump is None
    return Endpoint(
        name=name,
        host=host.name,
        address=answers.hostname or host.address,
        port=ssh.port or answers.port or DEFAULT_PORT,
        user=ssh.user or answers.user or DEFAULT_USER,
        written=host.address,
        transport=ssh.transport or (Transport.OPENSSH if by_program else Transport.BUILTIN),
        only_key=ssh.identity_file.expanduser() if ssh.identity_file else None,
        keys=answers.keys,
        certificates=answers.certificates,
        only_named_keys=answers.only_named_keys,
        agent=answers.agent,
        passphrase=ssh.passphrase,
        password=ssh.password,
        become_password=ssh.become_password,
        user_known_hosts=(ssh.known_hosts,) if ssh.known_hosts else usual,
        global_known_hosts=() if ssh.known_hosts else all_users,
        host_key=ssh.host_key,
        host_key_alias=answers.host_key_alias,
        config=ssh.config,
        ignore_config=ssh.ignore_config,
        proxied=by_program,
    )
