"""What the file says about failed logins, a smarthost and the firewall, and what it means for a host.

`resolve(entry, path, reading)` → the fields of a Host that `entry` says something about. What is wrong goes to
`reading.problems`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from mailprov.inventory import names
from mailprov.inventory.reading import Reading
from mailprov.inventory.schema import File
from mailprov.inventory.schema_hosts import HostEntry
from mailprov.inventory.schema_protection import RelayEntry
from mailprov.inventory.source import KeyPath, show
from mailprov.model.inventory import Fail2ban, Relay


def resolve(entry: File | HostEntry, path: KeyPath, reading: Reading) -> dict[str, Any]:
    """`path` is () for the file itself."""
    found: dict[str, Any] = {}
    if entry.fail2ban is not None:
        here: KeyPath = (*path, "fail2ban", "ignore")
        given = enumerate(entry.fail2ban.ignore)
        ignore = [reading.checked((*here, index), text, _network) for index, text in given]
        found["fail2ban"] = Fail2ban(tuple(dict.fromkeys(each for each in ignore if each)))
    if entry.relayhost is not None:
        found["relay"] = _relay(entry.relayhost, (*path, "relayhost"), reading)
    if entry.firewall is not None:
        found["firewall"] = entry.firewall == "ufw"
    return found


def _network(text: str) -> str:
    try:
        return (
            str(ipaddress.ip_network(text, strict=False)) if "/" in text else str(ipaddress.ip_address(text))
        )
    except ValueError:
        raise names.BadName("is no IP address and no network such as 192.0.2.0/24") from None


def _relay(entry: RelayEntry, path: KeyPath, reading: Reading) -> Relay:
    host = reading.checked((*path, "host"), entry.host, names.fqdn) or ""
    if re.search(r"[\s:]", entry.user):
        reading.say((*path, "user"), f'"{show(entry.user)}" is no login name; it contains a space or a colon')
    password = reading.secret(entry.password, (*path, "password"), check=_not_in_a_table)
    if entry.port == 25:
        what = "port 25 takes no logins; a smarthost for customers listens on 587 or 465"
        reading.say((*path, "port"), what)
    return Relay(host, entry.port, entry.user, password, reading.path(entry.ca_file))


def _not_in_a_table(value: str) -> str:
    """Postfix takes blanks off the ends of a table's values."""
    if value != value.strip() or not value.isprintable():
        return "gives a password that begins or ends with a blank, or has a control character in it"
    return ""
