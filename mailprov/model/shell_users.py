"""Accounts with a shell, as the inventory means them: system users of a host, for SSH. Pure.

ShellUser       one on a host
users(host)     those of a host, by their names (`placed` put them there)
MARK            the beginning of what GECOS says last of such a user: whose it is
placed(hosts, domains)   the hosts, each with the users of the domains whose first host it is
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mailprov.model.inventory import Domain, Host
from mailprov.model.shell import Shell
from mailprov.model.values import dataclass

MARK = "mailprov-account="
_KEY = "shell_users"  # in Host.settings; no key of the file


@dataclass(frozen=True)
class ShellUser:
    address: str
    shell: Shell
    own_password: bool = False  # the mailbox's password is the user's to change
    ends: int | None = None  # seconds since 1970, from when on it must not log in

    @property
    def name(self) -> str:
        return self.shell.user


def users(host: Host) -> tuple[ShellUser, ...]:
    found: tuple[ShellUser, ...] = host.settings.get(_KEY, ())
    return found


def placed(hosts: Iterable[Host], domains: Iterable[Domain]) -> tuple[Host, ...]:
    """Their mail is on each host of a domain; they log in where their programs connect to."""
    found: dict[str, list[ShellUser]] = {}
    for domain in domains:
        for account in domain.accounts:
            if account.shell and domain.hosts and account.state.logs_in:
                ends = account.expires.at if account.expires and not account.expires.state.logs_in else None
                user = ShellUser(account.address, account.shell, account.owner == "user", ends)
                found.setdefault(domain.hosts[0], []).append(user)
    return tuple(_with(host, found.get(host.name, ())) for host in hosts)


def _with(host: Host, people: Iterable[ShellUser]) -> Host:
    ordered = tuple(sorted(people, key=lambda each: each.name))
    return replace(host, settings={**host.settings, _KEY: ordered}) if ordered else host
