"""The keys that the file's top and each host may have: for all hosts, and for one, where they win.

    settings() -> tuple[Setting, ...]           those of the components, and those that belong to none
    HostSettings                                what `File` and `HostEntry` inherit
    merged(entry, path, base, context) -> Host  `base` with what `entry` says; all defaults are merged here
    check_services(hosts, domains, context)     that who has an account can read mail and send it

A component brings its keys with it (components/setting.py); here are those that several of them read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from mailprov.components import registry
from mailprov.components.setting import Setting
from mailprov.i18n import N_, _
from mailprov.inventory import ssh
from mailprov.model.inventory import Domain, Host
from mailprov.model.ports import SERVICES, Protocol
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Boolean, Reads, choice, said, size_between

DELIMITERS = ("+", "-", "=", ".")


def _delimiter(value: Any) -> str:
    if value == "none":
        return ""
    if isinstance(value, str) and value in DELIMITERS:
        return str(value)
    raise said(_('must be one of "+", "-", "=" and ".", or none'))


Delimiter = Annotated[str, Reads(_delimiter, {"type": "string", "enum": [*DELIMITERS, "none"]})]
MessageSize = Annotated[int, size_between("64K", "2000M")]


def _as_written(entry: Any, path: KeyPath, base: Any, context: Context) -> Any:
    return entry


_MANAGED: Setting[bool] = Setting(
    "managed",
    Boolean,
    N_(
        "false: others built the server; `verify` looks at it, and no command changes anything there. Its `filter` is "
        "then none unless given"
    ),
    _as_written,
    default=True,
    if_missing=N_("true if not given"),
    field="managed",
)
_DELIMITER: Setting[str] = Setting(
    "recipient_delimiter",
    Delimiter,
    N_('what separates a detail from a name: with "+", ana+shop@ reaches ana@; none: no details'),
    _as_written,
    default="+",
    if_missing=N_("+ if not given"),
    written="+",
    field="recipient_delimiter",
)
_SIZE: Setting[int] = Setting(
    "message_size_limit",
    Annotated[int, size_between("64K", "2000M")],
    N_("the largest message that is taken, as it is on the wire (half as much again as its attachments)"),
    _as_written,
    default=50 * 2**20,
    if_missing=N_("50M if not given"),
    field="message_size_limit",
)


_OTHER_WORDS = {
    "smtp": N_(
        "port 25 is not chosen here: mail from other hosts arrives there; leave smtp out, and write submission or "
        "submissions for users who send"
    ),
    "smtps": N_("its name is submissions (port 465)"),
    "pop": N_("its names are pop3 (port 110, STLS) and pop3s (port 995, TLS at once)"),
}
_NEEDED = (
    ((Protocol.IMAP, Protocol.POP3), N_("{host} has accounts, and no service to read their mail; add imaps")),
    ((Protocol.SMTP,), N_("{host} has accounts, and no service to send their mail; add submissions")),
)


def _services(entry: list[str], path: KeyPath, base: tuple[str, ...], context: Context) -> tuple[str, ...]:
    for index, name in enumerate(entry):
        if name in entry[:index]:
            context.problem((*path, index), _("{name} is in this list twice; keep one").format(name=name))
    return tuple(name for name in SERVICES if name in entry)


_SERVICES: Setting[tuple[str, ...]] = Setting(
    "services",
    list[Annotated[str, choice(*SERVICES, later=_OTHER_WORDS)]],
    N_(
        "the services that users' programs may connect to; what is not in the list is off, and `verify` proves it"
    ),
    _services,
    default=tuple(SERVICES),
    if_missing=N_("all of them if not given"),
    wins=N_("wins as a whole"),
    field="services",
)


def settings() -> tuple[Setting[Any], ...]:
    """In the order of the reference."""
    return (ssh.SETTING, _MANAGED, _SERVICES, _DELIMITER, _SIZE, *registry.settings())


if TYPE_CHECKING:

    class HostSettings(Entry):
        managed: bool | None
else:
    HostSettings = create_model(
        "HostSettings",
        __base__=Entry,
        __doc__="What may be said for all hosts and for one.",
        __module__=__name__,
        # A key that nobody wrote is None: whatever is in force without it is no business of the file's shape.
        **{each.key: (each.kind | None, Field(default=None, description=each.about)) for each in settings()},
    )


def merged(entry: HostSettings, path: KeyPath, base: Host, context: Context) -> Host:
    """`path` is () for the top of the file. What is wrong goes to `context`."""
    for setting in settings():
        if (said_here := getattr(entry, setting.key)) is not None:
            value = setting.resolve(said_here, (*path, setting.key), setting.of(base), context)
            base = setting.on(base, value)
    return base


def check_services(hosts: Iterable[Host], domains: Iterable[Domain], context: Context) -> None:
    """Also of a host that is not the first of its domain: mail that arrives there is in mailboxes there."""
    having = {name for domain in domains if domain.accounts for name in domain.hosts}
    for host in hosts:
        if host.name not in having:
            continue
        here: KeyPath = ("hosts", host.name)
        at = here if _SERVICES.key in context.marks(here) else ()
        for protocols, what in _NEEDED:
            if not any(SERVICES[name].protocol in protocols for name in host.services):
                context.problem((*at, _SERVICES.key), _(what).format(host=host.name))
