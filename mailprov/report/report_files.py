"""--report KIND=FILE: what a run found, in the forms that programs and people read; each file is whole in any case.

    KINDS                             kind → what it is, in a few words
    ReportFiles(words, junit, …)      a report: collects the events, writes every file at the end

A kind is a module here with `render(run, making) -> str`. All are written from the same WholeRun, so they cannot
disagree. From the beginning a file says that the run did not complete, which is what is left of one that is killed; but
for `LATE` kinds, whose readers look at any time, so the old file stays until there is a new one.

Raises InputError at once, before anything is done, for a word that is not KIND=FILE, a file that two kinds share, that
is the inventory, or that cannot be written; ReportFailed when that shows only at the end (a full disk). Then the other
files have been written all the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from pathlib import Path

from mailprov.errors import InputError, MailprovError, ReportFailed
from mailprov.i18n import N_, _, all_of
from mailprov.model.events import Event, RunEnded
from mailprov.model.values import dataclass
from mailprov.report import own_file
from mailprov.report.whole_run import Making, WholeRun

# Kind → module, what it is.
_MODULES = {
    "json": ("json_report", N_("everything, for programs; with a schema")),
    "junit": ("junit", N_("JUnit XML")),
    "tap": ("tap", N_("TAP 14")),
    "markdown": ("markdown", N_("for the summary of a job")),
    "github": ("github", N_("annotations of GitHub Actions")),
    "nagios": ("nagios", N_("the line of a plugin of Nagios or Icinga")),
    "prometheus": ("prometheus", N_("for node_exporter's textfile collector")),
    "sarif": ("sarif", N_("SARIF 2.1.0, for code scanning")),
    "html": ("verify_page", N_("a page, in one file")),
}
KINDS = {kind: about for kind, (__, about) in _MODULES.items()}
LATE = frozenset({"prometheus", "nagios"})
STDOUT = Path("-")


@dataclass(frozen=True)
class _Wanted:
    kind: str
    path: Path
    option: str  # as it was given, for errors


class ReportFiles:
    """`stdout`: the kind that is written there, or empty. Those of AMONG_OTHERS stand among other lines."""

    AMONG_OTHERS = frozenset({"github"})

    def __init__(
        self,
        words: Collection[str] = (),
        junit: Path | None = None,
        *,
        making: Making | None = None,
        kept: Collection[Path] = (),
        stdout_is_taken: bool = False,
    ) -> None:
        """`kept`: files that no report may be written over. `stdout_is_taken`: by --json."""
        self._making = making or Making()
        self._run = WholeRun()
        self._wanted = [_Wanted("junit", junit, f"--junit {junit}")] if junit is not None else []
        self._wanted += map(_parsed, words)
        _check(self._wanted, kept, stdout_is_taken)
        self.stdout = next((each.kind for each in self._wanted if each.path == STDOUT), "")
        # All of them before the first is touched: a wrong one leaves the others as they were.
        for text_of in (lambda each: None, self._text):
            for each in self._wanted:
                self._attempt(each, text_of)

    @property
    def plugin_code(self) -> int:
        """The exit code of a plugin of Nagios, once the run has ended."""
        from mailprov.report import nagios

        return nagios.exit_code(self._run)

    def _attempt(self, each: _Wanted, text_of: Callable[[_Wanted], str | None]) -> None:
        if each.path == STDOUT or _stream(each.path):
            return
        try:
            if each.kind in LATE or (text := text_of(each)) is None:
                own_file.attempt(each.path)
            else:
                own_file.write(each.path, text, private=False)
        except OSError as error:
            what = _("cannot be written: {error}").format(error=error.strerror)
            raise InputError(each.option, what, _("Give a path you may write")) from error

    def _text(self, each: _Wanted) -> str:
        module = import_module(f"mailprov.report.{_MODULES[each.kind][0]}")
        return str(module.render(self._run, self._making))

    def __call__(self, event: Event) -> None:
        self._run.take(event)
        if isinstance(event, RunEnded):
            failures = [failed for each in self._wanted if (failed := self._write(each)) is not None]
            if failures:
                raise failures[0]

    def _write(self, each: _Wanted) -> Exception | None:
        try:
            text = self._text(each)
            if each.path == STDOUT:
                sys.stdout.write(text)
                sys.stdout.flush()
            elif _stream(each.path):
                with open(each.path, "w", encoding="utf-8") as stream:
                    stream.write(text)
            else:
                own_file.write(each.path, text, private=False)
        except BrokenPipeError as error:
            return error
        except OSError as error:
            failed: MailprovError = ReportFailed(
                each.option,
                _("cannot be written: {error}").format(error=error.strerror),
                _("The run itself is over; make room, and run verify for a new report"),
            )
            failed.__cause__ = error
            return failed
        except Exception as error:  # a bug in one kind takes no other with it
            return error
        return None


def _parsed(word: str) -> _Wanted:
    kind, equals, path = word.partition("=")
    option = f"--report {word}"
    if not equals or not path:
        raise InputError(option, _("it is no KIND=FILE"), _("Write it as in --report junit=report.xml"))
    if kind not in KINDS:
        what = _('no kind of report is "{kind}"').format(kind=kind)
        raise InputError(option, what, _("Kinds are {kinds}").format(kinds=all_of(KINDS)))
    return _Wanted(kind, Path(path), option)


def _check(wanted: Sequence[_Wanted], kept: Collection[Path], stdout_is_taken: bool) -> None:
    seen: dict[Path, _Wanted] = {}
    untouched = {path.resolve() for path in kept}
    for each in wanted:
        path = each.path if each.path == STDOUT else each.path.resolve()
        if path in seen:
            what = _("{other} is written to the same place").format(other=seen[path].option)
            raise InputError(each.option, what, _("Give each report a file of its own"))
        if path == STDOUT and stdout_is_taken:
            raise InputError(each.option, _("--json is printed there"), _("Give one of the two a file"))
        if path in untouched:
            raise InputError(each.option, _("that file is read by this command"), _("Give another path"))
        if path != STDOUT and not path.parent.is_dir():
            raise InputError(each.option, _("its folder does not exist"), _("Make the folder first"))
        seen[path] = each


def _stream(path: Path) -> bool:
    """A device or a pipe, as /dev/stdout is: written once, at the end, and in place."""
    return os.access(path, os.W_OK) and not os.path.isfile(path) and not os.path.isdir(path)
