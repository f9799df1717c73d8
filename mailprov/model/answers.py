"""Events of the commands that look something up or make files, beside those of a run (model/events.py).

history, mailboxes, dkim status, client, trust, explain, lab, init, and what a verification finds. They are part of the
same stream and of the same contract. Apart, because a plan needs none of them, and each dataclass takes half a
millisecond to make when its module is loaded.
"""

from __future__ import annotations

from mailprov.model.findings import Finding
from mailprov.model.trace import Trace
from mailprov.model.values import dataclass


@dataclass(frozen=True)
class Found:
    finding: Finding


@dataclass(frozen=True)
class Tried:
    """A probe that was run against a scripted server: one that is sound (`what` is empty), or broken in a known way.

    `wanted` is the verdict that it must give there, `seen` those that it gave; `good`: that was all, with the right
    words. `observed`: what it said.
    """

    probe: str
    fixture: str
    what: tuple[str, ...]
    wanted: str
    seen: tuple[str, ...]
    good: bool
    observed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Untried:
    """A probe that no scripted server is for: `why`, and the test of mailprov's own that is about it."""

    probe: str
    why: str
    test: str


@dataclass(frozen=True)
class Traced:
    """The way of one message."""

    trace: Trace


@dataclass(frozen=True)
class PastRun:
    """One run that host `subject` remembers. `kind` is apply, rollback, zones, purge or queue; `status` says how it
    ended.

    `run` is the same on all hosts of one run; `undoes` the run that a rollback undid; `next`: a rollback would undo it.
    `address`: whose mailbox a purge deleted; `to`: the run to whose state a rollback of several runs returned.
    `action` (flush, hold, release, delete) and `ids`: what was done to which messages of the queue.
    """

    subject: str
    run: str
    kind: str
    owner: str
    began: str
    ended: str
    status: str
    changed: int
    zones: tuple[str, ...] = ()
    undoes: str = ""
    next: bool = False
    address: str = ""
    to: str = ""
    action: str = ""
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class MessageFound:
    """One of several messages that match, first seen on host `subject` as `queue_id`. `began`: unix seconds.

    `outcomes` and `answers`: what became of it for each recipient, as in Arrival.
    """

    message_id: str
    subject: str
    queue_id: str
    sender: str
    recipients: tuple[str, ...]
    began: float
    outcomes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeptMailbox:
    """A mailbox on host `subject` whose account is gone. `changed`: when its last message came, unix seconds, or 0."""

    subject: str
    address: str
    messages: int
    bytes: int
    changed: int = 0


@dataclass(frozen=True)
class KeptHome:
    """The home `path` on host `subject` of a user whose account `address` is gone, or has no shell any more. `changed`:
    when something in it was changed last, unix seconds, or 0.
    """

    subject: str
    address: str
    user: str
    path: str
    files: int
    bytes: int
    changed: int = 0


@dataclass(frozen=True)
class InventoryEdited:
    """`action` (add, set, suspend, remove) was done to the account `address` in `file`, at `line`. `state` is written,
    or restored: an apply failed, and the file is as it was before.
    """

    file: str
    line: int
    address: str
    action: str
    state: str


@dataclass(frozen=True)
class DkimKey:
    """A key with which host `subject` signs mail of `domain`. `state` is signing, waiting or retired, `since` a date or
    time in UTC, or "-"; `record` is the text of the TXT record at `name`, or empty where the host does not tell it.
    """

    subject: str
    domain: str
    selector: str
    state: str
    since: str
    name: str
    record: str


@dataclass(frozen=True)
class HostKey:
    """An SSH host key that host `subject`, or a jump host before it, shows at `at`.

    `status` is known (it is in `file`), new, or added (to `file`, by this command).
    """

    subject: str
    at: str
    type: str
    fingerprint: str
    status: str
    file: str


@dataclass(frozen=True)
class Explained:
    """What a probe does. `verdicts` are pairs: a verdict, and when it is given."""

    id: str
    title: str
    expected: str
    ports: tuple[int, ...]
    steps: tuple[str, ...]
    verdicts: tuple[tuple[str, str], ...]
    refs: tuple[str, ...]
    vantage: str = "anywhere"  # from where it must look: anywhere, outside, host


@dataclass(frozen=True)
class DnsProvider:
    """What a DNS provider needs, and what its driver can do (dns/abilities.py). `install`: a command line, or empty.

    `keys`: in `dns:`. `scope`: what its credential must be allowed. `types`: of records; empty for all of them.
    `calls_per_second`: its limit; 0 where none is known. `limits`: what else it cannot do; empty: nothing.
    """

    name: str
    title: str
    install: str
    installed: bool
    keys: tuple[str, ...]
    scope: str
    publishes: bool
    atomic: bool
    compare_and_swap: bool
    lists_zones: bool
    reads_sets: bool
    types: tuple[str, ...]
    ttls: tuple[int, int]
    calls_per_second: float
    limits: str
    dns_01: bool


@dataclass(frozen=True)
class PanelRecord:
    """A record as web panels take it. `name`: relative to `zone`, or `@`. `value`: without `priority` (which is empty
    where there is none), a text without quotes. `parts`: a text of more than 255 octets, cut; else empty.
    """

    zone: str
    name: str
    type: str
    value: str
    ttl: int
    priority: str
    parts: tuple[str, ...]
    why: str
    need: str


@dataclass(frozen=True)
class ClientServer:
    """A server that a mail program talks to for an account. `protocol` is imap, pop3 or smtp, `security` tls (from the
    first byte) or starttls, `login` password or oauth2 (by the provider's own page).
    """

    address: str
    protocol: str
    host: str
    port: int
    security: str
    user: str
    login: str


@dataclass(frozen=True)
class LabHost:
    """One host of a lab. `state` is up, booting or down."""

    name: str
    fqdn: str
    release: str
    address: str
    state: str


@dataclass(frozen=True)
class LabStatus:
    """How lab `name` is doing. `inventory` is the path of its own inventory; its name server is the last of `hosts`."""

    name: str
    phase: str
    since: str
    subnet: str
    inventory: str
    zones: tuple[str, ...]
    hosts: tuple[LabHost, ...]


@dataclass(frozen=True)
class LabCache:
    """Something that labs leave on this machine for the next one; `labs` are those that need it now."""

    what: str
    bytes: int
    labs: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """A file that the command has made."""

    path: str


@dataclass(frozen=True)
class MoveStep:
    """Step `number` of `count` in the move of `domain` to `to` (hosts, or a provider). `step`: ttls, both, mx, away or
    end. `state`: done, now, waiting (the next one may be taken at `until`, ISO 8601 in UTC) or later.
    """

    domain: str
    to: str
    number: int
    count: int
    step: str
    text: str
    state: str
    until: str = ""
