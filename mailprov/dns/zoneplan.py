"""What `dns.plan` returns: ZonePlan. Pure values."""

from __future__ import annotations

from dataclasses import field

from mailprov.model.dataclass import dataclass
from mailprov.model.events import Change

# Domains leave the zone: the markers of all others name these until that is done.
LEAVING = 0
# It gets addresses of hosts: where an MX leads to a name that there is not, mail is returned at once.
ADDRESSES = 1
OTHERS = 2
# It only loses addresses: until the others are written, an MX may still lead there.
GOING = 3


@dataclass(frozen=True)
class ZonePlan:
    """One zone: what would change (may be empty), what to know, and what was looked at.

    `zone` is empty in a plan that only carries notices about records that belong to no zone we can write.

    `left` names record sets that a rollback does not put back, because somebody changed them since.
    `turn`: plans of one turn may be written side by side, those of a lower one before (LEAVING: one after another).
    `unchanged` counts wanted records that stand already; `compared` is for events.Planned ("12 records").
    `work` is the driver's own and holds no secret that repr would show.
    """

    zone: str
    changes: tuple[Change, ...]
    notices: tuple[str, ...] = ()
    unchanged: int = 0
    compared: str = ""
    left: tuple[str, ...] = ()
    turn: int = OTHERS
    work: object = field(default=None, repr=False, compare=False)

    @property
    def subject(self) -> str:
        """As in events: `zone alpha.test`, or `dns` without a zone."""
        return f"zone {self.zone}" if self.zone else "dns"
