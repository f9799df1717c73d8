"""The keys of `dns:` that are about PowerDNS, and what they mean."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from pydantic import Field

from mailprov.dns.api import schema
from mailprov.dns.providers.powerdns.settings import NAME, PowerDnsSettings
from mailprov.i18n import N_, _
from mailprov.schema.context import Context
from mailprov.schema.document import show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Text
from mailprov.schema.secret_entry import SecretEntry


class PowerDnsEntry(Entry):
    """A PowerDNS server with an HTTP API."""

    url: Text | None = Field(
        default=None,
        description=N_("powerdns: address of the server's API; http is taken for this machine itself only"),
        examples=["https://ns1.example.org:8081"],
    )
    token: SecretEntry | None = Field(default=None, description=schema.ABOUT, examples=[{"env": "DNS_TOKEN"}])


def settings(entry: PowerDnsEntry, written: Collection[str], context: Context) -> PowerDnsSettings:
    url = ""
    if entry.url is not None:
        url = entry.url.rstrip("/")
        if why := _not_an_address(url):
            context.problem(("dns", "url"), f'"{show(entry.url)}" {why}')
            url = ""
    elif "url" not in written:
        what = _("provider {provider} needs {key}, such as {example}").format(
            provider=NAME, key="`url`", example="`url: https://ns1.example.org:8081`"
        )
        context.problem(("dns",), what, key=True)
    return PowerDnsSettings(schema.token(entry.token, written, context, NAME), url)


def _not_an_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, whole = parts.hostname, bool(parts.hostname) and parts.port != 0
    except ValueError:
        host, whole = None, False
    if (
        not whole
        or parts.scheme not in ("http", "https")
        or "@" in parts.netloc
        or any(map(str.isspace, url))
    ):
        return _("is not the address of an API; write it as {example}").format(
            example="https://ns1.example.org:8081"
        )
    if parts.path or parts.query or parts.fragment:
        return _("has a path; write scheme, host and port only")
    if parts.scheme == "http" and not _loopback(host or ""):
        return _(
            "would send the token unencrypted; use https (a proxy in front of it), or a tunnel to this machine"
        )
    return ""


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
