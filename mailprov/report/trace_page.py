"""--html FILE: the way of a message as one page, to look at and to give to others.

    TracePage(path, folders, …)      a report: collects the traces of a run, and writes the file at its end
    page(traces, folders, …) -> str  HTML in one file, which fetches nothing and needs nothing

A lane for each agent, steps that can be played, by mouse and by keyboard; lines of protocols and logs folded, on paper
all open. What is told by a colour is told by a shape and a word as well. All texts are escaped, whatever they hold, and
the page's own policy (CSP level 3) lets no other style or script than its two run, and nothing be fetched.

Raises InputError at once where the file cannot be written, before anything is done; ReportFailed when that shows only
at the end (a full disk).
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from mailprov.errors import InputError, ReportFailed
from mailprov.i18n import N_, _, ngettext
from mailprov.model.answers import Traced
from mailprov.model.events import Event, RunEnded
from mailprov.model.trace import Delays, Evidence, Source, Step, Trace
from mailprov.report import own_file, page_source, trace_lanes
from mailprov.report import trace_words as words
from mailprov.report.trace_masking import Masker
from mailprov.report.trace_order import Row, rows

# Where a line was seen → its sign, and what it says to who cannot see the sign.
_SIGNS = {
    Source.SENT: (">", N_("sent")),
    Source.RECEIVED: ("<", N_("received")),
    Source.LOG: ("", ""),
    Source.HEADER: ("", ""),
    Source.FILE: ("", ""),
}


class TracePage:
    """`named`: addresses of the command line, which are shown; with `show_addresses` all are.

    `written`: whether there is a page now.
    """

    def __init__(
        self,
        path: Path,
        folders: Sequence[Path],
        *,
        named: Collection[str] = (),
        show_addresses: bool = False,
    ) -> None:
        self._path, self._folders = path, folders
        self._named, self._show = named, show_addresses
        self._traces: list[Trace] = []
        self.written = False
        where = f"--html {path}"
        if not path.resolve().parent.is_dir():
            raise InputError(where, _("its folder does not exist"), _("Make the folder first"))
        try:
            own_file.attempt(path)
        except OSError as error:
            what = _("cannot be written: {error}").format(error=error.strerror)
            raise InputError(where, what, _("Give a path you may write")) from error

    def __call__(self, event: Event) -> None:
        if isinstance(event, Traced):
            self._traces.append(event.trace)
        elif isinstance(event, RunEnded) and self._traces:
            text = page(self._traces, self._folders, named=self._named, show_addresses=self._show)
            try:
                own_file.write(self._path, text)
                self.written = True
            except OSError as error:
                raise ReportFailed(
                    f"--html {self._path}",
                    _("cannot be written: {error}").format(error=error.strerror),
                    _(
                        "The trace itself is shown above; make room, and trace the message by its --message-id"
                    ),
                ) from error


def page(
    traces: Sequence[Trace],
    folders: Sequence[Path],
    *,
    named: Collection[str] = (),
    show_addresses: bool = False,
) -> str:
    """Texts of `traces` are clean (model/cleaning.py). `folders`: where templates lie (components/templates.py)."""
    from markupsafe import Markup

    made = page_source.environment(tuple(folders))
    keep = {*named, *(each for trace in traces for each in (trace.sender, *trace.recipients))}
    masker = Masker(keep)
    told = [_trace(each if show_addresses else masker.trace(each)) for each in traces]
    most = {len(each["lanes"]) for each in told}
    style = page_source.source(made, "trace/page.css") + "".join(
        f".lanes-{n}{{--lanes:{n}}}\n" for n in sorted(most)
    )
    script = page_source.source(made, "trace/page.js")
    used = {step.evidence for trace in traces for step in trace.steps}
    agents = {step.agent for trace in traces for step in trace.steps}
    hidden = masker.hidden
    return made.get_template("trace/page.html.j2").render(
        lang=page_source.language(),
        title=told[0]["answers"][0]["text"] if told and told[0]["answers"] else _("The way of a message"),
        style=Markup(style),  # noqa: S704 - files of this program
        script=Markup(script),  # noqa: S704
        style_hash=page_source.digest(style),
        script_hash=page_source.digest(script),
        traces=told,
        grades=[
            {"name": evidence.value, "word": _(grade.word), "about": _(grade.about)}
            for evidence, grade in words.EVIDENCE.items()
            if evidence in used
        ],
        agents=[(_(words.AGENTS[each]), _(about)) for each, about in words.ABOUT.items() if each in agents],
        masked=ngettext(
            "{count} address of somebody else is masked on this page.",
            "{count} addresses of others are masked on this page.",
            hidden,
        ).format(count=hidden)
        if hidden
        else "",
    )


def _trace(trace: Trace) -> dict[str, Any]:
    told = rows(trace)
    every = trace_lanes.lanes(told)
    drawings = trace_lanes.drawn(told, every)
    offsets = words.offsets(trace)
    clocks = {step.clock for step in trace.steps if step.at is not None}
    began = datetime.datetime.fromtimestamp(trace.began, datetime.timezone.utc)
    return {
        "answers": list(_answers(trace)),
        "sender": trace.sender or "<>",
        "recipients": list(trace.recipients),
        "message_id": trace.message_id or _("a message without Message-ID"),
        "subject": trace.subject,
        "began": f"{began:%Y-%m-%d %H:%M:%S}",
        "machine_time": began.isoformat(timespec="milliseconds"),
        "gaps": list(trace.gaps),
        "doubts": list(trace.doubts),
        "clocks": [
            words.clock(one)
            for one in trace.clocks
            if one.host in clocks and (one.host in offsets or not one.known)
        ],
        "lanes": [
            {"name": trace_lanes.name(each), "host": each.host, "odd": each.band % 2} for each in every
        ],
        "bands": [
            {"x": f"{100 * number / len(every):.3f}%", "width": f"{100 / len(every):.3f}%"}
            for number, each in enumerate(every)
            if each.band % 2
        ],
        "places": [f"{100 * (number + 0.5) / len(every):.3f}%" for number in range(len(every))],
        "steps": [_step(row, one, offsets) for row, one in zip(told, drawings, strict=True)],
    }


def _answers(trace: Trace) -> Iterable[dict[str, str]]:
    for each in trace.arrivals:
        sign, word, style = words.OUTCOMES[each.outcome]
        kind = {"green": "good", "yellow": "waits", "red": "bad"}.get(style.rpartition(" ")[2], "unknown")
        yield {"sign": sign, "word": _(word), "kind": kind, "text": each.text, "next": each.next}
    if not trace.arrivals:
        text = _("Nothing tells whether it arrived")
        yield {"sign": "?", "word": _("unknown"), "kind": "unknown", "text": text, "next": ""}


def _step(row: Row, drawing: trace_lanes.Drawing, offsets: dict[str, float]) -> dict[str, Any]:
    step = row.step
    place = words.place(step)
    agent = _(words.AGENTS[step.agent])
    by = ""
    if step.clock in offsets:
        by = _("by the clock of {host}").format(host=step.clock)
    return {
        "number": step.number,
        "agent": agent,
        "host": place[len(agent) :].strip(),
        "grade": step.evidence.value,
        "word": _(words.EVIDENCE[step.evidence].word),
        "text": step.text,
        "hint": step.hint,
        "moment": words.moment(step),
        "by": by,
        "took": words.seconds(step.seconds) if step.seconds is not None else "",
        "queue_id": step.queue_id,
        "recipient": row.recipient,
        "before": row.before.number if row.before else 0,
        "sure": step.evidence in (Evidence.OBSERVED, Evidence.LOGGED),
        "drawing": drawing,
        "delays": _delays(step.delays) if step.delays else None,
        "parts": list(_parts(step)),
    }


def _delays(delays: Delays) -> dict[str, Any]:
    numbers = [max(0.0, getattr(delays, each.field)) for each in words.DELAYS]
    whole = sum(numbers) or 1.0
    begins = [sum(numbers[:place]) for place in range(len(numbers))]
    return {
        "written": "/".join(f"{number:g}" for number in numbers),
        "parts": [
            {
                "letter": each.letter,
                "text": _(each.about).format(seconds=words.seconds(number)),
                "x": f"{100 * begin / whole:.2f}%",
                "width": f"{100 * number / whole:.2f}%",
                "longest": number == max(numbers) > 0,
            }
            for each, number, begin in zip(words.DELAYS, numbers, begins, strict=True)
        ],
    }


def _parts(step: Step) -> Iterable[dict[str, Any]]:
    """What is folded: a title with a count, and lines."""
    dialogue = [line for line in step.lines if line.source in (Source.SENT, Source.RECEIVED)]
    headers = [line.text for line in step.lines if line.source is Source.HEADER] + list(step.headers)
    for lines, title in (
        (
            [(line.text, *_SIGNS[line.source]) for line in dialogue],
            ngettext("Dialogue: {count} line", "Dialogue: {count} lines", len(dialogue)),
        ),
        (
            _of(step, Source.LOG),
            ngettext("Log: {count} line", "Log: {count} lines", len(_of(step, Source.LOG))),
        ),
        (
            [(text, "", "") for text in headers],
            ngettext("{count} header added", "{count} headers added", len(headers)),
        ),
        (_of(step, Source.FILE), ngettext("{count} file", "{count} files", len(_of(step, Source.FILE)))),
    ):
        if lines:
            yield {
                "title": title.format(count=len(lines)),
                "lines": [{"text": text, "sign": sign, "said": _(said)} for text, sign, said in lines],
            }


def _of(step: Step, source: Source) -> list[tuple[str, str, str]]:
    return [(line.text, "", "") for line in step.lines if line.source is source]
