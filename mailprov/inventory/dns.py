"""How records are published: `dns:` as it is written, of which each provider has its part, and what it means.

    DnsEntry                             what all providers have; as it is read, with the keys of the one that it names
    every_key()                          with those of all of them, for the JSON Schema
    resolve(entry, written, context)     -> DnsSettings

What is wrong goes to `context`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from pydantic import Field, GetCoreSchemaHandler, ValidationError, create_model
from pydantic_core import CoreSchema, core_schema

from mailprov.dns import providers
from mailprov.i18n import N_, _, one_of
from mailprov.model.dns import DnsSettings
from mailprov.schema.context import Context
from mailprov.schema.entry import Entry, composed
from mailprov.schema.scalars import Boolean, choice, whole

_LATER = dict.fromkeys(providers.LATER, providers.UNTIL_THEN)


class ProviderEntry(Entry):
    """A mapping that names a provider, and has the keys of that one.

    Only that provider's part is loaded and read with. Where that finds anything wrong, the mapping is read once more
    with the keys of all of them, so that errors, the JSON Schema and completion know every key.
    """

    every_key: ClassVar[bool] = False  # see every_key()
    composed: ClassVar[bool] = False  # it has the keys of providers

    provider: Annotated[str, choice(*providers.NAMES, later=_LATER)]

    @classmethod
    def whole(cls) -> type[Entry]:
        return cls if cls.composed else _with_keys_of(cls, providers.NAMES)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if cls.composed:
            return handler(source)
        if cls.every_key:
            return handler.generate_schema(cls.whole())
        return core_schema.no_info_plain_validator_function(cls._read)

    @classmethod
    def _read(cls, data: Any) -> Entry:
        named = str(data.get("provider")) if isinstance(data, dict) else ""
        if named in providers.NAMES:
            try:
                return _with_keys_of(cls, (named,)).model_validate(data)
            except ValidationError:
                pass  # perhaps a key of another one
        return cls.whole().model_validate(data)


@contextmanager
def every_key() -> Iterator[None]:
    """Classes that are made here have the keys of all providers: for the JSON Schema."""
    ProviderEntry.every_key = True
    try:
        yield
    finally:
        ProviderEntry.every_key = False


@lru_cache
def _with_keys_of(entry: type[ProviderEntry], names: tuple[str, ...]) -> type[ProviderEntry]:
    chosen = [providers.named(name) for name in names]
    parts = dict.fromkeys(each.entry() for each in chosen)
    parts.pop(Entry, None)
    about = composed({each.name: each.title for each in chosen})
    made: type[ProviderEntry] = create_model(
        entry.__name__,
        __base__=(entry, *parts),  # type: ignore[arg-type]
        __doc__=entry.__doc__,
        __module__=__name__,
        provider=(entry.model_fields["provider"].rebuild_annotation(), Field(description=about)),
    )
    made.composed = True
    return made


class DnsEntry(ProviderEntry):
    """How records are published."""

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


def resolve(entry: DnsEntry, written: Collection[str], context: Context) -> DnsSettings:
    """`written`: the keys that are there."""
    provider = providers.named(entry.provider)
    for name in written:
        if name in DnsEntry.model_fields or name in provider.entry().model_fields:
            continue
        owners = [each.name for each in providers.every() if name in each.entry().model_fields]
        if owners:
            where = one_of(f"`provider: {owner}`" for owner in owners)
            context.problem(
                ("dns", name),
                _("`{key}` is for {providers}; set that, or leave `{key}` out").format(
                    key=name, providers=where
                ),
                key=True,
            )
    return DnsSettings(provider.settings(entry, written, context), entry.ttl, entry.reverse)
