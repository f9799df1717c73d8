"""Writes what was planned: by compare-and-swap where the provider has it, never over somebody's change, and read back.

    publish(zone_plan, emit)
    before_image(zone_plan) -> Image | None

One write per zone, which most providers do whole or not at all; where that is more than one holds, several, each with
whole domains and their markers (batches.py). Every touched RRset is held as it was read (for a name server by the
prerequisites of RFC 2136, elsewhere as guard.py can), so a change by somebody else in between is not overwritten: then
the zone is read and planned once more, and done only if that asks for nothing that was not shown. What compare-and-swap
knows nothing of, TTLs and delegations, is for guard.py.
That makes three rounds: what the guard asks, the write, reading back. None of them can travel with the one before it,
whose answer it waits for. Two more for each further write; one for a TTL in a zone that was changed since the plan
(guard.py says why), or where a wildcard that was not met before says the same.
That a write was accepted is no proof: what counts is what is read back.

Raises DnsFailed, DnsUnreachable, InputError.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable

from mailprov.dns import guard, ownership, read_back, routes, undo
from mailprov.dns.batches import batches, one_by_one
from mailprov.dns.diff import ZoneDiff
from mailprov.dns.driver import Driver, Result
from mailprov.dns.planner import refusal
from mailprov.dns.rrsets import Edit, Snapshot, after, as_records
from mailprov.dns.zoneplan import Work, ZonePlan
from mailprov.errors import DnsFailed, MailprovError
from mailprov.i18n import _, ngettext
from mailprov.model.events import Applied, Change, Emit, Notice, Progress
from mailprov.plan import zone_details

# Several inventories at once on the same records: what one of them writes makes all others read again. The pauses grow,
# so that fewer of them fall into the time that one needs to read and write.
TRIES = 10
LONGEST_PAUSE = 10.0  # seconds


def before_image(zone_plan: ZonePlan) -> undo.Image | None:
    """What the plan changes, for taking it back later; None when it changes nothing."""
    work = zone_plan.work
    if work is None or not zone_plan.changes:
        return None
    return undo.before_image(zone_plan.zone, work.diff.edits, as_records(work.snapshot))


def publish(zone_plan: ZonePlan, emit: Emit) -> None:
    """Do what the plan showed, and say so for each change once it has been read back. No changes: no
    traffic at all.

    DnsFailed when the server refuses, when somebody keeps changing the same records, or when the read-back
    differs; what was done until then has been told.
    """
    work = zone_plan.work
    if work is None or not zone_plan.changes:
        return
    began = time.monotonic()
    count = len(zone_plan.changes)
    text = ngettext("updating {count} record set", "updating {count} record sets", count)
    emit(Progress(zone_plan.subject, text.format(count=count)))
    with routes.open_driver(work.settings) as driver:
        publishing = _Publishing(driver.at(zone_plan.zone), zone_plan, work, emit)
        try:
            changes = publishing.all()
        except MailprovError:
            for change in publishing.told():
                emit(Applied(change, time.monotonic() - began))
            raise
    for change in changes:
        emit(Applied(change, time.monotonic() - began))
    work.departures.cleaned.add(zone_plan.zone)


class _Publishing:
    """`written`: edits that the server has accepted, in this run."""

    def __init__(self, driver: Driver, zone_plan: ZonePlan, work: Work, emit: Emit) -> None:
        self._driver, self._plan, self._work, self._emit = driver, zone_plan, work, emit
        self._zone = zone_plan.zone
        self._guard = guard.Guard(driver, zone_plan.zone)
        self._written: list[Edit] = []

    def all(self) -> list[Change]:
        """The changes that were made, all of which stand."""
        snapshot, diff = self._work.snapshot, self._work.diff
        if self._work.departures.waiting(self._zone):
            # A zone that should be clean by now is not: markers here go on naming what is left there.
            snapshot, diff = self._again()
        pace = 0.0
        for number in range(TRIES):
            began = time.monotonic()
            if not diff.edits or self._write(snapshot, diff):
                break
            if number:  # the first time, most likely nobody else is at work any more
                time.sleep(random.uniform(0, min(pace * 2**number, LONGEST_PAUSE)))
                began = time.monotonic()
            snapshot, diff = self._again()
            pace = max(pace, time.monotonic() - began)
        else:
            raise self._moved(
                _("its records were changed by somebody else {count} times in a row").format(count=TRIES)
            )
        last = {(edit.name, edit.type): edit for edit in self._written}
        if missing := read_back.in_time(self._driver, self._zone, list(last.values()), self._work.wild):
            raise self._guard.no_effect(missing) or read_back.no_effect(self._driver, self._zone, missing)
        return [*self._done_already(self._work.diff, diff), *diff.changes]

    def told(self) -> list[Change]:
        """After a failure: which of the planned changes stand, as far as they were sent at all."""
        planned = zip(self._work.diff.edits, self._work.diff.changes, strict=True)
        sent = {(edit.name, edit.type): edit for edit in self._written}
        pairs = [(edit, change) for edit, change in planned if (edit.name, edit.type) in sent]
        if not pairs:
            return []
        try:
            missing = read_back.not_as_wanted(self._driver, self._zone, [edit for edit, __ in pairs])
        except MailprovError:
            return []
        return [change for edit, change in pairs if f"{edit.name} {edit.type}" not in missing]

    def _write(self, snapshot: Snapshot, diff: ZoneDiff) -> bool:
        """False when something was changed by somebody else; then only whole messages have been done, or sets."""
        driver, zone = self._driver, self._zone
        for batch in batches(zone, snapshot, diff.edits, self._work.units, driver.abilities, driver.weigh):
            edits = batch if driver.abilities.atomic else one_by_one(batch)
            if not self._guard.before(snapshot, edits):
                return False
            outcome = driver.write(zone, snapshot, edits, self._guard.version, self._say)
            if outcome.result is Result.CHANGED:
                self._written += outcome.done
                return False
            if outcome.error is not None:
                if not driver.abilities.atomic:
                    self._written += edits  # as far as they stand, which `told` reads
                if outcome.result is Result.REFUSED and (why := self._guard.away(e.name for e in edits)):
                    what = f"{outcome.error.what}: {why}"
                    raise DnsFailed(outcome.error.where, what, _("Look at a new plan"))
                read_back.after_silence(driver, zone, edits, outcome.error)
                self._say(
                    _("no usable answer came to the update; read back from the server, all of it stands")
                )
            self._written += edits
            snapshot = after(snapshot, edits)
        return True

    def _say(self, text: str) -> None:
        self._emit(Notice(self._plan.subject, text))

    def _done_already(self, planned: ZoneDiff, left: ZoneDiff) -> list[Change]:
        """What was planned, was not left to do when the zone was read once more, and stands.

        The server may have done the update and the answer may have been lost: the connection was closed, session.py
        sent it again, and it met its own work. Or an earlier message of several was done.
        """
        names = {change.name for change in left.changes}
        gone = [
            (edit, change)
            for edit, change in zip(planned.edits, planned.changes, strict=True)
            if change.name not in names
        ]
        missing = read_back.not_as_wanted(self._driver, self._zone, [edit for edit, __ in gone])
        return [change for edit, change in gone if f"{edit.name} {edit.type}" not in missing]

    def _again(self) -> tuple[Snapshot, ZoneDiff]:
        """Read and plan once more; only what the user has seen may be done."""
        snapshot, diff = self._work.look(self._driver, self._work.departures.waiting(self._zone))
        if diff.conflicts:
            raise refusal([(self._zone, diff)])
        # A marker's text depends on all the rest and nobody approves of it as such.
        unseen = [c for c in diff.changes if c not in self._plan.changes and not ownership.is_marker(c.name)]
        if unseen:
            what = _("it was changed since the plan was made, and now would need: {changes}").format(
                changes=_brief(unseen)
            )
            raise self._moved(what)
        return snapshot, diff

    def _moved(self, what: str) -> DnsFailed:
        left = _("the rest was not written") if self._written else _("nothing was written")
        return DnsFailed(self._plan.subject, f"{what}; {left}", _("Run the command again"))


def _brief(changes: Iterable[Change]) -> str:
    return "; ".join(
        f"{change.action.value} {change.name} {zone_details.in_language(change.detail)}" for change in changes
    )
