"""The keys of `dns:` that are about OVHcloud, and what they mean."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from mailprov.dns.api import schema
from mailprov.dns.providers.ovh.settings import ENDPOINTS, NAME, OvhSettings
from mailprov.i18n import N_, _
from mailprov.schema.context import Context
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Text, choice
from mailprov.schema.secret_entry import SecretEntry


class OvhEntry(Entry):
    """An account at OVHcloud."""

    endpoint: Annotated[str, choice(*ENDPOINTS)] = Field(
        default="eu", description=N_("ovh: where the account is (eu, ca, us); eu if not given")
    )
    application_key: Text | None = Field(
        default=None, description=N_("ovh: the key of your application"), examples=["1a2b3c4d5e6f7a8b"]
    )
    application_secret: SecretEntry | None = Field(
        default=None, description=N_("ovh: the secret of your application"), examples=[{"env": "OVH_SECRET"}]
    )
    consumer_key: SecretEntry | None = Field(
        default=None,
        description=N_("ovh: what the account has granted to the application"),
        examples=[{"env": "OVH_CONSUMER"}],
    )


def settings(entry: OvhEntry, written: Collection[str], context: Context) -> OvhSettings:
    key = entry.application_key or ""
    if entry.application_key is None and "application_key" not in written:
        what = _("provider {provider} needs {key}, such as {example}").format(
            provider=NAME, key="`application_key`", example="`application_key: 1a2b3c4d5e6f7a8b`"
        )
        context.problem(("dns",), what, key=True)
    elif schema.not_a_token(key):
        context.problem(("dns", "application_key"), schema.not_a_token(key))
        key = ""
    return OvhSettings(
        key,
        schema.token(entry.application_secret, written, context, NAME, "application_secret"),
        schema.token(entry.consumer_key, written, context, NAME, "consumer_key"),
        ENDPOINTS[entry.endpoint],
    )
