"""Which accounts of a domain a run uses, and why it does not use others.

    usable(domain)                   the first account with a known password; with reads=True whose mail stays there;
                                     one for probes (`probe: true`) only where there is no other
    probe_account(domain)            the first one that is for probes, has a known password and keeps its mail
    chosen(domain, run, count)       the accounts that log in: `count` of them, or all where it is None
    lacking(domain)                  why there is none that could, as a clause
    untried(domain)                  which accounts cannot log in, and why, beside others that do
    logs_in, receives (account)      whether it may, by its state and the clock of this machine
    with_test_passwords(inventory)   the inventory; accounts whose own password is not known have that of verify

Raises nothing. A password is known when the inventory names it in clear or a reference to it, not a hash, and when it
is not one that the account's user owns: then the inventory knows what it was once. Such an account can have one for
verification alone: the password of a program that is called `verify`, good for each protocol that its hosts offer.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import replace

from mailprov.i18n import _, ngettext
from mailprov.model.accounts import Account
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.ports import ALL, Protocol

_NAMED = 5  # names in one sentence
_TEST = "verify"  # the password of a program that is ours
# What the inventory calls what a port is for.
USED_FOR = {
    Protocol.IMAP: "imap",
    Protocol.POP3: "pop3",
    Protocol.SMTP: "submission",
    Protocol.SIEVE: "managesieve",
}


def with_test_passwords(inventory: Inventory) -> Inventory:
    def tested(account: Account, needed: set[str]) -> Account:
        if has_password(account):
            return account
        for app in account.app_passwords:
            good = app.password is not None and app.holds(time.time()) and needed <= set(app.protocols)
            if app.name == _TEST and good:
                return replace(account, password=app.password, password_hash=None, owner="inventory")
        return account

    domains = []
    for domain in inventory.domains:
        hosts = [inventory.host(name) for name in domain.hosts]
        ports = [port for port in ALL if port.login and any(host.offers(port) for host in hosts)]
        needed = {USED_FOR[port.protocol] for port in ports}
        domains.append(
            replace(domain, accounts=tuple(tested(account, needed) for account in domain.accounts))
        )
    return replace(inventory, domains=tuple(domains))


def usable(domain: Domain, *, reads: bool = False) -> Account | None:
    """An account with a known password; with `reads`, one whose mail also stays in its mailbox."""
    for account in sorted(known(domain), key=lambda account: account.probe):
        if not reads or keeps(account):
            return account
    return None


def probe_account(domain: Domain) -> Account | None:
    for account in known(domain):
        if account.probe and keeps(account) and account.forward is None:
            return account
    return None


def known(domain: Domain) -> list[Account]:
    """Those that may log in."""
    return [account for account in domain.accounts if has_password(account) and logs_in(account)]


def has_password(account: Account) -> bool:
    return account.password is not None and not _own(account)


def _own(account: Account) -> bool:
    return account.owner == "user"


def keeps(account: Account) -> bool:
    return (account.forward is None or account.forward.keep) and receives(account)


def logs_in(account: Account) -> bool:
    return account.state_at(time.time()).logs_in


def receives(account: Account) -> bool:
    return account.state_at(time.time()).receives


def chosen(domain: Domain, run: str, count: int | None) -> list[Account]:
    """The same for the same run, others in the next one, so that in time every account has its turn. In the order of
    the inventory.
    """
    able = known(domain)
    if count is None or len(able) <= count:
        return able
    drawn = sorted(able, key=lambda account: hashlib.sha256(f"{run} {account.address}".encode()).digest())
    return [account for account in able if account in drawn[:count]]


def lacking(domain: Domain | None, *, reads: bool = False) -> str:
    """Why `usable` found none, of a domain or of none at all."""
    if domain is None or not domain.accounts:
        return _("no account") if domain is None else _("{domain} has no account").format(domain=domain.name)
    able = known(domain)
    if reads and able and not all(map(receives, able)):
        return _("no account of {domain} that may log in keeps mail: {names}").format(
            domain=domain.name, names=names(able)
        )
    if reads and able:
        return ngettext(
            "no account of {domain} keeps mail: {names} forwards all of it (keep: false)",
            "no account of {domain} keeps mail: {names} forward all of it (keep: false)",
            len(able),
        ).format(domain=domain.name, names=names(able))
    if shut := [account for account in domain.accounts if has_password(account) and not logs_in(account)]:
        return _(
            "no account with a known password in {domain} may log in (`state` or `expires`): {names}"
        ).format(domain=domain.name, names=names(shut))
    own = [account for account in domain.accounts if _own(account)]
    hashed = [account for account in domain.accounts if not _own(account)]
    if not own:
        return _(
            "no account with a known password in {domain}: the inventory has only a hash for {names}"
        ).format(domain=domain.name, names=names(hashed))
    if not hashed:
        return _(
            "no account with a known password in {domain}: users own those of {names} (an account for tests, with a "
            "password of the inventory, would be tried)"
        ).format(domain=domain.name, names=names(own))
    return _(
        "no account with a known password in {domain}: the inventory has only a hash for {names}, and users own the "
        "passwords of {others}"
    ).format(domain=domain.name, names=names(hashed), others=names(own))


def untried(domain: Domain) -> list[str]:
    """A sentence for each reason."""
    hashed = [account for account in domain.accounts if account.password is None and not _own(account)]
    own = [account for account in domain.accounts if _own(account)]
    told = []
    if hashed:
        what = _("not tried, as only a hash of the password is known: {names}")
        told.append(what.format(names=names(hashed)))
    if own:
        told.append(_("not tried, as their users own the passwords: {names}").format(names=names(own)))
    return told


def names(accounts: Iterable[Account]) -> str:
    """Some of their addresses, and how many more there are."""
    addresses = [account.address for account in accounts]
    more = len(addresses) - _NAMED
    shown = ", ".join(addresses[:_NAMED])
    return _("{names} and {count} more").format(names=shown, count=more) if more > 0 else shown
