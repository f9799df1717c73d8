"""The key `ssh`: how to reach a host, by the file's top and by the host's own entry.

SETTING                        `base` with what an entry says
check_jumps(hosts, context)    that the way to each host has an end
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from mailprov.components.setting import Setting
from mailprov.i18n import N_, _
from mailprov.model.inventory import Host, SshSettings, Transport
from mailprov.model.jumps import parse_jumps
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Text, choice, whole
from mailprov.schema.secret_entry import SecretEntry

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")


class SshEntry(Entry):
    """How to reach a host. What is not said comes from ssh_config, the SSH agent and the usual files."""

    user: Text | None = Field(
        default=None,
        description=N_("login name; by ssh_config or root if not given, any other user needs sudo"),
    )
    port: Annotated[int, whole(1, 65535)] | None = Field(
        default=None, description=N_("TCP port; by ssh_config or 22 if not given")
    )
    identity_file: Text | None = Field(
        default=None, description=N_("private key; a relative path begins at the inventory's folder")
    )
    passphrase: SecretEntry | None = Field(
        default=None, description=N_("opens an encrypted private key; asked for on a terminal if not given")
    )
    password: SecretEntry | None = Field(default=None, description=N_("login password, if there is no key"))
    become_password: SecretEntry | None = Field(
        default=None, description=N_("password for sudo, if it asks for one")
    )
    known_hosts: Text | None = Field(
        default=None, description=N_("file with known host keys; ~/.ssh/known_hosts if not given")
    )
    host_key: Text | None = Field(
        default=None,
        description=N_("the host key's fingerprint, as `ssh-keygen -lf` prints it"),
        examples=["SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDhYIr3Jv2VxTjKdEM"],
    )
    proxy_jump: Text | None = Field(
        default=None,
        description=N_(
            "jump hosts from here to there, user@host:port with commas between; "
            "a name of this file's hosts is that host; none: no jump, whatever ssh_config says"
        ),
        examples=["ops@bastion.example.org"],
    )
    transport: Annotated[str, choice("builtin", "openssh", "local")] | None = Field(
        default=None,
        description=N_(
            "builtin: mailprov's SSH client; openssh: this machine's ssh program; "
            "local: no SSH, the host is this machine; builtin if not given"
        ),
    )
    config: Text | None = Field(
        default=None,
        description=N_(
            "ssh_config file in place of ~/.ssh/config and /etc/ssh/ssh_config; none: no such file"
        ),
    )


def _resolve(entry: SshEntry, path: KeyPath, base: SshSettings, context: Context) -> SshSettings:
    """`base` with what `entry` says."""
    given: dict[str, Any] = {"user": entry.user, "port": entry.port, "host_key": entry.host_key}
    if entry.user is not None and re.search(r"[\s@:]", entry.user):
        context.problem(
            (*path, "user"),
            _('"{name}" is not a valid login name; it contains a space, @ or :').format(
                name=show(entry.user)
            ),
        )
    if entry.host_key is not None and not _FINGERPRINT.fullmatch(entry.host_key):
        seen = _('"{value}" is no fingerprint; write it as `ssh-keygen -lf` prints it, SHA256:…').format(
            value=show(entry.host_key)
        )
        context.problem((*path, "host_key"), seen)
    elif entry.host_key is not None:
        given["host_key"] = entry.host_key.rstrip("=")
    given["identity_file"] = context.path(entry.identity_file)
    given["known_hosts"] = context.path(entry.known_hosts)
    if entry.proxy_jump is not None:
        try:
            given["proxy_jump"] = parse_jumps(entry.proxy_jump)
        except ValueError as error:
            context.problem((*path, "proxy_jump"), show(str(error), 200))
    if entry.transport is not None:
        given["transport"] = Transport(entry.transport)
    if entry.config == "none":
        given["ignore_config"] = True
    elif entry.config is not None:
        given.update(config=context.path(entry.config), ignore_config=False)
    for name in ("passphrase", "password", "become_password"):
        if (reference := getattr(entry, name)) is not None:
            given[name] = context.secret(reference, (*path, name))
    made = dataclasses.replace(base, **{key: value for key, value in given.items() if value is not None})
    if entry.config == "none":
        made = dataclasses.replace(made, config=None)
    if made.transport is Transport.OPENSSH and made.password and (entry.transport or entry.password):
        key = "password" if entry.password else "transport"
        what = _(
            "the ssh program takes no password from mailprov; use a key or an agent, or `transport: builtin`"
        )
        context.problem((*path, key), what, key=True)
    return made


SETTING: Setting[SshSettings] = Setting(
    "ssh",
    SshEntry,
    N_("how to reach the hosts"),
    _resolve,
    default=SshSettings(),
    wins=N_("wins key by key"),
    field="ssh",
)


def check_jumps(hosts: Sequence[Host], context: Context) -> None:
    """That the way to each host has an end. ssh_config may still lead in a circle; that is found on connecting."""
    # Only the first jump host of a way is reached by a way of its own.
    first = {
        host.name: host.ssh.proxy_jump[0].address
        for host in hosts
        if host.ssh.proxy_jump and host.ssh.transport is not Transport.LOCAL
    }
    told: set[str] = set()
    for name in first:
        way = [name]
        while (following := first.get(way[-1])) is not None and following not in way:
            way.append(following)
        if following is None or told.intersection(way):
            continue  # it ends; or it leads into a circle that was told
        circle = way[way.index(following) :]
        told.update(circle)
        for member in circle:
            written: KeyPath = ("hosts", member, "ssh", "proxy_jump")
            if context.document.node(written) is not None:
                break
        else:
            member, written = circle[0], ("ssh", "proxy_jump")
        route = " → ".join(
            show(each) for each in (*circle[circle.index(member) :], *circle[: circle.index(member)], member)
        )
        what = _(
            "the jump hosts go round in a circle ({hosts}); write `proxy_jump: none` at the host that is reached first"
        )
        context.problem(written, what.format(hosts=route))
