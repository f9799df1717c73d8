"""The probe `dns.mx`: whether mail for a domain is sent to its hosts.

NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

from collections.abc import Iterator

import dns.inet

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.remedies import publish
from mailprov.probe.wanted import ALL_HOSTED, wanted_records


@probe(
    "dns.mx",
    Scope.DOMAIN,
    N_("Mail for the domain is sent to the right hosts"),
    expected=N_(
        "the MX of the inventory (the domain's hosts, and its `mx`), in that order, each with an address"
    ),
    steps=(
        N_("Ask the authoritative server for the MX records of the domain, and of each domain alias."),
        N_("Compare the targets with the fqdns of its hosts and of its `mx`; look up the addresses of each."),
    ),
    verdicts={
        "pass": N_("the targets are those of the inventory and have addresses"),
        "warn": N_("the right targets in another order"),
        "fail": N_("no MX, another target, a CNAME or an address as target, or a target without an address"),
        "error": N_("no authoritative server answers"),
    },
    refs=("RFC 5321 section 5.1", "RFC 2181 section 10.3", "RFC 7505"),
    applies=lambda context: not context.domain.hosted,
    unless=ALL_HOSTED,
)
def dns_mx(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    published = [
        record.value
        for record in wanted_records(context)
        if record.name == context.name and record.type == "MX"
    ]
    wanted = [name for __, name in sorted((int(p), name) for p, name in map(str.split, published))]
    advice = publish(", ".join(f"{context.name}. MX {value}." for value in published))
    answer = resolver.ask(context.name, "MX")
    context.transcript.add("-", str(answer))
    targets = resolver.mail_servers(context.name)
    observed = ", ".join(answer.values)
    if not targets:
        form = _("no MX record (it is a CNAME to {alias})") if answer.alias else _("no MX record")
        yield context.failed(form.format(alias=answer.alias), advice)
        return
    for target in dict.fromkeys(targets):
        if target == ".":
            yield context.failed(
                _("a null MX: the domain says that it takes no mail"),
                advice,
            )
            return
        if dns.inet.is_address(target):
            yield context.failed(
                _("the target {target} is an address, not a name").format(target=target),
                advice,
            )
            return
        answers = [resolver.ask(target, kind) for kind in ("A", "AAAA")]
        for item in answers:
            context.transcript.add("-", str(item))
        if any(item.alias for item in answers):
            yield context.failed(
                _("the target {target} is a CNAME").format(target=target),
                advice,
            )
            return
        if not any(item.values for item in answers):
            yield context.failed(
                _("the target {target} has no address").format(target=target),
                _("publish A or AAAA for {target}").format(target=f"{target}."),
            )
            return
    if sorted(targets) != sorted(wanted):
        yield context.failed(
            _("{values}, but the inventory says {wanted}").format(values=observed, wanted=", ".join(wanted)),
            advice,
        )
    elif targets != wanted:
        yield context.warn(
            _("{values}: the order is not {wanted}").format(values=observed, wanted=", ".join(wanted)),
            advice,
        )
    else:
        yield context.passed(observed)
