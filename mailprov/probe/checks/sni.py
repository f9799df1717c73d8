"""The probe of names: who asks for a domain's own name (mail_name) gets a certificate for it, everyone else the host's.

Public: the probe `tls.sni`. Errors of `connection` pass through; the runner makes them errors.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import TlsMode
from mailprov.probe.checks.certificates import judge_life
from mailprov.probe.clients import tls
from mailprov.probe.context import PortContext
from mailprov.probe.registry import ALL_PORTS, Scope, probe


def _leads_here(context: PortContext) -> bool:
    domain = context.domain
    return domain is not None and domain.mail_name is not None and domain.hosts[:1] == (context.host.name,)


@probe(
    "tls.sni",
    Scope.PORT_DOMAIN,
    "The domain's own name (mail_name) has its certificate, and the host still has its own",
    expected="asked for mail_name: a trusted certificate for that name; asked for no name: one for the host's fqdn",
    steps=(
        "Only for domains with a mail_name, on the host that it leads to.",
        "Shake hands with mail_name as SNI, with verification of the chain; compare name and dates.",
        "Shake hands without SNI, as old programs do, and compare with the host's fqdn.",
    ),
    verdicts={
        "pass": "both are served",
        "warn": "not served on port 25 (senders use the MX's name), or less than a third of the lifetime is left",
        "fail": "not trusted, for another name, or nearly over, on a port for users; or the host's own is gone",
        "error": "no certificate to judge",
    },
    refs=("RFC 6066 section 3", "RFC 9525 section 6", "RFC 7817 section 3"),
    ports=ALL_PORTS,
    applies=_leads_here,
    unless="no domain has a mail_name that leads to a host looked at",
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
            f"asked for {name}: not trusted: {tls.why_untrusted(error)}",
            f"get a certificate for {name} from the authority that the host's own is from",
        )
        return
    leaf = tls.Leaf.parse(der)
    if not tls.name_matches(leaf.names, name):
        yield context.finding(
            wrong,
            f"asked for {name}: the certificate is for {_names(leaf)}",
            f"serve one for {name}: tls_server_sni_maps in main.cf, local_name in dovecot.conf; or apply again",
        )
        return
    own = tls.Leaf.parse(
        context.served(context.host, context.address, context.port, tls.looking_context(), None)
    )
    if not tls.name_matches(own.names, fqdn):
        yield context.finding(
            wrong,
            f"asked for no name: the certificate is for {_names(own)}, not for {fqdn}",
            f"the certificate outside of tls_server_sni_maps and local_name must be the one for {fqdn}",
        )
        return
    verdict, observed, advice = judge_life(leaf)
    yield context.finding(verdict, f"{name}: {observed}; asked for no name: {_names(own)}", advice)


def _names(leaf: tls.Leaf) -> str:
    return ", ".join(leaf.names) or f"no DNS name (subject {leaf.subject})"
