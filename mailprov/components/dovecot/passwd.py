"""Dovecot's passwd-files: who has an account, with which password and how much room.

    entries(domains) -> Entries                  what the inventory alone says of them; most of the work
    accounts(entries, dovecot) -> AccountFile    the same in the spelling of this Dovecot
    names(others, dovecot) -> str                a passwd-file without passwords, for the quotas of other names
    passwd_file_key(login) -> str

Pure. doc.dovecot.org, "Passwd-file".
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from mailprov.components.templates import MANAGED
from mailprov.components.versions import Version
from mailprov.model.accounts import Account
from mailprov.model.host_state import AccountEntry, AccountFile
from mailprov.model.inventory import Domain

USERS = "/etc/dovecot/mailprov-users"
NAMES = "/etc/dovecot/mailprov-names"
MAIL_ROOT = "/var/vmail"

Entries = tuple[
    tuple[AccountEntry, "int | None"], ...
]  # sorted by user; without fields, and the quota in octets


def entries(domains: Iterable[Domain]) -> Entries:
    """Every account of these domains."""
    every = [account for domain in domains for account in domain.accounts]
    return tuple(
        sorted(((_entry(account), account.quota) for account in every), key=lambda each: each[0].user)
    )


def _entry(account: Account) -> AccountEntry:
    password, hashed = account.password, account.password_hash
    return AccountEntry(
        passwd_file_key(account.address),
        password.reveal() if password else "",
        hashed.reveal() if hashed else "",
    )


def accounts(known: Entries, dovecot: Version) -> AccountFile:
    """One entry for each account: only root and Dovecot's auth process can read the file."""
    fields = {size: quota_field(size, dovecot) for size in {quota for _, quota in known} if size is not None}
    found = tuple(entry if quota is None else entry._replace(fields=fields[quota]) for entry, quota in known)
    return AccountFile(USERS, found, group="dovecot")


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
