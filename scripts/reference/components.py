"""Everything that a host can have, from the registry of components that `apply` builds hosts with.

page() -> str    docs/reference/components.md
"""

from __future__ import annotations

from pathlib import Path

from mailprov.components.base import Component
from mailprov.components.registry import components
from mailprov.inventory import SecretMode, load
from scripts.reference.commands import text

HEAD = """\
# Components

What mailprov puts on a host: each is installed where the inventory asks for it, and stopped where it does not any more.
Those of every host come first. Packages stay when a component leaves.

| component | what it does | keys | packages |
|---|---|---|---|
"""
EXAMPLE = Path(__file__).resolve().parents[2] / "inventories/example.yml"


def page() -> str:
    every = sorted(components(), key=lambda each: not each.everywhere)
    return HEAD + "\n".join(_row(each) for each in every) + "\n"


def _row(component: Component) -> str:
    about = text(component.about)
    if component.everywhere:
        about += "; on every host"
    if component.credentials:
        about += f"; the host gets the secret of {_listed(component.credentials)}"
    keys = ", ".join(f"[`{each.key}`](inventory.md#the-file)" for each in component.settings)
    return f"| `{component.name}` | {about} | {keys} | {_listed(packages(component))} |"


def packages(component: Component) -> list[str]:
    """Those that some host of the example inventory, which has every key, would get."""
    inventory = load(EXAMPLE, SecretMode.IGNORE)
    wanted = [host for host in inventory.hosts if component.wanted(host)]
    return sorted({name for host in wanted for name in component.packages(inventory, host)})


def _listed(words: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)
