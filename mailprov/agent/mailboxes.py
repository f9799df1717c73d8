"""Mailboxes that are kept although their accounts are gone: telling them, and deleting one that is named.

    tell(session)     mode mailboxes: tells all that belong to no account of this host, homes of users who had a shell
                      (homes.py), and what webmail has left
    purge(session)    mode purge: plans to delete what the job's address has left, waits for go, deletes

A mailbox is <mail_root>/<domain>/<name> with a Maildir in it. Names come from reading directories and are compared
whole, so nothing that is asked for can be a pattern or a path. Everything below the mail root belongs to a user that
is not root: so no link is ever followed there, and what goes is moved out of its name first.

Raises AgentError or Cancelled.
"""

from __future__ import annotations

import os
import stat
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from mailprov.agent import commands, files, homes, journal, trees, webmail
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
    homes_left = [home._asdict() for home in homes.left(session.tree, session.job.logins)]
    more: Dict[str, Any] = {"homes": homes_left} if homes_left else {}
    session.channel.say("mailboxes", mailboxes=kept, **more)


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
        box, left = self._box(address), self._homes(address)
        if box is None and not left:
            compared = _("no mailbox of {address}").format(address=address)
            channel.say("plan", changes=[], compared=compared, fingerprint="", waits=False)
            return
        changes = [change("mailbox", "delete", address, _describe(box))] if box else []
        changes += [change("user", "delete", home.user, homes.describe(home)) for home in left]
        fingerprint = "-".join(_fingerprint(one) for one in (box, *left) if one)
        form = _("the mailbox of {address}") if box else _("what {address} has left")
        channel.say(
            "plan",
            changes=changes,
            waits=True,
            compared=form.format(address=address),
            fingerprint=fingerprint,
        )
        changed = AgentError(_("the plan has changed"), _("look at the new plan, then try again"))
        self.session.await_go(fingerprint, changed)
        self.session.check()
        self._refuse(address)
        if (self._box(address), self._homes(address)) != (box, left):
            raise AgentError(
                _("the mailbox of {address} has changed since it was shown").format(address=address),
                _("look at it again, then try again"),
            )
        # In the history, and behind no commit point: there is nothing that a rollback could bring back.
        from mailprov.agent.resources import own_passwords

        kind = {"kind": "purge", "address": address}
        record = journal.begin(self.tree, self.job.owner, run=self.job.run, **kind)
        try:
            if box is not None:
                self._delete(address)
                own_passwords.forget(self.tree, address)
            for home in left:
                homes.delete(self.tree, home)
        except AgentError as error:
            record.close(f"failed: {error.what}")
            raise
        record.close("ok", len(changes))
        self.session.applied(changes)

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

        for home in self._homes(address):
            if homes.can_log_in(self.tree, home):
                raise AgentError(
                    _(
                        "{user}, the user of {address}, can still log in by SSH, so nothing was deleted"
                    ).format(user=home.user, address=address),
                    _("take `shell` or the account out of the inventory and apply that first"),
                )

    def _homes(self, address: str) -> List[homes.Home]:
        return list(homes.left(self.tree, self.job.logins, address))

    def _box(self, address: str) -> Optional[Box]:
        return next(_boxes(self._root, address), None)

    def _delete(self, address: str) -> None:
        name, _at, domain = address.rpartition("@")
        try:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                place = trees.enter(root, domain)
            finally:
                os.close(root)
            try:
                going = f"{_GOING}{os.getpid()}-{time.time_ns()}"
                os.rename(name, going, src_dir_fd=place, dst_dir_fd=place)
                os.fsync(place)
                if not self.tree.root and commands.have("doveadm"):
                    # A session that was open when the login went would write on into what is being deleted.
                    commands.run(["doveadm", "kick", address], timeout=30)
                trees.remove(place, going)
                for left in os.listdir(place):
                    if left.startswith(_GOING):
                        trees.remove(place, left)
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
            inside = trees.attempt(base, domain)
            if inside is None:
                continue
            try:
                for name in sorted(os.listdir(inside)):
                    if name.startswith(_GOING) or (
                        address is not None and name != address.rpartition("@")[0]
                    ):
                        continue
                    place = trees.attempt(inside, name)
                    if place is None:
                        continue
                    if trees.is_directory(place, _MAILDIR):
                        yield domain, name, place
                    else:
                        os.close(place)
            finally:
                os.close(inside)
    finally:
        os.close(base)


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
        trees.walk(place, look)
    except OSError as error:
        raise AgentError(
            _("the mailbox of {address} cannot be read: {error}").format(
                address=address, error=error.strerror
            ),
            _("fix this on the host, then try again"),
        ) from error
    return Box(address, total["messages"], total["bytes"], total["changed"])


def _describe(box: Box) -> str:
    """ "12 messages, 3.4 MB, the last of 2026-05-01"."""
    count = ngettext("{count} message", "{count} messages", box.messages).format(count=box.messages)
    told = [count, trees.readable(box.bytes)]
    if box.changed:
        told.append(_("the last of {date}").format(date=time.strftime("%Y-%m-%d", time.gmtime(box.changed))))
    return joined(told)


def _fingerprint(one: Union[Box, homes.Home]) -> str:
    return "-".join(map(str, one[1:]))
