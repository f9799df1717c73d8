"""The scripted servers, and an inventory that describes them.

Public: ScriptedLab, account, RECORDS, SLOW_ONLY. Raises what `probe.verify` does, which is nothing but bugs.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import ClassVar

from mailprov.model.accounts import Account, Forward
from mailprov.model.dkim import PublicKeys
from mailprov.model.dns import DnsSettings, NameServer, ProviderSettings
from mailprov.model.findings import Finding
from mailprov.model.inventory import (
    Dmarc,
    Domain,
    Filter,
    Host,
    Inventory,
    SshSettings,
    Tls,
    TlsMode,
)
from mailprov.model.ports import SERVICES
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass
from mailprov.probe import Leftovers, Timing, verify
from mailprov.probe.bans import Ask
from mailprov.probe.clients.ways import HERE, Way, question_through
from mailprov.probe.queues import Ask as AskQueue
from mailprov.probe.registry import ALL_PORTS
from mailprov.probe.vantage import Ask as AskTrusted
from mailprov.selftest.certificates import Authority
from mailprov.selftest.servers import World
from mailprov.selftest.signer import RECORD, SELECTOR
from mailprov.selftest.state import PASSWORDS

# Seconds that only a machine that hangs reaches: no verdict is to come from how busy it is.
PATIENCE = 600.0
_LIMIT = 256 * 1024  # octets of the mailbox for tests
# Faults that only a deadline ends.
SLOW_ONLY = {"silent", "dns-silent"}
RECORDS = {
    ("mx1.alpha.test", "A"): ["127.0.0.1"],
    ("mx2.beta.test", "A"): ["127.0.0.2"],
    ("1.0.0.127.in-addr.arpa", "PTR"): ["mx1.alpha.test."],
    ("2.0.0.127.in-addr.arpa", "PTR"): ["mx2.beta.test."],
    ("mail.alpha.test", "A"): ["127.0.0.1"],
    ("mail.beta.test", "A"): ["127.0.0.2"],
    ("alpha.test", "MX"): ["10 mx1.alpha.test."],
    ("alfa.test", "MX"): ["10 mx1.alpha.test."],
    ("beta.test", "MX"): ["10 mx2.beta.test."],
    ("alpha.test", "TXT"): ['"v=spf1 ip4:127.0.0.1 -all"', '"other=thing"'],
    ("alfa.test", "TXT"): ['"v=spf1 redirect=alpha.test"'],
    (f"{SELECTOR}._domainkey.alpha.test", "TXT"): [RECORD],
    (f"{SELECTOR}._domainkey.beta.test", "TXT"): [RECORD],
    ("beta.test", "TXT"): ['"v=spf1 a:mx2.beta.test ~all"'],
    ("mx1.alpha.test", "TXT"): ['"v=spf1 a -all"'],
    ("mx2.beta.test", "TXT"): ['"v=spf1 a -all"'],
}
for _zone in ("alpha.test", "alfa.test", "beta.test"):
    RECORDS[_zone, "SOA"] = [f"ns.{_zone}. h.{_zone}. 1 1 1 1 1"]
    RECORDS[_zone, "NS"] = [f"ns.{_zone}."]
    RECORDS[f"ns.{_zone}", "A"] = ["127.0.0.1"]
    RECORDS[f"_dmarc.{_zone}", "TXT"] = ['"v=DMARC1; p=reject; aspf=s"']


@dataclass(frozen=True)
class ScriptedZones(ProviderSettings):
    """`dns:` of the scripted inventory: the zones are at the world's own name server, which could be written to."""

    name: ClassVar[str] = "scripted"
    publishes: ClassVar[bool] = True

    port: int = 53

    @property
    def name_server(self) -> NameServer:
        return NameServer("127.0.0.1", self.port)


def account(address: str, *, known: bool = True) -> Account:
    if known:
        return Account(address, password=Secret("env:X", PASSWORDS[address]))
    return Account(address, password_hash=Secret("inline", "{SHA512-CRYPT}$6$x"))


