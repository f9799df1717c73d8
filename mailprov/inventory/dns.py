"""How records are published: `dns:` as it is written, of which each provider has its part, and what it means.

    DnsEntry                             what all providers have, and the keys of each (dns/providers)
    resolve(entry, written, context)     -> DnsSettings

What is wrong goes to `context`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, create_model

from mailprov.dns import providers
from mailprov.i18n import N_, _, one_of
from mailprov.model.dns import DnsSettings
from mailprov.schema.context import Context
from mailprov.schema.entry import Entry, composed
from mailprov.schema.scalars import Boolean, choice, whole

_LATER = dict.fromkeys(providers.LATER, providers.UNTIL_THEN)


class _Everywhere(Entry):
    provider: Annotated[
        str,
        choice(
            *(each.name for each in providers.PROVIDERS),
            later=_LATER,
        ),
    ] = Field(description=composed({each.name: each.title for each in providers.PROVIDERS}))
    ttl: Annotated[int, whole(1, 2**31 - 1)] = Field(
        3600, description=N_("seconds that others may keep a record; 3600 if not given")
    )
    reverse: Boolean = Field(
        default=False,
        description=N_(
            "whether the zones of the hosts' addresses are at the provider, too, so that PTR records are published; "
            "false if not given"
        ),
    )


if TYPE_CHECKING:
    DnsEntry = _Everywhere
else:
    _PARTS = dict.fromkeys(each.entry() for each in providers.PROVIDERS)
    _PARTS.pop(Entry, None)
    DnsEntry = create_model(
        "DnsEntry",
        __base__=(_Everywhere, *_PARTS),
        __doc__="How records are published.",
        __module__=__name__,
    )


def resolve(entry: DnsEntry, written: Collection[str], context: Context) -> DnsSettings:
    """`written`: the keys that are there."""
    provider = providers.named(entry.provider)
    own = provider.entry().model_fields
    for name in written:
        owners = [each.name for each in providers.PROVIDERS if name in each.entry().model_fields]
        if owners and name not in own:
            where = one_of(f"`provider: {owner}`" for owner in owners)
            context.problem(
                ("dns", name),
                _("`{key}` is for {providers}; set that, or leave `{key}` out").format(
                    key=name, providers=where
                ),
                key=True,
            )
    return DnsSettings(provider.settings(entry, written, context), entry.ttl, entry.reverse)
