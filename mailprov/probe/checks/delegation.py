"""Whether the world finds a zone: what the zone above says of its name servers, and what the zone itself says.

Public: the probe `dns.delegation`. NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.clients.resolver import NoAnswer
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.zones import View


@probe(
    "dns.delegation",
    Scope.ZONE,
    N_("The zone above names the zone's name servers"),
    expected=N_("the NS records of the zone above are those of the zone, with the addresses of the servers"),
    steps=(
        N_("Ask a name server of the zone above for the NS records of the domain's zone."),
        N_(
            "Compare them with the zone's own, and the addresses beside them (glue) with those of the servers."
        ),
    ),
    verdicts={
        "pass": N_("both say the same"),
        "warn": N_("they name different servers"),
        "fail": N_(
            "the zone above does not name the zone, so that nobody finds it, or has a wrong address of a server"
        ),
        "error": N_("no name server of the zone, or of the zone above, answers"),
        "skip": N_("it is a name for tests and private networks, which no public zone delegates"),
    },
    refs=("RFC 1034 section 4.2.2", "RFC 9471"),
    by_name=True,
)
def dns_delegation(context: DomainContext) -> Iterator[Finding]:
    zone = context.run.resolver.zone_of(context.name)
    view = context.run.zones.view(zone)
    above = view.above
    if above.private:
        yield context.skip(above.why)
        return
    if above.why:
        raise NoAnswer(above.why)
    context.transcript.add("-", f"{above.server}: {zone} NS: {', '.join(above.names)}")
    context.transcript.add("-", f"{zone} NS: {', '.join(view.names)}")
    ask = _("have the registrar of {zone} enter these name servers: {names}").format(
        zone=zone, names=", ".join(view.names)
    )
    if above.absent:
        form = _("{above} ({server}) has no NS records of {zone}, so nobody finds it")
        observed = form.format(above=above.zone, server=above.server, zone=zone)
        yield context.for_others(Verdict.FAIL, observed, ask)
    elif wrong := _wrong_glue(context, view):
        task = _("have the registrar of {zone} change these addresses: {wrong}")
        yield context.for_others(Verdict.FAIL, wrong, task.format(zone=zone, wrong=wrong))
    elif set(above.names) != set(view.names):
        form = _("{above} names {theirs}, {zone} itself {ours}")
        observed = form.format(
            above=above.zone, theirs=", ".join(above.names), zone=zone, ours=", ".join(view.names)
        )
        yield context.for_others(Verdict.WARN, observed, ask)
    else:
        yield context.passed(", ".join(view.names))


def _wrong_glue(context: DomainContext, view: View) -> str:
    wrong = []
    for name, glue in view.above.glue.items():
        try:
            right = context.run.resolver.addresses(name)
        except NoAnswer:
            continue  # dns.servers tells it
        if right and not set(glue) <= set(right):
            form = _("{above} has {glue} as address of {name}, which is {right}")
            wrong.append(
                form.format(above=view.above.zone, glue=", ".join(glue), name=name, right=", ".join(right))
            )
    return "; ".join(wrong)
