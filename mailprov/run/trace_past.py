"""`mailprov trace --message-id ID` and the like: what became of a message that went by.

    past(inventory, search, start=…, report=…) -> exit code

All hosts are asked at once what their logs tell (trace_rounds.py), and one message's records become its way
(mailprov/trace/). Where several match, they are listed. Nothing on hosts is changed; what is shown is the envelope, and
the ids of servers; with `headers` the message's header too, from the file in the mailbox.

Exit code: 0 it arrived, or several were listed; 1 it did not, or there is none; 3 it is not known, since a host could
not be asked or the message is on its way. Raises InputError for a host that is not in the inventory.
"""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Iterable
from typing import Any

from mailprov.i18n import _, all_of, ngettext
from mailprov.model.answers import MessageFound, Traced
from mailprov.model.events import Emit, Notice, Progress
from mailprov.model.inventory import Inventory
from mailprov.model.trace import Agent, Arrival, Clock, Evidence, Outcome, Source, Step, Trace, TraceLine
from mailprov.model.values import dataclass, replace
from mailprov.run.event_queue import EventQueue
from mailprov.run.hosts import Start
from mailprov.run.select import select
from mailprov.run.trace import exit_code, summed_up
from mailprov.run.trace_logs import Told, addresses
from mailprov.run.trace_rounds import Rounds
from mailprov.run.trace_work import Work, run_work
from mailprov.trace.observed import Look, Record, Seen
from mailprov.trace.way import ways

# agent/maillog/ids.py: what smtpd(8) says of mail that had no queue id.
_REFUSED = re.compile(r"NOQUEUE: reject: .*?: (\d{3} .*); from=<([^>]*)> to=<([^>]*)> proto=.*")


@dataclass(frozen=True)
class Search:
    """One of `message_id`, `queue_id`, or addresses. `since` and `until`: unix seconds, 0: not limited."""

    message_id: str = ""
    queue_id: str = ""
    host: str = ""
    sender: str = ""
    recipient: str = ""
    since: float = 0.0
    until: float = 0.0
    headers: bool = False

    def keys(self) -> dict[str, Any]:
        made: dict[str, Any] = {"since": self.since, "until": self.until}
        if self.message_id:
            made["message_ids"] = [self.message_id]
        elif self.queue_id:
            made["queue_ids"] = [self.queue_id]
        else:
            made |= {"from": self.sender, "to": self.recipient}
        return made


def past(inventory: Inventory, search: Search, *, start: Start, report: Emit) -> int:
    asked = select(inventory, [search.host] if search.host else None, asks=True).hosts
    names = tuple(host.name for host in asked)
    return run_work(inventory, report, lambda events: _Work(inventory, search, names, start, events))


