"""The probe `tls.renegotiation`: what versions of TLS before 1.3 have beside suites, and should not: compression, and
renegotiation that can be attacked. Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.checks.tls_versions import ask
from mailprov.probe.clients import hello
from mailprov.probe.context import PortContext
from mailprov.probe.registry import ALL_PORTS, Scope, probe


@probe(
    "tls.renegotiation",
    Scope.PORT,
    N_("TLS does not compress, and renegotiates only in the secure way"),
    expected=N_(
        "no compression in the ServerHello of TLS 1.2, and RFC 5746; or TLS 1.3 alone, which has neither"
    ),
    steps=(
        N_("Send a ClientHello for TLS 1.2 that offers compression and asks for secure renegotiation."),
        N_("Where it is refused, send a usual one as a control: TLS 1.3 must be agreed to."),
    ),
    verdicts={
        "pass": N_("no compression, and secure renegotiation; or TLS 1.2 is refused and TLS 1.3 is not"),
        "warn": N_("one of them is wrong on port 25 (many senders would go on without TLS)"),
        "fail": N_("one of them is wrong on a port for users"),
        "error": N_("no version is agreed to, no TLS, silence, or a dropped connection"),
    },
    refs=("RFC 5746", "RFC 9325 section 3.3", "RFC 9325 section 3.5"),
    ports=ALL_PORTS,
)
def renegotiation(context: PortContext) -> Iterator[Finding]:
    answer = ask(context, hello.BEFORE_13)
    if not answer.accepted:
        control = ask(context, hello.MODERN)
        if control.accepted:
            yield context.passed(
                _("TLS 1.2 is refused, and {version} has neither").format(
                    version=hello.shown(control.version)
                )
            )
        else:
            yield context.error(
                _("usual suites are refused as well: {reason}").format(reason=control.alert),
                _("see tls.versions"),
            )
        return
    wrong = []
    if answer.compressed:
        wrong.append(_("TLS compression is agreed to"))
    if not answer.renegotiates:
        wrong.append(_("no secure renegotiation (RFC 5746)"))
    if wrong:
        yield context.finding(
            Verdict.FAIL if context.port.login else Verdict.WARN,
            "; ".join(wrong),
            _("update the TLS library of the server: OpenSSL has neither fault since 1.1.0"),
        )
    else:
        yield context.passed(
            _("{version}: no compression, secure renegotiation").format(version=hello.shown(answer.version))
        )
