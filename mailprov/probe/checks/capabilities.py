"""Probes of what a server offers a stranger, before TLS and under it.

Public: the probes `smtp.ehlo`, `imap.capability`, `pop.capa`, `sieve.capability`. Errors of `clients` pass
through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.ports import SIEVE_PORT, TlsStart
from mailprov.probe.clients import tls
from mailprov.probe.clients.client import Client
from mailprov.probe.clients.errors import ProbeError, ProtocolError
from mailprov.probe.clients.managesieve import ManageSieve
from mailprov.probe.context import PortContext
from mailprov.probe.registry import IMAP_PORTS, POP_PORTS, SMTP_PORTS, Scope, ports_where, probe
from mailprov.probe.vantage import Vantage

_NO_CLEARTEXT = N_("set auth_allow_cleartext = no (Dovecot 2.4) or disable_plaintext_auth = yes (2.3)")


def _upgrade(context: PortContext, client: Client, wrong: list[tuple[str, str]]) -> bool:
    """STARTTLS or STLS. An error on the way is raised, unless something is `wrong` already: then that is the
    verdict, and the error is told with it."""
    try:
        client.start_tls(tls.looking_context(), context.host.fqdn)
    except ProbeError as error:
        if not wrong:
            raise
        wrong.append((_("then: {error}").format(error=error), _("see tls.starttls")))
        return False
    return True


@probe(
    "smtp.ehlo",
    Scope.PORT,
    N_("The SMTP server offers what it should, and only that"),
    expected=N_(
        "STARTTLS before TLS and not after; no AUTH without TLS; AUTH with TLS on 465 and 587; no XCLIENT"
    ),
    steps=("EHLO.", N_("STARTTLS on 25 and 587."), N_("EHLO again.")),
    verdicts={
        "pass": N_("all as expected, and SIZE, 8BITMIME, PIPELINING and ENHANCEDSTATUSCODES too"),
        "warn": N_("one of those four is missing; with `managed: false` the last one may be"),
        "fail": N_(
            "STARTTLS missing or still there under TLS, AUTH without TLS, no AUTH where users submit, XCLIENT for "
            "strangers"
        ),
        "error": N_("no answer to EHLO"),
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
def smtp_ehlo(context: PortContext) -> Iterator[Finding]:
    upgrade = context.port.tls is TlsStart.UPGRADE
    wrong: list[tuple[str, str]] = []
    before: dict[str, str] = {}
    client = context.smtp(secure=False)
    secure = not upgrade
    with client.connection:
        if upgrade:
            before = client.extensions
            if "AUTH" in before:
                wrong.append((_("AUTH is offered without TLS"), "postconf -e 'smtpd_tls_auth_only = yes'"))
            if "STARTTLS" in before:
                secure = _upgrade(context, client, wrong)
            else:
                wrong.append(
                    (
                        _("STARTTLS is not offered"),
                        _("{command} and a certificate").format(
                            command="postconf -e 'smtpd_tls_security_level = may'"
                        ),
                    )
                )
    after = client.extensions
    if secure:
        if "STARTTLS" in after:
            wrong.append(
                (_("STARTTLS is still offered under TLS"), _("see what stands in front of the server"))
            )
        if context.port.login and "AUTH" not in after:
            service = context.port.service
            wrong.append(
                (
                    _("AUTH is not offered under TLS"),
                    f"postconf -P '{service}/inet/smtpd_sasl_auth_enable=yes'",
                )
            )
    for name in ("XCLIENT", "XFORWARD"):
        if name in before or name in after:
            setting = f"smtpd_authorized_{name.lower()}_hosts"
            wrong.append(
                (
                    _("{command} is offered to strangers").format(command=name),
                    _("remove this network from {setting} in main.cf").format(setting=setting),
                )
            )
    offered = " ".join(sorted(after))
    if wrong:
        yield context.failed("; ".join(what for what, __ in wrong), "; ".join(advice for __, advice in wrong))
        return
    useful = ["SIZE", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES"]
    if not context.host.managed:
        useful.remove(
            "ENHANCEDSTATUSCODES"
        )  # Exim and Courier have none, and nothing is wrong with that (RFC 2034)
    missing = [word for word in useful if word not in after]
    if missing:
        yield context.warn(
            _("not offered: {capabilities}").format(capabilities=" ".join(missing)),
            _("see smtpd_discard_ehlo_keywords in main.cf"),
        )
    else:
        yield context.passed(_("offered: {capabilities}").format(capabilities=offered))


@probe(
    "imap.capability",
    Scope.PORT,
    N_("The IMAP server accepts no password without TLS, and accepts it with TLS"),
    expected=N_("STARTTLS and LOGINDISABLED before TLS, neither after; no AUTH=PLAIN before TLS"),
    steps=("CAPABILITY.", N_("STARTTLS on 143."), N_("CAPABILITY again.")),
    verdicts={
        "pass": N_("all as expected"),
        "fail": N_("something else is offered"),
        "error": N_("the server does not say what it offers"),
    },
    refs=("RFC 9051 section 6.2.1", "RFC 9051 section 6.2.3", "RFC 2595 section 3.2"),
    ports=IMAP_PORTS,
    vantage=Vantage.OUTSIDE,
)
def imap_capability(context: PortContext) -> Iterator[Finding]:
    before: frozenset[str] = frozenset()
    wrong: list[tuple[str, str]] = []
    client = context.imap(secure=False)
    secure = context.port.tls is TlsStart.IMPLICIT
    with client.connection:
        if context.port.tls is TlsStart.UPGRADE:
            before = client.capabilities()
            if "LOGINDISABLED" not in before:
                wrong.append((_("LOGIN is allowed without TLS (no LOGINDISABLED)"), _(_NO_CLEARTEXT)))
            if mechanisms := before & {"AUTH=PLAIN", "AUTH=LOGIN"}:
                wrong.append(
                    (
                        _("{mechanisms} is offered without TLS").format(
                            mechanisms=" ".join(sorted(mechanisms))
                        ),
                        _(_NO_CLEARTEXT),
                    )
                )
            if "STARTTLS" in before:
                secure = _upgrade(context, client, wrong)
            else:
                wrong.append(
                    (_("STARTTLS is not offered"), _("set ssl = required and a certificate in dovecot.conf"))
                )
        after = client.capabilities() if secure else before
    if secure:
        if "STARTTLS" in after:
            wrong.append(
                (_("STARTTLS is still offered under TLS"), _("see what stands in front of the server"))
            )
        if "LOGINDISABLED" in after:
            wrong.append(
                (_("LOGIN is disabled under TLS"), _("see the passdb and ssl settings (doveconf -n)"))
            )
    if not after & {"IMAP4REV1", "IMAP4REV2"}:
        wrong.append((_("neither IMAP4rev1 nor IMAP4rev2 is offered"), _("see what listens there")))
    if wrong:
        yield context.failed(
            "; ".join(what for what, __ in wrong), "; ".join(dict.fromkeys(advice for __, advice in wrong))
        )
    else:
        yield context.passed(_("offered: {capabilities}").format(capabilities=" ".join(sorted(after))))


@probe(
    "pop.capa",
    Scope.PORT,
    N_("The POP server offers STLS, and a login only under TLS"),
    expected=N_("STLS before TLS and not after; USER and SASL PLAIN only under TLS; UIDL and TOP"),
    steps=("CAPA.", N_("STLS on 110."), N_("CAPA again.")),
    verdicts={
        "pass": N_("all as expected"),
        "warn": N_(
            "UIDL or TOP is missing (clients cannot leave mail on the server); or USER is listed without TLS, but "
            "refused"
        ),
        "fail": N_("a login is offered without TLS, none with it, STLS is missing, or still there under TLS"),
        "error": N_("the server does not say what it offers"),
    },
    refs=("RFC 2449 section 5", "RFC 2595 section 4"),
    ports=POP_PORTS,
)
def pop_capa(context: PortContext) -> Iterator[Finding]:
    before: dict[str, str] = {}
    wrong: list[tuple[str, str]] = []
    listed = False
    client = context.pop3(secure=False)
    secure = context.port.tls is TlsStart.IMPLICIT
    with client.connection:
        if context.port.tls is TlsStart.UPGRADE:
            before = client.capabilities() or {}
            clear = {"PLAIN", "LOGIN"} & set(before.get("SASL", "").split())
            # Courier lists USER in clear, and takes none.
            listed = "USER" in before and not clear and not client.command(f"USER {context.run.nonce}").ok
            if clear or ("USER" in before and not listed):
                wrong.append((_("a login is offered without TLS"), _(_NO_CLEARTEXT)))
            if "STLS" in before:
                secure = _upgrade(context, client, wrong)
            else:
                wrong.append(
                    (_("STLS is not offered"), _("set ssl = required and a certificate in dovecot.conf"))
                )
        after = client.capabilities() if secure else before
    if after is None:
        yield context.error(
            _("CAPA is not known to the server"), _("nothing can be said about what it offers")
        )
        return
    if secure:
        if "STLS" in after:
            wrong.append((_("STLS is still offered under TLS"), _("see what stands in front of the server")))
        if "USER" not in after and not after.get("SASL"):
            wrong.append(
                (_("no login is offered under TLS"), _("see auth_mechanisms and the passdb (doveconf -n)"))
            )
    missing = [word for word in ("UIDL", "TOP") if word not in after]
    if wrong:
        yield context.failed(
            "; ".join(what for what, __ in wrong), "; ".join(dict.fromkeys(advice for __, advice in wrong))
        )
    elif listed:
        yield context.warn(_("USER is listed without TLS, and refused when it is said"), _(_NO_CLEARTEXT))
    elif missing:
        yield context.warn(
            _("not offered: {capabilities}").format(capabilities=" ".join(missing)),
            _("use a server that knows them; Dovecot does"),
        )
    else:
        yield context.passed(_("offered: {capabilities}").format(capabilities=" ".join(sorted(after))))


# Mechanisms that send the password, or what is as good as it, to whoever listens on the way.
_CLEAR = {"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"}


@probe(
    "sieve.capability",
    Scope.PORT,
    N_("The ManageSieve server greets, and accepts a password only under TLS"),
    expected=N_("SIEVE and STARTTLS before TLS and no SASL PLAIN; SASL PLAIN and no STARTTLS after it"),
    steps=(
        N_("Where port 4190 answers: read the greeting, which is the list of capabilities."),
        N_("STARTTLS, and read the list that the server sends after it."),
    ),
    verdicts={
        "pass": N_("all as expected"),
        "fail": N_(
            "no ManageSieve, a mechanism that sends the password in clear is offered without TLS, none with it, "
            "STARTTLS is missing or still there under TLS"
        ),
        "error": N_("silence, or a dropped connection"),
    },
    refs=("RFC 5804 section 1.7", "RFC 5804 section 2.2", "RFC 8314 section 3"),
    ports=ports_where(lambda port: port is SIEVE_PORT),
    vantage=Vantage.OUTSIDE,
)
def sieve_capability(context: PortContext) -> Iterator[Finding]:
    wrong: list[tuple[str, str]] = []
    secure = False
    with context.connect() as connection:
        client = ManageSieve(connection)
        try:
            greeting = client.greeting()
        except ProtocolError as error:
            yield context.failed(
                str(error), _("see what listens on port 4190: it is not a ManageSieve server")
            )
            return
        if not greeting.ok:
            yield context.failed(
                _("the server ends the session: {greeting}").format(greeting=greeting),
                _("see the server's log for the reason"),
            )
            return
        if "SIEVE" not in client.capabilities:
            wrong.append(
                (_("the server names no Sieve extensions (SIEVE)"), _("see what listens on port 4190"))
            )
        if shown := client.mechanisms & _CLEAR:
            wrong.append(
                (
                    _("{mechanisms} is offered without TLS").format(
                        mechanisms=f"SASL {' '.join(sorted(shown))}"
                    ),
                    _(_NO_CLEARTEXT),
                )
            )
        if "STARTTLS" in client.capabilities:
            secure = _upgrade(context, client, wrong)
        else:
            wrong.append(
                (_("STARTTLS is not offered"), _("set ssl = required and a certificate in dovecot.conf"))
            )
    if secure:
        if "STARTTLS" in client.capabilities:
            wrong.append(
                (_("STARTTLS is still offered under TLS"), _("see what stands in front of the server"))
            )
        if not client.mechanisms:
            wrong.append(
                (_("no login is offered under TLS"), _("see auth_mechanisms and the passdb (doveconf -n)"))
            )
    if wrong:
        yield context.failed(
            "; ".join(what for what, __ in wrong), "; ".join(dict.fromkeys(advice for __, advice in wrong))
        )
    else:
        what = client.capabilities.get("IMPLEMENTATION", _("a server that does not name its software"))
        yield context.passed(
            _("{software}; login by {mechanisms} under TLS").format(
                software=what, mechanisms=" ".join(sorted(client.mechanisms))
            )
        )
