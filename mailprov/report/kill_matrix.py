"""How a selftest looks: one line for each probe, with what it was tried against, and each thing that it got wrong.

    table(probes, found, every) -> Table    a line for each probe; `every`: a line for each thing it was tried against
    flaws(bad) -> [line]                    where a probe did not say what it must
    gaps(without) -> [line]                 probes that no scripted server is for

Raises nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.table import Table
from rich.text import Text

from mailprov.i18n import _, ngettext
from mailprov.model.answers import Tried, Untried

_GREEN = ("pass", "skip")
_SHOWN = 3  # of what a probe was tried against, where not all is asked for


def table(probes: Sequence[str], found: Collection[Tried], every: bool = False) -> Table:
    """In the order of `probes`; who was not tried has no line. Where something else is broken a probe passes."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column(_("probe"), no_wrap=True)
    made.add_column(_("passes"))
    made.add_column(_("objects"))
    made.add_column(_("to what is broken"), overflow="fold")
    for probe in probes:
        mine = [each for each in found if each.probe == probe]
        sound = [each for each in mine if each.wanted in _GREEN]
        broken = [each for each in mine if each.wanted not in _GREEN]
        if not mine:
            continue
        ways = list(dict.fromkeys(_what(each) for each in broken))
        made.add_row(probe, _counted(sound), _counted(broken), "" if every else _some(ways))
        if every:
            for each in mine:
                seen = "/".join(each.seen) or _("nothing")
                made.add_row("", "", _styled(seen, each.good), _what(each) or _("nothing is broken"))
    return made


def flaws(bad: Collection[Tried]) -> Iterator[str]:
    for each in bad:
        seen = "/".join(each.seen) or _("nothing")
        place = _("{probe} on something sound") if not each.what else _("{probe} on: {what}")
        said = "; ".join(each.observed[:3])
        line = _("{place}: it must say {wanted}, and says {seen}").format(
            place=place.format(probe=each.probe, what=_what(each)), wanted=each.wanted, seen=seen
        )
        yield f"{line} ({said})" if said else line


def gaps(without: Collection[Untried]) -> Iterator[str]:
    for each in without:
        yield _("{probe} is not tried here: {why} (see {test})").format(
            probe=each.probe, why=each.why, test=each.test
        )


def _what(each: Tried) -> str:
    return ", ".join(each.what)


def _some(ways: Sequence[str]) -> str:
    shown, more = "; ".join(ways[:_SHOWN]), len(ways) - _SHOWN
    if more < 1:
        return shown
    form = ngettext("{ways}; and {count} more", "{ways}; and {count} more", more)
    return form.format(ways=shown, count=more)


def _counted(tried: Sequence[Tried]) -> Text:
    good = sum(each.good for each in tried)
    return _styled(_("{count} of {all}").format(count=good, all=len(tried)), good == len(tried))


def _styled(text: str, good: bool) -> Text:
    return Text(text, "green" if good else "bold red")
