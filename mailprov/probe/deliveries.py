"""Mail between domains: who sends to whom and as whom, and one message on its way.

    SUBMISSION                      ports that users hand mail in on
    Partner                         a domain, and what of delivery works there
    candidates(inventory, domain)   domains on other hosts
    DeliveryPlan, plan_deliveries(inventory, selected, known, named)     the messages to send
    PartnerContext, DeliveryContext                                  what the probes of delivery get

Planning is pure. Sessions of the contexts raise the errors of `clients`, and ProbeError when a login is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.findings import Target
from mailprov.model.inventory import Domain, Host, Inventory
from mailprov.model.ports import Port
from mailprov.model.values import dataclass, field
from mailprov.probe.clients.client import Client
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.clients.imap import Imap
from mailprov.probe.context import Context, port_numbered
from mailprov.probe.mailauth import message
from mailprov.probe.targets import imap_port

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
            alone = _("no domain on another host can take part ({reason})").format(reason=_why(apart, known))
        for one, other in ((mine, partner), (partner, mine)):
            for number in one.ports:
                here = set(one.domain.hosts) & set(other.domain.hosts)
                if one.sender and other.recipient and other.reads and (here or other.takes):
                    plan = DeliveryPlan(
                        one.domain, other.domain, one.sender, other.recipient, port_numbered(number), alone
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


@dataclass
class PartnerContext(Context):
    """`partner` is filled with what is found."""

    partner: Partner = field(kw_only=True)

    @property
    def host(self) -> Host:
        return self.run.inventory.host(self.partner.domain.hosts[0])

    @property
    def address(self) -> str:
        addresses = self.run.addresses.get(self.host.name)
        if not addresses:
            raise ProbeError(_("no address of {host} is known").format(host=self.host.fqdn))
        return addresses[0]

    @property
    def target(self) -> Target:
        addresses = self.run.addresses.get(self.host.name, ())
        return Target(self.host.name, addresses[0] if addresses else "", 0, self.partner.domain.name)


@dataclass
class DeliveryContext(Context):
    """One message on its way. The probes leave here what the next one needs."""

    plan: DeliveryPlan = field(kw_only=True)
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    sent: bytes = b""
    not_sent: str = field(default_factory=lambda: _("not submitted (see delivery.submit)"))
    fetched: bytes = b""
    folder: str = "INBOX"
    removed: bool = False

    @property
    def sender_host(self) -> Host:
        return self.run.inventory.host(self.plan.sender_domain.hosts[0])

    @property
    def recipient_host(self) -> Host:
        return self.run.inventory.host(self.plan.recipient_domain.hosts[0])

    @property
    def target(self) -> Target:
        return self.at(self.sender_host, self.plan.port.number, self.plan.sender)

    def at(self, host: Host, port: int, account: Account | None) -> Target:
        address = self.run.addresses[host.name][0] if self.run.addresses.get(host.name) else ""
        pair = f"{self.plan.sender_domain.name}->{self.plan.recipient_domain.name}"
        return Target(host.name, address, port, pair, account.address if account else "")

    def address(self, host: Host) -> str:
        addresses = self.run.addresses.get(host.name)
        if not addresses:
            raise ProbeError(_("no address of {host} is known").format(host=host.fqdn))
        return addresses[0]

    def session(self, host: Host, number: int, account: Account) -> Client:
        """A session on `host`, logged in over trusted TLS."""
        assert account.password is not None
        self.transcript.hide(account.password.reveal())
        client = self.open(host, self.address(host), port_numbered(number), secret=True)
        try:
            login = client.login(account.login_name, account.password.reveal())
            if not login.accepted:
                raise ProbeError(
                    _("login as {user} on {host} port {port} is refused: {reply}").format(
                        user=account.login_name, host=host.fqdn, port=number, reply=login.words
                    )
                )
        except BaseException:
            client.connection.close()
            raise
        return client

    def mailbox(self) -> Imap:
        """The recipient's mail over IMAP. A domain without it takes no part (`delivery.ready`)."""
        port = imap_port(self.recipient_host)
        assert port is not None
        client = self.session(self.recipient_host, port.number, self.plan.recipient)
        assert isinstance(client, Imap)
        return client

    def note(self) -> None:
        """It will be in the recipient's mailbox, if the run ends before it is removed there."""
        self.run.leftovers.note(self.recipient_host, self.plan.recipient, self._search)

    def forget(self) -> None:
        """It is not there, or no more."""
        self.run.leftovers.gone(self.plan.recipient, self._search)

    @property
    def _search(self) -> str:
        return f"HEADER {message.MARK} {self.token}"

    def search(self, client: Imap, folder: str) -> list[int]:
        return client.search_in(folder, self._search)
