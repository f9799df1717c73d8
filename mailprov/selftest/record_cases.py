"""The probes of records: each wrong record, and what they say of it.

Public: RECORDS, KEYS (which tests have one by one), fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Verdict
from mailprov.selftest.fixture import Fixture, Wanted, on_lab
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.signer import RECORD, SELECTOR

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP

_Records = dict[tuple[str, str], list[str]]

# (probe, target, changed records, verdict, words)
RECORDS: list[tuple[str, str, _Records, Verdict, str]] = [
    (
        "dns.a",
        "mx1",
        {("mx1.alpha.test", "A"): []},
        FAIL,
        "no address in DNS; the other probes look at 127.0.0.1",
    ),
    (
        "dns.a",
        "mx1",
        {("mx1.alpha.test", "A"): ["127.0.0.3"]},
        FAIL,
        "127.0.0.3, but the inventory says 127.0.0.1",
    ),
    (
        "dns.a",
        "mx1",
        {("mx1.alpha.test", "A"): [], ("mx1.alpha.test", "CNAME"): ["x.test."]},
        FAIL,
        "is a CNAME",
    ),
    ("dns.mx", "alpha.test", {("alpha.test", "MX"): []}, FAIL, "no MX record"),
    ("dns.mx", "alfa.test", {("alfa.test", "MX"): []}, FAIL, "no MX record"),
    ("dns.mx", "alpha.test", {("alpha.test", "MX"): ["10 mx2.beta.test."]}, FAIL, "the inventory says"),
    ("dns.mx", "alpha.test", {("alpha.test", "MX"): ["10 gone.alpha.test."]}, FAIL, "has no address"),
    ("dns.mx", "alpha.test", {("alpha.test", "MX"): ["10 192.0.2.7."]}, FAIL, "is an address"),
    ("dns.mx", "alpha.test", {("alpha.test", "MX"): ["0 ."]}, FAIL, "a null MX"),
    (
        "dns.mx",
        "alpha.test",
        {("alpha.test", "MX"): ["10 a.alpha.test."], ("a.alpha.test", "CNAME"): ["mx1.alpha.test."]},
        FAIL,
        "is a CNAME",
    ),
    ("dns.spf", "alpha.test", {("alpha.test", "TXT"): ['"other=thing"']}, FAIL, "no SPF record"),
    (
        "dns.spf",
        "alpha.test",
        {("alpha.test", "TXT"): ['"v=spf1 -all"', '"v=spf1 a -all"']},
        FAIL,
        "several SPF records (2)",
    ),
    ("dns.spf", "alpha.test", {("alpha.test", "TXT"): ['"v=spf1 +all"']}, FAIL, "lets anybody pass"),
    (
        "dns.spf",
        "alpha.test",
        {("alpha.test", "TXT"): ['"v=spf1 ip4:10.1.1.1 -all"']},
        FAIL,
        "gives fail for the host's own",
    ),
    ("dns.spf", "alpha.test", {("alpha.test", "TXT"): ['"v=spf1 ip5:1 -all"']}, FAIL, "unknown term"),
    (
        "dns.spf",
        "alpha.test",
        {("alpha.test", "TXT"): [f'"v=spf1 ip4:127.0.0.1 {"a:mx2.beta.test " * 11}-all"']},
        FAIL,
        "more than 10 DNS lookups, at a:mx2.beta.test",
    ),
    (
        "dns.spf",
        "alpha.test",
        {("alpha.test", "TXT"): ['"v=spf1 ip4:127.0.0.1 a:g1.test exists:g2.test mx:g3.test -all"']},
        FAIL,
        "more than 2 DNS lookups find nothing: a:g1.test, exists:g2.test, mx:g3.test",
    ),
    (
        "dns.spf",
        "alpha.test",
        {("alpha.test", "TXT"): [f'"v=spf1 {"ip4:127.0.0.1 " * 16}" "{"ip4:127.0.0.1 " * 16}-all"']},
        WARN,
        "it has 459 characters, and some receivers read no more than 450",
    ),
    (
        "dns.spf",
        "alpha.test",
        {("alpha.test", "TXT"): ['"v=spf1 exists:%{i}.x.test -all"']},
        ERROR,
        "does not evaluate",
    ),
    (
        "dns.ptr",
        "mx1",
        {("1.0.0.127.in-addr.arpa", "PTR"): ["other.test."]},
        FAIL,
        "127.0.0.1 is other.test, not mx1.alpha.test",
    ),
    ("dns.dmarc", "alpha.test", {("_dmarc.alpha.test", "TXT"): []}, FAIL, "no DMARC record"),
    (
        "dns.dmarc",
        "alfa.test",
        {("_dmarc.alfa.test", "TXT"): ['"v=DMARC10; p=none"']},
        FAIL,
        "no DMARC record",
    ),
    (
        "dns.dmarc",
        "alpha.test",
        {("_dmarc.alpha.test", "TXT"): ['"v=DMARC1; p=none"']},
        FAIL,
        "v=DMARC1; p=none, but the inventory says p=reject",
    ),
    (
        "dns.dmarc",
        "alpha.test",
        {("_dmarc.alpha.test", "TXT"): ['"v=DMARC1; p=reject"', '"v=DMARC1; p=none"']},
        FAIL,
        "several DMARC records (2)",
    ),
    ("dns.dmarc", "alpha.test", {("_dmarc.alpha.test", "TXT"): ['"v=DMARC1"']}, FAIL, "no valid policy"),
    (
        "dns.dmarc",
        "alpha.test",
        {("_dmarc.alpha.test", "TXT"): ['"v=DMARC1; p=reject; sp=none; t=y; pct=50; rua=ana@alpha.test"']},
        WARN,
        "t=y: receivers do less than the policy says, as in a test; sp=none is weaker than p, so mail is forged under "
        "names below the domain; pct=50 is not in DMARC any more (RFC 9989); ana@alpha.test is no address for reports",
    ),
    (
        "dns.dmarc",
        "alpha.test",
        {
            ("_dmarc.alpha.test", "TXT"): [
                '"v=DMARC1; p=reject; rua=mailto:a@beta.test,mailto:b@reports.test!9m"'
            ]
        },
        WARN,
        "reports to reports.test are not sent, as nothing there says that it takes them",
    ),
    (
        "dns.published",
        "alpha.test",
        {("mx1.alpha.test", "TXT"): []},
        FAIL,
        'not there: mx1.alpha.test. TXT "v=spf1 a -all"',
    ),
    (
        "dns.published",
        "beta.test",
        {("mail.beta.test", "A"): []},
        FAIL,
        'not there: mail.beta.test. A "127.0.0.2"',
    ),
    (
        "dns.servers",
        "alpha.test",
        {("ns.alpha.test", "A"): []},
        FAIL,
        "ns.alpha.test of alpha.test has no address",
    ),
    ("dns.servers", "alpha.test", {("alpha.test", "NS"): []}, FAIL, "has no NS records"),
]

_HEAD, _P, _KEY = RECORD.partition("p=")
OTHER_KEY = f"{_HEAD}{_P}{_KEY.swapcase()}"
KEYS = {
    "right": ({"alpha.test": RECORD}, RECORD, PASS, SELECTOR),
    "none": ({"alpha.test": RECORD}, "", FAIL, "no record"),
    "another": ({"alpha.test": RECORD}, OTHER_KEY, FAIL, "it has another key than the host"),
    "revoked": ({"alpha.test": RECORD}, '"v=DKIM1; p="', FAIL, "the key is revoked"),
    "for tests": ({"alpha.test": RECORD}, RECORD.replace("v=DKIM1;", "v=DKIM1; t=s:y;"), WARN, "says t=y"),
    "keyless": ({"beta.test": RECORD}, RECORD, FAIL, "mx1 has no key for alpha.test"),
    "not asked": (None, RECORD, SKIP, "mx1 could not be asked for the keys"),
}
_KEYS = {
    "none": N_("the key that signs is not in DNS"),
    "another": N_("DNS has another key than the host signs with"),
    "revoked": N_("DNS says that the key is revoked"),
    "for tests": N_("DNS says that the key is for tests"),
    "keyless": N_("the host has no key for the domain"),
    "not asked": N_("the host could not be asked for its keys"),
}


def fixtures() -> Iterator[Fixture]:
    count: dict[str, int] = {}
    for probe, place, changed, verdict, words in RECORDS:
        count[probe] = count.get(probe, 0) + 1
        wanted = Wanted(probe, verdict, words, place)
        yield Fixture(f"{probe}-{count[probe]}", tuple(_shown(changed)), (wanted,), on_lab(_with(changed)))
    for case, (told, published, verdict, words) in KEYS.items():
        yield Fixture(
            "dns.dkim-sound" if case == "right" else f"dns.dkim-{case.replace(' ', '-')}",
            () if case == "right" else (_(_KEYS[case]),),
            (Wanted("dns.dkim", verdict, "" if case == "right" else words, "alpha.test"),),
            on_lab(
                _with({(f"{SELECTOR}._domainkey.alpha.test", "TXT"): [published] if published else []}),
                domains=("alpha.test",),
                signing=signing(told),
            ),
        )


def signing(told: dict[str, str] | None) -> dict[str, dict[str, str]]:
    """What mx1 says that it signs with: domain → record; None: it could not be asked."""
    if told is None:
        return {"mx2": {}}
    text = RECORD.replace('" "', "").strip('"')
    return {"mx1": {f"{domain}.{SELECTOR}": text for domain in told}}


def _with(changed: _Records) -> Callable[[ScriptedLab], None]:
    return lambda lab: lab.world.records.update(changed)


def _shown(changed: _Records) -> Iterator[str]:
    """As in a zone file, cut where it is long."""
    for (name, kind), values in changed.items():
        if not values:
            yield _("no record {name} {type}").format(name=name, type=kind)
        for value in values:
            yield f"{name} {kind} {value[:60]}{'…' if len(value) > 60 else ''}"
