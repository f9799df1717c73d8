"""Where mail for an address belongs, by the inventory alone: what the probes `address.*` hold a server against.

    ends_of(inventory, address) -> Ends     the mailboxes that get one copy each, and what else is on the way
    Case                                    one message: to whom it goes, where it must be and where it must not
    Outcome                                 what came of it
    cases(inventory, domain, kind, …)       those of one domain; kinds are the names of the probes

It does not read what Postfix gets from mailprov (components/postfix/addresses.py): a mistake there would be one here.
Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.values import dataclass, field
from mailprov.probe.accounts import known, receives, usable
from mailprov.probe.targets import imap_port

ALIAS, LIST, FORWARD, DOMAIN_ALIAS, CATCH_ALL, DETAIL, COPIES, WITHIN, REPORTED, RETURNED = (
    "alias",
    "list",
    "forward",
    "domain-alias",
    "catch-all",
    "detail",
    "copies",
    "within",
    "reported",
    "returned",
)
# What the messages of each probe go to.
KINDS = {
    **{f"address.{kind}": kind for kind in (ALIAS, LIST, FORWARD, DOMAIN_ALIAS, CATCH_ALL, DETAIL)},
    "address.bcc": COPIES,
    "address.attachment": COPIES,
    "delivery.within": WITHIN,
    "dsn.success": REPORTED,
    "dsn.bounce": RETURNED,
}
REPORTS = (REPORTED, RETURNED)  # of which the sender is to get a report
AT_ONCE = 5  # addresses of one kind in a run, where it does not try all
_MAILBOXES = 20  # that one address may lead to, to be looked into


@dataclass
class Ends:
    """`accounts`: addresses of mailboxes. `outside`: addresses that no host of the inventory has. `deaf`: accounts that
    get no mail, and names that nobody has. `passed`: every address on the way. `crossings`: how often mail goes on from
    one host to another, at most.
    """

    accounts: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    crossings: int = 0


def ends_of(inventory: Inventory, address: str) -> Ends:
    ends = Ends()
    _follow(inventory, address.lower(), ends, (), 0)
    return ends


def _follow(inventory: Inventory, address: str, ends: Ends, hosts: tuple[str, ...], crossed: int) -> None:
    if address in ends.passed:
        return
    ends.passed.add(address)
    local, __, name = address.rpartition("@")
    domain = next((one for one in inventory.domains if name in (one.name, *one.domain_aliases)), None)
    if domain is None or not domain.hosts:
        ends.outside.add(address)
        return
    crossed += bool(hosts) and not set(hosts) & set(domain.hosts)
    ends.crossings = max(ends.crossings, crossed)
    for target in _targets(inventory, domain, local, ends):
        _follow(inventory, target, ends, domain.hosts, crossed)


def _targets(inventory: Inventory, domain: Domain, local: str, ends: Ends) -> Iterable[str]:
    """Where it goes on to; a mailbox of its own is noted."""
    delimiter = inventory.host(domain.hosts[0]).recipient_delimiter
    plain = local.partition(delimiter)[0] if delimiter and not local.startswith(delimiter) else local
    for each in dict.fromkeys((local, plain)):
        address = f"{each}@{domain.name}"
        for account in domain.accounts:
            if account.address != address:
                continue
            ends.passed.add(address)
            if not receives(account):
                ends.deaf.add(address)
                return ()
            if account.forward is None or account.forward.keep:
                ends.accounts.add(address)
            return [to for to in account.forward.to if to != address] if account.forward else ()
        for alias, target in domain.aliases:
            if alias == address:
                return (target,)
        for name, members in domain.lists:
            if name == address:
                return members
    if domain.catch_all:
        return (domain.catch_all,)
    ends.deaf.add(f"{local}@{domain.name}")
    return ()


@dataclass(frozen=True)
class Case:
    """`rcpts` are in one envelope. `absent`: mailboxes that must not get it. `outside`: who gets it where nobody looks.
    `why`: a reason for not sending it.
    """

    kind: str
    address: str
    rcpts: tuple[str, ...]
    accounts: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    passed: frozenset[str] = frozenset()
    crossings: int = 0
    outside: frozenset[str] = frozenset()
    why: str = ""


@dataclass
class Outcome:
    """`refused`: what the server said instead of taking it, `later` if it may take it another time. `found`: account →
    folder of each copy. `texts`: account → one copy. `reports`: what its sender got about it.
    """

    token: str
    sent: bytes = b""
    refused: str = ""
    later: bool = False
    found: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    reports: list[bytes] = field(default_factory=list)


def cases(
    inventory: Inventory, domain: Domain, kind: str, nonce: str, *, intrusive: bool = False
) -> list[Case]:
    """In the order of the inventory. `nonce`: for names that nobody has. `intrusive`: mail may go outside."""
    if kind == RETURNED:
        return [
            Case(kind, rcpt, (rcpt,), passed=frozenset({rcpt}), crossings=1)
            for rcpt in _unknown(inventory, domain, nonce)
        ]
    return [_case(inventory, kind, rcpts, intrusive) for rcpts in _written_to(inventory, domain, kind, nonce)]


def _unknown(inventory: Inventory, domain: Domain, nonce: str) -> Iterable[str]:
    """A name that nobody has, in a domain that another host refuses mail for such names of."""
    for other in inventory.domains:
        apart = other.hosts and not set(other.hosts) & set(domain.hosts)
        if apart and not other.catch_all and all(each.ours for each in other.exchangers):
            yield f"mailprov-{nonce}@{other.name}"
            return


def drawn(found: list[Case], run: str, count: int | None) -> list[Case]:
    """The same for the same run, others in the next one, so that in time every address has its turn."""
    if count is None or len(found) <= count:
        return found
    turns = sorted(found, key=lambda case: hashlib.sha256(f"{run} {case.address}".encode()).digest())
    return [case for case in found if case in turns[:count]]


def _written_to(inventory: Inventory, domain: Domain, kind: str, nonce: str) -> list[tuple[str, ...]]:
    here = [account.address for account in domain.accounts if receives(account)]
    readable = [account.address for account in known(domain) if account.address in here]
    host = inventory.host(domain.hosts[0])
    if kind == ALIAS:
        return [(alias,) for alias, __ in domain.aliases]
    if kind == LIST:
        return [(name,) for name, __ in domain.lists]
    if kind == FORWARD:
        return [(one.address,) for one in domain.accounts if one.forward is not None and one.address in here]
    if kind == DOMAIN_ALIAS:
        local = (readable or here)[0].rpartition("@")[0] if here else ""
        return [(f"{local}@{name}",) for name in domain.domain_aliases if local]
    if kind == CATCH_ALL:
        return [(f"mailprov-{nonce}@{domain.name}",)] if domain.catch_all else []
    plain = [
        one.address
        for one in sorted(domain.accounts, key=lambda account: account.probe)
        if one.address in readable and (one.forward is None or (one.forward.keep and not one.forward.to))
    ]
    if kind == DETAIL:
        if not (plain and host.managed and host.recipient_delimiter):
            return []
        local = plain[0].rpartition("@")[0]
        return [(f"{local}{host.recipient_delimiter}mailprov-{nonce}@{domain.name}",)]
    if kind in (WITHIN, REPORTED):
        sender = usable(domain)
        other = next((one for one in plain if sender is not None and one != sender.address), None)
        return [(other,)] if other else []
    return [tuple(plain[:3])] if len(plain) > 1 else []


def _case(inventory: Inventory, kind: str, rcpts: tuple[str, ...], intrusive: bool) -> Case:
    accounts: set[str] = set()
    outside: set[str] = set()
    deaf: set[str] = set()
    passed: set[str] = set()
    crossings = 0
    for rcpt in rcpts:
        ends = ends_of(inventory, rcpt)
        accounts |= ends.accounts
        outside |= ends.outside
        deaf |= ends.deaf
        passed |= ends.passed
        crossings = max(crossings, ends.crossings)
    readable = {
        account.address
        for domain in inventory.domains
        if domain.hosts
        for account in _read(inventory, domain)
    }
    why = ""
    if outside and not intrusive:
        why = _(
            "it leads to {names}, outside of this inventory's hosts: no test mail goes there without --intrusive"
        ).format(names=_some(outside))
    elif deaf:
        why = _("it leads to {names}, who get no mail (`state`, `expires`)").format(names=_some(deaf))
    elif closed := accounts - readable:
        why = _(
            "what would arrive could not be removed: the mailbox of {names} cannot be opened (only a hash of the "
            "password is known, its user owns it, it may not log in, or there is no IMAP)"
        ).format(names=_some(closed))
    elif len(accounts) > _MAILBOXES:
        why = _("it leads to {count} mailboxes, and {most} are the most that are looked into").format(
            count=len(accounts), most=_MAILBOXES
        )
    # Who sends on what comes and keeps nothing must keep nothing.
    absent = {address for address in passed if address in readable} - accounts
    return Case(
        kind,
        rcpts[0],
        rcpts,
        frozenset(accounts),
        frozenset(absent),
        frozenset(passed),
        crossings,
        frozenset(outside),
        why,
    )


def _read(inventory: Inventory, domain: Domain) -> list[Account]:
    return known(domain) if imap_port(inventory.host(domain.hosts[0])) else []


def _some(names: Iterable[str]) -> str:
    every = sorted(names)
    return ", ".join(every[:3]) + (" …" if len(every) > 3 else "")
