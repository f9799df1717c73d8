"""Probes of TLS: the upgrade itself, the certificate judged one property at a time, and who gets which one (SNI).

Public: the probes `tls.starttls`, `tls.implicit`, `tls.chain`, `tls.name`, `tls.expiry`, `tls.sni`. Errors of
`clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from dataclasses import replace

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import TlsMode
from mailprov.model.ports import Protocol, TlsStart
from mailprov.probe.clients import tls
from mailprov.probe.clients.errors import (
    ProbeError,
    ProtocolError,
    ResponseInjection,
    TlsError,
    TurnedAway,
)
from mailprov.probe.context import PortContext
from mailprov.probe.registry import ALL_PORTS, Scope, ports_where, probe

UPGRADE_PORTS = ports_where(lambda port: port.tls is TlsStart.UPGRADE)
IMPLICIT_PORTS = ports_where(lambda port: port.tls is TlsStart.IMPLICIT)

# OpenSSL's X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: the leaf itself is the (unknown) root.


def _leaf(context: PortContext) -> tls.Leaf:
    return tls.Leaf.parse(context.served(context.host, context.address, context.port, tls.looking_context()))


@probe(
    "tls.starttls",
    Scope.PORT,
    N_("STARTTLS (STLS) really upgrades, with nothing slipped in before it"),
    expected=N_("no byte between the reply and the handshake; the protocol goes on under TLS"),
    steps=(
        N_("Connect, send STARTTLS (STLS) and read exactly its reply."),
        N_("See that no further byte has come in clear."),
        N_("Do the TLS handshake, then ask for the capabilities."),
    ),
    verdicts={
        "pass": N_("upgraded, and the server answers under TLS"),
        "fail": N_(
            "refused, bytes in clear before the handshake (response injection), or the handshake fails"
        ),
        "error": N_("silence, or a dropped connection"),
    },
    refs=("RFC 3207 section 4", "RFC 3207 section 6", "RFC 2595 section 4", "CVE-2011-0411"),
    ports=UPGRADE_PORTS,
)
def starttls(context: PortContext) -> Iterator[Finding]:
    client = context.open(context.host, context.address, context.port, secure=False)
    with client.connection as connection:
        try:
            client.start_tls(tls.looking_context(), context.host.fqdn)
            client.offers()
        except ResponseInjection as error:
            yield context.failed(
                str(error),
                _("update the server, or what stands in front of it: it must discard its buffer at STARTTLS"),
            )
        except (ProtocolError, TlsError) as error:
            if context.port.protocol is Protocol.SMTP:
                command = "postconf -e 'smtpd_tls_security_level = may'"
                advice = _("{command} with smtpd_tls_chain_files set, and see the log").format(
                    command=command
                )
            else:
                advice = _("set ssl = required and the certificate in dovecot.conf, and see the log")
            yield context.failed(str(error), advice)
        else:
            yield context.passed(_("upgraded: {tls}").format(tls=connection.tls_summary))


@probe(
    "tls.implicit",
    Scope.PORT,
    N_("TLS from the first byte"),
    expected=N_("the handshake comes first, the greeting after it"),
    steps=(N_("Connect and do the TLS handshake at once."), N_("Read the greeting under TLS.")),
    verdicts={
        "pass": N_("the greeting came under TLS"),
        "fail": N_("the handshake fails, for instance because a greeting in clear came first"),
        "error": N_("silence, or a dropped connection"),
    },
    refs=("RFC 8314 section 3",),
    ports=IMPLICIT_PORTS,
)
def implicit(context: PortContext) -> Iterator[Finding]:
    if context.port.protocol is Protocol.SMTP:
        command = f"postconf -P '{context.port.service}/inet/smtpd_tls_wrappermode=yes'"
        advice = _("{command} and restart Postfix").format(command=command)
    else:
        advice = _("set ssl = yes on the inet_listener {service} in dovecot.conf").format(
            service=context.port.service
        )
    with context.connect() as connection:
        try:
            connection.start_tls(tls.looking_context(), context.host.fqdn)
        except (ResponseInjection, TlsError) as error:
            clear = _clear_greeting(context)
            if clear.startswith("4"):
                raise TurnedAway(_("the greeting is {greeting}").format(greeting=clear)) from None
            seen = _("{error}; without TLS it says {greeting} in clear") if clear else "{error}"
            yield context.failed(seen.format(error=error, greeting=clear), advice)
            return
        greeting = connection.line()
        yield context.passed(
            _("{tls}, then {greeting}").format(tls=connection.tls_summary, greeting=greeting)
        )


def _clear_greeting(context: PortContext) -> str:
    """Why a handshake went wrong: what the server says in clear when it is not asked for TLS."""
    try:
        with context.connect() as connection:
            return connection.line()
    except ProbeError:
        return ""


@probe(
    "tls.chain",
    Scope.PORT,
    N_("The certificate is issued by someone a client trusts"),
    expected=N_("a chain to the system's store, or to the inventory's tls.ca_file"),
    steps=(N_("Do the TLS handshake, verifying the chain, not the name."),),
    verdicts={
        "pass": N_("trusted"),
        "warn": N_("self-signed, as the inventory declares"),
        "fail": N_("not trusted"),
        "error": N_("no certificate could be read"),
    },
    cases={
        "self-signed": N_("the certificate is self-signed"),
        "unknown-issuer": N_("the authority is not one that clients know"),
    },
    refs=("RFC 5280 section 6", "RFC 8314 section 5.2"),
    ports=ALL_PORTS,
)
def chain(context: PortContext) -> Iterator[Finding]:
    tls_context = context.run.verifying_context(context.host.tls.ca_file, check_name=False)
    try:
        der = context.served(context.host, context.address, context.port, tls_context)
    except ssl.SSLCertVerificationError as error:
        reason = tls.why_untrusted(error)
        key = "tls.ca_file" if context.run.described else "--ca-file"
        declared = context.host.tls.mode is TlsMode.SELF_SIGNED
        if tls.case_of(error) == "self-signed" and declared:
            yield context.warn(
                _(
                    "self-signed, as declared: clients will warn, and nobody can tell this server from an impostor"
                ),
                _("set {key} to certificate files from a certificate authority").format(
                    key=f"hosts.{context.host.name}.tls"
                )
                if context.host.managed
                else _(
                    "get a certificate for {name} from an authority (certbot), and give it to both daemons"
                ).format(name=context.host.fqdn),
                case=tls.case_of(error),
            )
        else:
            yield context.failed(
                _("not trusted: {reason}").format(reason=reason),
                _(
                    "serve the whole chain (leaf first, then intermediates) of an authority that clients know, or "
                    "name your own with {key}"
                ).format(key=key),
                case=tls.case_of(error),
            )
    else:
        yield context.passed(_("issued by {issuer}").format(issuer=tls.Leaf.parse(der).issuer))


@probe(
    "tls.name",
    Scope.PORT,
    N_("The certificate is for the name that clients and senders use"),
    expected=N_("the host's fqdn among the certificate's DNS names"),
    steps=(
        N_("Do the TLS handshake with the host's fqdn as SNI."),
        N_("Compare with the DNS names (SAN) of the leaf; the CN does not count."),
    ),
    verdicts={
        "pass": N_("it has that name"),
        "warn": N_("it does not have that name, on port 25 (senders seldom check)"),
        "fail": N_("it does not have that name, on a port for users"),
        "error": N_("no certificate could be read"),
    },
    refs=("RFC 9525 section 6", "RFC 7817 section 3"),
    ports=ALL_PORTS,
)
def name(context: PortContext) -> Iterator[Finding]:
    leaf = _leaf(context)
    names = ", ".join(leaf.names) or _("no DNS name (subject {subject})").format(subject=leaf.subject)
    if leaf.is_for(context.host.fqdn):
        yield context.passed(names)
        return
    observed = _("the certificate is for {names}").format(names=names)
    advice = _("install a certificate with the DNS name {name}").format(name=context.host.fqdn)
    yield context.failed(observed, advice) if context.port.login else context.warn(observed, advice)


@probe(
    "tls.expiry",
    Scope.PORT,
    N_("The certificate is valid today, and is renewed in time"),
    expected=N_("more than a third of the lifetime is left"),
    steps=(
        N_(
            "Compare the time that is left with the whole lifetime; not with a number of days, as lifetimes run from "
            "6 to 3650 days."
        ),
    ),
    verdicts={
        "pass": N_("a third or more is left"),
        "warn": N_("less than a third is left"),
        "fail": N_("less than a tenth is left, expired, or not valid yet"),
        "error": N_("no certificate could be read"),
    },
    refs=("RFC 5280 section 4.1.2.5",),
    ports=ALL_PORTS,
)
def expiry(context: PortContext) -> Iterator[Finding]:
    leaf = _leaf(context)
    yield replace(context.finding(*_judge_life(leaf)), not_after=leaf.not_after.timestamp())


def _judge_life(leaf: tls.Leaf) -> tuple[Verdict, str, str]:
    """What the dates of a certificate show today: verdict, what was seen, what to do."""
    now = datetime.datetime.now(datetime.timezone.utc)
    left = tls.remaining_fraction(leaf, now)
    until = f"{leaf.not_after:%Y-%m-%d %H:%M} UTC"
    observed = _("{fraction:.0%} of the lifetime is left, until {date}").format(fraction=left, date=until)
    advice = _("renew the certificate and reload Postfix and Dovecot; see why the automatic renewal did not")
    if now < leaf.not_before:
        since = f"{leaf.not_before:%Y-%m-%d %H:%M} UTC"
        not_yet = _("not valid before {date}").format(date=since)
        return Verdict.FAIL, not_yet, _("see the clocks of both machines (timedatectl)")
    if left <= 0:
        return Verdict.FAIL, _("expired at {date}").format(date=until), advice
    if left < 1 / 10:
        return Verdict.FAIL, observed, advice
    return (Verdict.WARN if left < 1 / 3 else Verdict.PASS), observed, advice


def _leads_here(context: PortContext) -> bool:
    domain = context.domain
    return domain is not None and domain.mail_name is not None and domain.hosts[:1] == (context.host.name,)


@probe(
    "tls.sni",
    Scope.PORT_DOMAIN,
    N_("The domain's own name (mail_name) has its certificate, and the host still has its own"),
    expected=N_(
        "with SNI mail_name a trusted certificate for that name, without SNI one for the host's fqdn"
    ),
    steps=(
        N_("Only for domains with a mail_name, on the host that it leads to."),
        N_("Do the TLS handshake with mail_name as SNI, verifying the chain; compare name and dates."),
        N_("Do it without SNI, as old programs do, and compare with the host's fqdn."),
    ),
    verdicts={
        "pass": N_("both are served"),
        "warn": N_(
            "not served on port 25 (senders use the MX's name), or less than a third of the lifetime is left"
        ),
        "fail": N_(
            "not trusted, for another name, or about to expire, on a port for users; or the host's own is not served"
        ),
        "error": N_("no certificate could be read"),
    },
    cases={
        "unknown-issuer": N_("the authority is not one that clients know"),
        "self-signed": N_("the certificate is self-signed"),
    },
    refs=("RFC 6066 section 3", "RFC 9525 section 6", "RFC 7817 section 3"),
    ports=ALL_PORTS,
    applies=_leads_here,
    unless=N_("no domain has a mail_name that leads to a host looked at"),
)
def sni(context: PortContext) -> Iterator[Finding]:
    assert context.domain is not None
    assert context.domain.mail_name is not None
    name, fqdn = context.domain.mail_name, context.host.fqdn
    wrong = Verdict.FAIL if context.port.login else Verdict.WARN
    # Whether a self-signed certificate may be there is tls.chain's business.
    declared = context.host.tls.mode is TlsMode.SELF_SIGNED
    tls_context = (
        tls.looking_context()
        if declared
        else context.run.verifying_context(context.host.tls.ca_file, check_name=False)
    )
    try:
        der = context.served(context.host, context.address, context.port, tls_context, name)
    except ssl.SSLCertVerificationError as error:
        yield context.finding(
            wrong,
            _("with SNI {name} the certificate is not trusted: {reason}").format(
                name=name, reason=tls.why_untrusted(error)
            ),
            _("get a certificate for {name} from the authority that the host's own is from").format(
                name=name
            ),
            case=tls.case_of(error),
        )
        return
    leaf = tls.Leaf.parse(der)
    if not leaf.is_for(name):
        yield context.finding(
            wrong,
            _("with SNI {name} the certificate is for {names}").format(name=name, names=_names(leaf)),
            _(
                "serve one for {name}: tls_server_sni_maps in main.cf, local_name in dovecot.conf; or apply again"
            ).format(name=name),
        )
        return
    own = tls.Leaf.parse(
        context.served(context.host, context.address, context.port, tls.looking_context(), None)
    )
    if not own.is_for(fqdn):
        yield context.finding(
            wrong,
            _("without SNI the certificate is for {names}, not for {host}").format(
                names=_names(own), host=fqdn
            ),
            _(
                "the certificate outside of tls_server_sni_maps and local_name must be the one for {host}"
            ).format(host=fqdn),
        )
        return
    verdict, observed, advice = _judge_life(leaf)
    yield context.finding(
        verdict,
        _("{name}: {lifetime}; without SNI: {names}").format(name=name, lifetime=observed, names=_names(own)),
        advice,
    )


def _names(leaf: tls.Leaf) -> str:
    return ", ".join(leaf.names) or _("no DNS name (subject {subject})").format(subject=leaf.subject)