class ScriptedLab:
    """`world` and `inventory` may be changed before `verify`."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.world = World(authority, records={key: list(value) for key, value in RECORDS.items()})
        self.world.boxes["ana@alpha.test"].append(b"old mail\r\n\r\nbody\r\n")
        tls = Tls(TlsMode.FILES, ca_file=authority.file)
        self.inventory = Inventory(
            "inv.yml",
            (
                Host(
                    "mx1",
                    "127.0.0.1",
                    "mx1.alpha.test",
                    SshSettings(),
                    tls,
                    ipv4=("127.0.0.1",),
                    filter=Filter.RSPAMD,
                ),
                Host(
                    "mx2",
                    "127.0.0.2",
                    "mx2.beta.test",
                    SshSettings(),
                    tls,
                    ipv4=("127.0.0.2",),
                    filter=Filter.RSPAMD,
                ),
            ),
            (
                Domain(
                    "alpha.test",
                    ("mx1",),
                    (account("ana@alpha.test"), account("zoe@alpha.test")),
                    domain_aliases=("alfa.test",),
                    mail_name="mail.alpha.test",
                    dmarc=Dmarc("reject"),
                ),
                Domain(
                    "beta.test",
                    ("mx2",),
                    (account("eva@beta.test"),),
                    mail_name="mail.beta.test",
                    dmarc=Dmarc("reject"),
                ),
            ),
        )
        self.started = False

    def spoil(self, faults: str, certificate: str) -> None:
        self.world.faults = frozenset(faults.split())
        self.world.certificate = certificate or "right"

    def with_addresses(self) -> None:
        """Every kind of address, in the inventory and on the servers."""
        alpha, beta = self.inventory.domains
        forwards = (
            replace(account("user1@alpha.test"), forward=Forward(("eva@beta.test",), keep=True)),
            replace(account("user2@alpha.test"), forward=Forward(("zoe@alpha.test",), keep=False)),
        )
        alpha = replace(
            alpha,
            accounts=(*alpha.accounts, *forwards, account("user3@alpha.test", known=False)),
            aliases=(("office@alpha.test", "staff@alpha.test"), ("far@alpha.test", "eva@beta.test")),
            lists=(
                ("staff@alpha.test", ("ana@alpha.test", "zoe@alpha.test", "eva@beta.test")),
                ("closed@alpha.test", ("ana@alpha.test", "user3@alpha.test")),
                ("away@alpha.test", ("ana@alpha.test", "somebody@example.com")),
            ),
        )
        beta = replace(beta, catch_all="eva@beta.test")
        self.inventory = replace(self.inventory, domains=(alpha, beta))
        staff = ["ana@alpha.test", "zoe@alpha.test", "eva@beta.test"]
        self.world.routes = {
            "office@alpha.test": staff,
            "staff@alpha.test": staff,
            "far@alpha.test": ["eva@beta.test"],
            "user1@alpha.test": ["user1@alpha.test", "eva@beta.test"],
            "user2@alpha.test": ["zoe@alpha.test"],
            "@beta.test": ["eva@beta.test"],
        }

    def with_a_mailbox_for_tests(self) -> None:
        """One on the first host, with a limit; the second host has none."""
        alpha, beta = self.inventory.domains
        tests = replace(account("user9@alpha.test"), probe=True, quota=_LIMIT)
        self.inventory = replace(
            self.inventory, domains=(replace(alpha, accounts=(*alpha.accounts, tests)), beta)
        )
        self.world.limits["user9@alpha.test"] = _LIMIT

    def declare_self_signed(self) -> None:
        hosts = tuple(replace(host, tls=Tls()) for host in self.inventory.hosts)
        self.inventory = replace(self.inventory, hosts=hosts)

    def switch_off(self, name: str, *services: str) -> None:
        """On this host; the inventory says so, too."""
        hosts = {host.name: host for host in self.inventory.hosts}
        kept = tuple(each for each in SERVICES if each not in services)
        hosts[name] = replace(hosts[name], services=kept)
        self.inventory = replace(self.inventory, hosts=tuple(hosts.values()))
        self.world.off[hosts[name].address] = set(services)

    @staticmethod
    def base64(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    def start(self) -> None:
        """Open the servers; `verify` does so by itself."""
        if not self.started:
            self.world.__enter__()
            self.started = True

    def close(self) -> None:
        if self.started:
            self.world.__exit__()

    def verify(
        self,
        only: str = "",
        port: int = 0,
        *,
        wait: float = PATIENCE,
        delivery: float = PATIENCE,
        stop: threading.Event | None = None,
        hosts: Sequence[str] = (),
        domains: Sequence[str] = (),
        in_order_of_arrival: bool = False,
        provisioned: Sequence[str] = (),
        ident: str = "run",
        accounts: int | None = 3,
        partner: str = "",
        bans: Ask | None = None,
        queues: AskQueue | None = None,
        watch: Callable[[Collection[Host]], None] | None = None,
        signing: PublicKeys | None = None,
        skip: str = "",
        selectors: tuple[str, ...] | None = None,
        intrusive: bool = False,
        trusted: AskTrusted | None = None,
        leftovers: Leftovers | None = None,
        way: Way | None = None,
    ) -> list[Finding]:
        """All findings; `emit` must have seen the same ones. `wait`, in seconds, bounds each probe: for those that
        only a deadline ends.
        """
        self.start()
        if self.inventory.dns == DnsSettings():
            server = DnsSettings(ScriptedZones(port=self.world.dns_port))
            self.inventory = replace(self.inventory, dns=server)
        resolver = question_through(way or HERE, ["127.0.0.1"], self.world.dns_port)
        mute = "dns-silent" in self.world.faults
        resolver.lifetime = 0.3 if mute else PATIENCE
        seen: list[Finding] = []
        found = verify(
            self.inventory,
            emit=seen.append,
            probe_ids=only.split(),
            hosts=hosts,
            domains=domains,
            resolver=resolver,
            stop=stop,
            timing=Timing(
                connect=PATIENCE,
                probe=wait,
                wrong_password=wait,
                delivery=delivery,
                dns=0.1 if mute else PATIENCE,
                visible=0.3,  # the scripted servers show it at once or never
                warning=0.3,
                transfer=0.2,
                poll=0.02,
                overall=4 * PATIENCE,
            ),
            port_map=self.world.port_map,
            port_numbers=[port] if port else ALL_PORTS,
            provisioned=provisioned,
            bans=bans,
            queues=queues,
            watch=watch,
            signing=signing,
            skip_ids=skip.split(),
            ident=ident,
            accounts=accounts,
            partner=partner,
            selectors=selectors,
            intrusive=intrusive,
            trusted=trusted,
            profile=self.inventory.profile,
            leftovers=leftovers,
            way=way,
        )
        assert sorted(map(repr, seen)) == sorted(map(repr, found))
        return seen if in_order_of_arrival else found
