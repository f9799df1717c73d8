"""What the verbose clients logged, as dialogues of one delivery each.

    read(since, wanted) -> [Dialogue]     from the journal; `wanted` are queue ids, all others are not looked at
    Dialogues(wanted)                     .hear(pid, program, text) for each record in order; .found
    masked(...)                           passwords are not in it: see Masked

A delivery begins with its request, which names the queue id; the lines behind it are of the same process until the
next request. So nothing is joined by time, and what is said about other messages is dropped here, on the host.
"""

from __future__ import annotations

import json
import os
import pwd
import re
from typing import Any, Collection, Dict, Iterator, List, Optional, Tuple

from mailprov.agent import commands
from mailprov.agent.verbose.clones import LOGS_AS
from mailprov.agent.verbose.overlay import DIRECTORY

MOST_LINES = 2_000  # of all dialogues together
HIDDEN = "********"
_CUT = 100  # octets of a line that smtp(8) logs
_ATTRIBUTE = re.compile(r"input attribute (name|value): (.*)\Z", re.DOTALL)
_SAID = re.compile(r"([<>]) (\S+): (.*)\Z", re.DOTALL)
_TLS = re.compile(r"(?:Untrusted|Trusted|Anonymous|Verified) TLS connection established to (\S+): ")
_AUTH = re.compile(
    r"\s*AUTH\b(?:\s+(PLAIN|LOGIN|XOAUTH2|OAUTHBEARER|CRAM-MD5|DIGEST-MD5|SCRAM-[A-Z0-9-]+|NTLM|GSSAPI|EXTERNAL)"
    r"(?=\s|\Z))?(.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_SOURCES = {">": "sent", "<": "received"}


class Dialogue:
    """`lines` are [source, text], source being sent, received or log."""

    def __init__(self, program: str, queue_id: str, peer: str) -> None:
        self.program, self.queue_id, self.peer = program, queue_id, peer
        self.recipients: List[str] = []
        self.lines: List[Dict[str, str]] = []
        self._masked = Masked()

    def add(self, source: str, text: str) -> None:
        self.lines.append({"source": source, "text": self._masked(source, text)})

    def to_wire(self) -> Dict[str, Any]:
        return {
            "agent": self.program,
            "queue_id": self.queue_id,
            "peer": self.peer,
            "recipients": self.recipients,
            "lines": self.lines,
        }


class Masked:
    """RFC 4954: what follows AUTH and its mechanism, and every line until the server's final answer. The clients that
    are made verbose do not log in; this stands here for the day on which one does.
    """

    def __init__(self) -> None:
        self._within = False

    def __call__(self, source: str, text: str) -> str:
        login = _AUTH.match(text) if source == "sent" else None
        if login:
            self._within = True
            return " ".join(part for part in ("AUTH", login[1], HIDDEN if login[2].strip() else "") if part)
        if not self._within:
            return text
        if source == "received" and not text.startswith("334"):
            self._within = False
            return text
        return f"334 {HIDDEN}" if source == "received" else HIDDEN


class _Process:
    """One process of a client: what it is delivering."""

    def __init__(self) -> None:
        self.attribute, self.queue_id = "", ""
        self.recipients: List[str] = []
        self.dialogue: Optional[Dialogue] = None


class Dialogues:
    def __init__(self, wanted: Collection[str]) -> None:
        self.found: List[Dialogue] = []
        self.lines = 0
        self._wanted = frozenset(wanted)
        self._processes: Dict[int, _Process] = {}

    def hear(self, pid: int, program: str, text: str) -> None:
        process = self._processes.setdefault(pid, _Process())
        attribute = _ATTRIBUTE.match(text)
        if attribute and attribute[1] == "name":
            process.attribute = attribute[2]
        elif attribute:
            self._attribute(process, attribute[2])
        elif process.queue_id in self._wanted:
            self._line(process, program, text)

    def _attribute(self, process: _Process, value: str) -> None:
        name, process.attribute = process.attribute, ""
        if name == "queue_id":
            process.queue_id, process.recipients, process.dialogue = value, [], None
        elif name == "recipient":
            process.recipients.append(value)

    def _line(self, process: _Process, program: str, text: str) -> None:
        said, tls = _SAID.match(text), _TLS.match(text)
        if said:
            peer, source, words = said[2], _SOURCES[said[1]], said[3]
            if source == "received" and len(words.encode("utf-8", "replace")) >= _CUT:
                words += "…"
        elif tls:
            peer, source, words = tls[1], "log", text
        else:
            return
        if self.lines >= MOST_LINES:
            return
        self.lines += 1
        if process.dialogue is None or process.dialogue.peer != peer:
            process.dialogue = Dialogue(program, process.queue_id, peer)
            process.dialogue.recipients = process.recipients
            self.found.append(process.dialogue)
        process.dialogue.add(source, words)


def read(since: float, wanted: Collection[str]) -> List[Dialogue]:
    """From the journal, as far as Postfix's own user wrote it: anybody on the host can log under any name."""
    commands.run(["journalctl", "--sync"], timeout=30)
    heard = Dialogues(wanted)
    writers = {"0", str(pwd.getpwnam("postfix").pw_uid)}

    def record(line: str) -> None:
        for pid, program, text, uid in _record(line):
            if uid in writers:
                heard.hear(pid, program, text)

    argv = ["journalctl", "--quiet", "--no-pager", "--output=json", f"--since=@{int(since)}"]
    argv += ["--output-fields=MESSAGE,_PID,_UID,SYSLOG_PID,SYSLOG_IDENTIFIER"]
    argv += [f"SYSLOG_IDENTIFIER={LOGS_AS}/{program}" for program in ("smtp", "lmtp")]
    log = os.path.join(DIRECTORY, "heard")
    try:
        commands.follow(argv, log, record, timeout=60)
    finally:
        if os.path.exists(log):
            os.unlink(log)
    return heard.found


def _record(line: str) -> Iterator[Tuple[int, str, str, str]]:
    try:
        record = json.loads(line)
        text = record["MESSAGE"]
        if isinstance(text, list):  # journalctl: what is no UTF-8
            text = bytes(text).decode("utf-8", "replace")
        pid = int(record.get("_PID") or record["SYSLOG_PID"])
        yield pid, record["SYSLOG_IDENTIFIER"].rpartition("/")[2], str(text), str(record.get("_UID", ""))
    except (ValueError, KeyError, TypeError):
        return
