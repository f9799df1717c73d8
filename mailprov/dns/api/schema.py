"""The keys of `dns:` for providers that take a token, and what they mean."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import Field

from mailprov.i18n import N_, _
from mailprov.model.secret import Secret
from mailprov.schema.context import Context
from mailprov.schema.entry import Entry
from mailprov.schema.secret_entry import SecretEntry

ABOUT = N_("providers with an API: the token, which need be allowed to do nothing but change records")


class TokenEntry(Entry):
    """A provider with an API."""

    token: SecretEntry | None = Field(default=None, description=ABOUT, examples=[{"env": "DNS_TOKEN"}])


def token(
    entry: SecretEntry | None, written: Collection[str], context: Context, provider: str, key: str = "token"
) -> Secret | None:
    """The secret at `dns.KEY`, which this provider needs."""
    if entry is not None:
        return context.secret(entry, ("dns", key), check=not_a_token)
    if key not in written:
        what = _("provider {provider} needs {key}, such as {example}").format(
            provider=provider, key=f"`{key}`", example=f"`{key}: {{env: DNS_TOKEN}}`"
        )
        context.problem(("dns",), what, key=True)
    return None


def not_a_token(value: str) -> str:
    if not value.isascii() or not value.isprintable() or " " in value:
        return _(
            "gives a text that cannot be a token: it has spaces or other signs; copy it from the provider's page"
        )
    return ""
