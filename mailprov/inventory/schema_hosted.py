"""The inventory as it is written, third part: a domain whose mail is at a provider.

Part of `schema`, which says what these classes are for.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mailprov.i18n import N_
from mailprov.model.hosted import PROVIDERS
from mailprov.schema.document import Seq
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Reads, Text, choice, text

_TEXT = {"type": "string", "minLength": 1}


def _one_or_more(value: Any) -> list[str]:
    return [text(each) for each in value] if isinstance(value, Seq) else [text(value)]


Lines = Annotated[
    list[str],
    Reads(_one_or_more, {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]


class HostedEntry(Entry):
    """A domain whose mail is at a provider. What only the provider's console shows is copied from there."""

    provider: Annotated[str, choice(*PROVIDERS)] = Field(
        description=N_("google-workspace, exchange-online or other"), examples=["google-workspace"]
    )
    verification: Text | None = Field(
        default=None,
        description=N_("the text by which the provider sees whose the domain is, as its console shows it"),
        examples=["MS=ms12345678"],
    )
    mx: Lines | None = Field(
        default=None,
        description=N_(
            "where its mail goes, as the console shows it: a name, or a preference and a name, or a list of "
            "these; smtp.google.com at google-workspace if not given, needed at others"
        ),
        examples=["example-org.mail.protection.outlook.com"],
    )
    dkim: dict[str, Text] = Field(
        default={},
        description=N_(
            "the DKIM keys as the console shows them, by selector: the text of the key (v=DKIM1; …), or the "
            "name that a CNAME leads to"
        ),
        examples=[{"google": "v=DKIM1; k=rsa; p=…"}],
    )
