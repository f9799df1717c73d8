"""New files wait beside their places until all are written and the daemons' own checkers have accepted them.

Then they take their places in one burst of renames. Until that moment nothing that a daemon reads has changed, so
a host that loses its power, its disk space or the agent serves as before, also after a restart of its daemons.

    Stage(tree)
    stage.put(path, data, …)        written whole, under its temporary name
    stage.own(path, mode, …)        owner and mode of a file that is there
    stage.link(path, target)        a symbolic link
    stage.drop(path)                a file that is to go, or a directory, if it is empty by then
    stage.view()                    context: a command prefix, behind which /etc is as it will be; None where the
                                    host lets nobody mount (some containers): then files are checked in their places
    swap(tree, moves, specs)        the burst, at the end of which the daemons of `specs` are told; calling it again
                                    finishes one that was killed half-way
    complete(tree, journal)         after a crash: finishes a burst that had begun
    readers_of(journal)             the daemons to tell, as that run noted them

Raises AgentError.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, Sequence

from mailprov.agent import commands, files
from mailprov.agent.errors import AgentError
from mailprov.agent.journal import Journal
from mailprov.agent.sentences import _
from mailprov.agent.transaction import daemons

_VIEW = "/run/mailprov/view"  # memory: copies of private keys lie there for a moment, for root alone
_SEEN = "/etc/"  # where all that the daemons read lies

# ["put", path] | ["own", path, mode, uid, gid] | ["drop", path] | ["rmdir", path] | ["pass"], see daemons.py
Move = List[Any]


class Stage:
    def __init__(self, tree: files.Tree) -> None:
        self._tree = tree
        self.moves: List[Move] = []

    def put(self, path: str, data: bytes, mode: int, uid: int, gid: int, mtime_ns: int = 0) -> str:
        """Write it under its temporary name, which is returned."""
        real = self._tree.at(path)
        for parent in files.missing_parents(real):
            files.make_directory(parent)
        self.moves.append(["put", path])
        return files.prepare(real, data, mode, uid, gid, mtime_ns=mtime_ns)

    def own(self, path: str, mode: int, uid: int, gid: int) -> None:
        self.moves.append(["own", path, mode, uid, gid])

    def link(self, path: str, target: str) -> None:
        """A link under the temporary name."""
        waiting = files.temporary_name(self._tree.at(path))
        files.remove(waiting)
        os.symlink(target, waiting)
        self.moves.append(["put", path])

    def drop(self, path: str, directory: bool = False) -> None:
        self.moves.append(["rmdir" if directory else "drop", path])

    @contextmanager
    def view(self) -> Iterator[Optional[List[str]]]:
        """A mount namespace for checkers only: nobody else on the host sees it, and nothing stays of it."""
        base = self._tree.at(_VIEW)
        paths = [move[1] for move in self.moves if move[0] not in ("own", "rmdir")]
        if self._tree.root or not commands.have("unshare") or not all(one.startswith(_SEEN) for one in paths):
            yield None
            return
        shutil.rmtree(base, ignore_errors=True)
        try:
            for part in (base, base + "/upper", base + "/work"):
                os.makedirs(part, 0o755 if part.endswith("upper") else 0o700)
            os.chmod(base + "/upper", 0o755)  # the mount gives it to /etc  # noqa: S103
            for move in self.moves:
                if move[1].startswith(
                    _SEEN
                ):  # directories and modes elsewhere are nothing that a checker looks at
                    self._show(move, base + "/upper")
            options = f"lowerdir={_SEEN},upperdir={base}/upper,workdir={base}/work"
            script = f'mount -t overlay -o "$0" mailprov {_SEEN} && exec "$@"'
            prefix = ["unshare", "--mount", "--", "sh", "-c", script, options]
            yield prefix if commands.run([*prefix, "true"]).code == 0 else None
        finally:
            shutil.rmtree(base, ignore_errors=True)

    def _show(self, move: Move, upper: str) -> None:
        """One move in the view's upper layer, below directories that look like the real ones."""
        path = move[1]
        place = os.path.join(upper, path[len(_SEEN) :])
        for above in reversed(_above(path[len(_SEEN) :])):
            made, real = os.path.join(upper, above), os.stat(_SEEN + above)
            if not os.path.isdir(made):
                os.mkdir(made)
                os.chown(made, real.st_uid, real.st_gid)
                os.chmod(made, stat.S_IMODE(real.st_mode))
        if move[0] == "put":
            waiting = files.temporary_name(self._tree.at(path))
            shutil.copy2(waiting, place, follow_symlinks=False)
            os.lchown(place, os.lstat(waiting).st_uid, os.lstat(waiting).st_gid)
        elif move[0] == "drop":
            os.mknod(place, stat.S_IFCHR, os.makedev(0, 0))  # overlayfs: "not there"


def _above(path: str) -> List[str]:
    """Directories of a relative path, innermost first: a/b/c gives a/b and a."""
    found = []
    while os.path.dirname(path):
        path = os.path.dirname(path)
        found.append(path)
    return found


def swap(tree: files.Tree, moves: List[Move], specs: Sequence[Dict[str, Any]] = ()) -> None:
    """Everything to its place. What has been moved already is left as it is."""
    touched = set()
    for move in moves:
        if move[0] == "pass":
            daemons.reload(tree, specs)
            daemons.drain_queue(tree, specs)
            continue
        real = tree.at(move[1])
        touched.add(os.path.dirname(real))
        if move[0] == "own":
            files.set_owner_mode(real, *move[2:])
            continue
        try:
            if move[0] == "rmdir":
                _remove_empty(real)
            elif move[0] == "drop":
                files.remove(real)
            elif files.look(files.temporary_name(real)) is not None:
                os.rename(files.temporary_name(real), real)
        except OSError as error:
            raise AgentError(
                _("{path} cannot be written: {error}").format(path=real, error=error.strerror)
            ) from error
    daemons.reload(tree, specs)
    for directory in sorted(touched):
        files.sync_directory(directory)


def _remove_empty(real: str) -> None:
    try:
        os.rmdir(real)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
            raise


def complete(tree: files.Tree, left: Journal) -> None:
    """Finish the burst of a killed run, and with that its commit."""
    if left.must_finish and not left.committed:
        swap(tree, left.first("swap")["moves"], readers_of(left))
        left.commit()


def readers_of(left: Journal) -> List[Dict[str, Any]]:
    """The units that a run's files are for."""
    return [unit["spec"] for unit in left.first("services").get("was", [])]
