"""The agent's side of the one channel: protected standard output, beats, control lines, cancellation.

    Channel(tag, stdin)        from here on file descriptor 1 is noise (it goes where stderr goes)
    channel.say(t, **fields)   one message; a lost controller is not an error
    channel.wait(kind)         the next control message of this kind; wait_for(kind, seconds): None if it does not come
    channel.next()             one that has come, of any kind; `on_message` tells that one has
    channel.check()            raises Cancelled when cancel, end of input or a signal has come

`channel.lost` and `channel.on_lost()` tell that the controller is gone, from the reading thread, at once.
After `channel.log_to(path)` a lost controller's messages go to that file instead, in English.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
import time
from typing import Any, BinaryIO, Callable, Dict, Optional

from mailprov.agent.errors import Cancelled
from mailprov.agent.redaction import Redactor
from mailprov.agent.sentences import N_, _, sent

LOST = N_("the controller's connection ended")
INTERRUPTED = N_("interrupted")
BEAT = 5.0  # seconds of silence before a beat; the controller takes 60 s of silence for a lost host
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Channel:
    def __init__(self, tag: str, stdin: BinaryIO) -> None:
        self.redact = Redactor()
        self._tag = tag.encode("ascii")
        self._out: Optional[int] = os.dup(1)  # not inherited by children
        os.dup2(2, 1)
        self._log: Optional[int] = None
        self.lost = False  # nobody is at the other end any more
        self.on_lost: Callable[[], None] = lambda: None
        self.on_message: Callable[[], None] = lambda: None  # something has come; from the reading thread
        self._lock = threading.Lock()
        self._last = time.monotonic()
        # SimpleQueue.put may be called from a signal handler, queue.Queue.put may not.
        self._inbox: queue.SimpleQueue[Dict[str, Any]] = queue.SimpleQueue()
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        threading.Thread(target=self._read, args=(stdin,), daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def say(self, t: str, **fields: Any) -> None:
        """Send one message; free text in it is masked."""
        for name in ("text", "what", "advice"):
            if name in fields:
                fields[name] = self.redact(fields[name])
        if "output" in fields:
            fields["output"] = self.redact("\n".join(fields["output"])).splitlines()
        body = json.dumps({"t": t, **_sent(fields)}).encode("ascii")
        with self._lock:
            self._last = time.monotonic()
            if self._out is not None:
                try:
                    _write(self._out, self._tag + b" " + body + b"\n")
                    return
                except OSError:
                    # The controller is gone. What began goes to its safe end without it.
                    self._out = None
            if self._log is not None and t != "beat":
                try:
                    _write(self._log, json.dumps({"t": t, **fields}).encode("ascii") + b"\n")
                except OSError:
                    pass

    def log_to(self, path: str) -> None:
        """Where messages go once nobody reads them any more."""
        self._log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def wait(self, kind: str) -> Dict[str, Any]:
        """Block until the controller sends this message. Raises Cancelled."""
        return self.wait_for(kind, None) or {}

    def wait_for(self, kind: str, seconds: Optional[float]) -> Optional[Dict[str, Any]]:
        """The same; None where it has not come within so many seconds."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                message = self._inbox.get(timeout=left)
            except queue.Empty:
                return None
            if message["t"] == kind:
                return message
            self._note(message)

    def next(self) -> Optional[Dict[str, Any]]:
        """What has come already, of whatever kind; None where nothing has. Raises Cancelled."""
        try:
            message = self._inbox.get_nowait()
        except queue.Empty:
            return None
        self._note(message)
        return message

    def check(self) -> None:
        """A safe point: raises Cancelled when the run is to stop."""
        while True:
            try:
                self._note(self._inbox.get_nowait())
            except queue.Empty:
                break

    def _note(self, message: Dict[str, Any]) -> None:
        why = {
            "cancel": INTERRUPTED,
            "eof": LOST,
            "signal": N_("stopped by a signal"),
        }
        if message["t"] in why:
            self._inbox.put(message)  # stays true for every later look
            raise Cancelled(_(why[message["t"]]))

    def _on_signal(self, number: int, frame: object) -> None:
        self._inbox.put({"t": "signal"})

    def _read(self, stdin: BinaryIO) -> None:
        try:
            for line in iter(stdin.readline, b""):
                try:
                    message = json.loads(line)
                except ValueError:
                    continue
                if isinstance(message, dict) and isinstance(message.get("t"), str):
                    self._inbox.put(message)
                    self.on_message()
        except (OSError, ValueError):
            pass
        self.lost = True
        self.on_lost()
        self._inbox.put({"t": "eof"})
        self.on_message()

    def _beat(self) -> None:
        while True:
            silent = time.monotonic() - self._last
            if silent >= BEAT:
                self.say("beat")
            else:
                time.sleep(BEAT - silent)


def _sent(fields: Dict[str, Any]) -> Dict[str, Any]:
    """With what the controller needs to translate the sentences in it."""
    made = dict(fields)
    for name in ("text", "what", "advice", "compared"):
        if name in made:
            made[name] = sent(made[name])
    if "change" in made:
        made["change"] = _sent_change(made["change"])
    if "changes" in made:
        made["changes"] = [_sent_change(change) for change in made["changes"]]
    if "takes_over" in made:
        made["takes_over"] = [sent(sentence) for sentence in made["takes_over"]]
    if "gaps" in made:
        made["gaps"] = [{"text": sent(gap["text"])} for gap in made["gaps"]]
    if "runs" in made:
        made["runs"] = [{**run, "status": sent(run["status"])} for run in made["runs"]]
    return made


def _sent_change(change: Dict[str, Any]) -> Dict[str, Any]:
    detail = sent(change["detail"])
    return change if detail is change["detail"] else {**change, "detail": detail}


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
