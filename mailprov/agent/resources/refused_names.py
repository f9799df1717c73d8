"""Names that an authority refused not long ago: they are not asked for again at each apply.

    note(tree, spec, refused)                   {name: why}, as the authority said it; takes out what was issued
    leave_out(tree, spec, names) -> (names, {name: sentence})     those to ask for; why not, of each of the others

Each failed validation counts at the authority (Let's Encrypt stops after five an hour for a name), and each try issues
the certificate of the other names once more, of which it gives out five a week for the same set. So a name is asked for
again after two days, or as soon as something has changed that this host can see: where the name leads, which authority
it is and how it is answered. Whoever has mended what cannot be seen from here removes FILE.
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List, Sequence, Tuple

from mailprov.agent import files
from mailprov.agent.resources import certificate_names
from mailprov.agent.resources.base import Spec
from mailprov.agent.sentences import _

FILE = f"{files.STATE}/refused-names.json"
_AGAIN = 2 * 86400.0  # seconds


def note(tree: files.Tree, spec: Spec, refused: Dict[str, str]) -> None:
    known = _read(tree)
    mine = {name: told for name, told in known.get(spec["name"], {}).items() if name not in spec["names"]}
    now = time.time()
    for name, why in refused.items():
        mine[name] = {"at": now, "why": why[:300], **_seen(spec, name)}
    after = {**known, spec["name"]: mine}
    after = {lineage: told for lineage, told in after.items() if told}
    if after != known:
        text = json.dumps(after, indent=1, sort_keys=True) + "\n"
        files.write(tree.at(FILE), text.encode("ascii"), 0o600)


def leave_out(tree: files.Tree, spec: Spec, names: Sequence[str]) -> Tuple[List[str], Dict[str, str]]:
    known = _read(tree).get(spec["name"], {})
    left: Dict[str, str] = {}
    for name in names:
        told = known.get(name)
        if not told or not 0 <= time.time() - told["at"] < _AGAIN:
            continue
        if any(told.get(part) != value for part, value in _seen(spec, name).items()):
            continue
        form = _(
            "{name} was refused by {server} ({why}), and is asked for again from {time} UTC on, or when it leads to "
            "another address; to ask at once, remove {file}"
        )
        again = time.strftime("%Y-%m-%d %H:%M", time.gmtime(told["at"] + _AGAIN))
        left[name] = form.format(name=name, server=spec["server"], why=told["why"], time=again, file=FILE)
    return [name for name in names if name not in left], left


def _seen(spec: Spec, name: str) -> Dict[str, Any]:
    """What may have changed since."""
    return {
        "server": spec["server"],
        "authenticator": spec["authenticator"],
        "leads": sorted(certificate_names.addresses(name)),
    }


def _read(tree: files.Tree) -> Dict[str, Dict[str, Any]]:
    """Nothing where the file is not ours to understand: then everything is asked for."""
    try:
        found = json.loads(files.read(tree.at(FILE)) or b"{}")
        for told in found.values():
            for one in told.values():
                float(one["at"]), str(one["why"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}
