"""What servers said to each other (`--wire`), put into the steps of a finished Trace. Pure.

    queue_ids(trace) -> {host: {queue id}}      whose dialogues belong to it
    with_heard(trace, heard, gaps) -> Trace     the lines stand before those that the step had

A dialogue belongs to the step that has the log line of the same delivery: the same queue id, and a recipient of it.
Who logged it says what was said, so such a step is logged at least. What fits no step is told as a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.i18n import _
from mailprov.model.trace import Agent, Evidence, Source, Step, Trace, TraceLine
from mailprov.model.values import replace
from mailprov.trace.observed import Heard

_AGENTS = {"smtp": (Agent.SMTP, Agent.ADDRESS), "lmtp": (Agent.LMTP,)}


def queue_ids(trace: Trace) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for step in trace.steps:
        if step.queue_id and step.host:
            found.setdefault(step.host, set()).add(step.queue_id)
    return found


def with_heard(trace: Trace, heard: Iterable[Heard], gaps: Iterable[str]) -> Trace:
    steps = list(trace.steps)
    told = [*trace.gaps, *gaps]
    added: dict[int, list[TraceLine]] = {}
    for one in heard:
        places = [place for place, step in enumerate(steps) if _is_of(one, step)]
        for place in places:
            added.setdefault(place, []).extend(one.lines)
        if not places:
            told.append(
                _("{host}: what was said to {peer} about {id} belongs to no step that is known").format(
                    host=one.host, peer=one.peer, id=one.queue_id
                )
            )
    for place, lines in added.items():
        step = steps[place]
        evidence = Evidence.OBSERVED if step.evidence is Evidence.OBSERVED else Evidence.LOGGED
        steps[place] = replace(step, lines=(*lines, *step.lines), evidence=evidence)
    return replace(trace, steps=tuple(steps), gaps=tuple(told))


def _is_of(one: Heard, step: Step) -> bool:
    # What an address stands for is told by the same lines; it was said to nobody, and so that step has no port.
    if step.agent not in _AGENTS[one.agent] or (step.agent is Agent.ADDRESS and not step.port):
        return False
    delivery = re.compile(rf"(?:^|\s){re.escape(one.queue_id)}: to=<([^>]*)>")
    said = [delivery.search(line.text) for line in step.lines if line.source is Source.LOG]
    return any(each is not None and each[1] in one.recipients for each in said)
