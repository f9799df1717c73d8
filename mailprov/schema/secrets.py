"""Secrets by reference: what `{env: …}`, `{file: …}` and `{command: …}` give.

`Vault.secret(path, reference)` hands out a Secret at once, still without its value; `Vault.fill(commands)`
then reads every distinct reference once and puts the values in, or returns what is wrong as (path,
sentence). In between the rest of the inventory can be checked, so that no password manager is asked for a
file that is wrong anyway.

A value, and what a command printed, never enters a sentence. Of a command only the program's name is
shown, because people put secrets in arguments.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from mailprov.i18n import _
from mailprov.model.secret import Secret

MAX_SECRET = 64 * 1024  # bytes
_ODD = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # passwords travel in lines; a tab is all we let through

KeyPath = tuple["str | int", ...]


class SecretMode(Enum):
    """What `load` does with references to secrets."""

    RESOLVE = "resolve"  # environment and files are read, commands run
    CHECK = "check"  # environment variables and files must be there; nothing runs, values stay empty
    IGNORE = "ignore"  # references are only parsed, values stay empty


class Reference(NamedTuple):
    """Where a secret comes from.

    `text` of a command is a line for the shell, or the arguments of a program.
    """

    kind: str  # env, file or command
    text: str | tuple[str, ...]

    @property
    def origin(self) -> str:
        if self.kind != "command":
            return f"{self.kind}:{self.text}"
        words = self.text.split() if isinstance(self.text, str) else self.text
        return f"command:{words[0] if words else ''}"


class SecretUnavailable(Exception):
    """A reference that gives no secret; the text says why."""


class Vault:
    """Collects references and resolves them together.

    `folder`: where relative files are, and where commands run.
    """

    def __init__(self, mode: SecretMode, folder: Path) -> None:
        self._mode = mode
        self._folder = folder
        self._stop = threading.Event()
        self._wanted: list[tuple[KeyPath, Reference, Secret, Callable[[str], str] | None]] = []

    def secret(
        self, path: KeyPath, reference: Reference, check: Callable[[str], str] | None = None
    ) -> Secret:
        """`check` gets the value and returns what is wrong with it, or an empty string."""
        secret = Secret(reference.origin, "")
        self._wanted.append((path, reference, secret, check))
        return secret

    def fill(self, commands: bool = True) -> list[tuple[KeyPath, str]]:
        """Puts the values in.

        Without `commands` these are left out (the inventory is refused for other reasons).
        """
        if self._mode is SecretMode.IGNORE:
            return []
        run = commands and self._mode is SecretMode.RESOLVE
        distinct = {wanted[1] for wanted in self._wanted if run or wanted[1].kind != "command"}
        values = self._read(distinct)
        wrong: list[tuple[KeyPath, str]] = []
        for path, reference, secret, check in self._wanted:
            value = values.get(reference)
            if isinstance(value, SecretUnavailable):
                wrong.append((path, str(value)))
            elif isinstance(value, str) and self._mode is SecretMode.RESOLVE:
                if check and (seen := check(value)):
                    wrong.append((path, f"{reference.origin} {seen}"))
                # The one place that fills a Secret, before anybody outside this package has seen it.
                object.__setattr__(secret, "_value", value)
        return wrong

    def _read(self, references: set[Reference]) -> dict[Reference, str | SecretUnavailable]:
        def value(reference: Reference) -> str | SecretUnavailable:
            try:
                return _value(reference, self._folder, self._stop)
            except SecretUnavailable as nothing:
                return nothing

        commands = [reference for reference in references if reference.kind == "command"]
        values = {reference: value(reference) for reference in references if reference.kind != "command"}
        if commands:
            from concurrent.futures import ThreadPoolExecutor, wait

            with ThreadPoolExecutor(min(8, len(commands))) as pool:
                try:
                    context = {command: pool.submit(value, command) for command in commands}
                    # In slices: the system may give Ctrl-C to another thread, and then a wait without end sleeps on.
                    while wait(context.values(), timeout=0.1).not_done:
                        pass
                    values.update((command, future.result()) for command, future in context.items())
                except BaseException:  # Ctrl-C: the threads end their commands, and the pool waits for that
                    self._stop.set()
                    raise
        return values


def _value(reference: Reference, folder: Path, stop: threading.Event) -> str:
    if reference.kind == "env":
        return _from_environment(str(reference.text))
    if reference.kind == "file":
        return _from_file(str(reference.text), folder)
    return _from_command(reference, folder, stop)


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SecretUnavailable(
            _("the environment variable {name} is not set; set it, or name another").format(name=name)
        )
    return _usable(value, _("the environment variable {name}").format(name=name), "env")


def _from_file(name: str, folder: Path) -> str:
    path = absolute(name, folder)
    what = _("the secret file {name}").format(name=name)
    try:
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as file:
            raw = file.read(MAX_SECRET + 1) or b""
    except FileNotFoundError:
        raise SecretUnavailable(
            _("the secret file {name} does not exist (looked for {path})").format(name=name, path=path)
        ) from None
    except IsADirectoryError:
        raise SecretUnavailable(
            _("the secret file {name} is a directory; name a file").format(name=name)
        ) from None
    except PermissionError:
        raise SecretUnavailable(
            _("the secret file {name} may not be read by this user; check its permissions").format(name=name)
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else _("not a usable path")
        raise SecretUnavailable(
            _("the secret file {name} cannot be read ({reason})").format(name=name, reason=reason)
        ) from None
    if len(raw) > MAX_SECRET:
        raise SecretUnavailable(
            _("the secret file {name} is larger than {limit} KiB; name a file with one line").format(
                name=name, limit=MAX_SECRET // 1024
            )
        )
    # As in pass(1): the secret is the first line, notes may follow it.
    return _usable(_text(raw, what).split("\n", 1)[0].removesuffix("\r"), what, "file")


def _from_command(reference: Reference, folder: Path, stop: threading.Event) -> str:
    from mailprov.schema.command import CommandFailed, output_of

    name = reference.origin.partition(":")[2]
    what = _("the command {command}").format(command=name)
    arguments = ["/bin/sh", "-c", reference.text] if isinstance(reference.text, str) else list(reference.text)
    try:
        raw = output_of(arguments, folder, limit=MAX_SECRET, stop=stop, name=name)
    except CommandFailed as failed:
        raise SecretUnavailable(str(failed)) from None
    return _usable(_text(raw, what).removesuffix("\n").removesuffix("\r"), what, "command")


def _text(raw: bytes, what: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretUnavailable(_("{reference} gives no text in UTF-8").format(reference=what)) from None


def _usable(value: str, what: str, kind: str) -> str:
    """`what`: the reference in words, with which a sentence begins; `kind` as in Reference."""
    if not value.strip():
        if kind == "command":
            raise SecretUnavailable(_("{reference} printed nothing").format(reference=what))
        raise SecretUnavailable(_("{reference} is empty; put the secret there").format(reference=what))
    if "\n" in value:
        text = _("{reference} gives more than one line; a secret is one line")
        raise SecretUnavailable(text.format(reference=what))
    if _ODD.search(value):
        raise SecretUnavailable(_("{reference} gives a text with control characters").format(reference=what))
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise SecretUnavailable(_("{reference} gives no text in UTF-8").format(reference=what))
    return value


def absolute(name: str, folder: Path) -> Path:
    """`name` as the inventory means it: `~` is the home, relative paths begin at the inventory's folder."""
    return folder / os.path.expanduser(name)
