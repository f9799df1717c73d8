"""Reads and writes files of the host; a crash at any moment leaves the old or the new one, never a half.

    Tree(root).at(path)       where a path of the host really is (tests give a root)
    look, read                what is there; a link as last component of a path is never followed
    write, set_owner_mode     atomic write (temporary name beside it, fsync, rename); owner and mode only
    prepare                   the first half of a write: all but the rename
    missing_parents, make_directory, sync_directory, remove, temporary_name, ids, ids_or_none, sha256

Raises AgentError with the path and the system's reason.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Tuple

from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _, joined

_IDS: Dict[Tuple[str, str], Tuple[int, int]] = {}  # those that are known stay as they are while an agent runs
STATE = "/var/lib/mailprov"  # what mailprov keeps on the host; 0700 root


class Tree:
    """The host's file tree; `root` is "" on real hosts."""

    def __init__(self, root: str = "") -> None:
        self.root = root.rstrip("/")

    def at(self, path: str) -> str:
        """The real path of an absolute path of the host."""
        if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise AgentError(
                _("{path} is not an absolute path without '..'").format(path=repr(path)),
                _("this is a mistake in mailprov"),
            )
        return self.root + path


class Seen(NamedTuple):
    """What lstat says. `kind` is file, link, directory or other; `mode` are the permission bits."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    target: str


def look(real: str) -> Optional[Seen]:
    """What is at this path, None when nothing is."""
    try:
        status = os.lstat(real)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise AgentError(
            _("{path} cannot be read: {error}").format(path=real, error=error.strerror)
        ) from error
    kind, target = "other", ""
    if stat.S_ISREG(status.st_mode):
        kind = "file"
    elif stat.S_ISDIR(status.st_mode):
        kind = "directory"
    elif stat.S_ISLNK(status.st_mode):
        kind, target = "link", os.readlink(real)
    return Seen(kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, target)


def read(real: str, follow: bool = False) -> Optional[bytes]:
    """The content of a regular file, None when there is none (a link counts as none unless `follow`)."""
    try:
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)) or look(real) is None:
            return None
        if not follow and os.path.islink(real):
            return None
        raise AgentError(
            _("{path} cannot be read: {error}").format(path=real, error=error.strerror)
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def temporary_name(real: str) -> str:
    """The name a file has while it is being written; known, so that the next run can clear it away."""
    return os.path.join(os.path.dirname(real), f".{os.path.basename(real)}.mailprov")


def write(
    real: str, data: bytes, mode: int, uid: int = -1, gid: int = -1, *, mtime_ns: int = 0, sync: bool = True
) -> None:
    """Replace the file (or a link of that name) by one with this content, owner and mode, all at once.

    `sync=False` leaves the fsync of the directory to the caller, who does it once for many files.
    """
    temporary = prepare(real, data, mode, uid, gid, mtime_ns=mtime_ns)
    try:
        os.rename(temporary, real)
        if sync:
            sync_directory(os.path.dirname(real))
    except OSError as error:
        _give_up(real, temporary, error)


def prepare(real: str, data: bytes, mode: int, uid: int = -1, gid: int = -1, *, mtime_ns: int = 0) -> str:
    """The file as it will be, on the disk under its temporary name, which is returned."""
    temporary = temporary_name(real)
    try:
        remove(temporary)
        handle = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            _own(handle, uid, gid)
            os.fchmod(handle, mode)
            if mtime_ns:
                os.utime(handle, ns=(mtime_ns, mtime_ns))
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        _give_up(real, temporary, error)
    return temporary


def _give_up(real: str, temporary: str, error: OSError) -> NoReturn:
    try:
        remove(temporary)
    except OSError:
        pass
    raise AgentError(
        _("{path} cannot be written: {error}").format(path=real, error=error.strerror)
    ) from error


def _own(handle: int, uid: int, gid: int) -> None:
    status = os.fstat(handle)
    if (uid not in (-1, status.st_uid)) or (gid not in (-1, status.st_gid)):
        os.fchown(handle, uid, gid)


def set_owner_mode(real: str, mode: int, uid: int, gid: int, directory: bool = False) -> None:
    """Give an existing file or directory this owner and mode without following a link.

    A directory may be reached through a link that `follows_link` found trustworthy.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    flags |= os.O_DIRECTORY if directory else os.O_NOFOLLOW
    try:
        handle = os.open(real, flags)
        try:
            _own(handle, uid, gid)
            os.fchmod(handle, mode)  # after chown, which clears the set-id bits
        finally:
            os.close(handle)
    except OSError as error:
        raise AgentError(
            _("the owner or mode of {path} cannot be set: {error}").format(path=real, error=error.strerror)
        ) from error


