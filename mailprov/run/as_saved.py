"""Whether hosts and zones are still as they were when a plan of them was saved.

    moved(saved, now) -> [name]     hosts and zones that are not, that were not in the plan, or that could not be asked
    in_force(saved, now) -> bool    whether all of the plan is done already: each was asked, and nothing is left to do

`saved` is host or zone → fingerprint, `now` host or zone → changes, of those that could be asked. Pure.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence

from mailprov.model import cleaning
from mailprov.model.events import Action, Change
from mailprov.plan.changes import fingerprint

Saved = Mapping[str, str]
Now = Mapping[str, Sequence[Change]]
_NEW_KEY = re.compile(r"^(new key \(p=\S* → )p=[^ )]*\)")  # as dns/diff.py says it


def compared(saved: Saved, now: Now) -> tuple[list[str], bool]:
    """`moved`, unless `in_force`; and whether it is that."""
    found = moved(saved, now)
    done = bool(found) and in_force(saved, now)
    return ([] if done else found), done


def moved(saved: Saved, now: Now) -> list[str]:
    made = {
        change.name.rpartition(".")[2]
        for changes in now.values()
        for change in changes
        if change.kind == "key" and change.action is not Action.RUN
    }
    return [
        name
        for name in dict.fromkeys([*saved, *now])
        if name not in now or saved.get(name) not in _prints(now[name], made)
    ]


def _prints(changes: Sequence[Change], made: Collection[str]) -> set[str]:
    """As it is now, and as it was said before the DKIM keys with these selectors were made: a plan makes none."""
    # Cleaned as the reports have the changes, and so the saved plan.
    clean = [cleaning.event(change) for change in changes]
    before = [
        dataclasses.replace(change, detail=_NEW_KEY.sub(r"\1made by the apply)", change.detail))
        if change.kind == "record" and change.name.partition(".")[0] in made
        else change
        for change in clean
    ]
    return {fingerprint(clean), fingerprint(before)}


def in_force(saved: Saved, now: Now) -> bool:
    return now.keys() == saved.keys() and not any(now.values())
