"""A message that was just handed over is followed: through hosts' logs, to its file, into the mailboxes.

    Following(inventory, desk, ready, letter, began, start, say)
    following.follow(dialogue, wait)            logs, until it has come to an end everywhere, or `wait` seconds are over
    following.read(dialogue, entrance, options) files, DNS, IMAP, POP; and the message is removed, but with --keep
    following.removed() -> {account}            out of whose mailboxes it was removed until now
    following.seen(…) -> Seen                   what the way is made of

Nobody else's message is touched: what is read and deleted has the mark or the Message-ID of this trace, or is a report
about it that a log names. Raises Interrupted of `probe.clients`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.inventory import Host, Inventory
from mailprov.model.values import replace
from mailprov.probe.mailauth.message import MARK
from mailprov.run.hosts import Start
from mailprov.run.trace_cleaning import home, owner_password
from mailprov.run.trace_entrance import Entrance, Options
from mailprov.run.trace_hosts import RETRIES, Ears
from mailprov.run.trace_letter import Letter, Ready
from mailprov.run.trace_sending import Desk
from mailprov.trace import dovecot
from mailprov.trace.expected import account_of, ends
from mailprov.trace.join import Web
from mailprov.trace.lives import Life
from mailprov.trace.observed import Dialogue, Question, Seen, Visit

_SLICE = 5.0  # seconds that a host reads on for, before it is seen whether there is more to wait for
_PAUSE = 0.5
_SMARTHOST = ("relayhost",)
_SETTLED = ("sent", "bounced", "expired", "deferred")


class Following:
    def __init__(
        self,
        inventory: Inventory,
        desk: Desk,
        ready: Ready,
        letter: Letter,
        began: float,
        start: Start,
        say: Callable[[str], None],
    ) -> None:
        self._inventory, self._desk, self._ready, self._letter = inventory, desk, ready, letter
        self._began, self._say = began, say
        self._ears = Ears(inventory, began, start, self._addresses)
        self._visits: list[Visit] = []
        self._gaps: list[str] = []
        reached = [end for each in letter.recipients for end in ends(inventory, each)]
        self._owners = [owner for end in dict.fromkeys(reached) if (owner := account_of(inventory, end))]

    def follow(self, dialogue: Dialogue, wait: float) -> None:
        self._say(_("reading the logs"))
        began = time.monotonic()
        deadline = began + wait
        wanted = {dialogue.host: [dialogue.queue_id] if dialogue.queue_id else []}
        patience = min(_SLICE, wait) if dialogue.code == 250 else 0.0
        while True:
            self._ears.follow(wanted, self._ready.message_id, patience)
            now = time.monotonic()
            # What a server of others has may come back to a host of ours, which gives it an id that nobody told us.
            if more := self._away(dialogue).keys() - wanted.keys():
                wanted |= {host: [] for host in more}
                patience = max(0.0, min(_SLICE, deadline - now))
                continue
            over = now >= deadline or dialogue.code != 250 or not self._ears.heard(dialogue.host)
            # Dovecot may log a moment after it has answered; where it logs nothing, that is not waited for.
            if over or (self._settled(dialogue) and (self._stored(dialogue) or now - began > _SLICE)):
                return
            time.sleep(_PAUSE)
            patience = 0.0  # what is there, again: a host that reads on waits for the ids that it knows

    def read(self, dialogue: Dialogue, entrance: Entrance, options: Options) -> None:
        found = self._lives(dialogue)
        if not dialogue.taken or (dialogue.code != 250 and not dialogue.queue_id):
            return
        self._look(found)
        delivered = {
            account
            for life in found
            if self._ready.message_id in life.message_ids  # and no report about it
            for line, each in life.deliveries
            if line.program == "lmtp" and each.status == "sent"
            for account in (each.recipient,)
        }
        told = bool(found) and all(self._ears.heard(life.host) for life in found)
        away = {account for accounts in self._away(dialogue).values() for account in accounts}
        for owner in self._owners:
            if owner.address in delivered | away or not (told and self._whole(found)):
                self._visit(owner, options, 0.0 if owner.address in delivered else options.wait, entrance)
        for address in sorted(delivered - {owner.address for owner in self._owners}):
            if other := account_of(self._inventory, address):
                self._visit(other, options, 0.0, entrance)
        if not options.keep:
            self._remove_reports(found, entrance)

    def seen(self, dialogue: Dialogue, gaps: Collection[str], *, kept: bool) -> Seen:
        return Seen(
            self._inventory,
            self._ready.message_id,
            self._letter.sender,
            self._letter.recipients,
            self._began,
            self._ready.subject,
            len(self._ready.data),
            dialogue,
            self._ears.logs_of_all(),
            tuple(self._visits),
            tuple(self._ears.looks),
            tuple(self._ears.questions),
            self._ears.settings,
            kept,
            tuple(dict.fromkeys((*gaps, *self._ears.gaps, *self._gaps))),
        )

    def removed(self) -> set[str]:
        """Accounts out of whose mailboxes the message was removed."""
        return {visit.account for visit in self._visits if visit.removed}

    def _lives(self, dialogue: Dialogue) -> list[Life]:
        """Everything that this message became, reports about it included."""
        web = Web(self._ears.logs_of_all())
        first = (
            web.life(dialogue.host, dialogue.queue_id, self._ready.message_id) if dialogue.queue_id else None
        )
        found: dict[object, Life] = {}
        todo = [first] if first is not None else []
        while todo:
            life = todo.pop()
            if life.key not in found:
                found[life.key] = life
                nexts = [web.next(life, each) or web.returned(life, each) for _line, each in life.deliveries]
                todo += [each for each in nexts if each is not None]
                todo += [*web.reports(life), *web.redirected(life)]
        return list(found.values())

    def _settled(self, dialogue: Dialogue) -> bool:
        found = self._lives(dialogue)
        away = any(map(self._ears.heard, self._away(dialogue)))
        return bool(found) and not away and self._whole(found) and all(map(self._led_on, found))

    def _away(self, dialogue: Dialogue) -> dict[str, set[str]]:
        """Hosts of ours → the accounts there whose copies a server of others has, as far as is known."""
        web = Web(self._ears.logs_of_all())
        found: dict[str, set[str]] = {}
        for life in self._lives(dialogue):
            for _line, each in life.deliveries:
                host = home(self._inventory, each.recipient)
                given = each.queued_as and not web.place(life, each)
                if given and host is not None and web.returned(life, each) is None:
                    found.setdefault(host.name, set()).update(ends(self._inventory, each.recipient))
        return found

    def _stored(self, dialogue: Dialogue) -> bool:
        """Whether Dovecot has told of every session in which it took the message."""
        web = Web(self._ears.logs_of_all())
        sessions = [
            (life.host, name)
            for life in self._lives(dialogue)
            for _line, each in life.deliveries
            if (name := dovecot.session(each.text))
        ]
        return all(dovecot.stored(web.records(host), name).records for host, name in sessions)

    def _led_on(self, life: Life) -> bool:
        """Whether the next queue is known of all that were handed on to hosts that can be asked."""
        web = Web(self._ears.logs_of_all())
        return all(
            web.next(life, each) is not None or not self._ears.heard(web.place(life, each))
            for _line, each in life.deliveries
            if each.queued_as and web.place(life, each)
        )

    @staticmethod
    def _whole(found: Collection[Life]) -> bool:
        """Whether every recipient of every queue has come to something."""
        for life in found:
            settled = [each for _line, each in life.last.values() if each.status in _SETTLED]
            stopped = life.held or life.deleted or (life.refusals and life.queued is None)
            whole = life.queued is not None and len(settled) >= life.queued.recipients
            if not (whole or stopped or life.removed):
                return False
        return True

    def _look(self, found: Collection[Life]) -> None:
        """On each host: the files, what DNS says of where mail went, and when a deferred one is tried again."""
        web = Web(self._ears.logs_of_all())
        for name in dict.fromkeys(life.host for life in found):
            lives = [life for life in found if life.host == name]
            deliveries = [(line, each) for life in lives for line, each in life.deliveries]
            accounts = [each.recipient for line, each in deliveries if line.program == "lmtp"]
            across = [
                each
                for life in lives
                for line, each in life.deliveries
                if line.program == "smtp" and line.service != "srs" and web.place(life, each) != name
            ]
            questions = [(each.recipient.rpartition("@")[2], "MX") for each in across]
            relays = [each.relay for each in across if each.relay not in ("none", "")]
            questions += [(relay, kind) for relay in relays for kind in ("A", "AAAA")]
            deferred = any(each.status == "deferred" for _line, each in deliveries)
            if accounts or questions or deferred:
                self._ears.look(
                    self._inventory.host(name),
                    self._ready.message_id,
                    dict.fromkeys(accounts),
                    dict.fromkeys(questions),
                    (*(RETRIES if deferred else ()), *(_SMARTHOST if across else ())),
                )
            self._ask_here(name, [name for name, kind in questions if kind == "MX"])

    def _ask_here(self, host: str, domains: Collection[str]) -> None:
        """What the host could not be asked, this machine asks the name servers."""
        from mailprov.probe.clients.answers import NoAnswer

        known = {each.name for each in self._ears.questions if each.host == host and each.type == "MX"}
        for domain in dict.fromkeys(domains):
            if domain not in known:
                try:
                    answer = self._desk.resolver.ask(domain, "MX")
                except NoAnswer as error:
                    self._gaps.append(str(error))
                    continue
                self._ears.questions.append(
                    Question(host, domain, "MX", answer.server, answer.values, ttl=answer.ttl)
                )

    def _visit(self, owner: Account, options: Options, patience: float, entrance: Entrance) -> None:
        host, password = home(self._inventory, owner.address), owner_password(owner, entrance.login)
        if host is None:
            return
        if password is None:
            text = _(
                "the password of {account} is not known here, so its mailbox was not read, and the message stays there"
            )
            self._gaps.append(text.format(account=owner.address))
            return
        self._say(_("looking into the mailbox of {account}").format(account=owner.address))
        visit = self._desk.read(host, owner, password, self._ready.mark, patience)
        self._visits.append(visit)
        if visit.error or not visit.folder:
            return
        fetched = self._desk.fetch(host, owner, password, self._ready.mark, keep=options.keep)
        if fetched.port:
            self._visits.append(fetched)
        if options.keep or fetched.removed:
            return
        problem = self._desk.remove(host, owner, password, MARK, self._ready.mark)
        if problem:
            text = _("the message stays in the mailbox of {account}: {reason}")
            self._gaps.append(text.format(account=owner.address, reason=problem))
        else:
            self._visits[self._visits.index(visit)] = replace(visit, removed=True)

    def _remove_reports(self, found: Collection[Life], entrance: Entrance) -> None:
        """Bounces of this message, which its sender got: by the Message-ID that the log has of them."""
        account = account_of(self._inventory, self._letter.sender)
        host = home(self._inventory, self._letter.sender)
        password = owner_password(account, entrance.login) if account is not None else None
        if account is None or host is None or password is None:
            return
        for life in found:
            empty = life.queued is not None and not life.queued.sender
            if empty and any(each.recipient == account.address for _line, each in life.deliveries):
                for message_id in life.message_ids[:1]:
                    self._desk.remove(host, account, password, "Message-ID", message_id)

    def _addresses(self, host: Host) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*host.ipv4, *host.ipv6, *self._desk.addresses(host))))
