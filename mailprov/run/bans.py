"""fail2ban and this machine: it applies and verifies from an address that fail2ban can ban.

    ask(hosts, start) -> Told              whom fail2ban on these hosts holds; reads only
    propose(sessions, direct) -> [sentence]    addresses for fail2ban.ignore, with the line of the inventory

An address is what the host sees (SSH_CONNECTION there): the network between may translate ours. A host that publishes
addresses of both families is reached by both, and SSH shows one of them: the other is this machine's own, where nothing
speaks for a translation. Behind a jump host the address is the jump host's, and nothing is proposed.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Collection, Iterable

from mailprov.components import fail2ban
from mailprov.errors import MailprovError
from mailprov.i18n import _
from mailprov.model.inventory import Host
from mailprov.model.values import dataclass, field
from mailprov.run.desired_mode import DesiredMode
from mailprov.run.hosts import HostSession, Start
from mailprov.transport.source import source_address

_PATIENCE = 60.0  # seconds for an answer over SSH


@dataclass
class Told:
    """What the hosts answered."""

    bans: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)  # host → (jail, address)
    peers: dict[str, str] = field(default_factory=dict)  # host → our address, as it sees it
    errors: list[MailprovError] = field(default_factory=list)  # hosts that could not be asked


def ask(hosts: Collection[Host], *, command: str, start: Start) -> Told:
    """From any thread. A host that does not answer within a minute is left out, as one that cannot be asked."""
    from mailprov.run.inquiry import launch

    answers = launch(
        hosts, lambda host: {"mode": "bans"}, command=command, emit=lambda event: None, start=start
    )
    told = Told()
    for one in answers:
        if not one.session.ended.wait(_PATIENCE):
            one.session.abandon()
        elif one.outcome.error is not None:
            told.errors.append(one.outcome.error)
        elif one.outcome.status == "ok":
            told.bans[one.host.name] = tuple(
                (each["jail"], each["address"]) for each in one.told.get("bans", ())
            )
            told.peers[one.host.name] = one.told.get("peer", "")
    return told


def propose(sessions: Iterable[HostSession], direct: Callable[[Host], bool]) -> list[str]:
    """One sentence for all hosts that need the same line. `direct`: no jump host is between here and there."""
    wanted: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for one in sessions:
        host, settings = one.host, fail2ban.SETTING.of(one.host)
        if settings is None or not isinstance(one.mode, DesiredMode) or not direct(host):
            continue
        if missing := tuple(ip for ip in _ours(host, one.mode.peer) if not settings.spares(ip)):
            wanted.setdefault((missing, settings.ignore), []).append(host.name)
    return [
        _(
            "{hosts}: fail2ban would ban this machine ({addresses}) for the wrong passwords that "
            "`verify` tries, so they are not tried; in the inventory: fail2ban: {{ignore: "
            "[{ignored}]}}"
        ).format(
            hosts=", ".join(hosts),
            addresses=_(" and ").join(missing),
            ignored=", ".join(map(_yaml, (*ignore, *missing))),
        )
        for (missing, ignore), hosts in wanted.items()
    ]


def _ours(host: Host, told: str) -> tuple[str, ...]:
    """The addresses by which this machine comes to the mail ports, as far as they are known. `told` is what the host
    says of its SSH client.
    """
    peer = _address(told)
    if peer is None or peer.is_loopback:
        return ()
    found = {peer.version: str(peer)}
    for text in (*host.ipv4, *host.ipv6):
        there = ipaddress.ip_address(text)
        own = _address(source_address(text)) if there.version not in found else None
        # A private address that writes to a public one is translated on the way (RFC 1918).
        if own is not None and not own.is_loopback and (own.is_global or not there.is_global):
            found[own.version] = str(own)
    return tuple(found[version] for version in sorted(found))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is none, and for what means something on one machine alone (link-local)."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    found = mapped or found
    return None if found.is_link_local or found.is_unspecified else found


def _yaml(text: str) -> str:
    return json.dumps(text) if ":" in text else text
