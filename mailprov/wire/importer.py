"""The second stage on the host: makes the sent sources importable under their ordinary names.

This file is not imported on the controller: `wire.bundle` sends its text, and the loader runs it on the host
with `python3 -I`. So: standard library only, Python 3.8.

    serve(modules)      after this, `import mailprov.agent.x` finds the source that was sent

Nothing is written to the host's disk. Tracebacks show real lines, because each source is put in `linecache`.
"""

from __future__ import annotations

import importlib.machinery
import linecache
import sys
import traceback


class SentModules:
    """Meta path finder and loader over {module name: source}. A name with children is a package."""

    def __init__(self, modules: dict[str, str]) -> None:
        self.modules = modules
        self.packages = {name.rpartition(".")[0] for name in modules if "." in name}
        for name, source in modules.items():
            # An entry without a modification time is never checked against the disk.
            entry = (len(source), None, source.splitlines(True), self.path(name))
            linecache.cache[self.path(name)] = entry

    def path(self, name: str) -> str:
        """The file name in tracebacks: mailprov/agent/main.py."""
        return name.replace(".", "/") + ("/__init__.py" if name in self.packages else ".py")

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name not in self.modules:
            return None
        package = name in self.packages
        spec = importlib.machinery.ModuleSpec(name, self, origin=self.path(name), is_package=package)  # type: ignore[arg-type]
        spec.has_location = True  # gives the module its __file__
        return spec

    def create_module(self, spec: object) -> None:
        """None: the import system makes the module itself."""

    def exec_module(self, module: object) -> None:
        name = module.__dict__["__name__"]
        code = compile(self.modules[name], self.path(name), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - running what the controller sent is what this is for

    def get_source(self, name: str) -> str:
        return self.modules[name]


def serve(modules: dict[str, str]) -> None:
    """Put the finder first, so that a mailprov installed on the host itself is never taken instead."""
    sys.meta_path.insert(0, SentModules(modules))  # type: ignore[arg-type]
    # Up to Python 3.12 the built-in hook reads source lines from the disk only, and here there is none.
    sys.excepthook = traceback.print_exception
