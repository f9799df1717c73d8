"""mailprov trust: show the keys a host offers, and pin the one that the user has checked."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mailprov.cli.options import Inventory, Yes


def trust(
    inventory: Inventory,
    host: Annotated[
        str, typer.Argument(metavar="HOST", help="The host's name in the inventory.", show_default=False)
    ],
    yes: Yes = False,
) -> None:
    """Show the SSH host keys that HOST offers and, when you say yes, add them to known_hosts."""
    from mailprov.errors import InputError
    from mailprov.inventory import SecretMode, load
    from mailprov.run.select import select
    from mailprov.transport import hostkeys

    target = select(load(inventory, SecretMode.IGNORE), [host]).hosts[0]
    offered = hostkeys.scan(target)
    path = hostkeys.known_hosts_path(target.ssh)
    typer.echo(f"{host} ({target.address} port {target.ssh.port}) offers:")
    for kind, fingerprint, _ in offered:
        typer.echo(f"  {kind:<22} {fingerprint}")
    typer.echo("Compare with what the host itself says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(
                "trust", "there is no terminal to ask on", "Compare the fingerprint, then give --yes"
            )
        if not typer.confirm(f"Add them to {path}?"):
            raise typer.Exit(1)
    try:
        for _, _, line in offered:
            hostkeys.append(path, line)
    except OSError as error:
        raise InputError(
            str(path), f"cannot be written: {error.strerror}", "Give ssh.known_hosts a path you may write"
        ) from error
    typer.echo(f"Added to {path}.")
