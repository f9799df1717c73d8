"""What planning and writing zones costs on a real name server: questions, and rounds of them one after another.

    measure(folder) -> lines     of Markdown

BIND on a loopback port; an inventory with 100 domains in one zone, with ten zones, and with ten that have a wildcard.
Each is published and then planned again without changes. A round is what travels at once
(dns/providers/rfc2136/session.py); with a server far away, rounds are what one waits for.
Zones are written side by side (run/zones.py), so writing tells
the rounds of the zone with most of them. 0.1.0's figures were measured once, on its code: such numbers do not depend on
the machine. Each domain has MX, SPF, DMARC and one DKIM key.
Raises BenchFailed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.measure import BenchFailed
from mailprov import dns
from mailprov.dns.providers.rfc2136.session import TRAFFIC
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Dmarc, Domain, Host, Inventory, SshSettings, Tls
from tests.unit.dns.servers import KINDS, start, stop

MANY = tuple(f"d{number}.many.test" for number in range(100))
ZONES = tuple(f"zone{number}.test" for number in range(10))
WILD = tuple(f"wild{number}.test" for number in range(10))
INVENTORIES = {
    "100 domains in one zone": ("mx1.many.test", MANY),
    "ten zones": ("mx1.zone0.test", ZONES),
    "ten zones with wildcards": ("mx1.wild0.test", WILD),
}
WILDCARD = "* A 192.0.2.1\n* MX 5 mail.example.\n"  # what the host's own address is to be
_KEY = (
    "v=DKIM1; k=ed25519; p=" + "A" * 44
)  # RSA keys of 100 domains were more than 0.1.0 could write in one update
# (rounds, questions) of 0.1.0: b23127c on 29 November 2026.
BEFORE = {
    ("100 domains in one zone", "plan of a first apply"): (3, 704),
    ("100 domains in one zone", "its records are written"): (3, 607),
    ("100 domains in one zone", "plan without changes"): (5, 908),
    ("ten zones", "plan of a first apply"): (21, 83),
    ("ten zones", "its records are written"): (3, 83),
    ("ten zones", "plan without changes"): (41, 114),
    ("ten zones with wildcards", "plan of a first apply"): (23, 85),
    ("ten zones with wildcards", "its records are written"): (4, 84),
    ("ten zones with wildcards", "plan without changes"): (42, 115),
}


def measure(folder: Path) -> list[str]:
    if missing := KINDS["bind"].missing():
        raise BenchFailed(f"bench: zones: {missing}")
    zones = {"many.test": "", **dict.fromkeys(ZONES, ""), **dict.fromkeys(WILD, WILDCARD)}
    server, process = start("bind", folder, zones)
    try:
        seen = _counts(server.settings())
    finally:
        stop(process)
    lines = [
        "Rounds and questions that zones cost (phase `zones`):",
        "",
        "| inventory | what | rounds, 0.1.0 | now | questions, 0.1.0 | now |",
        "|---|---|---|---|---|---|",
    ]
    for (label, what), (rounds, questions) in seen.items():
        old = BEFORE.get((label, what), ("", ""))
        lines.append(f"| {label} | {what} | {old[0]} | {rounds} | {old[1]} | {questions} |")
    return [*lines, ""]


def _counts(settings: DnsSettings) -> Mapping[tuple[str, str], tuple[int, int]]:
    seen = {}
    for label, (fqdn, names) in INVENTORIES.items():
        host = Host("mx1", "192.0.2.1", fqdn, SshSettings(), Tls(), ("192.0.2.1",))
        domains = tuple(Domain(name, ("mx1",), dmarc=Dmarc("quarantine", None)) for name in names)
        inventory = Inventory("bench", (host,), domains, settings)
        plan = partial(dns.plan, inventory, False, {"mx1": {f"{name}.mx1-ed25519-1": _KEY for name in names}})
        plans, *first = _counted(plan)
        seen[label, "plan of a first apply"] = (first[0], first[1])
        wrote = [_counted(partial(_apply, plan)) for plan in plans if plan.zone]
        seen[label, "its records are written"] = (max(w[1] for w in wrote), sum(w[2] for w in wrote))
        plans, *again = _counted(plan)
        if any(plan.changes for plan in plans):
            raise BenchFailed(f"bench: {label}: the second plan has changes")
        seen[label, "plan without changes"] = (again[0], again[1])
    return seen


def _apply(plan: dns.ZonePlan) -> list[dns.ZonePlan]:
    dns.apply(plan, lambda event: None)
    return [plan]


def _counted(work: Callable[[], list[dns.ZonePlan]]) -> tuple[list[dns.ZonePlan], int, int]:
    """What `work` gives, its rounds and its questions."""
    rounds, questions = TRAFFIC.rounds, TRAFFIC.questions
    plans = work()
    return plans, TRAFFIC.rounds - rounds, TRAFFIC.questions - questions
