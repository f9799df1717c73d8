"""Waits until records that were published are known everywhere: what `dkim rotate` and `tls rotate` share.

    Waiting                              how long, as the command line says
    until_known(…) -> exit code          0 when it is time to go on
    speaker(report)                      how a rotation tells what it does

First every authoritative server of each zone must give the records, and after that as long goes by as a cache may
remember what was there before. Where people publish by hand, what they are to publish is printed, and the command ends.
KeyboardInterrupt goes on up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from mailprov.i18n import _
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Emit, Notice, Progress
from mailprov.model.values import dataclass
from mailprov.run.event_queue import EventQueue

POLL = 2.0  # seconds between looks at the name servers
LIMIT = 900.0  # seconds until servers that still lack the record are named and the command ends


@dataclass(frozen=True)
class Waiting:
    """How long to wait. `seconds`: after publishing, instead of the TTL. `never`: say when to come again, and end."""

    seconds: float | None = None
    never: bool = False
    limit: float = LIMIT


def speaker(report: Emit) -> Callable[[str], None]:
    return lambda text: report(Notice("", text))


def until_known(
    settings: DnsSettings,
    missing: Callable[[], Mapping[str, str]],
    publish: Callable[[str], str],
    *,
    since: float,
    ttl: float,
    waiting: Waiting,
    report: Emit,
) -> int:
    """0 when it is time to use the new key. `missing()`: names that some server lacks → a sentence that says where;
    `publish(name)`: the record, for whoever publishes by hand. `since`: unix seconds when all was published; `ttl`:
    seconds for which caches may remember what was there before.
    """
    say = speaker(report)
    events = EventQueue(report)  # it gives signs of life: the waiting may take an hour
    began = time.monotonic()

    def pause(doing: str, seconds: float) -> None:
        events.wake(Progress("dns", doing))
        time.sleep(seconds)

    while lacking := missing():
        yours = [name for name in lacking if not settings.at(name).provider.publishes]
        by_hand = len(yours) == len(lacking)
        if by_hand or waiting.never or time.monotonic() - began > waiting.limit:
            for name in yours:
                say(publish(name))
            say(
                _("not published everywhere yet: {places}; then run the same command again").format(
                    places="; ".join(lacking.values())
                )
            )
            return 4 if by_hand or waiting.never else 3
        pause(_("waiting for the name servers: {place}").format(place=next(iter(lacking.values()))), POLL)
    until = since + (ttl if waiting.seconds is None else waiting.seconds)
    if waiting.never and time.time() < until:
        say(
            _("the new key may be used after {time}; run the same command then").format(
                time=time.strftime("%H:%M UTC", time.gmtime(until))
            )
        )
        return 4
    if time.time() < until:
        say(
            _("waiting until {time}: until then caches may not know the key").format(
                time=time.strftime("%H:%M:%S UTC", time.gmtime(until))
            )
        )
    while (left := until - time.time()) > 0:
        pause(_("the new key may be used in {seconds:.0f} s").format(seconds=left), min(left, POLL))
    return 0
