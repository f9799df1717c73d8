"""What the commands that run something share: the reports that were asked for, and the question before an apply."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mailprov.errors import InputError
from mailprov.model.events import Emit, Event

if TYPE_CHECKING:
    from mailprov.report.text import TextReport


# Command → what --yes does without a question, what to do instead, the question.
_WORDS = {
    "rollback": ("roll back", "use history", "Apply these changes?"),
    "dkim rotate": ("rotate", "use dkim show", "Make new keys, and apply what else is shown?"),
    "purge": ("delete", "leave the address out", "Delete this mail for good?"),
}


class Reports:
    """The consumers of one run: text or JSON on stdout, and a JUnit file or another one if asked for."""

    def __init__(
        self,
        *,
        json: bool,
        junit: Path | None = None,
        quiet: bool = False,
        verbose: bool = False,
        also: Emit | None = None,
    ) -> None:
        from mailprov.report.fanout import fan_out

        self._text: TextReport | None = None
        self._quiet, self._verbose = quiet, verbose
        reports: list[Emit] = []
        if json:
            from mailprov.report.jsonlines import JsonLines

            reports.append(JsonLines(sys.stdout))
        else:
            reports.append(self._show)
        if junit is not None:
            from mailprov.report.junit import JUnit

            reports.append(JUnit(junit))
        if also is not None:
            reports.append(also)
        self.emit = fan_out(reports)
        self._json = json

    def _terminal(self) -> TextReport:
        """Made when it is needed: while the hosts are being connected there is time to load rich."""
        if self._text is None:
            from mailprov.report.text import TextReport, console

            self._text = TextReport(console(), quiet=self._quiet, verbose=self._verbose)
        return self._text

    def _show(self, event: Event) -> None:
        self._terminal()(event)

    def confirm(self, yes: bool, command: str = "apply") -> Callable[[dict[str, int]], bool] | None:
        """The question of apply and rollback, or None with --yes. Raises InputError without a terminal to ask on."""
        if yes:
            return None
        verb, look, question = _WORDS.get(command, ("apply", "use plan", "Apply these changes?"))
        if self._json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InputError(
                command,
                "there is no terminal to ask on",
                f"Give --yes to {verb} without a question, or {look}",
            )

        def ask(counts: dict[str, int]) -> bool:
            self._terminal().show_plan()
            self._terminal().pause()
            return _answer(f"{question} [y/N] ") in ("y", "yes")

        return ask


def _answer(question: str) -> str:
    """One line from the terminal, in lower case; empty at end of file.

    The terminal is watched and only read when there is something: a Ctrl-C that comes just before a blocking read
    would be noticed after the next key only.
    """
    print(question, end="", flush=True)
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        pass
    return sys.stdin.readline().strip().lower()
