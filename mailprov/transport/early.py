"""A TCP connection that is opened while the program still loads what it needs to speak SSH.

Early(open)      calls `open` in a thread of its own
  .take()        its socket, or what it raised; None when it gave none. Once
  .drop()        nobody will take it: it is closed as soon as it is there
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable


class Early:
    """`open` may take long: it ends by its own time limit, or when its Halt is set."""

    def __init__(self, name: str, open: Callable[[], socket.socket | None]) -> None:
        self._open = open
        self._socket: socket.socket | None = None
        self._error: BaseException | None = None
        self._dropped = False
        self._lock = threading.Lock()
        self._done = threading.Event()
        threading.Thread(target=self._run, name=f"early connection to {name}", daemon=True).start()

    def take(self) -> socket.socket | None:
        """Waits for it."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        with self._lock:
            taken, self._socket = self._socket, None
        return taken

    def drop(self) -> None:
        """Waits for nothing."""
        with self._lock:
            self._dropped = True
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _run(self) -> None:
        try:
            opened = self._open()
        except BaseException as error:
            self._error = error
        else:
            with self._lock:
                if self._dropped and opened is not None:
                    opened.close()
                else:
                    self._socket = opened
        self._done.set()
