"""How records are published: `dns:` as it is written, of which each provider has its part, and what it means.

    DnsEntry, ZoneEntry                  what all providers have; as they are read, with the keys of the one they name
    every_key()                          with those of all of them, for the JSON Schema
    resolve(entry, context)              -> DnsSettings

What is wrong goes to `context`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, ValidationError, create_model
from pydantic_core import CoreSchema, core_schema

from mailprov.dns import providers
from mailprov.i18n import N_, _, one_of
from mailprov.model.dns import DnsSettings, ProviderSettings
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show_path
from mailprov.schema.entry import Entry, composed, in_language
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
        return cls if cls.composed else _with_keys_of(cls, providers.NAMES, every=cls.every_key)

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
def _with_keys_of(
    entry: type[ProviderEntry], names: tuple[str, ...], *, every: bool = False
) -> type[ProviderEntry]:
    """`every`: what is below it has the keys of all providers, too, once it is built."""
    chosen = [providers.named(name) for name in names]
    parts = dict.fromkeys(each.entry() for each in chosen)
    parts.pop(Entry, None)
    about = composed({each.name: each.title for each in chosen})
    field = entry.model_fields["provider"]
    made: type[ProviderEntry] = create_model(
        entry.__name__,
        __base__=(entry, *parts),  # type: ignore[arg-type]
        __doc__=entry.__doc__,
        __module__=__name__,
        provider=(field.rebuild_annotation(), Field(field.default, description=about)),
    )
    made.composed = True
    return made


class ZoneEntry(ProviderEntry):
    """How the records at and below a name are published."""

    ttl: Annotated[int, whole(1, 2**31 - 1)] | None = Field(
        default=None, description=N_("seconds that others may keep a record of it; `dns.ttl` if not given")
    )


class DnsEntry(ProviderEntry):
    """How records are published."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["provider"]}, {"required": ["zones"]}]}
    )

    provider: Annotated[str, choice(*providers.NAMES, later=_LATER)] | None = None  # type: ignore[assignment]
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
    zones: dict[str, ZoneEntry] | None = Field(
        default=None,
        description=N_(
            "zones that are at another provider, each with that provider and its keys; what is not named here is at "
            "the one above, or published by hand without one"
        ),
        json_schema_extra={"minProperties": 1},
    )


def resolve(entry: DnsEntry, context: Context) -> DnsSettings:
    written = context.marks(("dns",))
    if "provider" not in written and "zones" not in written:
        if not context.hints.near("provider", list(written)):
            about = in_language(entry.whole().model_fields["provider"].description or "")
            what = _('the key "{key}" is missing ({meaning})').format(key="provider", meaning=about)
            context.problem(("dns",), what, key=True)
        return DnsSettings()
    if entry.provider:
        provider = _provider(entry, entry.provider, ("dns",), context)
    else:
        provider = ProviderSettings()
        for name in written:
            if name not in DnsEntry.model_fields and name in entry.whole().model_fields and entry.zones:
                what = _("`{key}` is for a provider, and none is named beside it; add `provider`")
                context.problem(("dns", name), what.format(key=name), key=True)
    zones: dict[str, DnsSettings] = {}
    for text, each in (entry.zones or {}).items():
        path: KeyPath = ("dns", "zones", text)
        zone = context.checked(path, text, names.zone, key=True)
        if zone in zones:
            context.problem(path, _("{zone} is named twice; keep one").format(zone=zone), key=True)
        own = _provider(each, str(each.provider), path, context)
        if zone:
            key = show_path(path)
            zones[zone] = DnsSettings(replace(own, key=key), entry.ttl if each.ttl is None else each.ttl)
    return DnsSettings(provider, entry.ttl, entry.reverse, tuple(zones.items()))


def _provider(entry: ProviderEntry, named: str, path: KeyPath, context: Context) -> ProviderSettings:
    """`path`: of the mapping that names the provider."""
    provider, written = providers.named(named), context.marks(path)
    for name in written:
        if name in _common(entry) or name in provider.entry().model_fields:
            continue
        owners = [each.name for each in providers.every() if name in each.entry().model_fields]
        if owners:
            where = one_of(f"`provider: {owner}`" for owner in owners)
            context.problem(
                (*path, name),
                _("`{key}` is for {providers}; set that, or leave `{key}` out").format(
                    key=name, providers=where
                ),
                key=True,
            )
    return provider.settings(entry, written, context.at(("dns",), path))


def _common(entry: ProviderEntry) -> Collection[str]:
    """The keys that are no provider's own."""
    return (DnsEntry if isinstance(entry, DnsEntry) else ZoneEntry).model_fields
