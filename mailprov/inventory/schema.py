"""The inventory as it is written: every key, its type, and what it is for.

These classes are the only definition of the file's shape: the reader checks with them, the messages about
unknown keys name their fields, and `json_schema()` is made from them. What the values mean together is
checked in `resolve`. `inventories/example.yml` shows every key.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from mailprov.i18n import N_
from mailprov.inventory.dns import DnsEntry, every_key
from mailprov.inventory.host_settings import HostSettings, settings
from mailprov.inventory.schema_domains import DomainEntry
from mailprov.inventory.schema_hosts import HostEntry
from mailprov.inventory.schema_states import Moment
from mailprov.model.inventory import Profile
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Text, choice


class AcceptEntry(Entry):
    """A failure or a warning that is known and accepted."""

    probe: Text = Field(
        description=N_("the probe's id, a family or a pattern, as for `verify --probe`"),
        examples=["tls.chain", "dns", "web.*"],
    )
    target: Text | None = Field(
        None,
        description=N_(
            "where: a host, a host and a port (mx1:993), a domain or an account; wherever the probe looks if not given"
        ),
        examples=["mx1", "mx1:993", "example.org", "ana@example.org"],
    )
    reason: Text = Field(description=N_("why it is accepted; reports show it"))
    until: Moment | None = Field(
        None,
        description=N_("until when: a date, or a date and a time; without an end if not given"),
        examples=["2027-06-30"],
    )


class VerifyEntry(Entry):
    """How findings of a verification are judged."""

    profile: Annotated[str, choice(*(each.value for each in Profile))] = Field(
        Profile.DEFAULT.value, description=N_("by which bar (`mailprov explain strict` shows one)")
    )
    accept: list[AcceptEntry] = Field([], description=N_("failures and warnings that are known and accepted"))


class File(HostSettings):
    """An inventory of mailprov: hosts, and the mail domains on them or at providers."""

    dns: DnsEntry | None = Field(
        default=None, description=N_("how records are published; only printed if not given")
    )
    verify: VerifyEntry | None = Field(
        default=None, description=N_("how findings of a verification are judged")
    )
    hosts: dict[str, HostEntry] = Field(
        default={},  # needed where a domain has hosts: checked in `validation`
        description=N_("the machines, by a name of your choice"),
        json_schema_extra={"minProperties": 1},
    )
    domains: dict[str, DomainEntry] = Field(
        description=N_("the mail domains"), json_schema_extra={"minProperties": 1}
    )


def keys(entry: type[BaseModel]) -> list[str]:
    """All that may stand in a mapping: its own keys first, then those that hosts share with the top of the file."""
    shared = set(HostSettings.model_fields) if issubclass(entry, HostSettings) else set()
    return sorted(entry.model_fields, key=shared.__contains__)


class _Generator(GenerateJsonSchema):
    """Optional keys are left out of the file, not set to null: so no `null` beside their types."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if not isinstance(made.get("default"), (str, int)):
            made.pop("default", None)
        return made


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the file, with a description on every key."""
    with every_key():
        whole = create_model("File", __base__=File, __doc__=File.__doc__, __module__=__name__)
        made = whole.model_json_schema(schema_generator=_Generator)
    _tell_shared_keys(made, made["$defs"]["HostEntry"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "mailprov inventory",
    }


def _tell_shared_keys(file: dict[str, Any], host: dict[str, Any]) -> None:
    """What they are for is said at the top of the file, and at a host only that it wins."""
    for entry, kind in ((file, File), (host, HostEntry)):
        entry["properties"] = {name: entry["properties"][name] for name in keys(kind)}
    for each in settings():
        missing = f"; {each.if_missing}" if each.if_missing else ""
        wins = f"; {each.wins}" if each.wins else ""
        at_top, at_host = file["properties"][each.key], host["properties"][each.key]
        at_top["description"] = f"{each.about}{missing}"
        at_host["description"] = f"as the top-level `{each.key}`, for this host{wins}"
        if each.written is not None:
            at_top["default"] = each.written
