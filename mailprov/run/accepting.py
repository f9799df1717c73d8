"""Accepted findings: which failures and warnings of a run the inventory expects, and what is told of that.

    check(inventory)          raises InventoryError where an accepted probe does not exist
    Acceptance(inventory)     of one run
        .judged(finding)      the finding, or a skip with the reason in its place
        .told(whole)          a sentence for each entry that has ended, or that nothing was found for

Only what was tested is accepted: what could not be tested stays an error, unless it only waits for something that is
accepted. An entry that has ended counts no more.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace

from mailprov.errors import InventoryError, Problem
from mailprov.i18n import _
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.inventory import Accepted, Inventory

_JUDGED = (Verdict.FAIL, Verdict.WARN)


def check(inventory: Inventory) -> None:
    if not inventory.accepted:
        return
    from mailprov import probe

    ids = [entry.id for entry in probe.catalogue()]
    problems = [
        Problem(
            inventory.source,
            each.line,
            each.column,
            f"verify.accept[{number}].probe",
            _('no probe or family of probes is "{word}"; mailprov explain lists them').format(
                word=each.probe
            ),
        )
        for number, each in enumerate(inventory.accepted)
        if not any(probe.selects(each.probe, probe_id) for probe_id in ids)
    ]
    if problems:
        raise InventoryError(problems)


class Acceptance:
    def __init__(self, inventory: Inventory, now: float | None = None) -> None:
        self._source = inventory.source
        self._now = datetime.datetime.now(datetime.timezone.utc).timestamp() if now is None else now
        self._all = inventory.accepted
        self._used: set[Accepted] = set()

    def judged(self, finding: Finding) -> Finding:
        if not self._all:
            return finding
        if finding.verdict in _JUDGED:
            probe_id, places = finding.id, _places(finding.target)
        elif finding.verdict is Verdict.ERROR and finding.waits_for:
            probe_id, __, place = finding.waits_for.partition(" ")
            places = {place.casefold(), place.rpartition(":")[0].casefold()}
        else:
            return finding
        entry = next((each for each in self._all if self._holds(each, probe_id, places)), None)
        if entry is None:
            return finding
        self._used.add(entry)
        if not self._counts(entry):
            return finding
        was = _("accepted: {reason}; it is {verdict}: {observed}").format(
            reason=entry.reason, verdict=finding.verdict.value, observed=finding.observed or finding.title
        )
        return replace(
            finding, verdict=Verdict.SKIP, observed=was, advice="", tasks=(), waits_for="",
            accepted=finding.verdict.value,
        )  # fmt: skip

    def told(self, whole: bool) -> Iterator[str]:
        """`whole`: everything was looked at, so an entry that nothing was found for is not needed."""
        for each in self._all:
            place = f"{self._source}:{each.line}"
            if not self._counts(each):
                end = datetime.datetime.fromtimestamp(each.until, datetime.timezone.utc)
                date = f"{end:%Y-%m-%d %H:%M} UTC"
                yield _("{place}: {what} is no longer accepted since {date}: {reason}").format(
                    place=place, what=each, date=date, reason=each.reason
                )
            elif whole and each not in self._used:
                yield _("{place}: {what} is accepted, and nothing of it was found wrong; take it out").format(
                    place=place, what=each
                )

    def _counts(self, entry: Accepted) -> bool:
        return not entry.until or self._now < entry.until

    def _holds(self, entry: Accepted, probe_id: str, places: set[str]) -> bool:
        from mailprov import probe

        return probe.selects(entry.probe, probe_id) and (not entry.target or entry.target in places)


def _places(target: Target) -> set[str]:
    """All names that an entry may have for it."""
    port = f"{target.host}:{target.port}" if target.host and target.port else ""
    found = (target.host, port, target.domain, target.account)
    return {each.casefold() for each in found if each}
