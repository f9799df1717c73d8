"""The probe `dns.a`: whether a host's name leads to its addresses.

NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

from collections.abc import Iterator

import dns.inet

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.context import HostContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.remedies import publish


@probe(
    "dns.a",
    Scope.HOST,
    N_("The host's name leads to its addresses"),
    expected=N_("the A and AAAA records of the fqdn are the inventory's addresses"),
    steps=(N_("Ask the authoritative server for A and AAAA of the host's fqdn."),),
    verdicts={
        "pass": N_("as the inventory says; any address where it names none"),
        "fail": N_("no address, or other ones than the inventory's"),
        "error": N_("no authoritative server answers"),
    },
    refs=("RFC 5321 section 5.1", "RFC 1035 section 3.4.1"),
)
def dns_a(context: HostContext) -> Iterator[Finding]:
    host = context.host
    resolver = context.run.resolver
    answers = [resolver.ask(host.fqdn, kind) for kind in ("A", "AAAA")]
    for answer in answers:
        context.transcript.add("-", str(answer))
    seen = [value for answer in answers for value in answer.values]
    declared = [*host.ipv4, *host.ipv6] or ([host.address] if dns.inet.is_address(host.address) else [])
    records = ", ".join(f"{host.fqdn}. {'AAAA' if ':' in item else 'A'} {item}" for item in declared)
    advice = publish(records) if records else _("publish its addresses")
    if any(answer.alias for answer in answers):
        yield context.failed(_("{host} is a CNAME, which no MX may point at").format(host=host.fqdn), advice)
    elif not seen:
        used = ", ".join(context.run.addresses.get(host.name, ()))
        form = _("{host} has no address in DNS; the other probes look at {addresses} ({key})")
        if not used:
            form = _("{host} has no address in DNS; the other probes look at nothing ({key})")
        key = f"hosts.{host.name}.address" if context.run.described else "--address"
        yield context.failed(form.format(host=host.fqdn, addresses=used, key=key), advice)
    elif declared and sorted(map(_canonical, declared)) != sorted(map(_canonical, seen)):
        yield context.failed(
            _("{values}, but the inventory says {wanted}").format(
                values=", ".join(seen), wanted=", ".join(declared)
            ),
            advice,
        )
    else:
        yield context.passed(", ".join(seen))


def _canonical(address: str) -> str:
    return dns.inet.inet_ntop(
        dns.inet.af_for_address(address), dns.inet.inet_pton(dns.inet.af_for_address(address), address)
    )
