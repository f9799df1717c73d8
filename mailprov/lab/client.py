"""What a person types into a mail client to use a lab: servers, ports, accounts, and where the passwords are.

settings(inventory_path) -> list[str]     lines for `mailprov lab status`; raises InputError like `inventory.load`
"""

from __future__ import annotations

from pathlib import Path

from mailprov.i18n import _
from mailprov.inventory import SecretMode, load
from mailprov.model.inventory import Inventory
from mailprov.model.ports import PORTS, Protocol, TlsStart


def settings(inventory_path: Path) -> list[str]:
    inventory = load(inventory_path, SecretMode.IGNORE)
    imap, pop, smtp = (_ports(inventory, each) for each in (Protocol.IMAP, Protocol.POP3, Protocol.SMTP))
    if imap and pop:
        receive = [_("receive by IMAP: {imap}; by POP: {pop}").format(imap=imap, pop=pop)]
    else:
        receive = [_("receive by IMAP: {ports}").format(ports=imap)] if imap else []
        receive += [_("receive by POP:  {ports}").format(ports=pop)] if pop else []
    lines = [
        *receive,
        *([_("send by SMTP:    {ports}; log in there too").format(ports=smtp)] if smtp else []),
        _("login:           the whole address; its password: cat {folder}/ADDRESS").format(
            folder=inventory_path.parent / "secrets"
        ),
    ]
    for domain in inventory.domains:
        accounts = ", ".join(account.address for account in domain.accounts) or _("no accounts")
        lines.append(
            _("server:          {servers} for {accounts}").format(
                servers=_servers(inventory, domain.hosts), accounts=accounts
            )
        )
    return lines


def _servers(inventory: Inventory, hosts: tuple[str, ...]) -> str:
    found = [inventory.host(name) for name in hosts]
    return ", ".join(f"{host.fqdn} ({host.address})" for host in found)


def _ports(inventory: Inventory, protocol: Protocol) -> str:
    """The users' ports on any of its hosts, TLS from the first byte first, as RFC 8314 section 3 prefers."""
    word = {TlsStart.IMPLICIT: "TLS", TlsStart.UPGRADE: "STARTTLS"}
    offered = {port for host in inventory.hosts for port in host.ports}
    ports = [port for port in PORTS if port.protocol is protocol and port.login and port in offered]
    return _(" or ").join(
        f"{p.number} ({word[p.tls]})" for p in sorted(ports, key=lambda p: p.tls is TlsStart.UPGRADE)
    )
