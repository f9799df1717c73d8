"""Probes of what a server says first: whether it can be reached, and how it greets.

Public: the probes `net.tcp`, `smtp.banner`, `imap.greeting`, `pop.greeting`.
Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.ports import TlsStart
from mailprov.probe import other_software
from mailprov.probe.clients import tls
from mailprov.probe.clients.connection import Connection
from mailprov.probe.clients.errors import ProtocolError, Refused, TurnedAway, Unreachable
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.context import PortContext
from mailprov.probe.registry import ALL_PORTS, IMAP_PORTS, POP_PORTS, SMTP_PORTS, Scope, probe

_BRACKETED = re.compile(r"\[[^\]]*\]")  # an address, or the name of a machine behind it


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
    N_("The port answers on this address"),
    expected=N_("the connection is accepted"),
    steps=(
        N_(
            "Connect to each published address, IPv4 and IPv6, on each of the seven ports, and on 4190 (ManageSieve)."
        ),
    ),
    verdicts={
        "pass": N_("accepted"),
        "warn": N_("nothing answers as ManageSieve on a host that mailprov has just set up"),
        "fail": N_("refused: nothing listens, or a firewall rejects it"),
        "error": N_(
            "no answer or no route: the server or the way to it may be at fault; or the host's fail2ban has banned "
            "this machine, which is reported once for an address"
        ),
        "skip": N_("ManageSieve is not offered, or this machine has no IPv6"),
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
            _("connection refused"),
            # The same for all ports of a daemon: a host where nothing runs is told once.
            _(_REFUSED if context.host.managed else _REFUSED_BY_OTHERS).format(
                daemon=daemon, command="postconf -M" if daemon == "postfix" else "doveconf protocols"
            ),
        )
    except Unreachable as error:
        yield context.error(str(error), _no_way(context).format(port=context.port.number))
    else:
        yield context.passed(_("accepted"))


_REFUSED = N_(
    "see on the host that {daemon} runs (systemctl status {daemon}), that it offers the port ({command}) and that the "
    "firewall lets it in; after an upgrade of the system apply writes the configuration anew for the versions that "
    "are there now"
)
_REFUSED_BY_OTHERS = N_(
    "see on the host that {daemon} runs (systemctl status {daemon}), that it offers the port ({command}) and that the "
    "firewall lets it in; if SSH answers, see also that no fail2ban there has banned this machine (fail2ban-client "
    "banned)"
)


def _no_way(context: PortContext) -> str:
    """Why there may be no answer, with the port still to be put in."""
    if context.port.number == 25 and ":" in context.address:
        return _(
            "see that a firewall lets port {port} through and that this machine has working IPv6 (many networks block "
            "outgoing connections to port 25)"
        )
    if context.port.number == 25:
        return _(
            "see that a firewall lets port {port} through (many networks block outgoing connections to port 25)"
        )
    if ":" in context.address:
        return _("see that a firewall lets port {port} through and that this machine has working IPv6")
    return _("see that a firewall lets port {port} through")


def _daemon(context: PortContext) -> str:
    return "postfix" if context.port.number in (25, 465, 587) else "dovecot"


@probe(
    "smtp.banner",
    Scope.PORT,
    N_("An SMTP server greets, under its right name"),
    expected=N_("220 and the host's name"),
    steps=(
        N_("Connect (with TLS at once on 465)."),
        N_("Read the greeting, which may have several lines and be slow."),
    ),
    verdicts={
        "pass": N_("220 with the host's fqdn"),
        "warn": N_("220 with another name, or one that reveals the software's version"),
        "fail": N_("another reply code, or no SMTP"),
        "error": N_(
            "4xx (busy, or this machine has connected too often), silence, a dropped connection, or asterisks (a "
            "firewall that rewrites SMTP)"
        ),
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
                str(error),
                _("see what listens on port {port}: it is not an SMTP server").format(
                    port=context.port.number
                ),
            )
            return
    other_software.learn(context.run.software, context.host, str(reply))
    if reply.kind == 4:
        raise TurnedAway(_("the greeting is {greeting}").format(greeting=reply))
    words = reply.lines[0].split()
    name = words[0].lower().rstrip(".") if words else ""
    command = f"postconf -e 'myhostname = {context.host.fqdn}' 'smtpd_banner = $myhostname ESMTP'"
    advice = _("{command} and restart Postfix").format(command=command)
    if reply.code != 220:
        yield context.failed(
            _("the greeting is {greeting}").format(greeting=reply), _("see the server's log for the reason")
        )
    elif "***" in reply.lines[0]:
        yield context.error(
            _("a firewall on the way hides the greeting: {greeting}").format(greeting=reply),
            _("turn off the inspection of SMTP in that firewall"),
        )
    elif name != context.host.fqdn:
        observed = _("the name in the greeting is {name}").format(name=name)
        yield context.warn(observed if name else _("the greeting has no name"), advice)
    elif re.search(r"\d+\.\d+", _BRACKETED.sub("", " ".join(words[1:]))):
        yield context.warn(_("the greeting reveals the version: {greeting}").format(greeting=reply), advice)
    else:
        yield context.passed(str(reply))


@probe(
    "imap.greeting",
    Scope.PORT,
    N_("An IMAP server greets, and requires a login"),
    expected="* OK",
    steps=(N_("Connect (with TLS at once on 993)."), N_("Read the greeting.")),
    verdicts={
        "pass": "* OK",
        "fail": N_("* PREAUTH (a session without a login, and a way around STARTTLS), * BYE, or no IMAP"),
        "error": N_("silence, or a dropped connection"),
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
                str(error),
                _("see what listens on port {port}: it is not an IMAP server").format(
                    port=context.port.number
                ),
            )
            return
    if text.upper().startswith("OK"):
        yield context.passed(f"* {text}")
    elif text.upper().startswith("PREAUTH"):
        yield context.failed(
            _("logged in without a password: {greeting}").format(greeting=f"* {text}"),
            _("run the server as a daemon with a login process; a PREAUTH session is for local pipes only"),
        )
    else:
        yield context.failed(
            _("the server ends the session: {greeting}").format(greeting=f"* {text}"),
            _("see the server's log for the reason"),
        )


@probe(
    "pop.greeting",
    Scope.PORT,
    N_("A POP server greets"),
    expected="+OK",
    steps=(N_("Connect (with TLS at once on 995)."), N_("Read the greeting.")),
    verdicts={
        "pass": "+OK",
        "fail": N_("-ERR, or no POP"),
        "error": N_("silence, or a dropped connection"),
    },
    refs=("RFC 1939 section 4",),
    ports=POP_PORTS,
)
def pop_greeting(context: PortContext) -> Iterator[Finding]:
    with _secured(context) as connection:
        try:
            reply = Pop3(connection).reply()
        except ProtocolError as error:
            yield context.failed(
                str(error),
                _("see what listens on port {port}: it is not a POP server").format(port=context.port.number),
            )
            return
    if reply.ok:
        yield context.passed(str(reply))
    else:
        yield context.failed(
            _("the server ends the session: {greeting}").format(greeting=reply),
            _("see the server's log for the reason"),
        )
