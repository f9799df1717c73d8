"""The probes of zones: each zone that is wrong, and what they say of it.

Public: zones, WRONG, MAIL_OF_OTHERS (which tests have one by one), fixtures(). Raises nothing but bugs.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache

import dns.resolver
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailprov import probe
from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain, Inventory
from mailprov.probe import Timing
from mailprov.selftest.certificates import Authority
from mailprov.selftest.fixture import Fixture, Look, Wanted
from mailprov.selftest.scripted_lab import PATIENCE
from mailprov.selftest.zone_servers import Servers, read, serving
from mailprov.selftest.zone_texts import RESOLVER, Zone, delegation, head, same, signed

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


def _rsa(bits: int) -> str:
    key = rsa.generate_private_key(65537, bits).public_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


KEY = f"v=DKIM1; k=rsa; p={_rsa(2048)}"
_TEXT = " ".join(f'"{KEY[start : start + 200]}"' for start in range(0, len(KEY), 200))
# What a domain that nobody manages has, and one where everything is wrong.
FOREIGN = (
    f"s1._domainkey TXT {_TEXT}\ns2._domainkey CNAME s1._domainkey\n"
    f'@ CAA 0 issue "ca.example"\n_25._tcp.mx TLSA 3 1 1 {"AB" * 32}\n'
    '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:a@sound.zz"\n'
    'agreed.zz._report._dmarc.agreed TXT "v=DMARC1"\n'
)
WORST = (
    '@ MX 10 alias\nalias CNAME ns1\n@ TXT "v=spf1 +all"\n_dmarc TXT "v=DMARC1; p=none"\n'
    '_dmarc TXT "v=DMARC1; p=reject"\ns1._domainkey TXT "v=DKIM1; p="\n@ CAA 128 tbs "x"\n'
    f"_25._tcp.alias TLSA 1 1 1 {'AB' * 32}\n"
    '_mta-sts TXT "v=STSv1"\n_smtp._tls TXT "v=TLSRPTv1"\n'
)
SO_SO = (
    '@ A 127.0.0.7\n@ TXT "v=spf1 ip4:127.0.0.7 ?all"\n_dmarc TXT "v=DMARC1; p=none"\n'
    f's1._domainkey TXT "t=y; " {_TEXT}\n'
)
# As who has services for others asks for: names that lead to theirs.
ALIASES = (
    '@ MX 10 mx\nmx A 127.0.0.7\n@ TXT "v=spf1 include:theirs.aliases.zz -all"\nspf TXT "v=spf1 mx -all"\n'
    "theirs CNAME spf\n_dmarc CNAME _dmarc.sound.zz.\n_smtp._tls CNAME _smtp._tls.sound.zz.\n"
)
# Domains whose MX are in zones of others.
AWAY = {
    "away.zz": ["mx.signed.zz"],
    "away-insecure.zz": ["mx.sound.zz", "mx.nods.zz", "mx.signed.zz"],
    "away-bogus.zz": ["mx.signed.zz", "mx.elsewhere.zz", "mx.sound.zz"],
}
REPORTS = "v=DMARC1; p=reject; rua=mailto:a@{at}"
MAIL = '@ MX 10 mx\nmx A 127.0.0.7\n@ TXT "v=spf1 mx -all"\n_dmarc TXT "v=DMARC1; p=reject"\n'


@cache
def zones() -> dict[str, Zone]:
    made = {
        "sound.zz": same("sound.zz", MAIL + FOREIGN, serials=(7, 3)),
        "worst.zz": same("worst.zz", WORST),
        "so-so.zz": same("so-so.zz", SO_SO),
        "nothing.zz": same("nothing.zz"),
        "short.zz": same(
            "short.zz",
            f's1._domainkey TXT "k=rsa; p={_rsa(1024)}"\n'
            + f's2._domainkey TXT "k=ed25519; p={base64.b64encode(bytes(32)).decode()}"\n'
            + f"s3._domainkey TXT {_TEXT}\n",
        ),
        "caa-of-mx.zz": same(
            "caa-of-mx.zz", '@ MX 10 mx\nmx A 127.0.0.7\n@ CAA 0 issue "ca.example"\nmx CAA 128 tbs "x"\n'
        ),
        "orphan.zz": same("orphan.zz", MAIL, above=""),
        "null.zz": same("null.zz", "@ MX 0 .\n@ MX 10 ns1\n"),
        "parked.zz": same("parked.zz", '@ MX 0 .\n@ TXT "v=spf1 -all"\n_dmarc TXT "v=DMARC1; p=reject"\n'),
        "loop.zz": same("loop.zz", "s1._domainkey CNAME s2._domainkey\ns2._domainkey CNAME s1._domainkey\n"),
        "aliases.zz": same("aliases.zz", ALIASES),
        "big.zz": same("big.zz", MAIL + "".join(f'@ TXT "{n} {"x" * 240}"\n' for n in range(99))),
        "reports.zz": same("reports.zz", f'_dmarc TXT "{REPORTS.format(at="sound.zz")}"\n'),
        "agreed.zz": same(
            "agreed.zz",
            f'_dmarc TXT "{REPORTS.format(at="agreed.sound.zz")}"\n' + MAIL.rpartition("_dmarc")[0],
        ),
        "differ.zz": Zone(
            same("differ.zz", MAIL).first, same("differ.zz", MAIL.replace("reject", "none")).second
        ),
        "lame.zz": Zone(same("lame.zz", MAIL).first, None),
        "wild.zz": same("wild.zz", MAIL + '* TXT "hello"\n'),
        "mismatch.zz": same(
            "mismatch.zz", MAIL, "mismatch.zz. NS ns1.mismatch.zz.\nns1.mismatch.zz. A 127.0.0.2\n"
        ),
        "glue.zz": same("glue.zz", MAIL, delegation("glue.zz").replace("127.0.0.3", "127.0.0.2")),
        "nowhere.zz": same("nowhere.zz", MAIL + "@ NS gone.sound.zz.\n"),
    }

    def add(
        name: str,
        lasts: timedelta = timedelta(days=14),
        begins: timedelta = timedelta(hours=-1),
        **changes: str,
    ) -> None:
        text, ds = signed(name, MAIL, begins=begins, lasts=lasts)
        if "old" in changes:
            assert changes["old"] in text
            text = text.replace(changes["old"], changes["new"])
        if "drop" in changes:
            lines = text.splitlines(keepends=True)
            text = "".join(line for line in lines if changes["drop"] not in line)
            assert len(text) < sum(map(len, lines))
        ds = changes.get("ds", ds)
        text = head(name).splitlines(keepends=True)[1] + text
        made[name] = Zone(text, text, delegation(name) + ds)

    for name, targets in AWAY.items():
        mx = "".join(f"@ MX 10 {target}.\n" for target in targets)
        made[name] = same(name, mx)
    add("signed.zz")
    text, ds = signed("tlsa.zz", MAIL + f"_25._tcp.mx TLSA 3 1 1 {'AB' * 32}\n")
    text = head("tlsa.zz").splitlines(keepends=True)[1] + text
    made["tlsa.zz"] = Zone(text, text, delegation("tlsa.zz") + ds)
    six = "ns1 AAAA ::1\nns2 AAAA ::1\nmx AAAA ::1\n"
    made["six.zz"] = same("six.zz", MAIL + six)
    add("elsewhere.zz", old="mx.elsewhere.zz. 300 IN A 127.0.0.7", new="mx.elsewhere.zz. 300 IN A 127.0.0.8")
    add("nods.zz", ds="")
    add("otherkey.zz", ds=f"otherkey.zz. DS 4711 13 2 {'AB' * 32}\n")
    add("expired.zz", begins=timedelta(days=-30))
    add("future.zz", begins=timedelta(days=3))
    add("ending.zz", begins=timedelta(days=-13), lasts=timedelta(days=14))
    add("tampered.zz", old="mx.tampered.zz. 300 IN A 127.0.0.7", new="mx.tampered.zz. 300 IN A 127.0.0.8")
    add("forged.zz", old='"v=spf1 mx -all"', new='"v=spf1 +all"')
    add("stripped.zz", drop="RRSIG MX")
    made["nokeys.zz"] = same(
        "nokeys.zz", MAIL, delegation("nokeys.zz") + f"nokeys.zz. DS 4711 13 2 {'AB' * 32}\n"
    )
    return made


WRONG = [
    (
        "differ.zz",
        "dns.servers",
        FAIL,
        "gives v=DMARC1; p=none for _dmarc.differ.zz TXT, not v=DMARC1; p=reject",
    ),
    ("lame.zz", "dns.servers", FAIL, "ns2.lame.zz (127.0.0.3) does not hold lame.zz"),
    ("nowhere.zz", "dns.servers", FAIL, "the name server gone.sound.zz of nowhere.zz has no address"),
    ("wild.zz", "dns.wildcard", WARN, "*._domainkey.wild.zz TXT hello"),
    (
        "mismatch.zz",
        "dns.delegation",
        WARN,
        "zz names ns1.mismatch.zz, mismatch.zz itself ns1",
    ),
    ("glue.zz", "dns.delegation", FAIL, "zz has 127.0.0.2 as address of ns2.glue.zz, which is 127.0.0.3"),
    ("signed.zz", "dns.dnssec", PASS, "signed; zz vouches for key"),
    ("nods.zz", "dns.dnssec", WARN, "nods.zz is signed, and zz has no DS record of it"),
    ("otherkey.zz", "dns.dnssec", FAIL, "none of its keys fits the DS records of the zone above"),
    ("expired.zz", "dns.dnssec", FAIL, "the signature of expired.zz DNSKEY ended 16 days ago"),
    ("future.zz", "dns.dnssec", FAIL, "the signature of future.zz DNSKEY is of the future"),
    ("ending.zz", "dns.dnssec", WARN, "ends in 24 hours"),
    ("forged.zz", "dns.dnssec", FAIL, "the signature of forged.zz TXT does not fit"),
    ("stripped.zz", "dns.dnssec", FAIL, "stripped.zz MX has no signature"),
    ("away.zz", "dns.dnssec-mx", PASS, "signed.zz: signed; zz vouches for key"),
    (
        "away-insecure.zz",
        "dns.dnssec-mx",
        WARN,
        "nods.zz: nods.zz is signed, and zz has no DS record of it",
    ),
    ("away-bogus.zz", "dns.dnssec-mx", FAIL, "elsewhere.zz A does not fit"),
    ("nokeys.zz", "dns.dnssec", FAIL, "no keys, although the zone above has a DS record"),
]

MAIL_OF_OTHERS = {
    "sound.zz": {
        "mx": (PASS, "10 mx.sound.zz"),
        "spf": (PASS, "v=spf1 mx -all"),
        "dkim": (PASS, "s1, s2"),
        "dmarc": (PASS, "p=reject"),
        "caa": (PASS, 'sound.zz: 0 issue "ca.example"'),
        "tlsa": (WARN, "the zone of mx.sound.zz is not signed"),
        "mta-sts": (SKIP, ""),
        "tls-rpt": (PASS, "v=TLSRPTv1"),
    },
    "worst.zz": {
        "mx": (FAIL, "the target alias.worst.zz is a CNAME"),
        "spf": (FAIL, "lets anybody pass"),
        "dkim": (FAIL, "s1._domainkey.worst.zz is a DKIM key that was revoked"),
        "dmarc": (FAIL, "several DMARC records (2)"),
        "caa": (FAIL, "critical CAA record with the unknown tag tbs"),
        "tlsa": (FAIL, "_25._tcp.alias.worst.zz has usage 1"),
        "mta-sts": (FAIL, "v=STSv1: it has no id"),
        "tls-rpt": (FAIL, "it must be one, with rua"),
    },
    "aliases.zz": {
        "mx": (PASS, "10 mx.aliases.zz"),
        "spf": (PASS, "include:theirs.aliases.zz"),
        "dmarc": (PASS, "p=reject"),
        "tls-rpt": (PASS, "v=TLSRPTv1"),
    },
    "so-so.zz": {
        "mx": (WARN, "mail goes to the domain's own addresses (127.0.0.7)"),
        "spf": (WARN, "says nothing of others"),
        "dkim": (WARN, "t=y"),
        "dmarc": (WARN, "forbids nothing"),
    },
    "nothing.zz": {
        "mx": (FAIL, "no MX record and no address"),
        "spf": (FAIL, "no SPF record"),
        "dkim": (FAIL, "s1._domainkey.nothing.zz: no record"),
        "dmarc": (FAIL, "no DMARC record"),
        "caa": (SKIP, ""),
        "tlsa": (SKIP, ""),
        "mta-sts": (SKIP, ""),
        "tls-rpt": (SKIP, ""),
    },
    "null.zz": {"mx": (FAIL, "a null MX beside others")},
    "parked.zz": {"mx": (PASS, "a null MX"), "spf": (PASS, ""), "dmarc": (PASS, "")},
    "wild.zz": {"dkim": (ERROR, "a wildcard answers for every selector")},
    "loop.zz": {"dkim": (ERROR, "answers SERVFAIL for s1._domainkey.loop.zz TXT")},
    "reports.zz": {"dmarc": (WARN, "reports to sound.zz are not sent")},
    "agreed.zz": {"dmarc": (PASS, "p=reject")},
    "below.sound.zz": {
        "mx": (FAIL, "there is no domain below.sound.zz"),
        "dmarc": (PASS, "_dmarc.sound.zz: v=DMARC1"),
    },
}

_WHAT = {
    "differ.zz": N_("the name servers hold different records"),
    "lame.zz": N_("a name server does not hold the zone"),
    "nowhere.zz": N_("a name server has no address"),
    "wild.zz": N_("a wildcard answers for every name"),
    "mismatch.zz": N_("the zone above names other name servers"),
    "glue.zz": N_("the zone above has another address of a name server"),
    "nods.zz": N_("the zone is signed, and the zone above vouches for no key"),
    "otherkey.zz": N_("the zone above vouches for another key"),
    "expired.zz": N_("signatures have ended"),
    "future.zz": N_("signatures begin in days"),
    "ending.zz": N_("signatures end tomorrow"),
    "forged.zz": N_("a record was changed after it was signed"),
    "stripped.zz": N_("a record has no signature"),
    "away-insecure.zz": N_("the zones of some MX are not signed"),
    "away-bogus.zz": N_("the zone of an MX has a wrong signature"),
    "nokeys.zz": N_("the zone above vouches for a key, and there is none"),
    "worst.zz": N_("a domain in which every record is wrong"),
    "so-so.zz": N_("a domain with records that forbid nothing"),
    "nothing.zz": N_("a domain without records for mail"),
    "null.zz": N_("a null MX beside others"),
    "loop.zz": N_("CNAME records that lead in a circle"),
    "reports.zz": N_("reports to a domain that does not take them"),
    "below.sound.zz": N_("a name that is no domain"),
}


def fixtures() -> Iterator[Fixture]:
    right = ("dns.servers", "dns.delegation", "dns.wildcard")
    yield Fixture("zone-sound", (), tuple(Wanted(name, PASS) for name in right), _looked("sound.zz"))
    yield Fixture("zone-six", (), (Wanted("dns.ipv6", PASS),), _looked("six.zz"))
    yield Fixture("zone-tlsa", (), (Wanted("zone.tlsa", PASS),), _looked("tlsa.zz"))
    what = (_(N_("neither name servers nor MX have IPv6")),)
    yield Fixture("zone-four", what, (Wanted("dns.ipv6", WARN),), _looked("sound.zz"))
    for domain, name, verdict, words in WRONG:
        told = () if verdict is PASS else (_(_WHAT[domain]),)
        wanted = Wanted(name, verdict, "" if verdict is PASS else words)
        yield Fixture(f"zone-{domain.partition('.')[0]}", told, (wanted,), _looked(domain))
    for domain, rows in MAIL_OF_OTHERS.items():
        wanted_here = tuple(Wanted(f"zone.{name}", verdict, words) for name, (verdict, words) in rows.items())
        sound = domain not in _WHAT
        if sound:
            wanted_here = tuple(replace(each, words="") for each in wanted_here if each.verdict is PASS)
        look = _looked(domain, ("s1", "s2") if domain == "sound.zz" else ("s1",))
        short = domain.removesuffix(".zz").replace(".", "-")
        yield Fixture(f"mail-{short}", () if sound else (_(_WHAT[domain]),), wanted_here, look)


_reading = threading.Lock()
_servers: list[Servers] = []


def _read() -> Servers:
    """Once for the process: signing and reading takes longer than all that is looked at."""
    with _reading:
        if not _servers:
            _servers.append(read(zones()))
        return _servers[0]


def _looked(domain: str, selectors: tuple[str, ...] = ()) -> Look:
    def look(authority: Authority, probes: Collection[str]) -> list[Finding]:
        with serving(_read()) as port:
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers, resolver.port, resolver.lifetime = [RESOLVER], port, PATIENCE
            return probe.verify(
                Inventory("-", (), (Domain(domain, ()),)),
                emit=lambda finding: None,
                probe_ids=tuple(probes),
                resolver=resolver,
                name_server_port=port,
                timing=replace(Timing(), dns=PATIENCE, transfer=0.2, poll=0.05),
                selectors=selectors,
            )

    return look
