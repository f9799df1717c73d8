"""Which message in one queue became which in another. By what servers say of each other alone.

    Web(logs)                       all lives of all hosts
    web.next(life, delivery)        where "queued as ID" leads to
    web.returned(life, delivery)    where a server of others brought it back to: the same Message-ID, the same recipient
    web.reports(life)               messages that were written about it: bounces, delays
    web.redirected(life)            what a user's filter sent on: the same Message-ID, by the way that filters have
    web.roots()                     lives that came from nowhere that is known
    web.life(host, id, message_id)  the one that was meant
    web.refused(host, message_id)   one that came into no queue
    web.host_of(address, name)      the host of the inventory that has this address

Three ids join: a queue id that the other side said ("queued as"), one that bounce(8) said, and a Message-ID that stands
in the log of the same host beside the same LMTP session. Two messages may have one Message-ID, and one queue id is used
again and again: where more than one could be meant, none is taken, and that is a doubt. Pure.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable

from mailprov.i18n import _
from mailprov.trace import dovecot
from mailprov.trace.lives import Key, Life, lives
from mailprov.trace.observed import HostLog, Record
from mailprov.trace.postfix import Arrival, Delivery

FILTERS_OWN = "sieve-redirect"  # the service in master.cf that takes what users' filters send on


class Web:
    def __init__(self, logs: Iterable[HostLog]) -> None:
        self._logs = {log.host: log for log in logs}
        records = [record for log in self._logs.values() for record in log.records]
        self.lives, doubts = lives(records)
        self.doubts = list(doubts)
        self._outside: tuple[Life, ...] | None = None
        self._sorted: dict[str, tuple[Record, ...]] = {}
        self._by_id: defaultdict[tuple[str, str], list[Life]] = defaultdict(list)
        for life in self.lives:
            self._by_id[life.host, life.queue_id].append(life)
        self._hosts = {_plain(address): log.host for log in self._logs.values() for address in log.addresses}
        self._names = {log.fqdn.lower(): log.host for log in self._logs.values()}

    def records(self, host: str) -> tuple[Record, ...]:
        """As the host's clock has them."""
        if host not in self._sorted:
            log = self._logs.get(host)
            found = set(log.records) if log is not None else set()
            order = sorted(found, key=lambda each: (each.t, each.ident, each.pid, each.text))
            self._sorted[host] = tuple(order)
        return self._sorted[host]

    def host_of(self, address: str, name: str = "") -> str:
        """By its address; by its name where Postfix shows no address. "" if it is another's."""
        return self._hosts.get(_plain(address)) or ("" if address else self._names.get(name.lower(), ""))

    def place(self, life: Life, delivery: Delivery) -> str:
        """The host to which it was given: its own, where that is a loopback address."""
        return life.host if _loops(delivery.address) else self.host_of(delivery.address, delivery.relay)

    def next(self, life: Life, delivery: Delivery) -> Life | None:
        host = self.place(life, delivery)
        if not delivery.queued_as or not host:
            return None
        return self._meant(host, delivery.queued_as, life.message_ids)

    def returned(self, life: Life, delivery: Delivery) -> Life | None:
        """Only one that came over port 25 from a server of others, and of which there is no other."""
        if not delivery.queued_as or self.place(life, delivery):
            return None
        found = [
            one
            for one in self._came_from_outside()
            if one.key != life.key
            and set(one.message_ids) & set(life.message_ids)
            and any(delivery.recipient in (each.recipient, each.original) for _line, each in one.deliveries)
        ]
        return found[0] if len(found) == 1 else None

    def _came_from_outside(self) -> tuple[Life, ...]:
        if self._outside is None:
            self._outside = tuple(filter(self._from_others, self.lives))
        return self._outside

    def _from_others(self, life: Life) -> bool:
        """Whether it came over port 25, from an address that is none of ours."""
        says = life.arrival.says if life.arrival is not None else None
        if not isinstance(says, Arrival) or life.service or says.login or not says.address:
            return False
        return not self.host_of(says.address) and not _loops(says.address)

    def life(self, host: str, queue_id: str, message_id: str = "") -> Life | None:
        return self._meant(host, queue_id, (message_id,) if message_id else ())

    def refused(self, host: str, message_id: str) -> Life | None:
        """Of a message that was refused in the dialogue nobody was told a queue id: by its Message-ID."""
        found = [
            life
            for life in self.lives
            if life.host == host and message_id in life.message_ids and life.queued is None and life.refusals
        ]
        return found[0] if len(found) == 1 else None

    def reports(self, life: Life) -> tuple[Life, ...]:
        found = [
            one
            for _line, report in life.reports
            for one in self._by_id.get((life.host, report.queue_id), ())
            if one.queued is None or not one.queued.sender
        ]
        return tuple(dict.fromkeys(found))

    def redirected(self, life: Life) -> tuple[Life, ...]:
        sessions = [dovecot.session(delivery.text) for _line, delivery in life.deliveries]
        records = self.records(life.host)
        if not any(dovecot.stored(records, name).sent_on for name in sessions if name):
            return ()
        return tuple(
            one
            for one in self.lives
            if one.host == life.host
            and one.service == FILTERS_OWN
            and set(one.message_ids) & set(life.message_ids)
        )

    def roots(self) -> tuple[Life, ...]:
        led_to: set[Key] = set()
        for life in self.lives:
            following = [
                self.next(life, delivery) or self.returned(life, delivery)
                for _line, delivery in life.deliveries
            ]
            for one in (*following, *self.reports(life), *self.redirected(life)):
                if one is not None and one.key != life.key:
                    led_to.add(one.key)
        return tuple(life for life in self.lives if life.key not in led_to)

    def _meant(self, host: str, queue_id: str, message_ids: Iterable[str]) -> Life | None:
        """Of the messages that had this id one after the other, the one with this Message-ID."""
        wanted = set(message_ids)
        every = self._by_id.get((host, queue_id), [])
        same = [life for life in every if wanted.intersection(life.message_ids)]
        unnamed = [life for life in every if not life.message_ids]
        found = same or (unnamed if wanted else every)
        if len(found) > 1:
            text = _(
                "The queue id {id} was given to {count} messages on {host}, and which one is meant is not known"
            )
            told = text.format(id=queue_id, count=len(found), host=host)
            if told not in self.doubts:
                self.doubts.append(told)
        return found[0] if len(found) == 1 else None


def _plain(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address.removeprefix("IPv6:")))
    except ValueError:
        return address.lower()


def _loops(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.removeprefix("IPv6:")).is_loopback
    except ValueError:
        return False
