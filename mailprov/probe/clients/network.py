"""Whether this machine's network lets it ask name servers: port 53 may be blocked, or answered by somebody else.

    fault(zone, servers, ask) -> str       a sentence, empty when nothing is known against the network

`servers` are (name, address) of a zone that many others ask, the one above; `ask(name, address)` asks one of them for
its SOA. If these are as mute, or as odd, as those of the zone that is looked at, it is not that zone. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import dns.flags
import dns.message

from mailprov.i18n import _
from mailprov.probe.clients.answers import NoAnswer, QueryTimeout
from mailprov.transport.source import source_address

_ASKED = 2


def fault(
    zone: str,
    servers: Collection[tuple[str, str]],
    ask: Callable[[str, str], dns.message.Message],
    source: Callable[[str], str] = source_address,
) -> str:
    found = ""
    for server, address in [each for each in servers if source(each[1])][:_ASKED]:
        try:
            reply = ask(server, address)
        except QueryTimeout:
            form = _(
                "port 53 seems to be blocked here: {server} ({address}), a name server of {zone}, gives no answer "
                "either"
            )
            found = form.format(server=server, address=address, zone=zone)
            continue
        except NoAnswer:
            continue
        if reply.flags & dns.flags.AA or not reply.flags & dns.flags.RA:
            return ""
        form = _(
            "somebody on the way answers in place of the name servers: {server} ({address}) does not answer for {zone} "
            "with authority, as a resolver would"
        )
        return form.format(server=server, address=address, zone=zone)
    return found
