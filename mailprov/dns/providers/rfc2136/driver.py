"""The driver: what mailprov asks and wants of zones, as questions and UPDATE messages (RFC 2136) on one connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import dns.flags
import dns.message

from mailprov.dns import dnssec, reading
from mailprov.dns.abilities import Abilities
from mailprov.dns.driver import Driver, Outcome, Proof, Reading, Result, Say
from mailprov.dns.providers.rfc2136 import questions, update
from mailprov.dns.providers.rfc2136.session import Session
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, values_after
from mailprov.errors import DnsFailed, DnsUnreachable
from mailprov.i18n import _


class UpdateDriver(Driver):
    def __init__(self, settings: Rfc2136Settings, abilities: Abilities) -> None:
        self.abilities = abilities
        self.session = Session(settings)
        self.where = self.session.where

    def close(self) -> None:
        self.session.close()

    def query(
        self, keys: Collection[Key] = (), names: Collection[str] = (), proofs: Collection[Proof] = ()
    ) -> Reading:
        """One round."""
        steps = questions.steps(names)
        asked = [*keys, *((step, "SOA") for step in steps)]
        messages: list[dns.message.Message] = [questions.question(*key) for key in asked]
        told = self.session.ask(messages, [questions.proof(*one) for one in proofs])
        soas = dict(zip(steps, told[len(keys) :], strict=False))
        return Reading(
            {key: questions.answer(self.session, key, one) for key, one in zip(keys, told, strict=False)},
            questions.places(self.session, names, soas),
            {
                one: questions.stands(answer)
                for one, answer in zip(proofs, told[len(messages) :], strict=True)
            },
        )

    def signed(self, zones: Collection[str]) -> Mapping[str, bool | None]:
        asked = sorted(zones)
        messages = [dnssec.question(zone) for zone in asked]
        for one in messages:
            one.flags &= ~dns.flags.RD
        return dict(zip(asked, map(dnssec.told, asked, self.session.ask(messages)), strict=True))

    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        try:
            done = update.send(
                self.session, zone, snapshot, edits, partial(reading.read, self, zone), say, version
            )
        except DnsUnreachable as lost:
            return Outcome(Result.UNKNOWN, lost)
        except DnsFailed as lost:
            return Outcome(Result.REFUSED, self._explained(lost, snapshot, edits))
        return Outcome(Result.DONE if done else Result.CHANGED)

    def _explained(self, lost: DnsFailed, snapshot: Snapshot, edits: Sequence[Edit]) -> DnsFailed:
        """What says more than the server did, if it can be told why it refused."""
        most = self.abilities.most_in_set or 0
        sizes = {f"{edit.name} {edit.type}": len(values_after(snapshot, edit)) for edit in edits}
        large = [f"{name} {count}" for name, count in sizes.items() if count > most]
        if not large:
            return lost
        return DnsFailed(
            lost.where,
            f"{lost.what}; "
            + _("BIND takes at most {most} records in one set by default, and there would be: {sets}").format(
                most=most, sets=", ".join(large)
            ),
            _(
                "Set max-records-per-type in the zone's or the server's options (BIND), or have fewer hosts for that"
            ),
        )

    def weigh(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit]) -> int:
        return update.octets(zone, snapshot, edits)
