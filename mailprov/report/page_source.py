"""What pages in one file are made of: templates that escape all texts, and digests of style and script for the policy.

environment(folders)         Jinja over `folders`; `_` is there
source(made, name) -> str    a file of it as it is
digest(text) -> str          as a policy names a style or a script that may run (CSP level 3, section 2.3.1)
language()                   of the page, as HTML has it
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mailprov.i18n import _, languages, translates

if TYPE_CHECKING:
    from jinja2 import Environment


@lru_cache(maxsize=1)
def environment(folders: tuple[Path, ...]) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["_"] = _
    return made


def source(made: Environment, name: str) -> str:
    assert made.loader is not None
    return made.loader.get_source(made, name)[0]


def digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def language() -> str:
    return languages()[0].replace("_", "-") if translates() and languages() else "en"
