"""TXT as octoDNS has them: as one text each, in which a backslash may mean something or not, as each provider sees it.

    safe(raw) -> text | None     what every provider gives back as it is; None of all else
    hearing() -> {name: texts}   while a zone is read: as the provider reports them, before octoDNS joins the strings

A text is safe in printable ASCII without quotes and backslashes: there all conventions agree, whether a provider
quotes, escapes, cuts or does none of it. A semicolon octoDNS escapes as `\\;`, and some providers store that as it
stands; it is handed on without. Of a text that is cut elsewhere than behind each 255th octet (RFC 1035 section 3.3.14)
octoDNS forgets where, so it is not safe either.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from mailprov.dns.extras import library
from mailprov.dns.providers.octodns.settings import NAME
from mailprov.records import types
from mailprov.records.types.text import CHUNK

_BETWEEN = '" "'
_local = threading.local()
_LOCK = threading.Lock()


def safe(raw: str) -> str | None:
    pieces = [piece.replace("\\;", ";") for piece in _bare(raw).split(_BETWEEN)]
    text = "".join(pieces)
    if any(len(piece) != CHUNK for piece in pieces[:-1]):
        return None
    if not text.isascii() or not text.isprintable() or text != text.strip() or set(text) & {'"', "\\"}:
        return None
    return text or None


def canonical(raw: str) -> str:
    """As records/types has it; of what is not safe the best guess, which is only shown and compared."""
    text = safe(raw)
    return text if text is not None else types.parse("TXT", f'"{_bare(raw)}"')


def cut(text: str) -> str:
    """For a provider that puts it in quotes as it is."""
    return _BETWEEN.join(text[start : start + CHUNK] for start in range(0, len(text), CHUNK))


def _bare(raw: str) -> str:
    return raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] == '"' else raw


@contextmanager
def hearing() -> Iterator[Mapping[str, list[str]]]:
    """In this thread. A provider that makes its records in another way is not heard."""
    with _LOCK:
        _listen()
    _local.heard = {}
    try:
        yield _local.heard
    finally:
        _local.heard = None


@cache
def _listen() -> None:
    """As a validator, which octoDNS lets see the data of each record before it is made."""
    record = library(NAME, "octodns.record")
    base = library(NAME, "octodns.record.validator").RecordValidator

    def validate(
        self: Any, record_cls: Any, name: str, fqdn: str, data: Any, disabled: Any = None
    ) -> list[Any]:
        heard = getattr(_local, "heard", None)
        if heard is not None:
            values = data.get("values", data.get("value"))
            several = list(values) if isinstance(values, list | tuple) else [values]
            heard[fqdn] = [str(one) for one in several if one is not None]
        return []

    listener = type("Listener", (base,), {"validate": validate})("mailprov-listener")
    record.Record.register_validator(listener, types=["TXT"], replace=True)
    record.Record.enable_validators({"legacy"})
