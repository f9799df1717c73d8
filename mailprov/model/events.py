"""The event stream of a run: what `run/` emits and all that `report/` ever sees.

Terminal, JSON and JUnit are made from the same events, so they cannot disagree. `to_json` gives the public form
(one object per line with `--json`); its field names are a contract: add, never rename. Here are the events of a run;
those of other commands, and findings, are in `answers`.
Events carry no secrets: diffs are masked where they are made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from mailprov.model.values import dataclass


class Action(str, Enum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RUN = "run"  # an effect without a state of its own: reload, restart


@dataclass(frozen=True)
class Change:
    """One thing that will change or has changed on `subject` (a host's name, or `zone alpha.test`).

    `kind` is package, user, directory, file, account, certificate, service, record, mailbox or message; `name` is what
    a person would call it (a path, a unit, an address); `detail` is one line; `diff` is a unified diff with secrets
    masked, or empty.

    `because`: all files that a service is reloaded or restarted for, where `detail` only says how many they are.
    `drift`: it would undo what somebody did by hand since the last apply. `edit` is then the diff of that, from what
    was applied to what is there now, where it can be shown.
    `label`, `need` and `purpose`: of a record that is wanted, what people call it (SPF), whether it is required,
    recommended or optional, and what it is for.
    """

    subject: str
    kind: str
    action: Action
    name: str
    detail: str = ""
    diff: str = ""
    drift: bool = False
    edit: str = ""
    because: tuple[str, ...] = ()
    label: str = ""
    need: str = ""
    purpose: str = ""


@dataclass(frozen=True)
class RunStarted:
    """The first event of every run."""

    command: str  # plan, apply, verify, dns plan, …
    inventory: str
    version: str
    started: str  # ISO 8601 with zone
    profile: str = ""  # of a verification: by which bar findings are judged
    via: str = ""  # the host that verify looks from, if not this machine


@dataclass(frozen=True)
class Progress:
    """Something is being done now: for people who wait. `subject` is a host or a zone; `text` is one short line."""

    subject: str
    text: str


@dataclass(frozen=True)
class Notice:
    """Something to know that changes no verdict: a record left alone, a note on self-signed certificates."""

    subject: str
    text: str


@dataclass(frozen=True)
class Planned:
    """What would change on one subject (complete; may be empty).

    `takes_over`: what of a host's own mail and settings a first apply hides or replaces, a sentence each; it is not
    done without --take-over-host.
    """

    subject: str
    changes: tuple[Change, ...]
    compared: str = ""  # what was looked at: "5 packages, 14 files, 2 services, 3 accounts"
    takes_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Applied:
    """One change is done."""

    change: Change
    seconds: float = 0.0


@dataclass(frozen=True)
class Ended:
    """One subject is done. `status` is ok, failed, unreachable, skipped or interrupted; `error` is one sentence."""

    subject: str
    status: str
    changed: int = 0
    error: str = ""
    output: tuple[str, ...] = ()  # the last lines a failing command printed
    seconds: float = 0.0


@dataclass(frozen=True)
class RunEnded:
    """The last event of every command, however it ends. `declined`: somebody was asked and answered no."""

    exit_code: int
    summary: str  # one line: "2 hosts, 1 zone: 31 changes applied"
    seconds: float = 0.0
    declined: bool = False


@dataclass(frozen=True)
class Doing:
    """What `subject` is doing, in one short line, and for how long."""

    subject: str
    text: str
    seconds: float


@dataclass(frozen=True)
class StillWorking:
    """A sign of life while nothing comes to its end: what each host or zone is doing, the longest first."""

    doing: tuple[Doing, ...]


@dataclass(frozen=True)
class InventoryProblem:
    """One mistake in the inventory; the command ends with 2. `line` and `column` count from 1; `path` is the key path:
    `hosts.mx1.tls.mode`.
    """

    file: str
    line: int
    column: int
    path: str
    text: str


@dataclass(frozen=True)
class Error:
    """Why the command ended before its work was done: where it happened, what was seen, what to do."""

    where: str
    what: str
    advice: str = ""


if TYPE_CHECKING:
    from mailprov.model.answers import (
        ClientServer,
        DkimKey,
        DnsProvider,
        Explained,
        Found,
        HostKey,
        InventoryEdited,
        KeptHome,
        KeptMailbox,
        LabCache,
        LabStatus,
        MessageFound,
        MoveStep,
        PanelRecord,
        PastRun,
        Traced,
        Tried,
        Untried,
        Written,
    )
    from mailprov.model.queue import QueuedMessage, QueueState
    from mailprov.model.records import Record

    Event = (
        RunStarted
        | Progress
        | StillWorking
        | Notice
        | Planned
        | Applied
        | Ended
        | PastRun
        | KeptHome
        | KeptMailbox
        | QueuedMessage
        | QueueState
        | Found
        | Traced
        | Tried
        | Untried
        | MessageFound
        | Record
        | DkimKey
        | HostKey
        | ClientServer
        | Explained
        | DnsProvider
        | PanelRecord
        | MoveStep
        | InventoryEdited
        | LabStatus
        | LabCache
        | Written
        | InventoryProblem
        | Error
        | RunEnded
    )
else:
    Event = object  # who has no event of the others need not load them
Emit = Callable[[Event], None]


def to_json(event: Event) -> dict[str, Any]:
    """The event as a flat dictionary of plain values; `event` holds its kind in snake case."""
    name = "".join("_" + c.lower() if c.isupper() else c for c in type(event).__name__).lstrip("_")
    body = dataclasses.asdict(event)
    if name == "found":
        body = body["finding"]
    elif name == "traced":
        body = body["trace"]
    return {"event": name, **body}
