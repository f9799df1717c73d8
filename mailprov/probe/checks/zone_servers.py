"""Whether all name servers of a zone say the same: one that does not loses or misleads a part of the mail.

Public: the probe `dns.servers`. NoAnswer of the server that is compared with passes through; the runner makes it an
error.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.model.findings import Finding
from mailprov.probe.clients.errors import ReadTimeout
from mailprov.probe.clients.resolver import Answer, NoAnswer, QueryTimeout
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.targets import has_route

_SERIALS = 2**32


@probe(
    "dns.servers",
    Scope.DOMAIN,
    "Every name server of the domain's zone gives the same records",
    expected="each server that the zone names answers for it, with the records of the authoritative server",
    steps=(
        "Ask the authoritative server for the NS records of the domain's zone, and look up their addresses.",
        "Ask each address for MX and TXT of the domain, TXT of _dmarc there, and addresses of its hosts in the zone.",
        "Where they differ and the server has an older version of the zone, wait for it to fetch the new one.",
    ),
    verdicts={
        "pass": "all of them answer with authority, and alike",
        "fail": "a server has other records, does not hold the zone (a lame delegation), or its name has no address",
        "error": "a server gives no answer, or this machine has no route to any of its addresses",
    },
    refs=("RFC 1034 section 4.2.2", "RFC 1912 section 2.8", "RFC 2182"),
)
def dns_servers(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    zone = resolver.zone_of(context.name)
    names = resolver.ask(zone, "NS").values
    if not names:
        yield context.failed(f"{zone} has no NS records", f"publish the name servers of {zone}")
        return
    questions = [(context.name, "MX"), (context.name, "TXT"), (f"_dmarc.{context.name}", "TXT")]
    for host in context.domain.hosts:
        fqdn = context.run.inventory.host(host).fqdn
        if resolver.zone_of(fqdn) == zone:
            questions += [(fqdn, "A"), (fqdn, "AAAA")]
    good: list[str] = []
    silent: list[str] = []
    for name in names:
        addresses = resolver.addresses(name)
        if not addresses:
            yield context.failed(
                f"the name server {name} of {zone} has no address",
                f"publish one, or take {name} out of {zone} NS",
            )
            return
        reachable = [address for address in addresses if has_route(address)]
        if not reachable:
            silent.append(f"{name} ({', '.join(addresses)}): this machine has no route to it")
        for address in reachable:
            try:
                wrong = _compared(context, zone, name, address, questions)
            except NoAnswer as error:
                context.late = context.late or isinstance(error, QueryTimeout)
                silent.append(f"{name} ({address}): {error}")
                continue
            if wrong:
                yield context.failed(
                    f"{name} ({address}) {wrong}",
                    f"fix the transfer of {zone} to {name}, or take it out of {zone} NS",
                )
                return
            good.append(f"{name} ({address})")
    if silent:
        yield context.error(f"not known of {'; '.join(silent)}", f"start it, or take it out of {zone} NS")
    else:
        yield context.passed(", ".join(good))


def _compared(
    context: DomainContext, zone: str, server: str, address: str, questions: list[tuple[str, str]]
) -> str:
    """What is wrong at one address; empty when all is as the authoritative server says."""
    waiting = context.new_deadline(context.run.timing.transfer)
    while True:
        wrong, behind = _differs(context, zone, server, address, questions)
        if not wrong or not behind:
            return wrong + behind
        try:
            waiting.pause(context.run.timing.poll)
        except ReadTimeout:
            return wrong + behind


def _differs(
    context: DomainContext, zone: str, server: str, address: str, questions: list[tuple[str, str]]
) -> tuple[str, str]:
    resolver = context.run.resolver
    for name, kind in questions:
        wanted = resolver.ask(name, kind)
        seen = resolver.ask_at(server, address, name, kind)
        if seen is None:
            return f"does not hold {zone}", ""
        if (seen.values, seen.alias) != (wanted.values, wanted.alias):
            context.transcript.add("-", str(wanted))
            context.transcript.add("-", str(seen))
            return f"gives {_said(seen)} for {name} {kind}, not {_said(wanted)}", _behind(
                context, zone, server, address
            )
    return "", ""


def _said(answer: Answer) -> str:
    return ", ".join(answer.values) or (f"CNAME {answer.alias}" if answer.alias else "nothing")


def _behind(context: DomainContext, zone: str, server: str, address: str) -> str:
    """How old its version of the zone is, if it is older than the authoritative server's (RFC 1982)."""
    resolver = context.run.resolver
    seen = resolver.ask_at(server, address, zone, "SOA")
    if seen is None or not seen.values:
        return ""
    ours, theirs = (int(answer.values[0].split()[2]) for answer in (resolver.ask(zone, "SOA"), seen))
    if not 0 < (ours - theirs) % _SERIALS < _SERIALS // 2:
        return ""
    return f" (it has version {theirs} of the zone, the authoritative server {ours})"
