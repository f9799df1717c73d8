"""Ways to a host: each starts the agent there and gives a Channel to talk to it (see `channel`).

paramiko imports the whole of `invoke` for a keyword of ssh_config that hardly anybody has (`Match exec`), which takes
as long as the rest of paramiko. So here, before any module of this package imports paramiko, something stands in for
`invoke` that loads it when it is used. The same for `importlib.metadata` (and with it `email` and `zipfile`), of which
paramiko wants one thing, its own version.
"""

from __future__ import annotations

import importlib
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class _WhenUsed(types.ModuleType):
    """A module that is imported when something in it is asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__file__ = None  # so that a look through all modules is not taken for use

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


class _Metadata(_WhenUsed):
    def version(self, name: str) -> str:
        """From the name of the one folder beside the package that is about it; else the long way."""
        spec = find_spec(name)
        places = [Path(spec.origin).parents[1]] if spec is not None and spec.origin else []
        found = [
            path.stem.partition("-")[2] for place in places for path in place.glob(f"{name}-*.dist-info")
        ]
        return found[0] if len(found) == 1 else str(self.__getattr__("version")(name))


if "paramiko" not in sys.modules:
    sys.modules.setdefault("invoke", _WhenUsed("invoke"))
    if "importlib.metadata" not in sys.modules:
        # The import of the real one puts itself into both places.
        sys.modules["importlib.metadata"] = importlib.__dict__["metadata"] = _Metadata("importlib.metadata")
