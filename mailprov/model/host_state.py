"""What a host must be: the complete desired state, as plain values that travel to the agent as JSON.

`mailprov.desired.build` makes a HostState from inventory and facts (pure); `mailprov.agent` compares it with
the host and makes it true. `to_wire` gives the JSON-ready form; its keys are the field names below, and they
are the contract between this file and the agent (which cannot import it).

Order on the host: packages → users → directories → keys → certificates → files and account files → checks of
the staged configuration → services (reload, or restart where `restart_on` changed) → wait for their ports →
what an authority issues.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mailprov.model.values import dataclass


@dataclass(frozen=True)
class User:
    """A system user with a group of the same name."""

    name: str
    home: str
    shell: str = "/usr/sbin/nologin"
    comment: str = ""


@dataclass(frozen=True)
class Login:
    """A system user who logs in: an account with a shell. `comment` (GECOS) says whose it is
    in its last field, behind the agent's mark. One that leaves is locked by what the component has on the host.
    """

    name: str
    home: str
    shell: str
    comment: str


@dataclass(frozen=True)
class Directory:
    """A directory with its owner and mode. `holds`: (name, group, mode) of files that a program of the host's keeps
    there; one that is missing is made, empty, and what is in them is the program's."""

    path: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0755"  # octal
    holds: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class File:
    """A whole file. `secret`: its content is never shown, only that it differs (private keys).

    `local` is the host's own file of local settings beside it: with `merges` its lines are wanted in this file, too
    (see agent/resources/local_settings.py), else the daemon reads it by itself. A notice says when one of `guarded`
    is set anew there or in `content`.
    """

    path: str
    content: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    secret: bool = False
    local: str = ""
    merges: bool = False
    guarded: tuple[str, ...] = ()


class AccountEntry(NamedTuple):
    """One line of a Dovecot passwd-file. Exactly one of `password` (clear, hashed on the host) and `hash` is
    not empty.

    The agent keeps the line's hash as long as the password is the same, so hashes are stable from run to run.
    On the wire it is a list in this order: there may be 10,000 and more.
    """

    user: str
    password: str = ""
    hash: str = ""
    fields: str = ""  # extra fields behind the hash, such as "userdb_quota_rule=*:storage=300K"

    def __repr__(self) -> str:
        return f"AccountEntry({self.user!r}, fields={self.fields!r})"  # never a password


@dataclass(frozen=True)
class AccountFile:
    """A Dovecot passwd-file: `user:{SCHEME}hash::::::fields`, one line per account, sorted by user.

    `of`: what its lines are, which says how a plan tells them: "accounts", "states" or "app passwords" of accounts.
    """

    path: str
    entries: tuple[AccountEntry, ...]
    owner: str = "root"
    group: str = "root"
    mode: str = "0640"
    of: str = "accounts"


@dataclass(frozen=True)
class OwnPasswords:
    """A Dovecot passwd-file of passwords that users own: the host keeps it, and an apply only adds to it.

    An account that has no line yet gets one, with the password that its entry has in either form. `users` is the
    passwd-file of all accounts, which says whose password was their user's before this apply; `mail_root` is where
    mailboxes are, by which a password that is gone is told from one that never was.
    """

    path: str
    entries: tuple[AccountEntry, ...]
    users: str
    mail_root: str
    owner: str = "root"
    group: str = "dovecot"
    mode: str = "0640"


@dataclass(frozen=True)
class Certificate:
    """A key and a self-signed certificate, made on the host if missing, for other names, or near expiry: then it is
    made anew with the same key.
    """

    names: tuple[str, ...]  # DNS names; the first is the subject
    certificate: str  # path, PEM, 0644
    key: str  # path, PEM, 0600
    days: int = 3650
    key_type: str = "ecdsa"  # or rsa
    rotate: str = ""  # prepare: make another one beside it, with a new key; switch: put that in its place


@dataclass(frozen=True)
class Issued:
    """A certificate by ACME (RFC 8555), which certbot gets and renews.

    It is the last thing of an apply, when the services run and the records are published. Until then, and when the
    authority refuses, the daemons find a self-signed one, or the one before, at `path`.
    """

    name: str  # certbot's: /etc/letsencrypt/live/NAME
    names: tuple[str, ...]  # DNS names
    path: str  # PEM, 0600: the key, then the chain
    server: str  # URL of the authority's directory
    authenticator: (
        str  # certbot's way to show that the name is ours: standalone, webroot, or its plugin for dns-01
    )
    arguments: tuple[str, ...]  # of certbot
    hook: str  # the program that takes a renewed certificate into service
    ports: tuple[int, ...]  # which must serve it then; TLS from the first byte
    key_type: str = "ecdsa"  # or rsa
    roots: str = ""  # PEM on the host: whom certbot trusts besides the system's store
    rotate: str = (
        ""  # prepare: have it issued with a new key, and leave the old one in service; switch: serve it
    )
    webroot: str = ""  # authenticator webroot: the folder whose files the web server gives out
    # It may lack some of its names: those that do not lead to one of `addresses` (where any are known), and those that
    # the authority refuses. Each is told.
    may_lack: bool = False
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class SigningKey:
    """A DKIM key pair, made on the host if a part of it is missing; the private key is readable by root and `group`.

    `public` is the text of the TXT record (RFC 6376 section 3.6.1), 0644. `raw`, if any, is an Ed25519 key in the form
    that Rspamd reads: seed and public key in base64.
    """

    name: str  # as in model.dkim.Key
    algorithm: str  # rsa (2048 bits), ed25519
    key: str  # path, PEM (PKCS #8), 0640
    public: str  # path
    group: str
    raw: str = ""  # path, 0640


