"""The inventory as it is meant: typed, complete, every reference resolved and every name in canonical form.

`mailprov.inventory.load` makes it and is the only place that does; everything to the right of it trusts it:
domain names are lower case A-labels (IDNA) without a final dot, addresses are `local@domain` in lower case,
aliases and lists point at something, no alias loops, no name is used twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailprov.model.accounts import Account
from mailprov.model.dns import DnsSettings
from mailprov.model.hosted import Hosted
from mailprov.model.jumps import Jump
from mailprov.model.ports import ALL, SERVICES, Port
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass, field

if TYPE_CHECKING:
    from mailprov.model.moving import Moving
    from mailprov.model.pacc import Change as PaccChange

# The first key of a plan saved by plan/saved.py: JSON, and so YAML, but no inventory.
SAVED_PLAN = "mailprov_plan"


class Transport(str, Enum):
    BUILTIN = "builtin"  # mailprov's own SSH client
    OPENSSH = "openssh"  # the system's ssh program, with all that its configuration can do
    LOCAL = "local"  # no SSH: the host is this machine


@dataclass(frozen=True)
class SshSettings:
    """How to reach one host. Unset fields: the transport decides (ssh_config, agent, default keys, known_hosts)."""

    user: str | None = None  # root if ssh_config names nobody either
    port: int | None = None
    identity_file: Path | None = None
    passphrase: Secret | None = None  # of `identity_file`, or of the keys that ssh_config names
    password: Secret | None = None
    become_password: Secret | None = None  # for sudo, when `user` is not root
    known_hosts: Path | None = None
    host_key: str | None = None  # a pinned fingerprint, "SHA256:…"
    proxy_jump: tuple[Jump, ...] | None = None  # (): none, whatever ssh_config says
    transport: Transport | None = None  # None: builtin, or openssh where ssh_config has a ProxyCommand
    config: Path | None = None  # in place of ~/.ssh/config and /etc/ssh/ssh_config
    ignore_config: bool = False  # `config: none`


class TlsMode(str, Enum):
    SELF_SIGNED = "self-signed"  # key and certificate are made on the host and stay there
    FILES = "files"  # certificate and key are given as files on the controller
    ACME = "acme"  # a certificate authority issues them to the host (RFC 8555)


class Challenge(str, Enum):
    """How the host shows a certificate authority that a name is its own (RFC 8555 section 8)."""

    HTTP = "http-01"
    DNS = "dns-01"


class KeyType(str, Enum):
    ECDSA = "ecdsa"
    RSA = "rsa"
    BOTH = "both"


LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
_LETS_ENCRYPTS = ("https://acme-v02.api.letsencrypt.org", "https://acme-staging-v02.api.letsencrypt.org")


@dataclass(frozen=True)
class Acme:
    """The authority that issues certificates, and how it is answered."""

    email: str | None = None  # whom the authority may write to
    directory: str = LETS_ENCRYPT
    challenge: Challenge = Challenge.HTTP
    propagation: int = 60  # seconds until all servers of a zone have a new record (dns-01)
    caa: str | None = None  # the authority's name in CAA records (RFC 8659 section 4.2); "": no such record

    @property
    def authority(self) -> str:
        """`caa`, or by default that of Let's Encrypt where it is used; empty: not known, or not to be published."""
        known = "letsencrypt.org" if self.directory.partition("/directory")[0] in _LETS_ENCRYPTS else ""
        return known if self.caa is None else self.caa


@dataclass(frozen=True)
class Tls:
    """Where a host's certificate comes from."""

    mode: TlsMode = TlsMode.SELF_SIGNED
    certificate: Path | None = None  # PEM, leaf first, then intermediates (mode files)
    key: Path | None = None  # PEM (mode files)
    ca_file: Path | None = (
        None  # what `verify`, and certbot of the directory, trust besides the system's store
    )
    key_type: KeyType = KeyType.ECDSA  # of keys that are made
    acme: Acme = Acme()
    tlsa: bool = True  # TLSA records of a host that is an MX, where its zone is signed


class Filter(str, Enum):
    RSPAMD = "rspamd"  # checks what arrives, and signs what is sent
    NONE = "none"  # nothing is checked; OpenDKIM signs


