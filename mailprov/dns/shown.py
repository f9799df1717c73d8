"""Values of records as people read them: in plans, errors and zone file comments. Pure.

shown(value)        one value
listed(values)      several
refused(values)     several that stand in the way: of a public key enough to know it again
ends(value)         enough of a key to know it again beside another one
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.i18n import _
from mailprov.records.types.dkim import TO_BE_MADE

_PUBLIC_KEY = re.compile(r"\bp=[^;]+")
# What every 2048-bit RSA key begins with (RFC 5280 section 4.1: the algorithm, and how long the modulus is).
_RSA_HEAD = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"


def shown(value: str) -> str:
    """A value as it may be printed: other people's TXT can hold anything, terminal escapes included.

    Of a public key only that it is one: nobody compares its 392 characters by eye, and a plan that is made before the
    key is made says the same.
    """
    return _clean(_PUBLIC_KEY.sub("p=…", value) if value.startswith("v=DKIM1") else value)


def _clean(value: str) -> str:
    return "".join(
        c if c.isprintable() else "".join(f"\\{b:03d}" for b in c.encode("utf-8", "surrogateescape"))
        for c in value
    )


def listed(values: Iterable[str]) -> str:
    return ", ".join(shown(value) for value in values)


def refused(values: Iterable[str]) -> str:
    """Values that are refused: of a public key enough to know it again."""
    return ", ".join(_with_key(value) if value.startswith("v=DKIM1") else shown(value) for value in values)


def ends(value: str) -> str:
    """Enough of a key to know it again beside another one: they begin alike, and those of RSA end alike, too (in the
    exponent, IDAQAB), so the last twelve characters. A key that is still to be made says that.
    """
    found = re.search(r"\bp=\s*(\([^)]*\)|[^;]*)", value)
    key = _clean(found[1].strip()) if found else ""
    if key.startswith("("):
        return key.strip("()")
    return f"p={key[:4]}…{key[-12:]}" if len(key) > 20 else f"p={key}"


def _with_key(value: str) -> str:
    def excerpt(found: re.Match[str]) -> str:
        key = found[0][2:].strip().removeprefix(_RSA_HEAD)
        if key == TO_BE_MADE:
            return f"p={_('(made by the apply)')}"
        return f"p=…{key[:16]}…" if len(key) > 50 else f"p={key}"

    return _clean(_PUBLIC_KEY.sub(excerpt, value))
