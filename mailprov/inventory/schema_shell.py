"""The inventory as it is written: an account's `shell`. Part of `schema_domains`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from mailprov.i18n import N_, _
from mailprov.schema.document import Map, Plain
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Boolean, Quota, Text, kind, said


class ShellEntry(Entry):
    """A user of the account's host, who logs in there by SSH."""

    user: Text | None = Field(
        default=None,
        description=N_("the system user's name; the name before the @ if not given"),
        examples=["ana"],
    )
    keys: list[Text] = Field(
        default=[],
        description=N_("public keys that log in, each as ssh-keygen writes it"),
        examples=[["ssh-ed25519 AAAA…"]],
    )
    password: Boolean | None = Field(
        default=None,
        description=N_(
            "whether the mailbox's password logs in, too; true if not given and there are no keys"
        ),
    )
    restricted: Boolean = Field(
        default=False,
        description=N_("a menu in place of a shell: read mail, log out; false if not given"),
    )
    home_quota: Quota | None = Field(
        default=None,
        description=N_(
            "how much the user's files on the host may be, in the home and elsewhere; or `none`; 500M if not given"
        ),
        examples=["2G"],
    )


class _OrFlag:
    """`true` for an entry that says nothing, `false` for None."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any, inner: Callable[[Any], Any]) -> Any:
            if isinstance(value, Plain) and value.lower() in ("true", "false"):
                return ShellEntry() if value.lower() == "true" else None
            if not isinstance(value, Map):
                raise said(
                    _("must be `true`, `false` or a mapping such as `{example}`, not {kind}").format(
                        example="{keys: [ssh-ed25519 …]}", kind=kind(value)
                    )
                )
            return inner(value)

        return core_schema.no_info_wrap_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "boolean"}]}


ShellOrFlag = Annotated[ShellEntry | None, _OrFlag()]
