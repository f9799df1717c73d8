"""The mailbox of an account for tests (`probe: true`): what its probes put there, and how it is emptied again.

    MailboxContext                    what the probes of a mailbox get, one after the other on the same account
        .imap(number), .pop()             logged in
        .put(client, size, part)          a marked message by APPEND; its UID, or the server's refusal
        .marked(client)                   UIDs of what this run put there
        .empty(client)                    takes it out again
    BOX, Put

Errors of `clients` pass through; ProbeError where a login is refused.
"""

from __future__ import annotations

import re
import secrets

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.findings import Target
from mailprov.model.inventory import Domain, Host
from mailprov.model.values import dataclass, field
from mailprov.probe.clients.client import Client
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.clients.imap import Imap, Response
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.context import Context, port_numbered
from mailprov.probe.mailauth import message
from mailprov.probe.targets import imap_port

BOX = "INBOX"
_POP = (995, 110)
_UID = re.compile(r"\[APPENDUID \d+ (\d+)\]", re.IGNORECASE)
_LINE = b"x" * 76 + b"\r\n"


@dataclass(frozen=True)
class Put:
    """`uid`: of what was stored, 0 where the server does not tell it. `refused`: its answer where it was not."""

    uid: int = 0
    refused: Response | None = None


@dataclass
class MailboxContext(Context):
    host: Host = field(kw_only=True)
    domain: Domain = field(kw_only=True)
    account: Account = field(kw_only=True)
    batch: str = field(default_factory=lambda: secrets.token_hex(12))
    warned: bool | None = None  # whether a warning came while it was filled; None: it was not filled
    port: int = 0  # that the finding is about

    @property
    def target(self) -> Target:
        address = self.run.addresses[self.host.name][0] if self.run.addresses.get(self.host.name) else ""
        number = self.port or (found.number if (found := imap_port(self.host)) else 0)
        return Target(self.host.name, address, number, self.domain.name, self.account.address)

    def session(self, number: int, account: Account | None = None) -> Client:
        """Logged in there over TLS that is trusted, as this account or another one."""
        account = account or self.account
        assert account.password is not None
        self.transcript.hide(account.password.reveal())
        addresses = self.run.addresses.get(self.host.name)
        if not addresses:
            raise ProbeError(_("no address of {host} is known").format(host=self.host.fqdn))
        client = self.open(self.host, addresses[0], port_numbered(number), secret=True)
        try:
            login = client.login(account.login_name, account.password.reveal())
            if not login.accepted:
                raise ProbeError(
                    _("login as {user} on {host} port {port} is refused: {reply}").format(
                        user=account.login_name, host=self.host.fqdn, port=number, reply=login.words
                    )
                )
        except BaseException:
            client.connection.close()
            raise
        return client

    def imap(self, account: Account | None = None) -> Imap:
        port = imap_port(self.host)
        assert port is not None
        client = self.session(port.number, account)
        assert isinstance(client, Imap)
        return client

    @property
    def pop_port(self) -> int:
        """0 where the host offers no POP."""
        return next((number for number in _POP if self.host.offers(port_numbered(number))), 0)

    def pop(self) -> Pop3:
        client = self.session(self.pop_port)
        assert isinstance(client, Pop3)
        return client

    def token(self, part: int) -> str:
        return f"{self.batch}{part:04x}"

    def text(self, size: int, part: int) -> bytes:
        """A message of about this size; never much smaller than a header."""
        address = self.account.address
        text = message.build(self.token(part), self.run.nonce, address, address, eight_bit=False)
        return text + _LINE * max(0, (size - len(text)) // len(_LINE))

    def put(self, client: Imap, size: int, part: int) -> Put:
        self.run.leftovers.note(self.host, self.account, f"HEADER {message.MARK} {self.batch}")
        response = client.append(BOX, self.text(size, part))
        if response.status != "OK":
            self.run.leftovers.refused(self.account, f"HEADER {message.MARK} {self.batch}")
            return Put(refused=response)
        found = _UID.search(response.text)
        return Put(int(found[1]) if found else 0)

    def marked(self, client: Imap) -> list[int]:
        return client.search_in(BOX, f"HEADER {message.MARK} {self.batch}")

    def empty(self, client: Imap) -> None:
        """Raises ProbeError where something stays."""
        found = self.marked(client)
        if found and (left := client.remove(found)):
            raise ProbeError(
                _("what was put into {address} could not be removed: {reason}").format(
                    address=self.account.address, reason=left
                )
            )
        self.run.leftovers.gone(self.account, f"HEADER {message.MARK} {self.batch}")
