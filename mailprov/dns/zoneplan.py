"""What `dns.plan` returns: ZonePlan. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailprov.model.events import Change


@dataclass(frozen=True)
class ZonePlan:
    """One zone: what would change (may be empty), what to know, and what was looked at.

    `zone` is empty in a plan that only carries notices about records that belong to no zone we can write.

    `left` names record sets that a rollback does not put back, because somebody changed them since.
    `first`: domains leave it, and the markers of other zones may stop naming them when that is done. So such zones are
    written before all others, in their order; the others wait for nobody.
    `unchanged` counts wanted records that stand already; `compared` is for events.Planned ("12 records").
    `work` is the driver's own and holds no secret that repr would show.
    """

    zone: str
    changes: tuple[Change, ...]
    notices: tuple[str, ...] = ()
    unchanged: int = 0
    compared: str = ""
    left: tuple[str, ...] = ()
    first: bool = False
    work: object = field(default=None, repr=False, compare=False)

    @property
    def subject(self) -> str:
        """As in events: `zone alpha.test`, or `dns` without a zone."""
        return f"zone {self.zone}" if self.zone else "dns"
