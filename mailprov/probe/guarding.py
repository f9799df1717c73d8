"""A probe at work on its targets: whatever happens inside it becomes a finding.

    guarded(probe, context)             its findings; what it could not find out, for whatever reason, is an error
    guarded_together(probe, contexts)   the same, for a probe that looks at several ports at once

Raises nothing.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

from mailprov.i18n import _
from mailprov.model.findings import Finding, Verdict
from mailprov.probe import other_software
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.context import Context, PortContext
from mailprov.probe.registry import Probe, reachability


def guarded_together(probe: Probe, contexts: list[PortContext]) -> Iterator[Finding]:
    """As `guarded`, for a probe that looks at several ports at once."""
    for context in contexts:
        context.begin()
    missing = {context.target: context for context in contexts}
    try:
        for finding in probe.run(contexts):
            context = missing.pop(finding.target)
            seconds = round(time.monotonic() - context.began, 3)
            yield _completed(finding, context, seconds)
    except Exception as error:
        for context in missing.values():
            yield context.error(_broke_off(error))


def guarded(probe: Probe, context: Context) -> Iterator[Finding]:
    """The probe's findings; what it could not find out, for whatever reason, is an error."""
    started = time.monotonic()
    context.begin()
    found: list[Finding] = []
    try:
        context.deadline.left()
        for finding in probe.run(context):
            found.append(finding)  # one by one: what was found before an error stays found
        if not found and not context.told:
            found.append(context.error(_("the probe said nothing (a bug in mailprov)")))
    except ProbeError as error:
        found.append(context.could_not_test(error))
    except Exception as error:
        found.append(context.error(_broke_off(error)))
    seconds = round(time.monotonic() - started, 3)
    with context.run.lock:
        context.run.verdicts.update({(finding.id, finding.target): finding.verdict for finding in found})
    for finding in found:
        yield _completed(finding, context, seconds)


def _broke_off(error: Exception) -> str:
    return _("the probe broke off: {error}").format(error=f"{type(error).__name__}: {error}")


def _completed(finding: Finding, context: Context, seconds: float) -> Finding:
    """With what the probe need not think of."""
    waits = (
        context.waits_for
        if finding.verdict is Verdict.ERROR and finding.id != reachability().entry.id
        else ""
    )
    software = context.run.software.get(finding.target.host, "")
    if software:
        mailbox = finding.target.port in (110, 995, 143, 993)
        advice = other_software.suited(software, finding, mailbox=mailbox)
        if advice != finding.advice:  # then the changes to be copied are Postfix's
            finding = dataclasses.replace(finding, advice=advice, remedies=())
    return dataclasses.replace(finding, seconds=seconds, timed_out=context.timed_out, waits_for=waits)
