"""Mail that would go round for ever: circles of aliases, lists and forwards, also across domains.

`check_loops(domains, context)` says each once, to `context.problems`.
"""

from __future__ import annotations

from mailprov.i18n import N_, _
from mailprov.model.inventory import Domain
from mailprov.schema.context import Context

_LOOPS = {
    "forwarding": N_("forwarding loop: {addresses}; let one of them lead elsewhere"),
    "alias": N_("alias loop: {addresses}; let one of them lead elsewhere"),
    "list": N_("list loop: {addresses}; let one of them lead elsewhere"),
    "mail": N_("mail loop: {addresses}; let one of them lead elsewhere"),
}


def check_loops(domains: list[Domain], context: Context) -> None:
    """Says each circle of aliases, lists and forwards once, at its entry that is read first."""
    edges: dict[str, tuple[str, ...]] = {}
    kinds: dict[str, str] = {}
    for domain in domains:
        for account in domain.accounts:
            if account.forward and account.address:
                edges[account.address], kinds[account.address] = account.forward.to, "forwarding"
        for alias, to in domain.aliases:
            edges[alias], kinds[alias] = (to,), "alias"
        for name, members in domain.lists:
            edges[name], kinds[name] = members, "list"
    order = {address: index for index, address in enumerate(edges)}
    for circle in _circles(edges):
        start = min(range(len(circle)), key=lambda index: order[circle[index]])
        ring = [*circle[start:], *circle[:start], circle[start]]
        mixed = {kinds[address] for address in circle}
        text = _LOOPS[mixed.pop() if len(mixed) == 1 else "mail"]
        one_domain = len({address.rpartition("@")[2] for address in ring}) == 1
        shown = " → ".join(address.rpartition("@")[0] if one_domain else address for address in ring[:12])
        more = " → …" if len(ring) > 12 else ""
        context.problem(
            context.defined[ring[0]],
            _(text).format(addresses=f"{shown}{more}"),
        )


def _circles(edges: dict[str, tuple[str, ...]]) -> list[list[str]]:
    """Circles of the graph without a node in common, at least one of every knot.

    Depth first with a stack of our own: chains may be long.
    """
    found: list[list[str]] = []
    told: set[str] = set()
    done: set[str] = set()
    for root, targets in edges.items():
        if root in done:
            continue
        trail: list[str] = [root]
        place = {root: 0}
        work = [iter(targets)]
        while work:
            following = next(work[-1], None)
            if following is None:
                work.pop()
                last = trail.pop()
                del place[last]
                done.add(last)
            elif following in place:
                circle = [] if {following, trail[-1]} & told else trail[place[following] :]
                if circle and not told.intersection(circle):
                    found.append(circle)
                    told.update(circle)
            elif following in edges and following not in done:
                place[following] = len(trail)
                trail.append(following)
                work.append(iter(edges[following]))
    return found
