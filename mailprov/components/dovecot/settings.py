"""Local settings of Dovecot: the key `dovecot`, and what becomes of it in dovecot.conf.

    SETTING                    lines of dovecot.conf, read last, where they win
    dovecot_conf(settings)     the group that stands before the host's own file is included
    FILE                       what somebody may write on the host itself; mailprov never does
    GUARDED                    what security depends on: the agent gives a notice when these are replaced

Of two settings of one name Dovecot takes the later one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field
from pydantic_core import PydanticCustomError

from mailprov.components.local_settings import group, one_line
from mailprov.components.setting import Setting
from mailprov.i18n import N_, _
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, Map, show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Reads, kind, said

FILE = "/etc/dovecot/local.conf"
GUARDED = (
    "auth_allow_cleartext",
    "auth_failure_delay",
    "auth_username_chars",
    "auth_verbose",
    "auth_verbose_passwords",
    "disable_plaintext_auth",
    "sendmail_path",
    "ssl",
    "ssl_min_protocol",
)
_NOT_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_/:.]*( [A-Za-z0-9_*/:.@-]+)*")


def _written(value: Any) -> str | Map:
    if isinstance(value, str):
        if _NOT_IN_LINES.search(value):
            raise said(_("contains a control character"))
        return str(value)
    if not isinstance(value, Map):
        raise said(
            _("must be lines of text or a mapping (`name: value`), not {kind}").format(kind=kind(value))
        )
    for name, inner in value.items():
        try:
            _written(inner) if isinstance(inner, Map) else one_line(inner)
        except PydanticCustomError as error:
            raise said(f'"{show(name)}" {error}') from None
    return value


Settings = Annotated[
    str | dict[str, Any], Reads(_written, {"anyOf": [{"type": "string"}, {"type": "object"}]})
]


class DovecotEntry(Entry):
    """Local settings of Dovecot, read last, where they win over mailprov's own."""

    settings: Settings = Field(
        default={},
        description=N_(
            "lines as in dovecot.conf, or a mapping: name → value, and `protocol imap` → a mapping again"
        ),
        examples=[{"mail_max_userip_connections": "50"}],
    )


def _resolve(entry: DovecotEntry, path: KeyPath, base: tuple[str, ...], context: Context) -> tuple[str, ...]:
    """The lines of `base`, then these: of two settings Dovecot takes the later one."""
    settings: str | Mapping[str, Any] = entry.settings
    if isinstance(settings, str):
        return (*base, *(line.rstrip() for line in settings.rstrip().splitlines()))
    return (*base, *_lines(settings, (*path, "settings"), "", context))


def _lines(settings: Mapping[str, Any], path: KeyPath, indent: str, context: Context) -> Iterator[str]:
    for name, value in settings.items():
        if not _NAME.fullmatch(name):
            what = _('"{name}" is not the name of a setting; write it as in dovecot.conf').format(
                name=show(name)
            )
            context.problem((*path, name), what, key=True)
        elif isinstance(value, Mapping):
            yield f"{indent}{name} {{"
            yield from _lines(value, (*path, name), indent + "  ", context)
            yield f"{indent}}}"
        else:
            yield f"{indent}{name} = {value.strip()}".rstrip()


SETTING: Setting[tuple[str, ...]] = Setting(
    "dovecot",
    DovecotEntry,
    N_("local settings of Dovecot"),
    _resolve,
    default=(),
    wins=N_("wins setting by setting"),
    sets_up=True,
    rehearse=lambda value, lab: {"settings": "\n".join(value) + "\n"} if value else None,
)


def dovecot_conf(settings: tuple[str, ...]) -> str:
    return group("", "dovecot.settings", list(settings)).lstrip("\n")
