"""Records that the inventory did not ask for never stand in anybody's way. Pure.

    settle(want, stand, owned, special, answered, wild) -> Settled     what is left to publish, and what to tell of the
                                                        rest
    first_seen(want, stand) -> records                  those that come new
    notes(records) -> sentences                         what to know of these, whatever zones they are in

Such a record (`Record.asked` is false) is a default of mailprov. It gives way, also with --take-over, where

- a value of somebody else stands of which there may be only one (records/types says which): then ours would make both
  invalid, or change what somebody decided;
- the name is a CNAME or below a DNAME;
- a wildcard answers with such a value now, which a record of ours would hide, and no record that was asked for does
  (at the name, below it, or between it and the wildcard: RFC 4592 section 3.3.1);
- what holds at a name above holds there as well (a DMARC policy of the organisation).

What stands there is judged in one sentence, so that nobody believes to have what is not there. Of a default that stood
and has to give way now, what we wrote is removed like all that is not wanted any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from mailprov.dns import ownership
from mailprov.dns.rrsets import Key, ancestors
from mailprov.dns.shown import shown
from mailprov.i18n import _
from mailprov.model.hostnames import below, inside
from mailprov.model.records import Record
from mailprov.model.values import dataclass
from mailprov.records import types
from mailprov.records.types.base import RecordType

_NAMED = 4  # names in a sentence; of more it says how many
Wanted = dict[Key, list[Record]]
Standing = Mapping[Key, Sequence[Record]]


@dataclass(frozen=True)
class Settled:
    want: Wanted
    notices: tuple[str, ...] = ()


def settle(
    want: Wanted,
    stand: Standing,
    owned: ownership.Ownership,
    special: Mapping[Key, str],
    answered: Mapping[Key, Sequence[str]],
    wild: Collection[str] = (),
) -> Settled:
    """`stand`: the sets of the zone. `special`: as in rrsets. `answered`: what was answered to these questions, in any
    zone and by wildcards, of which `wild` are those that were met and are stored.
    """
    asked = {record.name for records in want.values() for record in records if record.asked}
    left: Wanted = {}
    notices: dict[str, None] = {}
    for key, records in want.items():
        kept: list[Record] = []
        told: dict[str, None] = {}
        for record in records:
            text = (
                None
                if record.asked
                else _is_special(record, special)
                or _why_not(record, asked, want, stand, owned, answered, wild)
            )
            if text is None:
                kept.append(record)
            else:
                told[text] = None
        if kept:
            left[key] = kept
        notices.update(told)
    return Settled(left, tuple(notices))


def first_seen(want: Wanted, stand: Standing) -> tuple[Record, ...]:
    """`want`: what is published."""
    found: list[Record] = []
    for key, records in want.items():
        there = {one.value for one in stand.get(key, ())}
        found += [one for one in records if not one.asked and one.value not in there]
    return tuple(found)


def notes(records: Iterable[Record]) -> tuple[str, ...]:
    names: dict[RecordType, dict[str, None]] = {}
    for record in records:
        if (sort := types.named(record.label)) and sort.note:
            names.setdefault(sort, {})[record.name] = None
    return tuple(_(sort.note).format(names=_few(list(found))) for sort, found in names.items())


def _few(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    first = ", ".join(names[: _NAMED - 1])
    return _("{names} and {count} more").format(names=first, count=len(names) - _NAMED + 1)


def _is_special(record: Record, special: Mapping[Key, str]) -> str | None:
    what = special.get((record.name, record.type))
    form = _("{name} {type} is {special}, which stays: mailprov publishes no {label} record there")
    return (
        form.format(name=record.name, type=record.type, special=what, label=_(record.label)) if what else None
    )


def _why_not(
    record: Record,
    asked: Collection[str],
    want: Mapping[Key, Sequence[Record]],
    stand: Standing,
    owned: ownership.Ownership,
    answered: Mapping[Key, Sequence[str]],
    wild: Collection[str],
) -> str | None:
    name, kind = record.name, record.type
    beside = sorted(k for n, k in stand if n == name and k not in ("CNAME", "DNAME"))
    if kind == "CNAME" and beside:
        form = _("{name} has {types} records, which stay: mailprov publishes no {label} record there")
        text = form.format(name=name, types=", ".join(beside), label=_(record.label))
        return _with_advice(text, types.named(record.label))
    for alias in ("DNAME", *(("CNAME",) if kind != "CNAME" else ())):
        if there := stand.get((name, alias)):
            form = (
                _("{name} is a CNAME of {target}, which stays: mailprov publishes no {label} record there")
                if alias == "CNAME"
                else _("{name} is below a DNAME to {target}: mailprov publishes no {label} record there")
            )
            text = form.format(name=name, target=shown(there[0].value), label=_(record.label))
            return _with_advice(text, types.named(record.label))
    sort = types.alone(name, kind, record.value)
    if sort is None:
        return None
    here = [one.value for one in stand.get((name, kind), ())]
    others = _of(sort, name, kind, [value for value in here if not owned.owns(name, kind, value)])
    if any(value != record.value for value in others):
        form = _("{name}: {label} of somebody else stands here and stays: {values}")
        return _told(form, record, sort, others)
    if others:
        return None  # the same: diff.py says so
    made_up = _of(sort, name, kind, [v for v in answered.get((name, kind), ()) if v not in here])
    if made_up and not any(_ends_wildcard(other, name, wild) for other in asked):
        form = _("{name}: a wildcard answers with {label}, and mailprov hides it with nothing: {values}")
        return _told(form, record, sort, made_up)
    for above in sort.above(name):
        # What we wrote there and want no more goes with the same plan.
        staying = {one.value for one in want.get((above, kind), ())}
        held = [v for v in answered.get((above, kind), ()) if v in staying or not owned.owns(above, kind, v)]
        if holding := _of(sort, above, kind, held):
            form = _("{name}: what stands at {above} holds here, so mailprov adds no {label}: {values}")
            return _told(form, record, sort, holding, above)
    return None


def _ends_wildcard(other: str, name: str, wild: Collection[str]) -> bool:
    """Whether no wildcard answers for `name` any more once `other` exists."""
    if inside(other, name):
        return True
    parent = next((above for above in ancestors(name)[1:] if f"*.{above}" in wild), None)
    return parent is not None and below(name, other) and below(other, parent)


def _of(sort: RecordType, name: str, kind: str, values: Iterable[str]) -> list[str]:
    return [value for value in values if types.alone(name, kind, value) is sort]


def _told(form: str, record: Record, sort: RecordType, values: Sequence[str], above: str = "") -> str:
    text = form.format(
        name=record.name, above=above, label=_(sort.name), values=", ".join(map(shown, values))
    )
    if verdict := sort.judge(values, record.value):
        text += f" ({verdict})"
    return _with_advice(text, sort)


def _with_advice(text: str, sort: RecordType | None) -> str:
    return f"{text}. {_(sort.instead)}" if sort and sort.instead else text
