"""The directories of runs that have ended: /var/lib/mailprov/runs/TIME-N, N counting up.

names(tree) -> [str]        the oldest first, whatever the host's clock did meanwhile
next_name(tree) -> str      for the run that ends now
thin_out(tree)              the last KEEP that reached their commit point keep their copies of files, for a
                            rollback; of the last KEEP_LOGS the log stays, for the history, and the messages that
                            were deleted from the queue; older ones go
"""

from __future__ import annotations

import os
import shutil
import time
from typing import List

from mailprov.agent import files

DIRECTORY = files.STATE + "/runs"
KEEP = 5
KEEP_LOGS = 50
_COMMIT = b'{"r": "commit"'


def names(tree: files.Tree) -> List[str]:
    """The runs' directories, the oldest first."""
    try:
        return sorted((name for name in os.listdir(tree.at(DIRECTORY)) if "-" in name), key=_number)
    except FileNotFoundError:
        return []


def next_name(tree: files.Tree) -> str:
    """A name that sorts behind all others."""
    known = names(tree)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return f"{stamp}-{_number(known[-1]) + 1 if known else 1:06d}"


def _number(name: str) -> int:
    tail = name.rpartition("-")[2]
    return int(tail) if tail.isdigit() else 0


def thin_out(tree: files.Tree) -> None:
    """Forget what is of no more use."""
    known = names(tree)
    for name in known[:-KEEP_LOGS]:
        shutil.rmtree(tree.at(f"{DIRECTORY}/{name}"), ignore_errors=True)
    committed = 0
    for place, name in enumerate(reversed(known[-KEEP_LOGS:])):
        directory = tree.at(f"{DIRECTORY}/{name}")
        reached = _COMMIT in (files.read(directory + "/log") or b"")
        committed += reached
        if reached and committed <= KEEP:
            continue
        # An undone run changed nothing, so its copies are of no use; apt's words may be, while they are fresh.
        for one in os.listdir(directory):
            if (one[:1] == "b" and one[1:].isdigit()) or (place >= KEEP and not _stays(one)):
                files.remove(os.path.join(directory, one))


def _stays(name: str) -> bool:
    """As long as the run is known: its log, and what mail_queue/acting.py kept of messages."""
    return name == "log" or name.endswith((".eml", ".recipients"))
