"""CNAME: another name for what stands elsewhere (RFC 1034 section 3.6.2). Pure."""

from __future__ import annotations

import re

from mailprov.records.types.base import Format


def _parse(text: str) -> str:
    return text.lower().removesuffix(".") or "."


def _render(value: str) -> str:
    return f"{value.removesuffix('.')}."


# What stood before may be anybody's.
CNAME = Format("CNAME", _parse, _render, valid=lambda value: bool(re.fullmatch(r"\S{1,255}", value)))
