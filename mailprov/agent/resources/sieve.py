"""Whose filters (Sieve scripts) need an extension that the wanted configuration refuses.

    requiring(tree, spec, accounts) -> [account]     those whose active script, or one that it includes, requires it
    notices(spec, accounts) -> [str]                 a sentence for them; several for very many

Such a script does not run any more: Pigeonhole then stores the mail in the INBOX, which loses nothing and surprises its
owner. Reads only, and little: one file for each account that has a filter. Users write these files, so no link is
followed out of the account's own folder, and nothing of them is shown.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Dict, Iterable, List, Optional, Set

from mailprov.agent import files
from mailprov.agent.sentences import ngettext

_NAMED = 100  # accounts in one sentence
_LARGEST = 1 << 20  # octets of a script (sieve_max_script_size)
# RFC 5228 sections 2.3 and 3.2: comments, and `require` with one string or a list, before everything else. Written so
# that there is one way to match a text: users write it.
_COMMENT = r"#[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/"
_SPACE = re.compile(rf"(?:\s|{_COMMENT})*")
_REQUIRE = re.compile(rf'require\b((?:\s|{_COMMENT}|"[^"]*"|[\[\],])*);', re.IGNORECASE)
_STRING = re.compile(rf'{_COMMENT}|"([^"]*)"')


def requiring(tree: files.Tree, spec: Dict[str, Any], accounts: Iterable[str]) -> List[str]:
    """`spec`: root, scripts and active (paths below an account's folder), refused. Sorted."""
    found = []
    for account in accounts:
        local, _at, domain = account.rpartition("@")
        home = os.path.join(tree.at(spec["root"]), domain, local)
        text = _read(home, os.path.join(home, spec["active"]))
        if text is None:
            continue
        names = required(text)
        if "include" in names:
            folder = os.path.join(home, spec["scripts"])
            for name in _listed(folder):
                names |= required(_read(home, os.path.join(folder, name)) or "")
        if names.intersection(spec["refused"]):
            found.append(account)
    return sorted(found)


def notices(spec: Dict[str, Any], accounts: List[str]) -> List[str]:
    """What will be, and for whom; the host is named with every notice."""
    what = ", ".join(spec["refused"])
    parts = [accounts[start : start + _NAMED] for start in range(0, len(accounts), _NAMED)]
    return [
        ngettext(
            "{count} active filter (Sieve) cannot run with this configuration, which refuses {extensions}, since "
            "that sends in anybody's name: until it is removed from the filter, all mail for its account is stored "
            "in INBOX. Accounts: {accounts}",
            "{count} active filters (Sieve) cannot run with this configuration, which refuses {extensions}, since "
            "that sends in anybody's name: until it is removed from a filter, all mail for its account is stored "
            "in INBOX. Accounts: {accounts}",
            len(part),
        ).format(count=len(part), extensions=what, accounts=", ".join(part))
        for part in parts
    ]


def required(text: str) -> Set[str]:
    """The extensions that a script requires."""
    names: Set[str] = set()
    found = _REQUIRE.match(text, _behind(text, 0))
    while found is not None:
        names.update(_STRING.findall(found[1]))
        found = _REQUIRE.match(text, _behind(text, found.end()))
    return names - {""}


def _behind(text: str, place: int) -> int:
    """Where blanks and comments end."""
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _listed(folder: str) -> List[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".sieve"))
    except OSError:
        return []


def _read(home: str, path: str) -> Optional[str]:
    """A script of this account; None for what is not there, not a file, or not in the account's own folder."""
    real, inside = os.path.realpath(path), os.path.realpath(home)
    if not real.startswith(inside + os.sep):
        return None
    try:
        handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read(_LARGEST).decode("utf-8", "replace")
