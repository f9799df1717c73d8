"""Which DKIM keys a host has, and what each is used for: state of the host and inventory → the next state.

    keys(domains, host, facts, rotation) -> tuple[Key, ...]
    spec(key, group) -> SigningKey                     what the agent makes where it is missing
    signing(domains, keys) -> [(name, keys)]           who signs for which name
    state_file(keys) -> File
    RotationStep, Step                                         what `mailprov dkim rotate`, or `tls rotate`, asks for

Pure. Without a RotationStep nothing is rotated; a first key signs at once, because there is no older one that could do
it until its record is known everywhere. A key whose files are lost is replaced under another selector: the old record
may stand in caches. What retired keys signed is long delivered or returned after RETIRED_DAYS (Postfix gives up after
five).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

from mailprov.model.dkim import FOLDER, STATE_FILE, Key, State, read, selector, write
from mailprov.model.host_state import File, SigningKey
from mailprov.model.inventory import Domain, Host

RETIRED_DAYS = 7


class Step(str, Enum):
    PUBLISH = "publish"  # a new key beside the one that signs
    SWITCH = "switch"  # the new key signs, the old one retires


class RotationStep(NamedTuple):
    """One step of a rotation, for the DKIM keys of these domains, or the keys of the host's certificates."""

    step: Step
    domains: frozenset[str]
    certificates: bool = False


def keys(
    domains: Iterable[Domain], host: Host, facts: dict[str, Any], rotation: RotationStep | None = None
) -> tuple[Key, ...]:
    """Every key the host must have, by domain in the inventory's order."""
    told = facts.get("dkim") or {}
    now = datetime.datetime.fromtimestamp(facts.get("time", 0), datetime.timezone.utc)
    known: dict[str, list[Key]] = {}
    for key in read(told.get("state", "")):
        known.setdefault(key.domain, []).append(key)
    there = set(told.get("public", ()))
    found: list[Key] = []
    for domain in domains:
        own = known.get(domain.name, [])
        step = rotation.step if rotation and domain.name in rotation.domains else None
        found += _of_domain(domain, host, own, there, now=now, step=step)
    return tuple(found)


def _of_domain(
    domain: Domain,
    host: Host,
    own: list[Key],
    there: set[str],
    *,
    now: datetime.datetime,
    step: Step | None,
) -> list[Key]:
    last = max((key.number for key in own), default=0)
    good = [key for key in own if key.name in there]
    result: list[Key] = []
    for algorithm in domain.dkim.algorithms:
        mine = [key for key in good if key.algorithm == algorithm]
        signing = [key for key in mine if key.state is State.SIGNING]
        waiting = [key for key in mine if key.state is State.WAITING]
        if waiting and (step is Step.SWITCH or not signing):
            result += [_retired(key, now) for key in signing]
            signing, waiting = [replace(waiting[-1], state=State.SIGNING, since="-")], []
        if not signing:
            last += 1
            signing = [Key(domain.name, selector(domain.dkim.selector, host.name, algorithm, last))]
        elif step is Step.PUBLISH and not waiting:
            last += 1
            name = selector(domain.dkim.selector, host.name, algorithm, last)
            waiting = [Key(domain.name, name, State.WAITING, now.strftime("%Y-%m-%dT%H:%M:%SZ"))]
        result += [*signing, *waiting]
        result += [key for key in mine if key.state is State.RETIRED and not _over(key, now)]
    for key in good:
        if key.algorithm not in domain.dkim.algorithms and key.state is not State.WAITING:
            kept = key if key.state is State.RETIRED else _retired(key, now)
            result += [] if _over(kept, now) else [kept]
    return sorted(result, key=lambda key: (key.algorithm != "rsa", key.number))


def _retired(key: Key, now: datetime.datetime) -> Key:
    """By the day: a plan that is saved and applied later has the same text."""
    return replace(key, state=State.RETIRED, since=now.strftime("%Y-%m-%d"))


def _over(key: Key, now: datetime.datetime) -> bool:
    try:
        since = datetime.datetime.strptime(key.since, "%Y-%m-%d").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return False
    return now - since > datetime.timedelta(days=RETIRED_DAYS)


def spec(key: Key, group: str) -> SigningKey:
    """Its files, which `group` alone may read besides root."""
    base = f"{FOLDER}/{key.name}"
    raw = f"{base}.raw" if key.algorithm == "ed25519" else ""
    return SigningKey(key.name, key.algorithm, f"{base}.key", f"{base}.txt", group, raw)


def signing(domains: Iterable[Domain], found: Iterable[Key]) -> list[tuple[str, list[Key]]]:
    """Each name behind an @, domain aliases too, with the keys that sign for it."""
    by_domain: dict[str, list[Key]] = {}
    for key in found:
        if key.state is State.SIGNING:
            by_domain.setdefault(key.domain, []).append(key)
    return [
        (name, by_domain[domain.name])
        for domain in domains
        for name in (domain.name, *domain.domain_aliases)
        if domain.name in by_domain
    ]


def state_file(found: Iterable[Key]) -> File:
    return File(STATE_FILE, write(found))
