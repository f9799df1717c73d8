"""What every mapping of the inventory file has in common."""

from __future__ import annotations

import sys
from types import ModuleType

from pydantic import BaseModel, ConfigDict

# At its first class pydantic looks through all installed packages for plugins of its own. The inventory's shape is
# nobody else's business, and the search takes a sixth of the time that pydantic needs to load.
_NO_PLUGINS = ModuleType("pydantic.plugin._loader")
_NO_PLUGINS.get_plugins = lambda: ()  # type: ignore[attr-defined]
sys.modules.setdefault(_NO_PLUGINS.__name__, _NO_PLUGINS)


class Entry(BaseModel):
    """A mapping of the file.

    Strict, no unknown keys, and no input in its errors: a password may be among it.
    """

    # Only the whole file is ever validated, and its validator holds those of all that is in it: each class's own would
    # be built for nothing.
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, defer_build=True
    )
