"""What labs leave on this machine for the next one: the roots of releases and the packages that hosts fetched.

    contents    what is kept, how large it is, and which of it a lab needs
    clean       deletes what no lab needs
    size        bytes in words
    Kept        one root, or all packages; str() is for people

Both take the machine's time and its line when they are made anew: half a minute for a root, and every package. Raises
LabError.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from mailprov.errors import LabError
from mailprov.i18n import _, ngettext
from mailprov.lab.facts import disk_usage, size
from mailprov.lab.mounts import Lock, delete_tree
from mailprov.lab.paths import RUN_ROOT, cache_root, paths
from mailprov.lab.preflight import require_machine
from mailprov.lab.private import close_off, refusal
from mailprov.lab.rootfs import in_use
from mailprov.lab.state import every
from mailprov.model.events import Emit, Progress
from mailprov.model.values import dataclass

__all__ = ["Kept", "clean", "contents", "size"]


@dataclass(frozen=True)
class Kept:
    """`labs` are those that need it; none: `clean` deletes it."""

    name: str
    path: Path
    bytes: int
    age: float  # seconds since it was made
    labs: tuple[str, ...]

    def __str__(self) -> str:
        days = int(self.age // 86400)
        made = _("today") if days == 0 else ngettext("{count} day old", "{count} days old", days)
        made = _("yesterday") if days == 1 else made.format(count=days)
        form = _("lab {names} and {count} more") if len(self.labs) > 2 else _("lab {names}")
        needed = form.format(names=", ".join(self.labs[:2]), count=len(self.labs) - 2)
        return f"{self.name:<28} {size(self.bytes):>8}  {needed if self.labs else made}"


def contents() -> list[Kept]:
    """Roots by name, then the packages; empty when no lab has been here."""
    close_off()
    try:
        return [_root(path) for path in _roots()] + _packages()
    except PermissionError:
        raise refusal() from None


def clean(emit: Emit) -> int:
    """Deletes what no lab stands on, also what builds left that were ended; gives the bytes that are free now.

    The packages stay while a lab is up, because its hosts fetch through them.
    """
    require_machine(emit, install=False)
    close_off()
    with contextlib.ExitStack() as held:
        # A lab that is coming up has chosen its roots and not mounted them yet.
        for state in every():
            try:
                held.enter_context(Lock(RUN_ROOT / f"{paths(state.name).tag}.lock", wait=False).take())
            except BlockingIOError:
                raise LabError(
                    "lab cache",
                    _("another mailprov is working on lab {name}").format(name=state.name),
                    _("Wait for it and try again"),
                ) from None
        freed = 0
        for each in contents():
            if each.labs:
                continue
            if not _delete(each):
                emit(Progress(each.name, _("it is being built, and stays")))
                continue
            emit(Progress(each.name, _("deleted, {size}").format(size=size(each.bytes))))
            freed += each.bytes
    return freed


def _delete(kept: Kept) -> bool:
    if kept.path.parent.parent != cache_root() / "roots":
        delete_tree(kept.path)
        return True
    home = kept.path.parent
    try:
        with Lock(home.with_name(f"{home.name}.lock"), wait=False) as lock:
            delete_tree(kept.path)
            with contextlib.suppress(OSError):  # another root of this release is in use
                home.rmdir()
                lock.forget()
    except BlockingIOError:
        return False
    return True


def _roots() -> list[Path]:
    home = cache_root() / "roots"
    return sorted(path for path in home.glob("*/*") if path.is_dir()) if home.is_dir() else []


def _root(path: Path) -> Kept:
    users = {state.name for state in every() for host in state.all_hosts if host.root == str(path)}
    labs = sorted(users) or (["elsewhere"] if path in in_use() else [])
    name = path.parent.name if path.name != ".building" else f"{path.parent.name}, unfinished"
    return Kept(name, path, disk_usage(path), time.time() - path.stat().st_mtime, tuple(labs))


def _packages() -> list[Kept]:
    path = cache_root() / "proxy"
    if not path.is_dir():
        return []
    labs = tuple(sorted(state.name for state in every() if state.phase != "stopped"))
    return [Kept("packages", path, disk_usage(path), time.time() - path.stat().st_mtime, labs)]
