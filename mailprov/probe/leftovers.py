"""What was sent in a run and is not removed yet; it is taken out at the end, however the run ends.

    Leftovers()
    .note(host, account, search)        before one more message is sent that this search will find in the account's
                                        mailbox; not `sure`: it may come or not
    .refused(account, search)           it was not sent after all
    .gone(account, search)              all of them were removed
    .clear(remove, waits)               takes out what is left; with `waits` also what is still on its way
    .leave()                            from another thread: `clear` ends at once
    .told()                             a sentence for each that may still be there, with the command that removes it

`clear` is bounded, and goes on where a run was stopped: it has clocks of its own. From any thread; raises nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.inventory import Host
from mailprov.model.values import dataclass
from mailprov.probe.clients.connection import Deadline
from mailprov.probe.clients.errors import Interrupted, ProbeError, ReadTimeout

PATIENCE = 10.0  # seconds for all of it
_POLL = 0.3
_AT_ONCE = 8

# What looks into a mailbox until a deadline: search → how many messages it found, and has removed.
Remove = Callable[[Host, Account, Collection[str], Deadline], Mapping[str, int]]


@dataclass
class _Left:
    """`count`: messages that are sure to come."""

    host: Host
    account: Account
    search: str
    count: int = 0
    why: str = ""


class Leftovers:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[tuple[str, str], _Left] = {}  # account, search
        self._leave = threading.Event()

    def note(self, host: Host, account: Account, search: str, *, sure: bool = True) -> None:
        with self._lock:
            left = self._left.setdefault((account.address, search), _Left(host, account, search))
            left.count += sure

    def refused(self, account: Account, search: str) -> None:
        with self._lock:
            if (left := self._left.get((account.address, search))) is not None:
                left.count -= 1
                if left.count <= 0:
                    del self._left[account.address, search]

    def gone(self, account: Account, search: str) -> None:
        with self._lock:
            self._left.pop((account.address, search), None)

    def __bool__(self) -> bool:
        return bool(self._left)

    def leave(self) -> None:
        self._leave.set()

    def clear(self, remove: Remove, *, waits: bool) -> None:
        with self._lock:
            owners = {left.account.address: left for left in self._left.values()}
        if not owners:
            return
        end = Deadline(PATIENCE, self._leave)
        with ThreadPoolExecutor(min(_AT_ONCE, len(owners)), thread_name_prefix="cleanup") as pool:
            for left in owners.values():
                pool.submit(self._clear, remove, left.host, left.account, end, waits)

    def _of(self, account: Account) -> list[_Left]:
        with self._lock:
            return [left for left in self._left.values() if left.account.address == account.address]

    def _clear(self, remove: Remove, host: Host, account: Account, end: Deadline, waits: bool) -> None:
        try:
            while mine := self._of(account):
                removed = remove(host, account, [left.search for left in mine], end)
                for left in mine:
                    left.count -= removed.get(left.search, 0)
                    if left.count <= 0 and (removed.get(left.search) or not waits):
                        self.gone(account, left.search)
                if not waits or all(left.count <= 0 for left in mine):
                    break
                end.pause(_POLL)
        except (ReadTimeout, Interrupted):
            return
        except ProbeError as error:
            for left in self._of(account):
                left.why = str(error)

    def told(self) -> list[str]:
        with self._lock:
            every = [left for left in self._left.values() if left.count > 0 or left.why]
        form = _(
            "a test message may be in the mailbox of {account}, or still come into it; this removes it, on {host}: "
            "{command}"
        )
        with_reason = _(
            "a test message may be in the mailbox of {account}, or still come into it ({reason}); this removes it, on "
            "{host}: {command}"
        )
        return [
            (with_reason if left.why else form).format(
                account=left.account.address,
                reason=left.why.rstrip("."),
                host=left.host.name,
                command=f"doveadm expunge -u {left.account.address} mailbox '*' {_query(left.search)}",
            )
            for left in every
        ]


def _query(search: str) -> str:
    """As doveadm-search-query(7) has it."""
    word, __, rest = search.partition(" ")
    return f"{word.lower()} {rest}"
