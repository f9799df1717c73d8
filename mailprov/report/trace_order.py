"""The order in which the steps of a trace are read: each branch as a whole, and where one begins.

    rows(trace) -> list[Row]     every step once, each behind the one that it followed

A message divides at an alias, at a list, where it is for two domains. Steps that follow one step and lead to different
recipients are branches, and the first step of each is told whom it leads to; where all lead to the same one (a mailbox
that is read by IMAP and by POP), nothing divides. Pure, raises nothing: what hangs from no step that came before is a
beginning.
"""

from __future__ import annotations

from typing import NamedTuple

from mailprov.i18n import _, all_of
from mailprov.model.trace import Step, Trace

_FEW = 3  # names in a heading


class Row(NamedTuple):
    """`recipient`: a branch begins here, and leads to whom; `before`: the step that this one followed, if any."""

    step: Step
    before: Step | None
    recipient: str


def rows(trace: Trace) -> list[Row]:
    steps = sorted(trace.steps, key=lambda step: step.number)
    known: dict[int, Step] = {}
    followers: dict[int, list[Step]] = {}
    for step in steps:
        followers.setdefault(step.after if step.after in known else 0, []).append(step)
        known.setdefault(step.number, step)
    ends: dict[int, dict[str, None]] = {}  # whom each step leads to; those on the way (a list) are not meant
    for step in reversed(steps):
        behind = [name for each in followers.get(step.number, ()) for name in ends.get(each.number, ())]
        ends[step.number] = dict.fromkeys(behind or ([step.recipient] if step.recipient else []))
    found: list[Row] = []
    waiting = [(step, "") for step in reversed(followers.get(0, []))]
    done: set[int] = set()  # ids of objects, as two steps could have one number
    while waiting:
        step, recipient = waiting.pop()
        if id(step) in done:
            continue
        done.add(id(step))
        before = known.get(step.after) if step.after < step.number else None
        found.append(Row(step, before, recipient))
        behind_it = followers.get(step.number, [])
        divides = len({tuple(ends[each.number]) for each in behind_it} - {()}) > 1
        waiting += [(each, _names(ends[each.number]) if divides else "") for each in reversed(behind_it)]
    return found


def _names(ends: dict[str, None]) -> str:
    names = list(ends)
    if len(names) <= _FEW + 1:
        return all_of(names) if names else ""
    return _("{names} and {count} more").format(names=", ".join(names[:_FEW]), count=len(names) - _FEW)
