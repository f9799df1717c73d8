"""The inventory as it is written, third part: limits on failed logins, a smarthost, the firewall,
DNS blocklists.

Part of `schema`, which says what these classes are for.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Reads, Text, choice, kind, said, text, whole
from mailprov.schema.secret_entry import SecretEntry


class Fail2banEntry(Entry):
    """Shuts out for a while who tries many wrong passwords. `{}` is enough to have it."""

    ignore: list[Text] = Field(
        default=[],
        description="addresses and networks that are never shut out, such as that of who runs `verify`",
        examples=[["192.0.2.0/24"]],
    )


class RelayEntry(Entry):
    """A smarthost for all mail that leaves: where the provider blocks port 25."""

    host: Text = Field(description="its name, as in its certificate", examples=["smtp.example.net"])
    port: Annotated[int, whole(1, 65535)] = Field(
        587, description="587 (STARTTLS) or 465 (TLS at once); 587 if not given"
    )
    user: Text = Field(description="the login there")
    password: SecretEntry = Field(description="its password", examples=[{"env": "RELAY_PASSWORD"}])
    ca_file: Text | None = Field(
        default=None, description="PEM with the roots of its certificate; the system's store if not given"
    )


def _blocklists(value: Any) -> str | list[str]:
    if isinstance(value, str):
        if value in ("default", "none"):
            return str(value)
        raise said(f"must be default, none, or a list of zones such as {_ZONES}")
    if not isinstance(value, list):
        raise said(f"must be default, none, or a list of zones such as {_ZONES}, not {kind(value)}")
    if not value:
        raise said("is empty; to ask no blocklist, write none")
    return [text(each) for each in value]


_ZONES = "[zen.spamhaus.org]"
Blocklists = Annotated[
    str | list[str],
    Reads(
        _blocklists,
        {
            "anyOf": [
                {"type": "string", "enum": ["default", "none"]},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        },
    ),
]
BLOCKLISTS_TEXT = (
    "DNS blocklists that Rspamd asks about what arrives. default: those that it comes with; none: no list, and nobody "
    "outside learns who writes to you; a list of zones: these, about the sender's address, and no others"
)
Firewall = Annotated[str, choice("ufw", "none")]
FAIL2BAN_TEXT = "fail2ban for the logins of mail, by Dovecot and Postfix; none if not given"
RELAY_TEXT = "a smarthost for all mail that leaves; mail goes to its destination directly if not given"
FIREWALL_TEXT = "ufw: only the ports of mail and SSH are open; none: left alone, as if not given"
