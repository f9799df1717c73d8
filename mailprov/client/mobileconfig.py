"""The profile by which Apple's mail programs are set up (Apple: Device Management, com.apple.mail.managed).

    mobileconfig(settings, pop, password) -> str    a property list in XML; without an account the device asks for it

`settings` must be whole, and have a server of POP where `pop`.

Pure, and the same for the same settings: the identifiers are made from the domain and the address (RFC 9562 section
5.5), so a newer profile replaces the older one instead of standing beside it.
"""

from __future__ import annotations

import plistlib
import uuid
from typing import Any

from mailprov.client.settings import Server, Settings
from mailprov.model.ports import Protocol


def mobileconfig(settings: Settings, pop: bool = False, password: str = "") -> str:
    """`password`: in clear in the file, where it is given; else the device asks for it."""
    incoming = settings.incoming(pop)
    outgoing = settings.best(Protocol.SMTP)
    assert incoming is not None
    assert outgoing is not None
    shown = settings.address or settings.domain
    reversed_name = ".".join(reversed(settings.domain.split(".")))
    identifier = f"{reversed_name}.mail" + (
        f".{settings.address.rpartition('@')[0]}" if settings.address else ""
    )
    account: dict[str, Any] = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.account",
        "PayloadUUID": _uuid(f"{identifier}.account"),
        "PayloadDisplayName": shown,
        "EmailAccountDescription": shown,
        "EmailAccountType": "EmailTypePOP" if incoming.protocol is Protocol.POP3 else "EmailTypeIMAP",
        **_server("Incoming", incoming),
        **_server("Outgoing", outgoing),
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    if settings.address:
        account["EmailAddress"] = settings.address
    if password:
        account["IncomingPassword"] = password
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": identifier,
        "PayloadUUID": _uuid(identifier),
        "PayloadDisplayName": shown,
        "PayloadOrganization": settings.domain,
        "PayloadContent": [account],
    }
    return plistlib.dumps(profile, sort_keys=True).decode()


def _server(which: str, server: Server) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "Authentication": "EmailAuthPassword",
        "HostName": server.host,
        "PortNumber": server.port,
        "UseSSL": True,  # of STARTTLS as well: Apple has one word for both
    }
    if server.user:
        fields["Username"] = server.user
    return {f"{which}MailServer{name}": value for name, value in fields.items()}


def _uuid(identifier: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, identifier)).upper()
