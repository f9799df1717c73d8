"""Dovecot's passwd-files: who has an account, with which password and how much room.

    entries(domains) -> Entries                  what the inventory alone says of them; most of the work
    accounts(entries, dovecot) -> AccountFile    the same in the spelling of this Dovecot
    names(others, dovecot) -> str                a passwd-file without passwords, for the quotas of other names
    own(entries) -> OwnPasswords | None          what the passwords that users own begin with
    passwd_file_key(login) -> str

A password that its user owns is in a file of its own, which the host keeps: an account's line in USERS has none then,
and `noauthenticate`, by which Dovecot goes on to the next passdb. So USERS says who exists, also to whoever changes
passwords, and what an apply writes, keeps and puts back holds no hash of a user's making.

Pure. doc.dovecot.org, "Passwd-file".
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from mailprov.components.templates import MANAGED
from mailprov.components.versions import Version
from mailprov.model.accounts import Account
from mailprov.model.host_state import AccountEntry, AccountFile, OwnPasswords
from mailprov.model.inventory import Domain

USERS = "/etc/dovecot/mailprov-users"
NAMES = "/etc/dovecot/mailprov-names"
MAIL_ROOT = "/var/vmail"
OWN = "/var/lib/mailprov-passwd/passwords"
LOCKED = "{CRYPT}!"  # no password has this hash: crypt(3)
HANDED_ON = "noauthenticate"


class Entry(NamedTuple):
    """An account: its line without fields, its quota in octets, and whether its user owns the password, which is then
    what it begins with.
    """

    line: AccountEntry
    quota: int | None
    own: bool


Entries = tuple[Entry, ...]  # sorted by user


def entries(domains: Iterable[Domain]) -> Entries:
    """Every account of these domains."""
    every = [account for domain in domains for account in domain.accounts]
    return tuple(sorted(map(_entry, every), key=lambda each: each.line.user))


def _entry(account: Account) -> Entry:
    password, hashed = account.password, account.password_hash
    line = AccountEntry(
        passwd_file_key(account.address),
        password.reveal() if password else "",
        hashed.reveal() if hashed else "",
    )
    return Entry(line, account.quota, account.owner == "user")


def accounts(known: Entries, dovecot: Version) -> AccountFile:
    """One entry for each account: only root and Dovecot's auth process can read the file."""
    limits = {size: quota_field(size, dovecot) for size in {each.quota for each in known} if size is not None}
    return AccountFile(USERS, tuple(_line(each, limits) for each in known), group="dovecot")


def _line(entry: Entry, limits: dict[int, str]) -> AccountEntry:
    limit = "" if entry.quota is None else limits[entry.quota]
    if entry.own:
        return AccountEntry(entry.line.user, hash=LOCKED, fields=f"{HANDED_ON} {limit}".rstrip())
    return entry.line._replace(fields=limit) if limit else entry.line


def own(known: Entries) -> OwnPasswords | None:
    """None where no user of this host owns a password."""
    entries = tuple(each.line for each in known if each.own)
    return OwnPasswords(OWN, entries, USERS, MAIL_ROOT) if entries else None


def names(others: dict[str, Account], dovecot: Version) -> str:
    """A passwd-file without passwords: whose room Postfix asks for when mail is for another name of an account."""
    lines = [f"# {MANAGED}"]
    for name, account in sorted(others.items(), key=itemgetter(0)):
        if account.quota is not None:
            home = f"{MAIL_ROOT}/{account.domain}/{account.local_part}"
            limit = quota_field(account.quota, dovecot)
            who = f"userdb_user={account.address} userdb_home={home}"
            lines.append(f"{passwd_file_key(name)}:::::::{who} {limit}")
    return "\n".join(lines) + "\n"


def passwd_file_key(login: str) -> str:
    """The login as it must stand in the file: Dovecot, 2.3 and 2.4, escapes quotes before it looks there."""
    return login.replace("'", "\\'")


def quota_field(size: int, dovecot: Version) -> str:
    """The extra field that limits a mailbox to `size` bytes.

    2.4 wants the name of the quota block in it; without that the field is ignored in silence.
    """
    if dovecot.at_least(2, 4):
        return f"userdb_quota/user/storage_size={size}B"
    return f"userdb_quota_rule=*:bytes={size}"
