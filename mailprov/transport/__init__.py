"""Ways to a host: each starts the agent there and gives a Channel to talk to it (see `channel`).

paramiko imports the whole of `invoke` for a keyword of ssh_config that hardly anybody has (`Match exec`), which takes
as long as the rest of paramiko. So here, before any module of this room imports paramiko, something stands in for
`invoke` that loads it when it is used.
"""

from __future__ import annotations

import importlib
import sys
import types


class _WhenUsed(types.ModuleType):
    """A module that is imported when something in it is asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__file__ = None  # so that a look through all modules is not taken for use

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


if "paramiko" not in sys.modules:
    sys.modules.setdefault("invoke", _WhenUsed("invoke"))
