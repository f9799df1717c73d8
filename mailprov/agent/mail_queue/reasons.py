"""Why messages are in the queue, with numbers: what differs from message to message is left out. Pure.

    same(reason) -> str         the reason without addresses, ids and waiting times
    Reasons()                   add(message); most() -> the most frequent ones; `others`: messages counted by none

A stranger's server chooses its words, so there may be as many reasons as messages: not more than MOST are kept at a
time, and the rarest make room.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Dict, List, Tuple

from mailprov.agent.mail_queue.reading import Message

MOST = 1_000
TOLD = 50
_LENGTH = 300
_SUSPENDED = "delivery temporarily suspended: "  # qmgr(8), of others that go where one has just failed
# Each takes time in proportion to the text, whatever it is.
_NUMERIC = re.compile(r"\[[0-9A-Fa-f.:]{3,45}\]")  # "mx.example.org[192.0.2.1]"
_PERSON = re.compile(r"<[^<>\s]{1,320}@[^<>\s]{1,320}>")
_PAGE = re.compile(r"(https?://[^\s/?#]{1,255})[^\s]*")
_WAIT = re.compile(r"\b[0-9]{1,9}(?= ?(?:s|sec|secs|seconds?|min|mins|minutes?|hours?)\b)")
_WORD = re.compile(r"[A-Za-z0-9+/=_-]+(?:\.[A-Za-z0-9+/=_-]+)*")
_LONG = 8  # characters of a word with a digit that is an id of something


def _word(found: "re.Match[str]") -> str:
    word = found[0]
    is_id = len(word) >= _LONG and "." not in word and any(c.isdigit() for c in word)
    return "…" if is_id else word


@functools.lru_cache(maxsize=4096)
def same(reason: str) -> str:
    while reason.startswith(_SUSPENDED):
        reason = reason[len(_SUSPENDED) :]
    text = _PERSON.sub("<…>", _NUMERIC.sub("", reason))
    text = _WORD.sub(_word, _WAIT.sub("…", _PAGE.sub(r"\1/…", text)))
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"


class Reasons:
    def __init__(self) -> None:
        self._found: Dict[str, List[int]] = {}  # text → messages, recipients, arrival of the oldest
        self.others = 0

    def add(self, message: Message) -> None:
        """Where all recipients have no reason, nothing went wrong yet."""
        mine: Dict[str, int] = {}
        for one in message.recipients:
            if one.reason:
                key = same(one.reason)
                mine[key] = mine.get(key, 0) + 1
        for key, recipients in mine.items():
            counted = self._found.setdefault(key, [0, 0, message.arrived])
            counted[0] += 1
            counted[1] += recipients
            counted[2] = min(counted[2], message.arrived)
        if len(self._found) > MOST:
            self._make_room()

    def _make_room(self) -> None:
        kept = self._sorted()[: MOST // 2]
        self.others += sum(counted[0] for counted in self._found.values())
        self.others -= sum(counted[0] for _text, counted in kept)
        self._found = dict(kept)

    def _sorted(self) -> List[Tuple[str, List[int]]]:
        return sorted(self._found.items(), key=lambda one: (-one[1][0], one[0]))

    def most(self) -> List[Dict[str, Any]]:
        """REASON of wire.messages, the most frequent first."""
        everything = self._sorted()
        self.others += sum(counted[0] for _text, counted in everything[TOLD:])
        del everything[TOLD:]
        self._found = dict(everything)
        return [
            {"text": text, "messages": messages, "recipients": recipients, "oldest": oldest}
            for text, (messages, recipients, oldest) in everything
        ]
