"""What the commands that run something share: the reports that were asked for, and the question before an apply."""

from __future__ import annotations

import dataclasses
import select
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mailprov.cli import clock
from mailprov.cli.exit_codes import at_end
from mailprov.errors import InputError, InventoryError, MailprovError
from mailprov.i18n import N_, _, ngettext
from mailprov.model.events import Emit, Error, Event, InventoryProblem, RunEnded, RunStarted

if TYPE_CHECKING:
    from mailprov.model.findings import Target
    from mailprov.report.changes import Before
    from mailprov.report.report_files import ReportFiles
    from mailprov.report.text import TextReport


# Command → what to do where there is nobody to ask, the question.
_WORDS = {
    "apply": (N_("Give --yes to apply without a question, or use plan"), N_("Apply these changes?")),
    "rollback": (
        N_("Give --yes to roll back without a question, or leave it out for a preview"),
        N_("Apply these changes?"),
    ),
    "dkim rotate": (
        N_("Give --yes to rotate without a question, or use dkim show"),
        N_("Make new keys, and apply what else is shown?"),
    ),
    "tls rotate": (
        N_("Give --yes to rotate without a question"),
        N_("Make new keys, and apply what else is shown?"),
    ),
    "dns move": (
        N_("Give --yes to take each step without a question, or --plan to see the steps"),
        N_("Take this step?"),
    ),
    "account": (
        N_("Give --yes to apply without a question, or --no-apply to edit the inventory alone"),
        N_("Apply these changes?"),
    ),
    "purge": (
        N_("Give --yes to delete without a question, or leave the address out"),
        N_("Delete this mail for good?"),
    ),
    "queue --flush": (N_("Give --yes to try again without a question"), N_("Try to deliver this now?")),
    "queue --hold": (N_("Give --yes to hold without a question"), N_("Hold these messages?")),
    "queue --release": (N_("Give --yes to release without a question"), N_("Release these messages?")),
    "queue --delete": (
        N_("Give --yes to delete without a question"),
        N_("Delete these messages from the queue? Copies stay on the host."),
    ),
}


