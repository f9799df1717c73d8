"""Logins that begin while the inventory is still being checked, for a login is mostly waiting for the other side.

    with EarlyLogins(bootstrap) as early:
        early.begin(hosts, others)        hosts as `inventory.unchecked` tells them; no command runs there
        early.settled(hosts, others)      after the check: Connections for these hosts, with the logins where they fit

What was begun is used only if the checked inventory has the very same hosts at the same places with the same `ssh`;
else it is ended, and so it is when the inventory is wrong. Where a passphrase would have to be asked for, nothing
begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailprov.model.inventory import Host, SshSettings
from mailprov.transport.connections import Connections, on_terminal

_Places = dict[str, tuple[str, SshSettings]]


class EarlyLogins:
    """`bootstrap` as in Connections."""

    def __init__(self, *, bootstrap: bool = False) -> None:
        self._bootstrap = bootstrap
        self._begun: Connections | None = None
        self._hosts: set[str] = set()
        self._places: _Places = {}

    def __enter__(self) -> EarlyLogins:
        return self

    def __exit__(self, *_: object) -> None:
        if self._begun is not None:
            self._begun.close()

    def begin(self, hosts: Sequence[Host], others: Sequence[Host]) -> None:
        """Once. `others` are all hosts that the file has: each may be a jump host."""
        connections = Connections(others=others, bootstrap=self._bootstrap, asks=False)
        if not connections.may_begin(hosts) or (on_terminal() and connections.has_questions(hosts)):
            connections.close()
            return
        self._begun, self._hosts, self._places = connections, {host.name for host in hosts}, _places(others)
        connections.begin(hosts)

    def settled(self, hosts: Sequence[Host], others: Sequence[Host]) -> Connections:
        begun, self._begun = self._begun, None
        if begun is not None:
            if self._hosts == {host.name for host in hosts} and self._places == _places(others):
                return begun
            begun.close()
        return Connections(hosts, others=others, bootstrap=self._bootstrap)


def _places(hosts: Iterable[Host]) -> _Places:
    return {host.name: (host.address, host.ssh) for host in hosts}
