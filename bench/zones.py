"""What planning and writing zones costs on a real name server: questions, and rounds of them one after another.

    measure(folder) -> lines     of Markdown

BIND on a loopback port; an inventory with 100 domains in one zone, and one with ten zones, each first published and
then planned again without changes. A round is what travels at once (dns/session.py); with a server far away, rounds are
what one waits for. Writing tells the rounds of the zone with most of them. 0.1.0's figures were measured once, by this
module on its code: such numbers do not depend on the machine. Each domain has MX, SPF, DMARC and one DKIM key.
Raises BenchFailed.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.measure import BenchFailed
from mailprov import dns
from mailprov.dns.session import Session
from mailprov.model.inventory import (
    Dmarc,
    DnsProvider,
    DnsSettings,
    Domain,
    Host,
    Inventory,
    Secret,
    SshSettings,
    Tls,
    Tsig,
)
from tests.unit.dns.servers import HEAD, SECRET, free_port

MANY = tuple(f"d{number}.many.test" for number in range(100))
ZONES = tuple(f"zone{number}.test" for number in range(10))
INVENTORIES = {"100 domains in one zone": ("mx1.many.test", MANY), "ten zones": ("mx1.zone0.test", ZONES)}
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
}


def measure(folder: Path) -> list[str]:
    port = free_port()
    server = _start(folder, port)
    try:
        seen = _counts(port)
    finally:
        server.kill()
        server.wait()
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


def _counts(port: int) -> dict[tuple[str, str], tuple[int, int]]:
    tsig = Tsig("mailprov", "hmac-sha256", Secret("bench", SECRET))
    settings = DnsSettings(provider=DnsProvider.RFC2136, server="127.0.0.1", port=port, tsig=tsig, ttl=300)
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
    rounds, questions, ask = 0, 0, Session.ask

    def counting(self: Session, messages):  # type: ignore[no-untyped-def]
        nonlocal rounds, questions
        told = list(messages)
        rounds, questions = rounds + bool(told), questions + len(told)
        return ask(self, told)

    Session.ask = counting  # type: ignore[method-assign]
    try:
        return work(), rounds, questions
    finally:
        Session.ask = ask  # type: ignore[method-assign]


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    program = shutil.which("named") or shutil.which("/usr/sbin/named")
    if program is None:
        raise BenchFailed("bench: zones: BIND is not installed (Debian: bind9)")
    text = f"""options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; notify no; empty-zones-enable no; pid-file none;
    managed-keys-directory "{folder}"; session-keyfile none; lock-file none; }};
    controls {{ }};
    key mailprov {{ algorithm hmac-sha256; secret "{SECRET}"; }};
    """
    for zone in ("many.test", *ZONES):
        (folder / zone).write_text(HEAD)
        text += f'zone "{zone}" {{ type primary; file "{zone}"; allow-update {{ key mailprov; }}; }};\n'
    (folder / "named.conf").write_text(text)
    with (folder / "named.log").open("w") as log:
        server = subprocess.Popen(
            [program, "-g", "-n", "1", "-c", str(folder / "named.conf")], stdout=log, stderr=log
        )
    for _ in range(300):
        if "running" in (folder / "named.log").read_text() and server.poll() is None:
            return server
        time.sleep(0.1)
    server.kill()
    raise BenchFailed(f"bench: zones: BIND does not start:\n{(folder / 'named.log').read_text()[-2000:]}")
