"""What hosts say of one message: their logs, and what only they can see. They are asked, and nothing is changed.

    Ears(inventory, began, start, addresses)
    ears.follow(hosts, message_id, queue_ids, patience) -> logs      and on to the hosts that they name
    ears.look(…)                                                     files, DNS, settings of Postfix
    ears.logs, ears.gaps, ears.looks, ears.questions, ears.settings

A host that cannot be asked is a gap, and no failure.
Raises nothing of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from mailprov.components.dovecot.passwd import MAIL_ROOT
from mailprov.i18n import _
from mailprov.model.inventory import Host, Inventory
from mailprov.model.values import replace
from mailprov.run.hosts import Start
from mailprov.run.inquiry import Answer, Question, launch
from mailprov.run.trace_logs import Told, read_logs
from mailprov.trace import observed
from mailprov.trace.join import Web
from mailprov.trace.observed import HostLog, Look

RETRIES = ("minimal_backoff_time", "maximal_backoff_time", "maximal_queue_lifetime")
_BEFORE = 600.0  # seconds before the start, by the clock of a host that may be behind
_ROUNDS = 6  # hosts one behind the other
_PATIENCE = 90.0  # seconds for an answer over SSH


class Ears:
    def __init__(
        self,
        inventory: Inventory,
        began: float,
        start: Start,
        addresses: Callable[[Host], tuple[str, ...]],
        *,
        since: float | None = None,
    ) -> None:
        """`began`: unix seconds; `addresses`: every one by which a host is known. `since`: of messages of the past."""
        self._inventory, self._began, self._start = inventory, began, start
        self._addresses = addresses
        self._since = began - _BEFORE if since is None else since
        self._logs: dict[str, HostLog] = {}
        self.gaps: list[str] = []
        self.looks: list[Look] = []
        self.questions: list[observed.Question] = []
        self.settings: dict[str, Mapping[str, str]] = {}
        self._silent: set[str] = set()

    @property
    def logs(self) -> tuple[HostLog, ...]:
        return tuple(self._logs.values())

    def heard(self, host: str) -> bool:
        return host in self._logs

    def follow(
        self,
        wanted: Mapping[str, Collection[str]],
        message_id: str,
        patience: float,
        more: Mapping[str, Any] = {},
    ) -> None:
        """`wanted`: hosts and the queue ids that are known there. Goes on until no new host and no new id turns up.

        `more`: other keys of the search, for every host.
        """
        asked: dict[str, set[str]] = {}
        todo = {host: set(ids) for host, ids in wanted.items()}
        for _round in range(_ROUNDS):
            todo = {
                host: ids | asked.get(host, set())
                for host, ids in todo.items()
                if host not in self._silent and (host not in asked or ids - asked[host])
            }
            if not todo:
                break
            keys = {
                name: {
                    "message_ids": [message_id] if message_id else [],
                    "queue_ids": sorted(ids),
                    "since": self._since,
                    **more,
                }
                for name, ids in todo.items()
                if self._may_be_asked(name)
            }
            for name, told in read_logs(self._inventory, keys, start=self._start, follow=patience).items():
                self._hear(name, told)
            for host, ids in todo.items():
                asked.setdefault(host, set()).update(ids)
            todo = self._named()

    def _named(self) -> dict[str, set[str]]:
        """Where the logs say that it went: hosts of ours, and the ids that they gave it."""
        web = Web(self.logs_of_all())
        found: dict[str, set[str]] = {}
        managed = {host.name for host in self._inventory.hosts if host.managed}
        for life in web.lives:
            for _line, delivery in life.deliveries:
                place = web.place(life, delivery)
                if delivery.queued_as and place in managed:
                    found.setdefault(place, set()).add(delivery.queued_as)
            for _line, report in life.reports:
                found.setdefault(life.host, set()).add(report.queue_id)
        return found

    def logs_of_all(self) -> tuple[HostLog, ...]:
        """With the hosts of which nothing was heard: their addresses are known."""
        others = tuple(
            HostLog(host.name, host.fqdn, self._addresses(host))
            for host in self._inventory.hosts
            if host.name not in self._logs
        )
        return (*self.logs, *others)

    def look(
        self,
        host: Host,
        message_id: str,
        accounts: Iterable[str] = (),
        questions: Iterable[tuple[str, str]] = (),
        settings: Iterable[str] = (),
        *,
        near: float = 0.0,
        headers: bool = False,
    ) -> None:
        """`near`: unix seconds by the host's clock, at about which the message came; 0: just now."""
        if host.name in self._silent or not host.managed:
            return
        keys = {
            "message_id": message_id,
            "accounts": list(accounts),
            "questions": [list(each) for each in questions],
            "settings": list(settings),
            "near": near,
            "headers": headers,
        }
        at = time.time() - self._began
        for one in self._ask(
            [host.name], lambda host: {"mode": "trace", "mail_root": MAIL_ROOT, "keys": keys}
        ):
            for each in one.told.get("files", ()):
                self.looks.append(
                    Look(
                        host.name, each["address"], each["path"], each["folder"], each["size"], each["t"],
                        tuple(each["headers"]),
                    )
                )  # fmt: skip
            for each in one.told.get("answers", ()):
                self.questions.append(
                    observed.Question(
                        host.name, each["name"], each["type"], each["server"], tuple(each["values"]),
                        each["answer"], each["ttl"], True, round(at, 3), each["seconds"],
                    )
                )  # fmt: skip
            self.settings[host.name] = {**self.settings.get(host.name, {}), **one.told.get("settings", {})}

    def _hear(self, name: str, told: Told) -> None:
        """More of what this host has logged, beside what is known."""
        if told.error is not None:
            self._silent.add(name)
            self.gaps += told.log.gaps
            return
        before = self._logs.get(name)
        known, gaps = (before.records, before.gaps) if before is not None else ((), ())
        self._logs[name] = replace(
            told.log,
            addresses=self._addresses(self._inventory.host(name)),
            records=tuple(dict.fromkeys((*known, *told.log.records))),
            gaps=tuple(dict.fromkeys((*gaps, *told.log.gaps))),
        )

    def _may_be_asked(self, name: str) -> bool:
        if name not in self._silent and not self._inventory.host(name).managed:
            self._silent.add(name)
            text = _("{host} has `managed: false`: others built it, and its log is not read")
            self.gaps.append(text.format(host=name))
        return name not in self._silent

    def _ask(self, names: Iterable[str], job: Callable[[Host], dict[str, Any]]) -> list[Answer]:
        """Those that answered. Who does not is not asked again."""
        hosts = [self._inventory.host(name) for name in names if self._may_be_asked(name)]
        answers = launch(hosts, job, command="trace", emit=_nowhere, start=self._start, question=_AnyClock)
        found = []
        for one in answers:
            if not one.session.ended.wait(_PATIENCE):
                one.session.abandon()
                reason = _("it does not answer")
            elif one.outcome.error is not None:
                reason = str(one.outcome.error)
            else:
                found.append(one)
                continue
            self._silent.add(one.host.name)
            text = _("{host} could not be asked, so what it logged is missing ({reason})")
            self.gaps.append(text.format(host=one.host.name, reason=reason.rstrip(".")))
        return found


class _AnyClock(Question):
    def greeted(self, theirs: float) -> None:
        """A clock that is wrong is shown, and stops nothing."""


def _nowhere(event: object) -> None:
    """A host's own events are nothing to look at: what it says is part of the trace."""
