"""Whether all name servers of a zone say the same: one that does not loses or misleads a part of the mail.

Public: the probe `dns.servers`. NoAnswer of the server that is compared with passes through; the runner makes it an
error.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.dkim import record_name
from mailprov.model.findings import Finding
from mailprov.model.hostnames import inside
from mailprov.model.values import dataclass
from mailprov.probe.clients.errors import ReadTimeout
from mailprov.probe.clients.resolver import Answer, NoAnswer, QueryTimeout
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.wanted import signing_keys, wanted_records
from mailprov.probe.zones import Server

_SERIALS = 2**32


@dataclass(frozen=True)
class _Seen:
    """What is wrong at one address, as a sentence with what to do; or why nothing is known."""

    server: Server
    wrong: str = ""
    advice: str = ""
    unknown: NoAnswer | None = None
    no_tcp: str = ""


@probe(
    "dns.servers",
    Scope.ZONE,
    N_("Every name server of the domain's zone gives the same records"),
    expected=N_(
        "each server that the zone names answers for it, with the records of the authoritative server"
    ),
    steps=(
        N_(
            "Ask the authoritative server for the NS records of the domain's zone, and the zone above for those that "
            "it has; look up their addresses."
        ),
        N_(
            "Ask each address, all at once, for every record that the inventory wants in the zone for the domain and "
            "its hosts, for MX, TXT and DMARC at least, and for the DKIM keys that the hosts told; for the first ones "
            "over TCP as well."
        ),
        N_(
            "Where they differ and the server has an older version of the zone, wait for it to fetch the new one. "
            "Versions that differ do not matter where the records are the same."
        ),
    ),
    verdicts={
        "pass": N_("all of them answer with authority, and give the same"),
        "fail": N_(
            "a server has other records, does not hold the zone (a lame delegation), does not answer over TCP, or its "
            "name has no address"
        ),
        "error": N_("a server gives no answer, or this machine has no route to any of its addresses"),
    },
    refs=("RFC 1034 section 4.2.2", "RFC 1912 section 2.8", "RFC 2182", "RFC 7766 section 5"),
)
def dns_servers(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    zone = resolver.zone_of(context.name)
    view = context.run.zones.view(zone)
    if not view.names:
        yield context.failed(
            _("{zone} has no NS records").format(zone=zone),
            _("publish the name servers of {zone}").format(zone=zone),
        )
        return
    wrong = [
        (
            _("the name server {name} of {zone} has no address").format(name=name, zone=zone),
            _("publish one, or remove {name} from the NS records of {zone}").format(name=name, zone=zone),
        )
        for name in view.nowhere
    ]
    questions = _questions(context, zone)
    wanted = {question: resolver.ask(*question) for question in questions}
    seen = context.run.zones.all(view.servers, lambda server: _compared(context, zone, server, wanted))
    mute = [each for each in seen if each.no_tcp]
    for each in seen:
        if each.wrong:
            wrong.append((each.wrong, each.advice))
        elif each.no_tcp and len(mute) < len(seen):
            form = _("{server} does not answer over TCP, as it must where an answer is large: {reason}")
            advice = _("open port 53 for TCP as well at {name}").format(name=each.server.name)
            wrong.append((form.format(server=each.server, reason=each.no_tcp), advice))
    silent = [f"{each.server}: {each.unknown}" for each in seen if each.unknown]
    context.late = context.late or any(isinstance(each.unknown, QueryTimeout) for each in seen)
    there = {server.name for server in view.servers}
    for name in dict.fromkeys(server.name for server in view.no_route if server.name not in there):
        addresses = ", ".join(server.address for server in view.no_route if server.name == name)
        form = _("{name} ({addresses}): this machine has no route to it")
        silent.append(form.format(name=name, addresses=addresses))
    if wrong:
        observed, todo = zip(*wrong, strict=True)
        yield context.failed("; ".join(dict.fromkeys(observed)), "; ".join(dict.fromkeys(todo)))
    elif silent:
        yield context.error(
            _("some servers could not be asked: {servers}").format(servers="; ".join(silent)),
            _("start them, or remove them from the NS records of {zone}").format(zone=zone),
        )
    elif mute:
        form = _("no server of {zone} answers over TCP: {reason}")
        yield context.error(
            form.format(zone=zone, reason=mute[0].no_tcp),
            _("see whether TCP to port 53 is blocked here; if not, open it at the name servers"),
        )
    else:
        yield context.passed(", ".join(map(str, view.servers)))


def _questions(context: DomainContext, zone: str) -> list[tuple[str, str]]:
    """What the domain needs in this zone. The first ones are asked over TCP as well."""
    wanted = [(context.name, "MX"), (context.name, "TXT"), (f"_dmarc.{context.name}", "TXT")]
    wanted += [(record.name, record.type) for record in wanted_records(context)]
    wanted += [(key.name, "TXT") for key in signing_keys(context) if key.text]
    wanted += [(record_name(context.name, each), "TXT") for each in context.run.selectors or ()]
    for host in context.domain.hosts:
        fqdn = context.run.inventory.host(host).fqdn
        if context.run.resolver.zone_of(fqdn) == zone:
            wanted += [(fqdn, "A"), (fqdn, "AAAA")]
    return [each for each in dict.fromkeys(wanted) if inside(each[0], zone)]


def _compared(
    context: DomainContext, zone: str, server: Server, wanted: dict[tuple[str, str], Answer]
) -> _Seen:
    waiting = context.new_deadline(context.run.timing.transfer)
    try:
        while True:
            wrong, behind = _differs(context, zone, server, wanted)
            if not wrong or not behind:
                break
            try:
                waiting.pause(context.run.timing.poll)
            except ReadTimeout:
                wrong = f"{wrong} {behind}"
                break
    except NoAnswer as error:
        return _Seen(server, unknown=error)
    if wrong:
        form = _("fix the transfer of {zone} to {name}, or remove {name} from the NS records of {zone}")
        if server.name not in context.run.zones.view(zone).names:
            form = _("have the registrar of {zone} remove {name}, which the zone itself does not name")
        return _Seen(server, wrong, form.format(zone=zone, name=server.name))
    try:
        for name, kind in [*wanted][:2]:
            context.run.resolver.ask_at(server.name, server.address, name, kind, tcp=True)
    except NoAnswer as error:
        return _Seen(server, no_tcp=str(error))
    return _Seen(server)


def _differs(
    context: DomainContext, zone: str, server: Server, wanted: dict[tuple[str, str], Answer]
) -> tuple[str, str]:
    """What is wrong, and how far behind its version of the zone is: each a text, or empty."""
    resolver = context.run.resolver
    for (name, kind), right in wanted.items():
        seen = resolver.ask_at(server.name, server.address, name, kind)
        if seen is None:
            if name != zone and resolver.zone_of(name) != zone:
                continue  # a zone of its own below
            return _("{server} does not hold {zone}").format(server=server, zone=zone), ""
        if (seen.values, seen.alias) != (right.values, right.alias):
            context.transcript.add("-", str(right))
            context.transcript.add("-", str(seen))
            form = _("{server} gives {values} for {name} {type}, not {wanted}")
            wrong = form.format(server=server, values=_said(seen), name=name, type=kind, wanted=_said(right))
            return wrong, _behind(context, zone, server)
    return "", ""


def _said(answer: Answer) -> str:
    return ", ".join(answer.values) or (f"CNAME {answer.alias}" if answer.alias else _("nothing"))


def _behind(context: DomainContext, zone: str, server: Server) -> str:
    """How old its version of the zone is, if it is older than the authoritative server's (RFC 1982)."""
    resolver = context.run.resolver
    seen = resolver.ask_at(server.name, server.address, zone, "SOA")
    if seen is None or not seen.values:
        return ""
    ours, theirs = (int(answer.values[0].split()[2]) for answer in (resolver.ask(zone, "SOA"), seen))
    if not 0 < (ours - theirs) % _SERIALS < _SERIALS // 2:
        return ""
    return _("(it has version {version} of the zone, the authoritative server {newer})").format(
        version=theirs, newer=ours
    )
