"""A plan in a file: what somebody has looked at, to be applied later exactly so or not at all.

    text(inventory, …) -> str               the file (JSON), for `mailprov plan --out`
    read(text) -> SavedPlan | None          None: this is no saved plan; InputError: it is one that cannot be used
    inventory_moved(saved, inventory) -> str    what is another thing in the inventory now, empty when nothing is

The file holds the changes for people and one fingerprint for each host and zone, which is of exactly these changes: a
file that was edited is refused, so what a reviewer has read is what is done. (Who makes the fingerprints and digests
anew as well has named other changes than hosts and zones tell at the apply, and is refused then.)

Of the inventory it holds a digest of what it means, without how to get in (ssh, the DNS key): comments and a new SSH
key do not make another plan. Of secrets it holds one slow, salted digest of all of them together, so that the file
gives nobody a password to guess at; it is there because a plan looks the same whatever the new password is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.dns import ProviderSettings
from mailprov.model.events import Action, Change, Planned
from mailprov.model.inventory import SAVED_PLAN, Inventory, SshSettings
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass
from mailprov.plan.changes import fingerprint

FORMAT = 2  # since 2 the text is bound to the fingerprints
_KEY = SAVED_PLAN
_COST = 2**14  # of scrypt: 50 ms and 16 MiB for whoever guesses passwords from a plan


@dataclass(frozen=True)
class SavedPlan:
    """`subjects`: host or zone → fingerprint. `options` are those of `select` and the take_over of the plan."""

    version: str
    made: str
    inventory: str  # as the user wrote it
    absolute: str
    meaning: str
    salt: str
    secrets: str
    options: Mapping[str, Any]
    subjects: Mapping[str, str]

    @property
    def path(self) -> Path:
        """The inventory: where it was, else by the same name from here (a plan made by another step of a pipeline)."""
        there = Path(self.absolute)
        return there if there.exists() else Path(self.inventory)


def text(
    inventory: Inventory,
    plans: Iterable[Planned],
    *,
    version: str,
    made: str,
    options: Mapping[str, Any],
) -> str:
    """The file for these plans, in their order."""
    plans = tuple(plans)
    salt = os.urandom(16).hex()
    subjects = {
        plan.subject: {
            "fingerprint": fingerprint(plan.changes),
            "compared": plan.compared,
            "takes_over": list(plan.takes_over),
            "changes": [dataclasses.asdict(change) for change in plan.changes],
        }
        for plan in plans
    }
    body = {
        _KEY: FORMAT,
        "version": version,
        "made": made,
        "inventory": inventory.source,
        "absolute": str(Path(inventory.source).absolute()),
        "meaning": _meaning(inventory),
        "salt": salt,
        "secrets": _secrets(inventory, salt),
        "options": dict(options),
        "subjects": subjects,
    }
    body["text"] = _digest_of(body)
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def read(content: str, name: str) -> SavedPlan | None:
    """`name` is the file's, for errors."""
    if not content.lstrip().startswith("{"):
        return None
    try:
        body = json.loads(content)
    except ValueError:
        return None
    if not isinstance(body, dict) or _KEY not in body:
        return None
    if body[_KEY] != FORMAT:
        raise InputError(
            name, _("is a plan saved by another version of mailprov"), _("Save it anew (plan --out)")
        )
    try:
        names = [field.name for field in dataclasses.fields(SavedPlan) if field.name != "subjects"]
        subjects = {subject: str(plan["fingerprint"]) for subject, plan in body["subjects"].items()}
        edited = body["text"] != _digest_of(body) or any(
            fingerprint(map(_change, plan["changes"])) != plan["fingerprint"] or _misplaced(subject, plan)
            for subject, plan in body["subjects"].items()
        )
        found = SavedPlan(**{one: body[one] for one in names}, subjects=subjects)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError(
            name, _("is a saved plan with parts missing"), _("Save it anew (plan --out)")
        ) from None
    if edited:
        raise InputError(
            name,
            _("was edited after it was saved, so its content is not what was planned"),
            _("Nothing was done; save the plan anew (plan --out)"),
        )
    return found


def _digest_of(body: Mapping[str, Any]) -> str:
    """Of all that stands in the file, but for the digest itself."""
    text = json.dumps({key: value for key, value in body.items() if key != "text"}, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _misplaced(subject: str, plan: Mapping[str, Any]) -> bool:
    return any(change["subject"] != subject for change in plan["changes"])


def _change(body: dict[str, Any]) -> Change:
    """As it was when its plan was saved. KeyError, TypeError or ValueError where it is no change."""
    return Change(**{**body, "action": Action(body["action"]), "because": tuple(body["because"])})


def inventory_moved(saved: SavedPlan, inventory: Inventory) -> str:
    """In words that go behind the inventory's name."""
    if saved.meaning != _meaning(inventory):
        return _("has changed since the plan was saved")
    if not hmac.compare_digest(saved.secrets, _secrets(inventory, saved.salt)):
        return _("has another password, hash or certificate than when the plan was saved")
    return ""


def _meaning(inventory: Inventory) -> str:
    body = json.dumps(_plain(dataclasses.replace(inventory, source="")), sort_keys=True)
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    """Values that JSON knows; of a secret where it comes from."""
    if isinstance(value, Secret):
        return str(value)
    if isinstance(value, SshSettings):
        return None
    if isinstance(value, ProviderSettings):
        own = value.without_credential()
        return {
            "provider": own.name,
            **{f.name: _plain(getattr(own, f.name)) for f in dataclasses.fields(own)},
        }
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _secrets(inventory: Inventory, salt: str) -> str:
    """scrypt (RFC 7914) over all secrets that end up on hosts, in their order."""
    values: list[str] = []
    for domain in inventory.domains:
        for account in domain.accounts:
            values += [one.reveal() for one in account.secrets]
    for host in inventory.hosts:
        values += [_digest(path) for path in (host.tls.certificate, host.tls.key) if path is not None]
    body = json.dumps(values).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(body, salt=bytes.fromhex(salt), n=_COST, r=8, p=1, maxmem=2**26).hex()


def _digest(path: Path) -> str:
    """Of a file that components/tls/material.py complains about when it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"
