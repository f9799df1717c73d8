"""Where the mail of a domain is that the inventory states for own hosts and for a provider: the zone says that.

    settled(inventory, say) -> Inventory     each such domain as it is now: at one side, or somewhere in a move
    state(inventory, domain) -> State        the same for one, with what its move has to know
    refuse_steps(plans, …)                   only a move's own run goes a step
    refuse_back(inventory, images)           what a rollback must not take back of one
    seen(inventory) -> Inventory             for verification: each where its mail goes

A move that is going on has a record in the zone (model/moving.py), and that decides. Where there is none, the MX do:
they are what senders go by. So whatever runs on whichever machine takes the same for granted.

Raises DnsUnreachable, DnsFailed: of a zone that cannot be read, or tells something else than the inventory, nothing is
taken for granted, and nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mailprov.errors import DnsFailed, DnsUnreachable
from mailprov.i18n import _
from mailprov.model.hosted import same_mx
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.moving import HOSTS, Moving, read, record_name
from mailprov.model.values import dataclass, field
from mailprov.records.types.spf import of_both

if TYPE_CHECKING:
    from mailprov.dns import ZonePlan


@dataclass(frozen=True)
class State:
    """`moving`: a move that is going on. `side`: where the MX lead, HOSTS or the provider's name; empty for neither.
    `mx`: their names. `ttls`: of the domain's MX and TXT records, seconds.
    """

    moving: Moving | None
    side: str
    mx: tuple[str, ...] = ()
    ttls: Mapping[str, int] = field(default_factory=dict)


def settled(inventory: Inventory, say: Callable[[str], None] = lambda text: None) -> Inventory:
    """The inventory itself where no domain states both sides."""
    if not any(domain.two_sided and domain.moving is None for domain in inventory.domains):
        return inventory
    domains: list[Domain] = []
    for domain in inventory.domains:
        if not domain.two_sided or domain.moving is not None:
            domains.append(domain)
            continue
        now = state(inventory, domain)
        domains.append(as_now(inventory, domain, now))
        say(_said(domain, now))
    return replace(inventory, domains=tuple(domains))


def as_now(inventory: Inventory, domain: Domain, now: State) -> Domain:
    if now.moving is not None:
        return replace(domain, moving=now.moving)
    if not now.side:
        raise DnsFailed(
            _("domain {domain}").format(domain=domain.name),
            _("the inventory states `hosts` and `hosted`, and its MX lead to neither: {mx}").format(
                mx=", ".join(now.mx) or _("there are none")
            ),
            _("Leave one of the two keys out, and put it back when an apply has published the domain"),
        )
    return domain.at_hosts() if now.side == HOSTS else domain.at_provider()


def _said(domain: Domain, now: State) -> str:
    assert domain.hosted is not None, "asked of domains that state both sides"
    if now.moving is not None:
        return _("{domain} moves to {to}; `mailprov dns move` goes on with it").format(
            domain=domain.name, to=title(domain, now.moving.to)
        )
    return _(
        "{domain} has `hosts` and `hosted` in the inventory; its MX lead to {side}, so that is what it is taken for"
    ).format(domain=domain.name, side=title(domain, now.side))


def title(domain: Domain, side: str) -> str:
    """What people call this side: `mx1, mx2`, or `Google Workspace`."""
    if side == HOSTS or domain.hosted is None:
        return ", ".join(domain.hosts)
    return _(domain.hosted.provider.title)


def state(inventory: Inventory, domain: Domain) -> State:
    there = domain.hosted
    assert there is not None, "asked of domains that state both sides"
    mx, texts, ttls = _read(inventory, domain)
    found = [moving for text in texts if (moving := read(text)) is not None]
    where = _("domain {domain}").format(domain=domain.name)
    if len(found) > 1:
        raise DnsFailed(
            where,
            _("{name} TXT has {count} states of a move").format(
                name=record_name(domain.name), count=len(found)
            ),
            _("Remove all but the last one"),
        )
    if found and found[0].to not in (HOSTS, there.provider.name):
        raise DnsFailed(
            where,
            _("it moves to {to}, as {name} TXT says, and the inventory has {provider}").format(
                to=found[0].to, name=record_name(domain.name), provider=there.provider.name
            ),
            _("Put `hosted` back as it was when the move began; a provider can be changed when it has ended"),
        )
    return State(found[0] if found else None, _side(inventory, domain, mx), tuple(sorted(mx)), ttls)


def _side(inventory: Inventory, domain: Domain, mx: Mapping[str, int]) -> str:
    assert domain.hosted is not None
    ours = {inventory.host(name).fqdn for name in domain.hosts}
    theirs = {name for __, name in domain.hosted.mx}
    if mx and (mx.keys() <= theirs or same_mx(theirs, mx)):
        return domain.hosted.provider.name
    return HOSTS if ours & mx.keys() and not theirs & mx.keys() else ""


def _read(inventory: Inventory, domain: Domain) -> tuple[dict[str, int], tuple[str, ...], dict[str, int]]:
    """MX and their preferences, the texts at the name of the move, TTLs."""
    name, move = domain.name, record_name(domain.name)
    settings = inventory.dns.at(name)
    if not settings.provider.publishes:
        from mailprov.probe.clients.resolver import NoAnswer, Resolver, first_at

        resolver = Resolver(first_at(inventory.dns))
        try:
            return _preferences(resolver.ask(name, "MX").values), resolver.ask(move, "TXT").values, {}
        except NoAnswer as error:
            raise DnsUnreachable(
                _("domain {domain}").format(domain=name),
                _("where its mail is cannot be asked: {reason}").format(reason=error),
                _(
                    "Try again when its name servers answer, or leave `hosts` or `hosted` out of the inventory"
                ),
            ) from error
    from mailprov.dns.standing import standing

    stands = standing(settings, [(name, "MX"), (name, "TXT"), (move, "TXT")])
    values = {key: rrset.values for key, rrset in stands.items()}
    ttls = {kind: stands[name, kind].ttl for kind in ("MX", "TXT") if (name, kind) in stands}
    return _preferences(values.get((name, "MX"), ())), values.get((move, "TXT"), ()), ttls


def _preferences(values: tuple[str, ...]) -> dict[str, int]:
    parts = (value.split() for value in values)
    return {name: int(preference) for preference, name in parts}


def refuse_steps(plans: Iterable[ZonePlan], inventory: Inventory, own: str) -> None:
    """Raises DnsFailed where a plan would go a step in a move, or back. Only a move's own run may (`own` is its
    domain): what any other has read of it, it leaves as it is, unless somebody took a step since it was read.
    """
    moving = {record_name(domain.name): domain.name for domain in inventory.domains if domain.moving}
    for plan in plans:
        for edit in plan.work.diff.edits if plan.work else ():
            name = moving.get(edit.name)
            if name is None or name == own or set(edit.add) == set(edit.remove):
                continue
            there = plan.work.snapshot.get((edit.name, edit.type)) if plan.work else None
            if there is not None and set(edit.add) <= set(there.values) and not edit.remove:
                continue  # its TTL
            raise DnsFailed(
                plan.subject,
                _("the move of {domain} went on since it was looked at").format(domain=name),
                _("Run the command again"),
            )


def refuse_back(inventory: Inventory, images: Iterable[Mapping[str, Any]]) -> None:
    """Raises DnsFailed where mail of a domain comes to own hosts, and a rollback of these images (the oldest first)
    would have it go to the provider again and the hosts not take it any more: they go back first, and while answers of
    DNS still lead to them, what their own users send would be returned. A move that turns back waits in between.
    """
    before: dict[tuple[str, str], tuple[str, ...]] = {}
    after: dict[tuple[str, str], tuple[str, ...]] = {}
    for image in images:
        for each in image["sets"]:
            key = (each["name"], each["type"])
            before.setdefault(key, tuple(each["before"]["values"] if each["before"] else ()))
            after[key] = tuple(each["after"]["values"] if each["after"] else ())
    for domain in inventory.domains:
        mx, move = (domain.name, "MX"), (record_name(domain.name), "TXT")
        if not (domain.two_sided or move in before) or mx not in before:
            continue
        ours = {inventory.host(name).fqdn for name in domain.hosts}
        was = next((moving for text in before.get(move, ()) if (moving := read(text))), None)
        leaves = ours & _preferences(after[mx]).keys() and not ours & _preferences(before[mx]).keys()
        if leaves and before[mx] and not (was is not None and was.hosts_take_mail):
            raise DnsFailed(
                _("domain {domain}").format(domain=domain.name),
                _(
                    "that run brought its mail to {hosts}; back at once, they would take no more of it while senders "
                    "still bring it there"
                ).format(hosts=", ".join(domain.hosts)),
                _("`mailprov dns move {domain} --to {provider}` turns back, and waits in between").format(
                    domain=domain.name,
                    provider=domain.hosted.provider.name if domain.hosted else _("PROVIDER"),
                ),
            )


def seen(inventory: Inventory) -> Inventory:
    known = settled(inventory)
    return replace(known, domains=tuple(_one_sided(domain) for domain in known.domains))


def _one_sided(domain: Domain) -> Domain:
    moving = domain.moving
    if moving is None:
        return domain
    spf = of_both(domain) if moving.both_send else domain.spf
    if moving.mail_at_hosts:
        return replace(domain.at_hosts(), spf=spf)
    there = domain.at_provider()
    return replace(there, spf=replace(spf, soft=spf.soft or there.spf.soft))
