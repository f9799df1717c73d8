"""The record of one apply: what it was about to change, copies of what was there, how far it came.

/var/lib/mailprov/journal/ exists while a run is under way; when it ends it becomes runs/TIME-N (runs.py says which
are kept). `log` has one JSON object a line; `b0`, `b1` … are copies of files. All 0600 in 0700, root.

    begin(tree, owner, …) -> Journal    a new one
    unfinished(tree) -> Journal | None  one that a killed run left behind
    finished(tree) -> [Journal]         those in runs/, the oldest first
    last(tree) -> Journal | None        the newest of these
    Journal.remember(paths)             before anything at these paths changes
    Journal.note(record)                what else happens: packages, users, services, zones
    Journal.commit()                    from here on the new state counts
    Journal.in_order() -> [record]      what was remembered, in the order in which it can be put back
    Journal.restore(record) -> bool     put one path back; False when it was as remembered
    Journal.undo() -> int               put back all that was remembered; how many paths differed
    Journal.close(status, changed)
    Journal.discard()                   a run of which nothing is to be remembered

The log's records, by their "r":
    begin     owner, time, run (the controller's id of the whole run, the same on all its hosts), kind (apply, rollback,
              zones, purge, wire or queue), address (whose mailbox a purge deletes), action and ids (of kind queue),
              undoes (the run that a rollback undoes), to (the run whose state it returned to, if several were undone),
              continues (a run that was killed after its commit point, which this one finishes)
    was       path (without the root), was: null or kind, mode, uid, gid, mtime, target or copy
    packages, users    names: what was installed and made; a rollback leaves both
    services  was: [{"spec", "verb", "enabled", "runs", "listening"}], the units before the run
    wire      queue: Postfix's queue directory, services: the clones of its clients (verbose/clones.py)
    zones     zones: the run's DNS changes as dns.undo made them; kept for the controller, never looked into here
    message   id, instance, was (its queue), arrived, sender: a message of the queue before anything is done to it
    done      id: that was done
    commit    after: {path: digest} of all remembered paths, which tells a later edit by hand
    end       status, time, changed

Raises AgentError.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from mailprov.agent import files, runs
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

# Words of `status`, of runs whose controller was killed or cut off.
NO_CONTROLLER = "its controller was gone"
ALONE = "ok, without its controller"


class Journal:
    """One run. `records` are the log's objects; `committed` tells whether the commit point was reached."""

    def __init__(
        self, tree: files.Tree, records: List[Dict[str, Any]], directory: str = files.STATE + "/journal"
    ) -> None:
        self._tree = tree
        self.directory = tree.at(directory)
        self.records = records
        self._backups = 0
        self._remembered: Set[str] = set()

    @property
    def committed(self) -> bool:
        return any(record["r"] == "commit" for record in self.records)

    @property
    def must_finish(self) -> bool:
        """Whether a killed run is to be finished and not undone: it has committed, or its files had been checked and
        were taking their places. A run that could only check them in their places, or that had begun to put them back,
        is left to the undo.
        """
        return self.committed or bool(self.first("swap").get("checked") and not self.first("back"))

    def first(self, kind: str) -> Dict[str, Any]:
        """The first record of this kind; empty when there is none."""
        return next((record for record in self.records if record["r"] == kind), {})

    @property
    def owner(self) -> str:
        return str(self.records[0].get("owner", "")) if self.records else "somebody"

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
            raise AgentError(
                _("the journal {path} cannot be written: {error}").format(
                    path=self.directory, error=error.strerror
                )
            ) from error
        self.records += records

    def remember(self, paths: Iterable[str]) -> None:
        """Copy what is at these paths of the host, and note which directories above them are missing."""
        records: List[Dict[str, Any]] = []
        for path in paths:
            real = self._tree.at(path)
            for one in [*files.missing_parents(real), real]:
                if one not in self._remembered:
                    self._remembered.add(one)
                    host_path = one[len(self._tree.root) :]
                    records.append({"r": "was", "path": host_path, "was": self._copy(one)})
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
        """The commit point, with what stands now at each path that was remembered."""
        after = {
            record["path"]: self.digest(record["path"]) for record in self.records if record["r"] == "was"
        }
        self.note({"r": "commit", "after": after})

    def copy_of(self, path: str) -> str:
        """Where on the host the copy of the file at this path is, empty when there is none."""
        for record in self.records:
            if record["r"] == "was" and record["path"] == path and (record["was"] or {}).get("copy"):
                return os.path.join(self.directory[len(self._tree.root) :], record["was"]["copy"])
        return ""

    def digest(self, path: str) -> str:
        """A word for what stands at a path of the host; the same word, the same content."""
        real = self._tree.at(path)
        seen = files.look(real)
        if seen is None:
            return "absent"
        if seen.kind == "link":
            return "link to " + seen.target
        return files.sha256(files.read(real) or b"") if seen.kind == "file" else seen.kind

    def in_order(self) -> List[Dict[str, Any]]:
        """Directories to make, outermost first; then what stood there; then what is to go, innermost first."""
        return sorted((record for record in self.records if record["r"] == "was"), key=order)

    def undo(self) -> int:
        """Put everything back; directories made for files are empty when their turn comes."""
        count = 0
        touched = set()
        for record in self.in_order():
            touched.add(os.path.dirname(self._tree.at(record["path"])))
            count += self.restore(record)
        for directory in sorted(touched):
            files.sync_directory(directory)
        return count

    def lacks_copies(self) -> bool:
        """Whether it is too old (runs.py): what it changed cannot be put back any more."""
        names = [(one["was"] or {}).get("copy", "") for one in self.records if one["r"] == "was"]
        return any(name and files.look(os.path.join(self.directory, name)) is None for name in names)

    def content(self, was: Dict[str, Any]) -> bytes:
        """What was in a file that was remembered."""
        return files.read(os.path.join(self.directory, was["copy"])) or b""

    def restore(self, record: Dict[str, Any]) -> bool:
        """Put back one path, whole: content or target, owner, mode, time of change."""
        path, was = self._tree.at(record["path"]), record["was"]
        files.remove(files.temporary_name(path))
        return self._restore(path, was)

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
            data = self.content(was)
            if same and files.read(path) == data:
                return False
            files.write(path, data, *owned, mtime_ns=was["mtime"], sync=False)
            return True
        if same or was["kind"] != "directory":
            return False
        files.make_directory(path, *owned)
        return True

    def close(self, status: str, changed: int = 0) -> None:
        """The run is over; keep its record among the others, and of the oldest only what is worth it."""
        self.note({"r": "end", "status": status, "time": now(), "changed": changed})
        place = self._tree.at(runs.DIRECTORY)
        files.make_directory(place, 0o700)
        ended = os.path.join(place, runs.next_name(self._tree))
        os.rename(self.directory, ended)
        self.directory = ended
        files.sync_directory(place)
        files.sync_directory(os.path.dirname(place))
        runs.thin_out(self._tree)

    def discard(self) -> None:
        """It never was: what it did is taken back, by whoever did that (the host itself may have, with this record)."""
        shutil.rmtree(self.directory, ignore_errors=True)
        files.sync_directory(os.path.dirname(self.directory))