def make_state(tree: "Tree") -> None:
    """mailprov's own directory on the host, for root alone, also where somebody has opened it."""
    real = tree.at(STATE)
    for parent in missing_parents(real):
        make_directory(parent)
    seen = look(real)
    if seen is None or (seen.kind == "directory" and seen.mode != 0o700):
        make_directory(real, 0o700)


def missing_parents(real: str) -> List[str]:
    """Directories above this path that are not there yet, outermost first."""
    missing: List[str] = []
    above = os.path.dirname(real)
    while above and not os.path.isdir(above):
        missing.insert(0, above)
        above = os.path.dirname(above)
    return missing


def make_directory(real: str, mode: int = 0o755, uid: int = -1, gid: int = -1) -> None:
    """Make one directory with this mode whatever the umask; its parent must be there."""
    try:
        os.mkdir(real, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise AgentError(
            _("the directory {path} cannot be made: {error}").format(path=real, error=error.strerror)
        ) from error
    set_owner_mode(real, mode, uid, gid, directory=True)


def sync_directory(real: str) -> None:
    """Make renames and removals in this directory last through a power cut."""
    try:
        handle = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(real: str) -> bool:
    """Unlink; False when nothing was there."""
    try:
        os.unlink(real)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def ids(owner: str, group: str) -> Tuple[int, int]:
    """Numbers of a user and a group; AgentError when the host does not know them."""
    found = ids_or_none(owner, group)
    if found is None:
        raise AgentError(
            _("the user {owner} or the group {group} does not exist on this host").format(
                owner=owner, group=group
            )
        )
    return found


def ids_or_none(owner: str, group: str) -> Optional[Tuple[int, int]]:
    """As `ids`, None when unknown: planning before the user or its package is there."""
    found = _IDS.get((owner, group))
    if found is None:
        try:
            found = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
        except KeyError:
            return None
        _IDS[owner, group] = found
    return found


def owner_name(uid: int, gid: int) -> str:
    """ "user:group" as people read it; numbers where the host has no name."""
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = str(gid)
    return f"{user}:{group}"


def owner_mode_change(seen: Seen, mode: int, ids: Optional[Tuple[int, int]], name: Callable[[], str]) -> str:
    """ "owner root:root → root:dovecot, mode 0644 → 0640", empty when both are as wanted. `name` tells the wanted owner
    as people read it, and is asked only when it is needed.
    """
    details = []
    if (seen.uid, seen.gid) != ids:
        details.append(_("owner {old} → {new}").format(old=owner_name(seen.uid, seen.gid), new=name()))
    if seen.mode != mode and seen.kind != "link":
        details.append(_("mode {old} → {new}").format(old=f"{seen.mode:04o}", new=f"{mode:04o}"))
    return joined(details)


def recorded_owner_mode(seen: Seen, was: Dict[str, Any]) -> str:
    """The same, for what the journal has recorded."""
    ids = was["uid"], was["gid"]
    return owner_mode_change(seen, was["mode"], ids, lambda: owner_name(*ids))


def sha256(data: bytes) -> str:
    """Hex digest of a file's content, as the manifest keeps it."""
    return hashlib.sha256(data).hexdigest()


def trusted_directory(real: str) -> Optional[Seen]:
    """The directory behind a link that root (or we) made, such as /var/vmail on another disk.

    The link itself when another user could have put it there: it must not lead root's chown elsewhere.
    """
    seen = look(real)
    try:
        link, status = os.lstat(real), os.stat(real)
    except OSError:
        return seen
    if link.st_uid not in (0, os.geteuid()) or not stat.S_ISDIR(status.st_mode):
        return seen
    return Seen(
        "directory", stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, ""
    )


def group_exists(name: str) -> bool:
    """Whether the host knows this group."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
