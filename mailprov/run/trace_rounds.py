"""Messages are followed from host to host by what logs tell: hosts are asked in rounds, until nothing new is named.

    Rounds(inventory, start, addresses, stop)
    rounds.ask(wanted, later, everywhere=…, follow=…)    `wanted`: host name → keys (wire.messages, job) to begin with
    rounds.told                                          {host name: Told}, in the order of the inventory
    rounds.logs_of_all()                                 those of hosts of which nothing was heard among them
    rounds.may_be_asked(name), rounds.silent             who did not answer, or is others' business, is not asked again

"queued as ID" names a message at the host of the inventory to whose address it was given, and bounce(8) names the
reports that it wrote; a Message-ID may be anywhere, and is asked of every host where that is wanted (`everywhere`).
A host that cannot be asked is a gap in what is known, and the others are told all the same. From any thread. Raises
nothing; `stop` cuts the readings.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mailprov.i18n import _
from mailprov.model.inventory import Host, Inventory
from mailprov.model.values import replace
from mailprov.run.hosts import Start
from mailprov.run.trace_logs import Told, Wanted, addresses, read_logs
from mailprov.trace.join import Web
from mailprov.trace.observed import HostLog

_ROUNDS = 6  # a message that goes through more hosts of ours than that goes in circles
_MOST_IDS = 500
_CLEANUP = re.compile(r"([0-9A-Za-z]+): message-id=(<.+>)")


class Rounds:
    """`addresses`: every one by which a host is known."""

    def __init__(
        self,
        inventory: Inventory,
        start: Start,
        addresses: Callable[[Host], tuple[str, ...]] = addresses,
        stop: threading.Event | None = None,
    ) -> None:
        self._inventory, self._start, self._addresses, self._stop = inventory, start, addresses, stop
        self._told: dict[str, Told] = {}
        self.silent: set[str] = set()
        self.gaps: list[str] = []  # of hosts that may not be asked

    def ask(
        self,
        wanted: Wanted,
        later: Mapping[str, Any] | None = None,
        *,
        everywhere: bool = False,
        follow: float = 0.0,
    ) -> None:
        """`later`: what a host is asked that comes in later, beside the ids. Each time begins anew."""
        asked: dict[str, Mapping[str, Any]] = {}
        known: dict[str, set[str]] = {}  # ids that a host has been asked about, or has told
        todo = wanted
        for _round in range(_ROUNDS):
            todo = {name: keys for name, keys in todo.items() if self.may_be_asked(name)}
            if not todo or (self._stop is not None and self._stop.is_set()):
                return
            asked.update(todo)
            read = read_logs(self._inventory, todo, start=self._start, follow=follow, stop=self._stop)
            for name, one in read.items():
                self._hear(name, one)
                keys = todo[name]
                known.setdefault(name, set()).update(
                    keys.get("message_ids", ()), keys.get("queue_ids", ()), _ids_in(one.log)
                )
            todo = self._next(asked, known, later or {}, everywhere)

    @property
    def told(self) -> dict[str, Told]:
        return {host.name: self._told[host.name] for host in self._inventory.hosts if host.name in self._told}

    def logs_of_all(self) -> tuple[HostLog, ...]:
        """With the hosts of which nothing was heard: their addresses are known."""
        others = tuple(
            HostLog(host.name, host.fqdn, self._addresses(host))
            for host in self._inventory.hosts
            if host.name not in self._told
        )
        return (*(one.log for one in self._told.values()), *others)

    def may_be_asked(self, name: str) -> bool:
        if name not in self.silent and not self._inventory.host(name).managed:
            self.silent.add(name)
            text = _("{host} has `managed: false`: others built it, and its log is not read")
            self.gaps.append(text.format(host=name))
        return name not in self.silent

    def _next(
        self,
        asked: Mapping[str, Mapping[str, Any]],
        known: Mapping[str, set[str]],
        later: Mapping[str, Any],
        everywhere: bool,
    ) -> dict[str, dict[str, Any]]:
        """Whole keys for each host that is to be asked again, or first. Of a Message-ID that it told, it told all."""
        everybody = message_ids(self._told.values())[:_MOST_IDS] if everywhere else ()
        named = self._named()
        todo = {}
        for host in self._inventory.hosts:
            new = {*everybody, *named.get(host.name, ())} - known.get(host.name, set())
            if new and host.managed:
                before = asked.get(host.name, later)
                both = {
                    "message_ids": (*before.get("message_ids", ()), *everybody),
                    "queue_ids": (*before.get("queue_ids", ()), *named.get(host.name, ())),
                }
                todo[host.name] = {
                    **later, **{key: list(dict.fromkeys(ids))[:_MOST_IDS] for key, ids in both.items()},
                }  # fmt: skip
        return todo

    def _named(self) -> dict[str, dict[str, None]]:
        """Where the logs say that a message went: hosts of ours, and the ids that they gave it."""
        web = Web(self.logs_of_all())
        found: dict[str, dict[str, None]] = {}
        for life in web.lives:
            for _line, delivery in life.deliveries:
                place = web.place(life, delivery)
                if delivery.queued_as and place:
                    found.setdefault(place, {})[delivery.queued_as] = None
            for _line, report in life.reports:
                found.setdefault(life.host, {})[report.queue_id] = None
        return found

    def _hear(self, name: str, told: Told) -> None:
        log = replace(told.log, addresses=self._addresses(self._inventory.host(name)))
        if told.error is not None:
            self.silent.add(name)
        before = self._told.get(name)
        self._told[name] = replace(told, log=log) if before is None else _both(before, replace(told, log=log))


def message_ids(told: Iterable[Told]) -> tuple[str, ...]:
    """Those that Postfix has logged, each once."""
    found: dict[str, None] = {}
    for one in told:
        for record in one.log.records:
            match = _CLEANUP.fullmatch(record.text) if record.ident.endswith("/cleanup") else None
            if match:
                found[match[2]] = None
    return tuple(found)


def _ids_in(log: HostLog) -> set[str]:
    found: set[str] = set()
    for record in log.records:
        match = _CLEANUP.fullmatch(record.text)
        found.update((record.text.partition(":")[0], *([match[2]] if match else ())))
    return found


def _both(before: Told, after: Told) -> Told:
    """A later round asks for more than the one before; it may meet a host that does not answer any more."""
    gaps = tuple(dict.fromkeys((*before.log.gaps, *after.log.gaps)))
    if after.error is not None:
        return replace(before, log=replace(before.log, gaps=gaps))
    known = set(after.log.records)
    # What an earlier round found by addresses and has no id: a refusal.
    records = (*(each for each in before.log.records if each not in known), *after.log.records)
    return Told(
        replace(after.log, records=records, gaps=gaps),
        after.reach,
        tuple(dict.fromkeys((*before.sources, *after.sources))),
        before.more or after.more,
    )
