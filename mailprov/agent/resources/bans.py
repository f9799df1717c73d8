"""fail2ban's bans: who is held, who must not be, and from when on wrong passwords count.

    held() -> [Ban]                    what fail2ban holds now; empty where it does not run or cannot be asked
    to_lift(spec) -> [address]         those held whom the service's `spares` name
    lift(addresses)                    AgentError with fail2ban's own words
    count_from_now(jails) -> bool      before jails are read for the first time; False where this fail2ban cannot

A jail reads the journal of its last `findtime` when it starts. So whoever tried wrong passwords before there was a
fail2ban (`mailprov verify` does) would be banned by its first start. fail2ban goes on where it has been, which it keeps
in its database: the place for a new jail is put there by its own code, for whichever version is installed.
"""

from __future__ import annotations

import ast
import ipaddress
from typing import Any, Dict, List, NamedTuple, Sequence

from mailprov.agent import commands
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

# Fail2BanDb keeps the time up to which a jail has read the journal (since fail2ban 0.11.2).
_COUNT_FROM_NOW = """
import datetime, sys, time, types
from fail2ban.client.fail2banreader import Fail2banReader
from fail2ban.server.database import Fail2BanDb
reader = Fail2banReader(basedir="/etc/fail2ban")
reader.read()
reader.getEarlyOptions()
reader.getOptions()
path = [words[2] for words in reader.convert() if words[:2] == ["set", "dbfile"]][0]
if path in (None, "None", ":memory:"):
    sys.exit("fail2ban keeps no database")
database, now = Fail2BanDb(path), time.time()
for name in sys.argv[1:]:
    jail = types.SimpleNamespace(name=name)
    database.addJail(jail)
    database.updateJournal(jail, "systemd-journal", now, datetime.datetime.fromtimestamp(now).isoformat())
database.close()
"""


class Ban(NamedTuple):
    jail: str
    address: str


def held() -> List[Ban]:
    """`fail2ban-client banned` prints a list of {jail: [address]}, as Python writes it."""
    if not commands.have("fail2ban-client"):
        return []
    outcome = commands.run(["fail2ban-client", "banned"])
    if outcome.code != 0:
        return []
    try:
        told = ast.literal_eval(outcome.out.strip())
        return [Ban(str(jail), str(ip)) for part in told for jail, ips in part.items() for ip in ips]
    except (ValueError, SyntaxError, AttributeError, TypeError):
        return []


def to_lift(spec: Dict[str, Any]) -> List[str]:
    networks = [ipaddress.ip_network(text, strict=False) for text in spec.get("spares", ())]
    found = (ban.address for ban in held()) if networks else ()
    return sorted({text for text in found if _inside(text, networks)})


def _inside(text: str, networks: Sequence[Any]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a jail of others may hold what is no address
        return False
    return any(address.version == network.version and address in network for network in networks)


def lift(addresses: Sequence[str]) -> None:
    outcome = commands.run(["fail2ban-client", "unban", *addresses])
    if outcome.code != 0:
        what = _("fail2ban did not lift the ban of {addresses}").format(addresses=", ".join(addresses))
        raise AgentError(what, _("look at the output, then apply again"), outcome.lines())


def count_from_now(jails: Sequence[str]) -> bool:
    # Not with the options of the agent's own Python, which see no packages on some hosts.
    return commands.run(["/usr/bin/python3", "-c", _COUNT_FROM_NOW, *jails]).code == 0
