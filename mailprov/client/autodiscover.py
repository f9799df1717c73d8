"""What Outlook gets when it asks where an account's servers are (MS-OXDSCLI section 2.2.4, "POX").

    autodiscover(settings) -> str    XML; without an account it says that logins have a domain (DomainRequired), or
                                     Outlook would take the name before the @ of what was typed; and at a domain alias
                                     which domain that is (DomainName)
    question(address) -> str         what it sends by POST (section 2.2.3)

Pure. One Protocol for each of IMAP, POP and SMTP, the preferred port of each: Outlook takes the first that it can use.
"""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from mailprov.client.settings import Settings
from mailprov.model.ports import Protocol, TlsStart

_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_TYPES = {Protocol.IMAP: "IMAP", Protocol.POP3: "POP3", Protocol.SMTP: "SMTP"}


def autodiscover(settings: Settings) -> str:
    root = Xml.Element("Autodiscover", xmlns=_RESPONSE)
    response = Xml.SubElement(root, "Response", xmlns=_OUTLOOK)
    if settings.address:
        user = Xml.SubElement(response, "User")
        Xml.SubElement(user, "DisplayName").text = settings.address
    account = Xml.SubElement(response, "Account")
    Xml.SubElement(account, "AccountType").text = "email"
    Xml.SubElement(account, "Action").text = "settings"
    for protocol, kind in _TYPES.items():
        server = settings.best(protocol)
        if server is None:
            continue
        entry = Xml.SubElement(account, "Protocol")
        fields = [
            ("Type", kind),
            ("Server", server.host),
            ("Port", str(server.port)),
            ("DomainRequired", "off" if server.user else "on"),
        ]
        fields += [("LoginName", server.user)] if server.user else []
        fields += [("DomainName", settings.accounts)] if settings.accounts else []
        fields += [("SPA", "off"), ("SSL", "on" if server.tls is TlsStart.IMPLICIT else "off")]
        fields += [
            ("Encryption", "SSL" if server.tls is TlsStart.IMPLICIT else "TLS"),
            ("AuthRequired", "on"),
        ]
        if protocol is Protocol.SMTP:
            fields += [("UsePOPAuth", "off"), ("SMTPLast", "off")]
        for name, text in fields:
            Xml.SubElement(entry, name).text = text
    Xml.indent(root)
    made: str = Xml.tostring(root, encoding="UTF-8", xml_declaration=True).decode()
    return f"{made}\n"


def question(address: str) -> str:
    root = Xml.Element("Autodiscover", xmlns=_REQUEST)
    request = Xml.SubElement(root, "Request")
    Xml.SubElement(request, "EMailAddress").text = address
    Xml.SubElement(request, "AcceptableResponseSchema").text = _OUTLOOK
    made: str = Xml.tostring(root, encoding="UTF-8", xml_declaration=True).decode()
    return made
