"""Whether all name servers of a zone say the same: one that does not loses or misleads a part of the mail.

Public: the probe `dns.servers`. NoAnswer of the server that is compared with passes through; the runner makes it an
error.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.model.findings import Finding
from mailprov.probe.clients.connection import Silence
from mailprov.probe.clients.resolver import Answer, Late, NoAnswer
from mailprov.probe.context import DomainCase
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
def dns_servers(case: DomainCase) -> Iterator[Finding]:
    authority = case.run.authority
    zone = authority.zone_of(case.name)
    names = authority.ask(zone, "NS").values
    if not names:
        yield case.failed(f"{zone} has no NS records", f"publish the name servers of {zone}")
        return
    questions = [(case.name, "MX"), (case.name, "TXT"), (f"_dmarc.{case.name}", "TXT")]
    for host in case.domain.hosts:
        fqdn = case.run.inventory.host(host).fqdn
        if authority.zone_of(fqdn) == zone:
            questions += [(fqdn, "A"), (fqdn, "AAAA")]
    good: list[str] = []
    silent: list[str] = []
    for name in names:
        addresses = authority.addresses(name)
        if not addresses:
            yield case.failed(
                f"the name server {name} of {zone} has no address",
                f"publish one, or take {name} out of {zone} NS",
            )
            return
        reachable = [address for address in addresses if has_route(address)]
        if not reachable:
            silent.append(f"{name} ({', '.join(addresses)}): this machine has no route to it")
        for address in reachable:
            try:
                wrong = _compared(case, zone, name, address, questions)
            except NoAnswer as trouble:
                case.late = case.late or isinstance(trouble, Late)
                silent.append(f"{name} ({address}): {trouble}")
                continue
            if wrong:
                yield case.failed(
                    f"{name} ({address}) {wrong}",
                    f"mend the transfer of {zone} to {name}, or take it out of {zone} NS",
                )
                return
            good.append(f"{name} ({address})")
    if silent:
        yield case.error(f"not known of {'; '.join(silent)}", f"start it, or take it out of {zone} NS")
    else:
        yield case.passed(", ".join(good))


def _compared(
    case: DomainCase, zone: str, server: str, address: str, questions: list[tuple[str, str]]
) -> str:
    """What is wrong at one address; empty when all is as the authoritative server says."""
    waiting = case.new_deadline(case.run.timing.transfer)
    while True:
        wrong, behind = _differs(case, zone, server, address, questions)
        if not wrong or not behind:
            return wrong + behind
        try:
            waiting.pause(case.run.timing.poll)
        except Silence:
            return wrong + behind


def _differs(
    case: DomainCase, zone: str, server: str, address: str, questions: list[tuple[str, str]]
) -> tuple[str, str]:
    authority = case.run.authority
    for name, kind in questions:
        wanted = authority.ask(name, kind)
        seen = authority.ask_at(server, address, name, kind)
        if seen is None:
            return f"does not hold {zone}", ""
        if (seen.values, seen.alias) != (wanted.values, wanted.alias):
            case.transcript.add("-", str(wanted))
            case.transcript.add("-", str(seen))
            return f"gives {_said(seen)} for {name} {kind}, not {_said(wanted)}", _behind(
                case, zone, server, address
            )
    return "", ""


def _said(answer: Answer) -> str:
    return ", ".join(answer.values) or (f"CNAME {answer.alias}" if answer.alias else "nothing")


def _behind(case: DomainCase, zone: str, server: str, address: str) -> str:
    """How old its version of the zone is, if it is older than the authoritative server's (RFC 1982)."""
    authority = case.run.authority
    seen = authority.ask_at(server, address, zone, "SOA")
    if seen is None or not seen.values:
        return ""
    ours, theirs = (int(answer.values[0].split()[2]) for answer in (authority.ask(zone, "SOA"), seen))
    if not 0 < (ours - theirs) % _SERIALS < _SERIALS // 2:
        return ""
    return f" (it has version {theirs} of the zone, the authoritative server {ours})"
