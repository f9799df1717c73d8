"""One message on its way from a sender at A to a recipient at B: what the probes of delivery share.

Public: DeliveryContext. Its sessions raise the errors of `connection`, and ProbeError when a login is refused.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from mailprov.model.findings import Target
from mailprov.model.inventory import Account, Host
from mailprov.probe.checks.login import login_as
from mailprov.probe.clients.connection import ProbeError, ProtocolError
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.managesieve import Sieve
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.context import Context, port_numbered
from mailprov.probe.mailauth import message
from mailprov.probe.pairs import DeliveryPlan


@dataclass
class DeliveryContext(Context):
    """One message on its way. The probes leave here what the next one needs."""

    plan: DeliveryPlan = field(kw_only=True)
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    sent: bytes = b""
    not_sent: str = "not submitted (see delivery.submit)"
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
            raise ProbeError(f"no address of {host.fqdn} is known")
        return addresses[0]

    def session(self, host: Host, number: int, account: Account) -> Smtp | Imap | Pop3:
        """A session on `host`, logged in over trusted TLS."""
        assert account.password is not None
        self.transcript.hide(account.password.reveal())
        client = self.open(host, self.address(host), port_numbered(number), secret=True)
        try:
            let_in, words = login_as(client, account.login_name, account.password.reveal())
            if not let_in:
                raise ProbeError(
                    f"login as {account.login_name} on {host.fqdn} port {number} is refused: {words}"
                )
        except BaseException:
            client.connection.close()
            raise
        assert not isinstance(client, Sieve)
        return client

    def mailbox(self) -> Imap:
        """The recipient's mail over IMAP on 993."""
        client = self.session(self.recipient_host, 993, self.plan.recipient)
        assert isinstance(client, Imap)
        return client

    def search(self, client: Imap, folder: str) -> list[int]:
        response = client.select(folder)
        if response.status != "OK":
            raise ProtocolError(f"SELECT {folder} was refused: {response}")
        return client.search(f"HEADER {message.MARK} {self.token}")
