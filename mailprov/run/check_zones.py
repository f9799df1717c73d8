"""`dns check`: what the world sees of zones, and whether it is what the hosts need.

    check(inventory, selection, …) -> exit code       of an inventory; its hosts are asked for the keys they sign with
    check_foreign(domain, …) -> exit code             of a domain that no inventory describes

Exit codes are those of `verify`. Nothing is changed anywhere.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Collection

from mailprov import __version__
from mailprov.i18n import _
from mailprov.model.dkim import PublicKeys
from mailprov.model.events import Emit, Notice, Progress, RunEnded, RunStarted
from mailprov.model.findings import Finding
from mailprov.model.inventory import Domain, Inventory, Profile
from mailprov.probe import selects
from mailprov.run.dkim_keys import ask
from mailprov.run.event_queue import EventQueue
from mailprov.run.hosts import Start
from mailprov.run.ident import run_id
from mailprov.run.select import Selection
from mailprov.run.verify import probe_into, summary

FAMILIES = ("dns.", "hosted.", "dane.")
FOREIGN = ("zone.", "dns.", "dane.")


def check(
    inventory: Inventory,
    selection: Selection,
    *,
    probe_ids: Collection[str] = (),
    skip_ids: Collection[str] = (),
    start: Start | None,
    report: Emit,
) -> int:
    """`probe_ids`: words for `probe.selects`; without any, all of FAMILIES. Without `start` no host is asked."""
    return _checked(
        inventory, selection, tuple(probe_ids) or FAMILIES, skip_ids, None, start=start, report=report
    )


def check_foreign(
    domain: str,
    selectors: tuple[str, ...],
    *,
    probe_ids: Collection[str] = (),
    skip_ids: Collection[str] = (),
    profile: Profile = Profile.DEFAULT,
    report: Emit,
) -> int:
    """`selectors`: where its DKIM keys are."""
    inventory = Inventory("", (), (Domain(domain, ()),), profile=profile)
    selection = Selection((), (domain,))
    return _checked(
        inventory, selection, tuple(probe_ids) or FOREIGN, skip_ids, selectors, start=None, report=report
    )


def _checked(
    inventory: Inventory,
    selection: Selection,
    probe_ids: Collection[str],
    skip_ids: Collection[str],
    selectors: tuple[str, ...] | None,
    *,
    start: Start | None,
    report: Emit,
) -> int:
    began = time.monotonic()
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    report(RunStarted("dns check", inventory.source, __version__, started, inventory.profile.value))
    findings: list[Finding] = []
    events = EventQueue(report)
    try:
        signing = _signing(inventory, selection, probe_ids, start, report) if start else None
        code = probe_into(
            events,
            inventory,
            selection,
            probe_ids=probe_ids,
            skip_ids=skip_ids,
            ident=run_id(),
            findings=findings,
            signing=signing,
            selectors=selectors,
        )
    except KeyboardInterrupt:
        events.wake(RunEnded(130, _("interrupted"), time.monotonic() - began))
        return 130
    events.wake(RunEnded(code, summary(findings, inventory.profile), time.monotonic() - began))
    return code


def _signing(
    inventory: Inventory, selection: Selection, probe_ids: Collection[str], start: Start, report: Emit
) -> PublicKeys | None:
    """What the selected hosts sign with. One that cannot be asked is left out, and said."""
    if not selection.hosts or not any(selects(each, "dns.dkim") for each in probe_ids):
        return None
    report(Progress("dns", _("asking the hosts for their DKIM keys")))
    told = ask(inventory, selection.hosts, command="dns check", start=start, report=lambda event: None)
    for error in told.errors:
        form = _("{host} could not be asked for its DKIM keys: {reason}")
        report(Notice("dns", form.format(host=error.where, reason=error.what)))
    return told.public
