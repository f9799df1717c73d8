"""mailprov trust: show the keys a host offers, and pin those that the user has checked.

What contradicts a key that is known or pinned, or is revoked, is refused, also with --yes (exit code 1): see
`hostkeys.trustworthy`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mailprov.cli.options import Inventory, Yes

if TYPE_CHECKING:
    from mailprov.transport.endpoint import Endpoint
    from mailprov.transport.hostkeys import Offered


def trust(
    inventory: Inventory,
    host: Annotated[
        str, typer.Argument(metavar="HOST", help="The host's name in the inventory.", show_default=False)
    ],
    yes: Yes = False,
) -> None:
    """Show the SSH host keys of HOST and of unknown jump hosts before it; add them to known_hosts when you say yes.

    A key that has changed, is revoked or is not the pinned one is refused in any case.
    """
    from mailprov.errors import InputError
    from mailprov.inventory import SecretMode, load
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    read = load(inventory, SecretMode.IGNORE)
    try:
        target = select(read, [host], verifies=True).looked_at[0]
    except InputError as error:
        raise InputError("trust", error.what, error.advice) from None
    with Connections([target], others=read.hosts) as connections:
        *jumps, last = connections.way(target)
        for hop in jumps:  # each must be trusted before one can go through it
            _trust(hop, connections.scan(hop), yes, known_is_enough=True)
        _trust(last, connections.scan(last), yes)


def _trust(endpoint: Endpoint, offered: Sequence[Offered], yes: bool, known_is_enough: bool = False) -> None:
    from mailprov.errors import InputError
    from mailprov.transport import hostkeys

    offered = hostkeys.trustworthy(endpoint, offered)
    if known_is_enough and any(hostkeys.is_known(endpoint, key.blob) for key in offered):
        return
    path = hostkeys.known_hosts_path(endpoint)
    typer.echo(f"{endpoint.name} ({endpoint.at}) offers:")
    for key in offered:
        typer.echo(f"  {key.type:<22} {key.fingerprint}")
    typer.echo("Compare with what the host itself says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(
                "trust", "there is no terminal to ask on", "Compare the fingerprint, then give --yes"
            )
        if not typer.confirm(f"Add them to {path}?"):
            raise typer.Exit(1)
    try:
        added = [hostkeys.append(path, key.line) for key in offered]
    except OSError as error:
        raise InputError(
            str(path), f"cannot be written: {error.strerror}", "Give ssh.known_hosts a path you may write"
        ) from error
    typer.echo(f"Added to {path}." if any(added) else f"{path} has them already.")
