"""mailprov init: a first inventory, from questions or from flags."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mailprov.errors import InputError

_TEMPLATE = """\
# Written by mailprov init. Every key is explained in the annotated example: mailprov init --example
ssh:
  user: {user}

hosts:
  {host}:
    address: {address}
    fqdn: {fqdn}

tls: {{mode: self-signed}}

domains:
  {domain}:
    hosts: [{host}]
    accounts:
      {account}: {{password: {{env: {secret}}}}}   # export {secret}=... before apply and verify
    aliases: {{postmaster: {account}, abuse: {account}}}
"""


def init(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("mail.yml"),
    domain: Annotated[
        str | None, typer.Option("--domain", help="The mail domain: example.org", show_default=False)
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="What SSH connects to.", show_default=False)
    ] = None,
    fqdn: Annotated[
        str | None,
        typer.Option("--fqdn", help="The host's full name (default: mx1.DOMAIN).", show_default=False),
    ] = None,
    user: Annotated[str, typer.Option("--user", help="The SSH user.")] = "root",
    account: Annotated[str, typer.Option("--account", help="The first mailbox.")] = "postmaster",
    example: Annotated[
        bool, typer.Option("--example", help="Print the annotated example and write nothing.")
    ] = False,
) -> None:
    """Write a first inventory. Asks for what the flags do not say; never overwrites a file."""
    if example:
        from mailprov.inventory import example_text

        typer.echo(example_text(), nl=False)
        return
    if output.exists():
        raise InputError(str(output), "it exists already", "Give another file name; nothing was overwritten")
    domain = domain or _ask("Mail domain (example.org)", "--domain")
    address = address or _ask("Address of the host for SSH", "--address")
    fqdn = fqdn or f"mx1.{domain}"
    host = fqdn.partition(".")[0]
    secret = "".join(c if c.isalnum() else "_" for c in account.upper()) + "_PASSWORD"
    account_alias = account if account != "postmaster" else "postmaster"
    text = _TEMPLATE.format(
        user=user, host=host, address=address, fqdn=fqdn, domain=domain, account=account_alias, secret=secret
    )
    if account == "postmaster":
        text = text.replace("{postmaster: postmaster, abuse: postmaster}", "{abuse: postmaster}")
    try:
        output.write_text(text)
    except OSError as error:
        raise InputError(
            str(output), f"cannot be written: {error.strerror}", "Give a path you may write"
        ) from error
    from mailprov.inventory import SecretMode, load

    try:
        load(output, SecretMode.IGNORE)  # what we wrote must be good: the answers may not be
    except InputError:
        output.unlink()
        raise
    typer.echo(f"Wrote {output}. Next: export {secret}=..., then mailprov plan {output}")


def _ask(question: str, flag: str) -> str:
    if not sys.stdin.isatty():
        raise InputError("init", f"{flag} is missing and there is no terminal to ask on", f"Give {flag}")
    return str(typer.prompt(question))
