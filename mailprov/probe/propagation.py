"""Whether records stand on every authoritative server of their zones, secondaries too.

Public: not_yet. Raises nothing: a server that does not answer is one that does not have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailprov.i18n import _
from mailprov.model.dns import DnsSettings, NameServer
from mailprov.probe.clients.resolver import NoAnswer, Resolver, first_at

_SECONDS = 3.0  # one question


def not_yet(
    settings: DnsSettings, wanted: Mapping[str, str | tuple[str, ...]], kind: str = "TXT"
) -> dict[str, str]:
    """Names whose records of this type lack what is wanted on some server → a sentence that says where. Asks anew each
    time.
    """
    primary = Resolver(first_at(settings), seconds=_SECONDS)
    missing: dict[str, str] = {}
    for name, values in wanted.items():
        needed = {values} if isinstance(values, str) else set(values)
        try:
            if not needed.issubset(primary.ask(name, kind).values):
                missing[name] = _("{name} is not on the primary name server").format(name=name)
                continue
            for address in _others(primary, name):
                if not needed.issubset(
                    Resolver(NameServer(address), seconds=_SECONDS).ask(name, kind).values
                ):
                    missing[name] = _("{name} is not on {address}").format(name=name, address=address)
        except NoAnswer as error:
            missing[name] = str(error)
    return missing


def _others(primary: Resolver, name: str) -> Iterable[str]:
    """Addresses of all name servers of the zone this name is in, as far as they are known."""
    labels = name.split(".")
    for start in range(1, len(labels) - 1):
        servers = primary.ask(".".join(labels[start:]), "NS").values
        if servers:
            found: dict[str, None] = {}
            for server in servers:
                try:
                    found.update(dict.fromkeys(primary.addresses(server)))
                except NoAnswer:
                    continue
            return found
    return ()
