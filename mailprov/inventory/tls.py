"""What the file says about certificates, and what it means for a host.

`resolve(entry, path, base, context)` → Tls: `base` with what `entry` says. `check_challenges(hosts, dns, context)`:
whether dns-01 can be. What is wrong goes to `context.problems`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.dns import providers
from mailprov.inventory.schema_hosts import TlsEntry
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import (
    Acme,
    Challenge,
    Host,
    KeyType,
    Tls,
    TlsMode,
)
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show

_URL = re.compile(r"https://[A-Za-z0-9.:\[\]-]+/[!-~]*")
_ACME = ("email", "directory", "challenge", "propagation")


def resolve(entry: TlsEntry, path: KeyPath, base: Tls, context: Context) -> Tls:
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
    )
    for name in ("certificate", "key"):
        if mode is TlsMode.FILES and getattr(made, name) is None and name not in context.marks(path):
            context.problem(path, f"mode files needs `certificate` and `key`; `{name}` is missing", key=True)
        if mode is not TlsMode.FILES and getattr(entry, name) is not None:
            _misplaced(name, "files", path, context)
    for name in _ACME:
        if mode is not TlsMode.ACME and getattr(entry, name) is not None:
            _misplaced(name, "acme", path, context)
    if entry.propagation is not None and mode is TlsMode.ACME and made.acme.challenge is not Challenge.DNS:
        what = "`propagation` is for `challenge: dns-01`; set that, or leave `propagation` out"
        context.problem((*path, "propagation"), what, key=True)
    if entry.key_type is not None and mode is TlsMode.FILES:
        what = "`key_type` is for keys that are made; in mode files the key is given"
        context.problem((*path, "key_type"), what, key=True)
    return made


def check_challenges(hosts: Iterable[Host], dns: DnsSettings, context: Context) -> None:
    """dns-01 goes by the key with which we write the zone, where certbot has a plugin for that provider."""
    for host in hosts:
        if host.tls.mode is not TlsMode.ACME or host.tls.acme.challenge is not Challenge.DNS:
            continue
        path: KeyPath = (
            ("hosts", host.name, "tls") if "tls" in context.marks(("hosts", host.name)) else ("tls",)
        )
        if dns.provider.dns_01 is None:
            need = f"needs {providers.for_dns_01()}; add them, or use http-01"
            context.problem(path, f"challenge dns-01 {dns.provider.why_no_dns_01 or need}", key=True)


def _misplaced(name: str, mode: str, path: KeyPath, context: Context) -> None:
    context.problem(
        (*path, name), f"`{name}` is for `mode: {mode}`; set that, or leave `{name}` out", key=True
    )


def _acme(entry: TlsEntry, path: KeyPath, base: Acme, context: Context) -> Acme:
    email = base.email
    if entry.email is not None:
        email = context.checked((*path, "email"), entry.email, names.address)
    if entry.directory is not None and not _URL.fullmatch(entry.directory):
        seen = f'"{show(entry.directory)}" is no URL of an authority; write https://…, as it says'
        context.problem((*path, "directory"), seen)
    return Acme(
        email=email,
        directory=entry.directory or base.directory,
        challenge=Challenge(entry.challenge) if entry.challenge else base.challenge,
        propagation=base.propagation if entry.propagation is None else entry.propagation,
    )
