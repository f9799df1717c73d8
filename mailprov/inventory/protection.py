"""What the file says about failed logins, a smarthost, the firewall and blocklists, and what it means for a host.

    resolve(entry, path, context)               the fields of a Host that `entry` says something about
    check_blocklists(file, hosts, context)      that there is somebody to ask them

What is wrong goes to `context.problems`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from mailprov.inventory.schema import File
from mailprov.inventory.schema_hosts import HostEntry
from mailprov.inventory.schema_protection import RelayEntry
from mailprov.model.inventory import Fail2ban, Filter, Host, Relay
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show


def resolve(entry: File | HostEntry, path: KeyPath, context: Context) -> dict[str, Any]:
    """`path` is () for the file itself."""
    found: dict[str, Any] = {}
    if entry.fail2ban is not None:
        here: KeyPath = (*path, "fail2ban", "ignore")
        given = enumerate(entry.fail2ban.ignore)
        ignore = [context.checked((*here, index), text, _network) for index, text in given]
        found["fail2ban"] = Fail2ban(tuple(dict.fromkeys(each for each in ignore if each)))
    if entry.relayhost is not None:
        found["relay"] = _relay(entry.relayhost, (*path, "relayhost"), context)
    if entry.firewall is not None:
        found["firewall"] = entry.firewall == "ufw"
    if entry.blocklists is not None:
        found["blocklists"] = _blocklists(entry.blocklists, (*path, "blocklists"), context)
    return found


def _blocklists(entry: str | list[str], path: KeyPath, context: Context) -> tuple[str, ...] | None:
    if isinstance(entry, str):
        return None if entry == "default" else ()
    zones = [context.checked((*path, index), text, names.domain) for index, text in enumerate(entry)]
    return tuple(dict.fromkeys(zone for zone in zones if zone))


def check_blocklists(file: File, hosts: Iterable[Host], context: Context) -> None:
    """OpenDKIM, which `filter: none` leaves, looks at nothing that arrives."""
    without = [host.name for host in hosts if host.filter is Filter.NONE]
    if file.blocklists is not None and len(without) == len(file.hosts):
        context.problem(("blocklists",), "Rspamd asks them, and every host has `filter: none`", key=True)
    for name in without:
        if file.hosts[name].blocklists is not None:
            what = "Rspamd asks them, and this host has `filter: none`"
            context.problem(("hosts", name, "blocklists"), what, key=True)


def _network(text: str) -> str:
    try:
        return (
            str(ipaddress.ip_network(text, strict=False)) if "/" in text else str(ipaddress.ip_address(text))
        )
    except ValueError:
        raise names.BadName("is no IP address and no network such as 192.0.2.0/24") from None


def _relay(entry: RelayEntry, path: KeyPath, context: Context) -> Relay:
    host = context.checked((*path, "host"), entry.host, names.fqdn) or ""
    if re.search(r"[\s:]", entry.user):
        context.problem(
            (*path, "user"), f'"{show(entry.user)}" is no login name; it contains a space or a colon'
        )
    password = context.secret(entry.password, (*path, "password"), check=_not_in_a_table)
    if entry.port == 25:
        what = "port 25 takes no logins; a smarthost for customers listens on 587 or 465"
        context.problem((*path, "port"), what)
    return Relay(host, entry.port, entry.user, password, context.path(entry.ca_file))


def _not_in_a_table(value: str) -> str:
    """Postfix takes blanks off the ends of a table's values."""
    if value != value.strip() or not value.isprintable():
        return "gives a password that begins or ends with a blank, or has a control character in it"
    return ""
