"""A file that a command makes for its user: whole or not at all, and nobody else can read it at any moment.

    write(path, text)    over a file that is there, never over a folder or a device; mode 0600, or as the user's umask
                         has it where it is for others (`private=False`)
    attempt(path)        whether that could be done now, before anything else is

Raises OSError, whose `strerror` is what a sentence needs.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mailprov.i18n import _


def write(path: Path, text: str, *, private: bool = True) -> None:
    _written(path, text, 0o600 if private else 0o666)


def attempt(path: Path) -> None:
    _written(path, None, 0o600)


def _written(path: Path, text: str | None, mode: int) -> None:
    """A link stays, and what it leads to is written."""
    path = path.resolve()
    if path.is_dir():
        raise OSError(errno.EISDIR, _("it is a folder"))
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, _("it is a device, no file"))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    made = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(made, "w", encoding="utf-8") as file:
            file.write(text or "")
        if text is not None:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
