"""The kinds of resource, in the order in which a plan shows them and an apply makes them.

KINDS               what is compared later may depend on what was found before it: services on files and packages
entries(state)      what the manifest is to say of all files of a state
counted(state)      "4 packages, 12 files, 3 accounts, 2 services"
undone(kind, …)     how a rollback shows a file of this kind, by the manifest's word
"""

from __future__ import annotations

from typing import Callable, Iterator, List, Optional, Sequence, Tuple, Type

from mailprov.agent.changes import Change
from mailprov.agent.manifest import Entry
from mailprov.agent.redaction import Redactor
from mailprov.agent.resources import accounts, config_files
from mailprov.agent.resources.accounts import Accounts
from mailprov.agent.resources.acme import Issue, Placeholder
from mailprov.agent.resources.base import Resource, State
from mailprov.agent.resources.certificates import Certificate
from mailprov.agent.resources.config_files import ConfigFile, LeftFile
from mailprov.agent.resources.directories import Directory
from mailprov.agent.resources.dkim_keys import DkimKey
from mailprov.agent.resources.left_certificates import LeftCertificate
from mailprov.agent.resources.logins import Login
from mailprov.agent.resources.obsolete_services import ObsoleteService
from mailprov.agent.resources.own_passwords import OwnPasswords
from mailprov.agent.resources.packages import Package
from mailprov.agent.resources.services import Service
from mailprov.agent.resources.unwanted_services import UnwantedService
from mailprov.agent.resources.users import User
from mailprov.agent.sentences import joined, ngettext

KINDS: Sequence[Type[Resource]] = (
    Package, User, Login, Directory, DkimKey, Placeholder, Certificate,
    ConfigFile, Accounts, OwnPasswords, LeftFile, LeftCertificate, UnwantedService, Service,
    ObsoleteService, Issue,
)  # fmt: skip
_COUNTED: Sequence[Tuple[Type[Resource], Callable[[int], str]]] = (  # in this order
    (Package, lambda count: ngettext("{count} package", "{count} packages", count)),
    (User, lambda count: ngettext("{count} user", "{count} users", count)),
    (ConfigFile, lambda count: ngettext("{count} file", "{count} files", count)),
    (Accounts, lambda count: ngettext("{count} account", "{count} accounts", count)),
    (DkimKey, lambda count: ngettext("{count} DKIM key", "{count} DKIM keys", count)),
    (Certificate, lambda count: ngettext("{count} certificate", "{count} certificates", count)),
    (Service, lambda count: ngettext("{count} service", "{count} services", count)),
)


def entries(state: State) -> Iterator[Entry]:
    for kind in KINDS:
        yield from kind.entries(state)


def counted(state: State) -> str:
    counts = [(kind.count(state), form) for kind, form in _COUNTED]
    return joined(form(count).format(count=count) for count, form in counts if count)


def undone(
    kind: str,
    path: str,
    action: str,
    details: List[str],
    *,
    now: Optional[bytes],
    before: Optional[bytes],
    redact: Redactor,
) -> List[Change]:
    if kind == "accounts":
        return accounts.undone(path, action, details, now=now, before=before)
    return config_files.undone(path, action, details, now=now, before=before, kind=kind, redact=redact)
