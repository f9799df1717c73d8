"""The key `tls`: which certificate a host shows, and what that means for it.

SETTING: certificate, key and what an authority needs belong to the mode they are written with.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from mailprov.components.setting import Setting
from mailprov.i18n import N_, _
from mailprov.model.inventory import Acme, Challenge, KeyType, Tls, TlsMode
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import OR_OFF, Text, choice, whole

_URL = re.compile(r"https://[A-Za-z0-9.:\[\]-]+/[!-~]*")
_ACME = ("email", "directory", "challenge", "propagation", "caa")


_LETS_ENCRYPT = {"letsencrypt": N_("for certificates of Let's Encrypt write `mode: acme`")}


class TlsEntry(Entry):
    """Which certificate the hosts show, and whom `verify` trusts."""

    mode: Annotated[str, choice("self-signed", "files", "acme", later=_LETS_ENCRYPT)] | None = Field(
        default=None,
        description=N_(
            "self-signed: made on the host; files: given here; "
            "acme: issued by an authority, renewed by certbot; self-signed if not given"
        ),
    )
    certificate: Text | None = Field(
        default=None,
        description=N_("mode files: PEM with the certificate, then those between it and the root"),
    )
    key: Text | None = Field(default=None, description=N_("mode files: PEM with the private key"))
    key_type: Annotated[str, choice("ecdsa", "rsa", "both")] | None = Field(
        default=None,
        description=N_("what keys are made: ecdsa (P-256), rsa (3072 bits) or both; ecdsa if not given"),
    )
    email: Text | None = Field(
        default=None,
        description=N_("mode acme: whom the authority may write to"),
        examples=["admin@example.org"],
    )
    directory: Text | None = Field(
        default=None,
        description=N_("mode acme: URL of the authority's directory; Let's Encrypt if not given"),
        examples=["https://acme.example.org/directory"],
    )
    challenge: Annotated[str, choice("http-01", "dns-01")] | None = Field(
        default=None,
        description=N_(
            "mode acme: how the host shows that the name is its own: http-01 (port 80) or "
            "dns-01 (the key in `dns`, which the host gets); http-01 if not given"
        ),
    )
    propagation: Annotated[int, whole(0, 3600)] | None = Field(
        default=None,
        description=N_("dns-01: seconds until all servers of the zone have a new record; 60 if not given"),
    )
    caa: Annotated[Text | None, OR_OFF] = Field(
        default=None,
        description=N_(
            "mode acme: the authority's name in the CAA records of the hosts' names, or off; that of Let's Encrypt if "
            "it is used, else none, if not given"
        ),
        examples=["letsencrypt.org"],
    )
    ca_file: Text | None = Field(
        default=None,
        description=N_(
            "PEM with root certificates that `verify`, and certbot in mode acme, trust besides the system's"
        ),
    )
    tlsa: Annotated[str, choice("on", "off")] | None = Field(
        default=None,
        description=N_(
            "TLSA records (DANE) of the keys that MX hosts show on port 25, where the zone is signed with DNSSEC; "
            "off for none; on if not given"
        ),
    )


def _resolve(entry: TlsEntry, path: KeyPath, base: Tls, context: Context) -> Tls:
    """Certificate, key and what an authority needs belong to the mode they are written with."""
    mode = base.mode if entry.mode is None else TlsMode(entry.mode)
    under = base if entry.mode is None else Tls()
    made = Tls(
        mode=mode,
        certificate=context.path(entry.certificate) or under.certificate,
        key=context.path(entry.key) or under.key,
        ca_file=context.path(entry.ca_file) or base.ca_file,
        key_type=KeyType(entry.key_type) if entry.key_type else base.key_type,
        acme=_acme(entry, path, base.acme if mode is base.mode else Acme(), context),
        tlsa=base.tlsa if entry.tlsa is None else entry.tlsa == "on",
    )
    for name in ("certificate", "key"):
        if mode is TlsMode.FILES and getattr(made, name) is None and name not in context.marks(path):
            context.problem(
                path,
                _("mode files needs `certificate` and `key`; `{key}` is missing").format(key=name),
                key=True,
            )
        if mode is not TlsMode.FILES and getattr(entry, name) is not None:
            _misplaced(name, "files", path, context)
    for name in _ACME:
        if mode is not TlsMode.ACME and getattr(entry, name) is not None:
            _misplaced(name, "acme", path, context)
    if entry.propagation is not None and mode is TlsMode.ACME and made.acme.challenge is not Challenge.DNS:
        what = _("`propagation` is for `challenge: dns-01`; set that, or leave `propagation` out")
        context.problem((*path, "propagation"), what, key=True)
    if entry.key_type is not None and mode is TlsMode.FILES:
        what = _("`key_type` is for keys that are made; in mode files the key is given")
        context.problem((*path, "key_type"), what, key=True)
    return made


def _misplaced(name: str, mode: str, path: KeyPath, context: Context) -> None:
    context.problem(
        (*path, name),
        _("`{key}` is for `mode: {mode}`; set that, or leave `{key}` out").format(key=name, mode=mode),
        key=True,
    )


def _acme(entry: TlsEntry, path: KeyPath, base: Acme, context: Context) -> Acme:
    email = base.email
    if entry.email is not None:
        email = context.checked((*path, "email"), entry.email, names.address)
    if entry.directory is not None and not _URL.fullmatch(entry.directory):
        seen = _('"{url}" is no URL of an authority; write https://…, as it says').format(
            url=show(entry.directory)
        )
        context.problem((*path, "directory"), seen)
    return Acme(
        email=email,
        directory=entry.directory or base.directory,
        challenge=Challenge(entry.challenge) if entry.challenge else base.challenge,
        propagation=base.propagation if entry.propagation is None else entry.propagation,
        caa=_caa(entry, path, base, context),
    )


def _caa(entry: TlsEntry, path: KeyPath, base: Acme, context: Context) -> str | None:
    if "caa" not in entry.model_fields_set:
        return base.caa
    return "" if entry.caa is None else context.checked((*path, "caa"), entry.caa, names.fqdn)


SETTING: Setting[Tls] = Setting(
    "tls",
    TlsEntry,
    N_("certificates"),
    _resolve,
    default=Tls(),
    wins=N_("wins key by key"),
    field="tls",
)
