"""DNS UPDATE (RFC 2136) with TSIG (RFC 8945): what planner.py planned is done by compare-and-swap, and read back.

    apply(zone_plan, emit)
    image(zone_plan) -> Image | None

One UPDATE message per zone, which the server does whole or not at all; where that is more than a message holds,
several, each with whole domains and their markers (batches.py). The prerequisites hold every touched RRset as it was
read, so a change by somebody else in between is never overwritten: then the zone is read and planned once more, and
done only if that asks for nothing that was not shown. What prerequisites know nothing of, TTLs and delegations, is for
guard.py.
That makes three rounds: what the guard asks, the UPDATE, reading back. None of them can travel with the one before it,
whose answer it waits for. Two more for each further message; one for a TTL in a zone that was changed since the plan
(guard.py says why), or where a wildcard that was not met before says the same.
NOERROR is no proof (RFC 2136 section 3.4.2.2 lets a server drop additions silently): what counts is what is read back.

Raises DnsFailed, DnsUnreachable, InputError.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence

from mailprov.dns import guard, ownership, undo, update, zones
from mailprov.dns.batches import MOST_RECORDS, after, batches, size
from mailprov.dns.diff import Edit, ZoneDiff
from mailprov.dns.planner import Work, refusal
from mailprov.dns.session import Session
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import DnsFailed, DnsUnreachable, MailprovError
from mailprov.model.events import Applied, Change, Emit, Notice, Progress

# Several inventories at once on the same records: what one of them writes makes all others read again. The pauses grow,
# so that fewer of them fall into the time that one needs to read and write.
TRIES = 10
LONGEST_PAUSE = 10.0  # seconds


def image(zone_plan: ZonePlan) -> undo.Image | None:
    """What the plan changes, for taking it back later; None when it changes nothing."""
    if not zone_plan.changes:
        return None
    assert isinstance(zone_plan.work, Work)
    return undo.image(zone_plan.zone, zone_plan.work.diff.edits, zones.as_records(zone_plan.work.snapshot))


def apply(zone_plan: ZonePlan, emit: Emit) -> None:
    """Do what the plan showed, and say so for each change once it has been read back. No changes: no
    traffic at all.

    DnsFailed when the server refuses, when somebody keeps changing the same records, or when the read-back
    differs; what was done until then has been told.
    """
    if not zone_plan.changes:
        return
    work = zone_plan.work
    assert isinstance(work, Work)
    began = time.monotonic()
    emit(Progress(zone_plan.subject, f"updating {len(zone_plan.changes)} record sets"))
    with Session(work.settings) as session:
        publishing = _Publishing(session, zone_plan, work, emit)
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

    def __init__(self, session: Session, zone_plan: ZonePlan, work: Work, emit: Emit) -> None:
        self._session, self._plan, self._work, self._emit = session, zone_plan, work, emit
        self._zone = zone_plan.zone
        self._guard = guard.Guard(session, zone_plan.zone)
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
            raise self._moved(f"its records were changed by somebody else {TRIES} times in a row")
        last = {(edit.name, edit.type): edit for edit in self._written}
        if missing := update.not_as_wanted(self._session, self._zone, list(last.values()), self._work.wild):
            raise self._guard.no_effect(missing) or update.no_effect(self._session, self._zone, missing)
        return [*self._done_already(self._work.diff, diff), *diff.changes]

    def told(self) -> list[Change]:
        """After a failure: which of the planned changes stand, as far as they were sent at all."""
        planned = zip(self._work.diff.edits, self._work.diff.changes, strict=True)
        sent = {(edit.name, edit.type): edit for edit in self._written}
        pairs = [(edit, change) for edit, change in planned if (edit.name, edit.type) in sent]
        if not pairs:
            return []
        try:
            missing = update.not_as_wanted(self._session, self._zone, [edit for edit, _ in pairs])
        except MailprovError:
            return []
        return [change for edit, change in pairs if f"{edit.name} {edit.type}" not in missing]

    def _write(self, snapshot: zones.Snapshot, diff: ZoneDiff) -> bool:
        """False when something was changed by somebody else; then only whole messages have been done."""
        for edits in batches(self._zone, snapshot, diff.edits, self._work.units):
            if not self._guard.before(snapshot, edits):
                return False
            try:
                done = update.send(self._session, self._zone, snapshot, edits, self._say, self._guard.soa)
            except (DnsUnreachable, DnsFailed) as lost:
                if isinstance(lost, DnsFailed):
                    self._explain(lost, snapshot, edits)
                update.after_silence(self._session, self._zone, edits, lost)
                self._say("no usable answer came to the update; read back from the server, all of it stands")
                done = True
            if not done:
                return False
            self._written += edits
            snapshot = after(snapshot, edits)
        return True

    def _explain(self, lost: DnsFailed, snapshot: zones.Snapshot, edits: Sequence[Edit]) -> None:
        """Raises what says more than the server did, if it can be told why it refused."""
        if why := self._guard.away(edit.name for edit in edits):
            raise DnsFailed(lost.where, f"{lost.what}: {why}", "Look at a new plan") from None
        sizes = {f"{edit.name} {edit.type}": size(snapshot, edit) for edit in edits}
        if large := [f"{name} {count}" for name, count in sizes.items() if count > MOST_RECORDS]:
            raise DnsFailed(
                lost.where,
                f"{lost.what}; of records in one set, BIND takes {MOST_RECORDS} unless it is told otherwise, and there "
                f"would be: {', '.join(large)}",
                "Set max-records-per-type in the zone's or the server's options (BIND), or have fewer hosts for that",
            ) from None

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
        missing = update.not_as_wanted(self._session, self._zone, [edit for edit, _ in gone])
        return [change for edit, change in gone if f"{edit.name} {edit.type}" not in missing]

    def _again(self) -> tuple[zones.Snapshot, ZoneDiff]:
        """Read and plan once more; only what the user has seen may be done."""
        snapshot, diff = self._work.look(self._session, self._work.departures.waiting(self._zone))
        if diff.conflicts:
            raise refusal([(self._zone, diff)])
        # A marker's text depends on all the rest and nobody approves of it as such.
        unseen = [c for c in diff.changes if c not in self._plan.changes and not ownership.is_marker(c.name)]
        if unseen:
            what = f"it was changed since the plan was made, and now would need: {_brief(unseen)}"
            raise self._moved(what)
        return snapshot, diff

    def _moved(self, what: str) -> DnsFailed:
        left = "the rest was not written" if self._written else "nothing was written"
        return DnsFailed(self._plan.subject, f"{what}; {left}", "Run the command again")


def _brief(changes: Iterable[Change]) -> str:
    return "; ".join(f"{change.action.value} {change.name} {change.detail}" for change in changes)
