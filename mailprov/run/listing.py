"""A run that tells what the hosts tell, one event each, and ends: history, kept mailboxes.

listing(command, …) -> exit code
with_silent(known, sessions) -> text for its last line
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from mailprov import __version__
from mailprov.i18n import _
from mailprov.model.events import Emit, Event, RunEnded, RunStarted
from mailprov.model.inventory import Inventory
from mailprov.run.event_queue import EventQueue
from mailprov.run.exit_code import worst
from mailprov.run.hosts import HostSession, Start
from mailprov.run.inquiry import Job, ask
from mailprov.run.select import Selection


def listing(
    command: str,
    inventory: Inventory,
    selection: Selection,
    job: Job,
    events: Callable[[str, Mapping[str, Any]], Iterable[Event]],
    summary: Callable[[int, bool], str],
    *,
    start: Start,
    report: Emit,
    also: Collection[Event] = (),
) -> int:
    """`events` makes them of what one host has told, in the inventory's order; `summary` is given their number, and
    whether all hosts have answered. `also`: events that no host tells.
    """
    queue = EventQueue(report)
    began = time.monotonic()
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    queue.emit(RunStarted(command, inventory.source, __version__, started))
    try:
        answers = ask(selection.hosts, job, command=command, events=queue, start=start)
    except KeyboardInterrupt:
        queue.wake(RunEnded(130, _("interrupted"), time.monotonic() - began))
        return 130
    count = len(also)
    for event in also:
        queue.emit(event)
    for one in answers:
        for event in events(one.host.name, one.told):
            count += 1
            queue.emit(event)
    errors = [one.outcome.error for one in answers if one.outcome.error is not None]
    code = worst(*(error.exit_code for error in errors))
    known = summary(count, not errors) if len(errors) < len(answers) or not answers else _("nothing is known")
    text = with_silent(known, [one.session for one in answers])
    queue.wake(RunEnded(code, text, time.monotonic() - began))
    return code


def with_silent(known: str, sessions: Collection[HostSession]) -> str:
    """What is known, and of whom alone: "3 runs on mx1; mx2 could not be asked"."""
    silent = [one.host.name for one in sessions if one.outcome.error is not None]
    if not silent:
        return known
    told = [one.host.name for one in sessions if one.outcome.error is None]
    form = (
        _("{known} on {hosts}; {silent} could not be asked")
        if told
        else _("{known}; {silent} could not be asked")
    )
    return form.format(known=known, hosts=", ".join(told), silent=", ".join(silent))
