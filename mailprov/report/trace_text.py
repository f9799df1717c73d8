"""The way of one message on a terminal: first whether it arrived, then the way, then what is not known.

    answers(trace)                    the sentences "did it arrive?" alone, for --quiet
    render(trace, verbose, columns)   all of it. `columns`: for a terminal, in columns that wrap each by itself (rich);
                                      else whole lines

A step is one line: its number, how it is known, when, who and where, what happened. Below it stands what a reader acts
upon: why it was not delivered, what would show a step that is missing, which part of the time was long, which headers
came. `verbose`: every line of protocols and logs, every header, all delays. Pure.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from mailprov.i18n import N_, _, ngettext
from mailprov.model.trace import Arrival, Delays, Evidence, Outcome, Source, Step, Trace, TraceLine
from mailprov.report import trace_words as words
from mailprov.report.plain_text import Text
from mailprov.report.trace_order import Row, rows

_SIGNS = {
    Source.SENT: (">", N_("sent")),
    Source.RECEIVED: ("<", N_("received")),
    Source.LOG: ("|", N_("log")),
    Source.HEADER: ("+", N_("header")),
    Source.FILE: ("@", N_("file")),
}
_STYLES = {
    Evidence.OBSERVED: "green",
    Evidence.LOGGED: "cyan",
    Evidence.RECONSTRUCTED: "yellow",
    Evidence.MISSING: "bold magenta",
}
_GOOD = {Outcome.DELIVERED, Outcome.HANDED_ON}
_LONG = 1.0  # seconds, of which a reader wants to know where they went
_FEW = 3  # lines that say why, where not all are shown
_PLACE = 26  # columns
_INDENT = " " * 6


def answers(trace: Trace) -> Iterator[Text]:
    for each in trace.arrivals:
        sign, word, style = words.OUTCOMES[each.outcome]
        yield Text().append(f"{sign} {_(word)}: ", style).append(each.text)
        if each.next:
            yield Text(f"  {each.next}")
    if not trace.arrivals:
        sign, word, style = words.OUTCOMES[Outcome.UNKNOWN]
        yield Text().append(f"{sign} ", style).append(_("Nothing tells whether it arrived"))


def render(trace: Trace, *, verbose: bool, columns: bool) -> Iterator[Any]:
    yield from answers(trace)
    yield Text()
    yield _head(trace)
    told = rows(trace)
    offsets = words.offsets(trace)
    lines = _Lines(told, offsets)
    why = {each.step: each for each in trace.arrivals if each.outcome not in _GOOD}
    for row in told:
        if row.recipient:
            yield _branch(row)
        yield lines.grid(row.step) if columns else lines.line(row.step)
        yield from _details(row.step, verbose, why.get(row.step.number))
    yield Text()
    yield _legend(trace, verbose)
    for sentence in trace.gaps:
        yield Text().append(f"{_('not looked at:')} ", "yellow").append(sentence)
    for sentence in trace.doubts:
        yield Text().append(f"{_('not certain:')} ", "yellow").append(sentence)
    used = {step.clock for step in trace.steps if step.at is not None}
    for clock in trace.clocks:
        if clock.host in used and (verbose or clock.host in offsets or not clock.known):
            yield Text().append(f"{_('note:')} ", "yellow").append(words.clock(clock))


def _head(trace: Trace) -> Text:
    began = datetime.datetime.fromtimestamp(trace.began, datetime.timezone.utc)
    text = _("The way of {message}, from {sender}, {date} UTC:").format(
        message=trace.message_id or _("a message without Message-ID"),
        sender=trace.sender or "<>",
        date=f"{began:%Y-%m-%d %H:%M:%S}",
    )
    return Text(text, "bold")


def _branch(row: Row) -> Text:
    number = row.before.number if row.before else 0
    text = (
        _("for {recipient}, from step {number} on:").format(recipient=row.recipient, number=number)
        if number
        else _("for {recipient}:").format(recipient=row.recipient)
    )
    return Text(f"   {text}", "bold")


class _Lines:
    """Steps in columns that are as wide as their longest value, within reason. A queue id stands where it is new."""

    def __init__(self, told: list[Row], offsets: dict[str, float]) -> None:
        self._offsets = offsets
        steps = [row.step for row in told]
        self._number = max((len(str(step.number)) for step in steps), default=1)
        self._moment = max((len(self._when(step)) for step in steps), default=0)
        self._place = min(_PLACE, max((len(words.place(step)) for step in steps), default=0))
        self._told: set[str] = set()  # queue ids

    def _when(self, step: Step) -> str:
        """With a mark, where its clock differs."""
        text = words.moment(step)
        mark = "*" if text and step.clock in self._offsets else " " if self._offsets else ""
        return f"{text}{mark}"

    def _what(self, step: Step) -> list[tuple[str, str]]:
        parts = [(step.text, "")]
        if step.seconds is not None and step.seconds >= _LONG:
            parts.append((f" ({words.seconds(step.seconds)})", "dim"))
        if step.queue_id and step.queue_id not in self._told:
            self._told.add(step.queue_id)
            parts.append((f" [{step.queue_id}]", "dim"))
        return parts

    def line(self, step: Step) -> Text:
        grade = words.EVIDENCE[step.evidence]
        head = Text(f"{step.number:>{self._number}} ").append(f"{grade.sign} ", _STYLES[step.evidence])
        head.append(f"{self._when(step):>{self._moment}}  ", "dim")
        head.append(f"{words.place(step):<{self._place}}  ", "bold")
        for text, style in self._what(step):
            head.append(text, style)
        return head

    def grid(self, step: Step) -> Any:
        from rich.table import Table
        from rich.text import Text as RichText

        grade = words.EVIDENCE[step.evidence]
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        for width, right in ((self._number, True), (1, False), (self._moment, True), (self._place, False)):
            table.add_column(width=width, justify="right" if right else "left", overflow="fold")
        table.add_column(ratio=1, overflow="fold")
        table.add_row(
            str(step.number),
            RichText(grade.sign, _STYLES[step.evidence]),
            RichText(self._when(step), "dim"),
            RichText(words.place(step), "bold"),
            RichText.assemble(*self._what(step)),
        )
        return table


def _details(step: Step, verbose: bool, arrival: Arrival | None) -> Iterator[Text]:
    if step.delays is not None and (verbose or _total(step.delays) >= _LONG):
        yield Text(f"{_INDENT}{_delays(step.delays)}", "dim")
    lines = step.lines
    if not verbose:
        few = tuple(each for each in lines if each.source is not Source.SENT)[-_FEW:] if arrival else ()
        lines = few or tuple(each for each in lines if each.source is Source.HEADER)  # --headers
    for line in lines:
        yield _line(line)
    if verbose:
        for header in step.headers:
            yield _line(TraceLine(Source.HEADER, header))
    elif step.headers:
        names = [header.partition(":")[0] for header in step.headers]
        text = ngettext("header added: {names}", "headers added: {names}", len(names))
        yield Text(_INDENT + text.format(names=", ".join(names)), "dim")
    if step.hint:
        yield Text(f"{_INDENT}{step.hint}", "yellow")


def _line(line: TraceLine) -> Text:
    return Text().append(f"{_INDENT}{_SIGNS[line.source][0]} ", "bold").append(line.text, "dim")


def _total(delays: Delays) -> float:
    return delays.before_queue + delays.in_queue + delays.connecting + delays.sending


def _delays(delays: Delays) -> str:
    numbers = [getattr(delays, each.field) for each in words.DELAYS]
    told = [
        _(each.about).format(seconds=words.seconds(number))
        for each, number in zip(words.DELAYS, numbers, strict=True)
    ]
    return f"delays={'/'.join(f'{number:g}' for number in numbers)}: {'; '.join(told)}"


def _legend(trace: Trace, verbose: bool) -> Text:
    """Of what was used."""
    used = {step.evidence for step in trace.steps}
    told = [f"{grade.sign} {_(grade.word)}" for evidence, grade in words.EVIDENCE.items() if evidence in used]
    if verbose:
        sources = {line.source for step in trace.steps for line in step.lines}
        sources |= {Source.HEADER for step in trace.steps if step.headers}
        told += [f"{sign} {_(word)}" for source, (sign, word) in _SIGNS.items() if source in sources]
    if any(step.clock in words.offsets(trace) and step.at is not None for step in trace.steps):
        told.append(f"* {_('by a clock that differs')}")
    return Text("   ".join(told), "dim")