def order(record: Dict[str, Any]) -> Tuple[int, int]:
    """Sorts `was` records: see Journal.in_order."""
    was, depth = record["was"], record["path"].count("/")
    if was is None:
        return 2, -depth
    return (0, depth) if was["kind"] == "directory" else (1, depth)


def begin(tree: files.Tree, owner: str, **more: Any) -> Journal:
    """Open the journal of a new run; `more` as in the record `begin`."""
    journal = Journal(tree, [])
    files.make_state(tree)
    files.make_directory(journal.directory, 0o700)
    files.sync_directory(os.path.dirname(journal.directory))
    try:
        journal.note({"r": "begin", "owner": owner, "time": now(), **more})
    except AgentError:  # a disk that is full: the next run must not take this for a run that did something
        files.remove(journal.directory + "/log")
        os.rmdir(journal.directory)
        raise
    return journal


def finished(tree: files.Tree) -> List[Journal]:
    """The runs that have ended, the oldest first."""
    return [_load(tree, f"{runs.DIRECTORY}/{name}") for name in runs.names(tree)]


def last(tree: files.Tree) -> Optional[Journal]:
    """The run that ended last."""
    names = runs.names(tree)
    return _load(tree, f"{runs.DIRECTORY}/{names[-1]}") if names else None


def unfinished(tree: files.Tree) -> Optional[Journal]:
    """The journal of a killed run; its last line may be torn, and then what it says has not begun."""
    if files.look(tree.at(files.STATE + "/journal")) is None:
        return None
    return _load(tree, files.STATE + "/journal")


def _load(tree: files.Tree, directory: str) -> Journal:
    records = []
    for line in (files.read(tree.at(directory + "/log")) or b"").split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        records.append(record)
    return Journal(tree, records, directory)


def now() -> str:
    """As people and the history read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
