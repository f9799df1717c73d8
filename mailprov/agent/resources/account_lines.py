"""Files in the form of Dovecot's passwd-files whose lines are not accounts, and how a plan tells them.

    changes(spec, found, there)   those of `found` (passwd_file.compare), in the words of what the lines are
    undone(path, now, before)     of states, in a rollback; None for other files
    in_words(fields)              the fields behind a state or a password of a program

Of states there is a line for each account that is not just active, so one that comes or goes is a change of an account
that stays. `there`, `now` and `before` are what passwd_file.logins makes of a file; the fields are those of
components/states.py.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Tuple

from mailprov.agent.changes import Change, change
from mailprov.agent.sentences import _, joined

STATES = "/etc/mailprov/states"
Told = Tuple[str, str, str]  # action, user, detail
Logins = Dict[str, Tuple[str, str]]  # user → hash and fields


def changes(spec: Dict[str, Any], found: List[Told], there: Logins) -> List[Told]:
    kind = spec.get("of", "accounts")
    if kind == "states":
        return _states(_fields(there), {user: fields for user, _password, _hash, fields in spec["entries"]})
    if kind == "accounts":
        return found
    gone = _("the password is no longer good")
    return [(action, user, gone if action == "delete" else detail) for action, user, detail in found]


def undone(path: str, now: Logins, before: Logins) -> Optional[List[Change]]:
    if path != STATES:
        return None
    told = _states(_fields(now), _fields(before))
    return [change("account", action, user, detail) for action, user, detail in told]


def _fields(logins: Logins) -> Dict[str, str]:
    return {user: fields for user, (_hash, fields) in logins.items()}


def _states(before: Dict[str, str], wanted: Dict[str, str]) -> List[Told]:
    return [
        ("update", user.replace("\\'", "'"), joined((_state(before, user), _state(wanted, user)), " → "))
        for user in sorted(before.keys() | wanted.keys())
        if before.get(user) != wanted.get(user)
    ]


def _state(states: Dict[str, str], user: str) -> str:
    return in_words(states[user]) if user in states else _("active")


def in_words(fields: str) -> str:
    """ "active, suspended from 2028-07-01 00:00 UTC"; fields of another kind as they are."""
    try:
        values = dict(field.split("=", 1) for field in fields.split(" "))
        if "state" in values:
            if "expires" not in values:
                return values["state"]
            return _("{state}, {then} from {time}").format(
                state=values["state"], then=values["then"], time=_moment(values["expires"])
            )
        if "protocols" not in values:
            return fields
        protocols = values["protocols"].replace(",", ", ")
        if "expires" not in values:
            return _("for {protocols}").format(protocols=protocols)
        return _("for {protocols} until {time}").format(protocols=protocols, time=_moment(values["expires"]))
    except (ValueError, KeyError):
        return fields


def _moment(at: str) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(int(at)))
