"""Asks a host whether what came into its queue for some recipients has left it; reads only.

    ask(host, addresses, age, seconds, …) -> QueueTold     from any thread; a host that cannot be asked says why

`age`: how many seconds ago the mail came in at the earliest; `seconds`: how long the host waits for it to leave.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from mailprov.i18n import _
from mailprov.model.inventory import Host
from mailprov.probe import QueueTold, QueueWaiting
from mailprov.run.hosts import Start
from mailprov.run.inquiry import launch

_PATIENCE = 60.0  # seconds for an answer over SSH, beside what the host waits for
_SLICE = 0.25  # seconds until the stop flag is looked at again


def ask(
    host: Host,
    addresses: Collection[str],
    age: float,
    seconds: float,
    *,
    command: str,
    start: Start,
    stop: threading.Event,
) -> QueueTold:
    job = {"mode": "queue_gone", "recipients": list(addresses), "age": age, "seconds": seconds}
    (one,) = launch([host], lambda host: job, command=command, emit=lambda event: None, start=start)
    until = time.monotonic() + seconds + _PATIENCE
    while not one.session.ended.wait(_SLICE):
        if stop.is_set() or time.monotonic() > until:
            one.session.abandon()
            return QueueTold(error=_("no answer over SSH"))
    if one.outcome.error is not None or not one.told:
        what = one.outcome.error.what if one.outcome.error is not None else _("no answer over SSH")
        return QueueTold(error=what)
    waiting = tuple(
        QueueWaiting(each["id"], each["queue"], each["address"], each["reason"]) for each in one.told["left"]
    )
    return QueueTold(one.told["whole"], one.told["running"], waiting)
