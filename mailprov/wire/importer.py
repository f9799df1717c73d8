"""The second stage on the host: makes the sent sources importable under their ordinary names.

This file is not imported on the controller: `wire.bundle` sends its text, and the loader runs it on the host
with `python3 -I`. So: standard library only, Python 3.8.

    serve(packed)       after this, `import mailprov.agent.x` finds the source that was sent; `packed` is
                        zlib(JSON {module name: source})

Compiling them takes most of the time that a plan needs on the host. So what agent/compiled.py has kept of an earlier
run, for these very sources and this Python, is loaded in their place, but only a whole file that nobody but root
could have written. Nothing is written to the host's disk here. Tracebacks show real lines either way.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import marshal
import os
import stat
import sys
import traceback
import types
import zlib

KEPT = "/var/lib/mailprov/compiled"
_MOST = 64 << 20  # bytes; it has less than one million


class SentModules:
    """Meta path finder and loader. A name with children is a package."""

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.kept_as = hashlib.sha256(packed).hexdigest() + "-" + importlib.util.MAGIC_NUMBER.hex()
        self.sources: dict[str, str] = {}
        self.codes = _kept(self.kept_as)
        names = self.codes or self.unpacked()
        self.names = frozenset(names)
        self.packages = {name.rpartition(".")[0] for name in names if "." in name}

    def unpacked(self) -> dict[str, str]:
        if not self.sources:
            self.sources = json.loads(zlib.decompress(self.packed))
        return self.sources

    def path(self, name: str) -> str:
        """The file name in tracebacks: mailprov/agent/main.py."""
        return name.replace(".", "/") + ("/__init__.py" if name in self.packages else ".py")

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name not in self.names:
            return None
        package = name in self.packages
        spec = importlib.machinery.ModuleSpec(name, self, origin=self.path(name), is_package=package)  # type: ignore[arg-type]
        spec.has_location = True  # gives the module its __file__
        return spec

    def create_module(self, spec: object) -> None:
        """None: the import system makes the module itself."""

    def exec_module(self, module: object) -> None:
        name = module.__dict__["__name__"]
        code = marshal.loads(self.codes[name]) if self.codes else self.compiled(name)  # noqa: S302 - see _kept
        exec(code, module.__dict__)  # noqa: S102 - running what the controller sent is what this is for

    def compiled(self, name: str) -> types.CodeType:
        code: types.CodeType = compile(self.unpacked()[name], self.path(name), "exec", dont_inherit=True)
        return code

    def get_source(self, name: str) -> str:
        """For tracebacks, which ask the loader of a module for lines that no file has."""
        return self.unpacked()[name]

    def to_keep(self) -> bytes:
        """All modules compiled, as `_kept` reads them."""
        codes = marshal.dumps({name: marshal.dumps(self.compiled(name)) for name in sorted(self.names)})
        return hashlib.sha256(codes).digest() + codes


def _kept(name: str) -> dict[str, bytes]:
    """What an earlier run has kept of the same sources; empty where there is none that may be trusted."""
    try:
        folder = os.open(KEPT, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            mode = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(name, mode, dir_fd=folder), "rb") as file:
                status = os.fstat(file.fileno())
                safe = stat.S_ISREG(status.st_mode) and _roots_alone(status)
                data = file.read(_MOST) if safe and _roots_alone(os.fstat(folder)) else b""
        finally:
            os.close(folder)
        # Python may crash on half a file, so it does not come to that.
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            return {}
        found = marshal.loads(data[32:])  # noqa: S302 - root wrote it, for root
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError, EOFError, TypeError):
        return {}


def _roots_alone(status: os.stat_result) -> bool:
    return status.st_uid == 0 and not status.st_mode & 0o077


def serve(packed: bytes) -> None:
    """Put the finder first, so that a mailprov installed on the host itself is never taken instead."""
    sys.meta_path.insert(0, SentModules(packed))  # type: ignore[arg-type]
    # Up to Python 3.12 the built-in hook reads source lines from the disk only, and here there is none.
    sys.excepthook = traceback.print_exception
