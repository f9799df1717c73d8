"""What a component adds to a host's desired state."""

from __future__ import annotations

from typing import NamedTuple

from mailprov.model.host_state import (
    AccountFile,
    Certificate,
    Directory,
    File,
    Filters,
    Issued,
    Login,
    OwnPasswords,
    Service,
    SigningKey,
    User,
)


class Parts(NamedTuple):
    """What one component adds to a host's state. The meaning of each field is told in model.host_state."""

    packages: tuple[str, ...] = ()
    debconf: tuple[tuple[str, str, str, str], ...] = ()
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
    notices: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    logins: tuple[Login, ...] = ()
