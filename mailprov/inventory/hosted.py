"""A domain whose mail is at a provider, as it is meant.

    resolve(of, entry, path, domain, context) -> Hosted      `of` is the whole domain
    check_alone(path, context)             what such a domain cannot have in the file
    check_moving(entry, path, context)     what one cannot have that states `hosts`, too
    unserved(document) -> paths            where the key `hosts` is missing, as there is no provider either

What is wrong goes to `context.problems`.
"""

from __future__ import annotations

import re

from mailprov.i18n import _
from mailprov.inventory.schema_domains import DomainEntry
from mailprov.inventory.schema_hosted import HostedEntry
from mailprov.model import hosted
from mailprov.model.hosted import PROVIDERS, Hosted, MailProvider, ProviderKey
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import Document, KeyPath, Map, show

# What is said of a domain that has a provider, besides `hosted`.
_ITS_OWN = ("hosted", "spf", "dmarc")
_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MX = re.compile(r"(?:([0-9]{1,5}) +)?(\S+)")


def unserved(document: Document) -> list[KeyPath]:
    """The keys `hosts` that are missing: of the file, where not every domain is at a provider, and of domains."""
    domains = document.data.get("domains")
    entries = domains if isinstance(domains, Map) else {}
    elsewhere = bool(entries) and all(
        isinstance(each, Map) and "hosted" in each.marks and "hosts" not in each.marks
        for each in entries.values()
    )
    found: list[KeyPath] = [] if "hosts" in document.data.marks or elsewhere else [("hosts",)]
    for name, entry in entries.items():
        if isinstance(entry, Map) and not {"hosts", "hosted"} & set(entry.marks):
            found.append(("domains", name, "hosts"))
    return found


def check_alone(path: KeyPath, context: Context) -> None:
    for key in context.marks(path):
        if key in DomainEntry.model_fields and key not in _ITS_OWN:
            what = _(
                "`{key}` is for domains that hosts of this file serve, and this one is at a provider (`hosted`); "
                "leave one of them out"
            )
            context.problem((*path, key), what.format(key=key), key=True)


def check_moving(entry: DomainEntry, path: KeyPath, context: Context) -> None:
    """A domain that moves, with `hosts` and `hosted` (model/moving.py)."""
    if entry.domain_aliases:
        what = _(
            "a domain that moves (`hosts` and `hosted`) has no domain aliases, for a provider wants each as a domain "
            "of its own; make them domains with `hosts` and `hosted` first"
        )
        context.problem((*path, "domain_aliases"), what, key=True)


def resolve(of: DomainEntry, entry: HostedEntry, path: KeyPath, domain: str, context: Context) -> Hosted:
    provider = PROVIDERS[entry.provider]
    here: KeyPath = (*path, "hosted")
    if entry.verification is not None and (wrong := hosted.verification_flaw(provider, entry.verification)):
        context.problem((*here, "verification"), f'"{show(entry.verification)}" {wrong}')
    return Hosted(
        provider,
        _mx(entry, provider, here, context, needed=not of.hosts),
        _dkim(entry, provider, here, domain, context),
        entry.verification or "",
        of.spf.all == "soft" if "all" in context.marks((*path, "spf")) else provider.soft,
    )


def _mx(
    entry: HostedEntry, provider: MailProvider, path: KeyPath, context: Context, *, needed: bool
) -> tuple[tuple[int, str], ...]:
    """A domain that moves there may wait with it (not `needed`): the console shows it when the domain was verified."""
    if entry.mx is None:
        if needed and not provider.mx and "mx" not in context.marks(path):
            what = _(
                'the key "mx" is missing: where mail of the domain goes, which only the console of {provider} shows'
            )
            context.problem(path, what.format(provider=_(provider.title)), key=True)
        return provider.mx
    found: dict[str, int] = {}
    for index, line in enumerate(entry.mx):
        at: KeyPath = (
            (*path, "mx", index) if isinstance(context.document.node((*path, "mx")), list) else (*path, "mx")
        )
        parts = _MX.fullmatch(line.strip())
        if parts is None:
            context.problem(
                at, _('"{text}" is neither a name nor a preference and a name').format(text=show(line))
            )
            continue
        name = context.checked(at, parts[2], names.fqdn)
        rank = int(parts[1]) if parts[1] else provider.first_preference + 10 * index
        if rank > 65535:
            context.problem(at, _("{number} is no preference; these go from 0 to 65535").format(number=rank))
        elif name in found:
            context.problem(at, _('"{name}" is in this list twice; keep one').format(name=name))
        elif name:
            found[name] = rank
    if len(found) == len(entry.mx) and (wrong := hosted.mx_flaw(provider, found)):
        context.problem((*path, "mx"), f'"{show(", ".join(found))}" {wrong}')
    return tuple((rank, name) for name, rank in found.items())


def _dkim(
    entry: HostedEntry, provider: MailProvider, path: KeyPath, domain: str, context: Context
) -> tuple[ProviderKey, ...]:
    found: dict[str, ProviderKey] = {}
    for written, text in entry.dkim.items():
        at: KeyPath = (*path, "dkim", written)
        selector = written.lower()
        if not _SELECTOR.fullmatch(selector):
            what = _('"{text}" is no selector; write what stands before ._domainkey, such as google')
            context.problem(at, what.format(text=show(written)), key=True)
            continue
        if selector in found:
            context.problem(at, _('"{name}" is in this list twice; keep one').format(name=selector), key=True)
            continue
        if "=" in text:
            key = ProviderKey(selector, "TXT", text)
        else:
            target = context.checked(at, text, names.spf_domain)
            if target is None:
                continue
            key = ProviderKey(selector, "CNAME", target)
        if domain and (wrong := hosted.dkim_flaw(provider, domain, key)):
            context.problem(at, f'"{show(text)}" {wrong}')
        found[selector] = key
    return tuple(found.values())
