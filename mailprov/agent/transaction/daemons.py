"""The moment in which files change under a daemon that runs: one set of tables for all its processes.

    in_order(tree, moves, specs)      the moves of a burst, and where it waits
    reload(tree, specs)                 the daemon's main process: read everything anew, now
    drain_queue(tree, specs)            wait for the mail that is on its way, for a moment
    await_passwd_reload(tree, paths)    wait until Dovecot knows the passwd-files that have changed

Postfix starts processes as mail comes in. Between the renames and its reload, which is seconds later where another
daemon has its turn first, such a process knows the new tables beside others that know the old ones; mail that the
one accepts is then returned by the other. So the signal goes out with the last rename, whatever follows.

Accounts are removed last: first Postfix refuses its mail, then what it had accepted is delivered, and only
then Dovecot forgets who that was.

Raises nothing: a daemon that does not run, or has no such file, needs no telling.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Dict, List, Sequence, Set

from mailprov.agent import commands, files

PASS = 2.0  # seconds for mail on its way; what takes longer waits in the queue as ever
_SESSIONS = 0.1  # seconds in which those whom the old tables have just said yes hand over their message
# Whose passwd-files the accounts' files are (accounts.py). Who moves its base_dir is not waited for.
_DOVECOT = {"main_process": ("/run/dovecot/master.pid", "dovecot")}
_FEW = 200  # deferred messages that may all be tried at once

Spec = Dict[str, Any]


def in_order(tree: files.Tree, moves: List[List[Any]], specs: Sequence[Spec]) -> List[List[Any]]:
    """What says to whom mail is delivered goes last, behind a ["pass"], if somebody leaves there."""
    last = {path for spec in specs for path in spec.get("delivers_by", ()) if _loses(tree, path)}
    behind = [move for move in moves if move[1] in last]
    if not behind:
        return moves
    return [*(move for move in moves if move[1] not in last), ["pass"], *behind]


def _loses(tree: files.Tree, path: str) -> bool:
    """Whether this passwd-file names somebody whom the one that waits beside it does not."""
    real = tree.at(path)
    new = files.read(files.temporary_name(real))
    return new is not None and bool(_names(files.read(real) or b"") - _names(new))


def _names(data: bytes) -> Set[bytes]:
    return {line.partition(b":")[0] for line in data.splitlines() if line and not line.startswith(b"#")}


def reload(tree: files.Tree, specs: Sequence[Spec]) -> None:
    """SIGHUP to each main process that runs."""
    for spec in specs:
        pid = _main_process(tree, spec)
        if pid:
            try:
                os.kill(pid, signal.SIGHUP)
            except ProcessLookupError:
                pass


def _main_process(tree: files.Tree, spec: Spec) -> int:
    """Its number, 0 when it does not run: a pid file may be an old one, and the number somebody else's by now."""
    if not spec.get("main_process"):
        return 0
    path, name = spec["main_process"]
    try:
        with open(tree.at(path), encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return pid if file.read().strip() == name else 0
    except (OSError, ValueError):
        return 0


def drain_queue(tree: files.Tree, specs: Sequence[Spec]) -> None:
    """Until the messages that are being delivered now are delivered; those put off are tried once more."""
    for spec in specs:
        if not _main_process(tree, spec) or not spec.get("queue"):
            continue
        deadline = time.monotonic() + PASS
        time.sleep(_SESSIONS)
        queue = tree.at(spec["queue"])
        waiting = _messages(queue, ("deferred",))
        if 0 < len(waiting) <= _FEW:
            commands.run(["postqueue", "-f"])
            time.sleep(_SESSIONS)
        moving = _messages(queue, ("maildrop", "incoming", "active"))
        while moving & _messages(queue, ("maildrop", "incoming", "active")):
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)


def await_passwd_reload(tree: files.Tree, paths: Sequence[str]) -> None:
    """Dovecot (2.3 and 2.4) looks at most once in each second of the clock whether a passwd-file has changed, so the
    old passwords may be good to the end of the second in which it was renamed.
    """
    if not _main_process(tree, _DOVECOT):
        return
    for path in paths:
        try:
            renamed = os.stat(tree.at(path)).st_ctime
        except OSError:
            continue
        while int(time.time()) == int(renamed):
            time.sleep(0.02)


def _messages(queue: str, folders: Sequence[str]) -> Set[str]:
    found: Set[str] = set()
    for folder in folders:
        for _, _, names in os.walk(os.path.join(queue, folder)):
            found.update(names)
            if len(found) > _FEW:
                return found
    return found
