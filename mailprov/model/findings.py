"""What a probe says: one of five verdicts, with the evidence to judge it again.

A pass means proved. An error means the probe could not test and is never a pass. Zero findings are never success.
"""

from __future__ import annotations

from enum import Enum

from mailprov.model.values import dataclass

# How many accounts of each domain log in when a verification proves logins, unless somebody says otherwise.
USUAL_ACCOUNTS = 3


class Verdict(str, Enum):
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"  # works, with something the user should know
    FAIL = "fail"  # tested, and wrong
    ERROR = "error"  # could not test
    SKIP = "skip"  # does not apply; `observed` says why


@dataclass(frozen=True)
class Remedy:
    """One exact change, to be copied as it is.

    `kind`: inventory (a key), record (of DNS, as a line of a zone), postfix, dovecot (a command, a line of its
    configuration), file (a line of a file that the advice names), command (in a shell: to mend it, or to see what is
    wrong), task (for somebody else).
    `where`: the host, or the domain, that it is for; empty: it says so itself.
    """

    kind: str
    text: str
    where: str = ""


@dataclass(frozen=True)
class Target:
    """Where a probe looked. Empty or zero fields do not apply (a DNS probe has a domain and no port)."""

    host: str = ""  # inventory name: mx1
    address: str = ""  # IP address connected to
    port: int = 0
    domain: str = ""
    account: str = ""

    def __str__(self) -> str:
        place = f"{self.host}:{self.port}" if self.port else self.host or self.domain
        return f"{place} {self.account}".strip()


@dataclass(frozen=True)
class Finding:
    """The result of one probe on one target.

    `id` is stable (such as `tls.chain`; `mailprov explain ID` tells more); `title` says in a line what a pass proves;
    `expected`/`observed` are one line each; `evidence` is a redacted transcript, one line per item;
    `advice` is the exact change that mends it (empty on a pass); `refs` are RFC sections or manual pages.
    `timed_out`: the probe waited for something until a deadline ended the wait. No probe of a sound host does.
    `waits_for`, of an error: the finding without which this could not be tested, as `net.tcp mx1:993`.
    `not_after`: until when the certificate that was seen is valid, unix seconds; 0 where none was judged by its dates.
    `accepted`: of a skip: the verdict that it would have, had the inventory not accepted it.
    `tasks`: what to have somebody else do (a registrar, the owner of an address), where nothing else mends it.
    `case`: what was observed, in a word that does not change; of those that a profile may judge otherwise.
    `by_default`: the verdict that it has without the profile of the run, where that is another one; `judged` says so.
    `remedies`: what `advice` says, as the exact changes, to be copied.
    """

    id: str
    target: Target
    verdict: Verdict
    title: str
    expected: str = ""
    observed: str = ""
    advice: str = ""
    evidence: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    seconds: float = 0.0
    timed_out: bool = False
    waits_for: str = ""
    tasks: tuple[str, ...] = ()
    not_after: float = 0.0
    accepted: str = ""
    case: str = ""
    by_default: str = ""
    judged: str = ""
    remedies: tuple[Remedy, ...] = ()
