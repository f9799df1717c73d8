"""Controls for everything that is looked for in a zone: names that cannot exist must not be there.

Public: the probe `dns.wildcard`. NoAnswer of the zone's servers passes through; the runner makes it an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.clients.resolver import NoAnswer
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.zones import delegated


@probe(
    "dns.wildcard",
    Scope.ZONE,
    N_("Names that do not exist are not found"),
    expected=N_("no such name (NXDOMAIN) for made-up names at and below the domain"),
    steps=(
        N_(
            "Ask the authoritative server for made-up names: at the domain, below _domainkey and _tcp, and for _dmarc "
            "below a made-up one."
        ),
        N_("Ask this machine's resolver for the first of them, where it is a public name."),
    ),
    verdicts={
        "pass": N_("there are no such names"),
        "warn": N_(
            "a wildcard answers for names that nobody wrote, so that a record found at a name is no proof that "
            "somebody put it there; or this machine's resolver makes up addresses of names that do not exist"
        ),
        "error": N_("no authoritative server answers"),
    },
    refs=("RFC 4592", "RFC 8020", "RFC 5782 section 5"),
    by_name=True,
)
def dns_wildcard(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    made_up = f"mailprov-{context.run.nonce}"
    asked = (
        (f"{made_up}.{context.name}", "A"),
        (f"{made_up}._domainkey.{context.name}", "TXT"),
        (f"{made_up}._tcp.{context.name}", "TLSA"),
        (f"_dmarc.{made_up}.{context.name}", "TXT"),
    )
    found: list[str] = []
    for name, kind in asked:
        answer = resolver.ask(name, kind)
        context.transcript.add("-", str(answer))
        if not answer.absent:
            parent = name.partition(".")[2]
            shown = ", ".join(answer.values) or (f"CNAME {answer.alias}" if answer.alias else "")
            found.append(f"*.{parent} {kind} {shown}".strip() if shown else f"*.{parent}")
    if found:
        form = _("a wildcard answers for names that nobody wrote: {records}")
        yield context.warn(
            form.format(records=", ".join(found)),
            _(
                "remove it, or write the names that you need in its place; until then a record found below {domain} "
                "proves nothing unless its whole value is right"
            ).format(domain=context.name),
        )
        return
    if delegated(context.name):
        try:
            lies = resolver.from_the_resolver(f"{made_up}.{context.name}", "A")
        except NoAnswer:
            lies = ()  # it has nothing to say, which is no lie
        if lies:
            form = _("this machine's resolver gives {addresses} for {name}, which does not exist")
            yield context.warn(
                form.format(addresses=", ".join(lies), name=f"{made_up}.{context.name}"),
                _("give this machine a resolver that does not make up answers (/etc/resolv.conf)"),
            )
            return
    yield context.passed(_("no such name, as it should be"))
