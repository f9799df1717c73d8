"""The inventory's file → its text.

`read(path)` gives the text, or says why the file cannot be an inventory before anything tries to parse it:
so 10 MB of garbage, a directory or a FIFO end at once. Raises InputError, and InventoryError with line and column for
what is not text.
"""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path

from mailprov.errors import InputError, InventoryError, Problem
from mailprov.i18n import _
from mailprov.model.inventory import SAVED_PLAN
from mailprov.schema.document import show

MAX_BYTES = 8 * 1024 * 1024


def read(path: str | os.PathLike[str]) -> str:
    """The text of the file at `path` (UTF-8, with or without a byte order mark). Raises InputError."""
    name = show(os.fspath(path), 300)
    try:
        # Not blocking: a FIFO without a writer must not hang us before we can say what it is.
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(name, _("is not a regular file"), _("Give the path of an inventory file"))
            if status.st_size > MAX_BYTES:
                raise _too_big(name, status.st_size)
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(name, _("no such file"), _nearest_file(Path(path))) from None
    except IsADirectoryError:
        raise InputError(name, _("is a directory"), _inside(Path(path))) from None
    except NotADirectoryError:
        raise InputError(name, _("no such file; a part of this path is a file, not a directory")) from None
    except PermissionError:
        raise InputError(
            name, _("may not be read by this user"), _("Check the permissions of the file")
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else _("not a usable path")
        raise InputError(name, _("cannot be read ({reason})").format(reason=reason)) from None
    if len(raw) > MAX_BYTES:
        raise _too_big(name, len(raw))
    if (at := raw.find(b"\0")) >= 0:
        raise _not_text(name, raw, at, _("this is a NUL byte, not text; an inventory is YAML in UTF-8"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = _("the byte 0x{byte:02x} is not UTF-8 here; save the file as UTF-8").format(
            byte=raw[error.start]
        )
        raise _not_text(name, raw, error.start, what) from None
    if text.startswith("{") and f'"{SAVED_PLAN}"' in text[:200]:
        command = f"`mailprov apply {name}`"
        raise InputError(
            name, _("is a saved plan, not an inventory"), _("Use {command}").format(command=command)
        )
    return text


def _not_text(name: str, raw: bytes, at: int, what: str) -> InventoryError:
    """With line and column as editors show them: characters, where what stands before can be read as such."""
    before = raw[:at]
    line_begins = before.rfind(b"\n") + 1
    column = len(before[line_begins:].decode("utf-8-sig", errors="replace")) + 1
    return InventoryError([Problem(name, before.count(b"\n") + 1, column, "", what)])


def _too_big(name: str, size: int) -> InputError:
    seen = _("is {size:.1f} MiB; an inventory is at most {limit} MiB").format(
        size=size / 1024 / 1024, limit=MAX_BYTES // 1024 // 1024
    )
    return InputError(name, seen, _("Check that this is the right file"))


def _nearest_file(path: Path) -> str:
    try:
        names = os.listdir(path.parent)
    except OSError:
        return _("There is no folder {path} either").format(path=show(str(path.parent), 300))
    near = difflib.get_close_matches(path.name, names[:5000], 1, 0.6)
    if not near:
        return _("Check the path")
    return _("Did you mean {path}").format(path=show(str(path.parent / near[0]), 300))


def _inside(path: Path) -> str:
    try:
        found = sorted(name for name in os.listdir(path) if name.endswith((".yml", ".yaml")))
    except OSError:
        found = []
    return (
        _("Give a file in it, such as {path}").format(path=show(str(path / found[0]), 300))
        if found
        else _("Give an inventory file")
    )
