"""The keys of `dns:` that are about octoDNS, and what they mean.

`class` and the keys below `settings` are those of the provider in a configuration of octoDNS; only secrets are written
as everywhere here. Where octoDNS would take `env/NAME`, that is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model

from mailprov.dns.providers.octodns.settings import NAME, OctodnsSettings
from mailprov.i18n import N_, _, one_of
from mailprov.model.secret import Secret
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import Map, Plain, Seq, show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Reads, Text, said, text
from mailprov.schema.secret_entry import SecretEntry

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
_KEYWORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SECRET = re.compile(
    r"(token|secret|passw(or)?d|passphrase|credentials?|api_?key|private_?key|auth_?key)$", re.I
)
_OF_OCTODNS = re.compile(r"env/([^/]+)(/.*)?")
_INTEGER, _FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,17})"), re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}")


def _scalar(value: Any) -> Any:
    written = text(value)
    if not isinstance(value, Plain):
        return written
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    if _INTEGER.fullmatch(written):
        return int(written)
    return float(written) if _FLOAT.fullmatch(written) else written


def _option(value: Any) -> Any:
    """A SecretEntry, a tuple of scalars, or a scalar as YAML has it."""
    if isinstance(value, Map):
        try:
            return SecretEntry.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise said(str(first.get("ctx", {}).get("sentence") or first["msg"])) from None
    if isinstance(value, Seq):
        return tuple(_scalar(each) for each in value)
    return _scalar(value)


Option = Annotated[Any, Reads(_option, {"type": ["string", "number", "boolean", "array", "object"]})]
# One of them is a word of Python, which no class body can have as a name.
_KEYS: dict[str, Any] = {
    "class": (
        Text | None,
        Field(
            default=None,
            description=N_("octodns: the class of the provider, as in a configuration of octoDNS"),
            examples=["octodns_desec.DesecProvider"],
        ),
    ),
    "settings": (
        dict[str, Option],
        Field(
            default={},
            description=N_(
                "octodns: what that class is to be called with, by the names of its documentation; secrets as "
                "`{env: NAME}`, `{file: path}` or `{command: …}`"
            ),
            examples=[{"token": {"env": "DNS_TOKEN"}}],
        ),
    ),
    "zone_names": (
        list[Text],
        Field(
            default=[],
            description=N_("octodns: the zones there, for a class that cannot list them itself"),
            examples=[["example.org"]],
        ),
    ),
}
OctodnsEntry: Any = create_model(
    "OctodnsEntry", __base__=Entry, __doc__="octoDNS", __module__=__name__, **_KEYS
)


def settings(entry: Any, written: Collection[str], context: Context) -> OctodnsSettings:
    path = getattr(entry, "class") or ""
    if path and not _PATH.fullmatch(path):
        what = _('"{path}" is no class; write its module and its name, such as {example}').format(
            path=show(path), example="octodns_desec.DesecProvider"
        )
        context.problem(("dns", "class"), what)
        path = ""
    elif not path and "class" not in written:
        what = _("provider {provider} needs {key}, such as {example}").format(
            provider=NAME, key="`class`", example="`class: octodns_desec.DesecProvider`"
        )
        context.problem(("dns",), what, key=True)
    options: list[tuple[str, Any]] = []
    secrets: list[tuple[str, Secret]] = []
    for key, value in entry.settings.items():
        place = ("dns", "settings", key)
        if why := _wrong(key, value):
            context.problem(place, why, key=True)
        elif isinstance(value, SecretEntry):
            secrets.append((key, context.secret(value, place)))
        else:
            options.append((key, value))
    zones = [
        context.checked(("dns", "zone_names", number), name, names.domain)
        for number, name in enumerate(entry.zone_names)
    ]
    return OctodnsSettings(path, tuple(options), tuple(secrets), tuple(filter(None, zones)))


def _wrong(key: str, value: Any) -> str:
    if not _KEYWORD.fullmatch(key) or key in ("class", "id"):
        return _("`{key}` cannot be a setting of an octoDNS provider").format(key=show(key))
    if isinstance(value, str) and (found := _OF_OCTODNS.fullmatch(value)):
        return _("a secret from the environment is written `{example}` here").format(
            example=f"{{env: {show(found[1])}}}"
        )
    if isinstance(value, str) and _SECRET.search(key):
        return _("a secret is never written in the inventory itself; write {forms}").format(
            forms=one_of(("`{env: NAME}`", "`{file: path}`", "`{command: …}`"))
        )
    return ""
