"""A ready hash of a password, as `doveadm pw` prints it: whether it is one, and of a scheme that is safe to keep.

password_hash(text, path, context) -> Secret    what is wrong goes to `context.problems`
"""

from __future__ import annotations

import re

from mailprov.i18n import _
from mailprov.model.secret import Secret
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath

# Dovecot's schemes that are safe to keep at rest ("Password Schemes", manual). Others are plain text, or
# fast to search; 2.4 refuses weak ones by default.
_SCHEMES = (
    "ARGON2ID",
    "ARGON2I",
    "BLF-CRYPT",
    "SHA512-CRYPT",
    "SHA256-CRYPT",
    "PBKDF2",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "SSHA512",
    "SSHA256",
    "CRYPT",
)
_HASH = re.compile(r"\{([A-Za-z0-9-]+)(\.(b64|hex|B64|HEX))?\}([!-9;-~]+)")  # a colon ends the field


def password_hash(text: str, path: KeyPath, context: Context) -> Secret:
    found = _HASH.fullmatch(text)
    if not found:
        context.problem(
            path, _("is no hash as `doveadm pw` prints it: {SCHEME} and the hash, without spaces")
        )
    elif found[1].upper() not in _SCHEMES:
        known = ", ".join(_SCHEMES[:5])
        context.problem(
            path, _("its scheme is not one that is safe to keep; use one of {schemes}").format(schemes=known)
        )
    return Secret("hash", text)
