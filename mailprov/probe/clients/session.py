"""The beginning of a session: TLS at once where the port has it, the greeting, STARTTLS where it is wanted.

    Client                                            any of the clients
    greet(connection, port, tls_context, name, secure) -> Client

Raises the errors of `connection`; ProtocolError when the server turns us away.
"""

from __future__ import annotations

import ssl

from mailprov.model.ports import Port, Protocol, TlsStart
from mailprov.probe.clients.connection import Connection, ProtocolError
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.managesieve import Sieve
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.smtp import Smtp

Client = Smtp | Imap | Pop3 | Sieve


def greet(
    connection: Connection, port: Port, tls_context: ssl.SSLContext, name: str | None, secure: bool
) -> Client:
    """A session past its greeting, over TLS when `secure` (an implicit TLS port always is). `name` is the one that
    the certificate is asked for (SNI); None asks for none.
    """
    if port.tls is TlsStart.IMPLICIT:
        connection.start_tls(tls_context, name)
    upgrade = secure and port.tls is TlsStart.UPGRADE
    client: Client
    if port.protocol is Protocol.SMTP:
        client = Smtp(connection)
        greeting = client.reply()
        if greeting.code != 220:
            raise ProtocolError(f"the greeting is {greeting}")
        hello = client.ehlo()
        if hello.code != 250:
            raise ProtocolError(f"EHLO was refused: {hello}")
        if upgrade:
            client.starttls(tls_context, name)
    elif port.protocol is Protocol.IMAP:
        client = Imap(connection)
        text = client.greeting()
        if not text.upper().startswith("OK"):
            raise ProtocolError(f"the greeting is * {text}")
        if upgrade:
            client.starttls(tls_context, name)
    elif port.protocol is Protocol.SIEVE:
        client = Sieve(connection)
        capabilities = client.greeting()
        if not capabilities.ok:
            raise ProtocolError(f"the greeting is {capabilities}")
        if upgrade:
            client.starttls(tls_context, name)
    else:
        client = Pop3(connection)
        ready = client.reply()
        if not ready.ok:
            raise ProtocolError(f"the greeting is {ready}")
        if upgrade:
            client.stls(tls_context, name)
    return client
