"""The agent on a host by way of this machine's ssh program: for security keys, Kerberos, ControlMaster, ProxyCommand.

    start(endpoint, job, folder, cancel, timeout, bootstrap) -> Conversation (a Channel)
    command(endpoint, timeout, extra) -> [str]      the argument list, without the remote command

ssh reads its configuration as always; what the inventory says goes before it, with -o. It never asks: no terminal,
BatchMode. A pinned host key is checked by KnownHostsCommand (OpenSSH 8.5). Raises HostUnreachable: see `openssh_words`.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.transport import known_hosts
from mailprov.transport.cancellation import CancelToken
from mailprov.transport.conversation import Conversation, Pipe
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.known_hosts import KEY_TYPES
from mailprov.transport.openssh.openssh_errors import explain, is_other_key, no_common_type
from mailprov.transport.process import spawn
from mailprov.transport.ssh.keyring import default_keys
from mailprov.transport.start.launch import launch

_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",  # nothing of the user's is written
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "RequestTTY=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "LogLevel=INFO",  # below it, ssh keeps to itself why it was refused
)


def start(
    endpoint: Endpoint,
    job: dict[str, Any],
    *,
    folder: Path,
    cancel: CancelToken,
    timeout: float = 10.0,
    bootstrap: bool = False,
) -> Conversation:
    """Run the agent by `ssh`. `folder` is a private place for what the pin needs."""
    if shutil.which("ssh") is None:
        advice = _("Install it (openssh-client), or leave `ssh.transport` out")
        raise HostUnreachable(endpoint.name, _("there is no ssh program on this machine"), advice)
    if endpoint.password is not None:
        advice = _(
            "Use a key or an agent; mailprov's own transport (`ssh.transport` left out) takes passwords, but "
            "runs no ProxyCommand"
        )
        raise HostUnreachable(endpoint.name, _("the ssh program takes no password from mailprov"), advice)
    refused: HostUnreachable | None = None
    for types in _type_rounds(endpoint):
        said: list[str] = []
        try:
            return launch(
                endpoint,
                job,
                lambda line, types=types: _run(endpoint, line, folder, timeout, types),  # type: ignore[misc]
                cancel=cancel,
                bootstrap=bootstrap,
                explain=lambda where, status, noise, said=said: _explain(where, status, noise, said),  # type: ignore[misc]
            )
        except HostUnreachable as error:
            # A pin names no type: ask for the host's keys of the other types before calling it wrong.
            if refused is not None and no_common_type(said):
                raise refused from None
            refused = error
            if not is_other_key(said):
                raise
    assert refused is not None
    raise refused


def _explain(
    endpoint: Endpoint, status: int | None, noise: tuple[str, ...], said: list[str]
) -> HostUnreachable | None:
    said[:] = noise
    return explain(endpoint, status, noise)


def _type_rounds(endpoint: Endpoint) -> list[tuple[str, ...]]:
    if endpoint.host_key is None:
        return [()]
    return [(), KEY_TYPES[1:4], KEY_TYPES[4:], KEY_TYPES[:1]]


def _run(endpoint: Endpoint, line: str, folder: Path, timeout: float, types: tuple[str, ...]) -> Pipe:
    extra = [*_pin(endpoint, folder), *([f"HostKeyAlgorithms={','.join(types)}"] if types else [])]
    return spawn(endpoint.name, [*command(endpoint, timeout, extra), line], killable=True)


def command(endpoint: Endpoint, timeout: float, extra: Sequence[str] = ()) -> list[str]:
    """`extra` are more options for -o."""
    words = ["ssh", "-T", "-F", "none"] if endpoint.ignore_config else ["ssh", "-T"]
    if config := endpoint.config or endpoint.program_config:
        words += ["-F", str(config)]
    options = [*extra, *_OPTIONS, f"ConnectTimeout={max(1, round(timeout))}"]
    if endpoint.host_key is None:
        options.append(f"UserKnownHostsFile={_paths(endpoint.user_known_hosts)}")
        # This one knows no TOKENS.
        options.append(f"GlobalKnownHostsFile={_paths(endpoint.global_known_hosts).replace('%%', '%')}")
    if endpoint.only_key is not None:
        options += [f"IdentityFile={_quoted(endpoint.only_key)}", "IdentitiesOnly=yes"]
    elif endpoint.program_config is not None:
        # In the file that it reads, `~` is the home of the password database for ssh, and its own keys are there.
        options += [f"IdentityFile={_quoted(path)}" for path in endpoint.keys or default_keys()]
        options += [f"CertificateFile={_quoted(path)}" for path in endpoint.certificates]
    if endpoint.jumps_said_here and endpoint.jumps:
        options.append(f"ProxyCommand={_through(endpoint.jumps, timeout)}")
    elif endpoint.jumps_said_here:
        options.append("ProxyJump=none")
    for option in options:
        words += ["-o", option]
    return [*words, "-l", endpoint.user, "-p", str(endpoint.port), "--", endpoint.written or endpoint.address]


def _through(jumps: Sequence[Endpoint], timeout: float) -> str:
    """A ProxyCommand for jump hosts of the inventory: ssh's own -J would not take our options to them."""
    *before, last = jumps
    extra = [f"ProxyCommand={_through(before, timeout)}"] if before else ["ProxyCommand=none"]
    words = [*command(last, timeout, extra)[:-2], "-W", "[%h]:%p", "--", last.written or last.address]
    return " ".join(word if word == "[%h]:%p" else shlex.quote(word).replace("%", "%%") for word in words)


def _pin(endpoint: Endpoint, folder: Path) -> list[str]:
    """Options that let exactly the pinned fingerprint through, whatever the files say but for @revoked."""
    if endpoint.host_key is None:
        return []
    lines = known_hosts.read((*endpoint.user_known_hosts, *endpoint.global_known_hosts))
    revoked = folder / f"revoked-{endpoint.host}"
    revoked.write_text("".join(f"@revoked {line.text}\n" for line in lines if line.revoked))
    script = folder / "pin"
    if not script.exists():
        script.write_text('if test "$1" = "$2"; then echo "$3 $4 $5"; fi\n')
    return [
        f"UserKnownHostsFile={_quoted(revoked)}",
        "GlobalKnownHostsFile=/dev/null",
        f"KnownHostsCommand=/bin/sh {_quoted(script)} {endpoint.host_key} %f %H %t %K",
    ]


def _paths(paths: Sequence[Path]) -> str:
    return " ".join(_quoted(path) for path in paths) or "/dev/null"


def _quoted(path: Path) -> str:
    """A path in a value of ssh_config: quotes for spaces, and no TOKENS."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text
