"""A file that a command makes for its user: whole or not at all, and nobody else can read it at any moment.

    write(path, text)    over a file that is there, never over a folder or a device; mode 0600
    attempt(path)        whether that could be done now, before anything else is

Raises OSError, whose `strerror` is what a sentence needs.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mailprov.i18n import _


def write(path: Path, text: str) -> None:
    _written(path, text)


def attempt(path: Path) -> None:
    _written(path, None)


def _written(path: Path, text: str | None) -> None:
    """A link stays, and what it leads to is written."""
    path = path.resolve()
    if path.is_dir():
        raise OSError(errno.EISDIR, _("it is a folder"))
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, _("it is a device, no file"))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    made = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(made, "w", encoding="utf-8") as file:
            file.write(text or "")
        if text is not None:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
