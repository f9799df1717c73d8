"""Mail that a host has before mailprov comes: how much is in a place, and how it is said that IMAP will not show it.

    Box                       whose mail, where, how many messages
    in_maildir, in_mbox       messages in a Maildir with its folders, in an mbox file; 0 where it cannot be read
    is_maildir, names, who    what a directory is, what is in it, and to whom a path of virtual users' mail belongs
    hidden, more_hidden       sentences, to be formatted

Reads only. Raises nothing.
"""

from __future__ import annotations

import os
import stat
from typing import List, NamedTuple

from mailprov.agent.sentences import Sentence, ngettext

_MBOX_FROM = b"\n\nFrom "  # mbox(5); whoever stores a message writes such a line of its body as ">From "


class Box(NamedTuple):
    who: str
    path: str
    messages: int


def hidden(count: int, served: bool) -> Sentence:
    if served:
        return ngettext(
            "{count} message of {user} in {path} will no longer be shown by IMAP",
            "{count} messages of {user} in {path} will no longer be shown by IMAP",
            count,
        )
    return ngettext(
        "{count} message of {user} in {path} will not be shown by IMAP",
        "{count} messages of {user} in {path} will not be shown by IMAP",
        count,
    )


def more_hidden(count: int, served: bool) -> Sentence:
    if served:
        return ngettext(
            "{count} message in {mailboxes} more mailboxes will no longer be shown by IMAP",
            "{count} messages in {mailboxes} more mailboxes will no longer be shown by IMAP",
            count,
        )
    return ngettext(
        "{count} message in {mailboxes} more mailboxes will not be shown by IMAP",
        "{count} messages in {mailboxes} more mailboxes will not be shown by IMAP",
        count,
    )


def who(inside: str) -> str:
    """Of "/example.org/ana/Maildir", as virtual users' mail usually lies."""
    parts = [part for part in inside.split("/") if part and part not in ("Maildir", "mail")]
    if len(parts) == 2 and "." in parts[0]:
        return f"{parts[1]}@{parts[0]}"
    return "/".join(parts)


def names(real: str) -> List[str]:
    try:
        return sorted(os.listdir(real))
    except OSError:
        return []


def is_maildir(real: str) -> bool:
    return os.path.isdir(real + "/cur") or os.path.isdir(real + "/new")


def in_maildir(real: str) -> int:
    """maildir(5), and the folders of Maildir++ beside its own: `.Sent` and so on."""
    places = [real, *(os.path.join(real, name) for name in names(real) if name.startswith("."))]
    return sum(len(names(f"{place}/{part}")) for place in places for part in ("cur", "new"))


def in_mbox(real: str) -> int:
    """Messages of an mbox file; one where none can be told and there is something in it all the same."""
    count, last, size = 0, b"\n\n", 0
    try:
        with open(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            while stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                chunk = file.read(1 << 20)
                if not chunk:
                    break
                text = last + chunk
                count += text.count(_MBOX_FROM)
                size += len(chunk)
                last = text[1 - len(_MBOX_FROM) :]  # too short to be counted again
    except OSError:
        return 0
    return count or int(size > 0)
