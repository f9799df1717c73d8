"""The inventory as it is written: every key, its type, and what it is for.

These classes are the only definition of the file's shape: the reader checks with them, the messages about
unknown keys name their fields, and `json_schema()` is made from them. What the values mean together is
checked in `resolve`. `inventories/example.yml` shows every key.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from mailprov.inventory.dns import DnsEntry
from mailprov.inventory.local import DovecotEntry, PostfixEntry
from mailprov.inventory.schema_domains import DomainEntry
from mailprov.inventory.schema_hosts import (
    DELIMITER_TEXT,
    FILTER_TEXT,
    FILTERS,
    MANAGED_TEXT,
    NOT_YET,
    SIZE_TEXT,
    Delimiter,
    HostEntry,
    MessageSize,
    SshEntry,
    TlsEntry,
)
from mailprov.inventory.schema_protection import (
    BLOCKLISTS_TEXT,
    FAIL2BAN_TEXT,
    FIREWALL_TEXT,
    RELAY_TEXT,
    Blocklists,
    Fail2banEntry,
    Firewall,
    RelayEntry,
)
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Boolean, choice


class File(Entry):
    """An inventory of mailprov: hosts, and the mail domains on them."""

    ssh: SshEntry = Field(
        default=SshEntry(), description="how to reach the hosts, unless a host says otherwise"
    )
    dns: DnsEntry | None = Field(
        default=None, description="how records are published; only printed if not given"
    )
    tls: TlsEntry = Field(default=TlsEntry(), description="certificates, unless a host says otherwise")
    managed: Boolean = Field(default=True, description=f"{MANAGED_TEXT}; true if not given")
    recipient_delimiter: Delimiter = Field("+", description=f"{DELIMITER_TEXT}; + if not given")
    message_size_limit: MessageSize = Field(50 * 2**20, description=f"{SIZE_TEXT}; 50M if not given")
    fail2ban: Fail2banEntry | None = Field(default=None, description=FAIL2BAN_TEXT)
    relayhost: RelayEntry | None = Field(default=None, description=RELAY_TEXT)
    firewall: Firewall | None = Field(default=None, description=FIREWALL_TEXT)
    filter: Annotated[str, choice(*FILTERS)] = Field(
        "rspamd", description=f"{FILTER_TEXT}; rspamd if not given"
    )
    blocklists: Blocklists | None = Field(
        default=None, description=f"{BLOCKLISTS_TEXT}; default if not given"
    )
    postfix: PostfixEntry = Field(
        default=PostfixEntry(), description="local settings of Postfix on all hosts"
    )
    dovecot: DovecotEntry = Field(
        default=DovecotEntry(), description="local settings of Dovecot on all hosts"
    )
    hosts: dict[str, HostEntry] = Field(
        description="the machines, by a name of your choice", json_schema_extra={"minProperties": 1}
    )
    domains: dict[str, DomainEntry] = Field(
        description="the mail domains", json_schema_extra={"minProperties": 1}
    )


# Keys that the design has and this version does not: (class, key) → what to do until then.
LATER: dict[tuple[str, str], str] = {
    (
        "DomainEntry",
        "hosted",
    ): f"a domain whose mail is elsewhere {NOT_YET}; list only domains served by `hosts` here",
}


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
    made = File.model_json_schema(schema_generator=_Generator)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "mailprov inventory"}
