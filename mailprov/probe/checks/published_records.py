"""The probe `dns.published`: the records that no other probe looks at.

NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _, ngettext
from mailprov.model.findings import Finding
from mailprov.model.records import Record
from mailprov.probe.clients.resolver import Answer
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.wanted import wanted_records
from mailprov.records import types


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
    publishes = context.run.inventory.dns.at(context.name).provider.publishes
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
        for record in wanted_records(context)
        if record.name not in looked_at and not (record.name in hosts and record.type in ("A", "AAAA"))
    ]
