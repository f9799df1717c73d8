"""Whether hosts and zones are still as they were when a plan of them was saved.

    moved(saved, now) -> [name]     hosts and zones that are not, that were not in the plan, or that could not be asked
    in_force(saved, now) -> bool    whether all of the plan is done already: each was asked, and nothing is left to do

`saved` is host or zone → fingerprint, `now` host or zone → changes, of those that could be asked. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mailprov.model import cleaning
from mailprov.model.events import Change
from mailprov.plan.changes import fingerprint

Saved = Mapping[str, str]
Now = Mapping[str, Sequence[Change]]


def moved(saved: Saved, now: Now) -> list[str]:
    # Cleaned as the reports have the changes, and so the saved plan.
    prints = {subject: fingerprint(map(cleaning.event, changes)) for subject, changes in now.items()}
    names = dict.fromkeys([*saved, *prints])
    return [name for name in names if prints.get(name) != saved.get(name)]


def in_force(saved: Saved, now: Now) -> bool:
    return now.keys() == saved.keys() and not any(now.values())
