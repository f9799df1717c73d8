"""Where a secret stands: the forms that the file knows, for secrets and for an account's password.

The secrets themselves are read in `secrets`. A value that is none of the forms raises a `said(…)` sentence that
never repeats it.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mailprov.i18n import N_, _, all_of, one_of
from mailprov.schema.document import Map, Seq
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Reads, Text, choice, kind, said

WRITTEN_FORMS = ("`{env: NAME}`", "`{file: path}`", "`{command: …}`")
WRITTEN_HASH = "`{hash: …}`"


def _command(value: Any) -> str | list[str]:
    words = value if isinstance(value, Seq) else [value]
    if not words or not all(isinstance(word, str) for word in words) or not words[0].strip():
        raise said(_("must be a command line, or a list of a program and its arguments"))
    if any("\0" in word or any("\ud800" <= c <= "\udfff" for c in word) for word in words):
        raise said(_("contains a character that no command line can have"))
    return [str(word) for word in words] if isinstance(value, Seq) else str(value)


Command = Annotated[
    str | list[str],
    Reads(
        _command,
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        },
    ),
]


class SecretEntry(Entry):
    """Where a secret comes from. Exactly one form."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})
    _own: ClassVar[tuple[str, ...]] = ("env", "file", "command")

    env: Text | None = Field(
        default=None, description=N_("name of an environment variable"), examples=["ANA_PASSWORD"]
    )
    file: Text | None = Field(
        default=None,
        description=N_(
            "a file whose first line is the secret; a relative path begins at the inventory's folder"
        ),
        examples=["secrets/ana"],
    )
    command: Command | None = Field(
        default=None,
        description=N_("a shell command line, or a list of program and arguments, that prints the secret"),
        examples=["pass show mail/ana", ["pass", "show", "mail/ana"]],
    )

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Any:
        return _form(cls._own, value)


def _form(own: tuple[str, ...], value: Any) -> Any:
    """`value` where it has exactly one of these forms."""
    if isinstance(value, Map) and len(value.marks) == 1 and len(value) == 1 and next(iter(value)) in own:
        return value
    forms = one_of(WRITTEN_FORMS if "hash" not in own else (*WRITTEN_FORMS, WRITTEN_HASH))
    if not isinstance(value, Map):
        if isinstance(value, str):
            raise said(
                _("a secret is never written in the inventory itself; write {forms}").format(forms=forms)
            )
        raise said(_("must be {forms}, not {kind}").format(forms=forms, kind=kind(value)))
    if "hash" in value and "hash" not in own:
        raise said(_("a hash serves only for accounts; write {forms}").format(forms=forms))
    given = [name for name in own if name in value.marks]
    if len(given) > 1:
        keys = all_of(f"`{name}`" for name in given)
        raise said(_("has {keys}; keep one").format(keys=keys))
    if not value:
        # A form without a value has been said to be one; `{hunter2}` and `{}` have not.
        raise (
            said(_("must be {forms}").format(forms=forms))
            if not given
            else PydanticCustomError("said_before", "-")
        )
    return value


class InitialEntry(SecretEntry):
    """The password that an account begins with: a reference, or a ready hash."""

    _own: ClassVar[tuple[str, ...]] = ("env", "file", "command", "hash")

    hash: Text | None = Field(
        default=None,
        description=N_("a ready hash in Dovecot's spelling, as `doveadm pw` prints it"),
        examples=["{SHA512-CRYPT}$6$…"],
    )


class PasswordEntry(InitialEntry):
    """An account's password: a reference, or a ready hash. With `initial` and `owner` its user owns it: mailprov sets
    it once, and from then on nobody but the user changes it.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 2})

    initial: InitialEntry | None = Field(
        default=None,
        description=N_("what the password is until its user changes it, in any form of a password"),
        examples=[{"env": "ANA_PASSWORD"}],
    )
    owner: Annotated[str, choice("user")] | None = Field(
        default=None,
        description=N_("user: the account's user owns the password; the inventory does if not given"),
    )

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Any:
        given = value.marks if isinstance(value, Map) else ()
        if "initial" not in given and "owner" not in given:
            return _form(InitialEntry._own, value)
        if "initial" not in given:
            raise said(
                _("`owner: user` needs `initial: …`, the password that the account begins with; add it")
            )
        if "owner" not in given:
            raise said(_("`initial` is for a password that its user owns; add `owner: user`"))
        others = [name for name in InitialEntry._own if name in given]
        if others:
            keys = all_of(f"`{name}`" for name in others)
            raise said(
                _(
                    "has {keys} beside `initial`; put it into `initial`, or leave `initial` and `owner` out"
                ).format(keys=keys)
            )
        return value
