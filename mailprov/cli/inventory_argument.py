"""Which inventory a command is about: the one rule for all commands, those to come included. Needs no library.

    USUAL                                           ./mail.yml: what is meant where no inventory is given
    is_inventory(word, others) -> bool              whether the first argument is the inventory
    is_path(word) -> bool                           whether it can be nothing but a path
    is_left_out(command, word, others, spare)       the same for a whole command line; says what is wrong with it

INVENTORY comes first and may be left out. In a command that takes other arguments as well (`others`; such as
`purge [INVENTORY] [ADDRESS]`) a first word is the inventory if it is an existing file whose name has no `@`; else it is
the next argument, and ./mail.yml is meant. Only the last part of a path counts for the `@`: so
/home/ana@example.org/mail.yml is an inventory, and a file called ana@example.org beside it does not hide the address.
A word that can be nothing but a path, and one too many, are told as the missing file that they are.

Raises InputError: no such file, and no ./mail.yml either; an empty word.
"""

from __future__ import annotations

import os
from pathlib import Path

from mailprov.errors import InputError
from mailprov.i18n import _

USUAL = Path("mail.yml")


def is_inventory(word: str, others: bool) -> bool:
    return not others or ("@" not in os.path.basename(word) and os.path.isfile(word))


def is_path(word: str) -> bool:
    """Whether it can be nothing else: no address, host, domain or id looks so."""
    return "/" in word or word.endswith((".yml", ".yaml"))


def is_left_out(command: str, word: str | None, others: bool, spare: bool) -> bool:
    """`word` is the first argument, None if there is none; `spare`: there are more than the command takes."""
    if word == "":
        # Never ./mail.yml: `apply "$(mailprov lab inventory)"` with two labs is not meant for the real hosts.
        raise InputError(
            command,
            _("an argument is empty, as when a command in $(…) failed"),
            _("See what that command said, or write the inventory's path"),
        )
    if word is not None:
        if is_inventory(word, others):
            return False
        if is_path(word) or spare:
            from mailprov.inventory.files import read

            read(word)  # says what is wrong with it
        if is_path(word):
            return False
    if not USUAL.is_file():
        what = (
            _("no inventory was given, and there is no {usual} in this folder")
            if word is None
            else _("no inventory was given ({word} is not a file), and there is no {usual} in this folder")
        )
        raise InputError(
            command,
            what.format(word=word, usual=USUAL),
            _("Give its path as the first argument, or write one with `mailprov init`"),
        )
    return True
