"""Values in DER (X.690), as far as keys and certificates need them.

    split(data) -> (first value with its tag and length, what stands behind it)
    content(data) -> (tag, content of the first value)
    wrapped(tag, content) -> bytes

IndexError where the data is cut short.
"""

from __future__ import annotations

from typing import Tuple


def split(data: bytes) -> Tuple[bytes, bytes]:
    size, start = data[1], 2
    if size & 0x80:  # X.690 section 8.1.3.5: that many octets of length follow
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + size:
        raise IndexError
    return data[: start + size], data[start + size :]


def content(data: bytes) -> Tuple[int, bytes]:
    value, _rest = split(data)
    return value[0], value[2 + (value[1] & 0x7F if value[1] & 0x80 else 0) :]


def wrapped(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
