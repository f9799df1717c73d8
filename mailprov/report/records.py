"""What the records of a plan are for: each type once, how much mail needs it, and why.

purposes(plans) -> lines      nothing where no record is published
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailprov.i18n import _
from mailprov.model.events import Planned
from mailprov.model.records import NEEDS
from mailprov.report.plain_text import Text

_STYLES = {"required": "bold", "recommended": "", "optional": "dim"}


def purposes(plans: Iterable[Planned]) -> Iterator[Text]:
    """Of what is needed for different reasons (SPF of a domain, and of a host's name) what is needed most."""
    most = list(NEEDS)
    rows: dict[tuple[str, str], str] = {}
    for planned in plans:
        for change in planned.changes:
            if change.need in NEEDS:
                key = (_(change.label), _(change.purpose))
                rows[key] = min(change.need, rows.get(key, change.need), key=most.index)
    if not rows:
        return
    yield Text()
    yield Text(_("What these records are for"), style="bold")
    width = max(len(label) for label, __ in rows)
    needs = max(len(_(word)) for word in NEEDS.values())
    for (label, why), need in rows.items():
        text = Text(f"  {label.ljust(width)}  ").append(_(NEEDS[need]).ljust(needs), style=_STYLES[need])
        yield text.append(f"  {why}", style="dim")
