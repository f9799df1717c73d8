"""Local settings of a daemon, which the user sets beside mailprov's own: what Postfix's and Dovecot's have in common.

    one_line(value) -> str             a value of the inventory, for Annotated
    group(text, heading, lines)        the same text with a group of lines at its end

Pure. Only the spelling is checked: whether a daemon knows a setting is for its own checker on the host, which refuses
the configuration before it goes live.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from mailprov.i18n import _
from mailprov.schema.scalars import Reads, kind, said

_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def one_line(value: Any) -> str:
    if not isinstance(value, str):
        raise said(
            _("must be a value in text, not {kind}; lists are written with commas").format(kind=kind(value))
        )
    if _CONTROL.search(value):
        raise said(_("contains a control character or a line break; write it on one line"))
    return value.strip()


# May be empty: `relayhost: ""` is a setting. Editors know YAML's types: `biff: no` and `x_limit: 50` are no text.
Value = Annotated[str, Reads(one_line, {"type": ["string", "number", "boolean"]})]


def group(text: str, key: str, lines: list[str]) -> str:
    """`key`: where the lines stand in the inventory. The text as it is where there are none."""
    if not lines:
        return text
    return "\n".join([text.rstrip("\n"), "", f"# Local settings, from the inventory ({key}).", *lines]) + "\n"
