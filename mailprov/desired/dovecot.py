"""Dovecot: its whole configuration in one file, the accounts, and the service.

    files(host, releases, material, ipv6, others) -> tuple[File, ...]
    accounts(domains, dovecot) -> AccountFile
    service(material) -> Service

Pure. One template for each release line, since 2.4 reads none of the settings that 2.3 needs.
"""

from __future__ import annotations

from operator import itemgetter

from mailprov.desired import local
from mailprov.desired.draft import Mail
from mailprov.desired.state import AccountEntry, AccountFile, Directory, File, Service, User
from mailprov.desired.templates import render
from mailprov.desired.tls import TLS12_CIPHERS, Material
from mailprov.desired.versions import Releases, Version
from mailprov.model.inventory import Account, Domain, Filter, Host
from mailprov.model.ports import PORTS, SIEVE_PORT, Protocol, TlsStart

CONFIGURATION = "/etc/dovecot/dovecot.conf"
USERS = "/etc/dovecot/mailprov-users"
NAMES = "/etc/dovecot/mailprov-names"
WARNING = "/etc/dovecot/mailprov-quota-warning"
SPAM_SCRIPT = "/etc/dovecot/mailprov-spam.sieve"
MAIL_ROOT = "/var/vmail"
OWNER = "vmail"
SOCKETS = "/var/spool/postfix/private"
MAIL_USER = User(OWNER, MAIL_ROOT, comment="virtual mailboxes")
DIRECTORIES = (Directory(MAIL_ROOT, OWNER, OWNER, "0750"),)
_FOLDERS = (
    ("Archive", "Archive"),
    ("Drafts", "Drafts"),
    ("Junk", "Junk"),
    ("Sent", "Sent"),
    ("Trash", "Trash"),
)
# The signs that the inventory allows in an account's name, and Dovecot's default letters and digits.
_USERNAME_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@='"


def files(host: Host, releases: Releases, material: Material, ipv6: bool, mail: Mail) -> tuple[File, ...]:
    """dovecot.conf for the release line at hand, and what it names."""
    logins = [
        (
            name,
            [
                {
                    "number": port.number,
                    "service": port.service,
                    "purpose": port.purpose,
                    "implicit": port.tls is TlsStart.IMPLICIT,
                }
                for port in (*PORTS, SIEVE_PORT)
                if port.protocol is protocol
            ],
        )
        for protocol, name in (
            (Protocol.IMAP, "imap"),
            (Protocol.POP3, "pop3"),
            (Protocol.SIEVE, "managesieve"),
        )
    ]
    text = render(
        f"{releases.dovecot_templates}/dovecot.conf.j2",
        fqdn=host.fqdn,
        ipv6=ipv6,
        pairs=material.pairs,
        served_names=material.names,
        ciphers=TLS12_CIPHERS,
        users=USERS,
        names=NAMES,
        warning_script=WARNING,
        owner=OWNER,
        mail_root=MAIL_ROOT,
        sockets=SOCKETS,
        folders=_FOLDERS,
        logins=logins,
        username_chars=_USERNAME_CHARS,
        delimiter=host.recipient_delimiter,
        quotas=mail.quotas,
        spam_script=SPAM_SCRIPT if host.filter is Filter.RSPAMD else "",
        local=local.dovecot_conf(host.local),
        local_file=local.DOVECOT_FILE,
    )
    new = releases.dovecot.at_least(2, 4)
    warning = render(
        "dovecot/quota-warning.j2",
        fqdn=host.fqdn,
        unlimited="quota_enforce=no" if new else "plugin/quota=count:user:noenforcing",
    )
    spam = (File(SPAM_SCRIPT, render("dovecot/spam.sieve.j2")),) if host.filter is Filter.RSPAMD else ()
    return (
        *spam,
        File(CONFIGURATION, text, local=local.DOVECOT_FILE, guarded=local.DOVECOT_GUARDED),
        File(WARNING, warning, mode="0755"),
        File(NAMES, names(mail.other_names, releases.dovecot), group="dovecot", mode="0640"),
    )


def names(others: dict[str, Account], dovecot: Version) -> str:
    """A passwd-file without passwords: whose room Postfix asks for when mail is for another name of an account."""
    lines = ["# Managed by mailprov: do not edit, the inventory is where this file comes from."]
    for name, account in sorted(others.items(), key=itemgetter(0)):
        if account.quota is not None:
            home = f"{MAIL_ROOT}/{account.domain}/{account.local_part}"
            limit = quota_field(account.quota, dovecot)
            who = f"userdb_user={account.address} userdb_home={home}"
            lines.append(f"{passwd_file_key(name)}:::::::{who} {limit}")
    return "\n".join(lines) + "\n"


def accounts(domains: tuple[Domain, ...], dovecot: Version) -> AccountFile:
    """The passwd-file, one entry for each account: only root and Dovecot's auth process can read it."""
    every = [account for domain in domains for account in domain.accounts]
    limits = {size: quota_field(size, dovecot) for size in {each.quota for each in every} if size is not None}
    entries = sorted(_entry(account, limits) for account in every)
    return AccountFile(USERS, tuple(entries), group="dovecot")


def _entry(account: Account, limits: dict[int, str]) -> AccountEntry:
    return AccountEntry(
        passwd_file_key(account.address),
        account.password.reveal() if account.password else "",
        account.password_hash.reveal() if account.password_hash else "",
        "" if account.quota is None else limits[account.quota],
    )


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


def service(material: Material) -> Service:
    """Dovecot sees by itself when the accounts' file changes, so that file is not among `files`."""
    return Service(
        unit="dovecot.service",
        files=(CONFIGURATION, local.DOVECOT_FILE, *material.watched),
        checks=(("doveconf", "-n", "-c", CONFIGURATION),),
        ports=tuple(port.number for port in (*PORTS, SIEVE_PORT) if port.protocol is not Protocol.SMTP),
    )
