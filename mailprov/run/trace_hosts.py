"""What hosts say of one message: their logs, and what only they can see. They are asked, and nothing is changed.

    Ears(inventory, began, start, addresses)
    ears.follow(hosts, message_id, queue_ids, patience) -> logs      and on to the hosts that they name
    ears.look(…)                                                     files, DNS, settings of Postfix
    ears.logs, ears.gaps, ears.looks, ears.questions, ears.settings

A host that cannot be asked is a gap, and no failure. Its clock is compared with ours when its answer comes.
Raises nothing of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from mailprov.components.dovecot.passwd import MAIL_ROOT
from mailprov.i18n import _
from mailprov.model.inventory import Host, Inventory
from mailprov.model.sentences import shown
from mailprov.run.hosts import Start
from mailprov.run.inquiry import Answer, launch
from mailprov.trace.join import Web
from mailprov.trace.observed import HostLog, Look, Question, Record

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
        self.questions: list[Question] = []
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
            for one in self._ask(todo, _job(todo, message_id, {"since": self._since, **more}, patience)):
                self._hear(one)
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
    ) -> None:
        if host.name in self._silent or not host.managed:
            return
        keys = {
            "message_id": message_id,
            "accounts": list(accounts),
            "questions": [list(each) for each in questions],
            "settings": list(settings),
        }
        at = time.time() - self._began
        for one in self._ask(
            [host.name], lambda host: {"mode": "trace", "mail_root": MAIL_ROOT, "keys": keys}
        ):
            for each in one.told.get("files", ()):
                self.looks.append(
                    Look(host.name, each["address"], each["path"], each["folder"], each["size"], each["t"])
                )
            for each in one.told.get("answers", ()):
                self.questions.append(
                    Question(
                        host.name, each["name"], each["type"], each["server"], tuple(each["values"]),
                        each["answer"], each["ttl"], True, round(at, 3), each["seconds"],
                    )
                )  # fmt: skip
            self.settings[host.name] = {**self.settings.get(host.name, {}), **one.told.get("settings", {})}

    def _hear(self, one: Answer) -> None:
        told, host = one.told, one.host
        if not told:
            return
        before = self._logs.get(host.name)
        records = tuple(
            Record(host.name, each["t"], each["ident"], each["pid"], each["text"], each["source"])
            for each in told["records"]
        )
        arrived = one.question.arrived
        gaps = tuple(f"{host.name}: {shown(each['text'])}" for each in told["gaps"])
        self._logs[host.name] = HostLog(
            host.name,
            host.fqdn,
            self._addresses(host),
            tuple(dict.fromkeys((*(before.records if before is not None else ()), *records))),
            told["now"] - arrived if arrived is not None else None,
            tuple(dict.fromkeys((*(before.gaps if before is not None else ()), *gaps))),
        )

    def _ask(self, names: Iterable[str], job: Callable[[Host], dict[str, Any]]) -> list[Answer]:
        """Those that answered. Who does not is not asked again."""
        hosts = [self._inventory.host(name) for name in names]
        for host in hosts:
            if not host.managed:
                self._silent.add(host.name)
                text = _("{host} has `managed: false`: others built it, and its log is not read")
                self.gaps.append(text.format(host=host.name))
        answers = launch(
            [host for host in hosts if host.managed],
            job,
            command="trace",
            emit=_nowhere,
            start=self._start,
            believe=None,
        )
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


def _job(
    todo: Mapping[str, Collection[str]], message_id: str, more: Mapping[str, Any], patience: float
) -> Callable[[Host], dict[str, Any]]:
    ids = {"message_ids": [message_id] if message_id else []}
    return lambda host: {
        "mode": "maillog",
        "keys": {**ids, "queue_ids": sorted(todo[host.name]), **more},
        "follow": patience,
    }


def _nowhere(event: object) -> None:
    """A host's own events are nothing to look at: what it says is part of the trace."""
