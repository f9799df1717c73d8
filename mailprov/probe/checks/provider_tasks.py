"""What no record that mailprov writes can change, and others look at: IPv6 of name servers and MX, RPKI.

Public: the probes `dns.ipv6` and `dns.rpki`, whose advice says what to ask whom. Mail tests such as internet.nl's count
both. NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.zones import delegated

_ENOUGH = 2  # name servers with IPv6


@probe(
    "dns.ipv6",
    Scope.ZONE,
    N_("Who has IPv6 alone reaches the name servers and the MX"),
    expected=N_("two name servers of the zone, and every MX, have an IPv6 address"),
    steps=(N_("Look up the AAAA records of the zone's name servers and of the domain's MX."),),
    verdicts={
        "pass": N_("they have"),
        "warn": N_("fewer than two name servers, or not every MX, have one"),
        "error": N_("no authoritative server answers"),
        "skip": N_("it is a name for tests and private networks"),
    },
    refs=("RFC 3901", "RFC 7505"),
    by_name=True,
)
def dns_ipv6(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    zone = resolver.zone_of(context.name)
    if not delegated(zone):
        yield context.skip(_("{zone} is a name for tests and private networks").format(zone=zone))
        return
    view = context.run.zones.view(zone)
    servers = {each.name for each in (*view.servers, *view.no_route) if ":" in each.address}
    targets = [name for name in dict.fromkeys(resolver.mail_servers(context.name)) if name != "."]
    without = [name for name in targets if not any(":" in each for each in resolver.addresses(name))]
    observed, todo = [], []
    if len(servers) < _ENOUGH:
        form = _("{count} of the name servers of {zone} ({names}) have IPv6, not two")
        observed.append(form.format(count=len(servers), names=", ".join(view.names), zone=zone))
        form = _("ask the provider of the zone {zone} for name servers with IPv6")
        todo.append(form.format(zone=zone))
    if without:
        observed.append(_("no IPv6 address of {names}").format(names=", ".join(without)))
        todo.append(
            _("ask the provider of {names} for an IPv6 address, with its PTR, and publish it as AAAA").format(
                names=", ".join(without)
            )
        )
    if observed:
        yield context.for_others(Verdict.WARN, "; ".join(observed), *todo)
    else:
        yield context.passed(", ".join(sorted(servers | set(targets))))


@probe(
    "dns.rpki",
    Scope.ZONE,
    N_("Routes to the name servers and the MX are signed"),
    expected=N_("nothing: it says what to ask whom"),
    steps=(N_("Nothing is looked at: whether a route is signed is in no record of DNS."),),
    verdicts={
        "skip": N_("always, with the addresses to ask about"),
        "error": N_("no authoritative server answers"),
    },
    refs=("RFC 6811", "RFC 9582"),
    by_name=True,
)
def dns_rpki(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    view = context.run.zones.view(resolver.zone_of(context.name))
    addresses = {each.address for each in (*view.servers, *view.no_route)}
    for name in resolver.mail_servers(context.name):
        addresses.update(resolver.addresses(name) if name != "." else ())
    public = sorted(each for each in addresses if ipaddress.ip_address(each).is_global)
    if not public:
        yield context.skip(_("no public address, so there is no route to sign (RPKI)"))
        return
    task = _(
        "ask the providers of {addresses} whether their routes have a ROA (RPKI), which https://stat.ripe.net/ shows"
    )
    yield context.for_others(
        Verdict.SKIP,
        _("whether routes are signed (RPKI) is in no record of DNS"),
        task.format(addresses=", ".join(public)),
    )
