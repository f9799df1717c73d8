"""Renders the files of `templates/`.

    prepare()                    loads Jinja and the templates that every host has
    render(name, **values) -> str    name such as "postfix/main.cf.j2"

The templates lie beside the package in a checkout, and in `mailprov/_data/templates` in a wheel. A name that
is used and not given is an error (jinja2.UndefinedError: a bug in mailprov, not in the inventory). Addresses
of users never come here: the maps that hold them are made in `addresses`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

MANAGED = "Managed by mailprov: do not edit, the inventory is where this file comes from."


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # slow to load, and not always needed

    package = Path(__file__).resolve().parent.parent
    places = [package / "_data" / "templates", package.parent / "templates"]
    return Environment(
        loader=FileSystemLoader(places),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def prepare() -> None:
    """Later calls of `render` find done what takes its time."""
    for name in ("postfix/main.cf.j2", "postfix/master.cf.j2"):
        _environment().get_template(name)


def render(name: str, **values: Any) -> str:
    """The template's text, with a final newline."""
    return _environment().get_template(name).render(managed=MANAGED, **values)
