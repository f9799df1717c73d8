"""The keys of `dns:` that are about a name server that takes updates, and what they mean."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from mailprov.dns.providers.rfc2136.settings import NAME, Rfc2136Settings, Tsig
from mailprov.i18n import N_, _
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Text, choice, whole
from mailprov.schema.secret_entry import SecretEntry

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")  # RFC 8945 section 6
_KEY_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")


class TsigEntry(Entry):
    """The key that signs DNS updates (RFC 8945)."""

    name: Text = Field(description=N_("the key's name on the server"), examples=["mailprov"])
    algorithm: Annotated[str, choice(*ALGORITHMS)] = Field(
        default="hmac-sha256", description=N_("the key's algorithm; hmac-sha256 if not given")
    )
    secret: SecretEntry = Field(description=N_("the key in base64"), examples=[{"env": "MAILPROV_TSIG"}])


class Rfc2136Entry(Entry):
    """A name server that takes updates."""

    server: Text | None = Field(
        default=None, description=N_("rfc2136: address or name of the primary name server")
    )
    port: Annotated[int, whole(1, 65535)] = Field(
        53, description=N_("rfc2136: the server's port; 53 if not given")
    )
    tsig: TsigEntry | None = Field(default=None, description=N_("rfc2136: the key that signs the updates"))


def settings(entry: Rfc2136Entry, written: Collection[str], context: Context) -> Rfc2136Settings:
    server = None
    if entry.server is not None:
        server = context.checked(("dns", "server"), entry.server, names.host_address)
    elif "server" not in written:
        what = _("provider {provider} needs `server`, the primary name server's address").format(
            provider=NAME
        )
        context.problem(("dns",), what, key=True)
    return Rfc2136Settings(server, entry.port, _tsig(entry.tsig, context) if entry.tsig else None)


def _tsig(entry: TsigEntry, context: Context) -> Tsig:
    path: KeyPath = ("dns", "tsig")
    name = entry.name.lower()
    if not _KEY_NAME.fullmatch(name) or len(name) > 253:
        context.problem(
            (*path, "name"),
            _('"{name}" is not the name of a key; write it as in the server\'s configuration').format(
                name=show(name)
            ),
        )
    secret = context.secret(entry.secret, (*path, "secret"), check=_not_base64)
    return Tsig(name.removesuffix("."), entry.algorithm, secret)


def _not_base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return _("gives a text that is not base64, as a TSIG key is; copy it from the server's configuration")
    return ""
