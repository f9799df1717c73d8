"""Findings that are accepted, as they are meant. Loaded where an inventory has some.

    resolve(entry, hosts, domains, context) -> tuple[Accepted, …]

What is wrong goes to `context`. Whether there is such a probe is known where probes are loaded (run/accepting.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mailprov.i18n import _
from mailprov.inventory.schema import AcceptEntry, VerifyEntry
from mailprov.model.inventory import Accepted, Domain, Host
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show


def resolve(
    entry: VerifyEntry, hosts: Collection[Host], domains: Collection[Domain], context: Context
) -> tuple[Accepted, ...]:
    return tuple(
        _accepted(each, ("verify", "accept", number), hosts, domains, context)
        for number, each in enumerate(entry.accept)
    )


def _accepted(
    entry: AcceptEntry, path: KeyPath, hosts: Collection[Host], domains: Collection[Domain], context: Context
) -> Accepted:
    target = (entry.target or "").strip()
    if target and not _known(target, hosts, domains):
        names = [*(host.name for host in hosts), *(domain.name for domain in domains)]
        what = _(
            '"{target}" is no host, no host and port, no domain and no account of this inventory'
        ).format(target=show(target))
        context.problem((*path, "target"), what + context.did_you_mean(target, names))
    line, column = context.document.position(path)
    return Accepted(entry.probe, target.casefold(), entry.reason, entry.until or 0, line, column)


def _known(target: str, hosts: Iterable[Host], domains: Iterable[Domain]) -> bool:
    target = target.casefold()
    host, colon, port = target.rpartition(":")
    if colon and port.isdecimal() and 0 < int(port) < 65536:
        target = host
        return target in {each.name.casefold() for each in hosts}
    if "@" in target:
        return target in {account.address for each in domains for account in each.accounts}
    names = {each.name.casefold() for each in hosts}
    return target in names | {name for each in domains for name in (each.name, *each.domain_aliases)}
