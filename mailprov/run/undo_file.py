"""Undo files: what zones were before a run, kept beside the inventory where no host can keep it.

    keep(inventory, images, …)      before the zones are written; a notice says where, or why not
    kept(inventory) -> [RUN]        what the files there tell, the oldest first, as a host would (wire/messages.py)
    label(inventory), present(inventory)      how they are spoken of; whether there is any

Hosts keep the before-images of their zones (dns/undo.py says why there). A domain whose mail is at a provider has none,
nor have servers that others built; then the images stand in a file, INVENTORY.undo-RUN.json, one for each run, readable
by its owner alone, and whole or not there at all. In a pipeline it is a file to be kept by whoever wants to go back.

The images carry the controller's seal (dns/seal.py): somebody who can write in that folder could make a rollback write
what he likes into the zone. Without a key, as with hosts, only what the zone bears out is believed (dns/unsealed.py).
As many files are kept as a host remembers runs.

`kept` raises InputError for a file that has this name and cannot be read: the run that it is about may be the last one.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.events import Emit, Notice
from mailprov.model.inventory import Inventory
from mailprov.wire import shapes

_MOST = 50
_FORMAT = "mailprov_undo"  # the first key; its value is the version of the form
_RUN = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6,12}"


def keep(
    inventory: Inventory, images: Collection[dict[str, Any]], *, ident: str, rolls_back: bool, emit: Emit
) -> None:
    """Nothing where there are no images. A failure keeps nobody from publishing, as with a host that keeps none."""
    if not images:
        return
    path = _folder(inventory) / f"{Path(inventory.source).name}.undo-{ident}.json"
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    body = {
        _FORMAT: 1,
        "run": ident,
        "kind": "rollback" if rolls_back else "zones",
        "owner": "",
        "began": now,
        "ended": now,
        "status": "ok",
        "committed": True,
        "changed": sum(len(image["sets"]) for image in images),
        "undoes": "",
        "zones": [image["zone"] for image in images],
        "next": False,
        "images": list(images),
    }
    try:
        _write(path, json.dumps(body, indent=1) + "\n")
    except OSError as error:
        zones = ", ".join(body["zones"])  # type: ignore[arg-type]
        what = _("a rollback will not know what the records of {zones} were before: {reason}")
        emit(Notice("", what.format(zones=zones, reason=f"{path}: {error.strerror}")))
        return
    what = _("what the records were before is in {file}; `mailprov rollback` puts them back")
    emit(Notice("", what.format(file=path)))
    for old in _files(inventory)[:-_MOST]:
        with suppress(OSError):
            old.unlink()


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileNotFoundError):
        temporary.unlink()
    try:
        with open(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def label(inventory: Inventory) -> str:
    return _("undo files of {inventory}").format(inventory=Path(inventory.source).name)


def present(inventory: Inventory) -> bool:
    return bool(_files(inventory))


def kept(inventory: Inventory) -> list[dict[str, Any]]:
    return [_read(path) for path in _files(inventory)]


def _files(inventory: Inventory) -> list[Path]:
    name = re.compile(re.escape(Path(inventory.source).name) + rf"\.undo-{_RUN}\.json")
    try:
        return sorted(path for path in _folder(inventory).iterdir() if name.fullmatch(path.name))
    except OSError:
        return []


def _folder(inventory: Inventory) -> Path:
    return Path(inventory.source).parent


def _read(path: Path) -> dict[str, Any]:
    advice = _("Restore it, or move it away if what it undoes is not to be undone")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        shapes.RUN(told, "undo")
        if told.get(_FORMAT) != 1:
            raise shapes.Nonsense(_("it was written by a later mailprov"))
        if told["run"] not in path.name:
            raise shapes.Nonsense(_("it is about run {run}").format(run=told["run"]))
    except OSError as error:
        what = _("cannot be read: {reason}").format(reason=error.strerror)
        raise InputError(str(path), what, advice) from None
    except ValueError as error:
        what = _("is not the undo file that its name says ({reason})").format(reason=error)
        raise InputError(str(path), what, advice) from None
    return told  # type: ignore[no-any-return]
