"""Mode trusts: which of some addresses this host trusts more than those of strangers, and by which setting.

    tell(session)                     the whole rest of the conversation, except `end`
    trusted(address, text, look)      the item of a list of Postfix's that has the address; "" where none has

Postfix relays for `mynetworks` (postconf(5)), which each service of master.cf may have for itself; Dovecot takes
passwords in clear from `login_trusted_networks`. Looked at are the job's `addresses` and the one that SSH came from.
Nothing is written.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any, Callable, Dict, Iterator, List, Tuple

from mailprov.agent import commands, facts
from mailprov.agent.session import Session

Look = Callable[[str, str], bool]  # whether a table of Postfix's has this key

_SERVICES = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465}
_IN_CLEAR = (143, 110, 4190)  # with TLS Dovecot asks nobody where he is
_DEPTH = 5  # files that lead to files
_CONNECT = 3.0  # seconds


def tell(session: Session) -> None:
    peer, at = facts.ssh_ends()
    addresses = list(dict.fromkeys(each for each in (*session.job.addresses, peer) if _address(each)))
    found = []
    for port, text in _postfix().items():
        found += [_row(port, "mynetworks", each, trusted(each, text, _in_table)) for each in addresses]
    text = _setting(["doveconf", "-h", "login_trusted_networks"])
    for port in _IN_CLEAR:
        found += [
            _row(port, "login_trusted_networks", each, trusted(each, text, _never)) for each in addresses
        ]
    inside = [row for row in found if row["network"]]
    session.channel.say("trusts", peer=peer, at=at, inside=inside, answers=_answering(session.job.own))


def _row(port: int, setting: str, address: str, network: str) -> Dict[str, Any]:
    return {"port": port, "setting": setting, "address": address, "network": network[:200]}


def _postfix() -> Dict[int, str]:
    """Port → what Postfix has there as mynetworks."""
    usual = _setting(["postconf", "-x", "-h", "mynetworks"])
    found = dict.fromkeys((25, 465, 587), usual)
    for line in _setting(["postconf", "-x", "-P"]).splitlines():
        name, _, value = line.partition("=")
        parts = name.strip().split("/")
        if len(parts) != 3 or parts[2] != "mynetworks":
            continue
        port = 25 if parts[:2] == ["smtpd", "pass"] else _SERVICES.get(parts[0].rpartition(":")[2])
        if port is not None and parts[1] in ("inet", "pass"):
            found[port] = value.strip()
    return found


def _setting(argv: List[str]) -> str:
    if not commands.have(argv[0]):
        return ""
    outcome = commands.run(argv)
    return outcome.out.strip() if outcome.code == 0 else ""


def trusted(address: str, text: str, look: Look) -> str:
    """The first item that matches decides, and one with an exclamation mark says no (postconf(5), mynetworks)."""
    for item, network in _items(text, 0):
        says_no = item.startswith("!")
        if _matches(address, network, look):
            return "" if says_no else network
    return ""


def _items(text: str, depth: int) -> Iterator[Tuple[str, str]]:
    """Each item as it is there, and without its exclamation mark; those of a file in the file's place."""
    for item in filter(None, re.split(r"[\s,]+", text)):
        network = item.lstrip("!")
        if not network.startswith("/"):
            yield item, network
        elif depth < _DEPTH:
            try:
                with open(network, encoding="utf-8", errors="replace") as file:
                    lines = [line for line in file if not line.lstrip().startswith("#")]
            except OSError:
                continue
            mark = item[: len(item) - len(network)]
            yield from ((mark + each, name) for each, name in _items("\n".join(lines), depth + 1))


def _matches(address: str, network: str, look: Look) -> bool:
    plain = re.sub(r"^\[([^\]]*)\](/\d+)?$", r"\1\2", network)
    try:
        return _address(address) in ipaddress.ip_network(plain, strict=False)
    except ValueError:
        return ":" in network and look(address, network)
    except TypeError:
        return False


def _in_table(address: str, table: str) -> bool:
    return commands.run(["postmap", "-q", address, table]).code == 0


def _never(address: str, table: str) -> bool:
    return False


def _address(text: str) -> Any:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _answering(own: Any) -> List[str]:
    """At which of the host's own addresses port 25 takes a connection that comes from the host itself."""
    found = []
    for address in own:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                sock.settimeout(_CONNECT)
                sock.connect((address, 25))
                found.append(address)
        except OSError:
            pass
    return found
