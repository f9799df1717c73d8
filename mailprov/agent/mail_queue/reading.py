"""Postfix's queue as it is now: postqueue(1) -j, and what it cannot say. Nothing is written.

    instances(tree) -> [Instance]              the Postfix of this host; several where there are (postmulti(1))
    Instance.messages(check) -> Iterator       a Message each, as they come; None for a line that cannot be read
    Instance.place(id) -> (queue, path)        where the file of a message is now; None where it is nowhere
    Instance.next_try(message) -> int          unix seconds; 0 where there is none
    Instance.runs() -> bool                    whether its master(8) is at work

When the next try of a deferred message is, qmgr(8) notes in the time of change of its file: not before that, and at the
first look at the queue (`queue_run_delay`) after it. Raises AgentError.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from mailprov.agent import commands, files, streaming
from mailprov.agent.errors import AgentError
from mailprov.agent.mail_queue import ids
from mailprov.agent.sentences import _

QUEUES = ("active", "deferred", "hold", "incoming", "maildrop")
_ADDRESS = 1_000  # characters of an address that are told
_REASON = 2_000  # of what a server answered
_RECIPIENTS = 1_000  # of one message
_NOBODY = "MAILER-DAEMON"  # postqueue's word for the empty sender; all others have a domain
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SETTINGS = (
    "queue_directory", "hash_queue_names", "hash_queue_depth", "maximal_queue_lifetime", "bounce_queue_lifetime",
    "multi_instance_directories",
)  # fmt: skip


class Recipient(NamedTuple):
    address: str
    reason: str  # why it is still here; empty where no delivery was tried


class Message(NamedTuple):
    """`total`: of all recipients that are still to get it; `recipients` are not more than a thousand of them."""

    instance: "Instance"
    id: str
    queue: str
    arrived: int  # unix seconds
    size: int
    sender: str  # empty: a bounce, or another message that wants none
    recipients: Tuple[Recipient, ...]
    total: int


class Instance:
    """`directory`: of its configuration; empty for the host's own one."""

    def __init__(self, tree: files.Tree, directory: str, settings: Dict[str, str]) -> None:
        self.directory, self._tree = directory, tree
        self._queue = tree.at(settings["queue_directory"])
        depth = settings["hash_queue_depth"]
        self._depth = int(depth) if depth.isdigit() else 0  # postqueue says what is wrong with it
        self._hashed = re.split(r"[\s,]+", settings["hash_queue_names"])
        self._lifetimes = [
            _seconds(settings[name]) for name in ("maximal_queue_lifetime", "bounce_queue_lifetime")
        ]

    def argv(self, program: str, *words: str) -> List[str]:
        chosen = ["-c", self.directory] if self.directory else []
        return [program, *chosen, *words]

    def messages(self, check: Callable[[], None]) -> Iterator[Optional[Message]]:
        try:
            for line in streaming.lines(self.argv("postqueue", "-j"), check):
                if line is None or line.strip():
                    yield None if line is None else _message(self, line)
        except streaming.Failed as error:
            raise AgentError(
                _("the queue cannot be read: {error}").format(error=str(error)[:500]),
                _("run `postfix check` on the host"),
            ) from error

    def _paths(self, queue: str, name: str) -> List[str]:
        """Where hashing puts it, and where it lies until postsuper(1) has done that, after a change of the setting."""
        depth = self._depth if queue in self._hashed else 0
        folders = [ids.folder(name, depth), ""] if depth else [""]
        return [f"{self._queue}/{queue}/{folder}{name}" for folder in folders]

    def place(self, name: str) -> Optional[Tuple[str, str]]:
        for queue in QUEUES:
            for path in self._paths(queue, name):
                if os.path.lexists(path):
                    return queue, path
        return None

    def next_try(self, message: Message) -> int:
        for path in self._paths("deferred", message.id) if message.queue == "deferred" else ():
            try:
                return int(os.lstat(path).st_mtime)
            except OSError:
                continue
        return 0  # it has just gone

    def given_up(self, message: Message) -> int:
        """When it goes back to its sender, or away where it has none."""
        lifetime = self._lifetimes[not message.sender]
        return message.arrived + lifetime if message.queue in ("active", "deferred", "incoming") else 0

    def runs(self) -> bool:
        try:
            number = int(files.read(f"{self._queue}/pid/master.pid") or b"0")
            with open(f"/proc/{number}/comm", encoding="ascii") as file:
                return file.read().strip() == "master"
        except (OSError, ValueError):
            return False


def instances(tree: files.Tree) -> List[Instance]:
    for program in ("postqueue", "postconf", "postcat", "postsuper"):
        if not commands.have(program):
            raise AgentError(
                _("Postfix is not installed on this host, so it has no queue"),
                _("mailprov apply installs it"),
            )
    own = _settings("")
    others = own["multi_instance_directories"].replace(",", " ").split()
    return [Instance(tree, name, _settings(name) if name else own) for name in ("", *others)]


def _settings(directory: str) -> Dict[str, str]:
    chosen = ["-c", directory] if directory else []
    asked = commands.run(["postconf", *chosen, "-x", *_SETTINGS])
    found = dict.fromkeys(_SETTINGS, "")
    for line in asked.out.splitlines():
        name, _equals, value = line.partition("=")
        found[name.strip()] = value.strip()
    if asked.code or not found["queue_directory"].startswith("/"):
        said = (asked.err.strip().splitlines() or [""])[-1]
        raise AgentError(
            _("the queue cannot be read, because Postfix's configuration is wrong: {error}").format(
                error=said[:500]
            ),
            _("run `postfix check` on the host"),
        )
    return found


def _seconds(text: str) -> int:
    """As postconf(5) writes times: "5d"."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "d")
    return int(number) * _UNITS[unit] if number.isdigit() else 0


def _message(instance: Instance, line: bytes) -> Optional[Message]:
    try:
        told = json.loads(line.decode("utf-8", "replace"), strict=False)
        everybody: Sequence[Dict[str, Any]] = told["recipients"]
        made = Message(
            instance,
            _text(told["queue_id"], _ADDRESS),
            told["queue_name"],
            int(told["arrival_time"]),
            int(told["message_size"]),
            "" if told["sender"] == _NOBODY else _text(told["sender"], _ADDRESS),
            tuple(
                Recipient(_text(one["address"], _ADDRESS), _text(one.get("delay_reason", ""), _REASON))
                for one in everybody[:_RECIPIENTS]
            ),
            len(everybody),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    good = made.queue in QUEUES and ids.is_id(made.id) and min(made.arrived, made.size) >= 0
    return made if good else None


def _text(value: Any, limit: int) -> str:
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
