"""Random zones and random inventories, of which each key of the inventory that makes records has its part.

    records(rng, zone) -> [(name, ttl, type, text)]     somebody else's, as zone file text; a set has one TTL
    pointers(rng) -> likewise, in the zone REVERSE
    wishes(rng, zone, settings) -> Inventory            its hosts are mx1 to mx3, with addresses in REVERSE
    keys(zone), tls()                                    DKIM keys and certificates' keys of these hosts
    merged(text, standing) -> bool                       whether this SPF record stands, with terms of ours added
    ANCHOR                                               the zone of a domain that each of these inventories has, too

What it draws is valid as the inventory's reader would have it, and of records what BIND takes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Iterable, Sequence

from mailprov.dns import spf_merge
from mailprov.model.dkim import PublicKeys
from mailprov.model.dns import DnsSettings
from mailprov.model.hosted import EXCHANGE, GOOGLE, OTHER, Hosted, ProviderKey
from mailprov.model.inventory import (
    Acme,
    Dmarc,
    Domain,
    Host,
    Inventory,
    Mx,
    Spf,
    SshSettings,
    Tls,
    TlsMode,
)
from mailprov.model.ports import SERVICES
from mailprov.model.tls_keys import HostKeys, ServedKeys
from mailprov.records import types
from mailprov.records.spf_text import is_spf

REVERSE = "0.0.10.in-addr.arpa"
ANCHOR = "contract10.test"
Records = list[tuple[str, int, str, str]]

TEXTS = (
    '"v=spf1 mx -all"',
    '"v=spf1 " "mx -all"',
    '"v=spf1 include:x.example ~all"',
    '"V=SPF1 ?all"',
    '"v=spf10 not"',
    '"site=a; b"',
    '"Site=A; B"',
    '"\\000\\255\\"\\\\"',
    '"v=DMARC1; p=none"',
    '"v=DKIM1; k=rsa; p=dGhlaXJz"',
    '"v=TLSRPTv1; rua=mailto:them@example.net"',
    '"MS=ms12345678"',
    f'"{"x" * 255}" "{"y" * 200}"',
    '""',
)


def values(zone: str) -> dict[str, tuple[str, ...]]:
    return {
        "A": ("10.0.0.1", "10.0.0.2", "192.0.2.1"),
        "AAAA": ("2001:db8::1", "2001:db8::2"),
        # BIND refuses an MX in the zone without an address there.
        "MX": (f"10 ns.{zone}.", "5 Mail.Example.", "0 .", "1 smtp.google.com."),
        "TXT": TEXTS,
        "CAA": ('0 issue "ca.example"', '0 issue "letsencrypt.org"', '0 iodef "mailto:ca@example.net"'),
        "SRV": (f"0 0 993 mx1.{zone}.", "0 0 0 ."),
        "TLSA": (f"3 1 1 {'ab' * 32}", f"2 0 1 {'cd' * 32}"),
    }


def merged(text: str, standing: Iterable[str]) -> bool:
    """Also where nothing was added, and only the strings are cut elsewhere. Both as zone file text."""
    theirs = types.parse("TXT", text)
    if not is_spf(theirs):
        return False
    for each in standing:
        found = spf_merge.difference(theirs, types.parse("TXT", each), "")
        if found is not None and not found[0]:
            return True
    return False


# Some stand in our way, most beside it.
NAMES = (
    "@", "@", "mx1", "mx2", "www", "mail", "sub", "other", "*", "*.mx1", "deep.mx2", "mx1.sub", "_dmarc",
    "mx1-rsa-1._domainkey", "selector1._domainkey", "_smtp._tls", "_imaps._tcp", "*.other", "autodiscover",
    "_25._tcp.mx1",
)  # fmt: skip
ALIASES = ("www", "ftp", "autodiscover", "selector1._domainkey", "_dmarc.sub", "mail")


def records(rng: random.Random, zone: str) -> Records:
    every = values(zone)
    ttls: dict[tuple[str, str], int] = {}
    found: dict[tuple[str, str, str], int] = {}
    for _ in range(rng.randrange(12)):
        label = rng.choice(NAMES)
        name = f"{zone}." if label == "@" else f"{label}.{zone}."
        # BIND refuses addresses and MX at names that no host can have.
        kinds = (
            ("TXT", "TLSA")
            if "_25" in label
            else ("TXT", "SRV")
            if "_tcp" in label
            else ("TXT",)
            if "_" in label
            else tuple(every)
        )
        kind = rng.choice(kinds)
        ttl = ttls.setdefault((name, kind), rng.choice((60, 300, 3600)))
        found[name, kind, rng.choice(every[kind])] = ttl
    taken = {name for name, _, _ in found}
    for label in ALIASES:  # a CNAME stands alone
        name = f"{label}.{zone}."
        if rng.random() < 0.05 and name not in taken:
            found[name, "CNAME", rng.choice((f"mx1.{zone}.", "elsewhere.example."))] = 60
    return [(name, ttl, kind, value) for (name, kind, value), ttl in found.items()]


def pointers(rng: random.Random) -> Records:
    names = [number for number in (1, 2, 3, 80) if rng.random() < 0.1]
    return [
        (f"{number}.{REVERSE}.", 300, "PTR", rng.choice(("old.example.", "mx1.random.test.")))
        for number in names
    ]


NAMES_OF_KEYS = ("mx1", "mx2", "mx3")


def keys(zone: str) -> PublicKeys:
    units = (zone, f"sub.{zone}", f"alias.{zone}", f"other.{zone}")
    return {
        host: {f"{unit}.{host}-rsa-1": f"v=DKIM1; k=rsa; p=b3Vycy{host[-1]}" for unit in units}
        for host in NAMES_OF_KEYS
    }


def tls() -> ServedKeys:
    digests = {host: hashlib.sha256(host.encode()).hexdigest() for host in NAMES_OF_KEYS}
    return {host: HostKeys((digest,), served=(digest,)) for host, digest in digests.items()}


def wishes(rng: random.Random, zone: str, settings: DnsSettings) -> Inventory:
    """With a domain in ANCHOR, so that those of this zone can leave."""
    authority = rng.choice((Acme(), Acme(caa="ca.example"), Acme(caa=""), None))
    tls = Tls() if authority is None else Tls(mode=TlsMode.ACME, acme=authority)
    numbers = rng.choice(((1,), (1, 2), (2,), (3, 1)))
    hosts = [
        dataclasses.replace(host(n, zone, tls, six=rng.random() < 0.3), services=services(rng))
        for n in numbers
    ]
    names = tuple(one.name for one in hosts)
    domains = [domain(rng, zone, zone, names)]
    if rng.random() < 0.4:
        domains.append(domain(rng, f"sub.{zone}", zone, names))
    anchor = Domain(ANCHOR, ("mx9",))
    return Inventory(
        "inv.yml",
        (*hosts, host(9, ANCHOR, Tls())),
        (*domains, anchor),
        dataclasses.replace(settings, reverse=rng.random() < 0.4),
    )


def host(number: int, zone: str, tls: Tls, *, six: bool = False) -> Host:
    four = f"10.0.{0 if zone != ANCHOR else 9}.{number}"
    more = (f"2001:db8::{number}",) if six else ()
    return Host(f"mx{number}", four, f"mx{number}.{zone}", SshSettings(), tls, (four,), more)


def services(rng: random.Random) -> tuple[str, ...]:
    """All, or some; SRV says of the others that they are off."""
    return tuple(name for name in SERVICES if rng.random() < 0.6) if rng.random() < 0.5 else tuple(SERVICES)


def domain(rng: random.Random, name: str, zone: str, hosts: Sequence[str]) -> Domain:
    asked = Dmarc(
        rng.choice(("none", "quarantine", "reject")), rng.choice((None, f"dmarc@{zone}", f"d@{name}"))
    )
    common = {
        "dmarc": rng.choice((None, Dmarc(asked=False), asked)),
        "spf": Spf(rng.choice(((), ("_spf.news.example",))), soft=rng.random() < 0.3),
    }
    if rng.random() < 0.25:
        return Domain(name, (), hosted=hosted(rng, name), **common)  # type: ignore[arg-type]
    others = tuple(Mx(f"backup{n}.example", 50 + n, ours=False) for n in range(rng.choice((0, 0, 1, 2))))
    own = tuple(
        Mx(one, rng.choice((5, None) if others else (5, 15)), ours=True)
        for one in hosts
        if rng.random() < 0.2
    )
    return Domain(
        name,
        tuple(hosts),
        domain_aliases=(f"alias.{zone}",) if name == zone and rng.random() < 0.2 else (),
        mail_name=f"mail.{zone}" if name == zone and rng.random() < 0.3 else None,
        mx=(*own, *others),
        tls_rpt=rng.choice((None, None, f"tls@{zone}")),
        srv=rng.random() < 0.3,
        **common,  # type: ignore[arg-type]
    )


def hosted(rng: random.Random, name: str) -> Hosted:
    dashes = name.replace(".", "-")
    made: tuple[Hosted, ...] = (
        Hosted(
            GOOGLE,
            GOOGLE.mx,
            (ProviderKey("google", "TXT", "v=DKIM1; k=rsa; p=Z29vZ2xl"),),
            "google-site-verification=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        ),
        Hosted(
            EXCHANGE,
            ((0, f"{dashes}.mail.protection.outlook.com"),),
            tuple(
                ProviderKey(
                    f"selector{n}",
                    "CNAME",
                    f"selector{n}-{dashes}._domainkey.contoso.n-v{n}.dkim.mail.microsoft",
                )
                for n in (1, 2)
            ),
            "MS=ms12345678",
        ),
        Hosted(OTHER, ((10, "in1.mail.example"), (20, "in2.mail.example"))),
    )
    return rng.choice(made)