@dataclass(frozen=True)
class Host:
    """One machine, with what the file's top says of all of them filled in."""

    name: str  # the key in the inventory: mx1
    address: str  # what SSH connects to: name, IPv4 or IPv6
    fqdn: str  # HELO name, certificate name, MX target
    ssh: SshSettings
    tls: Tls
    ipv4: tuple[str, ...] = ()  # published as A; default: `address` if it is an IPv4 address
    ipv6: tuple[str, ...] = ()  # published as AAAA; default: `address` if it is an IPv6 address
    recipient_delimiter: str = "+"  # ana+shop@ reaches ana@; "": no such details
    message_size_limit: int = 50 * 2**20  # bytes on the wire
    filter: Filter = Filter.NONE  # what a file that says nothing gets is in components/milter.py
    services: tuple[str, ...] = tuple(
        SERVICES
    )  # what users' programs may connect to, in the order of that table
    # False: others built the server. plan, apply and the like leave it alone, no advice names them, and verify takes
    # what a package, mbox or PAM does by default for what it is (a warning where it could be better).
    managed: bool = True
    lab_release: str | None = None  # what `mailprov lab` boots for this host: debian-12, ubuntu-24.04, …
    # What only one component reads, by its key in the file: components/setting.py.
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def offers(self, port: Port) -> bool:
        return not port.login or port.service in self.services

    @property
    def ports(self) -> tuple[Port, ...]:
        """Where it listens."""
        return tuple(port for port in ALL if self.offers(port))

    @property
    def ports_off(self) -> tuple[Port, ...]:
        """Where nothing may answer."""
        return tuple(port for port in ALL if not self.offers(port))


@dataclass(frozen=True)
class Dmarc:
    """What receivers are asked to do with mail that fails."""

    policy: str = "none"  # none, quarantine, reject (RFC 9989)
    rua: str | None = None  # an address
    asked: bool = True  # False: a default, which gives way to what stands there


@dataclass(frozen=True)
class Dkim:
    """How a domain's mail is signed."""

    algorithms: tuple[str, ...] = ("rsa",)  # one signature for each: rsa, ed25519
    selector: str = ""  # what selectors begin with, before host, algorithm and number


@dataclass(frozen=True)
class Spf:
    """Who may send mail of the domain beside its own hosts (RFC 7208)."""

    include: tuple[str, ...] = ()  # domains whose senders may, too
    soft: bool = False  # others' mail is suspicious (~all), not refused (-all)


@dataclass(frozen=True)
class Mx:
    """What the inventory says of one MX (RFC 5321 section 5.1)."""

    host: str  # a host of the domain, by its name in the inventory; else the full name of somebody else's
    preference: int | None  # None: that host of the domain is published as no MX
    ours: bool


@dataclass(frozen=True)
class Domain:
    """One mail domain and who has mail there."""

    name: str
    hosts: tuple[
        str, ...
    ]  # host names (keys), in order of MX preference: 10, 20, … where `mx` says nothing of them
    accounts: tuple[Account, ...] = ()
    aliases: tuple[
        tuple[str, str], ...
    ] = ()  # (alias address, target address); the target is an account, alias or list
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (list address, member addresses, inside or outside)
    domain_aliases: tuple[str, ...] = ()
    dmarc: Dmarc | None = None  # None: no record
    dkim: Dkim = Dkim()
    catch_all: str | None = None  # who gets mail for names that do not exist; None: it is refused
    mail_name: str | None = None  # what its users' programs connect to, besides the first host's own name
    spf: Spf = Spf()
    mx: tuple[Mx, ...] = ()
    # Its mail is at a provider: no hosts, and nothing of it but DNS records is ours. With hosts as well it is one that
    # moves, and the zone says how far (model/moving.py): then `moving` is that, once it was read (run/moves.py).
    hosted: Hosted | None = None
    moving: Moving | None = None
    tls_rpt: str | None = None  # an address
    # MTA-STS as the inventory has it (testing, enforce, off; None: it does not say), and of a domain that leaves until
    # when that is told (run/leaving.py).
    mta_sts: str | None = None
    leaving: str | None = None
    # What web servers gave out of it in this run: URL and text (run/policies.py). `unread`: the records that rest on
    # that are for somebody who looks himself (`dns export`).
    read_back: tuple[tuple[str, str], ...] = ()
    unread: bool = False
    pacc: PaccChange | None = None  # its file changes (run/configurations.py)
    web_waits: bool = False  # the host of its web names has no web server, by this run either
    srv: bool = False  # programs find the servers by the domain's name
    webmail: str | None = None  # roundcube: at webmail.DOMAIN, on its first host

    def gives_out(self, url: str, text: str) -> bool:
        """Whether that was read back, or is somebody else's business."""
        return self.unread or (url, text) in self.read_back

    @property
    def names(self) -> tuple[str, ...]:
        """Its own, and those of its domain aliases."""
        return (self.name, *self.domain_aliases)

    @property
    def two_sided(self) -> bool:
        """Whether the inventory says of it what it is on own hosts, and what it is at a provider."""
        return bool(self.hosts) and self.hosted is not None

    def at_hosts(self) -> Domain:
        """The same domain when only its hosts serve it."""
        return replace(self, hosted=None, moving=None)

    def at_provider(self) -> Domain:
        """When only the provider does."""
        assert self.hosted is not None, "only a domain that states its provider can be there"
        spf = replace(self.spf, soft=self.hosted.soft)
        return Domain(self.name, (), hosted=self.hosted, spf=spf, dmarc=self.dmarc)

    @property
    def hosts_send(self) -> bool:
        """Whether SPF and DKIM name its hosts."""
        moves = self.moving
        return bool(self.hosts) and (moves is None or moves.both_send or moves.mail_at_hosts)

    @property
    def provider_sends(self) -> bool:
        """The same of its provider."""
        moves = self.moving
        return self.hosted is not None and (moves is None or moves.both_send or not moves.mail_at_hosts)

    @property
    def taken_here(self) -> bool:
        """Whether its hosts put its mail into their mailboxes; if not, it goes to the MX that DNS names."""
        return self.moving is None or self.moving.hosts_take_mail

    @property
    def exchangers(self) -> tuple[Mx, ...]:
        """Every MX that is published, the lowest preference first."""
        told = {each.host: each for each in self.mx if each.ours}
        own = [told.get(name, Mx(name, number * 10, True)) for number, name in enumerate(self.hosts, 1)]
        published = [
            each for each in (*own, *(m for m in self.mx if not m.ours)) if each.preference is not None
        ]
        return tuple(sorted(published, key=lambda each: each.preference or 0))


