"""The probe `tls.injection`: whether a server takes what came in clear behind STARTTLS for part of the protected
session (CVE-2011-0411). Somebody on the way could so put commands into it.

Nothing is waited for: a server answers in the order in which it was asked, so what it says to the command that was
slipped in comes before what it says to the leave that we take under TLS. Errors of `clients` pass through; the runner
makes them errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.ports import Protocol, TlsStart
from mailprov.probe.clients import tls
from mailprov.probe.clients.connection import Connection, printable
from mailprov.probe.clients.errors import ConnectionClosed, ProtocolError, ResponseInjection, TlsError
from mailprov.probe.context import PortContext
from mailprov.probe.registry import Scope, ports_where, probe


class _Words(NamedTuple):
    """`upgrade`, how it is agreed to, and what goes behind it in clear; how we take our leave under TLS. `obeyed` tells
    the answer to what was slipped in, `left` that to the leave.
    """

    upgrade: str
    agreed: str
    slipped: str
    leave: str
    obeyed: Callable[[str], bool]
    left: Callable[[str], bool]


_ALERT = b"\x15\x03"  # how a record of TLS begins that has an alert (RFC 8446 section 5.1)

# Nobody has logged in, so these are commands that everybody may give.
_WORDS = {
    Protocol.SMTP: _Words(
        "STARTTLS", "220", "NOOP", "QUIT", lambda line: line[:3] == "250", lambda line: line[:3] == "221"
    ),
    Protocol.IMAP: _Words(
        "A1 STARTTLS",
        "A1 OK",
        "A2 NOOP",
        "A3 LOGOUT",
        lambda line: line[:3] == "A2 ",
        lambda line: line[:3] == "A3 ",
    ),
    # The list of CAPA ends in a line with a dot alone.
    Protocol.POP3: _Words(
        "STLS", "+OK", "CAPA", "QUIT", lambda line: line == ".", lambda line: line[:3] == "+OK"
    ),
    Protocol.SIEVE: _Words(
        "STARTTLS",
        "OK",
        'NOOP "slipped"',
        "LOGOUT",
        lambda line: "slipped" in line,
        lambda line: line[:2] == "OK",
    ),
}


@probe(
    "tls.injection",
    Scope.PORT,
    N_("Nobody on the way can put commands into a session that goes on under TLS"),
    expected=N_("what was sent in clear behind STARTTLS (STLS) is not obeyed under TLS"),
    steps=(
        N_("Send STARTTLS (STLS) and one more command in one go; do the TLS handshake."),
        N_("Take leave under TLS: its answer must come, and no other before it."),
        N_("Where the server breaks off: see that it goes on with TLS when nothing is slipped in."),
    ),
    verdicts={
        "pass": N_("thrown away, or the server breaks off"),
        "fail": N_("obeyed under TLS, or answered in clear behind the answer to STARTTLS"),
        "error": N_("no TLS without it either, no answer to the leave, or silence"),
    },
    refs=("CVE-2011-0411", "RFC 3207 section 4.2", "RFC 8314 section 5"),
    ports=ports_where(lambda port: port.tls is TlsStart.UPGRADE),
)
def injection(context: PortContext) -> Iterator[Finding]:
    words = _WORDS[context.port.protocol]
    advice = _("update the server, or what stands in front of it: it must discard its buffer at STARTTLS")
    try:
        lines = _slip_in(context, words)
    except ResponseInjection as error:
        yield context.failed(str(error), advice)
        return
    except (ConnectionClosed, TlsError, ProtocolError) as error:
        upgraded = context.open(context.host, context.address, context.port)
        upgraded.connection.close()
        yield context.passed(_("the server breaks off: {error}").format(error=error))
        return
    if any(map(words.obeyed, lines)):
        yield context.failed(
            _("{command}, sent in clear, is obeyed under TLS").format(command=words.slipped), advice
        )
    elif not any(map(words.left, lines)):
        yield context.error(
            _("cannot tell, because {command} under TLS is answered by {reply}").format(
                command=words.leave, reply=printable(lines[-1]) if lines else _("nothing")
            )
        )
    else:
        yield context.passed(
            _("thrown away; {command} under TLS: {reply}").format(
                command=words.leave, reply=printable(next(filter(words.left, lines)))
            )
        )


def _slip_in(context: PortContext, words: _Words) -> list[str]:
    """What the server says under TLS, until it has closed the connection. Raises ProtocolError where it says no."""
    client = context.open(context.host, context.address, context.port, secure=False)
    with client.connection as connection:
        connection.send(f"{words.upgrade}\r\n{words.slipped}\r\n".encode())
        reply = connection.line()
        if not reply.upper().startswith(words.agreed):
            raise ProtocolError(printable(reply))
        try:
            connection.start_tls(tls.looking_context(), context.host.fqdn)
        except ResponseInjection:
            if connection.surplus().startswith(_ALERT):  # what was slipped in is no beginning of TLS
                raise TlsError(_("a TLS alert")) from None
            raise
        connection.send(f"{words.leave}\r\n".encode())
        return _said(connection)


def _said(connection: Connection) -> list[str]:
    lines: list[str] = []
    try:
        while len(lines) < 100:
            lines.append(connection.line())
    except ConnectionClosed:
        pass
    return lines
