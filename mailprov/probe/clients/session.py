"""The beginning of a session: TLS at once where the port has it, the greeting, STARTTLS where it is wanted.

    Client                                            any of the clients
    greet(stream, port, context, name, secure) -> Client

Raises the troubles of `stream`; Garbage when the server turns us away.
"""

from __future__ import annotations

import ssl

from mailprov.model.ports import Port, Protocol, TlsStart
from mailprov.probe.clients.connection import Garbage, Stream
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.managesieve import Sieve
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.smtp import Smtp

Client = Smtp | Imap | Pop3 | Sieve


def greet(stream: Stream, port: Port, context: ssl.SSLContext, name: str | None, secure: bool) -> Client:
    """A session past its greeting, over TLS when `secure` (an implicit TLS port always is). `name` is the one that
    the certificate is asked for (SNI); None asks for none.
    """
    if port.tls is TlsStart.IMPLICIT:
        stream.start_tls(context, name)
    upgrade = secure and port.tls is TlsStart.UPGRADE
    client: Client
    if port.protocol is Protocol.SMTP:
        client = Smtp(stream)
        greeting = client.reply()
        if greeting.code != 220:
            raise Garbage(f"the greeting is {greeting}")
        hello = client.ehlo()
        if hello.code != 250:
            raise Garbage(f"EHLO was refused: {hello}")
        if upgrade:
            client.starttls(context, name)
    elif port.protocol is Protocol.IMAP:
        client = Imap(stream)
        text = client.greeting()
        if not text.upper().startswith("OK"):
            raise Garbage(f"the greeting is * {text}")
        if upgrade:
            client.starttls(context, name)
    elif port.protocol is Protocol.SIEVE:
        client = Sieve(stream)
        capabilities = client.greeting()
        if not capabilities.ok:
            raise Garbage(f"the greeting is {capabilities}")
        if upgrade:
            client.starttls(context, name)
    else:
        client = Pop3(stream)
        ready = client.reply()
        if not ready.ok:
            raise Garbage(f"the greeting is {ready}")
        if upgrade:
            client.stls(context, name)
    return client
