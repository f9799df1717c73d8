"""A new password for an account: asked for, made up, or a reference to where it is; never plain in the inventory.

    Wanted(…)                                 what the command line says of it
    Wanted.value(address, ask) -> NewPassword | None
    weak(password, address, least) -> str     why it is easily guessed, as the end of a sentence; or nothing

NewPassword has `reference`, the inventory's form of it ({"hash": …}, {"env": …}, …), and `made`, one that was made up:
shown once, on a terminal, and kept nowhere but as its hash. Raises InputError where more than one is given, or where
there is no terminal to ask or show one on; KeyboardInterrupt for Ctrl-C at a question.
"""

from __future__ import annotations

import re
import secrets
import sys
from typing import NamedTuple

import typer

from mailprov.cli.streams import print_text
from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.values import dataclass

LEAST = 12  # characters of a password that somebody types, where the inventory says nothing else
_MOST = 1024  # what Dovecot takes is longer; nobody means this
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SERIES = (
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "12345678901234567890",
    "password",
    "contraseña",
)


class NewPassword(NamedTuple):
    reference: dict[str, str]
    made: str = ""

    def show(self, address: str) -> None:
        if self.made:
            print_text(
                _("The password of {address} (shown only now): {password}").format(
                    address=address, password=self.made
                )
            )


@dataclass(frozen=True)
class Wanted:
    env: str | None = None
    file: str | None = None
    command: str | None = None
    hash: str | None = None
    generate: bool = False
    prompt: bool = False  # asked for, where nothing else is given

    def value(self, command: str, address: str, *, json: bool, least: int = LEAST) -> NewPassword | None:
        """None where none is wanted. `least`: characters of one that is typed."""
        given = {
            "--password-env": self.env,
            "--password-file": self.file,
            "--password-command": self.command,
            "--hash": self.hash,
            "--generate": self.generate or None,
        }
        options = [name for name, value in given.items() if value is not None]
        if len(options) > 1:
            raise InputError(
                command,
                _("only one of {options} can be given").format(options=", ".join(options)),
                _("A password comes from one place"),
            )
        if self.generate:
            if json or not sys.stdout.isatty():
                raise InputError(
                    "--generate",
                    _("there is no terminal to show the password on"),
                    _("Give --password-env, --password-file, --password-command or --hash"),
                )
            made = secrets.token_urlsafe(15)
            return NewPassword({"hash": _hash(made)}, made)
        for form, value in (
            ("env", self.env),
            ("file", self.file),
            ("command", self.command),
            ("hash", self.hash),
        ):
            if value is not None:
                return NewPassword({form: value})
        return (
            NewPassword({"hash": _hash(self._asked(command, address, json, least))}) if self.prompt else None
        )

    def _asked(self, command: str, address: str, json: bool, least: int) -> str:
        if json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InputError(
                command,
                _("there is no terminal to ask for the password on"),
                _("Give --password-env, --password-file, --password-command or --hash"),
            )
        while True:
            first = _hidden(_("Password of {address}").format(address=address))
            if reason := weak(first, address, least):
                print_text(_("  It {reason}. Take another one.").format(reason=reason))
            elif first != _hidden(_("The same again")):
                print_text(_("  These are two different ones. Once more."))
            else:
                return first


def weak(password: str, address: str, least: int = LEAST) -> str:
    if len(password) < least:
        return _("has {count} characters; the least is {least}").format(count=len(password), least=least)
    if len(password) > _MOST:
        return _("has more than {most} characters").format(most=_MOST)
    if _ODD.search(password):
        return _("contains a control character")
    low = password.lower()
    local, _at, domain = address.rpartition("@")
    rest = low
    for known in sorted({local, domain, domain.partition(".")[0], *_SERIES}, key=len, reverse=True):
        if len(known) > 2:
            rest = rest.replace(known, "")
    for series in _SERIES:  # parts of a series, too: 1234567890ab has few signs of its own
        for length in range(len(series), 3, -1):
            for start in range(len(series) - length + 1):
                rest = rest.replace(series[start : start + length], "")
    if len(set(low)) < 5 or len(rest) < least // 2:
        return _("is easily guessed (the address, a row of keys or few different signs)")
    return ""


def _hash(password: str) -> str:
    from mailprov.schema.sha512_crypt import sha512_crypt

    return sha512_crypt(password)


def _hidden(question: str) -> str:
    try:
        return str(typer.prompt(question, hide_input=True, default="", show_default=False))
    except typer.Abort:
        raise KeyboardInterrupt from None
