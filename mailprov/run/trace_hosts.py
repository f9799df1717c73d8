"""What hosts say of one message: their logs, and what only they can see. They are asked, and nothing is changed.

    Ears(inventory, began, start, addresses)
    ears.follow(wanted, message_id, patience)     their logs, and on to the hosts that these name (trace_rounds.py)
    ears.look(…)                                  files, DNS, settings of Postfix
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
from mailprov.run.hosts import Start
from mailprov.run.inquiry import Answer, Question, launch
from mailprov.run.trace_rounds import Rounds
from mailprov.trace import observed
from mailprov.trace.observed import HostLog, Look

RETRIES = ("minimal_backoff_time", "maximal_backoff_time", "maximal_queue_lifetime")
_BEFORE = 600.0  # seconds before the start, by the clock of a host that may be behind
_PATIENCE = 90.0  # seconds for an answer over SSH


class Ears:
    def __init__(
        self,
        inventory: Inventory,
        began: float,
        start: Start,
        addresses: Callable[[Host], tuple[str, ...]],
    ) -> None:
        """`began`: unix seconds; `addresses`: every one by which a host is known."""
        self._inventory, self._began, self._start = inventory, began, start
        self._rounds = Rounds(inventory, start, addresses)
        self._gaps: list[str] = []
        self.looks: list[Look] = []
        self.questions: list[observed.Question] = []
        self.settings: dict[str, Mapping[str, str]] = {}

    @property
    def logs(self) -> tuple[HostLog, ...]:
        return tuple(one.log for one in self._rounds.told.values() if one.error is None)

    @property
    def gaps(self) -> list[str]:
        silent = [gap for one in self._rounds.told.values() if one.error is not None for gap in one.log.gaps]
        return [*self._rounds.gaps, *silent, *self._gaps]

    def heard(self, host: str) -> bool:
        told = self._rounds.told.get(host)
        return told is not None and told.error is None

    def logs_of_all(self) -> tuple[HostLog, ...]:
        return self._rounds.logs_of_all()

    def follow(self, wanted: Mapping[str, Collection[str]], message_id: str, patience: float) -> None:
        """`wanted`: hosts and the queue ids that are known there. Goes on until no new host and no new id turns up."""
        later = {
            "message_ids": [message_id] if message_id else [],
            "queue_ids": [],
            "since": self._began - _BEFORE,
        }
        keys = {name: {**later, "queue_ids": sorted(ids)} for name, ids in wanted.items()}
        self._rounds.ask(keys, later, follow=patience)

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
        if host.name in self._rounds.silent or not host.managed:
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

    def _ask(self, names: Iterable[str], job: Callable[[Host], dict[str, Any]]) -> list[Answer]:
        """Those that answered. Who does not is not asked again."""
        hosts = [self._inventory.host(name) for name in names if self._rounds.may_be_asked(name)]
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
            self._rounds.silent.add(one.host.name)
            text = _("{host} could not be asked, so what it logged is missing ({reason})")
            self._gaps.append(text.format(host=one.host.name, reason=reason.rstrip(".")))
        return found


class _AnyClock(Question):
    def greeted(self, theirs: float) -> None:
        """A clock that is wrong is shown, and stops nothing."""


def _nowhere(event: object) -> None:
    """A host's own events are nothing to look at: what it says is part of the trace."""
