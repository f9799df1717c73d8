"""Where a message lies: its file in the Maildir of an account, by its Message-ID.

    find(tree, mail_root, address, message_id, near, headers) -> Found | None

The newest files are looked at first, and no more than _MOST of them: the message has just come, or came at about `near`
(unix seconds), and Dovecot keeps that time as the file's. All of it belongs to a
user who is not root, so no link is followed, and nothing is told of any file but the one that has this Message-ID.
"""

from __future__ import annotations

import os
import re
import stat
from typing import List, NamedTuple, Optional, Tuple

from mailprov.agent import commands, trees
from mailprov.agent.files import Tree

_MOST = 300  # files that are opened
_HEADER = 65536  # bytes of each
_FOLDERS = 1000
_LINES = 200  # of a header that is told
_LINE = 4000  # characters of each


class Found(NamedTuple):
    """`folder` as IMAP names it; `t`: when the file got there, microseconds since 1970. `headers`: unfolded lines (RFC
    5322 section 2.2.3), where they were asked for.
    """

    path: str
    folder: str
    size: int
    t: int
    headers: Tuple[str, ...] = ()


def find(
    tree: Tree, mail_root: str, address: str, message_id: str, near: float = 0.0, headers: bool = False
) -> Optional[Found]:
    home = _home(tree, mail_root, address)
    if not message_id or not home:
        return None
    try:
        top = os.open(os.path.join(tree.at(home), "Maildir"), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        wanted = re.compile(rb"(?mi)^message-id:\s*" + re.escape(message_id.encode("utf-8")) + rb"[ \t]*\r?$")
        for when, name, place in _likely(top, near):
            message = _matches(top, name, place, wanted)
            if message is not None:
                folder = "INBOX" if not place else place.lstrip(".").replace(".", "/")
                path = "/".join(filter(None, (home, "Maildir", place, name)))
                told = _unfolded(message[1]) if headers else ()
                return Found(path, folder, message[0], when // 1000, told)
    except OSError:
        return None
    finally:
        os.close(top)
    return None


def _home(tree: Tree, mail_root: str, address: str) -> str:
    """As Dovecot has it; where that cannot be asked, below the mail root."""
    name, at, domain = address.rpartition("@")
    if not at or "/" in address or name in ("", ".", "..") or domain in ("", ".", ".."):
        return ""
    if not tree.root and commands.have("doveadm"):
        told = commands.run(["doveadm", "user", "-f", "home", address], timeout=30)
        home = told.out.strip()
        if told.code == 0 and home.startswith("/") and "\n" not in home:
            return home
    return f"{mail_root}/{domain}/{name}" if mail_root else ""


def _likely(top: int, near: float) -> List[Tuple[int, str, str]]:
    """(nanoseconds, new/NAME or cur/NAME, folder) of messages; first the newest, or those that came near `near`."""
    found: List[Tuple[float, int, str, str]] = []
    folders = ["", *[name for name in os.listdir(top)[:_FOLDERS] if name.startswith(".")]]
    for folder in folders:
        place = trees.attempt(top, folder) if folder else os.dup(top)
        if place is None:
            continue
        try:
            for part in ("new", "cur"):
                inside = trees.attempt(place, part)
                if inside is None:
                    continue
                try:
                    for name in os.listdir(inside):
                        try:
                            seen = os.stat(name, dir_fd=inside, follow_symlinks=False)
                        except FileNotFoundError:
                            continue
                        if stat.S_ISREG(seen.st_mode):
                            age = abs(seen.st_mtime - near) if near else -seen.st_ctime_ns
                            came = (
                                seen.st_mtime_ns if near else seen.st_ctime_ns
                            )  # reading it changes the latter
                            found.append((age, came, f"{part}/{name}", folder))
                finally:
                    os.close(inside)
        finally:
            os.close(place)
    found.sort()
    return [(when, name, folder) for _age, when, name, folder in found[:_MOST]]


def _unfolded(header: bytes) -> Tuple[str, ...]:
    lines = re.sub(r"\r?\n[ \t]+", " ", header.decode("utf-8", "backslashreplace")).splitlines()
    return tuple(line[:_LINE] for line in lines[:_LINES])


def _matches(top: int, name: str, folder: str, wanted: "re.Pattern[bytes]") -> Optional[Tuple[int, bytes]]:
    """Its size and its header, if it is the message."""
    opened: List[int] = []
    try:
        here = os.dup(top)
        opened.append(here)
        for part in [*([folder] if folder else []), name.partition("/")[0]]:
            here = trees.enter(here, part)
            opened.append(here)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(name.partition("/")[2], flags, dir_fd=here)
        opened.append(handle)
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode):
            return None
        header = re.split(rb"\r?\n\r?\n", os.pread(handle, _HEADER, 0), maxsplit=1)[0]
        return (seen.st_size, header) if wanted.search(header) else None
    except OSError:
        return None
    finally:
        for handle in opened:
            os.close(handle)
