"""How the process ends: every error becomes one sentence on stderr and the right exit code.

ended_well(begin_json)  a context: what is raised in it becomes SystemExit
at_end(tell)            `tell(error, code)` is called before that: what programs read (--json, --junit) has an end, too.
                        `error` is None for one that typer has told already, and when the command ended by itself
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mailprov.cli.streams import print_text
from mailprov.errors import InventoryError, MailprovError
from mailprov.i18n import _, ngettext
from mailprov.model import cleaning

_OUTPUT_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
BUG = 3  # we cannot tell what would have happened; never 1, which means "tested, and failed"


Tell = Callable[[BaseException | None, int], None]
_tell: list[Tell] = []


class PastTyper(BaseException):
    """Carries, as its cause, an exception past typer, which would end the process in its own way."""


def at_end(tell: Tell) -> None:
    _tell.append(tell)


@contextmanager
def ended_well(begin_json: Callable[[], None] | None = None) -> Iterator[None]:
    """Everything raised inside becomes SystemExit; a broken pipe (`| head`) is not an error.

    `begin_json`, where programs read (--json): called when the command did not come as far as its reports.
    """
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    _tell.clear()  # of a command before this one in the same process
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # what cannot be written is told here, not by the interpreter at its end
    except PastTyper as carrier:
        raise SystemExit(_ended(carrier.__cause__ or carrier, begin_json)) from None
    except SystemExit as end:
        if isinstance(end.code, int) and end.code:
            _tell_programs(None, end.code, begin_json)
        raise
    except (Exception, KeyboardInterrupt) as error:
        raise SystemExit(_ended(error, begin_json)) from None


def _ended(error: BaseException, begin_json: Callable[[], None] | None) -> int:
    code = _told(error)
    _tell_programs(error, code, begin_json)
    return code


def _tell_programs(error: BaseException | None, code: int, begin_json: Callable[[], None] | None) -> None:
    if not _tell and begin_json is not None:
        begin_json()
    for tell in _tell:
        try:
            tell(error, code)
        except MailprovError as failed:
            _say(str(failed))


def _told(error: BaseException) -> int:
    """Says the error in one sentence on stderr (a broken pipe needs none); the exit code."""
    if isinstance(error, KeyboardInterrupt):
        _say(_("interrupted; nothing is left half done by this command"))
        return 130
    if isinstance(error, BrokenPipeError):
        _drop_output()
        return 128 + signal.SIGPIPE
    if isinstance(error, InventoryError):
        count = len(error.problems)
        print_text(str(error), sys.stderr)
        _say(
            ngettext(
                "{count} problem in the inventory; nothing was done",
                "{count} problems in the inventory; nothing was done",
                count,
            ).format(count=count)
        )
        return error.exit_code
    if isinstance(error, MailprovError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _OUTPUT_FULL and error.filename is None:
        _drop_output()
        _say(
            _("the output cannot be written: {error}. Send it elsewhere and run again.").format(
                error=error.strerror
            )
        )
        return BUG
    if os.environ.get("MAILPROV_DEBUG"):
        traceback.print_exception(error)
    _say(
        _(
            "this is a bug in mailprov, not your mistake: {kind}: {error}. Run it again with "
            "MAILPROV_DEBUG=1 and report what it prints."
        ).format(kind=type(error).__name__, error=cleaning.line(str(error)))
    )
    return BUG


def _say(sentence: str) -> None:
    print_text(f"mailprov: {sentence}", sys.stderr)


def _drop_output() -> None:
    """What is still in the buffer goes nowhere; else the interpreter complains about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _as_ctrl_c(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
