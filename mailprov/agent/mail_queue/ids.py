"""Postfix's names for messages in the queue, and where a file of such a name lies. Pure.

    is_id(text) -> bool             a whole queue id, of either form
    folder(id, depth) -> str        where hashed queues have it: "E/", "E/C/", or "" without hashing

A short id is five hexadecimal digits of microseconds and the number of the inode, so it is used again some day. A long
one (`enable_long_queue_ids`) is six digits of seconds and four of microseconds in base 52, a "z", and the inode in base
51; it is never used again. Both as in src/global/mail_queue.h of Postfix, 3.5 to 3.10. No other word is an id: not
"ALL", not "-", no option, nothing with a "*".
"""

from __future__ import annotations

import re

_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"  # no vowels, so that no id is a word
_SHORT = re.compile(r"[0-9A-F]{6,24}")
_LONG = re.compile(rf"[{_DIGITS}]{{10}}z[{_DIGITS[:-1]}]{{1,16}}")


def is_id(text: str) -> bool:
    return bool(_SHORT.fullmatch(text) or _LONG.fullmatch(text))


def folder(name: str, depth: int) -> str:
    """Postfix hashes by the microseconds, as hexadecimal digits (mail_queue_dir, dir_forest)."""
    key = name
    if _LONG.fullmatch(name):
        number = 0
        for digit in name[6:10]:
            number = number * len(_DIGITS) + _DIGITS.index(digit)
        key = f"{number:05X}"
    return "".join(f"{key[place] if place < len(key) else '_'}/" for place in range(depth))
