"""Keeps secrets out of everything that leaves the host: diffs, progress, command output, error texts.

Redactor(values)          redact(text) -> text with each secret value, password hash and private key hidden
secrets_of(state)         the values to hide
unified(path, old, new, redact) -> str     a unified diff of at most MAX_LINES lines
hide_keys(text)          text without the private keys in it
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Optional

HIDDEN = "********"
MAX_LINES = 1000  # more than a file of ours and one of Debian's together

_HASH = re.compile(r"(\{[A-Z0-9.-]+\})?\$(?:1|2[abxy]|5|6|7|y|gy|argon2[a-z]*|scrypt)\$[^\s:'\"]+")
_KEY = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL)


class Redactor:
    """Callable that hides secrets; values shorter than four characters only as whole words."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        # Longest first: a secret that contains another must not be left half visible.
        self._values = sorted({value for value in values if value}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The very same where there is nothing to hide: a Sentence stays one."""
        masked = text
        for value in self._values:
            if value not in masked:
                continue
            if len(value) < 4:
                masked = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, masked)
            else:
                masked = masked.replace(value, HIDDEN)
        masked = _HASH.sub(HIDDEN, masked)
        return text if masked == text else masked


def secrets_of(state: Dict[str, Any]) -> List[str]:
    """Passwords and ready hashes of all accounts, and the longer lines of secret files."""
    values: List[str] = []
    for account_file in (*state["account_files"], *state.get("own_passwords", ())):
        for _user, password, hashed, _fields in account_file["entries"]:
            values += [password, hashed]
    for file in state["files"]:
        if file["secret"]:
            values += [line.strip() for line in file["content"].splitlines() if len(line.strip()) >= 16]
    return values


def unified(path: str, old: Optional[bytes], new: Optional[bytes], redact: Redactor) -> str:
    """The difference of two contents (None: no such file), masked, cut after MAX_LINES."""
    import difflib

    texts = [redact(hide_keys((data or b"").decode("utf-8", "backslashreplace"))) for data in (old, new)]
    lines = list(
        difflib.unified_diff(
            texts[0].splitlines(),
            texts[1].splitlines(),
            "/dev/null" if old is None else path,
            "/dev/null" if new is None else path,
            lineterm="",
        )
    )
    if len(lines) > MAX_LINES:
        lines[MAX_LINES:] = [f"… {len(lines) - MAX_LINES} more lines"]  # report/plans.py knows it again
    return "\n".join(lines)


def hide_keys(text: str) -> str:
    """The text with the body of every private key hidden."""
    return _KEY.sub(rf"\1\n{HIDDEN}\n", text)
