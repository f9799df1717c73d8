"""Mailboxes whose accounts are gone: telling them, and deleting one that is named.

    kept(…)     emits a KeptMailbox for each mailbox on a host that belongs to no account which the host serves, and a
                KeptHome for each home of a user with a shell that the inventory does not have
    purge(…)    deletes what an address has left, after showing what is in it and asking

Mail is deleted by nothing else in mailprov. So an address that is still an account is refused here, before any host is
asked, and once more on the host, where its login must have gone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from mailprov.components.dovecot.passwd import MAIL_ROOT, USERS, passwd_file_key
from mailprov.errors import InputError
from mailprov.i18n import _, ngettext
from mailprov.model.answers import KeptHome, KeptMailbox
from mailprov.model.events import Emit
from mailprov.model.inventory import Host, Inventory
from mailprov.run.deploy import Deployment, Options
from mailprov.run.hosts import Mode, Start
from mailprov.run.ident import run_id
from mailprov.run.inquiry import Question
from mailprov.run.listing import listing
from mailprov.run.select import Selection


def _accounts(inventory: Inventory, host: Host) -> list[str]:
    return [account.address for domain in inventory.domains_on(host.name) for account in domain.accounts]


def _logins(inventory: Inventory, host: Host) -> list[str]:
    """Users with a shell there, also those who may not log in for now (their account's state)."""
    return [
        account.shell.user
        for domain in inventory.domains_on(host.name)
        for account in domain.accounts
        if account.shell and domain.hosts and domain.hosts[0] == host.name
    ]


def kept(inventory: Inventory, selection: Selection, *, start: Start, report: Emit) -> int:
    """Reads only; hosts in the inventory's order."""

    def job(host: Host) -> dict[str, Any]:
        return {
            "mode": "mailboxes",
            "mail_root": MAIL_ROOT,
            "accounts": _accounts(inventory, host),
            "logins": _logins(inventory, host),
        }

    homes = 0

    def events(host: str, told: Mapping[str, Any]) -> Iterator[KeptMailbox | KeptHome]:
        nonlocal homes
        for box in told.get("mailboxes", ()):
            yield KeptMailbox(host, box["address"], box["messages"], box["bytes"], box["changed"])
        for home in told.get("homes", ()):
            homes += 1
            yield KeptHome(host, **home)

    def summary(count: int, whole: bool) -> str:
        boxes = count - homes
        text = _("no mailboxes without an account")
        if boxes:
            form = ngettext(
                "{count} mailbox without an account", "{count} mailboxes without an account", boxes
            )
            text = form.format(count=boxes)
        if not homes:
            return text
        form = ngettext(
            "{mailboxes}; {count} home of a user without one",
            "{mailboxes}; {count} homes of users without one",
            homes,
        )
        return form.format(mailboxes=text, count=homes)

    return listing("purge", inventory, selection, job, events, summary, start=start, report=report)


def purge(
    inventory: Inventory,
    selection: Selection,
    address: str,
    options: Options,
    *,
    start: Start,
    report: Emit,
) -> int:
    """Plan, ask, delete. Raises InputError for an address that is still an account; 1 when there is no such mailbox."""
    for host in selection.hosts:
        if address in _accounts(inventory, host):
            raise InputError(
                f"purge {address}",
                _("is an account of the inventory on {host}, and its mailbox is in use").format(
                    host=host.name
                ),
                _(
                    "Purge is for what accounts have left behind: take it out of the inventory and apply that first"
                ),
            )

    ident = run_id()

    def mode(host: Host, deployment: Deployment) -> Mode:
        return Question(
            host,
            {
                **options.job("purge", ident),
                "mail_root": MAIL_ROOT,
                "users": USERS,
                "login": passwd_file_key(address),
                "accounts": _accounts(inventory, host),
                "logins": _logins(inventory, host),
                "address": address,
            },
        )

    deployment = Deployment(
        inventory,
        selection,
        dataclasses.replace(options, idle_code=1),
        applies=True,
        ident=ident,
        mode=mode,
        zones=lambda deployment: [],
        start=start,
        report=report,
    )
    return deployment.run()
