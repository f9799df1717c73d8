"""Which names of a certificate lead to this host: an authority is asked for no other, as it limits failed validations.

    sort_out(spec, names) -> (here, elsewhere, nowhere)     the last two with the reason, in a sentence

Asked of the host's own resolver, all names at once. Where the inventory knows no address of the host, a name that has
any counts as here.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import Dict, List, Sequence, Set, Tuple

from mailprov.agent.resources.base import Spec
from mailprov.agent.sentences import _

_PATIENCE = 20.0  # seconds for a resolver that does not answer

Sorted = Tuple[List[str], Dict[str, str], Dict[str, str]]


def sort_out(spec: Spec, names: Sequence[str]) -> Sorted:
    found: Dict[str, Set[str]] = {}
    ours = {str(ipaddress.ip_address(one)) for one in spec["addresses"]}

    def ask(name: str) -> None:
        found[name] = addresses(name)

    asking = [threading.Thread(target=ask, args=[name], daemon=True) for name in names]
    for one in asking:
        one.start()
    for one in asking:
        one.join(_PATIENCE)
    here: List[str] = []
    elsewhere: Dict[str, str] = {}
    nowhere: Dict[str, str] = {}
    for name in names:
        led = found.get(name, set())
        if not led:
            nowhere[name] = _("{name} has no address in DNS, as this host sees it").format(name=name)
        elif ours and not led <= ours:
            others = ", ".join(sorted(led - ours))
            elsewhere[name] = _("{name} leads to {addresses}").format(name=name, addresses=others)
        else:
            here.append(name)
    return here, elsewhere, nowhere


def addresses(name: str) -> Set[str]:
    """None at all where nobody answers, either: that is no reason to ask an authority."""
    try:
        told = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {str(ipaddress.ip_address(str(one[4][0]).partition("%")[0])) for one in told}
