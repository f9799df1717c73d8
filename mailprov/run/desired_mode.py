"""What a host is answered when its desired state is what the conversation is about (modes plan and apply).

`DesiredMode` is a Mode of run/hosts.py: it makes the desired state from the facts that the host sends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mailprov import desired
from mailprov.components.web import place
from mailprov.model.dkim import STATE_FILE, Key
from mailprov.model.dkim import read as read_keys
from mailprov.model.inventory import Host, Inventory
from mailprov.run import believed
from mailprov.run.tls_keys import Told


class DesiredMode:
    """Modes plan and apply: the desired state is made from the facts. `zones` is asked at the go: DNS changes of this
    run whose undo this host keeps, as `dns.undo` makes them. `rotation`: a step of a rotation of DKIM keys.
    `keys` are the host's DKIM keys once the state is made; `served` the domains that it had keys of until now.
    `web_waits`: it is to have a web server, and somebody else's has its ports.
    """

    def __init__(
        self,
        inventory: Inventory,
        host: Host,
        job: dict[str, Any],
        zones: Callable[[], list[dict[str, Any]]] = list,
        rotation: desired.RotationStep | None = None,
    ) -> None:
        self.job = {**job, "packages": desired.wanted_packages(inventory, host)}
        self.host = host
        self.keys: tuple[Key, ...] = ()
        self.served: frozenset[str] = frozenset()
        self.permit: Callable[[Told], None] = lambda told: None
        self.peer = ""  # our address, as the host sees it
        self.settled: Callable[[], Inventory] = lambda: inventory  # with what is found out meanwhile
        self.web_waits = False
        self._inventory, self._zones, self._rotation = inventory, zones, rotation
        self._precomputed: desired.Precomputed | None = desired.Precomputed(inventory, host)

    def prepare(self) -> None:  # what needs no facts, for whoever has time
        if (precomputed := self._precomputed) is not None:
            precomputed.mail()

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["t"] != "facts":
            return None
        self.peer = message["facts"].get("peer", "")
        before = message["facts"].get("dkim") or {"state": "", "public": {}}
        believed.keys(self._inventory, self.host, before, time.time())
        self.served = frozenset(key.domain for key in read_keys(before["state"]))
        self.web_waits = place.SETTING.of(self.host) and bool(place.why_not(message["facts"]))
        state = desired.build(self.settled(), self.host, message["facts"], self._rotation, self._precomputed)
        self._precomputed = None  # needed once; there may be hundreds of hosts
        told = [file.content for file in state.files if file.path == STATE_FILE]
        self.keys = read_keys(told[0]) if told else ()
        return {"t": "desired", "state": state.to_wire()}

    def public(self, plan: dict[str, Any], *, made: bool) -> dict[str, str] | None:
        """The DKIM keys in a plan. `made`: none of them is still to be made."""
        told: dict[str, str] | None = plan.get("keys")
        if told is not None:
            believed.public(self.host, self.keys, told, made=made)
        return told

    def go(self) -> dict[str, Any]:
        zones = self._zones()
        return {"zones": zones} if zones else {}
