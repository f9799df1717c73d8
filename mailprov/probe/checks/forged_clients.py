"""A stranger who says that somebody else is calling: by PROXY, XCLIENT and XFORWARD, in front of relaying.

Public: the probe `relay.forged-client`. It never sends DATA. Errors of `clients` pass through; the runner makes them
errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.ports import TlsStart
from mailprov.probe.checks.relay import OUTSIDE, known_address, outside_sender
from mailprov.probe.clients import tls
from mailprov.probe.clients.errors import (
    ConnectionClosed,
    ProbeError,
    ProtocolError,
    ResponseInjection,
    TlsError,
)
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import PortContext
from mailprov.probe.registry import SMTP_PORTS, Scope, probe
from mailprov.probe.vantage import Vantage

# What a proxy on the host itself would say (PROXY protocol, version 1).
_PROXY = "PROXY TCP4 127.0.0.1 127.0.0.1 40000 25"
_ALSO = "smtpd_authorized_xforward_hosts"
_XCLIENT = "XCLIENT ADDR=127.0.0.1 NAME=localhost"
_XFORWARD = "XFORWARD ADDR=127.0.0.1 NAME=localhost"


@probe(
    "relay.forged-client",
    Scope.PORT,
    N_("Strangers cannot say that they are somebody else (PROXY, XCLIENT, XFORWARD)"),
    expected=N_("these commands are refused, and relaying is refused after them"),
    steps=(
        N_("In a session of its own: XCLIENT and XFORWARD in the name of 127.0.0.1 must be refused."),
        N_(
            "In the same session, as a control on port 25: RCPT TO a user of this server is accepted; RCPT TO an "
            "address in example.invalid is refused."
        ),
        N_(
            "In another one: a line of the PROXY protocol before everything else, then RCPT TO an address in "
            "example.invalid; RSET, never DATA."
        ),
    ),
    verdicts={
        "pass": N_("refused, or the connection is closed"),
        "fail": N_("XCLIENT or XFORWARD is obeyed, or mail is relayed after PROXY"),
        "error": N_(
            "4xx, silence; on 25 a user of this server is refused as well; or mail is relayed without any of it "
            "(relay.classic)"
        ),
    },
    refs=("postconf(5) smtpd_authorized_xclient_hosts", "postconf(5) smtpd_upstream_proxy_protocol"),
    ports=SMTP_PORTS,
    vantage=Vantage.OUTSIDE,
)
def forged_client(context: PortContext) -> Iterator[Finding]:
    known = "" if context.port.login else known_address(context)
    client = context.smtp()
    with client.connection:
        obeyed, refused = _extensions(client)
        if not obeyed:
            plain = _relayed(client, context)
            control = _begun(client, context, known) if known else None
            client.quit()
    if obeyed:
        yield context.failed(
            obeyed,
            _("{command}, and the same for {setting}").format(
                command="postconf -e 'smtpd_authorized_xclient_hosts ='",
                setting=_ALSO,
            ),
        )
        return
    if control is not None and control.kind != 2:
        yield context.error(
            _("cannot tell, because a user of this server is refused as well: {reply}").format(reply=control)
        )
        return
    if plain.kind != 5 and (plain.code, plain.enhanced) != (454, "4.7.1"):
        yield context.error(
            _("cannot tell, because relaying is not refused without it: {reply}").format(reply=plain),
            _("see relay.classic"),
        )
        return
    after, words = _after_proxy(context)
    if after:
        yield context.failed(
            _("after {line} mail is relayed: {reply}").format(line=_PROXY, reply=words),
            _(
                "remove smtpd_upstream_proxy_protocol (postconf -P) and postscreen_upstream_proxy_protocol, or let "
                "only the proxy reach this port"
            ),
        )
    else:
        yield context.passed(_("{reply}; after PROXY: {words}").format(reply=refused, words=words))


def _extensions(client: Smtp) -> tuple[str, str]:
    """What was obeyed, as a sentence, or ''; and what was refused. Raises ProtocolError for a refusal for now."""
    said = []
    for command in (_XCLIENT, _XFORWARD):
        reply = client.command(command)
        name = command.partition(" ")[0]
        if reply.kind == 2:
            return _("{command} is obeyed: {reply}").format(command=name, reply=reply), ""
        if reply.kind != 5:
            raise ProtocolError(_("{command} gets {reply}").format(command=name, reply=reply))
        said.append(f"{name}: {reply}")
    return "", "; ".join(said)


def _begun(client: Smtp, context: PortContext, recipient: str) -> Reply:
    reply = client.mail(outside_sender(context))
    if reply.code == 250:
        reply = client.rcpt(recipient)
    client.command("RSET")
    return reply


def _relayed(client: Smtp, context: PortContext) -> Reply:
    return _begun(client, context, f"nobody-{context.run.nonce}@{OUTSIDE}")


def _after_proxy(context: PortContext) -> tuple[bool, str]:
    """Whether mail is relayed after that line, and what is said. Who closes the connection has refused."""
    try:
        with context.connect() as connection:
            connection.send(f"{_PROXY}\r\n".encode())
            if context.port.tls is TlsStart.IMPLICIT:
                connection.start_tls(tls.looking_context(), context.host.fqdn)
            client = Smtp(connection)
            client.reply()
            hello = client.ehlo()
            if hello.kind != 2:  # that was about PROXY
                if hello.code == 421 or (hello.code, hello.enhanced) == (221, "2.7.0"):
                    return False, str(hello)
                client.take_extensions(client.reply())
            if "STARTTLS" in client.extensions:
                client.start_tls(tls.looking_context(), context.host.fqdn)
            reply = _relayed(client, context)
            client.quit()
    except (ConnectionClosed, TlsError, ResponseInjection, ProtocolError) as error:
        return False, str(error)
    if reply.kind == 4 and (reply.code, reply.enhanced) != (454, "4.7.1"):
        raise ProbeError(_("after PROXY relaying is refused for now: {reply}").format(reply=reply))
    return reply.kind == 2, str(reply)
