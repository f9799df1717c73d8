"""Which domains send to which in the mail loop, and as whom.

Public: SUBMISSION, NO_ACCOUNT, LoopPlan, usable, plan_loops. Pure; raises nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mailprov.model.inventory import Account, Domain, Inventory
from mailprov.model.ports import PORTS, Port

# Ports that users hand mail in on.
SUBMISSION = (587, 465)
NO_ACCOUNT = "no account with a known password (only hashes, or none)"


@dataclass(frozen=True)
class LoopPlan:
    """One message to send. `skip` says why it cannot be sent; then the accounts may be missing."""

    sender_domain: Domain
    recipient_domain: Domain
    sender: Account | None
    recipient: Account | None
    port: Port
    skip: str = ""

    @property
    def local(self) -> bool:
        """Both ends on one host: Postfix hands the message to Dovecot itself, without MX and without port
        25.
        """
        return bool(set(self.sender_domain.hosts) & set(self.recipient_domain.hosts))


def usable(domain: Domain, *, reads: bool = False) -> Account | None:
    """An account with a known password; with `reads`, one whose mail also stays in its mailbox."""
    for account in domain.accounts:
        if account.password is not None and not (reads and account.forward and not account.forward.keep):
            return account
    return None


def plan_loops(inventory: Inventory, hosts: Collection[str], domains: Collection[str]) -> list[LoopPlan]:
    """Each domain with a partner on another host, in both directions; on one host alone, a local loop for
    each domain.
    """
    mail = [domain for domain in inventory.domains if domain.hosts]
    plans: dict[tuple[str, str, int], LoopPlan] = {}
    for i, domain in enumerate(mail):
        others = [*mail[i + 1 :], *mail[:i]]
        apart = [other for other in others if not set(other.hosts) & set(domain.hosts)]
        partners = [other for other in apart if usable(other, reads=True)] or apart[:1] or [domain]
        partner = partners[i % len(partners)]  # in turn, so that no single mailbox gets all the messages
        for one, other in ((domain, partner), (partner, domain)):
            if hosts and not {one.hosts[0], other.hosts[0]} & set(hosts):
                continue
            if domains and not {one.name, other.name} & set(domains):
                continue
            sender, recipient = usable(one), usable(other, reads=True)
            lacking = [item.name for item, account in ((one, sender), (other, recipient)) if account is None]
            skip = f"{NO_ACCOUNT} in {' and '.join(dict.fromkeys(lacking))}" if lacking else ""
            for number in SUBMISSION:
                plan = LoopPlan(one, other, sender, recipient, _port(number), skip)
                plans.setdefault((one.name, other.name, number), plan)
    return list(plans.values())


def _port(number: int) -> Port:
    return next(port for port in PORTS if port.number == number)
