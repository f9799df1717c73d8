"""What the prerequisites of an UPDATE cannot hold: TTLs, and where a zone ends.

    Guard(session, zone).before(snapshot, edits) -> whether all is as in the snapshot; else look again
    Guard.soa                                         what the UPDATE is to require beside the sets, if anything
    Guard.away(names), Guard.no_effect(missing)       why what was sent is not there: a new delegation or DNAME

Prerequisites compare values, not TTLs (RFC 2136 section 2.4.2), and records added to a set give all of it their TTL. So
where a set stands whose TTL an edit sets, the TTLs are read once more, and the UPDATE requires the zone's serial as it
was before that: whatever anybody changes in between changes it, and the server refuses. A server may answer questions
that travel at once in any order, so the serial that comes with the TTLs counts only where it is the one that the plan
saw: then nothing was changed from the plan until it was read. Else the TTLs are read again, which costs a round that
nothing can save: the serial must be known to be older than they are. A server whose SOA cannot be required (PowerDNS
may keep another than it tells) is met by the TTLs read just before.

A server also takes records below a delegation or a DNAME, and then nobody sees them. So the zone of each name is asked
for before; what comes in between is seen when reading back, and named.

Raises DnsFailed, DnsUnreachable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import dns.rdata

from mailprov.dns import ownership, zones
from mailprov.dns.diff import Edit
from mailprov.dns.session import Session
from mailprov.errors import DnsFailed


class Guard:
    """One for an apply: it remembers the serial of the last try."""

    def __init__(self, session: Session, zone: str) -> None:
        self._session, self._zone = session, zone
        self._last: dns.rdata.Rdata | None = None
        self._unhelpful = False  # requiring the serial was refused, though it is the same
        self.soa: dns.rdata.Rdata | None = None

    def before(self, snapshot: zones.Snapshot, edits: Sequence[Edit]) -> bool:
        """Sets `soa`. DnsFailed where a name does not belong to this zone any more."""
        names = dict.fromkeys(edit.name for edit in edits)
        questions, judge = zones.finding(names)
        apex = zones.question(self._zone, "SOA")
        timed = sorted({(edit.name, edit.type) for edit in edits if _sets_ttl(snapshot, edit)})
        ttls = [zones.question(*key) for key in timed]
        answer, *answers = self._session.ask([apex, *ttls, *questions])
        self._refuse(judge(self._session, answers[len(ttls) :]), names)
        self.soa = None
        if not timed:
            return True
        apex_soa = (self._zone, "SOA")
        soa = _soa(zones.data_of(self._session, apex_soa, answer).get(apex_soa))
        self._unhelpful = self._unhelpful or (soa is not None and soa == self._last)
        self.soa = None if self._unhelpful else soa
        now: zones.Snapshot = {}
        for key, told in zip(timed, answers, strict=False):
            now.update(zones.data_of(self._session, key, told))
        if self.soa is not None and self.soa != _soa(snapshot.get(apex_soa)):
            now = zones.read_plain(self._session, timed)
        same = all(key in now and now[key].ttl == snapshot[key].ttl for key in timed)
        self._last = soa if same else None
        return same

    def _refuse(self, found: zones.Zones, names: Iterable[str]) -> None:
        for name in names:
            if self._away(found, name):
                raise DnsFailed(
                    f"zone {self._zone}",
                    f"{self._why(found, name)}, so a record there would not be seen; nothing was written",
                    "Look at a new plan",
                )

    def _away(self, found: zones.Zones, name: str) -> bool:
        return found.zone_of[name] != self._zone or name in found.dname

    def _why(self, found: zones.Zones, name: str) -> str:
        zone = found.zone_of[name]
        if name in found.dname:
            return f"{name} is below a DNAME of {found.dname[name]} now"
        if zone:
            return f"{name} is now in zone {zone}"
        return f"{name} is no longer in this zone ({found.seen.get(name, 'no answer')})"

    def away(self, names: Iterable[str]) -> str:
        """After an UPDATE: which of these names are not in the zone any more, and why; empty when all are."""
        asked = dict.fromkeys(names)
        found = zones.find_zones(self._session, asked)
        return "; ".join(self._why(found, name) for name in asked if self._away(found, name))

    def no_effect(self, missing: Mapping[str, str]) -> DnsFailed | None:
        """What was accepted and is not there, when its names are not in the zone any more."""
        why = self.away(key.split(" ")[0] for key in missing)
        if not why:
            return None
        return DnsFailed(
            f"zone {self._zone}",
            f"{self._session.where} accepted the update, but nobody sees what it wrote: {why}",
            "Somebody wrote that in the same moment: remove it, or plan anew",
        )


def _soa(rrset: zones.RRset | None) -> dns.rdata.Rdata | None:
    return rrset.rdatas[0] if rrset else None


def _sets_ttl(snapshot: zones.Snapshot, edit: Edit) -> bool:
    """Whether others' wish about a TTL could be lost. A marker's TTL is nobody's wish."""
    return bool(edit.add) and (edit.name, edit.type) in snapshot and not ownership.is_marker(edit.name)
