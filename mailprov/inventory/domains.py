"""What the file says of mail domains, as it is meant: their hosts, MX, SPF, DKIM, DMARC, other names.

    resolve(entries, hosts, context) -> tuple[Domain, ...]

What is wrong goes to `context.problems`. Accounts, aliases and lists are in `recipients`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mailprov.i18n import _
from mailprov.inventory import hosted, loops, recipients
from mailprov.inventory.schema_domains import DomainEntry
from mailprov.inventory.schema_hosted import HostedEntry
from mailprov.model.inventory import Dkim, Dmarc, Domain, Filter, Host, Mx, Spf, TlsMode
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show

_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_SPF_LOOKUPS = 10


def resolve(entries: dict[str, DomainEntry], hosts: tuple[Host, ...], context: Context) -> tuple[Domain, ...]:
    written = [
        (name, entry, context.checked(("domains", name), name, names.domain, key=True))
        for name, entry in entries.items()
    ]
    domains: list[Domain] = []
    first: dict[str, str] = {}
    aliases: dict[str, str] = {}
    mail_names: dict[str, tuple[str, str]] = {
        host.fqdn: (host.name, _("host {host}").format(host=host.name)) for host in hosts
    }
    for key, entry, name in written:
        if name and (other := first.setdefault(name, key)) != key:
            context.problem(
                ("domains", key),
                _('is the same domain as "{domain}"; write it once').format(domain=show(other)),
                key=True,
            )
            continue
        path: KeyPath = ("domains", key)
        if entry.hosted is not None and not entry.hosts:
            domains.append(_at_provider(entry, entry.hosted, path, name, context))
            continue
        _check_hosts(entry, path, context)
        serving = [host for host in hosts if host.name in entry.hosts]
        there = None
        if entry.hosted is not None:
            hosted.check_moving(entry, path, context)
            there = hosted.resolve(entry, entry.hosted, path, name or "", context)
        found = recipients.of_domain(entry, path, name, serving, context)
        domains.append(
            Domain(
                name=name or "",
                hosts=tuple(entry.hosts),
                accounts=found.accounts,
                aliases=found.aliases,
                lists=found.lists,
                catch_all=found.catch_all,
                domain_aliases=_domain_aliases(entry, path, name, aliases, context),
                mail_name=_mail_name(entry, path, mail_names, context),
                mx=(exchangers := _mx(entry, path, mail_names, context)),
                spf=_spf(entry, exchangers, path, context),
                dkim=_dkim(entry, hosts, path, context),
                dmarc=_dmarc(entry, serving, path, name, context),
                tls_rpt=_tls_rpt(entry.tls_rpt, path, name, context),
                mta_sts=_mta_sts(entry, serving, path, context),
                srv=entry.srv,
                webmail=entry.webmail,
                hosted=there,
            )
        )
    loops.check_loops(domains, context)
    return tuple(domains)


def _at_provider(
    entry: DomainEntry, at: HostedEntry, path: KeyPath, name: str | None, context: Context
) -> Domain:
    hosted.check_alone(path, context)
    there = hosted.resolve(entry, at, path, name or "", context)
    spf = replace(_spf(entry, (), path, context), soft=there.soft)
    dmarc = _dmarc(entry, (), path, name, context)
    return Domain(name=name or "", hosts=(), hosted=there, spf=spf, dmarc=dmarc)


def _mail_name(
    entry: DomainEntry, path: KeyPath, seen: dict[str, tuple[str, str]], context: Context
) -> str | None:
    """`seen`: name → where it leads, and whose it is. Domains on one host may share a name."""
    if entry.mail_name is None or not entry.hosts:
        return None
    here: KeyPath = (*path, "mail_name")
    name = context.checked(here, entry.mail_name, names.fqdn)
    if name is None:
        return None
    this = _("domain {domain}").format(domain=show(str(path[-1])))
    target, owner = seen.setdefault(name, (entry.hosts[0], this))
    if target != entry.hosts[0]:
        first = show(entry.hosts[0])
        context.problem(
            here,
            _('"{name}" leads to {host} already (it is the name of {owner}), not to {wanted}').format(
                name=name, host=target, owner=owner, wanted=first
            ),
        )
    return name


def _check_hosts(entry: DomainEntry, path: KeyPath, context: Context) -> None:
    known = context.names.hosts
    for index, name in enumerate(entry.hosts):
        if name in entry.hosts[:index]:
            context.problem(
                (*path, "hosts", index),
                _('host "{host}" is in this list twice; keep one').format(host=show(name)),
            )
        elif context.names.hosts_known and name not in known:
            hosts = ", ".join(show(each) for each in known[:10])
            listed = "; " + _("the hosts are {hosts}").format(hosts=hosts) if known else ""
            hint = context.did_you_mean(name, known, listed)
            context.problem(
                (*path, "hosts", index),
                _('host "{host}" is not defined under `hosts`').format(host=show(name)) + hint,
            )


def _domain_aliases(
    entry: DomainEntry, path: KeyPath, domain: str | None, seen: dict[str, str], context: Context
) -> tuple[str, ...]:
    found: list[str] = []
    for index, text in enumerate(entry.domain_aliases):
        here: KeyPath = (*path, "domain_aliases", index)
        name = context.checked(here, text, names.domain)
        if name is None:
            continue
        if name == domain:
            context.problem(here, _('"{name}" is this domain itself; leave it out').format(name=name))
        elif name in context.names.locals:
            context.problem(
                here,
                _('"{name}" is a domain of its own in this file; it cannot be a domain alias, too').format(
                    name=name
                ),
            )
        elif name in seen:
            context.problem(
                here,
                _('"{name}" is already a domain alias of {domain}; keep one').format(
                    name=name, domain=seen[name]
                ),
            )
        else:
            seen[name] = domain or str(path[-1])
            found.append(name)
    return tuple(found)


def _mx(
    entry: DomainEntry, path: KeyPath, hosts: dict[str, tuple[str, str]], context: Context
) -> tuple[Mx, ...]:
    """`hosts`: full name → the name in this file, and more."""
    found: dict[str, Mx] = {}
    for index, each in enumerate(entry.mx):
        here: KeyPath = (*path, "mx", index, "host")
        name, ours = each.host, each.host in entry.hosts
        if not ours:
            known = name if name in context.names.hosts else ""
            if not known:
                full = context.checked(here, name, names.fqdn)
                if full is None:
                    continue
                name, known = full, hosts.get(full, ("",))[0]
            if known in entry.hosts:
                name, ours = known, True
            elif known:
                what = _(
                    "host {host} does not serve this domain, so it would refuse the mail; add it to `hosts`"
                ).format(host=show(known))
                context.problem(here, what)
                continue
        if name in found:
            context.problem(here, _('"{name}" is in this list twice; keep one').format(name=show(name)))
        elif each.preference is None and not ours:
            context.problem(
                (*path, "mx", index, "preference"), _("none is for hosts of this domain; leave the entry out")
            )
        else:
            found[name] = Mx(name, each.preference, ours)
    hidden = {each.host for each in found.values() if each.preference is None}
    if entry.hosts and hidden >= set(entry.hosts) and all(each.ours for each in found.values()):
        context.problem((*path, "mx"), _("leaves no MX at all; give one a preference"))
    return tuple(found.values())


def _spf(entry: DomainEntry, exchangers: tuple[Mx, ...], path: KeyPath, context: Context) -> Spf:
    found: dict[str, None] = {}
    for index, text in enumerate(entry.spf.include):
        here: KeyPath = (*path, "spf", "include", index)
        name = context.checked(here, text, names.spf_domain)
        if name in found:
            context.problem(here, _("{name} is in this list twice; keep one").format(name=name))
        elif name:
            found[name] = None
    # RFC 7208 section 4.6.4. The host's own name may be the domain's, which costs one more.
    named = entry.hosted is not None or any(not each.ours or each.preference is None for each in exchangers)
    own = len(entry.hosts) if named and entry.hosts else 1
    if (most := _SPF_LOOKUPS - own - 1) < len(found):
        what = _(
            "{count} domains are too many: SPF allows {limit} DNS lookups in all, and {left} are left for these"
        ).format(count=len(found), limit=_SPF_LOOKUPS, left=most)
        context.problem((*path, "spf", "include"), what)
    return Spf(tuple(found), entry.spf.all == "soft")


def _dkim(domain: DomainEntry, hosts: tuple[Host, ...], path: KeyPath, context: Context) -> Dkim:
    entry, here = domain.dkim, (*path, "dkim")
    unable = [host.name for host in hosts if host.name in domain.hosts and host.filter is Filter.NONE]
    if "ed25519" in entry.algorithms and unable:
        what = _(
            "ed25519 needs `filter: rspamd`, and {host} has `filter: none`, where OpenDKIM "
            "signs with rsa only"
        ).format(host=unable[0])
        context.problem((*here, "algorithms", entry.algorithms.index("ed25519")), what)
    for index, name in enumerate(entry.algorithms):
        if name in entry.algorithms[:index]:
            context.problem(
                (*here, "algorithms", index), _("{name} is in this list twice; keep one").format(name=name)
            )
    if not entry.algorithms:
        context.problem((*here, "algorithms"), _("is an empty list; write rsa, or leave `algorithms` out"))
    prefix = entry.selector or ""
    if prefix and not _SELECTOR.fullmatch(prefix):
        what = _('"{value}" is no beginning of a selector; use up to 20 of a-z, 0-9 and -, such as corp')
        context.problem((*here, "selector"), what.format(value=show(prefix)))
    return Dkim(tuple(entry.algorithms), prefix)


def _dmarc(
    of: DomainEntry, hosts: Sequence[Host], path: KeyPath, domain: str | None, context: Context
) -> Dmarc | None:
    entry = of.dmarc
    if entry is None:
        off = "dmarc" in of.model_fields_set  # or what stood there was wrong, and that was said
        ours = of.hosted is not None or any(host.managed for host in hosts)
        return Dmarc(asked=False) if ours and not off else None
    rua = None
    if entry.rua is not None and domain:
        lead = _("the DMARC reports would go to nobody")
        rua = recipients.target(entry.rua, (*path, "dmarc", "rua"), domain, lead, context=context)
    return Dmarc(entry.policy, rua)


def _mta_sts(entry: DomainEntry, hosts: Sequence[Host], path: KeyPath, context: Context) -> str | None:
    """What others deliver by must hold: with a certificate that they do not trust they deliver nothing."""
    wanted = entry.mta_sts
    if wanted not in ("testing", "enforce"):
        return wanted
    from mailprov.model import web  # few inventories have one

    here: KeyPath = (*path, "mta_sts")
    if hosts and not any(web.has(host) for host in hosts):
        what = _("`mta_sts` needs a host that serves the policy; write `web: true`, or leave it out")
        context.problem(here, what, key=True)
    for host in hosts:
        if host.tls.mode is TlsMode.SELF_SIGNED:
            what = _(
                "`mta_sts` is for hosts whose certificates others trust, and that of {host} is self-signed; write "
                "`tls: {{mode: acme}}`, or leave it out"
            )
            context.problem(here, what.format(host=host.name), key=True)
    return wanted


def _tls_rpt(text: str | None, path: KeyPath, domain: str | None, context: Context) -> str | None:
    if text is None or domain is None:
        return None
    lead = _("the TLS reports would go to nobody")
    return recipients.target(text, (*path, "tls_rpt"), domain, lead, context=context)
