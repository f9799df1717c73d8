"""What an account's `shell` means, and which names its user may have.

    resolve(entry, path, account, hosts, context) -> Shell
    check(domains, hosts, context)      the same name in two domains of one host, and mailprov's own login there

What is wrong goes to `context.problems`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterable

from mailprov.i18n import _
from mailprov.inventory.schema_shell import ShellEntry
from mailprov.model.accounts import Account
from mailprov.model.inventory import Domain, Host
from mailprov.model.shell import DEFAULT_QUOTA, Shell
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show

# What useradd(8) takes everywhere, and what is no number: 32 characters, small letters first.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
# Users and groups of the system and of what mailprov installs, and names that people take for its word. A group counts
# as well: the user's own group has the user's name.
_SYSTEM = frozenset((
    "abuse", "adm", "admin", "administrator", "audio", "avahi", "backup", "bin", "bind", "cdrom", "certbot",
    "crontab", "cyrus", "daemon", "dbus", "debian", "dialout", "dip", "disk", "dnsmasq", "docker", "dovecot",
    "dovenull", "exim", "fax", "floppy", "ftp", "games", "gnats", "guest", "halt", "hostmaster", "http", "input",
    "irc", "kmem", "kvm", "list", "lock", "lp", "lxd", "mail", "mailer-daemon", "mailman", "man", "messagebus",
    "mysql", "named", "netdev", "news", "nginx", "nobody", "nogroup", "ntp", "opendkim", "opendmarc", "operator",
    "plugdev", "polkitd", "postdrop", "postfix", "postgres", "postmaster", "postsrsd", "proxy", "pulse", "redis",
    "render", "root", "rspamd", "rtkit", "sasl", "shadow", "shutdown", "src", "ssh", "sshd", "sshusers", "staff",
    "sudo", "sync", "sys", "syslog", "tape", "tcpdump", "tss", "tty", "ubuntu", "unbound", "users", "utmp", "uucp",
    "uuidd", "vagrant", "video", "vmail", "voice", "webmaster", "wheel", "www", "www-data",
))  # fmt: skip
_OWN_PREFIXES = ("systemd-", "mailprov", "debian-", "uid")
# Schemes of password hashes that the system's own login can check: crypt(5).
_CRYPT = ("SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "CRYPT")


def resolve(
    entry: ShellEntry,
    path: KeyPath,
    account: Account,
    hosts: Collection[Host],
    context: Context,
) -> Shell:
    """`hosts`: those of the domain."""
    if unmanaged := [host.name for host in hosts if not host.managed]:
        what = _(
            "others built {host} (`managed: false`), so mailprov makes no users there; leave `shell` out"
        )
        context.problem(path, what.format(host=unmanaged[0]), key=True)
    address, ready = account.address, account.password_hash
    name = account.local_part if entry.user is None else entry.user
    if address or entry.user is not None:
        where: KeyPath = path if entry.user is None else (*path, "user")
        if wrong := _wrong_name(name):
            context.problem(where, wrong, key=entry.user is None)
    keys = tuple(
        key for index, text in enumerate(entry.keys) if (key := _key(text, (*path, "keys", index), context))
    )
    password = not entry.keys if entry.password is None else entry.password
    if not password and not entry.keys:
        context.problem(
            path, _("nobody could log in: it has no keys, and `password` is false; give keys"), key=True
        )
    scheme = ready.reveal().partition("}")[0].lstrip("{").partition(".")[0].upper() if ready else _CRYPT[0]
    if password and scheme not in _CRYPT:
        what = _(
            "SSH cannot check a password hash of the scheme {scheme}; give keys and `password: false`, or a hash of "
            "one of these: {schemes}"
        )
        context.problem(path, what.format(scheme=scheme, schemes=", ".join(_CRYPT[:3])), key=True)
    quota = DEFAULT_QUOTA if entry.home_quota is None else entry.home_quota
    return Shell(name, password, keys, entry.restricted, quota)


def _wrong_name(name: str) -> str:
    """A sentence, or "" where this can be the name of a user of the system."""
    if name in _SYSTEM or name.startswith(_OWN_PREFIXES):
        what = _('"{name}" is a name of the system; give the user another one: `shell: {example}`')
    elif not _NAME.fullmatch(name) or name.endswith("-"):
        what = _(
            '"{name}" cannot be the name of a system user (small letters, digits, _ and -, a letter first, at '
            "most 32); give it another one: `shell: {example}`"
        )
    else:
        return ""
    return what.format(name=show(name), example="{user: …}")


def _key(text: str, path: KeyPath, context: Context) -> str:
    """The type, the key and its comment; "" after saying what is wrong."""
    words = text.split()
    if not words or words[0] not in _KEY_TYPES:
        if "PRIVATE KEY" in text:
            what = _("is a private key; give the public one, from the file whose name ends in .pub")
        else:
            what = _("is no public key as ssh-keygen writes it: a type such as ssh-ed25519, then the key")
        context.problem(path, what)
        return ""
    try:
        data = base64.b64decode(words[1], validate=True) if len(words) > 1 else b""
        size = int.from_bytes(data[:4], "big")
        good = data[4 : 4 + size] == words[0].encode("ascii") and len(data) > 4 + size + 16
    except (binascii.Error, ValueError):
        good = False
    if not good:
        context.problem(
            path, _("is no whole key of the type {type}; copy the line again").format(type=words[0])
        )
        return ""
    return " ".join(words)


def check(domains: Iterable[Domain], hosts: Iterable[Host], context: Context) -> None:
    seen: dict[tuple[str, str], str] = {}
    at = {host.name: host for host in hosts}
    for domain in domains:
        for account in domain.accounts:
            if account.shell is None or not domain.hosts or domain.hosts[0] not in at:
                continue
            host, name = at[domain.hosts[0]], account.shell.user
            path: KeyPath = (*context.defined.get(account.address, ("domains", domain.name)), "shell")
            if (other := seen.setdefault((host.name, name), account.address)) != account.address:
                what = _(
                    'the user "{name}" of {host} is {other} already; give one of them another name: '
                    "`shell: {example}`"
                )
                shown = what.format(name=show(name), host=host.name, other=other, example="{user: …}")
                context.problem(path, shown, key=True)
            if host.ssh.user == name:
                what = _(
                    '"{name}" is whom mailprov logs in as on {host}; give the user another name: `shell: {example}`'
                )
                context.problem(
                    path, what.format(name=show(name), host=host.name, example="{user: …}"), key=True
                )
