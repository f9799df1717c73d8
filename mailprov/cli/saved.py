"""Saved plans on the command line: writing one for `plan --out`, and recognizing one that is given to `apply`.

Saving(path)            a consumer of the event stream; `write` when the run is over
load_saved(path)        the saved plan and its inventory, or None when the file is an inventory
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailprov.errors import InputError, ReportFailed
from mailprov.i18n import _
from mailprov.model.events import Event, Planned, RunStarted

if TYPE_CHECKING:
    from mailprov.model.inventory import Inventory
    from mailprov.plan.saved import SavedPlan

_MOST = 64 * 2**20  # bytes; 10,000 new accounts make 3 MB


class Saving:
    """Raises InputError at once, before anything is looked at, when the file cannot be written."""

    def __init__(self, path: Path, inventory: Path) -> None:
        self._path = path
        self._plans: list[Planned] = []
        self._started: RunStarted | None = None
        if path.exists() and inventory.exists() and path.samefile(inventory):
            raise InputError(f"--out {path}", _("is the inventory itself"), _("Give another name"))
        if not path.absolute().parent.is_dir():
            raise InputError(f"--out {path}", _("its folder does not exist"), _("Make the folder first"))
        try:
            path.unlink(missing_ok=True)  # so that a plan that fails leaves no earlier one to be applied
        except OSError as error:
            raise InputError(
                f"--out {path}",
                _("cannot be written: {error}").format(error=error.strerror),
                _("Give a path you may write"),
            ) from error

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._started = event
        elif isinstance(event, Planned):
            self._plans.append(event)

    def write(self, inventory: Inventory, code: int, options: dict[str, Any]) -> str:
        """One line on what became of it. A plan with a host or zone missing is not saved: it is not what was wanted."""
        from mailprov.plan import saved

        if code not in (0, 4) or self._started is None:
            return _("{path} was not written, because not everything could be planned").format(
                path=self._path
            )
        text = saved.text(
            inventory,
            self._plans,
            version=self._started.version,
            made=self._started.started,
            options=options,
        )
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
            temporary.replace(self._path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise ReportFailed(
                f"--out {self._path}",
                _("cannot be written: {error}").format(error=error.strerror),
                _("Give a path you may write"),
            ) from error
        return _("saved; `mailprov apply {path}` does exactly this, or nothing").format(path=self._path)


def load_saved(path: Path) -> tuple[SavedPlan, Inventory] | None:
    """Raises InputError for a saved plan that cannot be used, or whose inventory has moved; InventoryError."""
    try:
        with open(path, "rb") as file:
            if file.read(1) != b"{":
                return None
            content = (b"{" + file.read(_MOST)).decode("utf-8", "replace")
    except OSError:
        return None  # the reader of inventories says what is wrong
    from mailprov.inventory import load
    from mailprov.plan import saved

    found = saved.read(content, str(path))
    if found is None:
        return None
    inventory = load(found.path)
    if moved := saved.inventory_moved(found, inventory):
        raise InputError(
            str(path),
            _("its inventory {path} {moved}").format(path=found.path, moved=moved),
            _("Nothing was done; save the plan anew (plan --out)"),
        )
    return found, inventory
