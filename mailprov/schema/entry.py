"""What every mapping of the inventory file has in common, and the descriptions of keys in the user's language."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType

from pydantic import BaseModel, ConfigDict

from mailprov.i18n import _

# At its first class pydantic looks through all installed packages for plugins of its own. The inventory's shape is
# nobody else's business, and the search takes a sixth of the time that pydantic needs to load.
_NO_PLUGINS = ModuleType("pydantic.plugin._loader")
_NO_PLUGINS.get_plugins = lambda: ()  # type: ignore[attr-defined]
sys.modules.setdefault(_NO_PLUGINS.__name__, _NO_PLUGINS)


COMPOSED: dict[str, Mapping[str, str]] = {}  # English text → of what it is made


def composed(parts: Mapping[str, str]) -> str:
    """A key's description that is made of several, marked with N_ each: `{value of the key: what it means}`."""
    text = "; ".join(f"{name}: {about}" for name, about in parts.items())
    COMPOSED[text] = parts
    return text


def in_language(description: str) -> str:
    """A key's description in the user's language: the schema itself is in English."""
    parts = COMPOSED.get(description)
    return "; ".join(f"{name}: {_(about)}" for name, about in parts.items()) if parts else _(description)


class Entry(BaseModel):
    """A mapping of the file.

    Strict, no unknown keys, and no input in its errors: a password may be among it.
    """

    # Only the whole file is ever validated, and its validator holds those of all that is in it: each class's own would
    # be built for nothing.
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, defer_build=True
    )

    @classmethod
    def whole(cls) -> type[Entry]:
        """With all keys that may stand there, where the class alone has not all of them (inventory/dns.py)."""
        return cls
