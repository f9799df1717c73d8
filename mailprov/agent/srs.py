"""Sender rewriting (SRS) as it is set up here: how long its hashes are, and until when shorter ones are taken.

    facts(tree) -> {"length": int, "short_until": "YYYY-MM-DD" or ""}    0: not set up by mailprov

Both stand in PostSRSd's file, of its version 1 or 2, as components/srs.py has it written. Reads only.
"""

from __future__ import annotations

import re
from typing import Any, Dict

from mailprov.agent import files

_FILES = ("/etc/postsrsd.conf", "/etc/default/postsrsd")
_MANAGED = "# Managed by mailprov"
_LENGTH = re.compile(r"^(?:SRS_HASHLENGTH=|hash-length = )([0-9]{1,2})$", re.MULTILINE)
_UNTIL = re.compile(r"^# .*\bshorter hashes until ([0-9]{4}-[0-9]{2}-[0-9]{2})\b", re.MULTILINE)


def facts(tree: files.Tree) -> Dict[str, Any]:
    for path in _FILES:
        text = (files.read(tree.at(path)) or b"").decode("utf-8", "replace")
        length, until = _LENGTH.search(text), _UNTIL.search(text)
        if text.startswith(_MANAGED) and length:
            return {"length": int(length[1]), "short_until": until[1] if until else ""}
    return {"length": 0, "short_until": ""}