class Reports:
    """The consumers of one run: text, JSON or a report on stdout, and files of reports if asked for.

    `report`: words of --report, KIND=FILE. `reads`: files that the command reads, which no report is written over.
    `since`: a report of before, for what has changed; `history`: a folder of reports, for a trend.
    `text`: without --json the events are shown to people; else the command prints by itself. What programs read ends
    with a RunEnded in any case, also where the command is cut short (an inventory that is wrong, wrong usage, Ctrl-C).
    """

    def __init__(
        self,
        *,
        json: bool,
        junit: Path | None = None,
        report: Sequence[str] | None = None,
        reads: Path | None = None,
        quiet: bool = False,
        verbose: bool = False,
        diff: bool = False,
        also: Emit | None = None,
        since: Path | None = None,
        history: Path | None = None,
        text: bool = True,
    ) -> None:
        from mailprov.report.fanout import fan_out

        self._text: TextReport | None = None
        self._quiet, self._verbose, self._diff = quiet, verbose, diff
        self._json = json
        self._over = False
        self._before = (
            _before(since, json) if since is not None else None
        )  # before a report is written over it
        self._text_is_off = False  # a report is printed in its place
        self._programs: list[Emit] = []
        at_end(self._cut_short)
        if json:
            from mailprov.report.jsonlines import JsonLines

            self._programs.append(JsonLines(sys.stdout))
        if junit is not None or report:
            files = report_files(report or (), junit, reads, json)
            self._programs.append(files)
            if files.stdout == "nagios":
                from mailprov.cli import plugin

                self._programs.append(lambda event: plugin.note(event, files.plugin_code))
            self._text_is_off = bool(files.stdout) and files.stdout not in files.AMONG_OTHERS
        told = [_trend(history, self._terminal, silent=json or quiet)] if history is not None else []
        shown = [self._show] if text and not json and not self._text_is_off else []
        self._fan_out = fan_out(
            [self._watch, *shown, *self._programs, *told, *([also] if also is not None else [])]
        )

    def begin(self, command: str, inventory: object) -> None:
        """For a command that emits its events by itself."""
        import datetime

        from mailprov import __version__

        started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self.emit(RunStarted(command, str(inventory), __version__, started))

    def end(self, code: int, summary: str) -> int:
        """The same; gives `code`."""
        self.emit(RunEnded(code, summary, time.monotonic() - clock.STARTED))
        return code

    def _watch(self, event: Event) -> None:
        self._over = isinstance(event, RunEnded)  # a command of several runs goes on behind the end of one

    def _cut_short(self, error: BaseException | None, code: int) -> None:
        if self._over:
            return
        self._over = True
        events: list[Event] = []
        summary = _("ended before its work was done")
        if isinstance(error, InventoryError):
            events += [InventoryProblem(p.file, p.line, p.column, p.path, p.what) for p in error.problems]
            count = len(events)
            summary = ngettext(
                "{count} problem in the inventory; nothing was done",
                "{count} problems in the inventory; nothing was done",
                count,
            ).format(count=count)
        elif isinstance(error, MailprovError):
            events.append(Error(error.where, error.what, error.advice))
        elif isinstance(error, KeyboardInterrupt):
            summary = _("interrupted")
        elif error is not None:
            events.append(
                Error(
                    "",
                    _("this is a bug in mailprov: {kind}: {error}").format(
                        kind=type(error).__name__, error=error
                    ),
                )
            )
        elif code == 2:
            events.append(Error("", _("the command line is wrong"), _("stderr says where")))
        events.append(RunEnded(code, summary, time.monotonic() - clock.STARTED))
        from mailprov.report.fanout import fan_out

        for program in self._programs:
            with suppress(
                OSError
            ):  # a reader that has gone, a full disk: told already where it was met first
                for event in events:
                    fan_out([program])(event)

    def emit(self, event: Event) -> None:
        """What people wait for is the whole command, so that is the time at its end: with the start of Python, reading
        the inventory and its secrets, and the question.
        """
        if isinstance(event, RunEnded):
            event = dataclasses.replace(event, seconds=time.monotonic() - clock.STARTED)
        self._fan_out(event)

    def _terminal(self) -> TextReport:
        """Made when it is needed: while the hosts are being connected there is time to load rich."""
        if self._text is None:
            from mailprov.report.text import TextReport, console

            self._text = TextReport(
                console(), quiet=self._quiet, verbose=self._verbose, diff=self._diff, before=self._before
            )
        return self._text

    def _show(self, event: Event) -> None:
        self._terminal()(event)

    def can_ask(self) -> bool:
        """Whether there is somebody at a terminal, who sees the plan as text."""
        return not self._json and not self._text_is_off and sys.stdin.isatty() and sys.stdout.isatty()

    def confirm(self, yes: bool, command: str = "apply") -> Callable[[dict[str, int]], bool] | None:
        """The question of apply and rollback; with --yes the plan is shown and nobody asked. Raises InputError without
        a terminal to ask on.
        """
        if yes:
            return self._show_and_go
        advice, question = _WORDS["account" if command.startswith("account ") else command]
        if not self.can_ask():
            raise InputError(
                command,
                _("there is no terminal to ask on"),
                _(advice),
            )

        def ask(counts: dict[str, int]) -> bool:
            self._terminal().show_plan()
            self._terminal().pause()
            return answered_yes(_(question))

        return ask

    def _show_and_go(self, counts: dict[str, int]) -> bool:
        if not self._json and not self._text_is_off:
            self._terminal().show_plan()
        return True


def _before(path: Path, json: bool) -> Before:
    from mailprov.report import changes

    option = f"--changes-since {path}"
    if json:
        what = _("changes are shown to people, and --json is for programs")
        raise InputError(option, what, _("Leave one of the two out"))
    return changes.read(path, option)


def _trend(folder: Path, terminal: Callable[[], TextReport], silent: bool) -> Emit:
    from mailprov.report import changes
    from mailprov.report.whole_run import WholeRun

    past, run = changes.Past(folder), WholeRun()

    def tell(event: Event) -> None:
        run.take(event)
        if isinstance(event, RunEnded):
            past.keep(run)
            if not silent:
                terminal().print_parts(changes.trend(past))

    return tell


def report_files(words: Sequence[str], junit: Path | None, reads: Path | None, json: bool) -> ReportFiles:
    """Raises InputError for a word of --report that is wrong."""
    from mailprov.components.templates import folders
    from mailprov.report.report_files import ReportFiles
    from mailprov.report.whole_run import Making

    def place(target: Target) -> tuple[int, int]:
        from mailprov.inventory.places import places

        if not found:
            found.append(places(reads) if reads is not None else lambda target: (1, 1))
        return found[0](target)

    found: list[Callable[[Target], tuple[int, int]]] = []
    kept = [reads] if reads is not None else []
    return ReportFiles(words, junit, making=Making(place, folders), kept=kept, stdout_is_taken=json)


def answered_yes(question: str) -> bool:
    """Asks, and takes y or yes for a yes, in English and in the user's language.

    The terminal is watched and only read when there is something: a Ctrl-C that comes just before a blocking read
    would be noticed after the next key only.
    """
    print(f"{question} {_('[y/N]')} ", end="", flush=True)
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        pass
    # TRANSLATORS: the words for yes, in lower case, with spaces between
    words = {"y", "yes", *_("y yes").split()}
    return sys.stdin.readline().strip().lower() in words
