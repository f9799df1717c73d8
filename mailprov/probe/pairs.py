"""Which domains send to which, and as whom.

    SUBMISSION                      ports that users hand mail in on
    Partner                         a domain, and what of delivery works there (`partners` finds that out)
    DeliveryPlan                        one message to send
    candidates(inventory, domain)   domains on other hosts
    plan_deliveries(selected, others, named) -> [DeliveryPlan]

Pure; raises nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailprov.model.inventory import Account, Domain, Inventory
from mailprov.model.ports import PORTS, Port

SUBMISSION = (587, 465)
_NAMED = 3  # domains in one sentence


@dataclass
class Partner:
    """`sender` hands mail in, `recipient` reads it; None where there is no such account. `ports`: where handing in
    works. `reads`: the mailbox can be read. `takes`: mail from other hosts finds its way there. `wrong`: what does not
    work. `unknown`: what could not be found out.
    """

    domain: Domain
    alone: bool = False  # no domain is on another host, so nothing is sent between hosts
    sender: Account | None = None
    recipient: Account | None = None
    ports: list[int] = field(default_factory=list)
    reads: bool = False
    takes: bool = False
    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def works(self) -> bool:
        """Whether another domain can send to it, get mail from it, and learn something by it."""
        return bool(self.ports) and self.reads and self.takes


@dataclass(frozen=True)
class DeliveryPlan:
    """One message to send. `alone`: why it stays on one host, where that is not because of the inventory."""

    sender_domain: Domain
    recipient_domain: Domain
    sender: Account
    recipient: Account
    port: Port
    alone: str = ""

    @property
    def local(self) -> bool:
        """Both ends on one host: Postfix hands the message to Dovecot itself, without MX and without port
        25.
        """
        return bool(set(self.sender_domain.hosts) & set(self.recipient_domain.hosts))


def candidates(inventory: Inventory, domain: Domain) -> list[Domain]:
    """Domains on other hosts, first those that stand behind it in the inventory: the work is spread."""
    mail = [item for item in inventory.domains if item.hosts]
    at = mail.index(domain)
    return [other for other in (*mail[at + 1 :], *mail[:at]) if not set(other.hosts) & set(domain.hosts)]


def plan_deliveries(
    inventory: Inventory, selected: Sequence[Domain], known: Mapping[str, Partner], named: str = ""
) -> list[DeliveryPlan]:
    """Each selected domain with a partner on another host that works, in both directions; on one host alone, or where
    no partner works, with itself. `known`: what is known of domains, by name; of others nothing is expected.
    `named`: the one partner for all that are not on its hosts.

    What cannot work is in no plan: why not is told once, where the domain was looked at.
    """
    plans: dict[tuple[str, str, int], DeliveryPlan] = {}
    mail = [item.name for item in inventory.domains if item.hosts]
    for domain in selected:
        mine = known.get(domain.name)
        if mine is None:
            continue
        apart = candidates(inventory, domain)
        if any(other.name == named for other in apart):
            apart = [other for other in apart if other.name == named]
        able = [known[other.name] for other in apart if other.name in known and known[other.name].works]
        # In turn, so that no single mailbox gets all the messages.
        partner = able[mail.index(domain.name) % len(able)] if able else mine
        alone = ""
        if apart and not able:
            alone = f"no domain on another host can take part ({_why(apart, known)})"
        for one, other in ((mine, partner), (partner, mine)):
            for number in one.ports:
                here = set(one.domain.hosts) & set(other.domain.hosts)
                if one.sender and other.recipient and other.reads and (here or other.takes):
                    plan = DeliveryPlan(
                        one.domain, other.domain, one.sender, other.recipient, _port(number), alone
                    )
                    plans.setdefault((one.domain.name, other.domain.name, number), plan)
    return list(plans.values())


def _why(domains: Sequence[Domain], known: Mapping[str, Partner]) -> str:
    """The first thing that is wrong with the first few of them."""
    said = []
    for domain in domains[:_NAMED]:
        partner = known.get(domain.name)
        wrong = [*partner.wrong, *partner.unknown] if partner else []
        said.append(f"{domain.name}: {wrong[0]}" if wrong else domain.name)
    return "; ".join(said) + ("; …" if len(domains) > _NAMED else "")


def _port(number: int) -> Port:
    return next(port for port in PORTS if port.number == number)
