"""The beginning of a session: TLS at once where the port has it, the greeting, STARTTLS where it is wanted.

    CLIENTS                                                        protocol → its client
    open_session(connection, port, tls_context, name, secure) -> Client

Raises the errors of `clients`; ProtocolError when the server turns us away.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from mailprov.model.ports import Port, Protocol, TlsStart
from mailprov.probe.clients.client import Client
from mailprov.probe.clients.connection import Connection
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.managesieve import ManageSieve
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.smtp import Smtp

CLIENTS: Mapping[Protocol, type[Client]] = {
    Protocol.SMTP: Smtp,
    Protocol.IMAP: Imap,
    Protocol.POP3: Pop3,
    Protocol.SIEVE: ManageSieve,
}


def open_session(
    connection: Connection, port: Port, tls_context: ssl.SSLContext, name: str | None, secure: bool
) -> Client:
    """A session past its greeting, over TLS when `secure` (an implicit TLS port always is). `name` is the one that
    the certificate is asked for (SNI); None asks for none.
    """
    if port.tls is TlsStart.IMPLICIT:
        connection.start_tls(tls_context, name)
    client = CLIENTS[port.protocol](connection)
    client.greet()
    if secure and port.tls is TlsStart.UPGRADE:
        client.start_tls(tls_context, name)
    return client
