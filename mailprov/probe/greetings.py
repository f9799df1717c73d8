"""Probes of what a server says to a stranger before anyone logs in: reachability, greetings, capabilities.

Public: the probes `net.tcp`, `smtp.banner`, `imap.greeting`, `pop.greeting`, `smtp.ehlo`, `imap.capability`,
`pop.capa`. Troubles of `stream` pass through; the runner makes them errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.model.findings import Finding
from mailprov.model.ports import Protocol, TlsStart
from mailprov.probe import tls
from mailprov.probe.case import PortCase
from mailprov.probe.imap import Imap
from mailprov.probe.opening import Client
from mailprov.probe.pop3 import Pop3
from mailprov.probe.smtp import Smtp
from mailprov.probe.stream import Garbage, NoRoute, Refused, Stream, Trouble
from mailprov.probe.table import ALL_PORTS, Scope, ports_where, probe

SMTP_PORTS = ports_where(lambda port: port.protocol is Protocol.SMTP)
IMAP_PORTS = ports_where(lambda port: port.protocol is Protocol.IMAP)
POP_PORTS = ports_where(lambda port: port.protocol is Protocol.POP3)


def secured(case: PortCase) -> Stream:
    """A connection on which the greeting is the next thing to read: after the handshake on an implicit TLS
    port.
    """
    stream = case.connect()
    if case.port.tls is TlsStart.IMPLICIT:
        stream.start_tls(tls.looking_context(), case.host.fqdn)
    return stream


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
        "fail": "refused: nothing listens, or a firewall says no",
        "error": "no answer or no route: it cannot be told whether the server or the way to it is at fault",
        "skip": "ManageSieve is not offered, or this machine has no IPv6",
    },
    refs=("RFC 8314 section 3", "RFC 5321 section 4.5.4"),
    ports=ALL_PORTS,
)
def tcp(case: PortCase) -> Iterator[Finding]:
    service = case.port.service
    try:
        case.connect().close()
    except Refused:
        yield case.failed(
            "connection refused",
            f"see on the host that {_daemon(case)} runs (systemctl status {_daemon(case)}), that {service} is enabled "
            f"({'postconf -M' if _daemon(case) == 'postfix' else 'doveconf protocols'}) and that the firewall lets "
            f"port {case.port.number} in; after an upgrade of the system apply writes the configuration anew for the "
            "versions that are there now",
        )
    except NoRoute as trouble:
        hint = " and that this machine has working IPv6" if ":" in case.address else ""
        hint += " (many networks block outgoing connections to port 25)" if case.port.number == 25 else ""
        yield case.error(str(trouble), f"see that a firewall lets port {case.port.number} through{hint}")
    else:
        yield case.passed("accepted")


def _daemon(case: PortCase) -> str:
    return "postfix" if case.port.number in (25, 465, 587) else "dovecot"


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
def smtp_banner(case: PortCase) -> Iterator[Finding]:
    with secured(case) as stream:
        try:
            reply = Smtp(stream).reply()
        except Garbage as trouble:
            yield case.failed(
                str(trouble), f"see what listens on port {case.port.number}: it is not an SMTP server"
            )
            return
    words = reply.lines[0].split()
    name = words[0].lower().rstrip(".") if words else ""
    advice = (
        f"postconf -e 'myhostname = {case.host.fqdn}' 'smtpd_banner = $myhostname ESMTP' and restart Postfix"
    )
    if reply.code != 220:
        yield case.failed(f"the greeting is {reply}", "see the server's log for the reason")
    elif "***" in reply.lines[0]:
        yield case.error(
            f"the greeting is hidden: {reply}", "a firewall on the way rewrites SMTP; turn its inspection off"
        )
    elif name != case.host.fqdn:
        yield case.warn(f"the name in the greeting is {name or 'missing'}", advice)
    elif re.search(r"\d+\.\d+", " ".join(words[1:])):
        yield case.warn(f"the greeting tells the version: {reply}", advice)
    else:
        yield case.passed(str(reply))


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
def imap_greeting(case: PortCase) -> Iterator[Finding]:
    with secured(case) as stream:
        try:
            text = Imap(stream).greeting()
        except Garbage as trouble:
            yield case.failed(
                str(trouble), f"see what listens on port {case.port.number}: it is not an IMAP server"
            )
            return
    if text.upper().startswith("OK"):
        yield case.passed(f"* {text}")
    elif text.upper().startswith("PREAUTH"):
        yield case.failed(
            f"logged in without a password: * {text}",
            "run the server as a daemon with a login process; a PREAUTH session is for local pipes only",
        )
    else:
        yield case.failed(f"turned away: * {text}", "see the server's log for the reason")


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
def pop_greeting(case: PortCase) -> Iterator[Finding]:
    with secured(case) as stream:
        try:
            reply = Pop3(stream).reply()
        except Garbage as trouble:
            yield case.failed(
                str(trouble), f"see what listens on port {case.port.number}: it is not a POP server"
            )
            return
    if reply.ok:
        yield case.passed(str(reply))
    else:
        yield case.failed(f"turned away: {reply}", "see the server's log for the reason")


def _upgrade(case: PortCase, client: Client, wrong: list[tuple[str, str]]) -> bool:
    """STARTTLS or STLS. A trouble on the way is raised, unless something is `wrong` already: then that is the
    verdict, and the trouble is told with it."""
    try:
        if isinstance(client, Pop3):
            client.stls(tls.looking_context(), case.host.fqdn)
        else:
            client.starttls(tls.looking_context(), case.host.fqdn)
    except Trouble as trouble:
        if not wrong:
            raise
        wrong.append((f"then: {trouble}", "see tls.starttls"))
        return False
    return True


@probe(
    "smtp.ehlo",
    Scope.PORT,
    "The SMTP server offers what it should, and only that",
    expected="STARTTLS before TLS and not after; no AUTH without TLS; AUTH with TLS on 465 and 587; no "
    "XCLIENT",
    steps=("EHLO.", "STARTTLS on 25 and 587.", "EHLO again."),
    verdicts={
        "pass": "all as expected, and SIZE, 8BITMIME, PIPELINING and ENHANCEDSTATUSCODES too",
        "warn": "one of those four is missing",
        "fail": "STARTTLS missing or still there under TLS, AUTH without TLS, no AUTH where users "
        "submit, XCLIENT for strangers",
        "error": "no EHLO to judge",
    },
    refs=(
        "RFC 3207 section 4",
        "RFC 8314 section 3.3",
        "RFC 1870",
        "RFC 6409 section 4.3",
        "postconf(5) smtpd_tls_auth_only",
    ),
    ports=SMTP_PORTS,
)
def smtp_ehlo(case: PortCase) -> Iterator[Finding]:
    upgrade = case.port.tls is TlsStart.UPGRADE
    wrong: list[tuple[str, str]] = []
    before: dict[str, str] = {}
    client = case.smtp(secure=False)
    secure = not upgrade
    with client.stream:
        if upgrade:
            before = client.extensions
            if "AUTH" in before:
                wrong.append(("AUTH is offered without TLS", "postconf -e 'smtpd_tls_auth_only = yes'"))
            if "STARTTLS" in before:
                secure = _upgrade(case, client, wrong)
            else:
                wrong.append(
                    (
                        "STARTTLS is not offered",
                        "postconf -e 'smtpd_tls_security_level = may' and a certificate",
                    )
                )
    after = client.extensions
    if secure:
        if "STARTTLS" in after:
            wrong.append(("STARTTLS is still offered under TLS", "see what stands in front of the server"))
        if case.port.login and "AUTH" not in after:
            service = case.port.service
            wrong.append(
                ("AUTH is not offered under TLS", f"postconf -P '{service}/inet/smtpd_sasl_auth_enable=yes'")
            )
    for name in ("XCLIENT", "XFORWARD"):
        if name in before or name in after:
            setting = f"smtpd_authorized_{name.lower()}_hosts"
            wrong.append(
                (f"{name} is offered to a stranger", f"take this network out of {setting} in main.cf")
            )
    offered = " ".join(sorted(after))
    if wrong:
        yield case.failed("; ".join(what for what, _ in wrong), "; ".join(advice for _, advice in wrong))
        return
    missing = [
        word for word in ("SIZE", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES") if word not in after
    ]
    if missing:
        yield case.warn(f"not offered: {' '.join(missing)}", "see smtpd_discard_ehlo_keywords in main.cf")
    else:
        yield case.passed(f"offered: {offered}")


@probe(
    "imap.capability",
    Scope.PORT,
    "The IMAP server takes no password without TLS, and takes it with TLS",
    expected="STARTTLS and LOGINDISABLED before TLS, neither after; no AUTH=PLAIN before TLS",
    steps=("CAPABILITY.", "STARTTLS on 143.", "CAPABILITY again."),
    verdicts={
        "pass": "all as expected",
        "fail": "something else is offered",
        "error": "no capabilities to judge",
    },
    refs=("RFC 9051 section 6.2.1", "RFC 9051 section 6.2.3", "RFC 2595 section 3.2"),
    ports=IMAP_PORTS,
)
def imap_capability(case: PortCase) -> Iterator[Finding]:
    no_cleartext = "set auth_allow_cleartext = no (Dovecot 2.4) or disable_plaintext_auth = yes (2.3)"
    before: frozenset[str] = frozenset()
    wrong: list[tuple[str, str]] = []
    client = case.imap(secure=False)
    secure = case.port.tls is TlsStart.IMPLICIT
    with client.stream:
        if case.port.tls is TlsStart.UPGRADE:
            before = client.capabilities()
            if "LOGINDISABLED" not in before:
                wrong.append(("LOGIN is allowed without TLS (no LOGINDISABLED)", no_cleartext))
            if mechanisms := before & {"AUTH=PLAIN", "AUTH=LOGIN"}:
                wrong.append((f"{' '.join(sorted(mechanisms))} is offered without TLS", no_cleartext))
            if "STARTTLS" in before:
                secure = _upgrade(case, client, wrong)
            else:
                wrong.append(
                    ("STARTTLS is not offered", "set ssl = required and a certificate in dovecot.conf")
                )
        after = client.capabilities() if secure else before
    if secure:
        if "STARTTLS" in after:
            wrong.append(("STARTTLS is still offered under TLS", "see what stands in front of the server"))
        if "LOGINDISABLED" in after:
            wrong.append(("LOGIN is disabled under TLS", "see the passdb and ssl settings (doveconf -n)"))
    if not after & {"IMAP4REV1", "IMAP4REV2"}:
        wrong.append(("neither IMAP4rev1 nor IMAP4rev2 is offered", "see what listens there"))
    if wrong:
        yield case.failed(
            "; ".join(what for what, _ in wrong), "; ".join(dict.fromkeys(advice for _, advice in wrong))
        )
    else:
        yield case.passed(f"offered: {' '.join(sorted(after))}")


@probe(
    "pop.capa",
    Scope.PORT,
    "The POP server offers STLS, and a login only under TLS",
    expected="STLS before TLS and not after; USER and SASL PLAIN only under TLS; UIDL and TOP",
    steps=("CAPA.", "STLS on 110.", "CAPA again."),
    verdicts={
        "pass": "all as expected",
        "warn": "UIDL or TOP is missing (clients cannot leave mail on the server)",
        "fail": "a login is offered without TLS, none with it, STLS is missing, or still there under TLS",
        "error": "no capabilities to judge",
    },
    refs=("RFC 2449 section 5", "RFC 2595 section 4"),
    ports=POP_PORTS,
)
def pop_capa(case: PortCase) -> Iterator[Finding]:
    no_cleartext = "set auth_allow_cleartext = no (Dovecot 2.4) or disable_plaintext_auth = yes (2.3)"
    before: dict[str, str] = {}
    wrong: list[tuple[str, str]] = []
    client = case.pop3(secure=False)
    secure = case.port.tls is TlsStart.IMPLICIT
    with client.stream:
        if case.port.tls is TlsStart.UPGRADE:
            before = client.capabilities() or {}
            if "USER" in before or {"PLAIN", "LOGIN"} & set(before.get("SASL", "").split()):
                wrong.append(("a login is offered without TLS", no_cleartext))
            if "STLS" in before:
                secure = _upgrade(case, client, wrong)
            else:
                wrong.append(("STLS is not offered", "set ssl = required and a certificate in dovecot.conf"))
        after = client.capabilities() if secure else before
    if after is None:
        yield case.error("CAPA is not known to the server", "nothing can be said about what it offers")
        return
    if secure:
        if "STLS" in after:
            wrong.append(("STLS is still offered under TLS", "see what stands in front of the server"))
        if "USER" not in after and not after.get("SASL"):
            wrong.append(
                ("no login is offered under TLS", "see auth_mechanisms and the passdb (doveconf -n)")
            )
    missing = [word for word in ("UIDL", "TOP") if word not in after]
    if wrong:
        yield case.failed(
            "; ".join(what for what, _ in wrong), "; ".join(dict.fromkeys(advice for _, advice in wrong))
        )
    elif missing:
        yield case.warn(f"not offered: {' '.join(missing)}", "use a server that knows them; Dovecot does")
    else:
        yield case.passed(f"offered: {' '.join(sorted(after))}")
