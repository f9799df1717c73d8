"""SPF: whether a domain's own hosts, or its provider, may send in its name, and others may not.

Public: the probes `dns.spf` and `hosted.spf`, which evaluate the record in the same way (RFC 7208 section 4). NoAnswer
passes through; the runner makes it an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.inventory import Spf
from mailprov.probe.context import DomainContext
from mailprov.probe.mailauth import spf
from mailprov.probe.registry import Scope, probe
from mailprov.probe.remedies import publish, publish_alone
from mailprov.probe.wanted import ALL_HOSTED, NONE_HOSTED, wanted_records
from mailprov.records.types.spf import hosted_spf, lets_send

# Addresses for documentation (RFC 5737, RFC 3849): nobody sends from there, so no SPF record may let them pass.
_FOREIGN = ("192.0.2.1", "2001:db8::1")
SIZE = N_("the record has more than 450 characters")


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
        "warn": SIZE,
        "fail": N_(
            "no SPF record or several, a syntax error, an own address that does not pass, a foreign one that does, "
            "more than ten DNS lookups, or more than two of them in vain"
        ),
        "error": N_(
            "no authoritative server answers, or the record uses macros or ptr, which are not evaluated here"
        ),
    },
    refs=("RFC 7208 section 3.2", "RFC 7208 section 4.6.4"),
    applies=lambda context: not context.domain.hosted,
    unless=ALL_HOSTED,
)
def dns_spf(context: DomainContext) -> Iterator[Finding]:
    own = [item for name in context.domain.hosts for item in _sending_addresses(context, name)]
    terms = " ".join(f"{'ip6' if ':' in item else 'ip4'}:{item}" for item in own)
    text = f"v=spf1 {terms} -all"
    if context.domain.spf != Spf():
        records = wanted_records(context)
        text = next(each.value for each in records if (each.name, each.type) == (context.name, "TXT"))
    record = f'{context.name}. TXT "{text}"'
    found = _records(context)
    if len(found) != 1:
        yield _none_or_several(context, found, record, publish(record))
    else:
        yield from _evaluated(context, found[0], own, publish(record))


def _sending_addresses(context: DomainContext, name: str) -> tuple[str, ...]:
    host = context.run.inventory.host(name)
    return (*host.ipv4, *host.ipv6) or context.run.addresses.get(name, ())


@probe(
    "hosted.spf",
    Scope.DOMAIN,
    N_("The provider may send in the domain's name, and others may not"),
    expected=N_(
        "exactly one SPF record, which includes the provider's and what the inventory names, and ends in ~all or -all"
    ),
    steps=(
        N_("Ask the authoritative server for the TXT records of the domain."),
        N_("Look for the includes; evaluate the record, and the provider's, for addresses that nobody has."),
    ),
    verdicts={
        "pass": N_("the includes are there, and foreign addresses do not pass"),
        "warn": N_(
            "there is none, and the inventory does not say who sends, or it has more than 450 characters"
        ),
        "fail": N_(
            "no SPF record or several, a missing include, a syntax error, a foreign address that passes, more than ten "
            "DNS lookups, or more than two of them in vain"
        ),
        "error": N_(
            "no authoritative server answers, or the record uses macros or ptr, which are not evaluated here"
        ),
    },
    refs=("RFC 7208 section 3.2", "RFC 7208 section 4.6.4"),
    applies=lambda context: context.domain.hosted is not None,
    unless=NONE_HOSTED,
)
def hosted_spf_record(context: DomainContext) -> Iterator[Finding]:
    there = context.domain.hosted
    assert there is not None
    wanted = hosted_spf(there, context.domain.spf)
    record = f'{context.name}. TXT "{wanted}"'
    publishes = context.run.inventory.dns.at(context.name).provider.publishes
    advice = _("run {command}").format(command="mailprov dns apply") if publishes else publish(record)
    found = _records(context)
    if not found and not wanted:
        what = _("no SPF record, and the inventory does not say who sends mail of the domain")
        yield context.warn(
            what, _("name the provider's domain for SPF in the domain's `spf: {include: […]}`")
        )
        return
    if len(found) != 1:
        yield _none_or_several(context, found, record, advice)
        return
    needed, lets = lets_send(wanted) or frozenset(), lets_send(found[0])
    if lets is None:
        form = _("{record} does not end in ~all or -all, so others may send as well")
        yield context.failed(form.format(record=found[0]), advice)
    elif missing := sorted(needed - lets):
        form = _("{record} lacks {terms}")
        yield context.failed(form.format(record=found[0], terms=", ".join(missing)), advice)
    else:
        yield from _evaluated(context, found[0], None, advice)


def _records(context: DomainContext) -> list[str]:
    answer = context.run.resolver.ask(context.name, "TXT")
    context.transcript.add("-", str(answer))
    return spf.records(answer)


def _none_or_several(context: DomainContext, found: list[str], record: str, advice: str) -> Finding:
    if not found:
        return context.failed(_("no SPF record"), advice)
    several = _("several SPF records ({count}): {records}")
    observed = several.format(count=len(found), records=" | ".join(found))
    return context.failed(observed, publish_alone(record, "v=spf1"))


def _evaluated(
    context: DomainContext, record: str, own: Sequence[str] | None, advice: str
) -> Iterator[Finding]:
    """The one record there is, for foreign addresses, which must not pass, and for `own`, which must. None: whoever
    sends is the provider's.
    """
    ask = context.follow
    try:
        for address in _FOREIGN:
            if spf.check_host(address, context.name, ask) == "pass":
                form = _("{record} lets anybody pass (such as {address})")
                yield context.failed(form.format(record=record, address=address), advice)
                return
        for address in own or ():
            result = spf.check_host(address, context.name, ask)
            if result != "pass":
                form = _("{record} gives {result} for the host's own {address}")
                yield context.failed(form.format(record=record, result=result, address=address), advice)
                return
    except spf.SpfError as error:
        yield context.failed(f"{record}: {error}", advice)
    except spf.NotEvaluated as error:
        yield context.error(f"{record}: {error}")
    else:
        if own is not None and not own:
            yield context.error(_("no address of the domain's hosts is known, so nothing was evaluated"))
        elif len(record) > spf.USUAL_SIZE:
            form = _("it has {count} characters, and some receivers read no more than {limit}: {record}")
            observed = form.format(record=record, count=len(record), limit=spf.USUAL_SIZE)
            yield context.warn(
                observed, _("name networks in place of single addresses, or move some to an include")
            )
        else:
            yield context.passed(record)
