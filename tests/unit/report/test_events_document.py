"""docs/events.md names every event with every field, and none that there is not."""

from __future__ import annotations

import dataclasses
import re
import typing
from enum import Enum
from pathlib import Path

import pytest

from mailprov.model import events, trace
from mailprov.model.events import to_json
from mailprov.model.findings import Finding
from tests.unit.report.test_hostile_text import EVENTS, filled

TEXT = (Path(__file__).resolve().parents[3] / "docs/events.md").read_text()
FIELD = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)


def documented() -> dict[str, list[str]]:
    """Event → fields, in the order of the document."""
    found = {}
    for section in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]:
        name, _, body = section.partition("\n")
        body = re.split(r"^(?:## |(?:A change|A step|An arrival) has$)", body, flags=re.MULTILINE)[0]
        found[name] = re.findall(r"`(\w+)`", " ".join(FIELD.findall(body)))
    return found


def test_every_event_is_documented_with_every_field() -> None:
    real = {}
    for kind in EVENTS:
        printed = to_json(filled(kind, "text"))
        name = printed.pop("event")
        real[name] = list(printed)
    told = documented()

    assert told.keys() == real.keys()
    for name, fields in real.items():
        assert sorted(told[name]) == sorted(fields), name


def test_a_change_and_its_words_are_documented() -> None:
    change = TEXT.partition("A change has")[2].partition("\n## ")[0].partition("\n### ")[0]
    fields = re.findall(r"`(\w+)`", " ".join(FIELD.findall(change)))

    assert fields == [field.name for field in dataclasses.fields(events.Change)]
    for action in events.Action:
        assert f"`{action.value}`" in change


@pytest.mark.parametrize(
    ("name", "kind", "enums"),
    [
        ("A step", trace.Step, (trace.Agent, trace.Evidence, trace.Source)),
        ("An arrival", trace.Arrival, (trace.Outcome,)),
    ],
)
def test_the_parts_of_a_trace_and_their_words_are_documented(
    name: str, kind: type, enums: tuple[type[Enum], ...]
) -> None:
    table = re.split(r"\n(?:#|An )", TEXT.partition(f"\n{name} has\n")[2])[0]
    fields = re.findall(r"`(\w+)`", " ".join(FIELD.findall(table)))
    assert sorted(fields) == sorted(field.name for field in dataclasses.fields(kind))
    for each in enums:
        for word in each:
            assert f"`{word.value}`" in table
    for field in dataclasses.fields(trace.Delays) if kind is trace.Step else ():
        assert f"`{field.name}`" in table


def test_the_parts_of_a_finding_are_documented() -> None:
    hints = typing.get_type_hints(Finding)
    for field in dataclasses.fields(hints["target"]):
        assert f"`{field.name}`" in TEXT
    for verdict in hints["verdict"]:
        assert f"`{verdict.value}`" in TEXT
