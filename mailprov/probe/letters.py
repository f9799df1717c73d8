"""A few messages to one account of a domain, some by a stranger on port 25, some handed in by a user: what becomes of
each.

    LetterContext     what the probes of such messages get
        .outcome(kind)     sends all that are wanted, waits and looks, once for all kinds; what came of one
    Outcome           what came of one message
    LETTERS           which messages each probe needs

What was sent is looked for once the host's queue has let go of it (`queues`), in all folders, and removed. Where the
host cannot be asked, what was accepted is waited for. Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

import itertools
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.findings import Target
from mailprov.model.inventory import Domain, Host
from mailprov.model.values import dataclass, field
from mailprov.probe.accounts import known
from mailprov.probe.clients.client import Client
from mailprov.probe.clients.errors import ProbeError, ReadTimeout
from mailprov.probe.clients.folders import LOOKS_PER_LOOK_AROUND, folders_at
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import Context, port_numbered
from mailprov.probe.deliveries import Partner
from mailprov.probe.mailauth import letters, message
from mailprov.probe.targets import imap_port

# What the messages of each probe are: its own, and what it is compared with.
LETTERS = {
    "stranger.mail": (letters.PLAIN,),
    "stranger.results": (letters.PLAIN,),
    "stranger.spam": (letters.PLAIN, letters.SPAM),
    "stranger.own-domain": (letters.PLAIN, letters.OWN),
    "spoof.header": (letters.BARE, letters.AS_OTHER),
    "delivery.header": (letters.BARE,),
}
_NAME = "mailprov-stranger.invalid"
BY_STRANGERS = (letters.PLAIN, letters.SPAM, letters.OWN)


@dataclass
class Outcome:
    """`reply` is the last one, to `at`. `folders` and `text`: of what arrived."""

    token: str
    reply: Reply | None = None
    at: str = ""
    taken: bool = False
    folders: list[str] = field(default_factory=list)
    text: bytes = b""
    from_address: str = ""  # ours, as the server saw it


@dataclass
class LetterContext(Context):
    partner: Partner = field(kw_only=True)
    kinds: tuple[str, ...] = field(kw_only=True)
    batch: str = field(default_factory=lambda: secrets.token_hex(12))
    left: str = ""  # why something of it stays in the mailbox

    def __post_init__(self) -> None:
        super().__post_init__()
        self._outcomes: dict[str, Outcome] | None = None
        self._named = True

    @property
    def domain(self) -> Domain:
        return self.partner.domain

    @property
    def host(self) -> Host:
        return self.run.inventory.host(self.domain.hosts[0])

    @property
    def recipient(self) -> Account:
        assert self.partner.recipient is not None
        return self.partner.recipient

    @property
    def sender(self) -> Account:
        assert self.partner.sender is not None
        return self.partner.sender

    @property
    def other(self) -> str:
        """Somebody else's address in the sender's domain."""
        others = [one.address for one in self.domain.accounts if one.address != self.sender.address]
        return others[0] if others else f"nobody-{self.run.nonce}@{self.domain.name}"

    @property
    def service(self) -> str:
        """Of the port that the user hands mail in on, as Postfix calls it."""
        return port_numbered(self.partner.ports[0]).service

    @property
    def target(self) -> Target:
        address = self._address() if self.run.addresses.get(self.host.name) else ""
        account = self.partner.recipient.address if self.partner.recipient else ""
        return Target(self.host.name, address, 25, self.domain.name, account)

    def outcome(self, kind: str) -> Outcome:
        if self._outcomes is None:
            self._outcomes = {
                each: Outcome(f"{self.batch}{number:02x}") for number, each in enumerate(self.kinds)
            }
            self.run.filling.wait([self.recipient.address], self.run.stop)
            self._send_all(self._outcomes)
            if any(outcome.taken for outcome in self._outcomes.values()):
                self._look(self._outcomes)
        return self._outcomes[kind]

    @property
    def _search(self) -> str:
        return f"HEADER {message.MARK} {self.batch}"

    def _address(self) -> str:
        addresses = self.run.addresses.get(self.host.name)
        if not addresses:
            raise ProbeError(_("no address of {host} is known").format(host=self.host.fqdn))
        return addresses[0]

    # Sending.

    def _send_all(self, outcomes: dict[str, Outcome]) -> None:
        """What strangers send and what users hand in at the same time, each one by one."""
        parts = [
            [each for each in outcomes if (each in BY_STRANGERS) is strangers] for strangers in (True, False)
        ]
        contexts = [replace(self) for __ in parts]  # each with a transcript of its own

        def send(context: LetterContext, kinds: list[str]) -> None:
            for kind in kinds:
                context._send(kind, outcomes[kind])

        with ThreadPoolExecutor(len(parts), thread_name_prefix="letters") as pool:
            sent = [pool.submit(send, context, kinds) for context, kinds in zip(contexts, parts, strict=True)]
        for context in contexts:
            self.transcript.lines += context.transcript.lines
            self.late = self.late or context.timed_out
            self.waits_for = self.waits_for or context.waits_for
        for each in sent:
            each.result()

    def _send(self, kind: str, outcome: Outcome) -> None:
        """Each in a session of its own: a filter may hang up on one of them."""
        own = self.recipient.address
        stranger = kind in BY_STRANGERS
        if stranger:
            client = self.open(self.host, self._address(), port_numbered(25))
            sender, author = ("", letters.STRANGER) if kind != letters.OWN else (own, own)
        else:
            client = self._login(self.partner.ports[0], self.sender)
            sender, author = self.sender.address, self.sender.address
            if kind == letters.AS_OTHER:
                author = self.other
        assert isinstance(client, Smtp)
        text = letters.build(kind, outcome.token, self.run.nonce, author, own, self.host.fqdn)
        with client.connection:
            outcome.from_address = client.connection.local_address
            if stranger and self._named:  # filters think little of who has only an address
                client.take_extensions(client.command(f"EHLO {_NAME}"))
            outcome.reply, outcome.at = client.mail(sender), f"MAIL FROM:<{sender}>"
            if outcome.reply.kind == 2:
                outcome.reply, outcome.at = client.rcpt(own), f"RCPT TO:<{own}>"
            if outcome.reply.kind == 2:
                self.run.leftovers.note(self.host, self.recipient, self._search)
                outcome.reply, outcome.at = client.data(text), _("the message")
                outcome.taken = outcome.reply.kind == 2
                if not outcome.taken:
                    self.run.leftovers.refused(self.recipient, self._search)
            client.quit()
        refused = outcome.reply.code in (450, 504, 550, 554) and outcome.at.startswith("RCPT")
        if stranger and self._named and refused:  # it may be that name that it does not like
            self._named = False
            self._send(kind, outcome)

    def _login(self, number: int, account: Account) -> Client:
        assert account.password is not None
        self.transcript.hide(account.password.reveal())
        client = self.open(self.host, self._address(), port_numbered(number), secret=True)
        try:
            login = client.login(account.login_name, account.password.reveal())
            if not login.accepted:
                form = _("login as {user} on {host} port {port} is refused: {reply}")
                raise ProbeError(
                    form.format(user=account.login_name, host=self.host.fqdn, port=number, reply=login.words)
                )
        except BaseException:
            client.connection.close()
            raise
        return client

    # Looking.

    def _look(self, outcomes: dict[str, Outcome]) -> None:
        account = next(one for one in known(self.domain) if one.address == self.recipient.address)
        port = imap_port(self.host)
        assert port is not None
        gone = self.run.queues.gone(self.host, [account.address])
        arrival = self.new_deadline(self.run.timing.delivery)
        by_token = {outcome.token: outcome for outcome in outcomes.values()}
        with self.run.user_slot(self.host.name, account.address):
            self.deadline = self.new_deadline(self.seconds)
            client = self._login(port.number, account)
            assert isinstance(client, Imap)
            with client.connection:
                for turn in itertools.count(LOOKS_PER_LOOK_AROUND if gone.sure else 1):
                    self._collect(client, turn, by_token)
                    if gone.sure or all(one.folders for one in outcomes.values() if one.taken):
                        break
                    try:
                        arrival.pause(self.run.timing.poll)
                    except ReadTimeout:
                        break
                client.quit()
        if not self.left and all(one.folders for one in outcomes.values() if one.taken):
            self.run.leftovers.gone(account, self._search)

    def _collect(self, client: Imap, turn: int, by_token: dict[str, Outcome]) -> None:
        """What is there of this run, noted and removed."""
        for folder in folders_at(client, turn):
            uids = client.search_in(folder, self._search)
            for uid in uids:
                text = client.fetch(uid)
                mark = f"{message.MARK}: ".encode()
                header = text.partition(b"\r\n\r\n")[0]
                outcome = next(
                    (one for token, one in by_token.items() if mark + token.encode() in header), None
                )
                if outcome is not None:
                    outcome.folders.append(folder)
                    outcome.text = text
            if uids:
                self.left = client.remove(uids) or self.left
