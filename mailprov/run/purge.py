"""Mailboxes whose accounts are gone: telling them, and deleting one that is named.

    kept(…)     emits a KeptMailbox for each mailbox on a host that belongs to no account which the host serves
    purge(…)    deletes one, after showing what is in it and asking

Mail is deleted by nothing else in mailprov. So an address that is still an account is refused here, before any host is
asked, and once more on the host, where its login must have gone.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from typing import Any

from mailprov import __version__
from mailprov.components.passwd import MAIL_ROOT, USERS, passwd_file_key
from mailprov.errors import InputError
from mailprov.model.events import Emit, KeptMailbox, RunEnded, RunStarted
from mailprov.model.inventory import Host, Inventory
from mailprov.run.deploy import Deployment, Options
from mailprov.run.event_queue import EventQueue
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession, Mode, Start, asked_alone
from mailprov.run.ident import run_id
from mailprov.run.select import Selection
from mailprov.run.verify import worst
from mailprov.run.zones import ZoneWork


class MailboxMode:
    """Modes mailboxes and purge; the agent asks nothing."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.mailboxes: list[dict[str, Any]] = []

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        self.mailboxes = message["mailboxes"]
        return None

    def go(self) -> dict[str, Any]:
        return {}


def _accounts(inventory: Inventory, host: Host) -> list[str]:
    return [account.address for domain in inventory.domains_on(host.name) for account in domain.accounts]


def kept(inventory: Inventory, selection: Selection, *, start: Start, report: Emit) -> int:
    """Reads only; hosts in the inventory's order."""
    events = EventQueue(report)
    began = time.monotonic()
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    events.emit(RunStarted("purge", inventory.source, __version__, started))
    modes = {
        host.name: MailboxMode(
            {"mode": "mailboxes", "mail_root": MAIL_ROOT, "accounts": _accounts(inventory, host)}
        )
        for host in selection.hosts
    }
    sessions = [
        HostSession(host, modes[host.name], command="purge", emit=events.emit, gate=Gate(), start=start)
        for host in selection.hosts
    ]
    try:
        for one in sessions:
            one.launch()
        events.pump(lambda: all(one.ended.is_set() for one in sessions))
    except KeyboardInterrupt:
        events.wake(RunEnded(130, "interrupted", time.monotonic() - began))
        return 130
    count = 0
    for one in sessions:
        for box in modes[one.host.name].mailboxes:
            count += 1
            events.emit(
                KeptMailbox(one.host.name, box["address"], box["messages"], box["bytes"], box["changed"])
            )
    code = worst(*(one.outcome.error.exit_code for one in sessions if one.outcome.error is not None))
    summary = f"{count or 'no'} mailbox{'' if count == 1 else 'es'} without an account{asked_alone(sessions)}"
    events.wake(RunEnded(code, summary, time.monotonic() - began))
    return code


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
                f"is an account of the inventory on {host.name}, and its mailbox is in use",
                "Purge is for what accounts have left behind: take it out of the inventory and apply that first",
            )

    ident = run_id()

    def mode(host: Host, zones: ZoneWork) -> Mode:
        return MailboxMode(
            {
                "mode": "purge",
                "run": ident,
                "mail_root": MAIL_ROOT,
                "users": USERS,
                "login": passwd_file_key(address),
                "accounts": _accounts(inventory, host),
                "address": address,
                "lock_timeout": options.lock_timeout,
            }
        )

    deployment = Deployment(
        inventory,
        selection,
        dataclasses.replace(options, idle_code=1),
        applies=True,
        ident=ident,
        mode=mode,
        zones=list,
        start=start,
        report=report,
    )
    return deployment.run()
