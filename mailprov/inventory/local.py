"""Local settings of the daemons, as the inventory holds them: the keys `postfix` and `dovecot`.

    PostfixEntry, DovecotEntry                  the shape of the file
    resolve(postfix, dovecot, base, …)          → model.inventory.LocalSettings; what is wrong goes to `context`

Only the spelling is checked here: whether a daemon knows a setting is for its own checker on the host, which refuses
the configuration before it goes live.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from pydantic_core import PydanticCustomError

from mailprov.model.inventory import LocalSettings
from mailprov.model.master_cf import OWN_SERVICES
from mailprov.schema.document import KeyPath, Map, show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Reads, kind, said

if TYPE_CHECKING:
    from mailprov.schema.context import Context

_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_NOT_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_POSTFIX_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_POSTFIX_SERVICE = re.compile(r"[^\s/#]+/(inet|unix|unix-dgram|fifo|pass)")
_DOVECOT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_/:.]*( [A-Za-z0-9_*/:.@-]+)*")


def _value(value: Any) -> str:
    if not isinstance(value, str):
        raise said(f"must be a value in text, not {kind(value)}; lists are written with commas")
    if _CONTROL.search(value):
        raise said("contains a control character or a line break; write it on one line")
    return value.strip()


def _settings(value: Any) -> str | Map:
    if isinstance(value, str):
        if _NOT_IN_LINES.search(value):
            raise said("contains a control character")
        return str(value)
    if not isinstance(value, Map):
        raise said(f"must be lines of text or a mapping (`name: value`), not {kind(value)}")
    for name, inner in value.items():
        try:
            _settings(inner) if isinstance(inner, Map) else _value(inner)
        except PydanticCustomError as error:
            raise said(f'"{show(name)}" {error}') from None
    return value


# May be empty: `relayhost: ""` is a setting. Editors know YAML's types: `biff: no` and `x_limit: 50` are no text.
Value = Annotated[str, Reads(_value, {"type": ["string", "number", "boolean"]})]
Settings = Annotated[
    str | dict[str, Any], Reads(_settings, {"anyOf": [{"type": "string"}, {"type": "object"}]})
]


class PostfixEntry(Entry):
    """Local settings of Postfix, written last in its files, where they win over mailprov's own."""

    main_cf: dict[str, Value] = Field(
        default={},
        description="settings of main.cf: name → value, as in postconf(5)",
        examples=[{"message_size_limit": "104857600"}],
    )
    master_cf: dict[str, Value] = Field(
        default={},
        description="further services in master.cf: name/type → the rest of the line (private unpriv chroot wakeup "
        "maxproc command and arguments), as in master(5)",
        examples=[{"policy/unix": "- n n - 0 spawn user=nobody argv=/usr/local/bin/policy"}],
    )


class DovecotEntry(Entry):
    """Local settings of Dovecot, read last, where they win over mailprov's own."""

    settings: Settings = Field(
        default={},
        description="lines as in dovecot.conf, or a mapping: name → value, and `protocol imap` → a mapping again",
        examples=[{"mail_max_userip_connections": "50"}],
    )


def resolve(
    postfix: PostfixEntry, dovecot: DovecotEntry, path: KeyPath, base: LocalSettings, context: Context
) -> LocalSettings:
    """`base` with what stands at `path`; key by key, the later wins."""
    for name in postfix.main_cf:
        if not _POSTFIX_NAME.fullmatch(name):
            what = f'"{show(name)}" is no name of a setting; write it as postconf(5) does'
            context.problem((*path, "postfix", "main_cf", name), what, key=True)
    for name, line in postfix.master_cf.items():
        here: KeyPath = (*path, "postfix", "master_cf", name)
        if not _POSTFIX_SERVICE.fullmatch(name):
            what = f'"{show(name)}" is no service; write name/type, such as policy/unix'
            context.problem(here, what, key=True)
        elif name in OWN_SERVICES:
            what = (
                f"{name} is a service that mailprov writes itself; give yours another name, "
                "or change what it does with postfix.main_cf"
            )
            context.problem(here, what, key=True)
        elif len(line.split()) < 6:
            what = f"has {len(line.split())} of the six fields: private unpriv chroot wakeup maxproc command"
            context.problem(here, what)
    return LocalSettings(
        main_cf=tuple({**dict(base.main_cf), **postfix.main_cf}.items()),
        master_cf=tuple({**dict(base.master_cf), **postfix.master_cf}.items()),
        dovecot=_dovecot(dovecot.settings, (*path, "dovecot", "settings"), base.dovecot, context),
    )


def _dovecot(
    settings: str | Mapping[str, Any], path: KeyPath, base: tuple[str, ...], context: Context
) -> tuple[str, ...]:
    """The lines of `base`, then these: of two settings Dovecot takes the later one."""
    if isinstance(settings, str):
        return (*base, *(line.rstrip() for line in settings.rstrip().splitlines()))
    return (*base, *_lines(settings, path, "", context))


def _lines(settings: Mapping[str, Any], path: KeyPath, indent: str, context: Context) -> Iterator[str]:
    for name, value in settings.items():
        if not _DOVECOT_NAME.fullmatch(name):
            what = f'"{show(name)}" is no name of a setting; write it as in dovecot.conf'
            context.problem((*path, name), what, key=True)
        elif isinstance(value, Mapping):
            yield f"{indent}{name} {{"
            yield from _lines(value, (*path, name), indent + "  ", context)
            yield f"{indent}}}"
        else:
            yield f"{indent}{name} = {value.strip()}".rstrip()
