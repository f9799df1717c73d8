"""Mailboxes that are kept although their accounts are gone: telling them, and deleting one that is named.

    tell(session)     mode mailboxes: tells all that belong to no account of this host, and what webmail has left
    purge(session)    mode purge: plans to delete the one of the job's address, waits for go, deletes

A mailbox is <mail_root>/<domain>/<name> with a Maildir in it. Names come from reading directories and are compared
whole, so nothing that is asked for can be a pattern or a path. Everything below the mail root belongs to a user that
is not root: so no link is ever followed there, and what goes is moved out of its name first.

Raises AgentError or Cancelled.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

from mailprov.agent import commands, files, journal, webmail
from mailprov.agent.changes import change
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _, joined, ngettext
from mailprov.agent.session import Session

_GOING = ".mailprov-purge-"  # what is being deleted; a later purge finishes what a killed one left
_MAILDIR = "Maildir"


class Box(NamedTuple):
    """`changed`: when the newest message came or was moved, unix seconds, 0 without one."""

    address: str
    messages: int
    bytes: int
    changed: int


def tell(session: Session) -> None:
    """The whole rest of the conversation, except `end`."""
    if left := webmail.kept(session.tree):
        session.notice(left)
    accounts = set(session.job.accounts)
    found = _boxes(session.tree.at(session.job.mail_root))
    kept = [box._asdict() for box in found if box.address not in accounts]
    session.channel.say("mailboxes", mailboxes=kept)


def purge(session: Session) -> None:
    """The whole rest of the conversation, except `end`."""
    _Purge(session).work()


class _Purge:
    def __init__(self, session: Session) -> None:
        self.session, self.job, self.tree = session, session.job, session.tree
        self._root = session.tree.at(session.job.mail_root)

    def work(self) -> None:
        address, channel = self.job.address, self.session.channel
        self._refuse(address)
        box = self._box(address)
        if box is None:
            compared = _("no mailbox of {address}").format(address=address)
            channel.say("plan", changes=[], compared=compared, fingerprint="", waits=False)
            return
        made = change("mailbox", "delete", address, _describe(box))
        told = {
            "compared": _("the mailbox of {address}").format(address=address),
            "fingerprint": _fingerprint(box),
        }
        channel.say("plan", changes=[made], waits=True, **told)
        changed = AgentError(_("the plan has changed"), _("look at the new plan, then try again"))
        self.session.await_go(_fingerprint(box), changed)
        self.session.check()
        self._refuse(address)
        if self._box(address) != box:
            raise AgentError(
                _("the mailbox of {address} has changed since it was shown").format(address=address),
                _("look at it again, then try again"),
            )
        # In the history, and behind no commit point: there is nothing that a rollback could bring back.
        from mailprov.agent.resources import own_passwords

        kind = {"kind": "purge", "address": address}
        record = journal.begin(self.tree, self.job.owner, run=self.job.run, **kind)
        try:
            self._delete(address)
            own_passwords.forget(self.tree, address)
        except AgentError as error:
            record.close(f"failed: {error.what}")
            raise
        record.close("ok", 1)
        self.session.applied([made])

    def _refuse(self, address: str) -> None:
        """Whoever can still log in has a mailbox in use."""
        users = (files.read(self.tree.at(self.job.users)) or b"").split(b"\n")
        if any(line.startswith(self.job.login.encode("utf-8") + b":") for line in users):
            raise AgentError(
                _("{address} can still log in on this host, so nothing was deleted").format(address=address),
                _("take the account out of the inventory and apply that first"),
            )
        if address in self.job.accounts:
            raise AgentError(
                _("{address} is an account of the inventory on this host, so nothing was deleted").format(
                    address=address
                )
            )

    def _box(self, address: str) -> Optional[Box]:
        return next(_boxes(self._root, address), None)

    def _delete(self, address: str) -> None:
        name, _at, domain = address.rpartition("@")
        try:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                place = _enter(root, domain)
            finally:
                os.close(root)
            try:
                going = f"{_GOING}{os.getpid()}-{time.time_ns()}"
                os.rename(name, going, src_dir_fd=place, dst_dir_fd=place)
                os.fsync(place)
                if not self.tree.root and commands.have("doveadm"):
                    # A session that was open when the login went would write on into what is being deleted.
                    commands.run(["doveadm", "kick", address], timeout=30)
                _remove(place, going)
                for left in os.listdir(place):
                    if left.startswith(_GOING):
                        _remove(place, left)
            finally:
                os.close(place)
        except OSError as error:
            raise AgentError(
                _("the mailbox of {address} cannot be deleted: {error}").format(
                    address=address, error=error.strerror
                ),
                _(
                    "fix this on the host, then try again: the next purge in this domain deletes what is left of it"
                ),
            ) from error


def _boxes(root: str, address: Optional[str] = None) -> Iterator[Box]:
    for domain, name, place in _mailboxes(root, address):
        try:
            yield _measure(f"{name}@{domain}", place)
        finally:
            os.close(place)


def _mailboxes(root: str, address: Optional[str] = None) -> Iterator[Tuple[str, str, int]]:
    """(domain, name, open directory) of each mailbox, or of one; the caller closes the directory."""
    try:
        base = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        for domain in sorted(os.listdir(base)):
            if address is not None and domain != address.rpartition("@")[2]:
                continue
            inside = _try(base, domain)
            if inside is None:
                continue
            try:
                for name in sorted(os.listdir(inside)):
                    if name.startswith(_GOING) or (
                        address is not None and name != address.rpartition("@")[0]
                    ):
                        continue
                    place = _try(inside, name)
                    if place is None:
                        continue
                    if _is_directory(place, _MAILDIR):
                        yield domain, name, place
                    else:
                        os.close(place)
            finally:
                os.close(inside)
    finally:
        os.close(base)


def _enter(parent: int, name: str) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def _try(parent: int, name: str) -> Optional[int]:
    """The directory of this name, opened; None for a file, a link, or what has just gone. Another error is one."""
    try:
        return _enter(parent, name)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


def _is_directory(parent: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


class _Moved(OSError):
    """Somebody moves directories about while they are walked through."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "its folders are being moved while they are read")


