"""The keys of `dns:` that are about Amazon Route 53, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Collection

from pydantic import Field

from mailprov.dns.providers.route53.settings import NAME, Route53Settings
from mailprov.i18n import N_, _
from mailprov.schema.context import Context
from mailprov.schema.document import show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Boolean, Text
from mailprov.schema.secret_entry import SecretEntry

_ZONE_ID = re.compile(r"Z[A-Z0-9]{1,31}")


class Route53Entry(Entry):
    """Amazon Route 53."""

    access_key_id: Text | None = Field(
        default=None,
        description=N_("route53: the id of the access key, which is no secret"),
        examples=["AKIAIOSFODNN7EXAMPLE"],
    )
    secret_access_key: SecretEntry | None = Field(
        default=None,
        description=N_("route53: the access key's secret"),
        examples=[{"env": "MAILPROV_AWS_SECRET"}],
    )
    default_credentials: Boolean = Field(
        default=False,
        description=N_(
            "route53: true for the credentials that boto3 finds by itself (its environment variables, ~/.aws, the "
            "machine's role), in place of an access key"
        ),
    )
    zone_id: Text | None = Field(
        default=None,
        description=N_("route53: the hosted zone to write, where the account has several of one name"),
        examples=["Z1D633PJN98FT9"],
    )


def settings(entry: Route53Entry, written: Collection[str], context: Context) -> Route53Settings:
    keys = [name for name in ("access_key_id", "secret_access_key") if name in written]
    if entry.default_credentials and keys:
        what = _("`default_credentials` is in place of `{key}`; leave one of them out").format(key=keys[0])
        context.problem(("dns", "default_credentials"), what, key=True)
    elif not entry.default_credentials and not keys:
        what = _(
            "provider {provider} needs `access_key_id` and `secret_access_key`, or `default_credentials: true`"
        ).format(provider=NAME)
        context.problem(("dns",), what, key=True)
    elif len(keys) == 1:
        (other,) = {"access_key_id", "secret_access_key"} - set(keys)
        what = _("`{key}` needs `{other}` beside it").format(key=keys[0], other=other)
        context.problem(("dns", keys[0]), what, key=True)
    secret = None
    if entry.secret_access_key:
        secret = context.secret(entry.secret_access_key, ("dns", "secret_access_key"))
    zone_id = (entry.zone_id or "").removeprefix("/hostedzone/")
    if zone_id and not _ZONE_ID.fullmatch(zone_id):
        what = _('"{id}" is not the id of a hosted zone, such as Z1D633PJN98FT9; Route 53 shows it').format(
            id=show(zone_id)
        )
        context.problem(("dns", "zone_id"), what)
    return Route53Settings(entry.access_key_id or "", secret, zone_id)
