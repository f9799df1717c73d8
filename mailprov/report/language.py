"""Plans in the user's language. Events hold them in English, because saved plans are compared by them.

    translated(event) -> event     a plan or a change as people read it; all others, and in English all, as they are

Raises nothing.
"""

from __future__ import annotations

import dataclasses

from mailprov import i18n
from mailprov.model.events import Applied, Change, Event, Planned
from mailprov.model.sentences import shown


def translated(event: Event) -> Event:
    if not i18n.translates():
        return event
    if isinstance(event, Planned):
        return dataclasses.replace(
            event,
            changes=tuple(map(_change, event.changes)),
            compared=shown(event.compared),
            takes_over=tuple(map(shown, event.takes_over)),
        )
    if isinstance(event, Applied):
        return dataclasses.replace(event, change=_change(event.change))
    return event


def _change(change: Change) -> Change:
    """Of a record set, plan/zone_details.py knows how."""
    if not change.detail or change.kind == "record":
        return change
    return dataclasses.replace(change, detail=shown(change.detail))
