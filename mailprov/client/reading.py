"""What a mail program takes from the files that set it up: the servers, as `settings.py` has them.

    of_autoconfig(data, address) -> (Server, …)
    of_autodiscover(data, address) -> (Server, …)
    of_mobileconfig(data, address) -> (Server, …)
    of_pacc(data, address) -> (Server, …)

`address` is what the user typed, which the programs log in as where the file leaves it to them. Raises Unreadable, with
the reason: the file may be anybody's. Pure.
"""

from __future__ import annotations

import json
import plistlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as Xml

from mailprov.client.settings import Server
from mailprov.i18n import _
from mailprov.model.ports import Protocol, TlsStart

_PROTOCOLS = {"imap": Protocol.IMAP, "pop3": Protocol.POP3, "smtp": Protocol.SMTP}
_SOCKETS = {"SSL": TlsStart.IMPLICIT, "STARTTLS": TlsStart.UPGRADE}
_STARTS = {"SSL": TlsStart.IMPLICIT, "TLS": TlsStart.UPGRADE}
_PACC = (("imap", Protocol.IMAP, 993), ("pop3", Protocol.POP3, 995), ("submit", Protocol.SMTP, 465))
_APPLE: tuple[tuple[str, dict[str, Protocol], set[int]], ...] = (
    ("Incoming", {"EmailTypeIMAP": Protocol.IMAP, "EmailTypePOP": Protocol.POP3}, {993, 995}),
    ("Outgoing", {}, {465}),
)


class Unreadable(Exception):
    """A program could not take it."""


def of_autoconfig(data: bytes, address: str) -> tuple[Server, ...]:
    def read(root: Xml.Element) -> Iterator[Server]:
        for entry in root.iterfind("emailProvider/*"):
            if entry.tag not in ("incomingServer", "outgoingServer"):
                continue
            user = _text(entry, "username")
            for sign, value in (("EMAILADDRESS", address), ("EMAILLOCALPART", address.rpartition("@")[0])):
                user = user.replace(f"%{sign}%", value)
            kind, socket = _PROTOCOLS[entry.get("type", "")], _SOCKETS[_text(entry, "socketType")]
            by_password = _text(entry, "authentication") == "password-cleartext"
            yield Server(kind, _text(entry, "hostname"), int(_text(entry, "port")), socket, user, by_password)

    return _servers(data, read)


def of_autodiscover(data: bytes, address: str) -> tuple[Server, ...]:
    def read(root: Xml.Element) -> Iterator[Server]:
        for entry in (one for one in root.iter() if _tag(one) == "Protocol"):
            found = {_tag(one): (one.text or "").strip() for one in entry}
            kind = _PROTOCOLS[found["Type"].lower()]
            user = found.get("LoginName") or address
            if found.get("DomainName") and "LoginName" not in found:
                user = f"{address.rpartition('@')[0]}@{found['DomainName']}"
            yield Server(kind, found["Server"], int(found["Port"]), _STARTS[found["Encryption"]], user)

    return _servers(data, read)


def of_mobileconfig(data: bytes, address: str) -> tuple[Server, ...]:
    try:
        content = plistlib.loads(data, fmt=plistlib.FMT_XML)["PayloadContent"]
        account = next(one for one in content if one["PayloadType"] == "com.apple.mail.managed")
        return tuple(_apple(account, address))
    except Exception as error:
        raise Unreadable(_("it cannot be read: {reason}").format(reason=type(error).__name__)) from None


def _apple(account: dict[str, Any], address: str) -> Iterator[Server]:
    for which, kinds, at_once in _APPLE:
        kind = kinds[account["EmailAccountType"]] if kinds else Protocol.SMTP
        name, port = account[f"{which}MailServerHostName"], account[f"{which}MailServerPortNumber"]
        user = account.get(f"{which}MailServerUsername") or address
        start = TlsStart.IMPLICIT if port in at_once else TlsStart.UPGRADE
        yield Server(kind, str(name), int(port), start, str(user))


def of_pacc(data: bytes, address: str) -> tuple[Server, ...]:
    try:
        content = json.loads(data.decode())
        protocols, password = content["protocols"], content["authentication"]["password"]
        found = tuple(
            Server(
                protocol, str(protocols[member]["host"]), port, TlsStart.IMPLICIT, address, password is True
            )
            for member, protocol, port in _PACC
            if member in protocols
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable(_("it cannot be read: {reason}").format(reason=type(error).__name__)) from None
    if not found:
        raise Unreadable(_("it names no server"))
    return found


def _servers(data: bytes, read: Any) -> tuple[Server, ...]:
    if b"<!" in data.replace(b"<!--", b""):
        raise Unreadable(_("it declares a document type, which such a file has not"))
    try:
        found = tuple(read(Xml.fromstring(data)))  # noqa: S314 (without a document type there is nothing to expand)
    except (Xml.ParseError, ValueError, KeyError) as error:
        raise Unreadable(_("it cannot be read: {reason}").format(reason=error)) from None
    if not found:
        raise Unreadable(_("it names no server"))
    return found


def _text(entry: Xml.Element, name: str) -> str:
    return (entry.findtext(name) or "").strip()


def _tag(entry: Xml.Element) -> str:
    return entry.tag.rpartition("}")[2]
