"""Every component, in the order in which they are asked.

    components() -> tuple[Component, ...]    all of them
    on(host) -> tuple[Component, ...]        those that a host has
    settings() -> tuple[Setting, ...]        the keys of all of them
    checks() -> list[str]                    modules with their own probes, beside those of mailprov.probe.checks
    register(module)                         one more, before the inventory's schema is put together

The order is that of the packages and of the keys in the reference; services start in it too, but for `before`. Modules
are loaded at the first question: what they need to build a host they load when they build one.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailprov.components.base import Component
    from mailprov.components.setting import Setting
    from mailprov.model.inventory import Host

# Each module has its COMPONENT.
MODULES = [
    "mailprov.components.tls.component",
    "mailprov.components.postfix.component",
    "mailprov.components.dovecot.component",
    "mailprov.components.srs",
    "mailprov.components.submission",
    "mailprov.components.passwords",
    "mailprov.components.states",
    "mailprov.components.acme",
    "mailprov.components.web.component",
    "mailprov.components.webmail.component",
    "mailprov.components.fail2ban",
    "mailprov.components.relayhost",
    "mailprov.components.ufw",
    "mailprov.components.rspamd",
    "mailprov.components.opendkim",
    "mailprov.components.shell.component",
    "mailprov.components.sshd",
]


@lru_cache(maxsize=1)
def components() -> tuple[Component, ...]:
    return tuple(import_module(name).COMPONENT for name in MODULES)


def on(host: Host) -> tuple[Component, ...]:
    return tuple(each for each in components() if each.wanted(host))


def settings() -> tuple[Setting[Any], ...]:
    return tuple(setting for each in components() for setting in each.settings)


def checks() -> list[str]:
    """Of those that are folders. Loads none of them: `explain` needs no schema."""
    folders = [name.removesuffix(".component") for name in MODULES if name.endswith(".component")]
    return [f"{folder}.checks" for folder in folders if find_spec(f"{folder}.checks")]


def register(module: str) -> None:
    """`module` has a COMPONENT. RuntimeError where the schema is there already, which would not know its keys."""
    if "mailprov.inventory.schema" in sys.modules:
        raise RuntimeError(f"{module} comes too late: the inventory's schema is made")
    MODULES.append(module)
    components.cache_clear()
