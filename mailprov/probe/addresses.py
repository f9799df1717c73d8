"""Messages to every kind of address of a domain: sent in one session, looked for in the mailboxes, and removed there.

    AddressContext     what the probes `address.*` get: the cases of their domain, and what came of each
        .cases(kind)       those that this run sends, or has a reason not to send
        .outcome(case)     sends and looks, once for all kinds

Nothing more comes once the hosts' queues have let go of it (`queues`): then each mailbox is looked into once. Where the
hosts cannot be asked, what is expected is waited for, and a second copy that is late is not seen: `weaker` says so.
Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.findings import Target
from mailprov.model.inventory import Domain, Host
from mailprov.model.values import dataclass, field
from mailprov.probe.accounts import keeps, known
from mailprov.probe.clients.client import Client
from mailprov.probe.clients.connection import Deadline
from mailprov.probe.clients.errors import ProbeError, ReadTimeout
from mailprov.probe.clients.folders import folders_at
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.context import Context, port_numbered
from mailprov.probe.deliveries import Partner
from mailprov.probe.expected_mail import (
    AT_ONCE,
    COPIES,
    REPORTED,
    REPORTS,
    RETURNED,
    WITHIN,
    Case,
    Outcome,
    cases,
    drawn,
)
from mailprov.probe.mailauth import copies, message
from mailprov.probe.targets import imap_port

# Mailboxes of the domain that should have nothing, and are looked into all the same; and where something is lost.
_OTHERS, _OTHERS_OF_LOST = 4, 20
_EVERY_FOLDER = 10  # the look that goes through all of them (clients/folders.py)


@dataclass
class AddressContext(Context):
    partner: Partner = field(kw_only=True)
    kinds: tuple[str, ...] = field(kw_only=True)
    batch: str = field(default_factory=lambda: secrets.token_hex(12))
    weaker: str = ""  # why a copy that is still on its way would not be seen
    waiting: str = ""  # what Postfix says of one that stays in its queue
    offers_reports: bool = True  # the server takes requests for reports (DSN)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._every = {
            kind: cases(self.run.inventory, self.domain, kind, self.run.nonce, intrusive=self.run.intrusive)
            for kind in self.kinds
        }
        self._outcomes: dict[Case, Outcome] | None = None

    @property
    def domain(self) -> Domain:
        return self.partner.domain

    @property
    def host(self) -> Host:
        return self.run.inventory.host(self.domain.hosts[0])

    @property
    def port(self) -> int:
        return self.partner.ports[0]

    @property
    def target(self) -> Target:
        return Target(host=self.host.name, domain=self.domain.name)

    def of(self, case: Case) -> Target:
        return Target(host=self.host.name, domain=self.domain.name, account=case.address)

    def cases(self, kind: str) -> list[Case]:
        count = None if self.run.accounts is None else AT_ONCE
        return drawn(self._every.get(kind, []), self.run.ident, count)

    def lacking(self, kind: str) -> str:
        """Why nothing is sent of this kind, where that is worth a line: not where the inventory has no such address."""
        if kind in (COPIES, WITHIN, REPORTED):
            form = _(
                "fewer than two accounts of {domain} with known passwords keep their mail in a mailbox of their own"
            )
            return form.format(domain=self.domain.name)
        if kind == RETURNED:
            return _("no domain is on another host that refuses mail for names that nobody has")
        return ""

    @property
    def bounced(self) -> int:
        """Messages that came back, of those that should not."""
        every = self._outcomes or {}
        return sum(len(every[case].reports) for case in every if case.kind not in REPORTS)

    def left_out(self, kind: str) -> int:
        return len(self._every.get(kind, [])) - len(self.cases(kind))

    def outcome(self, case: Case) -> Outcome:
        if self._outcomes is None:
            self._outcomes = {}
            every = [each for kind in self.kinds for each in self.cases(kind) if not each.why]
            reached = {address for each in every for address in each.accounts}
            self.run.filling.wait(reached, self.run.stop)
            self._send(every)
            taken = [each for each in self._outcomes if self._outcomes[each].sent]
            if taken:
                self._empty_queues(taken)
                self._look(taken)
        return self._outcomes[case]

    # Sending.

    def _send(self, every: list[Case]) -> None:
        """All in one session. Where that breaks off, what was taken before is looked for all the same."""
        assert self._outcomes is not None
        assert self.partner.sender is not None
        sender = self.partner.sender
        for number, case in enumerate(every):
            self._outcomes[case] = Outcome(f"{self.batch}{number:04x}")
        try:
            client = self._login(self.host, self.port, sender)
            assert isinstance(client, Smtp)
            with client.connection:
                for case, outcome in self._outcomes.items():
                    self._hand_in(client, sender.address, case, outcome)
                client.quit()
        except ProbeError as error:
            waiting = [each for each in self._outcomes.values() if not (each.sent or each.refused)]
            if len(waiting) == len(self._outcomes):
                raise
            for outcome in waiting:
                outcome.refused, outcome.later = str(error), True

    def _hand_in(self, client: Smtp, sender: str, case: Case, outcome: Outcome) -> None:
        eight_bit = "8BITMIME" in client.extensions
        if case.kind == COPIES:
            text = copies.build(outcome.token, self.run.nonce, sender, case.rcpts)
        else:
            text = message.build(outcome.token, self.run.nonce, sender, case.address, eight_bit=eight_bit)
        asks = case.kind == REPORTED
        if asks and "DSN" not in client.extensions:
            self.offers_reports = False
            outcome.refused = _("the server does not offer DSN")
            return
        reply = client.mail(sender, eight_bit, envelope=outcome.token if asks else "")
        at = f"MAIL FROM:<{sender}>"
        for rcpt in case.rcpts:
            if reply.kind == 2:
                reply = client.rcpt(rcpt, notify="SUCCESS,FAILURE" if asks else "")
                at = f"RCPT TO:<{rcpt}>"
        if reply.kind == 2:
            self._note(case)
            reply, at = client.data(text), _("the message")
        if reply.code == 250:
            outcome.sent = text
        else:
            if at == _("the message"):
                self._note(case, refused=True)
            outcome.refused = _("{command} gets {reply}").format(command=at, reply=reply)
            outcome.later = reply.kind == 4
            client.command("RSET")

    def _note(self, case: Case, *, refused: bool = False) -> None:
        """Where it will be, if the run ends before it is looked for; and what its sender may get about it."""
        places = [(*self._owner(address), self._search) for address in case.accounts]
        sender = self.partner.sender
        if (case.kind in REPORTS or case.outside) and sender is not None and keeps(sender):
            places.append((self.host, sender, self._search_reports))
        for host, account, search in places:
            if refused:
                self.run.leftovers.refused(account, search)
            else:
                sure = search == self._search or case.kind in REPORTS
                self.run.leftovers.note(host, account, search, sure=sure)

    @property
    def _search(self) -> str:
        return f"HEADER {message.MARK} {self.batch}"

    @property
    def _search_reports(self) -> str:
        return f"TEXT {self.batch}"

    def _login(self, host: Host, number: int, account: Account) -> Client:
        assert account.password is not None
        self.transcript.hide(account.password.reveal())
        addresses = self.run.addresses.get(host.name)
        if not addresses:
            raise ProbeError(_("no address of {host} is known").format(host=host.fqdn))
        client = self.open(host, addresses[0], port_numbered(number), secret=True)
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

    # Looking.

    def _empty_queues(self, taken: list[Case]) -> None:
        """Until the hosts have let go of all of it: first the sender's, then those where mail goes on to."""
        passed = set().union(*(case.passed for case in taken))
        if self._reports_of(taken) and self.partner.sender is not None:
            passed.add(self.partner.sender.address)
        names = {address.rpartition("@")[2] for address in passed}
        others = [
            self.run.inventory.host(domain.hosts[0])
            for domain in self.run.inventory.domains
            if domain.hosts and names & {domain.name, *domain.domain_aliases}
        ]
        route = [self.host]
        for __ in range(max(case.crossings for case in taken)):
            route += [host for host in {each.name: each for each in others}.values() if host != route[-1]]
        for host in route:
            left = self.run.queues.gone(host, passed)
            if not left.sure:
                self.weaker = left.why
                self.waiting = left.why if left.waiting else ""
                return
        if far := [each for each in self._uninvolved(passed) if not each.endswith(f"@{self.domain.name}")]:
            self.run.queues.gone(self.host, far)  # what went astray has left, too

    def _look(self, taken: list[Case]) -> None:
        """Into each mailbox once, where nothing more can come; else until all that is expected is there."""
        assert self._outcomes is not None
        arrival = self.new_deadline(self.run.timing.delivery)
        wanted: dict[str, set[str]] = {}
        for case in taken:
            for account in case.accounts:
                wanted.setdefault(account, set()).add(self._outcomes[case].token)
            for account in case.absent:
                wanted.setdefault(account, set())
        by_token = {outcome.token: outcome for outcome in self._outcomes.values()}
        for address in sorted(wanted, key=lambda each: not wanted[each]):
            self._open(address, wanted[address], by_token, arrival)
        nothing = self._uninvolved(wanted)
        for address in nothing:
            self._open_other(address, by_token, arrival)
        lost = any(
            token not in self._arrived(account) for account, tokens in wanted.items() for token in tokens
        )
        reported = self._reports_of(taken)
        if (lost or reported) and self.partner.sender is not None and keeps(self.partner.sender):
            self._bounces(self.partner.sender, reported, by_token, arrival)
        if lost:  # it may be anybody's
            everybody = self._readable([self.domain, *self.run.inventory.domains])
            for address in [each for each in everybody if each not in (*wanted, *nothing)][:_OTHERS_OF_LOST]:
                self._open_other(address, by_token, arrival)

    def _uninvolved(self, wanted: Collection[str]) -> list[str]:
        """Mailboxes that should have nothing: of this domain, and of others, where each has its turn in some run."""
        own, every = self._readable([self.domain]), self._readable(self.run.inventory.domains)
        far = [each for each in every if each not in own and each not in wanted]
        far.sort(key=lambda address: hashlib.sha256(f"{self.run.ident} {address}".encode()).digest())
        return [each for each in own if each not in wanted][:_OTHERS] + far[:_OTHERS]

    def _readable(self, domains: Collection[Domain]) -> list[str]:
        """The mailboxes that can be opened."""
        return list(
            dict.fromkeys(
                account.address
                for domain in domains
                if domain.hosts and imap_port(self.run.inventory.host(domain.hosts[0]))
                for account in known(domain)
            )
        )

    def _arrived(self, account: str) -> set[str]:
        assert self._outcomes is not None
        return {each.token for each in self._outcomes.values() if each.found.get(account)}

    def _open(self, address: str, tokens: set[str], by_token: dict[str, Outcome], arrival: Deadline) -> None:
        host, account = self._owner(address)
        number = imap_port(host)
        assert number is not None
        with self.run.user_slot(host.name, address):
            self.deadline = self.new_deadline(self.seconds)
            client = self._login(host, number.number, account)
            assert isinstance(client, Imap)
            with client.connection:
                turn = 1
                self._collect(client, address, folders_at(client, turn), by_token)
                while not tokens <= self._arrived(address):
                    if not self.weaker:  # nothing more comes: a filter of the user's may have put it anywhere
                        self._collect(client, address, folders_at(client, _EVERY_FOLDER), by_token)
                        break
                    try:
                        arrival.pause(self.run.timing.poll)
                    except ReadTimeout:
                        break
                    turn += 1
                    self._collect(client, address, folders_at(client, turn), by_token)
                client.quit()
        if tokens <= self._arrived(address):
            self.run.leftovers.gone(account, self._search)

    def _open_other(self, address: str, by_token: dict[str, Outcome], arrival: Deadline) -> None:
        """A mailbox that should have nothing. What is wrong with another host is told by the probes of that one."""
        try:
            self._open(address, set(), by_token, arrival)
        except ProbeError as error:
            if self._owner(address)[0] == self.host:
                raise
            self.transcript.add(
                "-", _("not looked into {address}: {reason}").format(address=address, reason=error)
            )

    def _collect(
        self, client: Imap, address: str, folders: Collection[str], by_token: dict[str, Outcome]
    ) -> None:
        """What is there of this run, noted and removed."""
        for folder in folders:
            uids = client.search_in(folder, self._search)
            for uid in uids:
                text = client.fetch(uid)
                outcome = by_token.get(message.token_of(text))
                if outcome is not None:
                    outcome.found.setdefault(address, []).append(folder)
                    outcome.texts[address] = text
            if uids and (left := client.remove(uids)):
                raise ProbeError(
                    _("what was sent could not be removed from {address}: {reason}").format(
                        address=address, reason=left
                    )
                )

    def _reports_of(self, taken: list[Case]) -> set[str]:
        """Tokens of messages of which a report is to come, or may: nobody sees whether those outside took theirs."""
        assert self._outcomes is not None
        return {self._outcomes[case].token for case in taken if case.kind in REPORTS or case.outside}

    def _bounces(
        self, sender: Account, wanted: set[str], by_token: dict[str, Outcome], arrival: Deadline
    ) -> None:
        """What the sender got about what was sent is noted, and removed. Waits only where a report may still come."""
        host, account = self._owner(sender.address)
        number = imap_port(host)
        if number is None:
            return
        with self.run.user_slot(host.name, sender.address):
            self.deadline = self.new_deadline(self.seconds)
            client = self._login(host, number.number, account)
            assert isinstance(client, Imap)
            with client.connection:
                while True:
                    for folder in folders_at(client, 1):
                        uids = client.search_in(folder, self._search_reports)
                        uids = [uid for uid in uids if uid not in client.search(self._search)]
                        for text in map(client.fetch, uids):
                            for token in {found for found in by_token if found.encode() in text}:
                                by_token[token].reports.append(text)
                        if uids:
                            client.remove(uids)
                    if not self.weaker or all(by_token[token].reports for token in wanted):
                        break
                    try:
                        arrival.pause(self.run.timing.poll)
                    except ReadTimeout:
                        break
                client.quit()
        if all(by_token[token].reports for token in wanted) or not self.weaker:
            self.run.leftovers.gone(sender, self._search_reports)

    def _owner(self, address: str) -> tuple[Host, Account]:
        domain = next(one for one in self.run.inventory.domains if one.name == address.rpartition("@")[2])
        account = next(one for one in known(domain) if one.address == address)
        return self.run.inventory.host(domain.hosts[0]), account
