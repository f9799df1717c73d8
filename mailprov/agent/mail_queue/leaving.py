"""Mode queue_gone: waits until what came into the queue for some recipients has left it, as often as it is asked.

    wait(session)      the whole rest of the conversation, except `end`

Looked at are messages for the question's `recipients`, all of them whole addresses, that came in no longer than its
`age` ago by this host's own clock. Postfix moves a message from one of its queues to the next while showq(8) reads them
in turn, so one look can miss it: gone is what two looks in a row have not seen. What is deferred or on hold is not
waited for, as nothing moves it soon. Nothing is written.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Tuple

from mailprov.agent.mail_queue import reading
from mailprov.agent.session import Session

_LOOKS = 2  # in a row that have to agree
_BETWEEN = 0.05  # seconds
_CLOCK = 2  # seconds that times in the queue, which are whole, may be off by
_MOST = 100  # messages that are told
_RESTING = ("deferred", "hold")


def wait(session: Session) -> None:
    found = reading.instances(session.tree)
    while True:
        session.channel.say("asked")
        question = session.channel.wait("ask")
        if not question["recipients"]:
            return
        _answer(session, found, question)


def _answer(session: Session, found: List[reading.Instance], question: Dict[str, Any]) -> None:
    until = time.monotonic() + question["seconds"]
    since = time.time() - question["age"] - _CLOCK
    wanted = frozenset(address.lower() for address in question["recipients"])
    agreed, before = 0, ""
    while True:
        left, unreadable = _look(session, found, wanted, since)
        # What is on its way is looked at again; of what rests, and of nothing, two looks in a row have to say the same.
        moving = any(one["queue"] not in _RESTING for one in left)
        now = "" if moving else repr([(one["id"], one["queue"]) for one in left])
        agreed = 0 if moving else agreed + 1 if agreed and now == before else 1
        before = now
        if agreed >= _LOOKS or time.monotonic() >= until:
            break
        session.check()
        time.sleep(_BETWEEN)
    session.channel.say(
        "queue_gone",
        left=left[:_MOST],
        whole=agreed >= _LOOKS and not unreadable and len(left) <= _MOST,
        running=all(instance.runs() for instance in found),
    )


def _look(
    session: Session, found: List[reading.Instance], wanted: "frozenset[str]", since: float
) -> Tuple[List[Dict[str, Any]], int]:
    """A row for each message and recipient that is still there; how many lines nobody could read."""
    left, unreadable = [], 0
    for instance in found:
        for message in instance.messages(session.check):
            if message is None:
                unreadable += 1
                continue
            if message.arrived < since:
                continue
            for one in message.recipients:
                if one.address.lower() in wanted:
                    row = {"id": message.id, "queue": message.queue, "address": one.address}
                    left.append({**row, "reason": one.reason})
    return left, unreadable
