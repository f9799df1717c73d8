"""Which probes somebody means by a word: an id, the beginning of one by whole parts, or a pattern.

selects(word, id) -> bool

    dns.mx     that one
    dns        all of that family (dns.mx, dns.spf, …), and no other whose name begins so (web: not webmail.page)
    web.*      a pattern as a shell has it (fnmatch), compared with the whole id: `*`, `?`, `[…]`; `*` also means dots

Pure.
"""

from __future__ import annotations

from fnmatch import fnmatchcase


def selects(word: str, probe_id: str) -> bool:
    if any(sign in word for sign in "*?["):
        return fnmatchcase(probe_id, word)
    family = word.rstrip(".")
    return bool(family) and f"{probe_id}.".startswith(f"{family}.")
