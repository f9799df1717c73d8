"""Rotation of DKIM keys: publish a new key, wait until everybody can know it, sign with it; the old one retires.

    rotate(inventory, selection, options, wait, …) -> exit code

Each step is an apply of its own (the hosts' journal knows it, a rollback undoes it), and where a rotation stands is
told by the hosts: their file of states. So it may be interrupted anywhere and be taken up by the same command, on any
machine. The last step needs nobody: an apply a week later takes the retired key and its record away
(components/dkim.py).

How it waits is in waiting.py. Nobody can have asked for the new name before it was made, but a resolver that asked a
slow secondary has its time, too.
"""

from __future__ import annotations

import calendar
import dataclasses
import time
from collections.abc import Iterable

from mailprov.desired import RotationStep, Step
from mailprov.i18n import _
from mailprov.model.dkim import Key, State, record_name
from mailprov.model.events import Emit
from mailprov.model.inventory import Inventory
from mailprov.probe.propagation import not_yet
from mailprov.run.deploy import Options, toward_desired
from mailprov.run.desired_mode import DesiredMode
from mailprov.run.hosts import Start
from mailprov.run.select import Selection
from mailprov.run.waiting import Waiting, speaker, until_known


def rotate(
    inventory: Inventory,
    selection: Selection,
    options: Options,
    waiting: Waiting,
    *,
    start: Start,
    report: Emit,
) -> int:
    """0 when the new keys sign; 4 when they are published and wait; else as an apply (1 when somebody said no)."""
    domains = frozenset(domain.name for domain in inventory.domains if domain.name in selection.domains)
    say = speaker(report)
    say(
        _("step 1 of 2: a new key for {domains} is made and published; the old one keeps signing").format(
            domains=", ".join(sorted(domains))
        )
    )
    first = dataclasses.replace(options, rotation=RotationStep(Step.PUBLISH, domains))
    published = toward_desired(inventory, selection, first, "apply", start, report)
    if code := published.run():
        return code
    texts = published.public_keys()
    keys = {
        host: [key for key in told if key.state is State.WAITING and key.domain in domains]
        for host, told in _states(published.sessions).items()
    }
    if not any(keys.values()):
        say(_("there is no key to rotate: none of these domains is signed by these hosts"))
        return 0
    wanted = _records(inventory, keys, texts)
    try:
        # Made in an earlier run, a key may have been published only now.
        since = [time.time()] if published.zones.changed else []
        since += [_time(key.since) for told in keys.values() for key in told]
        if code := _wait(inventory, wanted, max(since), waiting, report):
            return code
    except KeyboardInterrupt:
        say(_("stopped; the new key stays published, and the same command continues from here"))
        return 130
    say(_("step 2 of 2: the new key signs from now on; the old one stays published for a week"))
    asked = None if published.changed else options.confirm  # one question for both steps
    second = dataclasses.replace(options, rotation=RotationStep(Step.SWITCH, domains), confirm=asked)
    return toward_desired(inventory, selection, second, "apply", start, report).run()


def _states(sessions: Iterable[object]) -> dict[str, tuple[Key, ...]]:
    found = {}
    for one in sessions:
        mode = getattr(one, "mode", None)
        if isinstance(mode, DesiredMode):
            found[mode.host.name] = mode.keys
    return found


def _records(
    inventory: Inventory, keys: dict[str, list[Key]], texts: dict[str, dict[str, str]]
) -> dict[str, str]:
    """Name in DNS → what must stand there, for the domains and their aliases."""
    names = {domain.name: (domain.name, *domain.domain_aliases) for domain in inventory.domains}
    return {
        record_name(name, key.selector): texts[host][key.name]
        for host, told in keys.items()
        for key in told
        for name in names[key.domain]
    }


def _wait(inventory: Inventory, wanted: dict[str, str], since: float, waiting: Waiting, report: Emit) -> int:
    """0 when it is time to switch."""
    return until_known(
        inventory.dns,
        lambda: not_yet(inventory.dns, wanted),
        lambda name: f'publish: {name}. TXT "{wanted[name]}"',
        since=since,
        ttl=max(inventory.dns.at(name).ttl for name in wanted),
        waiting=waiting,
        report=report,
    )


def _time(since: str) -> float:
    return calendar.timegm(time.strptime(since, "%Y-%m-%dT%H:%M:%SZ"))
