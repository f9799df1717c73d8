"""Local settings of Postfix: the key `postfix`, and what becomes of it in main.cf and master.cf.

    Settings, SETTING           what the inventory says, key by key
    main_cf(text, settings), master_cf(text, settings) -> str     mailprov's own text with them at its end
    FILE                        what somebody may write on the host itself; mailprov never does
    GUARDED                     what security depends on: the agent gives a notice when these are replaced

In main.cf the agent makes a comment of the earlier one of two settings of one name, since it also merges the host's own
file. Pure.
"""

from __future__ import annotations

import re

from pydantic import Field

from mailprov.components.local_settings import Value, group
from mailprov.components.setting import Rehearsal, Setting
from mailprov.i18n import N_, _
from mailprov.model.master_cf import OWN_SERVICES
from mailprov.model.values import dataclass
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show
from mailprov.schema.entry import Entry

FILE = "/etc/postfix/local.cf"
GUARDED = (
    "disable_vrfy_command",
    "header_checks",
    "message_strip_characters",
    "mua_client_restrictions",
    "mua_milters",
    "mua_relay_restrictions",
    "mua_sender_restrictions",
    "mynetworks",
    "smtp_tls_security_level",
    "smtpd_data_restrictions",
    "smtpd_forbid_bare_newline",
    "smtpd_forbid_unauth_pipelining",
    "smtpd_recipient_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_sasl_auth_enable",
    "smtpd_sasl_security_options",
    "smtpd_sender_restrictions",
    "smtpd_sender_login_maps",
    "smtpd_tls_auth_only",
    "smtpd_tls_exclude_ciphers",
    "smtpd_tls_mandatory_ciphers",
    "smtpd_tls_mandatory_exclude_ciphers",
    "smtpd_tls_mandatory_protocols",
    "smtpd_tls_protocols",
    "smtpd_tls_security_level",
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SERVICE = re.compile(r"[^\s/#]+/(inet|unix|unix-dgram|fifo|pass)")


class PostfixEntry(Entry):
    """Local settings of Postfix, written last in its files, where they win over mailprov's own."""

    main_cf: dict[str, Value] = Field(
        default={},
        description=N_("settings of main.cf: name → value, as in postconf(5)"),
        examples=[{"message_size_limit": "104857600"}],
    )
    master_cf: dict[str, Value] = Field(
        default={},
        description=N_(
            "further services in master.cf: name/type → the rest of the line (private unpriv chroot wakeup "
            "maxproc command and arguments), as in master(5)"
        ),
        examples=[{"policy/unix": "- n n - 0 spawn user=nobody argv=/usr/local/bin/policy"}],
    )


@dataclass(frozen=True)
class Settings:
    """What the user sets beside mailprov's own configuration; it is read last and wins."""

    main_cf: tuple[tuple[str, str], ...] = ()  # name, value
    master_cf: tuple[tuple[str, str], ...] = ()  # "name/type", the other fields of the line


def _resolve(entry: PostfixEntry, path: KeyPath, base: Settings, context: Context) -> Settings:
    """`base` with what stands at `path`; key by key, the later wins."""
    for name in entry.main_cf:
        if not _NAME.fullmatch(name):
            what = _('"{name}" is not the name of a setting; write it as postconf(5) does').format(
                name=show(name)
            )
            context.problem((*path, "main_cf", name), what, key=True)
    for name, line in entry.master_cf.items():
        here: KeyPath = (*path, "master_cf", name)
        if not _SERVICE.fullmatch(name):
            what = _('"{name}" is no service; write name/type, such as policy/unix').format(name=show(name))
            context.problem(here, what, key=True)
        elif name in OWN_SERVICES:
            what = _(
                "{name} is a service that mailprov writes itself; give yours another name, or change "
                "what it does with postfix.main_cf"
            ).format(name=name)
            context.problem(here, what, key=True)
        elif len(line.split()) < 6:
            what = _("has {count} of the six fields: private unpriv chroot wakeup maxproc command").format(
                count=len(line.split())
            )
            context.problem(here, what)
    return Settings(
        main_cf=tuple({**dict(base.main_cf), **entry.main_cf}.items()),
        master_cf=tuple({**dict(base.master_cf), **entry.master_cf}.items()),
    )


def _rehearse(value: Settings, lab: Rehearsal) -> dict[str, dict[str, str]] | None:
    parts = {"main_cf": dict(value.main_cf), "master_cf": dict(value.master_cf)}
    return {name: part for name, part in parts.items() if part} or None


SETTING: Setting[Settings] = Setting(
    "postfix",
    PostfixEntry,
    N_("local settings of Postfix"),
    _resolve,
    default=Settings(),
    wins=N_("wins key by key"),
    sets_up=True,
    rehearse=_rehearse,
)


def main_cf(text: str, settings: Settings) -> str:
    """The group behind mailprov's own settings."""
    lines = [f"{name} = {value}".rstrip() for name, value in settings.main_cf]
    return group(text, "postfix.main_cf", lines)


def master_cf(text: str, settings: Settings) -> str:
    """Further services behind mailprov's own."""
    lines = []
    for name, rest in settings.master_cf:
        service, __, kind = name.rpartition("/")
        lines.append(f"{service.ljust(10)} {kind.ljust(4)} {rest}")
    return group(text, "postfix.master_cf", lines)
