"""Counting and fingerprinting of changes, for hosts and zones alike. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable

from mailprov.i18n import _, ngettext
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
    parts = [
        _("{create} to add, {update} to change, {delete} to remove").format(
            create=total["create"], update=total["update"], delete=total["delete"]
        )
    ]
    if not any(total.values()) and changes:
        parts.append(services(len(changes)))
    if drifted := sum(change.drift for change in changes):
        parts.append(by_hand(drifted))
    return "; ".join(parts)


def by_hand(count: int) -> str:
    return ngettext("{count} edited by hand", "{count} edited by hand", count).format(count=count)


def done(changed: int, effects: int, *, rolled_back: bool = False) -> str:
    """ "3 changes applied", as `counts` counts; what follows from them is told where it is all there was."""
    if effects and not changed:
        form = ngettext(
            "{count} service restarted or reloaded", "{count} services restarted or reloaded", effects
        )
        return form.format(count=effects)
    if rolled_back:
        return ngettext("{count} change rolled back", "{count} changes rolled back", changed).format(
            count=changed
        )
    return ngettext("{count} change applied", "{count} changes applied", changed).format(count=changed)


def services(effects: int) -> str:
    return ngettext(
        "{count} service to restart or reload", "{count} services to restart or reload", effects
    ).format(count=effects)


def fingerprint(changes: Iterable[Change]) -> str:
    """A short hash of exactly these changes in this order: what was shown is what is done."""
    body = [
        [c.subject, c.kind, c.action.value, c.name, c.detail, c.diff, c.drift, c.edit, *c.because]
        for c in changes
    ]
    return hashlib.sha256(json.dumps(body).encode("ascii")).hexdigest()[:16]
