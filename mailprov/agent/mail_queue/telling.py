"""Mode queue: tells what is in the queue, in memory that does not grow with it.

    tell(session)      the whole rest of the conversation, except `end`
    told(message)      QUEUED of wire.messages

Messages are told as they are read, or, where not all are wanted, the oldest so many; the numbers come last. What the
job narrows it to (`queue` in wire.messages) is looked for here, so that only that travels.
"""

from __future__ import annotations

import heapq
import time
from typing import Any, Dict, List, Optional, Tuple

from mailprov.agent.mail_queue import reading
from mailprov.agent.mail_queue.reading import Instance, Message, Recipient
from mailprov.agent.mail_queue.reasons import Reasons
from mailprov.agent.sentences import _
from mailprov.agent.session import Session

_TOGETHER = 100  # messages in one line
_MOST = 96 * 2**20  # characters of all lines: a conversation has a limit (transport/conversation.py)


def tell(session: Session) -> None:
    _Telling(session).work()


def told(message: Message) -> Dict[str, Any]:
    instance = message.instance
    return {
        "id": message.id,
        "queue": message.queue,
        "arrived": message.arrived,
        "size": message.size,
        "sender": message.sender,
        "recipients": [one._asdict() for one in message.recipients],
        "total": message.total,
        "next": instance.next_try(message),
        "until": instance.given_up(message),
        "instance": instance.directory,
    }


class _Telling:
    def __init__(self, session: Session) -> None:
        self.session, self.wanted = session, session.job.queue
        self._oldest: List[Tuple[int, int, Message]] = []  # a heap, the youngest of them on top
        self._together: List[Dict[str, Any]] = []
        self._length = self._told = self._all = 0
        self.counts = dict.fromkeys(reading.QUEUES, 0)
        self.numbers = {"messages": 0, "recipients": 0, "bytes": 0, "oldest": 0, "unreadable": 0}
        self.reasons = Reasons()

    def work(self) -> None:
        found = reading.instances(self.session.tree)
        for instance in found:
            self._read(instance)
        for _arrived, _number, message in sorted(self._oldest, key=lambda one: (-one[0], -one[1])):
            self._tell(message)
        self._send()
        runs = [instance.runs() for instance in found]
        if not all(runs):
            self.session.notice(_("Postfix is not running here, so nothing is being delivered"))
        most = self.reasons.most()
        self.session.channel.say(
            "queue_state",
            counts=self.counts,
            all=self._all,
            told=self._told,
            reasons=most,
            others=self.reasons.others,
            running=all(runs),
            now=time.time(),
            **self.numbers,
        )

    def _read(self, instance: Instance) -> None:
        everything, limit = self.wanted.get("all"), int(self.wanted.get("limit", 0))
        for message in instance.messages(self.session.check):
            self._all += 1
            if message is None:
                self.numbers["unreadable"] += 1
                continue
            if (narrowed := self._narrowed(message)) is None:
                continue
            self._count(narrowed)
            if everything:
                self._tell(narrowed)
            elif limit:
                heapq.heappush(self._oldest, (-message.arrived, -self._all, narrowed))
                if len(self._oldest) > limit:
                    heapq.heappop(self._oldest)

    def _narrowed(self, message: Message) -> Optional[Message]:
        """None where it is not asked for; with those recipients in front that are."""
        wanted = self.wanted
        if wanted.get("ids") and message.id not in wanted["ids"]:
            return None
        if wanted.get("queues") and message.queue not in wanted["queues"]:
            return None
        sender = wanted.get("sender", "").lower()
        if sender and (message.sender if sender == "<>" else sender not in message.sender.lower()):
            return None
        address, reason = wanted.get("recipient", "").lower(), wanted.get("reason", "").lower()
        if not address and not reason:
            return message

        def meant(one: Recipient) -> bool:
            return address in one.address.lower() and reason in one.reason.lower()

        if not any(map(meant, message.recipients)):
            return None
        return message._replace(recipients=tuple(sorted(message.recipients, key=lambda one: not meant(one))))

    def _count(self, message: Message) -> None:
        self.counts[message.queue] += 1
        numbers = self.numbers
        numbers["messages"] += 1
        numbers["recipients"] += message.total
        numbers["bytes"] += message.size
        numbers["oldest"] = min(numbers["oldest"] or message.arrived, message.arrived)
        self.reasons.add(message)

    def _tell(self, message: Message) -> None:
        if self._length > _MOST:
            return
        made = told(message)
        self._length += 300 + sum(
            40 + _length(one.address) + _length(one.reason) for one in message.recipients
        )
        self._together.append(made)
        self._told += 1
        if len(self._together) >= _TOGETHER or len(message.recipients) > _TOGETHER:
            self._send()

    def _send(self) -> None:
        if self._together:
            self.session.channel.say("queued", messages=self._together)
            self._together = []


def _length(text: str) -> int:
    """In a line of JSON, at most."""
    return len(text) if text.isascii() else 6 * len(text)
