"""The probes of domains whose mail is at a provider: each wrong record, and what they say of it.

Public: Records, KEY, PROVIDERS, AT, WRONG (which tests have one by one), fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mailprov.i18n import _
from mailprov.model.findings import Verdict
from mailprov.model.hosted import PROVIDERS as KNOWN
from mailprov.model.hosted import Hosted, ProviderKey
from mailprov.model.inventory import Dmarc, Domain, Spf
from mailprov.selftest.fixture import Fixture, Wanted, on_lab
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR
Records = dict[tuple[str, str], tuple[str, ...]]
KEY = (
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG"
    "9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ"
    "2QIDAQAB"
)
PROVIDERS: Records = {
    ("_spf.google.com", "TXT"): ("v=spf1 ip4:198.51.100.0/24 ~all",),
    ("spf.protection.outlook.com", "TXT"): ("v=spf1 ip4:203.0.113.0/24 -all",),
    ("_spf.newsletter.example", "TXT"): ("v=spf1 -all",),
    ("_spf.mail.example", "TXT"): ("v=spf1 ip4:203.0.113.7 -all",),
    ("anybody.example", "TXT"): ("v=spf1 +all",),
    ("a-test.mail.protection.outlook.com", "A"): ("203.0.113.1",),
    ("in1.mail.example", "A"): ("203.0.113.2",),
    ("in2.mail.example", "AAAA"): ("2001:db8:1::2",),
    ("selector1-a-test._domainkey.contoso.n-v1.dkim.mail.microsoft", "TXT"): (KEY,),
    ("selector1-a-test._domainkey.contoso.onmicrosoft.com", "CNAME"): ("there.example",),
    ("there.example", "TXT"): (KEY,),
    ("google.keys.mail.example", "TXT"): (KEY,),
    ("circle.example", "CNAME"): ("circle.example",),
}
_AT_GOOGLE: Records = {
    ("a.test", "MX"): ("1 smtp.google.com",),
    ("a.test", "TXT"): (
        "v=spf1 include:_spf.google.com ~all",
        "google-site-verification=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    ),
    ("google._domainkey.a.test", "TXT"): (KEY,),
    ("_dmarc.a.test", "TXT"): ("v=DMARC1; p=reject; rua=mailto:dmarc@a.test",),
}
_AT_EXCHANGE: Records = {
    ("a.test", "MX"): ("0 a-test.mail.protection.outlook.com",),
    ("a.test", "TXT"): (
        "v=spf1 include:spf.protection.outlook.com include:_spf.newsletter.example -all",
        "MS=ms12345678",
    ),
    ("selector1._domainkey.a.test", "CNAME"): (
        "selector1-a-test._domainkey.contoso.n-v1.dkim.mail.microsoft",
    ),
    ("selector2._domainkey.a.test", "CNAME"): (
        "selector2-a-test._domainkey.contoso.n-v2.dkim.mail.microsoft",
    ),
    ("autodiscover.a.test", "CNAME"): ("autodiscover.outlook.com",),
    ("_dmarc.a.test", "TXT"): ("v=DMARC1; p=none",),
}
_AT_OTHER: Records = {
    ("a.test", "MX"): ("10 in1.mail.example", "20 in2.mail.example"),
    ("a.test", "TXT"): ("v=spf1 include:_spf.mail.example ~all",),
    ("google._domainkey.a.test", "CNAME"): ("google.keys.mail.example",),
    ("_dmarc.a.test", "TXT"): ("v=DMARC1; p=none",),
}
FIVE = (
    "1 aspmx.l.google.com",
    *(f"{rank} alt{number}.aspmx.l.google.com" for number, rank in enumerate((5, 5, 10, 10), 1)),
)
# Domain and what stands in DNS, where all is right.
AT: dict[str, tuple[Domain, Records]] = {
    "google": (
        Domain(
            "a.test",
            (),
            dmarc=Dmarc("reject", "dmarc@a.test"),
            spf=Spf(soft=True),
            hosted=Hosted(
                KNOWN["google-workspace"],
                ((1, "smtp.google.com"),),
                (ProviderKey("google", "TXT", KEY),),
                "google-site-verification=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
                soft=True,
            ),
        ),
        _AT_GOOGLE,
    ),
    "exchange": (
        Domain(
            "a.test",
            (),
            dmarc=Dmarc("none", asked=False),
            spf=Spf(("_spf.newsletter.example",)),
            hosted=Hosted(
                KNOWN["exchange-online"],
                ((0, "a-test.mail.protection.outlook.com"),),
                tuple(
                    ProviderKey(
                        f"selector{n}",
                        "CNAME",
                        f"selector{n}-a-test._domainkey.contoso.n-v{n}.dkim.mail.microsoft",
                    )
                    for n in (1, 2)
                ),
                "MS=ms12345678",
            ),
        ),
        _AT_EXCHANGE,
    ),
    "other": (
        Domain(
            "a.test",
            (),
            dmarc=Dmarc("none", asked=False),
            spf=Spf(("_spf.mail.example",), soft=True),
            hosted=Hosted(
                KNOWN["other"],
                ((10, "in1.mail.example"), (20, "in2.mail.example")),
                (ProviderKey("google", "CNAME", "google.keys.mail.example"),),
                soft=True,
            ),
        ),
        _AT_OTHER,
    ),
}

# provider, what is changed, what stands there instead, probe, verdict, words
WRONG: list[tuple[str, str, tuple[str, ...], str, Verdict, str]] = [
    ("google", "a.test MX", FIVE, "mx", PASS, "1 aspmx.l.google.com"),
    ("google", "a.test MX", (), "mx", FAIL, "no MX"),
    ("google", "a.test MX", FIVE[:3], "mx", WARN, "nor all five"),
    (
        "google",
        "a.test MX",
        (*FIVE, "1 smtp.google.com"),
        "mx",
        WARN,
        "neither smtp.google.com alone",
    ),
    ("google", "a.test MX", ("1 smtp.google.com", "5 old.a.test"), "mx", FAIL, "5 old.a.test"),
    ("google", "a.test MX", ("20 x1.mx-verification.google.com", *FIVE), "mx", PASS, "x1."),
    ("google", "a.test MX", ("silent",), "mx", ERROR, "no authoritative answer"),
    ("exchange", "a.test MX", ("0 b-test.mail.protection.outlook.com",), "mx", FAIL, "b-test"),
    ("exchange", "a-test.mail.protection.outlook.com A", (), "mx", FAIL, "has no address"),
    ("other", "a.test MX", ("20 in1.mail.example", "10 in2.mail.example"), "mx", WARN, "the order"),
    ("other", "a.test MX", ("10 in1.mail.example",), "mx", FAIL, "without in2.mail.example"),
    ("google", "a.test TXT", (), "spf", FAIL, "no SPF record"),
    ("google", "a.test TXT", ("v=spf1 ~all", "v=spf1 -all"), "spf", FAIL, "several SPF records (2)"),
    ("google", "a.test TXT", ("v=spf1 ~all",), "spf", FAIL, "lacks include:_spf.google.com"),
    ("google", "a.test TXT", ("v=spf1 include:_spf.google.com",), "spf", FAIL, "does not end"),
    (
        "google",
        "a.test TXT",
        ("v=spf1 include:_spf.google.com include:anybody.example -all",),
        "spf",
        FAIL,
        "lets anybody pass",
    ),
    (
        "google",
        "a.test TXT",
        ("v=spf1 include:_spf.google.com include:gone.example -all",),
        "spf",
        FAIL,
        "include:gone.example leads to no SPF record",
    ),
    ("google", "a.test TXT", ("v=spf1 include:_spf.google.com ptr -all",), "spf", ERROR, "ptr"),
    ("google", "google._domainkey.a.test TXT", (), "dkim", FAIL, "no record"),
    ("google", "google._domainkey.a.test TXT", ("v=DKIM1; p=AAAA",), "dkim", FAIL, "another key"),
    ("google", "google._domainkey.a.test TXT", (KEY, "x"), "dkim", FAIL, "it has 2 records"),
    ("exchange", "selector2._domainkey.a.test CNAME", (), "dkim", FAIL, "selector2._domainkey"),
    ("exchange", "selector1._domainkey.a.test CNAME", ("x.example",), "dkim", FAIL, "x.example"),
    (
        "exchange",
        "selector1._domainkey.a.test CNAME",
        ("selector1-a-test._domainkey.contoso.onmicrosoft.com",),
        "dkim",
        PASS,
        "selector1: key; selector2: no key behind it",
    ),
    (
        "exchange",
        "selector1-a-test._domainkey.contoso.n-v1.dkim.mail.microsoft TXT",
        (),
        "dkim",
        WARN,
        "selector1: no key",
    ),
    (
        "other",
        "google.keys.mail.example TXT",
        (),
        "dkim",
        WARN,
        "google: no key",
    ),
    (
        "google",
        "a.test TXT",
        ("v=spf1 include:_spf.google.com -all",),
        "verification",
        FAIL,
        "is not",
    ),
    ("exchange", "autodiscover.a.test CNAME", (), "autodiscover", WARN, "is no CNAME"),
    (
        "exchange",
        "autodiscover.a.test CNAME",
        ("x.test",),
        "autodiscover",
        WARN,
        "leads to x.test",
    ),
]


def fixtures() -> Iterator[Fixture]:
    for provider in AT:
        names = ["mx", "spf", "dkim"]
        names += ["verification"] * (provider != "other") + ["autodiscover"] * (provider == "exchange")
        right = tuple(Wanted(f"hosted.{name}", PASS) for name in names)
        yield Fixture(f"hosted-{provider}-sound", (), right, on_lab(_at(provider, {})))
    for number, (provider, change, values, name, verdict, words) in enumerate(WRONG, 1):
        if values == ("silent",):
            continue  # who is silent is tried with the records of own hosts (record_cases)
        owner, _blank, kind = change.partition(" ")
        shown = (
            f"{change} {values[0][:60]}"
            if values
            else _("no record {name} {type}").format(name=owner, type=kind)
        )
        yield Fixture(
            f"hosted-{number}",
            (f"{shown} …" if len(values) > 1 else shown,),
            (Wanted(f"hosted.{name}", verdict, words),),
            on_lab(_at(provider, {(owner, kind): values})),
        )


def _at(provider: str, changed: Records) -> Callable[[ScriptedLab], None]:
    domain, records = AT[provider]

    def prepare(lab: ScriptedLab) -> None:
        lab.inventory = replace(lab.inventory, hosts=(), domains=(domain,))
        for (name, kind), values in (PROVIDERS | records | changed).items():
            lab.world.records[name, kind] = [_in_zone(kind, value) for value in values]

    return prepare


def _in_zone(kind: str, value: str) -> str:
    """As a zone file has it."""
    if kind == "TXT":
        return " ".join(f'"{value[start : start + 200]}"' for start in range(0, len(value), 200))
    return f"{value}." if kind in ("MX", "CNAME") else value
