"""Probes of DNS records as the authoritative server gives them.

Public: the probes `dns.a`, `dns.mx`, `dns.spf`, `dns.dmarc`, `dns.published`. NoAnswer passes through;
the runner makes it an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import dns.inet

from mailprov.i18n import N_, _, ngettext
from mailprov.model.findings import Finding
from mailprov.model.inventory import Spf
from mailprov.model.records import Record
from mailprov.probe.clients.resolver import Answer
from mailprov.probe.context import DomainContext, HostContext
from mailprov.probe.mailauth import spf
from mailprov.probe.registry import Scope, probe
from mailprov.records import desired_records, types

# Addresses for documentation (RFC 5737, RFC 3849): nobody sends from there, so no SPF record may let them pass.
_FOREIGN = ("192.0.2.1", "2001:db8::1")
_HOSTED = N_("the mail of every domain is at a provider; see the probes hosted.*")


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
    advice = _publish(records) if records else _("publish its addresses")
    if any(answer.alias for answer in answers):
        yield context.failed(_("{host} is a CNAME, which no MX may point at").format(host=host.fqdn), advice)
    elif not seen:
        used = ", ".join(context.run.addresses.get(host.name, ()))
        form = _("{host} has no address in DNS; the other probes look at {addresses} ({key})")
        if not used:
            form = _("{host} has no address in DNS; the other probes look at nothing ({key})")
        key = f"hosts.{host.name}.address"
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
    unless=_HOSTED,
)
def dns_mx(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    published = [
        record.value for record in _wanted(context) if record.name == context.name and record.type == "MX"
    ]
    wanted = [name for __, name in sorted((int(p), name) for p, name in map(str.split, published))]
    advice = _publish(", ".join(f"{context.name}. MX {value}." for value in published))
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


@probe(
    "dns.spf",
    Scope.DOMAIN,
    N_("The domain's hosts may send in its name, and others may not"),
    expected=N_(
        "exactly one SPF record, which lets every address of the domain's hosts pass and no foreign one"
    ),
    steps=(
        N_("Ask the authoritative server for the TXT records of the domain."),
        N_("Evaluate the SPF record for each address of its hosts, and for addresses that nobody has."),
    ),
    verdicts={
        "pass": N_("own addresses pass, foreign ones do not"),
        "fail": N_(
            "no SPF record or several, a syntax error, an own address that does not pass, or a foreign one that does"
        ),
        "error": N_(
            "no authoritative server answers, or the record uses macros or ptr, which are not evaluated here"
        ),
    },
    refs=("RFC 7208 section 3.2", "RFC 7208 section 4.6.4"),
    applies=lambda context: not context.domain.hosted,
    unless=_HOSTED,
)
def dns_spf(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    own = [item for name in context.domain.hosts for item in _sending_addresses(context, name)]
    terms = " ".join(f"{'ip6' if ':' in item else 'ip4'}:{item}" for item in own)
    record = f'{context.name}. TXT "v=spf1 {terms} -all"'
    if context.domain.spf != Spf():
        wanted = [
            record.value
            for record in _wanted(context)
            if record.name == context.name and record.type == "TXT"
        ]
        record = f'{context.name}. TXT "{wanted[0]}"'
    answer = resolver.ask(context.name, "TXT")
    context.transcript.add("-", str(answer))
    advice = _publish(record)
    found = spf.records(answer)
    if len(found) != 1:
        if found:
            several = _("several SPF records ({count}): {records}")
            observed = several.format(count=len(found), records=" | ".join(found))
            yield context.failed(observed, _publish_alone(record, "v=spf1"))
        else:
            yield context.failed(_("no SPF record"), advice)
        return
    try:
        for address in _FOREIGN:
            if spf.check_host(address, context.name, resolver.ask) == "pass":
                yield context.failed(
                    _("{record} lets anybody pass (such as {address})").format(
                        record=found[0], address=address
                    ),
                    advice,
                )
                return
        for address in own:
            result = spf.check_host(address, context.name, resolver.ask)
            if result != "pass":
                yield context.failed(
                    _("{record} gives {result} for the host's own {address}").format(
                        record=found[0], result=result, address=address
                    ),
                    advice,
                )
                return
    except spf.SpfError as error:
        yield context.failed(f"{found[0]}: {error}", advice)
    except spf.NotEvaluated as error:
        yield context.error(f"{found[0]}: {error}")
    else:
        if own:
            yield context.passed(found[0])
        else:
            yield context.error(_("no address of the domain's hosts is known, so nothing was evaluated"))


def _sending_addresses(context: DomainContext, name: str) -> tuple[str, ...]:
    host = context.run.inventory.host(name)
    return (*host.ipv4, *host.ipv6) or context.run.addresses.get(name, ())


@probe(
    "dns.dmarc",
    Scope.DOMAIN,
    N_("Receivers are told what to do with forged mail of the domain"),
    expected=N_("one DMARC record, with the policy that the inventory declares"),
    steps=(
        N_("Ask the authoritative server for the TXT records of _dmarc at the domain."),
        N_("Compare policy and address for reports with the inventory's."),
    ),
    verdicts={
        "pass": N_("one record, with the declared policy; any valid one where the inventory declares none"),
        "warn": N_(
            "reports do not go where the inventory says; no record, where the inventory leaves it to mailprov"
        ),
        "fail": N_("no DMARC record or several, no valid policy, or another one than the inventory's"),
        "error": N_("no authoritative server answers"),
        "skip": N_("the inventory declares no DMARC record, and there is none"),
    },
    refs=("RFC 9989 section 4",),
)
def dns_dmarc(context: DomainContext) -> Iterator[Finding]:
    name = f"_dmarc.{context.name}"
    answer = context.run.resolver.ask(name, "TXT")
    context.transcript.add("-", str(answer))
    planned = next((one for one in _wanted(context) if one.name == name), None)
    wanted = planned.value if planned else ""
    by_default = planned is not None and not planned.asked
    record = f'{name}. TXT "{wanted or "v=DMARC1; p=none"}"'
    advice = _publish(record)
    found = [text for text in answer.values if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]
    if not found and not wanted:
        yield context.skip(_("the inventory declares no DMARC record, and there is none"))
        return
    if not found and by_default:
        off = _("{publish}, or say `dmarc: off` in the inventory").format(publish=advice)
        yield context.warn(_("no DMARC record"), off)
        return
    if len(found) != 1:
        if found:
            several = _("several DMARC records ({count}): {records}")
            observed = several.format(count=len(found), records=" | ".join(found))
            yield context.failed(observed, _publish_alone(record, "v=DMARC1"))
        else:
            yield context.failed(_("no DMARC record"), advice)
        return
    said, declared = _tags(found[0]), _tags(wanted)
    policy = said.get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        yield context.failed(_("{record} has no valid policy (p=)").format(record=found[0]), advice)
    elif wanted and not by_default and policy != declared["p"]:
        yield context.failed(
            _("{values}, but the inventory says {wanted}").format(
                values=found[0], wanted=f"p={declared['p']}"
            ),
            advice,
        )
    elif (rua := declared.get("rua")) and rua not in re.split(r"\s*,\s*", said.get("rua", "")):
        yield context.warn(
            _("{record} sends no reports to {address}").format(
                record=found[0], address=rua.removeprefix("mailto:")
            ),
            advice,
        )
    else:
        yield context.passed(found[0])


def _publish(records: str) -> str:
    return _("publish {records}").format(records=records)


def _publish_alone(record: str, start: str) -> str:
    return _("publish {record}, and nothing else that starts with {start}").format(record=record, start=start)


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, __, value in pairs}


@probe(
    "dns.published",
    Scope.DOMAIN,
    N_("The domain's other records are published"),
    expected=N_(
        "SPF of the hosts' EHLO names, the addresses of mail_name, consent to DMARC reports about other domains"
    ),
    steps=(
        N_(
            "Ask the authoritative server for each record that `mailprov dns export` prints for names below the "
            "domain, and that no other dns probe looks at; not for DKIM keys, which delivery.dkim looks at."
        ),
    ),
    verdicts={
        "pass": N_("all of them are there"),
        "warn": N_("one is missing, and mailprov does not publish for this inventory"),
        "fail": N_("one is missing, though mailprov publishes for this inventory"),
        "error": N_("no authoritative server answers"),
    },
    refs=("RFC 7208 section 2.3", "RFC 9990 section 4"),
    applies=lambda context: bool(_beside(context)),
    unless=N_("the inventory wants no records here but those that the other probes of DNS look at"),
)
def dns_published(context: DomainContext) -> Iterator[Finding]:
    wanted = _beside(context)
    missing = []
    for record in wanted:
        answer = context.run.resolver.ask(record.name, record.type)
        context.transcript.add("-", str(answer))
        if record.value not in answer.values and not _gave_way(record, answer):
            missing.append(f'{record.name}. {record.type} "{record.value}"')
    if not missing:
        yield context.passed(
            ngettext("{count} record", "{count} records", len(wanted)).format(count=len(wanted))
        )
        return
    publishes = context.run.inventory.dns.provider.publishes
    verdict = context.failed if publishes else context.warn
    advice = (
        _("run {command}").format(command="mailprov dns apply")
        if publishes
        else _("publish them, or run {command} and compare").format(command="mailprov dns export")
    )
    yield verdict(_("not there: {records}").format(records=", ".join(missing)), advice)


def _gave_way(record: Record, answer: Answer) -> bool:
    """Whether something of somebody else stands where mailprov would have put a default (dns/defaults.py)."""
    kind = types.alone(record.name, record.type, record.value)
    others = [
        value for value in answer.values if kind and types.alone(record.name, record.type, value) is kind
    ]
    return not record.asked and bool(others or answer.alias)


def _beside(context: DomainContext) -> list[Record]:
    """What is wanted for this domain and looked at by no other probe."""
    hosts = {context.run.inventory.host(name).fqdn for name in context.domain.hosts}
    looked_at = {context.name, f"_dmarc.{context.name}"}
    looked_at |= context.domain.hosted.names(context.name) if context.domain.hosted else set()
    return [
        record
        for record in _wanted(context)
        if record.name not in looked_at and not (record.name in hosts and record.type in ("A", "AAAA"))
    ]


def _wanted(context: DomainContext) -> list[Record]:
    """The inventory's records at this domain's name and below it, as far as no other mail domain is nearer."""
    run = context.run
    with run.lock:
        if not run.wanted:
            names = {
                name for domain in run.inventory.domains for name in (domain.name, *domain.domain_aliases)
            }
            for record in desired_records(run.inventory):
                labels = record.name.split(".")
                parents = (".".join(labels[start:]) for start in range(len(labels)))
                owner = next((name for name in parents if name in names), "")
                run.wanted.setdefault(owner, []).append(record)
    return run.wanted.get(context.name, [])
