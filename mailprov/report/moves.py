"""A step of a move, as people read it. Pure.

line(step) -> str
"""

from __future__ import annotations

from mailprov.i18n import N_, _
from mailprov.model.answers import MoveStep

_STATES = {
    "done": N_("step {number} of {count}, done: {text}"),
    "now": N_("step {number} of {count}, now: {text}"),
    "later": N_("step {number} of {count}: {text}"),
    "waiting": N_("step {number} of {count}, done, and the next one from {until} on: {text}"),
}


def line(step: MoveStep) -> str:
    form = _(_STATES.get(step.state, _STATES["later"]))
    return form.format(number=step.number, count=step.count, text=step.text, until=step.until)