class Profile(str, Enum):
    """By which bar findings are judged: `probe/profiles.py` has what each of them means."""

    DEFAULT = "default"
    STRICT = "strict"
    LAB = "lab"
    DELIVERABILITY = "deliverability"
    EXAM = "exam"


@dataclass(frozen=True)
class Accepted:
    """A failure or a warning that is known (`verify: {accept: […]}`).

    `probe`: an id, a family or a pattern, as --probe has it. `target`: a host, a host and port (`mx1:993`), a domain
    or an account; empty: wherever the probe looks. `until`: unix seconds; 0: no end. `line` and `column` of the
    inventory.
    """

    probe: str
    target: str
    reason: str
    until: int = 0
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.probe} {self.target}".strip()


@dataclass(frozen=True)
class Inventory:
    """The whole file. `source` is the path as the user wrote it."""

    source: str
    hosts: tuple[Host, ...]
    domains: tuple[Domain, ...]
    dns: DnsSettings = field(default_factory=DnsSettings)
    accepted: tuple[Accepted, ...] = ()  # findings that are known
    profile: Profile = Profile.DEFAULT  # by which bar they are judged

    def host(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    def domains_on(self, host: str) -> tuple[Domain, ...]:
        return tuple(domain for domain in self.domains if host in domain.hosts)

    def sender_domain(self, host: Host) -> str:
        """The domain of the senders that a host makes itself: rewritten ones (SRS), bounces, mail of its programs.

        Its fqdn. Where that is a mail domain as well, a name below it that nothing else has: what has such a sender
        passes SPF for its domain, whatever its From: says, so no mailbox may be in that domain (components/srs.py).
        """
        if host.fqdn not in self._served:
            return host.fqdn
        names = (f"srs{number or ''}.{host.fqdn}" for number in itertools.count())
        return next(name for name in names if name not in self._names)

    @cached_property
    def _served(self) -> frozenset[str]:
        """All mail domains that have hosts or a provider, and their aliases."""
        domains = (domain for domain in self.domains if domain.hosts or domain.hosted)
        return frozenset(name for domain in domains for name in (domain.name, *domain.domain_aliases))

    @cached_property
    def _names(self) -> frozenset[str]:
        """Every name that the inventory gives to something."""
        domains = (name for domain in self.domains for name in (domain.name, *domain.domain_aliases))
        mail_names = (domain.mail_name for domain in self.domains if domain.mail_name)
        return frozenset((*(host.fqdn for host in self.hosts), *domains, *mail_names))

    def mail_names(self, host: str) -> tuple[str, ...]:
        """The names of domains that lead to this host: their first one."""
        names = (domain.mail_name for domain in self.domains if domain.hosts[:1] == (host,))
        return tuple(dict.fromkeys(name for name in names if name))
