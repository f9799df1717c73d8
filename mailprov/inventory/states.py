"""What an account may do, until when, and its passwords for single programs, as they are meant.

    of_account(account, entry, path, hosts, context) -> Account    the account with all that

What is wrong goes to `context.problems`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from mailprov.i18n import _
from mailprov.inventory.hashes import password_hash
from mailprov.inventory.schema_domains import AccountEntry
from mailprov.model.accounts import Account
from mailprov.model.inventory import Host
from mailprov.model.states import APP_PROTOCOLS, AppPassword, Expiry, State
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?")
# Each one of a protocol is one more that Dovecot compares a wrong password with.
_MOST = 20


def of_account(
    account: Account, entry: AccountEntry, path: KeyPath, hosts: Collection[Host], context: Context
) -> Account:
    """`hosts`: those that serve its domain."""
    given = [key for key in ("state", "expires", "app_passwords") if key in entry.model_fields_set]
    if theirs := [host.name for host in hosts if not host.managed]:
        what = _(
            "`{key}` is for hosts that mailprov manages, and {host} was built by others (`managed: false`); "
            "leave it out"
        )
        for key in given:
            context.problem((*path, key), what.format(key=key, host=show(theirs[0])), key=True)
    expires = Expiry(entry.expires.date, State(entry.expires.state)) if entry.expires else None
    state = State(entry.state)
    if expires and state.with_(expires.state) is state:
        what = _("changes nothing: the account has `state: {state}` already; leave it out").format(
            state=state.value
        )
        context.problem((*path, "expires"), what, key=True)
    apps = tuple(_app_passwords(entry, (*path, "app_passwords"), context))
    return replace(account, state=state, expires=expires, app_passwords=apps)


def _app_passwords(entry: AccountEntry, path: KeyPath, context: Context) -> Iterator[AppPassword]:
    if len(entry.app_passwords) > _MOST:
        what = _("{count} are too many: an account may have {most}").format(
            count=len(entry.app_passwords), most=_MOST
        )
        context.problem(path, what, key=True)
    for name, app in entry.app_passwords.items():
        here: KeyPath = (*path, name)
        if not _NAME.fullmatch(name):
            what = _(
                '"{name}" cannot be the name of a password; use up to 32 of a-z, 0-9, . _ and -, such as phone'
            ).format(name=show(name))
            context.problem(here, what, key=True)
        if not app.protocols:
            what = _("is an empty list; write what the password is for, such as [imap, submission]")
            context.problem((*here, "protocols"), what)
        for index, protocol in enumerate(app.protocols):
            if protocol in app.protocols[:index]:
                what = _("{name} is in this list twice; keep one").format(name=protocol)
                context.problem((*here, "protocols", index), what)
        password = ready = None
        if app.hash is not None:
            ready = password_hash(app.hash, (*here, "hash"), context)
        else:
            password = context.secret(app, here)
        yield AppPassword(
            name,
            tuple(protocol for protocol in APP_PROTOCOLS if protocol in app.protocols),
            password,
            ready,
            app.expires,
        )
