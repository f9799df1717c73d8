"""Steps in the order in which they are told, each behind the one that it followed.

    Story(seen, web)
    story.add(…) -> number              a step
    story.lines(records), story.at(record)
    story.arrived(…)                    what became of it for one recipient

Numbers go down one branch before the next begins. Every text of a log passes model/cleaning.py here. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailprov.i18n import _
from mailprov.model import cleaning
from mailprov.model.trace import Agent, Arrival, Evidence, Outcome, Source, Step, TraceLine
from mailprov.trace.headers import added
from mailprov.trace.join import Web
from mailprov.trace.observed import Look, Record, Seen


class Story:
    def __init__(self, seen: Seen, web: Web) -> None:
        self.seen, self.web = seen, web
        self.steps: list[Step] = []
        self.arrivals: list[Arrival] = []
        self.doubts: list[str] = []  # about this message, beside those about the logs
        self._offsets = {log.host: log.offset or 0.0 for log in seen.logs}
        known = [(look.account, look.headers) for look in seen.looks]
        known += [(visit.account, visit.headers) for visit in seen.visits]
        read = [(account, added(map(cleaning.line, headers))) for account, headers in known if headers]
        self._hops = {queue_id: hop for _account, each in read for queue_id, hop in each.by.items()}
        self._last = {account: each.last for account, each in read}
        self._below = {each.newest: each.below for _account, each in read}
        self._judged: set[str] = set()  # queue ids

    def add(self, after: int, agent: Agent, evidence: Evidence, text: str, **fields: Any) -> int:
        number = len(self.steps) + 1
        self.steps.append(Step(number, after, agent, evidence, cleaning.line(text), **fields))
        return number

    def arrived(
        self,
        recipient: str,
        final: str,
        outcome: Outcome,
        text: str,
        step: int,
        mailbox: str = "",
        then: str = "",
    ) -> None:
        self.arrivals.append(
            Arrival(recipient, final, outcome, cleaning.line(text), step, mailbox, cleaning.line(then))
        )

    def at(self, record: Record | None) -> dict[str, Any]:
        """Fields of a step: when it was, by the host's clock."""
        if record is None or record.t % 1_000_000 == 0:
            return {}  # a log that tells whole seconds, such as Rspamd's, tells nothing of this
        return {
            "at": round(record.t / 1e6 - self.offset(record.host) - self.seen.began, 6),
            "clock": record.host,
        }

    def offset(self, host: str) -> float:
        """Seconds that its clock is ahead of ours; 0 where that is not known."""
        return self._offsets.get(host, 0.0)

    @staticmethod
    def lines(records: Iterable[Record]) -> tuple[TraceLine, ...]:
        """Each once, without time and host."""
        texts = (f"{each.ident}[{each.pid}]: {each.text}" for each in records)
        return tuple(TraceLine(Source.LOG, cleaning.line(text)) for text in dict.fromkeys(texts))

    def received(self, queue_id: str) -> tuple[str, ...]:
        """The Received line of this hop."""
        hop = self._hops.get(queue_id)
        return (hop.received,) if hop is not None else ()

    def filtered(self, queue_id: str, judged: bool) -> tuple[str, ...]:
        """What this hop's filters added. `judged`: its filter told of it; the last one takes away what others wrote."""
        hop = self._hops.get(queue_id)
        if hop is None:
            return ()
        if judged:
            self._judged.add(queue_id)
        return (*hop.others, *(self._below.get(queue_id, ()) if judged else ()))

    def secured(self, queue_id: str) -> bool:
        """Whether that hop says that it came over TLS (RFC 3848)."""
        hop = self._hops.get(queue_id)
        return hop is not None and hop.protocol in ("ESMTPS", "ESMTPSA", "SMTPS", "LMTPS", "LMTPSA")

    def stored(self, account: str) -> tuple[str, ...]:
        """What the MDA put on top."""
        return self._last.get(account, ())

    def written(self, look: Look) -> tuple[str, ...]:
        """What the sender's program wrote, where the header was asked for; and what no filter of ours tells of."""
        found = added(map(cleaning.line, look.headers))
        return found.sent if found.newest in self._judged else (*found.sent, *found.below)

    def by_headers(self, after: int, until: str = "") -> int:
        """Steps that only the message itself tells of, from its sender on: its Received lines, up to the id `until`."""
        told = {step.queue_id for step in self.steps if step.queue_id}
        for queue_id, hop in reversed(self._hops.items()):
            if queue_id == until:
                break
            if queue_id not in told:
                text = _("A Received line says that it was taken there, by {protocol}")
                after = self.add(
                    after,
                    Agent.SMTP,
                    Evidence.RECONSTRUCTED,
                    text.format(protocol=hop.protocol or "SMTP"),
                    host=hop.host,
                    queue_id=queue_id,
                    headers=(hop.received, *hop.others),
                )
        return after
