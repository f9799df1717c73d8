"""Renders the files of `templates/`.

    prepare()                    loads Jinja and the templates that every host has; for any thread
    render(name, **values) -> str    name such as "postfix/main.cf.j2"
    folders()                    where they lie, for pages, which are rendered by other rules (client/sheet.py)

The templates lie beside the package in a checkout, and in `mailprov/_data/templates` in a wheel. A name that
is used and not given is an error (jinja2.UndefinedError: a bug in mailprov, not in the inventory). Addresses
of users never come here: the maps that hold them are made in `addresses`.

What Jinja makes of a template is kept as Python keeps what it makes of a module: in `__pycache__` beside this file,
where whoever may write could as well change this module. It counts only for the very text that it was made from, and
where nothing can be written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.bccache import Bucket

MANAGED = "Managed by mailprov: do not edit, the inventory is where this file comes from."


def folders() -> list[Path]:
    package = Path(__file__).resolve().parent.parent
    return [package / "_data" / "templates", package.parent / "templates"]


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # slow to load, and not always needed

    options: dict[str, Any] = {
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }
    return Environment(
        loader=FileSystemLoader(folders()),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
        bytecode_cache=_kept(options),
        **options,
    )


def _kept(options: dict[str, Any], folder: Path = Path(__file__).parent) -> Any:
    """A cache of compiled templates; Jinja itself checks the Python version and the hash of the text."""
    import jinja2

    class Kept(jinja2.BytecodeCache):
        def _path(self, bucket: Bucket) -> Path:
            made_by = repr((bucket.key, jinja2.__version__, sorted(options.items())))
            name = f"template-{hashlib.sha256(made_by.encode()).hexdigest()[:32]}.py"
            return Path(cache_from_source(str(folder / name)))

        def load_bytecode(self, bucket: Bucket) -> None:
            # Half a file, as a crash may leave it, could still look like a template to marshal.
            with suppress(OSError):
                whole = self._path(bucket).read_bytes()
                if hashlib.sha256(whole[32:]).digest() == whole[:32]:
                    bucket.bytecode_from_string(whole[32:])

        def dump_bytecode(self, bucket: Bucket) -> None:
            if sys.dont_write_bytecode:
                return
            path, made = self._path(bucket), bucket.bytecode_to_string()
            temporary = path.with_name(f"{path.name}.{os.getpid()}")
            try:
                path.parent.mkdir(mode=0o755, exist_ok=True)  # code: nobody else may write there
                temporary.write_bytes(hashlib.sha256(made).digest() + made)
                temporary.replace(path)
            except OSError:
                with suppress(OSError):
                    temporary.unlink()

    return Kept()


def prepare() -> None:
    """Later calls of `render` find done what takes its time."""
    for name in ("postfix/main.cf.j2", "postfix/master.cf.j2"):
        _environment().get_template(name)


def render(name: str, **values: Any) -> str:
    """The template's text, with a final newline."""
    return _environment().get_template(name).render(managed=MANAGED, **values)
