"""The file of PACC (draft-ietf-mailmaint-pacc): JSON that names a host for each protocol, where TLS comes first.

    pacc(settings) -> str                       "" where mail cannot be both read and sent in that way
    wanted(inventory, domain) -> str | None     what the web server of a domain's host is to give out; None for nothing

There is no member for a user name: programs log in as the address that was typed. So a domain alias has no such file:
an address at it is nobody's login. Nothing is given out where others would not trust the certificate. What sends is
`submit` since the third draft and was `smtp` before; programs of either time are about, and pass over what they do not
know. Pure.
"""

from __future__ import annotations

import json

from mailprov.client.settings import Settings, of_domain
from mailprov.model import web
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.ports import Protocol, TlsStart

_MEMBERS = {Protocol.IMAP: ("imap",), Protocol.POP3: ("pop3",), Protocol.SMTP: ("submit", "smtp")}
# Without a port in the file it is the protocol's own (RFC 8314 sections 3.2 and 3.3).
_PORTS = {Protocol.IMAP: 993, Protocol.POP3: 995, Protocol.SMTP: 465}


def pacc(settings: Settings) -> str:
    protocols: dict[str, dict[str, str]] = {}
    for protocol, members in _MEMBERS.items():
        for server in settings.of(protocol):
            if server.tls is TlsStart.IMPLICIT and server.port == _PORTS[protocol]:
                protocols |= {member: {"host": server.host} for member in members}
                break
    if "submit" not in protocols or not protocols.keys() & {"imap", "pop3"}:
        return ""
    password = all(server.password for server in settings.servers)
    content = {
        "protocols": protocols,
        "authentication": {"password": password},
        "info": {"provider": {"name": settings.domain, "shortName": settings.domain}},
    }
    return json.dumps(content, indent=2) + "\n"


def wanted(inventory: Inventory, domain: Domain) -> str | None:
    host = web.host_of(inventory, domain)
    if host is None or not web.trusted(host) or domain.hosted is not None:
        return None
    return pacc(of_domain(inventory, domain)) or None
