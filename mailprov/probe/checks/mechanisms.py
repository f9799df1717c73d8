"""The probe `auth.mechanisms`: by which SASL mechanisms users may log in. Errors of `clients` pass through; the runner
makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.ports import Protocol
from mailprov.probe.context import PortContext
from mailprov.probe.registry import LOGIN_PORTS, Scope, probe

_SETTING = "auth_mechanisms = plain login"
# They need passwords that are kept in clear, or as good as that, and TLS protects what they were made for.
_OUTDATED = {"CRAM-MD5", "DIGEST-MD5", "NTLM", "APOP", "RPA", "OTP", "SKEY"}


def _offered(protocol: Protocol, offers: Mapping[str, str]) -> set[str]:
    if protocol is Protocol.IMAP:
        return {word[5:].upper() for word in offers if word.upper().startswith("AUTH=")}
    return set(offers.get("AUTH" if protocol is Protocol.SMTP else "SASL", "").upper().split())


@probe(
    "auth.mechanisms",
    Scope.PORT,
    N_("Users log in by mechanisms of today, and nobody anonymously"),
    expected=N_("PLAIN and LOGIN under TLS; no CRAM-MD5, DIGEST-MD5 or NTLM, and no ANONYMOUS"),
    steps=(N_("Ask what is offered under TLS (EHLO, CAPABILITY, CAPA, the ManageSieve greeting)."),),
    verdicts={
        "pass": N_("no other than such"),
        "warn": N_("mechanisms for which passwords must be kept in clear, or as good as that"),
        "fail": N_("ANONYMOUS: anybody is let in"),
        "error": N_("silence, or a dropped connection"),
        "skip": N_("the server names no mechanism (see smtp.ehlo, imap.capability, pop.capa)"),
    },
    refs=("RFC 8314 section 3", "RFC 6331", "RFC 4505"),
    ports=LOGIN_PORTS,
)
def mechanisms(context: PortContext) -> Iterator[Finding]:
    client = context.open(context.host, context.address, context.port)
    with client.connection:
        offered = _offered(context.port.protocol, client.offers())
        client.quit()
    names = " ".join(sorted(offered))
    if context.port.protocol is Protocol.SMTP:
        command = "postconf -e 'smtpd_sasl_security_options = noanonymous'"
        advice = _("{command}, and in Dovecot {setting}").format(command=command, setting=_SETTING)
    else:
        advice = _("set {setting} in dovecot.conf").format(setting=_SETTING)
    if not offered:
        yield context.skip(_("the server names no mechanism"))
    elif "ANONYMOUS" in offered:
        yield context.failed(_("anybody may log in: {mechanisms}").format(mechanisms=names), advice)
    elif outdated := sorted(offered & _OUTDATED):
        yield context.warn(_("offered: {mechanisms}").format(mechanisms=" ".join(outdated)), advice)
    else:
        yield context.passed(_("offered: {mechanisms}").format(mechanisms=names))
