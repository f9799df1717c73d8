"""What accounts may do: states, expiry, passwords of programs, on a host where an account says any of these.

    of(build) -> States | None    what Dovecot's and Postfix's files must name; None: no account says anything
    COMPONENT

A program on the host (templates/states) makes from the inventory's word what is in force now, in files of its own:
so a date comes true without an apply, and what an apply compares stays the same. Pure.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import NamedTuple

from mailprov.components.base import Build, Component, Parts
from mailprov.i18n import N_
from mailprov.model.accounts import Account
from mailprov.model.host_state import AccountEntry, AccountFile, Directory, File, Service
from mailprov.model.inventory import Host
from mailprov.model.states import APP_PROTOCOLS, AppPassword, State

FOLDER = "/var/lib/mailprov-states"
ENDED = "/run/mailprov-states/ended"  # whose sessions had to end, and when: since the host was started
_STATES = "/etc/mailprov/states"
_APPS = "/etc/mailprov/app-passwords"
_NAMES = "/etc/mailprov/states-names"
_SCRIPT = "/etc/mailprov/states.py"
_UNITS = "/etc/systemd/system"
_UNIT = "mailprov-states.service"
_EXPIRY = "mailprov-expiry.service"
_TIMER = "mailprov-expiry.timer"
# What the program keeps there: each is there before anybody's configuration names it.
_HOLDS = (
    ("app-passwords", "dovecot", "0640"),
    ("denied", "dovecot", "0640"),
    ("logged-out", "root", "0644"),
    ("refused", "root", "0644"),
    ("stopped", "root", "0644"),
    ("undeliverable", "root", "0644"),
)
# When it leaves: nothing is denied or refused any more, and no password stays on the disk.
_UNDO = ("sh", "-c", f"for file in {FOLDER}/*; do [ ! -f $file ] || : >$file; done")


class States(NamedTuple):
    """`slots`: how many passwords of programs an account has at most for one protocol."""

    accounts: tuple[Account, ...]
    slots: int


def of(build: Build) -> States | None:
    every = (account for domain in build.domains for account in domain.accounts)
    found = tuple(each for each in every if each.says_what_it_may)
    counts = (
        Counter(protocol for app in account.app_passwords for protocol in app.protocols) for account in found
    )
    most = max((max(count.values(), default=0) for count in counts), default=0)
    return States(found, most) if found else None


class _States(Component):
    name = "states"
    about = N_("says who may log in and get mail, until when, and with which passwords")
    before = "submission"  # and so before Postfix and Dovecot

    def wanted(self, host: Host) -> bool:
        return host.managed

    def parts(self, build: Build) -> Parts:
        states = build.made(of)
        return _parts(build, states) if states else Parts()

    def retired(self) -> tuple[Service, ...]:
        return Service(unit=_TIMER), Service(unit=_UNIT, undo=_UNDO)


COMPONENT = _States()


def _parts(build: Build, states: States) -> Parts:
    from mailprov.components.templates import render

    dates = {each.expires.at for each in states.accounts if each.expires}
    dates |= {
        app.expires for each in states.accounts for app in each.app_passwords if app.expires is not None
    }
    script = File(
        _SCRIPT,
        render(
            "states/states.py.j2",
            states=_STATES,
            names=_NAMES,
            apps=_APPS,
            folder=FOLDER,
            ended=ENDED,
            protocols=list(APP_PROTOCOLS.items()),
        ),
        mode="0755",
    )
    unit = File(f"{_UNITS}/{_UNIT}", render("states/states.service.j2", script=_SCRIPT))
    files = [script, unit, File(_NAMES, _names(build, states))]
    read = (_STATES, _APPS, *(file.path for file in files))
    services = [Service(unit=_UNIT, files=read, restart_on=read, undo=_UNDO)]
    if dates:
        written = [time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at)) for at in sorted(dates)]
        due = File(f"{_UNITS}/{_EXPIRY}", render("states/expiry.service.j2", script=_SCRIPT))
        timer = File(f"{_UNITS}/{_TIMER}", render("states/expiry.timer.j2", dates=written))
        files += [due, timer]
        services.append(Service(unit=_TIMER, files=(timer.path,), restart_on=(timer.path,)))
    return Parts(
        directories=(Directory(FOLDER, holds=_HOLDS),),
        files=tuple(files),
        account_files=(
            AccountFile(_APPS, _app_passwords(states.accounts), mode="0600", of="app passwords"),
            AccountFile(_STATES, _states(states.accounts), mode="0644", of="states"),
        ),
        services=tuple(services),
    )


def _states(accounts: tuple[Account, ...]) -> tuple[AccountEntry, ...]:
    from mailprov.components.dovecot.passwd import passwd_file_key

    found = []
    for account in accounts:
        fields = [f"state={account.state.value}"]
        if account.expires:
            fields += [f"expires={account.expires.at}", f"then={account.expires.state.value}"]
        if len(fields) > 1 or account.state is not State.ACTIVE:
            found.append(AccountEntry(passwd_file_key(account.address), hash="-", fields=" ".join(fields)))
    return tuple(sorted(found, key=lambda entry: entry.user))


def _app_passwords(accounts: tuple[Account, ...]) -> tuple[AccountEntry, ...]:
    from mailprov.components.dovecot.passwd import passwd_file_key

    found = [
        AccountEntry(
            f"{passwd_file_key(account.address)}/{app.name}",
            app.password.reveal() if app.password else "",
            app.password_hash.reveal() if app.password_hash else "",
            _fields(app),
        )
        for account in accounts
        for app in account.app_passwords
    ]
    return tuple(sorted(found, key=lambda entry: entry.user))


def _fields(app: AppPassword) -> str:
    until = f" expires={app.expires}" if app.expires is not None else ""
    return f"protocols={','.join(app.protocols)}{until}"


def _names(build: Build, states: States) -> str:
    from mailprov.components.postfix import addresses
    from mailprov.components.templates import MANAGED

    deaf = {account.address for account in states.accounts if account.may_lose[1]}
    lines = [
        f"# {MANAGED}",
        "# Other names of accounts that get no mail, or will get none: refused with them. `keep`: what a catch-all of",
        "# such an account leaves alone.",
        *addresses.led_to(build.domains, deaf),
    ]
    return "\n".join(lines) + "\n"
