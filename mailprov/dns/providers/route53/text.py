"""Between Route 53's names and values and those of zone files (RFC 1035 section 5.1). Pure.

    plain(name), written(name)           `\\052.alpha.test.` ↔ `*.alpha.test`
    from_value(text), to_value(text)     of a record: Route 53 has `\\DDD` in octal digits, zone files in decimal ones
    order(name)                          names sorted by it come as Route 53 lists them
    orderly(name)                        whether it is known where Route 53 lists this name

Sources: Developer Guide, "DNS domain name format" and "TXT record type"; API reference, ListResourceRecordSets.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(\d{3}|.)", re.DOTALL)
_ORDERLY = re.compile(r"[a-z0-9_.-]+")
_AS_IS = re.compile(r"[a-z0-9_.-]")


def plain(name: str) -> str:
    """What cannot stand in a name of ours (a dot within a label) stays escaped."""

    def character(found: re.Match[str]) -> str:
        if not found[1].isdigit():
            return found[0]
        code = int(found[1], 8)
        return chr(code) if 0x20 < code < 0x7F and chr(code) not in ".\\" else f"\\{code:03d}"

    return _ESCAPE.sub(character, name).lower().removesuffix(".")


def written(name: str) -> str:
    return "".join(one if _AS_IS.match(one) else f"\\{ord(one):03o}" for one in name) + "."


def from_value(text: str) -> str:
    return _ESCAPE.sub(lambda one: f"\\{int(one[1], 8):03d}" if _octal(one[1]) else one[0], text)


def to_value(text: str) -> str:
    return _ESCAPE.sub(lambda one: f"\\{int(one[1]):03o}" if len(one[1]) == 3 else one[0], text)


def _octal(digits: str) -> bool:
    return len(digits) == 3 and all(digit in "01234567" for digit in digits)


def order(name: str) -> str:
    """Labels reversed, each with a dot behind it: `alpha-x` comes before `alpha.x`."""
    return "".join(f"{label}." for label in reversed(name.split(".")))


def orderly(name: str) -> bool:
    """Of what Route 53 escapes it is nowhere said whether it is sorted as it is, or as it is written."""
    return _ORDERLY.fullmatch(name) is not None
