"""The kinds of resource, in the order in which a plan shows them and an apply makes them.

KINDS               what is compared later may depend on what was found before it: services on files and packages
entries(state)      what the manifest is to say of all files of a state
counted(state)      "4 packages, 12 files, 3 accounts, 2 services"
undone(kind, …)     how a rollback shows a file of this kind, by the manifest's word
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Type

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
from mailprov.agent.resources.obsolete_services import ObsoleteService
from mailprov.agent.resources.packages import Package
from mailprov.agent.resources.services import Service
from mailprov.agent.resources.users import User

KINDS: Sequence[Type[Resource]] = (
    Package, User, Directory, DkimKey, Placeholder, Certificate,
    ConfigFile, Accounts, LeftFile, Service, ObsoleteService, Issue,
)  # fmt: skip
_COUNTED = (Package, User, ConfigFile, Accounts, DkimKey, Certificate, Service)  # in this order


def entries(state: State) -> Iterator[Entry]:
    for kind in KINDS:
        yield from kind.entries(state)


def counted(state: State) -> str:
    counts = [(kind.count(state), kind.word) for kind in _COUNTED]
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)


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
