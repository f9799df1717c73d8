"""The runs that `mailprov history` showed last, so that the shell can complete their ids without asking a host.

    Remember(inventory)     a consumer of the event stream
    of(inventory)           [(run id, a few words)], the latest first

A file for each inventory under $XDG_CACHE_HOME/mailprov (~/.cache/mailprov): nothing but a convenience, so whatever
goes wrong with it is passed over, and mailprov itself never decides by it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from mailprov.i18n import ngettext
from mailprov.model.answers import PastRun
from mailprov.model.events import Event, RunEnded

_MOST = 50


class Remember:
    def __init__(self, inventory: Path) -> None:
        self._path = _path(inventory)
        self._runs: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, PastRun):
            count = event.changed
            self._runs[event.run] = ngettext(
                "{kind} of {date}, {count} change", "{kind} of {date}, {count} changes", count
            ).format(kind=event.kind, date=event.began, count=count)
        elif isinstance(event, RunEnded) and self._runs:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
                new.write_text(json.dumps(self._runs), encoding="utf-8")
                new.replace(self._path)
            except OSError:
                pass


def of(inventory: Path) -> list[tuple[str, str]]:
    """Raises OSError and ValueError where nothing is remembered."""
    told = json.loads(_path(inventory).read_text(encoding="utf-8"))
    latest = sorted(told.items(), reverse=True)[:_MOST]  # ids begin with their time
    return [(str(run), str(words)) for run, words in latest]


def _path(inventory: Path) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = hashlib.sha256(os.path.realpath(inventory).encode()).hexdigest()[:16]
    return Path(cache) / "mailprov" / f"runs-{name}.json"
