"""The inventory as it is written: an account's state, when it expires, its passwords for single programs.

    StateWord, ExpiresEntry      values of `state` and `expires`
    Moment                       a date, or a date and a time: seconds since 1970, UTC
    AppPasswordEntry             one of `app_passwords`

Part of `schema`, which says what these classes are for.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mailprov.i18n import N_, _, all_of, one_of
from mailprov.model.states import APP_PROTOCOLS, State
from mailprov.schema.document import Map, show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Reads, choice, kind, said
from mailprov.schema.secret_entry import WRITTEN_FORMS, WRITTEN_HASH, InitialEntry

_WORDS = tuple(state.value for state in State)
_LATER = {
    "disabled": N_(
        '"disabled" may mean two things; write `no-login` (mail still arrives), or `suspended` (no mail either)'
    ),
    "locked": N_(
        '"locked" may mean two things; write `no-login` (mail still arrives), or `suspended` (no mail either)'
    ),
}
StateWord = Annotated[str, choice(*_WORDS, later=_LATER)]
# ISO 8601, as RFC 3339 has it, but for what people leave out: seconds, and the offset.
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)


def _moment(value: Any) -> int:
    if not isinstance(value, str):
        what = _(
            "must be a date such as 2027-06-30, or a date and a time such as 2027-06-30T18:00Z, not {kind}"
        )
        raise said(what.format(kind=kind(value)))
    found = _MOMENT.fullmatch(value)
    if not found:
        what = _(
            '"{value}" is no date; write one such as 2027-06-30, or a date and a time such as 2027-06-30T18:00Z'
        )
        raise said(what.format(value=show(value)))
    year, month, day = (int(part) for part in found.group(1, 2, 3))
    try:
        if found[4] is None:
            end = datetime(year, month, day, tzinfo=timezone.utc) + timedelta(days=1)
        else:
            hour, minute, second = (int(part or 0) for part in found.group(4, 5, 6))
            end = datetime(year, month, day, hour, minute, second, tzinfo=_zone(found[7]))
        at = int(end.timestamp())
    except (ValueError, OverflowError):
        what = _('"{value}" is a day or a time that there is not')
        raise said(what.format(value=show(value))) from None
    if at < 0:
        raise said(_('"{value}" is before 1970').format(value=show(value)))
    return at


def _zone(offset: str | None) -> timezone:
    if offset is None or offset in "Zz":
        return timezone.utc
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if minutes > 59:
        raise ValueError(offset)
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


Moment = Annotated[int, Reads(_moment, {"type": "string", "pattern": f"^{_MOMENT.pattern}$"})]
_WHEN = N_(
    "a date, to whose end it works, or a date and a time from which on it does not; UTC where no offset such as "
    "+02:00 is written"
)


class ExpiresEntry(Entry):
    """When an account expires, and what it is from then on."""

    date: Moment = Field(description=_WHEN, examples=["2027-06-30", "2027-06-30T18:00+02:00"])
    state: Annotated[str, choice(*_WORDS[1:])] = Field(
        State.SUSPENDED.value,
        description=N_("what it is from then on: no-login, no-receive or suspended; suspended if not given"),
    )


def _expires(value: Any, inner: Any) -> Any:
    """A date alone is enough."""
    return inner(value) if isinstance(value, Map) else ExpiresEntry.model_construct(date=_moment(value))


class _DateAlone:
    """For `Annotated[ExpiresEntry | None, …]`: the mapping, or its date."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_wrap_validator_function(_expires, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "string", "pattern": f"^{_MOMENT.pattern}$"}]}


DATE_ALONE = _DateAlone()


class AppPasswordEntry(InitialEntry):
    """One more password of the account, for a program or a device: a reference, or a ready hash."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})
    _beside: ClassVar[tuple[str, ...]] = ("protocols", "expires")

    protocols: list[Annotated[str, choice(*APP_PROTOCOLS)]] = Field(
        description=N_("what it is for, of imap, pop3, submission (ports 465 and 587) and managesieve"),
        examples=[["imap", "submission"]],
        json_schema_extra={"minItems": 1},
    )
    expires: Moment | None = Field(default=None, description=_WHEN, examples=["2027-06-30"])

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Any:
        forms = one_of((*WRITTEN_FORMS, WRITTEN_HASH))
        if isinstance(value, str):
            raise said(
                _("a secret is never written in the inventory itself; write {forms}").format(forms=forms)
            )
        if not isinstance(value, Map):
            raise said(_("must be a mapping (`key: value`), not {kind}").format(kind=kind(value)))
        given = [name for name in cls._own if name in value.marks]
        if len(given) > 1:
            keys = all_of(f"`{name}`" for name in given)
            raise said(_("has {keys}; keep one").format(keys=keys))
        others = [key for key in value.marks if key not in (*cls._own, *cls._beside)]
        if not given and not others:
            raise said(_("has no password; write one of {forms} beside `protocols`").format(forms=forms))
        if not any(key in value for key in (*given, *others)):
            raise PydanticCustomError("said_before", "-")
        return value