def _walk(
    place: int,
    look: Callable[[int, str], List[str]],
    leave: Callable[[int, str], None] = lambda up, name: None,
) -> None:
    """Through all directories below an open one, however many and however deep they are.

    `look(directory, its name)` gives the names of those inside to go into; `leave(parent, name)` comes after all of
    them. One directory is open at a time: the way back is "..", and only if that is the very directory from which it
    came. Paths have a longest length and processes a number of open files; users can make more of both by IMAP.
    """
    here = os.dup(place)
    above: List[Tuple[Tuple[int, int], List[str], str]] = []
    name = ""
    try:
        todo = look(here, name)
        while True:
            if todo:
                inner = _try(here, todo[-1])
                if inner is None:
                    todo.pop()
                    continue
                above.append((_identity(here), todo, name))
                name = todo.pop()
                os.close(here)
                here = inner
                todo = look(here, name)
            elif above:
                parent, todo, upper = above.pop()
                up = _enter(here, "..")
                os.close(here)
                here = up
                if _identity(here) != parent:
                    raise _Moved
                leave(here, name)
                name = upper
            else:
                return
    finally:
        os.close(here)


def _identity(handle: int) -> Tuple[int, int]:
    seen = os.fstat(handle)
    return seen.st_dev, seen.st_ino


def _measure(address: str, place: int) -> Box:
    """Messages are the files in cur and new of each folder (maildir(5)); bytes are those of all files."""
    total = {"messages": 0, "bytes": 0, "changed": 0}

    def look(here: int, folder: str) -> List[str]:
        inside = []
        for name in os.listdir(here):
            try:
                seen = os.stat(name, dir_fd=here, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(seen.st_mode):
                inside.append(name)
                continue
            total["bytes"] += seen.st_size
            if folder in ("cur", "new"):
                total["messages"] += 1
                total["changed"] = max(total["changed"], int(seen.st_ctime))
        return inside

    try:
        _walk(place, look)
    except OSError as error:
        raise AgentError(
            _("the mailbox of {address} cannot be read: {error}").format(
                address=address, error=error.strerror
            ),
            _("fix this on the host, then try again"),
        ) from error
    return Box(address, total["messages"], total["bytes"], total["changed"])


def _remove(parent: int, name: str) -> None:
    """A directory with all that is in it. Works on open directories: a link put in the way leads nowhere."""

    def look(here: int, folder: str) -> List[str]:
        inside = []
        for inner in os.listdir(here):
            if _is_directory(here, inner):
                inside.append(inner)
            else:
                os.unlink(inner, dir_fd=here)
        return inside

    place = _enter(parent, name)
    try:
        _walk(place, look, lambda up, inner: os.rmdir(inner, dir_fd=up))
    finally:
        os.close(place)
    os.rmdir(name, dir_fd=parent)


def _describe(box: Box) -> str:
    """ "12 messages, 3.4 MB, the last of 2026-05-01"."""
    count = ngettext("{count} message", "{count} messages", box.messages).format(count=box.messages)
    told = [count, _readable(box.bytes)]
    if box.changed:
        told.append(_("the last of {date}").format(date=time.strftime("%Y-%m-%d", time.gmtime(box.changed))))
    return joined(told)


def _readable(size: float) -> str:
    """A number of bytes for people."""
    units = ["bytes", "KB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    if units[0] == "bytes":
        return ngettext("{count} byte", "{count} bytes", int(size)).format(count=int(size))
    return f"{size:.1f} {units[0]}"


def _fingerprint(box: Box) -> str:
    return "-".join(map(str, box[1:]))
