"""Whether all name servers of a zone say the same: one that does not loses or misleads a part of the mail.

Public: the probe `dns.servers`. NoAnswer of the server that is compared with passes through; the runner makes it an
error.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
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
    N_("Every name server of the domain's zone gives the same records"),
    expected=N_(
        "each server that the zone names answers for it, with the records of the authoritative server"
    ),
    steps=(
        N_(
            "Ask the authoritative server for the NS records of the domain's zone, and look up their addresses."
        ),
        N_(
            "Ask each address for MX and TXT of the domain, TXT of _dmarc there, and addresses of its hosts in the "
            "zone."
        ),
        N_(
            "Where they differ and the server has an older version of the zone, wait for it to fetch the new one."
        ),
    ),
    verdicts={
        "pass": N_("all of them answer with authority, and give the same"),
        "fail": N_(
            "a server has other records, does not hold the zone (a lame delegation), or its name has no address"
        ),
        "error": N_("a server gives no answer, or this machine has no route to any of its addresses"),
    },
    refs=("RFC 1034 section 4.2.2", "RFC 1912 section 2.8", "RFC 2182"),
)
def dns_servers(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    zone = resolver.zone_of(context.name)
    names = resolver.ask(zone, "NS").values
    if not names:
        yield context.failed(
            _("{zone} has no NS records").format(zone=zone),
            _("publish the name servers of {zone}").format(zone=zone),
        )
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
                _("the name server {name} of {zone} has no address").format(name=name, zone=zone),
                _("publish one, or remove {name} from the NS records of {zone}").format(name=name, zone=zone),
            )
            return
        reachable = [address for address in addresses if has_route(address)]
        if not reachable:
            silent.append(
                _("{name} ({addresses}): this machine has no route to it").format(
                    name=name, addresses=", ".join(addresses)
                )
            )
        for address in reachable:
            try:
                wrong = _compared(context, zone, name, address, questions)
            except NoAnswer as error:
                context.late = context.late or isinstance(error, QueryTimeout)
                silent.append(f"{name} ({address}): {error}")
                continue
            if wrong:
                yield context.failed(
                    wrong,
                    _(
                        "fix the transfer of {zone} to {name}, or remove {name} from the NS records of {zone}"
                    ).format(zone=zone, name=name),
                )
                return
            good.append(f"{name} ({address})")
    if silent:
        yield context.error(
            _("some servers could not be asked: {servers}").format(servers="; ".join(silent)),
            _("start them, or remove them from the NS records of {zone}").format(zone=zone),
        )
    else:
        yield context.passed(", ".join(good))


def _compared(
    context: DomainContext, zone: str, server: str, address: str, questions: list[tuple[str, str]]
) -> str:
    """What is wrong at one address, as a sentence; empty when all is as the authoritative server says."""
    waiting = context.new_deadline(context.run.timing.transfer)
    while True:
        wrong, behind = _differs(context, zone, server, address, questions)
        if not wrong or not behind:
            return wrong
        try:
            waiting.pause(context.run.timing.poll)
        except ReadTimeout:
            return f"{wrong} {behind}"


def _differs(
    context: DomainContext, zone: str, server: str, address: str, questions: list[tuple[str, str]]
) -> tuple[str, str]:
    """What is wrong, and how far behind its version of the zone is: each a text, or empty."""
    resolver = context.run.resolver
    for name, kind in questions:
        wanted = resolver.ask(name, kind)
        seen = resolver.ask_at(server, address, name, kind)
        if seen is None:
            return _("{server} ({address}) does not hold {zone}").format(
                server=server, address=address, zone=zone
            ), ""
        if (seen.values, seen.alias) != (wanted.values, wanted.alias):
            context.transcript.add("-", str(wanted))
            context.transcript.add("-", str(seen))
            form = _("{server} ({address}) gives {values} for {name} {type}, not {wanted}")
            wrong = form.format(
                server=server,
                address=address,
                values=_said(seen),
                name=name,
                type=kind,
                wanted=_said(wanted),
            )
            return wrong, _behind(context, zone, server, address)
    return "", ""


def _said(answer: Answer) -> str:
    return ", ".join(answer.values) or (f"CNAME {answer.alias}" if answer.alias else _("nothing"))


def _behind(context: DomainContext, zone: str, server: str, address: str) -> str:
    """How old its version of the zone is, if it is older than the authoritative server's (RFC 1982)."""
    resolver = context.run.resolver
    seen = resolver.ask_at(server, address, zone, "SOA")
    if seen is None or not seen.values:
        return ""
    ours, theirs = (int(answer.values[0].split()[2]) for answer in (resolver.ask(zone, "SOA"), seen))
    if not 0 < (ours - theirs) % _SERIALS < _SERIALS // 2:
        return ""
    return _("(it has version {version} of the zone, the authoritative server {newer})").format(
        version=theirs, newer=ours
    )
