"""Everything mailprov raises on purpose, and whose fault each error is.

    MailprovError                 never raised itself; `exit_code` says how the command ends
    ├── InputError            2   the user's words: command line or inventory
    │   ├── InventoryError    2   one or more Problems, each with file, line and column
    │   └── SecretError       2   a secret reference that gives nothing
    ├── Unreachable           3   we could not get in, so we cannot tell
    │   ├── HostUnreachable   3   TCP, host key, authentication, sudo, no python3
    │   └── DnsUnreachable    3   no answer from the name server
    │       └── DnsUnsure     3   none to an update either: whether it was done is not known
    ├── HostFailed            1   the host was reached and the work on it failed or was refused
    │   └── NotBelieved       1   the host tells what cannot be, or what is not its own to tell; nothing of it is used
    ├── DnsFailed             1   the name server answered, and refused
    ├── ReportFailed          1   the work was done, its report could not be written
    ├── LabError              1   the lab on this machine could not be made or unmade
    └── Interrupted         130   Ctrl-C

Any other exception is a bug in mailprov; `cli` shows one sentence with a report hint, and a traceback only with
MAILPROV_DEBUG.

Every message is one sentence of three parts: where it happened, what was seen, what to do.
`str(error)` is "where: what. Advice." Secrets never enter any of the three.
"""

from __future__ import annotations

import os
import re
import traceback

from mailprov.i18n import _
from mailprov.model.cleaning import line as printable
from mailprov.model.values import dataclass

SAME_KIND = 20  # problems of one kind that an inventory's error shows
_NAMED = re.compile(r'"[^"]*"|`[^`]*`|[0-9]+')


class MailprovError(Exception):
    """Base of all errors that are a user's to mend. `where`, `what` and `advice` are plain text without a final dot."""

    exit_code = 1

    def __init__(self, where: str, what: str, advice: str = "") -> None:
        self.where = printable(where)
        self.what = printable(what.rstrip("."))
        self.advice = printable(advice.rstrip("."))
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if not self.advice:
            return f"{text}."
        return f"{text}. {self.advice}" + ("" if self.advice.endswith("?") else ".")


class InputError(MailprovError):
    """The command line or a file given on it is wrong; nothing was touched."""

    exit_code = 2


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in an inventory. `line` and `column` count from 1; `path` is the key path: `hosts.mx1.tls.mode`."""

    file: str
    line: int
    column: int
    path: str
    what: str

    def __str__(self) -> str:
        at = f"{self.file}:{self.line}:{self.column}"
        return printable(f"{at}: {self.path}: {self.what}" if self.path else f"{at}: {self.what}")


class InventoryError(InputError):
    """All problems of one inventory at once, in the order of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__(self.problems[0].file, f"{len(self.problems)} problems")

    def __str__(self) -> str:
        """One line each; of one kind at most SAME_KIND, and then how many more and where: nobody reads 40,000."""
        kinds: dict[str, list[Problem]] = {}
        for problem in self.problems:
            kinds.setdefault(_kind(problem.what), []).append(problem)
        shown = {problem for kind in kinds.values() for problem in kind[:SAME_KIND]}
        lines = [str(problem) for problem in self.problems if problem in shown]
        for kind in kinds.values():
            if rest := kind[SAME_KIND:]:
                more = _("and {count:,} more such problems, up to line {line}: {what}").format(
                    count=len(rest), line=rest[-1].line, what=rest[-1].what
                )
                lines.append(printable(f"{rest[0].file}: {more}"))
        return "\n".join(lines)


def _kind(what: str) -> str:
    """The sentence without what it names."""
    return _NAMED.sub("…", what)


class SecretError(InputError):
    """A secret reference (environment variable, file, command) that is missing, unreadable or empty."""


class Unreachable(MailprovError):
    """We could not get in, so nothing can be said about the other side; nothing was changed there."""

    exit_code = 3


class HostUnreachable(Unreachable):
    """No session on the host: network, host key, authentication, sudo, or no Python to run the agent."""


class DnsUnreachable(Unreachable):
    """The name server did not answer."""


class DnsUnsure(DnsUnreachable):
    """An update was sent, no answer came, and the zone could not be read after it: it may have been done."""


class HostFailed(MailprovError):
    """The host was reached, and the work there failed or was refused (system, apt, a daemon's own check)."""


class NotBelieved(HostFailed):
    """What the host tells makes no sense, or is about others: nothing of it is used, and other hosts go on without."""

    def __init__(self, host: str, what: str) -> None:
        super().__init__(
            host,
            _("{what}; so nothing it reports is trusted, and nothing is written because of it").format(
                what=what
            ),
            _(
                "Look at that host: a bad disk or somebody else may have changed what mailprov keeps there "
                "(/var/lib/mailprov, /etc/mailprov), or the agent while it runs"
            ),
        )


class DnsFailed(MailprovError):
    """The name server answered, and did not do it (wrong TSIG key, refused, not its zone)."""


def bug(where: str, error: BaseException) -> HostFailed:
    """An exception that is a bug of ours, as a sentence: it must not take other hosts, zones or probes down with it."""
    if os.environ.get("MAILPROV_DEBUG"):
        traceback.print_exception(error)
    return HostFailed(
        where,
        _("internal error in mailprov: {name}: {error}").format(name=type(error).__name__, error=error),
        _("Run it again with MAILPROV_DEBUG=1 and report what it prints"),
    )


class LabError(MailprovError):
    """The lab could not be brought up, reset or taken down."""


class ReportFailed(MailprovError):
    """What was asked for was done, and a file that should tell of it could not be written."""


class Interrupted(MailprovError):
    """The user pressed Ctrl-C; what was begun has been brought to a safe end."""

    exit_code = 130

    def __init__(self, what: str = "interrupted") -> None:
        super().__init__("", what)