@dataclass(frozen=True)
class Service:
    """A systemd unit that must be enabled and running, and what makes it read its files again.

    `files` are paths whose change needs `reload`; `restart_on` are those that need a restart instead.
    `checks` are argument lists that must exit 0 (and print nothing on stderr where `quiet_checks`) on the
    configuration before the daemon sees it: the daemon's own checkers.
    `tables` are pairs of a path among `files` and the check of that file alone, which comes after `checks`: where a
    reload is for these only, the configuration around them is not checked again.
    `ports` (of TCP, or paths of Unix sockets) must be listening within `patience` seconds after start, reload or
    restart.
    `main_process` is its pid file and name: SIGHUP there makes all of it read its files anew. A daemon that answers
    for others by its tables is told in the moment they change, before the reload that proves it.
    `undo` takes back what outlives the unit, once it is stopped for good. `shared`: others may use it, so that it goes
    on when it is no longer wanted here and ran before mailprov came.
    `stale_sockets` are those that an earlier configuration may have left and this one does not have: they are removed
    before a start or restart, since whoever connects to a dead socket tries for seconds.
    `queue` holds the mail it has accepted, delivered to those whom the passwd-files `delivers_by` name.
    `jails` (fail2ban) count what is logged from the moment on in which the unit first reads them; addresses in one of
    the networks `spares` are let in again.
    """

    unit: str  # postfix.service
    files: tuple[str, ...] = ()
    restart_on: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()  # argument list; empty: systemctl reload UNIT
    checks: tuple[tuple[str, ...], ...] = ()
    quiet_checks: bool = False
    tables: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ports: tuple[int | str, ...] = ()
    patience: int = 30
    main_process: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()  # argument list
    shared: bool = False
    stale_sockets: tuple[str, ...] = ()
    queue: str = ""
    delivers_by: tuple[str, ...] = ()
    jails: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()


@dataclass(frozen=True)
class Filters:
    """Where users' filters (Sieve scripts) are, and which extensions of theirs `configuration` refuses: where that file
    changes, a notice names the accounts whose filters will not run any more.
    """

    configuration: str  # path
    root: str  # DOMAIN/NAME below it is an account's folder
    scripts: str  # below that folder
    active: str
    refused: tuple[str, ...]


@dataclass(frozen=True)
class HostState:
    """All that a host must be."""

    host: str  # inventory name
    hostname: str  # fully qualified, for the packages' own set-up (debconf: postfix/mailname)
    packages: tuple[str, ...] = ()
    debconf: tuple[
        tuple[str, str, str, str], ...
    ] = ()  # (package, question, type, value), preset before installing
    # Units that packages bring and that nobody needs: they do not start, not even at boot. One that was there before
    # its package came by us is left alone.
    unwanted: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    directories: tuple[Directory, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    issued: tuple[Issued, ...] = ()
    keys: tuple[SigningKey, ...] = ()
    files: tuple[File, ...] = ()
    account_files: tuple[AccountFile, ...] = ()
    own_passwords: tuple[OwnPasswords, ...] = ()
    services: tuple[Service, ...] = ()
    filters: tuple[Filters, ...] = ()
    # Units that the host would not have with this inventory: those that the manifest knows are stopped and disabled.
    retired: tuple[Service, ...] = ()
    # (package, version prefix) pairs the templates were chosen for: if another version got installed, the
    # agent stops before it writes a file.
    rendered_for: tuple[tuple[str, str], ...] = ()
    logins: tuple[Login, ...] = ()
    notices: tuple[str, ...] = ()  # sentences that a plan shows: what the host cannot have, and why

    def to_wire(self) -> dict[str, Any]:
        """Without `own_passwords` where there are none."""
        return {name: _plain(value) for name, value in vars(self).items() if value or name != "own_passwords"}


def _plain(value: Any) -> Any:
    """As dataclasses.asdict, without its copies: strings and numbers are what they are."""
    if isinstance(value, (str, int, AccountEntry)):
        return value
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return {name: _plain(inner) for name, inner in vars(value).items()}
