"""Where a message that was sent may have arrived, in the order in which it is worth looking.

    folders_at(client, turn) -> [name]    for the turn-th look, counted from 1
    is_junk(name)                         whether that is what such a folder is called

A filter puts what it takes for spam into Junk, so that is looked at as often as INBOX: who waits for a message in
INBOX alone waits until the end. A filter of the user's may have put it anywhere, so every tenth look goes through all
folders.
Raises the errors of `clients`.
"""

from __future__ import annotations

import re

from mailprov.probe.clients.imap import Imap

LOOKS_PER_LOOK_AROUND = 10
# Names that servers and mail programs give the folder for spam; RFC 6154's \Junk is in no answer to a plain LIST.
_JUNK = re.compile(r"junk|spam|bulk|quarantine|unwanted|no deseado", re.IGNORECASE)


def is_junk(name: str) -> bool:
    return bool(_JUNK.search(name))


def folders_at(client: Imap, turn: int) -> list[str]:
    """INBOX first."""
    folders = [name for name in client.folders() if name.upper() != "INBOX"]
    every = turn % LOOKS_PER_LOOK_AROUND == 0
    return ["INBOX", *(name for name in folders if every or is_junk(name))]
