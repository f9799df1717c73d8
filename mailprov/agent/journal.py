"""The record of one apply: what it was about to change, copies of what was there, how far it came.

/var/lib/mailprov/journal/ exists while an apply is under way; when it ends it becomes runs/TIME-N (the last
five are kept). `log` has one JSON object a line; `b0`, `b1` … are copies of files. All 0600 in 0700, root.

    begin(tree, owner) -> Journal       a new one
    unfinished(tree) -> Journal | None  one that a killed run left behind
    Journal.remember(paths)             before anything at these paths changes
    Journal.commit()                    from here on the new state counts
    Journal.undo() -> int               put back all that was remembered; how many paths differed
    Journal.close(status)

Raises Stop.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any, Dict, Iterable, List, Optional, Set

from mailprov.agent import files
from mailprov.agent.trouble import Stop

_KEEP = 5


class Journal:
    """One apply. `records` are the log's objects; `committed` tells whether the commit point was reached."""

    def __init__(self, tree: files.Tree, records: List[Dict[str, Any]]) -> None:
        self._tree = tree
        self.directory = tree.at(files.STATE + "/journal")
        self.records = records
        self._backups = 0
        self._remembered: Set[str] = set()

    @property
    def committed(self) -> bool:
        return any(record["r"] == "commit" for record in self.records)

    @property
    def owner(self) -> str:
        return str(self.records[0].get("owner", "")) if self.records else "an earlier run"

    @property
    def since(self) -> str:
        return str(self.records[0].get("time", "")) if self.records else "an unknown time"

    def note(self, *records: Dict[str, Any]) -> None:
        """Append to the log; on the disk when this returns."""
        text = b"".join(json.dumps(record).encode("ascii") + b"\n" for record in records)
        try:
            handle = os.open(
                self.directory + "/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                os.write(handle, text)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise Stop(f"the journal {self.directory} cannot be written: {error.strerror}") from error
        self.records += records

    def remember(self, paths: Iterable[str]) -> None:
        """Copy what is at these paths of the host, and note which directories above them are missing."""
        records: List[Dict[str, Any]] = []
        for path in paths:
            real = self._tree.at(path)
            for one in [*files.missing_parents(real), real]:
                if one not in self._remembered:
                    self._remembered.add(one)
                    records.append({"r": "was", "path": one, "was": self._copy(one)})
        if records:
            files.sync_directory(self.directory)
            self.note(*records)

    def _copy(self, real: str) -> Optional[Dict[str, Any]]:
        seen = files.look(real)
        if seen is None:
            return None
        was = {"kind": seen.kind, "mode": seen.mode, "uid": seen.uid, "gid": seen.gid, "mtime": seen.mtime_ns}
        if seen.kind == "link":
            was["target"] = seen.target
        elif seen.kind == "file":
            name = f"b{self._backups}"
            self._backups += 1
            data = files.read(real)
            files.write(os.path.join(self.directory, name), data or b"", 0o600, sync=False)
            was["copy"] = name
        return was

    def commit(self) -> None:
        self.note({"r": "commit"})

    def undo(self) -> int:
        """Newest first, so that directories made for files are empty when their turn comes."""
        count = 0
        touched = set()
        for record in reversed(self.records):
            if record["r"] == "was":
                path, was = record["path"], record["was"]
                touched.add(os.path.dirname(path))
                files.remove(files.temporary_name(path))
                count += self._restore(path, was)
        for directory in sorted(touched):
            files.sync_directory(directory)
        return count

    def _restore(self, path: str, was: Optional[Dict[str, Any]]) -> bool:
        seen = files.look(path)
        if was is None:
            if seen is None:
                return False
            if seen.kind != "directory":
                return files.remove(path)
            try:
                os.rmdir(path)
            except OSError:
                return False  # something else lives there by now
            return True
        owned = (was["mode"], was["uid"], was["gid"])
        if was["kind"] == "link":
            if seen is not None and seen.kind == "link" and seen.target == was["target"]:
                return False
            temporary = files.temporary_name(path)
            os.symlink(was["target"], temporary)
            os.rename(temporary, path)
            return True
        same = seen is not None and seen.kind == was["kind"] and (seen.mode, seen.uid, seen.gid) == owned
        if was["kind"] == "file":
            data = files.read(os.path.join(self.directory, was["copy"])) or b""
            if same and files.read(path) == data:
                return False
            files.write(path, data, *owned, mtime_ns=was["mtime"], sync=False)
            return True
        if same or was["kind"] != "directory":
            return False
        files.make_directory(path, *owned)
        return True

    def close(self, status: str) -> None:
        """The run is over; keep its record among the last five."""
        self.note({"r": "end", "status": status, "time": _now()})
        runs = self._tree.at(files.STATE + "/runs")
        files.make_directory(runs, 0o700)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        os.rename(self.directory, os.path.join(runs, f"{stamp}-{time.monotonic_ns()}"))
        files.sync_directory(os.path.dirname(self.directory))
        for name in sorted(os.listdir(runs))[:-_KEEP]:
            shutil.rmtree(os.path.join(runs, name), ignore_errors=True)


def begin(tree: files.Tree, owner: str) -> Journal:
    """Open the journal of a new apply."""
    journal = Journal(tree, [])
    files.make_state(tree)
    files.make_directory(journal.directory, 0o700)
    files.sync_directory(os.path.dirname(journal.directory))
    journal.note({"r": "begin", "owner": owner, "time": _now()})
    return journal


def unfinished(tree: files.Tree) -> Optional[Journal]:
    """The journal of a killed run; its last line may be torn, and then what it says has not begun."""
    path = tree.at(files.STATE + "/journal")
    if files.look(path) is None:
        return None
    records = []
    for line in (files.read(path + "/log") or b"").split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        records.append(record)
    return Journal(tree, records)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
