"""The terminal: a consumer of the event stream that prints for people.

On a terminal a few live lines show what each host is doing; elsewhere (a pipe, a CI log) there are plain lines without
colours or cursor tricks. What was shown in a plan is not told again change by change while it is done (`verbose` does).
NO_COLOR is respected (rich does). Results go to stdout; to stderr go errors, and signs of life where there is no
terminal.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from mailprov.i18n import N_, _, ngettext
from mailprov.model.events import (
    Applied,
    Change,
    Ended,
    Event,
    Notice,
    Planned,
    Progress,
    RunEnded,
    RunStarted,
    StillWorking,
)
from mailprov.report import plans, records
from mailprov.report.language import translated
from mailprov.report.plain_text import Out, Plain, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailprov.model.answers import Found, KeptHome, KeptMailbox, MoveStep, PastRun, Traced
    from mailprov.model.queue import QueuedMessage, QueueState
    from mailprov.report.changes import Before
    from mailprov.report.terminal import Live

_STATUS = {
    "ok": ("✓", "green", ""),
    "failed": ("✗", "bold red", N_("failed")),
    "unreachable": ("?", "bold magenta", N_("unreachable")),
    "skipped": ("-", "yellow", N_("skipped")),
    "interrupted": ("!", "yellow", N_("interrupted")),
}

_FORCING = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")  # by these rich sees a terminal in a pipe
_FEW = 4  # hosts and zones in one line
_ACTING = ("queue --flush", "queue --hold", "queue --release", "queue --delete")
_PLANNING = ("plan", "apply", "rollback", "purge", "dns plan", "dns apply", *_ACTING)
_LOOKING = ("plan", "dns plan")  # what they end with is a plan, and nothing was done
_MISSING = {"unreachable": N_("could not be asked"), "interrupted": N_("was interrupted")}


def console() -> Out:
    """For stdout: rich where there is a terminal, or where the user says that colours are welcome all the same."""
    stream = sys.stdout

    def rich() -> Out:
        from mailprov.report.terminal import rich_console

        return rich_console(stream)

    if stream.isatty() or any(name in os.environ for name in _FORCING):
        return rich()
    return Plain(stream, rich)


class TextReport:
    """Call it with each event. `pause` takes the live lines away (before a question is asked).

    `quiet`: errors and the last line; `diff`: whole diffs; `verbose`: these, each step, and each finding by itself.
    `before`: the run whose findings are compared with, in place of all that is found.
    """

    def __init__(
        self,
        out: Out,
        *,
        quiet: bool = False,
        verbose: bool = False,
        diff: bool = False,
        before: Before | None = None,
    ) -> None:
        self._out = out
        self._before = before
        self._quiet = quiet
        self._verbose = verbose
        self._diff = diff or verbose
        self._live: Live | None = None
        self._doing: dict[str, tuple[str, float]] = {}
        self._plans: list[Planned] = []
        self._found: list[Found] = []
        self._past: list[PastRun] = []
        self._kept: list[KeptMailbox | KeptHome] = []
        self._traces: list[Traced] = []
        self._queued: list[QueuedMessage] = []
        self._queues: list[QueueState] = []
        self._steps: set[tuple[int, str]] = set()  # of a move, that were told
        self._command = self._profile = ""
        self._plan_shown = False
        self._early: list[Ended | Notice] = []  # told before the plan is shown: it would scroll away above it

    def __call__(self, event: Event) -> None:
        event = translated(event)
        if isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, StillWorking):
            self._still_working(event)
        elif isinstance(event, Planned):
            self._plans.append(event)
            self._forget(event.subject, "")
        elif isinstance(event, Applied):
            self._applied(event)
        elif isinstance(event, Notice):
            self._notice(event)
        elif isinstance(event, Ended):
            self._ended(event)
        elif isinstance(event, RunEnded):
            self._run_ended(event)
        else:
            self._answer(event)

    def _answer(self, event: Event) -> None:
        """What only other commands than plan and apply tell is kept for the end."""
        from mailprov.model.answers import (
            Found,
            KeptHome,
            KeptMailbox,
            MessageFound,
            MoveStep,
            PastRun,
            Traced,
        )

        if isinstance(event, PastRun):
            self._past.append(event)
        elif isinstance(event, KeptMailbox | KeptHome):
            self._kept.append(event)
        elif isinstance(event, Found):
            self._found.append(event)
        elif isinstance(event, MoveStep):
            self._move_step(event)
        elif isinstance(event, Traced):
            self._traces.append(event)
        elif isinstance(event, MessageFound):
            from mailprov.report import messages_found

            for line in messages_found.lines(event):
                self._print(Text(line))
        elif self._command == "queue":
            self._in_queue(event)

    def _in_queue(self, event: Event) -> None:
        from mailprov.model.queue import QueuedMessage, QueueState

        if isinstance(event, QueuedMessage):
            self._queued.append(event)
        elif isinstance(event, QueueState):
            self._queues.append(event)

    def _move_step(self, event: MoveStep) -> None:
        """That one waits is told once; the note behind it says until when, and why."""
        known = {(event.number, "now"), (event.number, "waiting")} & self._steps
        self._steps.add((event.number, event.state))
        if event.state != "waiting" or not known:
            from mailprov.report import moves

            self._print(Text(moves.line(event)))

    def _begin(self, event: RunStarted) -> None:
        """Also the second step of a rotation of keys: it has a plan of its own."""
        self._command, self._profile = event.command, event.profile
        self._plans.clear()
        self._plan_shown = False

    def pause(self) -> None:
        if self._live is not None:
            self._live.stop()

    def show_plan(self) -> None:
        """The plan of everything, once: before the question, before the first change, or at the end of `plan`."""
        if self._plan_shown:
            return
        self._plan_shown = True
        self._doing.clear()
        self.pause()
        # Hosts first, then zones, each by name: the plans came in as they were ready.
        self._plans.sort(key=lambda planned: (planned.subject.startswith("zone "), planned.subject))
        if not self._quiet:
            self._print_plan()
        self._print_early()

    def _print_plan(self) -> None:
        everything: list[Change] = [change for planned in self._plans for change in planned.changes]
        if not everything:
            if self._plans:
                for text in plans.no_changes(self._plans, self._command, self._missing()):
                    self._out.print(text)
            return
        for text in plans.summary(self._plans, self._missing()):
            self._out.print(text)
        for text in plans.taken_over(self._plans):
            self._out.print(text)
        self._out.print()
        self._out.print(plans.legend(everything))
        for text in plans.details(self._plans, full=self._diff, listed=self._verbose):
            self._out.print(text)
        for text in records.purposes(self._plans):
            self._out.print(text)
        self._out.print()
        if (hint := plans.hint(self._plans, full=self._diff)) is not None:
            self._out.print(hint)
        if self._command not in _LOOKING:  # there it is the last line
            self._out.print(plans.counts_line(everything))

    def _missing(self) -> dict[str, str]:
        """Hosts, and the zones, of which nothing is known until now: name → why."""
        known = {planned.subject for planned in self._plans}
        found = {
            event.subject: _(_MISSING.get(event.status, N_("could not be compared")))
            for event in self._early
            if isinstance(event, Ended) and event.error and event.subject not in known
        }
        zones = found.pop("dns", "")
        if zones and not (found and self._command == "rollback"):  # there they only wait for the hosts
            found[_("the zones")] = zones
        return found

    def _print_early(self) -> None:
        for event in self._early:
            if isinstance(event, Ended):
                self._print_end(event)
            else:
                self._print_notice(event)
        self._early.clear()

    def _applied(self, event: Applied) -> None:
        self.show_plan()
        if self._verbose:
            self._print(Text(f"{event.change.subject}:").append_text(plans.change_line(event.change)))
        self._forget(event.change.subject, f"{event.change.kind} {event.change.name}")

    def _notice(self, event: Notice) -> None:
        if not self._plan_shown and self._command in _PLANNING:
            self._early.append(event)
        else:
            self._print_notice(event)

    def _print_notice(self, event: Notice) -> None:
        text = f"{event.subject}: {event.text}" if event.subject else event.text
        self._print(Text(f"{_('note:')} ", style="yellow").append(text))

    def _ended(self, event: Ended) -> None:
        self._doing.pop(event.subject, None)
        self._draw()
        if event.status in ("ok", "skipped") and not event.changed and not event.error:
            return
        if event.error and not self._plan_shown and self._command in _PLANNING:
            self._early.append(event)
        else:
            self._print_end(event)

    def _print_end(self, event: Ended) -> None:
        sign, style, word = _STATUS[event.status]
        text = Text(f"{sign} ", style=style)
        if event.error:
            text.append(event.error)
        elif event.status == "ok":
            text.append(
                ngettext(
                    "{subject}: {count} change in {seconds:.1f} s",
                    "{subject}: {count} changes in {seconds:.1f} s",
                    event.changed,
                ).format(subject=event.subject, count=event.changed, seconds=event.seconds)
            )
        else:
            text.append(f"{event.subject}: {_(word)}")
        self._print(text, always=bool(event.error))
        for line in event.output:
            self._print(Text("    " + line, style="dim"), always=True)

    def _run_ended(self, event: RunEnded) -> None:
        if self._command in _PLANNING and event.exit_code != 130:
            self.show_plan()
        self.pause()
        self._print_early()
        if self._kept:
            from mailprov.report import mailboxes

            for table in mailboxes.render(self._kept):
                self._out.print(table)
        if self._past:
            from mailprov.report import history

            for line in history.render(self._past):
                self._out.print(line)
        if self._queues and not self._quiet:
            self._print_queues()
        if self._found:
            self._print_findings()
        if self._traces:
            self._print_traces()
        style = {0: "bold green", 4: "bold yellow"}.get(event.exit_code, "bold red")
        good = _("Plan:") if self._command in _LOOKING else _("Done:")
        word = {0: good, 3: _("Could not tell:"), 4: good, 130: _("Stopped:")}.get(
            event.exit_code, _("Failed:")
        )
        if event.declined:
            word = _("Declined:")
        last = Text().append(word, style=style).append(f" {event.summary} ")
        self._out.print(last.append(f"({event.seconds:.1f} s)", style="dim"))

    def _print_traces(self) -> None:
        from mailprov.report import trace_text

        for each in self._traces:
            parts = (
                trace_text.answers(each.trace)
                if self._quiet
                else trace_text.render(each.trace, verbose=self._verbose, columns=self._out.is_terminal)
            )
            for part in parts:
                self._out.print(part)
            if not self._quiet:
                self._out.print()

    def _print_queues(self) -> None:
        from mailprov.report import queue

        self._queues.sort(key=lambda state: state.subject)
        for line in queue.render(self._queues, self._queued, verbose=self._verbose):
            self._out.print(line)

    def _print_findings(self) -> None:
        from mailprov.report import findings

        found = [each.finding for each in self._found]
        if self._before is not None:
            from mailprov.report import changes

            self._out.print()
            self.print_parts(changes.render(self._before, found))
        elif self._quiet:
            for line in findings.heads(found):
                self._out.print(line)
        else:
            self._out.print()
            for part in findings.render(found, verbose=self._verbose):
                self._out.print(part)
        if told := findings.judged_by(found, self._profile):
            self._out.print(told)
        if self._command != "verify":  # there the last line says the same
            self._out.print(findings.counts_line(found))

    def print_parts(self, parts: Iterable[object]) -> None:
        for part in parts:
            self._out.print(part)

    def _print(self, text: Text, *, always: bool = False) -> None:
        if always or not self._quiet:
            self._out.print(text)

    def _progress(self, event: Progress) -> None:
        if self._out.is_terminal and not self._quiet:
            self._forget(event.subject, event.text)
        elif self._verbose:
            self._print(Text(f"{event.subject}: {event.text}"))

    def _still_working(self, event: StillWorking) -> None:
        """On a terminal the live lines show it. Elsewhere a line on stderr, as it is no result."""
        if self._out.is_terminal or self._quiet:
            return
        told = [f"{one.subject}: {one.text} ({one.seconds:.0f} s)" for one in event.doing[:_FEW]]
        if more := len(event.doing) - _FEW:
            told += [_("and {count} more").format(count=more)] if more > 0 else []
        print(_("still working: {doing}").format(doing="; ".join(told)), file=sys.stderr, flush=True)

    def _forget(self, subject: str, doing: str) -> None:
        if doing:
            self._doing[subject] = (doing, time.monotonic())
        else:
            self._doing.pop(subject, None)
        self._draw()

    def _draw(self) -> None:
        if not self._out.is_terminal or self._quiet:
            return
        if self._live is None:
            from mailprov.report.terminal import Live

            self._live = Live(self._out)
        self._live.show(self._doing)
