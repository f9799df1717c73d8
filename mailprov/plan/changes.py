"""Counting and fingerprinting of changes, for hosts and zones alike. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable

from mailprov.model.events import Action, Change


def counts(changes: Iterable[Change]) -> dict[str, int]:
    """How many to add, change and remove; effects (reload, restart) are not counted: they follow from the rest."""
    result = {"create": 0, "update": 0, "delete": 0}
    for change in changes:
        if change.action is not Action.RUN:
            result[change.action.value] += 1
    return result


def counted(changes: Collection[Change]) -> str:
    """ "3 to add, 1 to change, 0 to remove", and what else there is to say."""
    total = counts(changes)
    parts = f"{total['create']} to add, {total['update']} to change, {total['delete']} to remove"
    if not any(total.values()) and changes:
        parts += f"; {services(len(changes))}"
    if drifted := sum(change.drift for change in changes):
        parts += f"; {drifted} edited by hand"
    return parts


def services(effects: int) -> str:
    return f"{effects} service{'' if effects == 1 else 's'} to restart or reload"


def fingerprint(changes: Iterable[Change]) -> str:
    """A short hash of exactly these changes in this order: what was shown is what is done."""
    body = [
        [c.subject, c.kind, c.action.value, c.name, c.detail, c.diff, c.drift, c.edit, *c.because]
        for c in changes
    ]
    return hashlib.sha256(json.dumps(body).encode("ascii")).hexdigest()[:16]