class _Work(Work):
    def __init__(
        self, inventory: Inventory, search: Search, hosts: tuple[str, ...], start: Start, events: EventQueue
    ) -> None:
        super().__init__(events)
        self._inventory, self._search, self._hosts, self._start = inventory, search, hosts, start

    def work(self) -> tuple[int, str]:
        keys = self._search.keys()
        self._events.emit(
            Progress("trace", _("reading the logs of {hosts}").format(hosts=all_of(self._hosts)))
        )
        rounds = Rounds(self._inventory, self._start, stop=self.stop)
        rounds.ask(dict.fromkeys(self._hosts, keys), everywhere=True)
        told = rounds.told
        found = self._matching(told)
        if len(found) == 1:
            if self._search.headers:
                found = [self._with_headers(told, found[0])]
            self._events.emit(Traced(found[0]))
            return exit_code(found[0]), summed_up(found[0])
        if found:
            for each in found:
                self._events.emit(listed(each))
            summary = ngettext(
                "{count} message matches: name one by its id (--message-id, or --queue-id and --host)",
                "{count} messages match: name one by its id (--message-id, or --queue-id and --host)",
                len(found),
            ).format(count=len(found))
            return 0, summary
        return self._nothing(told)

    def _with_headers(self, told: dict[str, Told], trace: Trace) -> Trace:
        """The same way with what stands in the file of each copy that is still in its mailbox."""
        from mailprov.run.trace_hosts import Ears

        ears = Ears(self._inventory, trace.began, self._start, addresses)
        copies = {
            (step.host, step.recipient): step
            for step in trace.steps
            if step.agent is Agent.LMTP and step.clock
        }
        for (name, account), step in copies.items() if trace.message_id else ():
            offset = told[name].log.offset or 0.0
            near = trace.began + (step.at or 0.0) + offset
            ears.look(self._inventory.host(name), trace.message_id, [account], near=near, headers=True)
        found = {(look.host, look.account) for look in ears.looks}
        text = _(
            "no message with this Message-ID is in the mailbox of {account} any more, so its header is not known"
        )
        missing = [text.format(account=account) for name, account in copies if (name, account) not in found]
        if not copies:
            missing = [_("it is in no mailbox of these hosts, so its header is not known")]
        again = self._matching(told, tuple(ears.looks))
        same = next((each for each in again if _first_id(each) == _first_id(trace)), trace)
        return replace(same, gaps=(*same.gaps, *ears.gaps, *missing))

    def _matching(self, told: dict[str, Told], looks: tuple[Look, ...] = ()) -> list[Trace]:
        logs = tuple(one.log for one in told.values())
        began = self._search.since or time.time()
        seen = Seen(self._inventory, "", "", (), began, logs=logs, looks=looks)
        found = [each for each in ways(seen) if self._meant(each)]
        refused = refusals(told.values(), self._search)
        return sorted((*found, *refused), key=lambda each: each.began)

    def _meant(self, trace: Trace) -> bool:
        """Logs tell of others as well: a bounce, or a second message of this Message-ID where a queue id was given."""
        search = self._search
        if search.queue_id:
            return any(
                step.queue_id == search.queue_id and (not search.host or step.host == search.host)
                for step in trace.steps
            )
        if search.message_id:
            return trace.message_id == search.message_id
        if search.sender and trace.sender.lower() != search.sender.lower():
            return False
        recipients = {each.lower() for each in trace.recipients}
        recipients |= {name.lower() for each in trace.arrivals for name in (each.recipient, each.final)}
        return not search.recipient or search.recipient.lower() in recipients

    def _nothing(self, told: dict[str, Told]) -> tuple[int, str]:
        """Where it was looked for, how far back that reaches, and what else there is to look at."""
        for name, one in told.items():
            for gap in one.log.gaps:
                self._events.emit(Notice(name, gap.removeprefix(f"{name}: ")))
            if one.error is None:
                self._events.emit(Notice(name, _reach(one)))
        silent = [name for name, one in told.items() if one.error is not None]
        summary = _("no log tells of this message")
        if silent:
            summary = _("{known}; {silent} could not be asked").format(known=summary, silent=all_of(silent))
        return 3 if silent else 1, summary + ". " + self._advice()

    def _advice(self) -> str:
        if self._search.message_id or self._search.queue_id:
            return _(
                "Search by the addresses (--from, --to, --since): an id is known only to servers that took the message"
            )
        return _(
            "It may never have come: look at the queue and the log of the server that sends it, or search with "
            "an earlier --since, or by one of the two addresses alone"
        )


def _first_id(trace: Trace) -> tuple[str, str]:
    return next(((step.host, step.queue_id) for step in trace.steps if step.queue_id), ("", ""))


def _reach(one: Told) -> str:
    if not one.reach:
        return _("it has no log of mail")
    when = datetime.datetime.fromtimestamp(one.reach, datetime.timezone.utc)
    return _("nothing of it in {sources}, where records begin at {time} UTC").format(
        sources=all_of(one.sources), time=f"{when:%Y-%m-%d %H:%M:%S}"
    )


def listed(trace: Trace) -> MessageFound:
    host, queue_id = _first_id(trace)
    return MessageFound(
        trace.message_id,
        host or next((step.host for step in trace.steps), ""),
        queue_id,
        trace.sender,
        trace.recipients,
        trace.began,
        tuple(each.outcome.value for each in trace.arrivals),
        tuple(each.text for each in trace.arrivals),
    )


def refusals(told: Iterable[Told], search: Search) -> list[Trace]:
    """Mail that smtpd(8) refused before it had a queue id: one for each envelope and host, the last time it came."""
    if search.message_id or search.queue_id:
        return []
    last: dict[tuple[str, str, str], tuple[Record, str]] = {}
    offsets: dict[str, float] = {}
    gaps: dict[str, tuple[str, ...]] = {}
    for one in told:
        offsets[one.log.host], gaps[one.log.host] = one.log.offset or 0.0, one.log.gaps
        for record in one.log.records:
            match = _REFUSED.fullmatch(record.text) if record.ident.endswith("/smtpd") else None
            if match:
                last[one.log.host, match[2], match[3]] = (record, match[1])
    made = []
    for (host, sender, recipient), (record, reply) in last.items():
        text = _("Refused: {reply}").format(reply=reply)
        line = TraceLine(Source.LOG, f"{record.ident}[{record.pid}]: {record.text}")
        step = Step(
            1, 0, Agent.SMTP, Evidence.LOGGED, text, host, 25, 0.0, host, lines=(line,), recipient=recipient
        )
        advice = _("Its sender was told at once, and has the same words in the bounce")
        arrival = Arrival(recipient, recipient, Outcome.REFUSED, text, 1, next=advice)
        made.append(
            Trace(
                "", sender, (recipient,), record.t / 1e6 - offsets[host], (step,), (arrival,),
                clocks=(Clock(host, round(offsets[host], 3)),), gaps=gaps[host],
            )
        )  # fmt: skip
    return made
