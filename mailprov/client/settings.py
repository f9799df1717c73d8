"""Which servers a mail program talks to for an address: protocol, name, port, how TLS begins, who logs in. Pure.

    Server, Settings                            values
    of_account(inventory, address) -> Settings  InputError: no account, or an address that has no mailbox
    of_domain(inventory, domain, name) -> Settings      without a user: for files that everybody may fetch; of a domain
                                                        alias (`name`), if it is that

TLS from the first byte stands before STARTTLS, as RFC 8314 section 3 has it, and IMAP before POP.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from mailprov.client import hosted
from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model import web
from mailprov.model.accounts import Account
from mailprov.model.inventory import Domain, Host, Inventory, TlsMode
from mailprov.model.ports import Port, Protocol, TlsStart
from mailprov.model.values import dataclass

_ORDER = (Protocol.IMAP, Protocol.POP3, Protocol.SMTP)


class Server(NamedTuple):
    """`user`: what one logs in as; empty in settings of a domain, where it is the user's own address. `password`: by
    password; else by the provider's own page (OAuth 2.0).
    """

    protocol: Protocol
    host: str
    port: int
    tls: TlsStart
    user: str
    password: bool = True


@dataclass(frozen=True)
class Settings:
    """`address` is empty in settings of a domain. `servers`: those to prefer come first within each protocol.
    `accounts`: of a domain alias the domain whose accounts its users log in as; they have no others.
    `self_signed`: programs will ask whether to trust the certificate. `provider`: where the mail of the domain is, if
    it is not on a host of the inventory. `fetched`: programs can ask the domain for all of this.
    """

    domain: str
    servers: tuple[Server, ...]
    address: str = ""
    accounts: str = ""
    self_signed: bool = False
    provider: str = ""
    fetched: bool = False

    def of(self, protocol: Protocol) -> tuple[Server, ...]:
        return tuple(server for server in self.servers if server.protocol is protocol)

    def best(self, protocol: Protocol) -> Server | None:
        return next(iter(self.of(protocol)), None)

    def incoming(self, pop: bool = False) -> Server | None:
        """Where mail is read: by IMAP, or by POP where that is wanted or all there is. None: not in that way."""
        imap = None if pop else self.best(Protocol.IMAP)
        return imap or self.best(Protocol.POP3)

    @property
    def whole(self) -> bool:
        """Whether mail can be read and sent. A host without accounts need not offer that."""
        return self.incoming() is not None and self.best(Protocol.SMTP) is not None


def of_account(inventory: Inventory, address: str) -> Settings:
    """`address` in lower case, as accounts have it."""
    where = f'client "{address}"'
    name = address.rpartition("@")[2]
    domain = next((each for each in inventory.domains if name in (each.name, *each.domain_aliases)), None)
    if domain is None:
        raise InputError(
            where,
            _("{domain} is no domain of this inventory").format(domain=name),
            _("Its domains: {names}").format(names=", ".join(each.name for each in inventory.domains)),
        )
    if domain.hosted:
        return _hosted(domain, address)
    own = f"{address.rpartition('@')[0]}@{domain.name}"
    account = next((each for each in domain.accounts if each.address == own), None)
    if account is None:
        raise InputError(where, *_no_account(domain, own))
    if own != address:
        raise InputError(
            where,
            _("{alias} is another name of the domain {domain}").format(alias=name, domain=domain.name),
            _("Set up {address}, whose mailbox it is").format(address=own),
        )
    return _settings(inventory, domain, account)


def of_domain(inventory: Inventory, domain: Domain, name: str = "") -> Settings:
    found = _hosted(domain, "") if domain.hosted else _settings(inventory, domain, None)
    return replace(found, domain=name, accounts=domain.name) if name not in ("", domain.name) else found


def _settings(inventory: Inventory, domain: Domain, account: Account | None) -> Settings:
    host = inventory.host(domain.hosts[0])
    name = domain.mail_name or host.fqdn
    user = account.login_name if account else ""
    servers = tuple(Server(port.protocol, name, port.number, port.tls, user) for port in _ports(host))
    return Settings(
        domain.name,
        servers,
        account.address if account else "",
        self_signed=host.tls.mode is TlsMode.SELF_SIGNED,
        fetched=web.host_of(inventory, domain) is not None,
    )


def _ports(host: Host) -> Iterator[Port]:
    for protocol in _ORDER:
        of_it = [port for port in host.ports if port.protocol is protocol and port.login]
        yield from sorted(of_it, key=lambda port: port.tls is not TlsStart.IMPLICIT)


def _hosted(domain: Domain, address: str) -> Settings:
    assert domain.hosted is not None
    provider = domain.hosted.provider
    known = hosted.SERVERS.get(provider.name)
    if known is None:
        raise InputError(
            f'client "{address or domain.name}"',
            _("the mail of {domain} is at a provider that mailprov does not know").format(domain=domain.name),
            _("Its own pages say how mail programs are set up"),
        )
    servers = tuple(Server(*each, user=address, password=False) for each in known)
    return Settings(domain.name, servers, address, provider=provider.title)


def _no_account(domain: Domain, address: str) -> tuple[str, str]:
    """What is wrong, and what to do."""
    if target := dict(domain.aliases).get(address):
        return (
            _("{address} is an alias of {target}, without a mailbox of its own").format(
                address=address, target=target
            ),
            _("Set up {target}").format(target=target),
        )
    if address in dict(domain.lists):
        return _("{address} is a list, which has no mailbox").format(address=address), _(
            "Set up one of its members"
        )
    names = ", ".join(account.address for account in domain.accounts[:5])
    more = ", …" if len(domain.accounts) > 5 else ""
    return (
        _("{domain} has no account {address}").format(domain=domain.name, address=address),
        _("Its accounts: {names}").format(names=names + more) if names else _("It has no accounts"),
    )
