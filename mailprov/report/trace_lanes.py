"""The picture of a trace: a lane for each agent on each host, steps as nodes on them, arrows between them.

    lanes(rows) -> list[Lane]              host by host, and the agents of each, as the way meets them
    drawn(rows, lanes) -> list[Drawing]    what is drawn beside each row

A row is drawn by itself, as a page cannot know how high it will be: lines pass through it, begin at its node or end at
it, and an arrow comes from the lane of the step before. Places are percent of the width of all lanes. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mailprov.i18n import _
from mailprov.model.trace import Agent, Step
from mailprov.report import trace_words as words
from mailprov.report.trace_order import Row


class Lane(NamedTuple):
    """`band`: counts hosts, so that neighbours can be told apart."""

    agent: Agent
    host: str
    band: int


class Line(NamedTuple):
    """`part`: through (the whole row), down (from the node on), or in (from above, to where the arrow begins)."""

    x: str
    part: str


class Drawing(NamedTuple):
    """`x`: of the node. `from_x`: where the arrow comes from, "" where none does; `way`: right, left or down."""

    x: str
    lines: tuple[Line, ...]
    from_x: str
    way: str


def lanes(rows: Sequence[Row]) -> list[Lane]:
    hosts = list(dict.fromkeys(_host(row.step) for row in rows))
    met = dict.fromkeys((hosts.index(_host(row.step)), row.step.agent) for row in rows)
    return [Lane(agent, hosts[band], band) for band, agent in sorted(met, key=lambda each: each[0])]


def name(lane: Lane) -> str:
    return _(words.AGENTS[lane.agent])


def drawn(rows: Sequence[Row], every: Sequence[Lane]) -> list[Drawing]:
    places = {(lane.host, lane.agent): number for number, lane in enumerate(every)}

    def x(step: Step) -> str:
        return f"{100 * (places[_host(step), step.agent] + 0.5) / len(every):.3f}%"

    at = {id(row.step): number for number, row in enumerate(rows)}
    edges = [
        (at[id(row.before)], number, x(row.before))
        for number, row in enumerate(rows)
        if row.before is not None and at.get(id(row.before), number) < number
    ]
    found = []
    for number, row in enumerate(rows):
        lines = [
            Line(place, "down" if begin == number else "in" if end == number else "through")
            for begin, end, place in edges
            if begin <= number <= end
        ]
        came = next((place for begin, end, place in edges if end == number), "")
        mine = x(row.step)
        way = "down" if came == mine else "right" if came and float(came[:-1]) < float(mine[:-1]) else "left"
        found.append(Drawing(mine, tuple(dict.fromkeys(lines)), came, way if came else ""))
    return found


def _host(step: Step) -> str:
    return step.host or "…"
