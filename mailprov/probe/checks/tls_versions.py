"""Probes of what TLS a server agrees to: old versions (`tls.versions`) and weak cipher suites (`tls.ciphers`).

    ask(context, offer) -> Answer     what the port answers to one ClientHello

What a server must refuse is offered to it alone, in a ClientHello of our own (clients/hello.py), after one that every
server of today takes: without that control a refusal would prove nothing. Errors of `clients` pass through; the runner
makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _, all_of
from mailprov.model.findings import Finding, Verdict
from mailprov.model.ports import Protocol, TlsStart
from mailprov.probe.clients import hello
from mailprov.probe.clients.errors import ConnectionClosed, ProbeError, ProtocolError
from mailprov.probe.clients.hello import Answer, Offer
from mailprov.probe.context import PortContext
from mailprov.probe.registry import ALL_PORTS, Scope, probe


def ask(context: PortContext, offer: Offer) -> Answer:
    """What this port answers to one ClientHello."""
    if context.port.tls is TlsStart.IMPLICIT:
        with context.connect() as connection:
            return hello.say(connection, offer, context.host.fqdn)
    client = context.open(context.host, context.address, context.port, secure=False)
    with client.connection as connection:
        client.ask_for_tls()
        return hello.say(connection, offer, context.host.fqdn)


def _ask_for_bad(context: PortContext, offer: Offer) -> Answer:
    """The same for what it should refuse. A server that closes the connection has refused as well, as long as it still
    takes what is good.
    """
    try:
        return ask(context, offer)
    except ConnectionClosed:
        if not ask(context, hello.MODERN).accepted:
            raise
        return Answer(alert=_("the connection is closed"))


@probe(
    "tls.versions",
    Scope.PORT,
    N_("Only TLS 1.2 and TLS 1.3 are spoken"),
    expected=N_("TLS 1.3 or TLS 1.2 is agreed to; TLS 1.1, TLS 1.0 and SSL 3.0 are refused"),
    steps=(
        N_(
            "Send a ClientHello (after STARTTLS where the port has it) for TLS 1.3 and TLS 1.2: one is chosen."
        ),
        N_(
            "Send such for TLS 1.1 and older, by key exchange, with many cipher suites, also such as OpenSSL offers no "
            "more."
        ),
        N_("Where the server chooses one of these, go on below it."),
    ),
    verdicts={
        "pass": N_("refused"),
        "warn": N_(
            "TLS 1.1 or TLS 1.0 is agreed to on port 25 (many senders would go on without TLS), or on a server with "
            "`managed: false`, as Postfix has it by default"
        ),
        "fail": N_(
            "one of them is agreed to on a port for users, SSL 3.0 anywhere, or neither TLS 1.2 nor TLS 1.3 is"
        ),
        "error": N_("no version is agreed to, no TLS, silence, or a dropped connection"),
    },
    refs=("RFC 8996", "RFC 8997 section 3", "RFC 9325 section 3.1.1", "RFC 7568"),
    ports=ALL_PORTS,
)
def versions(context: PortContext) -> Iterator[Finding]:
    control = ask(context, hello.MODERN)
    found: list[int] = []
    try:
        highest = hello.TLS11
        while highest >= hello.SSL3 and (answer := _agreed(context, highest)).accepted:
            if answer.version > highest:
                raise ProtocolError(
                    _("{version} at most was offered, and {chosen} was chosen").format(
                        version=hello.shown(highest), chosen=hello.shown(answer.version)
                    )
                )
            found.append(answer.version)
            highest = answer.version - 1
    except ProbeError:
        if not found:
            raise
    if control.accepted and control.version < hello.TLS12:
        found = sorted({control.version, *found}, reverse=True)
    modern = control.version >= hello.TLS12
    if not found and not modern:
        yield context.error(
            _("no version of TLS is agreed to: {reason}").format(reason=control.alert), _("see tls.starttls")
        )
        return
    if not found:
        yield context.passed(
            _("{version} is chosen; older ones than TLS 1.2 are refused").format(
                version=hello.shown(control.version)
            )
        )
        return
    old = all_of(hello.shown(version) for version in found)
    observed = _("{versions} is agreed to") if len(found) == 1 else _("{versions} are agreed to")
    if not modern:
        observed = _("neither TLS 1.2 nor TLS 1.3 is agreed to, only {versions}")
    # On 25 TLS is opportunistic; Postfix of others has both by default, also where users submit.
    lenient = not context.port.login or not context.host.managed
    verdict = Verdict.WARN if lenient and modern and hello.SSL3 not in found else Verdict.FAIL
    yield context.finding(verdict, observed.format(versions=old), _raise_version(context))


def _agreed(context: PortContext, highest: int) -> Answer:
    """What is chosen of no version above this one; no more is asked once the version itself is refused."""
    answer = Answer()
    for offer in hello.old(highest):
        answer = _ask_for_bad(context, offer)
        if answer.accepted or answer.alert == "protocol_version":
            break
    return answer


def _raise_version(context: PortContext) -> str:
    if context.port.service == "https":
        return _("set {setting} in nginx.conf").format(setting="ssl_protocols TLSv1.2 TLSv1.3;")
    if context.port.protocol is Protocol.SMTP:
        value = "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"
        return f"postconf -e 'smtpd_tls_protocols = {value}' 'smtpd_tls_mandatory_protocols = {value}'"
    return _("set {setting} in dovecot.conf").format(setting="ssl_min_protocol = TLSv1.2")


@probe(
    "tls.ciphers",
    Scope.PORT,
    N_("No weak cipher suite is agreed to"),
    expected=N_(
        "suites without encryption (NULL), without authentication (aNULL), for export, with RC4, DES or 3DES are "
        "refused"
    ),
    steps=(
        N_("Send a ClientHello (after STARTTLS where the port has it) with usual suites: one is chosen."),
        N_(
            "Send such for TLS 1.2 with none but weak suites, by key exchange, also such as OpenSSL has no more."
        ),
        N_("Where the server chooses one, offer the other kinds again."),
    ),
    verdicts={
        "pass": N_("refused"),
        "warn": N_(
            "one is agreed to on port 25 (many senders would go on without TLS); or aNULL alone, on a server with "
            "`managed: false`, as Postfix has it by default"
        ),
        "fail": N_("one is agreed to on a port for users"),
        "error": N_("usual suites are refused as well, no TLS, silence, or a dropped connection"),
    },
    refs=("RFC 9325 section 4.1", "RFC 7465", "postconf(5) smtpd_tls_mandatory_exclude_ciphers"),
    ports=ALL_PORTS,
)
def ciphers(context: PortContext) -> Iterator[Finding]:
    control = ask(context, hello.MODERN)
    if not control.accepted:
        yield context.error(
            _("usual suites are refused as well: {reason}").format(reason=control.alert),
            _("see tls.versions"),
        )
        return
    found: list[str] = []
    try:
        for part in hello.apart(suite for kind in hello.WEAK.values() for suite in kind):
            while kind := _weak(context, part, found):
                found.append(kind)
    except ProbeError:
        if not found:
            raise
    if not found:
        yield context.passed(_("refused: {kinds}").format(kinds=", ".join(hello.WEAK)))
        return
    default = found == ["aNULL"] and not context.host.managed
    verdict = Verdict.FAIL if context.port.login and not default else Verdict.WARN
    yield context.finding(
        verdict,
        _("agreed to: {kinds}").format(kinds=", ".join(sorted(found, key=list(hello.WEAK).index))),
        _exclude(context, found),
    )


def _weak(context: PortContext, suites: tuple[int, ...], found: list[str]) -> str:
    """The kind that is chosen of these suites, where those of the kinds that were found are left out."""
    kinds = {suite: kind for kind, every in hello.WEAK.items() if kind not in found for suite in every}
    offered = tuple(suite for suite in suites if suite in kinds)
    answer = _ask_for_bad(context, Offer(hello.TLS12, offered)) if offered else Answer()
    if answer.accepted and answer.suite not in offered:
        raise ProtocolError(
            _("the cipher suite {suite} was chosen, which was not offered").format(
                suite=f"0x{answer.suite:04x}"
            )
        )
    return kinds[answer.suite] if answer.accepted else ""


def _exclude(context: PortContext, kinds: list[str]) -> str:
    if context.port.service == "https":
        return _("set {setting} in nginx.conf").format(setting="ssl_ciphers HIGH:!aNULL:!3DES:!RC4:!DES;")
    if context.port.protocol is not Protocol.SMTP:
        value = ":".join(["HIGH", *(f"!{name}" for name in dict.fromkeys(_openssl(kinds)))])
        return _("set {setting} in dovecot.conf").format(setting=f"ssl_cipher_list = {value}")
    value = ", ".join(dict.fromkeys(_openssl(kinds)))
    wrapped = context.port.tls is TlsStart.IMPLICIT
    commands = [f"postconf -e 'smtpd_tls_exclude_ciphers = {value}' 'smtpd_tls_mandatory_ciphers = high'"]
    if (
        wrapped
    ):  # wrapper mode alone does not make TLS mandatory there, so the lists for mandatory TLS do not hold
        commands.append(f"postconf -P '{context.port.service}/inet/smtpd_tls_security_level=encrypt'")
    return "; ".join(commands)


def _openssl(kinds: list[str]) -> list[str]:
    """As ciphers(1ssl) has them."""
    return ["aNULL", *({"NULL": "eNULL"}.get(kind, kind) for kind in kinds)]
