"""The order in which the steps of a trace are read: each branch as a whole, and where one begins.

    rows(trace) -> list[Row]     every step once, each behind the one that it followed

A message divides at an alias, at a list, where it is for two domains. Steps that follow one step and are about
different recipients are branches, and the first step of each is told whose it is; where all are about the same one (a
mailbox that is read by IMAP and by POP), nothing divides. Pure, raises nothing: what hangs from no step that came
before is a beginning.
"""

from __future__ import annotations

from typing import NamedTuple

from mailprov.model.trace import Step, Trace


class Row(NamedTuple):
    """`recipient`: a branch begins here, and this is whose; `before`: the step that this one followed, if any."""

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
    whose: dict[int, str] = {}
    for step in reversed(steps):  # a DNS step is about whom the delivery behind it is
        behind = {whose.get(each.number, "") for each in followers.get(step.number, ())}
        whose[step.number] = step.recipient or (behind.pop() if len(behind) == 1 else "")
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
        divides = len({whose[each.number] for each in behind_it} - {""}) > 1
        waiting += [(each, whose[each.number] if divides else "") for each in reversed(behind_it)]
    return found
