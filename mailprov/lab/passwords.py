"""Passwords of one's own choice for the accounts of a lab, as an instructor hands them out.

    Passwords            what was chosen; `of(address)` makes one up where nothing was
    MADE_UP              nothing was chosen
    read(path)           a file of them (`-`: standard input); raises InputError with the line

    ana@alpha.test   plum-cake 7       an address, blanks, the password: the rest of the line
    *                course2026        for every account that is not named

They come from a file and never from a command line, which other users of the machine see. The references of the
inventory itself (`env:`, `file:`, `command:`) are not followed: a rehearsal must not leave the passwords of a real
service in clear in a lab, whose files are shown to students.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.values import dataclass, field

_EVERYBODY = "*"


@dataclass(frozen=True)
class Passwords:
    chosen: Mapping[str, str] = field(default_factory=dict, repr=False)
    source: str = ""

    def of(self, address: str) -> str:
        """The password of an account: the one chosen for it, the one for everybody, or one that is made up."""
        return self.chosen.get(address) or self.chosen.get(_EVERYBODY) or secrets.token_urlsafe(12)

    def check(self, addresses: Iterable[str]) -> None:
        """Raises InputError when one is for an account that the inventory does not have."""
        unknown = sorted(set(self.chosen) - {_EVERYBODY, *addresses})
        if unknown:
            raise InputError(
                self.source,
                _("the inventory has no account {names}").format(names=", ".join(unknown)),
                _("Write an account's whole address, or * for all others"),
            )


MADE_UP = Passwords()


def read(path: Path) -> Passwords:
    """Empty lines and lines that begin with # are left out."""
    name = _("standard input") if str(path) == "-" else str(path)
    try:
        text = (sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()).decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            name,
            _("cannot be read: {error}").format(error=error.strerror),
            _("Give a file with a line for each account"),
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(name, _("is not text in UTF-8"), _("Save it as UTF-8")) from error
    chosen: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        address, __, password = line.strip().replace("\t", " ", 1).partition(" ")
        password = password.strip()
        if not address or address.startswith("#"):
            continue
        where = f"{name}:{number}"
        if address != _EVERYBODY and "@" not in address:
            raise InputError(
                where, _("does not begin with an address or *"), _("Write: ana@alpha.test PASSWORD")
            )
        if not password:
            raise InputError(
                where,
                _("there is no password for {address}").format(address=address),
                _("Write: ana@alpha.test PASSWORD"),
            )
        if not password.isprintable():
            raise InputError(
                where,
                _("the password for {address} has a control character in it").format(address=address),
                _("Choose another"),
            )
        if address.lower() in chosen:
            raise InputError(where, _("{address} is there twice").format(address=address), _("Leave one out"))
        chosen[address.lower()] = password
    return Passwords(chosen, name)
