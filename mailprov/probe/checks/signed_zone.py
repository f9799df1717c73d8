"""DNSSEC: whether a zone is signed, and if it is, whether validating resolvers believe what it says of mail.

Public: the probes `dns.dnssec` and `dns.dnssec-mx`. From the zone above on: whether that one is signed itself, all the
way from the root, is not looked at. NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.model.values import dataclass, field
from mailprov.probe import dnssec
from mailprov.probe.clients.connection import printable
from mailprov.probe.clients.resolver import NoAnswer
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.zones import Server, View

_DAY = 86400
_MOST = 16  # MX that are looked at
_SOON, _PART = 3 * _DAY, 4  # it is late where less than three days, and a fourth of its time, are left


@dataclass(frozen=True)
class _Look:
    """What one server showed. `unknown`: it could not be asked."""

    server: Server
    keys: tuple[DNSKEY, ...] = ()
    flaw: str = ""
    expires: float = float("inf")
    lifetime: float = float("inf")
    unknown: str = ""
    said: list[str] = field(default_factory=list)


@probe(
    "dns.dnssec",
    Scope.ZONE,
    N_("Nobody on the way can forge the domain's records"),
    expected=N_("the zone is signed, its signatures fit its keys, and the zone above vouches for these (DS)"),
    steps=(
        N_("Ask the zone above for the DS records of the domain's zone, and each name server for its keys."),
        N_(
            "Ask each name server for SOA, MX, TXT and DMARC of the domain, and for a name that does not exist, with "
            "signatures."
        ),
        N_("Check the keys against the DS records, and the signatures against the keys and the clock."),
    ),
    verdicts={
        "pass": N_("every signature fits, and the zone above vouches for the keys"),
        "warn": N_(
            "the zone is not signed, or the zone above has no DS record of it; or signatures end within three days and "
            "nobody renewed them in time"
        ),
        "fail": N_(
            "validating resolvers refuse the zone: no key fits the DS records, or a signature is missing, wrong or over"
        ),
        "error": N_("no name server of the zone, or of the zone above, answers"),
        "skip": N_("it is a name for tests and private networks, for which no zone above can vouch"),
    },
    cases={
        "unsigned": N_("the zone is not signed"),
        "not-vouched": N_("the zone above has no DS record"),
    },
    refs=("RFC 4035 section 5", "RFC 9364", "RFC 6840"),
    by_name=True,
)
def dns_dnssec(context: DomainContext) -> Iterator[Finding]:
    zone = context.run.resolver.zone_of(context.name)
    names = (
        (context.name, "MX"),
        (context.name, "TXT"),
        (f"_dmarc.{context.name}", "TXT"),
        (f"mailprov-{context.run.nonce}.{context.name}", "A"),
    )
    yield _judged(context, zone, names)


@probe(
    "dns.dnssec-mx",
    Scope.ZONE,
    N_("Nobody on the way can forge the addresses of the domain's MX"),
    expected=N_("the zone of each MX is signed, as dns.dnssec looks at that of the domain"),
    steps=(
        N_("Look up the zone of each MX; one that is the domain's own zone is for dns.dnssec."),
        N_("Do there what dns.dnssec does, with the addresses of the MX."),
    ),
    verdicts={
        "pass": N_("every signature fits, and the zone above vouches for the keys"),
        "warn": N_(
            "a zone is not signed, or the zone above has no DS record of it: no TLSA record there counts (DANE)"
        ),
        "fail": N_("validating resolvers refuse a zone, so that they deliver no mail to its MX"),
        "error": N_("no name server of a zone, or of the zone above, answers"),
        "skip": N_("the domain has no MX in another zone, or in one for tests and private networks alone"),
    },
    cases={
        "unsigned": N_("a zone is not signed"),
        "not-vouched": N_("a zone above has no DS record"),
    },
    refs=("RFC 7672 section 2.2.1", "RFC 4035 section 5"),
    by_name=True,
)
def dns_dnssec_mx(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    own = resolver.zone_of(context.name)
    zones: dict[str, list[str]] = {}
    for target in dict.fromkeys(resolver.mail_servers(context.name)[:_MOST]):
        zone = own if target == "." else resolver.zone_of(target)
        if zone != own:
            zones.setdefault(zone, []).append(target)
    if not zones:
        yield context.skip(_("no MX in another zone than the domain's own"))
        return
    ask = _("ask whoever runs the MX {names} for one in a signed zone")
    found = [
        _judged(
            context,
            zone,
            [(name, kind) for name in targets for kind in ("A", "AAAA")],
            ask.format(names=", ".join(targets)),
        )
        for zone, targets in zones.items()
    ]
    worst = next(
        verdict
        for verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.WARN, Verdict.SKIP, Verdict.PASS)
        if any(each.verdict is verdict for each in found)
    )
    some = [each for each in found if each.verdict is worst]
    observed = "; ".join(
        f"{zone}: {each.observed}" for zone, each in zip(zones, found, strict=True) if each in some
    )
    context.transcript.lines += [line for each in found for line in each.evidence]
    advice = "; ".join(dict.fromkeys(each.advice for each in some if each.advice))
    tasks = tuple(task for each in found for task in each.tasks)
    yield context.finding(worst, observed, advice, tasks=tasks, case=some[0].case)


def _judged(
    context: DomainContext, zone: str, names: Sequence[tuple[str, str]], unsigned: str = ""
) -> Finding:
    """`names`: what is asked for there besides the SOA, with the type. `unsigned`: the task where it is not signed."""
    view = context.run.zones.view(zone)
    above = view.above
    if above.why and not above.private:
        raise NoAnswer(above.why)
    context.transcript.add("-", f"{zone} DS: {', '.join(map(str, above.ds)) or '-'}")
    looks = context.run.zones.all(view.servers, lambda server: _look(context, view, server, names))
    for look in looks:
        for said in look.said:
            context.transcript.add("-", said)
    answered = [look for look in looks if not look.unknown]
    if not answered:
        raise NoAnswer(
            "; ".join(look.unknown for look in looks) or _("no server of {zone}").format(zone=zone)
        )
    wrong = [f"{look.server}: {look.flaw}" for look in answered if look.flaw]
    keys = next((look.keys for look in answered if look.keys), ())
    first = min(answered, key=lambda look: look.expires)
    left = first.expires - time.time()
    if wrong:
        return context.failed("; ".join(wrong), _remedy(zone, keys))
    if not keys and above.private:
        return context.skip(_("not signed; {why}").format(why=above.why))
    if not keys:
        form = _("the zone {zone} is not signed")
        advice = _("ask the provider of the zone {zone} to sign it, and its registrar to enter the DS record")
        task = unsigned or advice.format(zone=zone)
        return context.for_others(Verdict.WARN, form.format(zone=zone), task, case="unsigned")
    if above.private:
        return context.skip(_("every signature fits the zone's own keys; {why}").format(why=above.why))
    if dnssec.unusable(above.ds):
        form = _("{zone} is signed, and {above} has no DS record of it, so nobody looks at the signatures")
        advice = _("have the registrar of {zone} enter {records}")
        records = ", ".join(dnssec.ds_of(zone, keys))
        observed = form.format(zone=zone, above=above.zone)
        task = advice.format(zone=zone, records=records)
        return context.for_others(Verdict.WARN, observed, task, case="not-vouched")
    if left < min(_SOON, first.lifetime / _PART):
        form = _("a signature at {server} ends in {hours} hours, and nobody renewed it in time")
        return context.warn(
            form.format(server=first.server, hours=max(0, round(left / 3600))),
            _(
                "see why the primary of {zone} signs no more, or its transfer to this server stands still"
            ).format(zone=zone),
        )
    tags = ", ".join(sorted({str(each.key_tag) for each in above.ds}))
    form = _("signed; {above} vouches for key {tags}")
    return context.passed(form.format(above=above.zone, tags=tags))


def _remedy(zone: str, keys: tuple[DNSKEY, ...]) -> str:
    if not keys:
        return _("sign the zone {zone} again, or have its registrar remove the DS record").format(zone=zone)
    return _(
        "sign the zone {zone} anew, and see that its registrar has {records} and no other DS record"
    ).format(zone=zone, records=", ".join(dnssec.ds_of(zone, keys)))


def _look(context: DomainContext, view: View, server: Server, names: Sequence[tuple[str, str]]) -> _Look:
    zone, now = view.zone, time.time()

    def ask(name: str, kind: str) -> list[dnssec.Signed]:
        reply = context.run.resolver.reply_of(server.name, server.address, name, kind, dnssec=True)
        if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not reply.flags & dns.flags.AA:
            raise NoAnswer(_("{server} does not hold {zone}").format(server=server, zone=zone))
        inside = dns.name.from_text(zone)  # what a CNAME leads to elsewhere is signed by others
        return [each for each in dnssec.sets(reply) if each.rrset.name.is_subdomain(inside)]

    try:
        own = next((each for each in ask(zone, "DNSKEY") if _is(each, zone, "DNSKEY")), None)
        if own is None:
            flaw = _("no keys, although the zone above has a DS record") if view.above.ds else ""
            return _Look(server, flaw="" if dnssec.unusable(view.above.ds) else flaw)
        keys: tuple[DNSKEY, ...] = tuple(own.rrset)
        trusted: Sequence[DNSKEY] = keys
        if not dnssec.unusable(view.above.ds):
            trusted = dnssec.vouched(zone, view.above.ds, keys)
            if not trusted:
                return _Look(server, keys, _("none of its keys fits the DS records of the zone above"))
        if flaw := dnssec.flaw(own, zone, trusted, now):
            return _Look(server, keys, flaw)
        signed = [own]
        for name, kind in ((zone, "SOA"), *names):
            found = ask(name, kind)
            signed += [each for each in found if each.rrset.rdtype != dns.rdatatype.NS]
            if not any(_is(each, name, kind) for each in found) and not any(map(_denies, found)):
                flaw = _("no proof that there is no {name} {type}").format(name=name, type=kind)
                return _Look(server, keys, flaw)
        for each in signed:
            if flaw := dnssec.flaw(each, zone, keys, now):
                return _Look(server, keys, printable(flaw))
    except NoAnswer as error:
        return _Look(server, unknown=str(error))
    expires, lifetime = dnssec.soonest(signed)
    form = _("{server}: {keys} keys (DNSKEY), {sets} record sets with signatures")
    said = [form.format(server=server, keys=len(keys), sets=len(signed))]
    return _Look(server, keys, "", expires, lifetime, "", said)


def _is(signed: dnssec.Signed, name: str, kind: str) -> bool:
    right = (dns.rdatatype.from_text(kind), dns.rdatatype.CNAME)
    return signed.rrset.name == dns.name.from_text(name) and signed.rrset.rdtype in right


def _denies(signed: dnssec.Signed) -> bool:
    return signed.rrset.rdtype in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
