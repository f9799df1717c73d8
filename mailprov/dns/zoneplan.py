"""What `dns.plan` returns. Pure values.

ZonePlan       one zone
Work           what writing it needs
Departures     domains that have left, over all zones of a run
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mailprov.errors import MailprovError
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Change
from mailprov.model.values import dataclass, field

if TYPE_CHECKING:
    from mailprov.dns.diff import ZoneDiff
    from mailprov.dns.driver import Driver
    from mailprov.dns.rrsets import Snapshot

    Look = Callable[[Driver, frozenset[str]], tuple[Snapshot, ZoneDiff]]

# Domains leave the zone: the markers of all others name these until that is done.
LEAVING = 0
# It gets addresses of hosts: where an MX leads to a name that there is not, mail is returned at once.
ADDRESSES = 1
OTHERS = 2
# It only loses addresses: until the others are written, an MX may still lead there.
GOING = 3


@dataclass
class Departures:
    """`zone_of`: names that have left the inventory, and where what stands of them is removed. `cleaned`: zones in
    which that is done. Until then markers in other zones go on naming them, or nobody would know of them any more.
    """

    zone_of: dict[str, str] = field(default_factory=dict)
    cleaned: set[str] = field(default_factory=set)

    def waiting(self, zone: str) -> frozenset[str]:
        """Names that the markers in this zone must go on naming."""
        return frozenset(
            name for name, own in self.zone_of.items() if own != zone and own not in self.cleaned
        )


@dataclass(frozen=True)
class Work:
    """What publishing needs of a plan, and nobody else looks at. `look` reads and compares once more; it is told which
    departed names are still to be named. `units`: mail domains, for cutting a large update. `wild`: wildcards met.
    """

    settings: DnsSettings
    snapshot: Snapshot
    diff: ZoneDiff
    look: Look
    units: tuple[str, ...] = ()
    departures: Departures = field(default_factory=Departures)
    wild: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ZonePlan:
    """One zone: what would change (may be empty), what to know, and what was looked at.

    `zone` is empty in a plan that only carries notices about records that belong to no zone we can write.

    `left` names record sets that a rollback does not put back, because somebody changed them since.
    `turn`: plans of one turn may be written side by side, those of a lower one before (LEAVING: one after another).
    `unchanged` counts wanted records that stand already; `compared` is for events.Planned ("12 records").
    `work`: what writing it needs; None where nothing is to be written.
    `error`: this could not be planned, and others can be done all the same. `zone` is then what `dns.zones` calls it,
    or empty for all that are not named there.
    """

    zone: str
    changes: tuple[Change, ...]
    notices: tuple[str, ...] = ()
    unchanged: int = 0
    compared: str = ""
    left: tuple[str, ...] = ()
    turn: int = OTHERS
    work: Work | None = field(default=None, repr=False, compare=False)
    error: MailprovError | None = field(default=None, compare=False)

    @property
    def subject(self) -> str:
        """As in events: `zone alpha.test`, or `dns` without a zone."""
        return f"zone {self.zone}" if self.zone else "dns"

    @property
    def leads_to(self) -> tuple[str, ...]:
        """The hosts to which MX records lead that come by this."""
        if self.work is None:
            return ()
        known = self.work.snapshot
        new = (
            value.partition(" ")[2]
            for edit in self.work.diff.edits
            for value in edit.add
            if edit.type == "MX" and not ((rrset := known.get((edit.name, "MX"))) and value in rrset.values)
        )
        return tuple(dict.fromkeys(new))
