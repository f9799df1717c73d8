"""TXT: any text, in quoted strings of at most 255 octets each (RFC 1035 sections 3.3.14 and 5.1). Pure.

Texts map to octets by UTF-8 with surrogateescape, so that any foreign octets survive the way there and back. Where a
text is cut means nothing; it is cut as late as can be. `;` starts a comment in zone files, so it stands in quotes, or
`v=DMARC1; p=none` would silently become `v=DMARC1`.
"""

from __future__ import annotations

import re

from mailprov.records.types.base import Format

CHUNK = 255
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)
_SPECIAL = re.compile(r'["\\]|[^ -~]')
_ESCAPE = re.compile(r"\\(\d{3}|.)", re.DOTALL)


def text_chunks(value: str) -> list[bytes]:
    octets = value.encode("utf-8", "surrogateescape")
    return [octets[start : start + CHUNK] for start in range(0, len(octets), CHUNK)] or [b""]


def quoted(value: str) -> str:
    """One or more quoted strings, each at most 255 octets; what is not printable ASCII as \\DDD."""
    return " ".join(f'"{_SPECIAL.sub(_escaped, chunk.decode("latin-1"))}"' for chunk in text_chunks(value))


def joined(text: str) -> str:
    """The value of one or more strings as a zone file has them."""
    octets = b"".join(_octets(found[1] if found[2] is None else found[2]) for found in _STRING.finditer(text))
    return octets.decode("utf-8", "surrogateescape")


def _escaped(found: re.Match[str]) -> str:
    octet = ord(found[0])
    return f"\\{found[0]}" if 0x20 <= octet < 0x7F else f"\\{octet:03d}"


def _octets(string: str) -> bytes:
    def plain(found: re.Match[str]) -> str:
        return chr(int(found[1])) if found[1].isdigit() and len(found[1]) == 3 else found[1]

    return _ESCAPE.sub(plain, string).encode("latin-1", "replace")


TXT = Format("TXT", joined, quoted)
