"""The probes: every module here holds one family of them or a part of one, each probe a decorated function.

Public: catalogue, probes, load. Importing this package fills the registry: a new module need be named nowhere else.
Components may have further ones (components/registry.py). No module in here imports a name from this file.
"""

from __future__ import annotations

import importlib
import pkgutil

from mailprov.components import registry as components
from mailprov.probe import registry


def load() -> None:
    """Import every module in this folder, and those with the probes of a component's own."""
    own = [module.name for module in pkgutil.iter_modules(__path__, f"{__name__}.")]
    for name in (*own, *components.checks()):
        importlib.import_module(name)


def probes() -> list[registry.Probe]:
    """Every probe, in the order in which a reader would look."""
    return registry.in_order()


def catalogue() -> list[registry.Entry]:
    """Every probe's entry, in the same order."""
    return [probe.entry for probe in probes()]


load()
