"""The inventory on the disk while it is edited: written whole or not at all, and put back where an apply fails.

    with Editing(path) as editing:      one at a time; what a killed one left is told
        editing.text                    what stands there, without a byte order mark
        editing.prepare(text)           the new file, complete, beside it
        editing.write()                 in its place, if nobody has changed it since
        editing.restore()               the old one is there again
        editing.keep()                  the new one stays
        editing.written                 whether it is in its place, and `keep` was not called

Where it is left without `keep`, what was written is put back.

Two files stand beside the inventory meanwhile: `.NAME.edit`, which is locked and says who edits, and `.NAME.before`,
the inventory itself by another name (a hard link, so that putting it back needs no space and gives mode, owner and
times as they were). Who is killed leaves the second one, and the next edit says so: nothing is lost. A symbolic link
stays one; what it points at is edited.

Refused, with nothing changed: a file or folder that may not be written, a file without any write bit, one that has
further hard links (a new file would leave them behind), and one whose owner the new file could not have. Raises
InputError for all of these.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.inventory.files import read

_BOM = b"\xef\xbb\xbf"


class Editing:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = Path(os.path.realpath(path))
        self._lock_file = self._file.with_name(f".{self._file.name}.edit")
        self._before = self._file.with_name(f".{self._file.name}.before")
        self._new = self._file.with_name(f".{self._file.name}.new")
        self._lock = -1
        self._raw = self._new_raw = b""
        self.written = False
        self.text = ""

    def __enter__(self) -> Editing:
        read(self.path)  # says what is wrong with it
        try:
            self._may_be_written()
            self._take_lock()
            self._left_behind()
            read(self.path)  # again: nobody else edits it now
            self._raw = self._file.read_bytes()
        except OSError as error:
            self._release()
            raise self._cannot(error) from None
        except BaseException:
            self._release()
            raise
        self.text = self._raw.decode("utf-8-sig")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.written:
                self.restore()
        finally:
            with suppress(OSError):
                self._new.unlink(missing_ok=True)
            self._release()

    def prepare(self, text: str) -> None:
        """Raises InputError where there is no place for it, or it could not be the inventory as the old one was."""
        raw = text.encode("utf-8")
        self._new_raw = _BOM + raw if self._raw.startswith(_BOM) else raw
        try:
            status = os.stat(self._file)
            with open(
                os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb"
            ) as file:
                file.write(self._new_raw)
                file.flush()
                made = os.fstat(file.fileno())
                if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
                    os.fchown(file.fileno(), status.st_uid, status.st_gid)
                shutil.copystat(self._file, self._new)  # mode, and attributes such as access lists
                os.utime(file.fileno())
                os.fsync(file.fileno())
        except PermissionError:
            with suppress(OSError):
                self._new.unlink(missing_ok=True)
            raise InputError(
                str(self.path),
                _("belongs to another user or group, which a new file would not"),
                _("Run this as the file's owner, or edit it by hand; nothing was changed"),
            ) from None
        except OSError as error:
            with suppress(OSError):
                self._new.unlink(missing_ok=True)
            raise self._cannot(error) from None

    def write(self) -> None:
        try:
            if self._file.read_bytes() != self._raw:
                raise InputError(
                    str(self.path),
                    _("was changed by somebody else since it was read"),
                    _("Nothing was changed; run the command again"),
                )
            self.written = True
            try:
                os.link(self._file, self._before)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                    raise
                shutil.copy2(self._file, self._before)  # a file system without links
            os.replace(self._new, self._file)
            self._sync()
        except OSError as error:
            self._undo_write()
            raise self._cannot(error) from None

    def restore(self) -> None:
        """Byte for byte, with mode and owner. Raises InputError where somebody has changed the new one meanwhile: both
        stay then.
        """
        try:
            current = self._file.read_bytes() if self._file.exists() else b""
            if current not in (self._new_raw, self._raw):
                self.written = False
                raise InputError(
                    str(self.path),
                    _("was changed by somebody else meanwhile, so it was not put back"),
                    _("As it was before, it stands in {file}").format(file=self._before),
                )
            if self._before.exists():
                # Two names of one file: then rename(2) does nothing and leaves both.
                if self._file.exists() and self._file.samefile(self._before):
                    self._before.unlink()
                else:
                    os.replace(self._before, self._file)
            self.written = False
            self._sync()
        except OSError as error:
            raise InputError(
                str(self.path),
                _("could not be put back: {reason}").format(reason=error.strerror),
                _("As it was before, it stands in {file}").format(file=self._before),
            ) from None

    def keep(self) -> None:
        self.written = False
        with suppress(OSError):
            self._before.unlink(missing_ok=True)

    def _undo_write(self) -> None:
        self.written = False
        with suppress(OSError):
            if self._file.read_bytes() == self._raw:
                self._before.unlink(missing_ok=True)

    def _may_be_written(self) -> None:
        status = os.stat(self._file)
        advice = _("Nothing was changed; edit it by hand, or change that")
        # The superuser may write all files; one without any write bit is not meant to be written all the same.
        if not status.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(
            self._file, os.W_OK
        ):
            raise InputError(str(self.path), _("may not be written"), advice)
        if status.st_nlink > 1 and not self._before.exists():
            what = _("has other hard links, which a new file would leave behind")
            raise InputError(str(self.path), what, advice)

    def _take_lock(self) -> None:
        for _try in range(100):
            self._lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(self._lock, 100).decode("ascii", "replace").strip()
                os.close(self._lock)
                self._lock = -1
                raise InputError(
                    str(self.path),
                    _("is being edited by another `mailprov account` (process {pid})").format(
                        pid=owner or "?"
                    ),
                    _("Nothing was changed; run this again when that has ended"),
                ) from None
            except OSError:  # a file system without locks: comparing before writing is what is left
                pass
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._lock), os.stat(self._lock_file)):
                    os.ftruncate(self._lock, 0)
                    os.write(self._lock, str(os.getpid()).encode())
                    return
            os.close(self._lock)  # its owner removed it between our opening and our locking it
            self._lock = -1
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def _left_behind(self) -> None:
        """What a process that was killed has left: of no use where nothing had changed yet, else somebody decides."""
        self._new.unlink(missing_ok=True)
        if not self._before.exists():
            return
        if self._before.samefile(self._file) or self._before.read_bytes() == self._file.read_bytes():
            self._before.unlink()
            return
        raise InputError(
            str(self.path),
            _(
                "was edited by a `mailprov account` that was killed; as it was before that, it stands in {file}"
            ).format(file=self._before),
            _(
                "Rename that file to {path} to have it back, or delete it to keep what stands there now"
            ).format(path=self._file),
        )

    def _release(self) -> None:
        if self._lock >= 0:
            with suppress(OSError):
                self._lock_file.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1

    def _sync(self) -> None:
        """The folder's entries reach the disk."""
        with suppress(OSError):
            folder = os.open(self._file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _cannot(self, error: OSError) -> InputError:
        return InputError(
            str(self.path),
            _("cannot be written: {reason}").format(reason=error.strerror),
            _("Nothing was changed; mend that and run this again"),
        )
