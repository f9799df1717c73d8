"""What is written down about a lab, before each thing it names is made.

    LabHost, LabState   the record (state.json in the lab's directory)
    save, load          atomically written; load gives None when it is missing or damaged
    every               the states of all labs that can be read, also of those that are stopped
    lab_lock            one mailprov at a time works on a lab (taken; for a `with` block)

Raises LabError. Processes are not written down: they are known by their control group, which cannot lie.
"""

from __future__ import annotations

import dataclasses
import json
import os

from mailprov.errors import LabError
from mailprov.i18n import _
from mailprov.lab.mounts import Lock
from mailprov.lab.paths import RUN_ROOT, LabPaths, state_root
from mailprov.model.values import dataclass

_VERSION = 1


@dataclass(frozen=True)
class LabHost:
    """One host. `index` is the last number of its addresses; `root` is the cached root it stands on."""

    name: str
    index: int
    release: str
    fqdn: str
    address: str
    address6: str  # "" where this machine has no IPv6
    machine_id: str
    root: str


@dataclass(frozen=True)
class LabState:
    name: str
    phase: str  # starting, up, stopped
    since: str  # ISO 8601 with zone
    subnet: str  # 10.78.0.0/24; "" until one is chosen
    subnet6: str  # fd…::/64 or ""
    nameserver_label: str  # ns1: the name of the DNS host in each zone
    zones: tuple[str, ...]
    dns: LabHost
    hosts: tuple[LabHost, ...]

    @property
    def all_hosts(self) -> tuple[LabHost, ...]:
        return (self.dns, *self.hosts)


def save(paths: LabPaths, state: LabState) -> None:
    """Writes state.json whole or not at all."""
    body = {"version": _VERSION, **dataclasses.asdict(state)}
    target = paths.directory / "state.json"
    temporary = target.with_suffix(".new")
    temporary.write_text(json.dumps(body, indent=2) + "\n")
    os.replace(temporary, target)


def load(paths: LabPaths) -> LabState | None:
    """The lab's state, or None when there is none that can be read."""
    try:
        body = json.loads((paths.directory / "state.json").read_text())
        if body.pop("version") != _VERSION:
            return None
        body["zones"] = tuple(body["zones"])
        body["dns"] = LabHost(**body["dns"])
        body["hosts"] = tuple(LabHost(**host) for host in body["hosts"])
        return LabState(**body)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def every() -> list[LabState]:
    """What all labs of this machine say of themselves."""
    root = state_root()
    homes = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [state for home in homes if (state := load(LabPaths(home.name, home))) is not None]


def lab_lock(paths: LabPaths) -> Lock:
    """The lock of this lab. Raises LabError at once when another mailprov that lives holds it."""
    lock = Lock(RUN_ROOT / f"{paths.tag}.lock", wait=False)
    try:
        return lock.take()
    except BlockingIOError:
        raise LabError(
            f"lab {paths.name}",
            _("another mailprov is working on it right now"),
            _("Wait until it ends, or stop it with Ctrl-C"),
        ) from None
