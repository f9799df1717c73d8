"""The probe `dns.dmarc`: what receivers are told to do with forged mail.

NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.context import DomainContext
from mailprov.probe.mailauth import dmarc
from mailprov.probe.registry import Scope, probe
from mailprov.probe.remedies import publish, publish_alone
from mailprov.probe.wanted import wanted_records


@probe(
    "dns.dmarc",
    Scope.DOMAIN,
    N_("Receivers are told what to do with forged mail of the domain"),
    expected=N_("one DMARC record, with the policy that the inventory declares"),
    steps=(
        N_("Ask the authoritative server for the TXT records of _dmarc at the domain."),
        N_("Compare policy and address for reports with the inventory's."),
        N_("Ask the domain of each address for reports whether it takes them, where it is another one."),
    ),
    verdicts={
        "pass": N_("one record, with the declared policy; any valid one where the inventory declares none"),
        "warn": N_(
            "reports do not go where the inventory says, or to somebody who did not agree; no record, where the "
            "inventory leaves it to mailprov; a tag that weakens the policy, or is not in DMARC any more"
        ),
        "fail": N_("no DMARC record or several, no valid policy, or another one than the inventory's"),
        "error": N_("no authoritative server answers"),
        "skip": N_("the inventory declares no DMARC record, and there is none"),
    },
    cases={
        "no-record": N_("there is no DMARC record"),
        "policy-none": N_("the policy is none, which forbids nothing"),
    },
    refs=("RFC 9989 section 4", "RFC 9990 section 4"),
)
def dns_dmarc(context: DomainContext) -> Iterator[Finding]:
    name = f"_dmarc.{context.name}"
    answer = context.run.resolver.ask(name, "TXT")
    context.transcript.add("-", str(answer))
    planned = next((one for one in wanted_records(context) if one.name == name), None)
    wanted = planned.value if planned else ""
    by_default = planned is not None and not planned.asked
    record = f'{name}. TXT "{wanted or "v=DMARC1; p=none"}"'
    advice = publish(record)
    found = dmarc.records(answer)
    if not found and not wanted:
        yield context.skip(_("the inventory declares no DMARC record, and there is none"), case="no-record")
        return
    if not found and by_default:
        off = _("{publish}, or say `dmarc: off` in the inventory").format(publish=advice)
        yield context.warn(_("no DMARC record"), off, case="no-record")
        return
    if len(found) != 1:
        if found:
            several = _("several DMARC records ({count}): {records}")
            observed = several.format(count=len(found), records=" | ".join(found))
            yield context.failed(observed, publish_alone(record, "v=DMARC1"))
        else:
            yield context.failed(_("no DMARC record"), advice, case="no-record")
        return
    said, declared = dmarc.tags(found[0]), dmarc.tags(wanted)
    policy = dmarc.policy(found[0])
    weak = "policy-none" if policy == "none" else ""
    if not policy:
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
            case=weak,
        )
    elif doubts := dmarc.doubts(found[0]):
        yield context.warn(f"{found[0]}: {'; '.join(doubts)}", advice, case=weak)
    elif missing := _unasked(context, found[0]):
        form = _("reports to {domains} are not sent, as nothing there says that it takes them")
        observed = form.format(domains=", ".join(domain for domain, __ in missing))
        yield context.warn(observed, publish(", ".join(record for __, record in missing)), case=weak)
    else:
        yield context.passed(found[0], case=weak)


def _unasked(context: DomainContext, text: str) -> list[tuple[str, str]]:
    """Who did not agree to get reports. Of a domain of the inventory dns.published tells it."""
    ours = {name for one in context.run.inventory.domains for name in (one.name, *one.domain_aliases)}
    missing = dmarc.without_consent(context.name, text, context.run.resolver.ask)
    return [(domain, record) for domain, record in missing if domain not in ours]
