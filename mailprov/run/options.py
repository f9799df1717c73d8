"""What a run that plans or applies may do, and what it is for: Options, as its command line says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailprov import desired
from mailprov.model.inventory import Host
from mailprov.model.tls_keys import HostKeys
from mailprov.model.values import dataclass, field


@dataclass(frozen=True)
class Options:
    """`confirm` is asked once, with the counts, when there is something to do; None means yes."""

    command: str = "apply"
    confirm: Callable[[dict[str, int]], bool] | None = None
    take_over: bool = False
    verify: bool | None = None  # None: when something was changed
    verify_scope: str = "full"  # "changed": only what the changes can have touched (run/verify_scope.py)
    exit_code_for_changes: bool = False
    together: bool = False  # where one host cannot be planned, nothing is done on the others either
    lock_timeout: float = 0  # seconds to wait for another run on a host
    accept_drift: bool = False  # overwrite what was edited by hand; the host keeps a copy
    take_over_host: bool = False  # a first apply hides or replaces what a host has of its own
    preview: str = ""  # nobody can be asked: the plan is shown, nothing is done, and this is said
    idle_code: int = 0  # the exit code when there is nothing to do
    saved: Mapping[str, str] | None = None  # host or zone → fingerprint: exactly this, or nothing
    rotation: desired.RotationStep | None = None  # a step of a rotation of keys
    moves: str = ""  # the domain of whose move (run/move.py) this run is a step
    switching: bool = (
        False  # a key changes in spite of TLSA records: the new one is published (dns/signing.py)
    )
    tls: Mapping[str, HostKeys] = field(
        default_factory=dict
    )  # of hosts that are not asked for theirs, or have others
    on_interrupt: Callable[[], None] | None = None  # called at Ctrl-C: ends what is still connecting
    direct: Callable[[Host], bool] | None = None  # whether no jump host is between here and there

    def job(self, mode: str, ident: str) -> dict[str, Any]:
        """What the agents are told of these options."""
        flags = {"accept_drift": self.accept_drift, "take_over_host": self.take_over_host}
        return {"mode": mode, "run": ident, "lock_timeout": self.lock_timeout, **flags}
