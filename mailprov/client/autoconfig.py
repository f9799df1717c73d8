"""The file from which Thunderbird, K-9 and many other programs set up an account (draft-ietf-mailmaint-autoconfig).

    autoconfig(settings) -> str    XML; without an account the program puts in the address that was typed, or at a
                                   domain alias the same name at the domain of the accounts

Pure. Version 1.1 of the format, which all programs read.
"""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from mailprov.client.settings import Settings
from mailprov.model.ports import Protocol, TlsStart

_TYPES = {Protocol.IMAP: "imap", Protocol.POP3: "pop3", Protocol.SMTP: "smtp"}
_SOCKETS = {TlsStart.IMPLICIT: "SSL", TlsStart.UPGRADE: "STARTTLS"}


def autoconfig(settings: Settings) -> str:
    anybody = f"%EMAILLOCALPART%@{settings.accounts}" if settings.accounts else "%EMAILADDRESS%"
    root = Xml.Element("clientConfig", version="1.1")
    provider = Xml.SubElement(root, "emailProvider", id=settings.domain)
    for name in ("domain", "displayName", "displayShortName"):
        Xml.SubElement(provider, name).text = settings.domain
    for server in settings.servers:
        tag = "outgoingServer" if server.protocol is Protocol.SMTP else "incomingServer"
        entry = Xml.SubElement(provider, tag, type=_TYPES[server.protocol])
        for name, text in (
            ("hostname", server.host),
            ("port", str(server.port)),
            ("socketType", _SOCKETS[server.tls]),
            ("authentication", "password-cleartext" if server.password else "OAuth2"),
            ("username", server.user or anybody),
        ):
            Xml.SubElement(entry, name).text = text
    Xml.indent(root)
    made: str = Xml.tostring(root, encoding="UTF-8", xml_declaration=True).decode()
    return f"{made}\n"
