"""Probes of what a server says first: whether it can be reached, and how it greets.

Public: the probes `net.tcp`, `smtp.banner`, `imap.greeting`, `pop.greeting`.
Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.model.findings import Finding
from mailprov.model.ports import TlsStart
from mailprov.probe.clients import tls
from mailprov.probe.clients.connection import Connection
from mailprov.probe.clients.errors import ProtocolError, Refused, Unreachable
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.context import PortContext
from mailprov.probe.registry import ALL_PORTS, IMAP_PORTS, POP_PORTS, SMTP_PORTS, Scope, probe


def _secured(context: PortContext) -> Connection:
    """A connection on which the greeting is the next thing to read: after the handshake on an implicit TLS
    port.
    """
    connection = context.connect()
    if context.port.tls is TlsStart.IMPLICIT:
        connection.start_tls(tls.looking_context(), context.host.fqdn)
    return connection


@probe(
    "net.tcp",
    Scope.PORT,
    "The port answers on this address",
    expected="the connection is accepted",
    steps=(
        "Connect to each published address, IPv4 and IPv6, on each of the seven ports, and on 4190 (ManageSieve).",
    ),
    verdicts={
        "pass": "accepted",
        "warn": "nothing answers as ManageSieve on a host that mailprov has just set up",
        "fail": "refused: nothing listens, or a firewall says no",
        "error": "no answer or no route: it cannot be told whether the server or the way to it is at fault; or the "
        "host's fail2ban holds this machine, which is told once for an address",
        "skip": "ManageSieve is not offered, or this machine has no IPv6",
    },
    refs=("RFC 8314 section 3", "RFC 5321 section 4.5.4"),
    ports=ALL_PORTS,
    reachability=True,
)
def tcp(context: PortContext) -> Iterator[Finding]:
    daemon = _daemon(context)
    try:
        context.connect().close()
    except Refused:
        yield context.failed(
            "connection refused",
            # The same for all ports of a daemon: a host where nothing runs is told once.
            f"see on the host that {daemon} runs (systemctl status {daemon}), that it offers the port "
            f"({'postconf -M' if daemon == 'postfix' else 'doveconf protocols'}) and that the firewall lets it "
            f"in{_ANEW if context.host.managed else _HELD}",
        )
    except Unreachable as error:
        hint = " and that this machine has working IPv6" if ":" in context.address else ""
        hint += " (many networks block outgoing connections to port 25)" if context.port.number == 25 else ""
        yield context.error(str(error), f"see that a firewall lets port {context.port.number} through{hint}")
    else:
        yield context.passed("accepted")


_HELD = "; if SSH answers, see also that no fail2ban there holds this machine (fail2ban-client banned)"
_ANEW = (
    "; after an upgrade of the system apply writes the configuration anew for the versions that are there now"
)


def _daemon(context: PortContext) -> str:
    return "postfix" if context.port.number in (25, 465, 587) else "dovecot"


@probe(
    "smtp.banner",
    Scope.PORT,
    "An SMTP server greets, under its right name",
    expected="220 and the host's name",
    steps=(
        "Connect (with TLS at once on 465).",
        "Read the greeting, which may have several lines and be slow.",
    ),
    verdicts={
        "pass": "220 with the host's fqdn",
        "warn": "220 with another name, or one that tells the software's version",
        "fail": "another reply code, or no SMTP",
        "error": "silence, a dropped connection, or asterisks (a firewall that rewrites SMTP)",
    },
    refs=("RFC 5321 section 4.2", "RFC 5321 section 4.3.1"),
    ports=SMTP_PORTS,
)
def smtp_banner(context: PortContext) -> Iterator[Finding]:
    with _secured(context) as connection:
        try:
            reply = Smtp(connection).reply()
        except ProtocolError as error:
            yield context.failed(
                str(error), f"see what listens on port {context.port.number}: it is not an SMTP server"
            )
            return
    words = reply.lines[0].split()
    name = words[0].lower().rstrip(".") if words else ""
    advice = f"postconf -e 'myhostname = {context.host.fqdn}' 'smtpd_banner = $myhostname ESMTP' and restart Postfix"
    if reply.code != 220:
        yield context.failed(f"the greeting is {reply}", "see the server's log for the reason")
    elif "***" in reply.lines[0]:
        yield context.error(
            f"the greeting is hidden: {reply}", "a firewall on the way rewrites SMTP; turn its inspection off"
        )
    elif name != context.host.fqdn:
        yield context.warn(f"the name in the greeting is {name or 'missing'}", advice)
    elif re.search(r"\d+\.\d+", " ".join(words[1:])):
        yield context.warn(f"the greeting tells the version: {reply}", advice)
    else:
        yield context.passed(str(reply))


@probe(
    "imap.greeting",
    Scope.PORT,
    "An IMAP server greets, and wants a login",
    expected="* OK",
    steps=("Connect (with TLS at once on 993).", "Read the greeting."),
    verdicts={
        "pass": "* OK",
        "fail": "* PREAUTH (a session without a login, and a way around STARTTLS), * BYE, or no IMAP",
        "error": "silence, or a dropped connection",
    },
    refs=("RFC 9051 section 7.1.4", "RFC 9051 section 11.1"),
    ports=IMAP_PORTS,
)
def imap_greeting(context: PortContext) -> Iterator[Finding]:
    with _secured(context) as connection:
        try:
            text = Imap(connection).greeting()
        except ProtocolError as error:
            yield context.failed(
                str(error), f"see what listens on port {context.port.number}: it is not an IMAP server"
            )
            return
    if text.upper().startswith("OK"):
        yield context.passed(f"* {text}")
    elif text.upper().startswith("PREAUTH"):
        yield context.failed(
            f"logged in without a password: * {text}",
            "run the server as a daemon with a login process; a PREAUTH session is for local pipes only",
        )
    else:
        yield context.failed(f"turned away: * {text}", "see the server's log for the reason")


@probe(
    "pop.greeting",
    Scope.PORT,
    "A POP server greets",
    expected="+OK",
    steps=("Connect (with TLS at once on 995).", "Read the greeting."),
    verdicts={"pass": "+OK", "fail": "-ERR, or no POP", "error": "silence, or a dropped connection"},
    refs=("RFC 1939 section 4",),
    ports=POP_PORTS,
)
def pop_greeting(context: PortContext) -> Iterator[Finding]:
    with _secured(context) as connection:
        try:
            reply = Pop3(connection).reply()
        except ProtocolError as error:
            yield context.failed(
                str(error), f"see what listens on port {context.port.number}: it is not a POP server"
            )
            return
    if reply.ok:
        yield context.passed(str(reply))
    else:
        yield context.failed(f"turned away: {reply}", "see the server's log for the reason")
