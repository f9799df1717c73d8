"""By which bar findings are judged: what a profile makes of what probes saw, as data.

    Bar                       the numbers and habits of a profile that probes go by
    Rule                      of some probes and a case (`Finding.case`): which verdict becomes which, and why
    Rules                     one profile: what it is for, its bar and its rules
    RULES                     all of them; the default has none
    judged(finding, profile)  the finding, with the verdict that it has there
    told(profile, probe_id)   the rules about a probe

What could not be tested stays an error by every bar. The first rule that fits counts. Pure.
"""

from __future__ import annotations

from dataclasses import replace

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Profile
from mailprov.model.values import dataclass
from mailprov.probe.selection import selects

PASS, WARN, FAIL, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.SKIP


@dataclass(frozen=True)
class Bar:
    """`pins`: passwords go to whoever shows the same certificate on all ports, whoever issued it. `optional`: ports
    that need not be offered. `also`: probes that else run only where they are asked for. `by_name`: whose login is not
    stated logs in by the name before the @ (--server).
    """

    pins: bool = False
    optional: tuple[int, ...] = ()
    also: tuple[str, ...] = ()
    by_name: bool = False


@dataclass(frozen=True)
class Rule:
    """`probes`: an id, a family or a pattern. `case`: empty for all. `of`: verdicts by default. `advice`: what to do,
    where the probe says nothing, as of what is no flaw by default; {name} is the domain or host.
    """

    probes: str
    case: str
    of: tuple[Verdict, ...]
    becomes: Verdict
    why: str
    advice: str = ""

    def fits(self, finding: Finding) -> bool:
        return (
            finding.verdict in self.of
            and self.case in ("", finding.case)
            and selects(self.probes, finding.id)
        )


@dataclass(frozen=True)
class Rules:
    what: str
    bar: Bar = Bar()
    rules: tuple[Rule, ...] = ()


_NCSC = N_("the TLS guidelines of NCSC-NL (2025) allow TLS 1.2 and 1.3 alone, on port 25 as well")
_SIGNED = N_("internet.nl wants the domain and its MX in signed zones")
_DANE = N_("internet.nl fails a mail server without TLSA records that senders can believe (DANE)")
_POLICY = N_("internet.nl wants a policy that is followed: quarantine or reject")
_SIX = N_("internet.nl wants name servers and mail servers with IPv6")
_BESIDE_DANE = N_("large senders that do not look at DANE go by MTA-STS and TLS-RPT")
_OWN_CA = N_("in a lab, certificates are of an authority of its own, or self-signed")
_NO_WORLD = N_("nothing above a lab's names could sign or delegate them, and no provider names its addresses")
_RECEIVERS = N_("Gmail, Yahoo and Microsoft want SPF, DKIM and DMARC, with aligned names")
_NOT_ASKED = N_("no large receiver asks the sender for it")
_COMFORT = N_("it is about the domain's own users, not about what others take from it")
_SENDER = N_("large receivers judge the address and the name that mail comes from")
_OWN_HANDS = N_("an exam's server has a certificate that its owner made")
_BEYOND = N_("it is beyond what an exam's server is asked for")
_HABIT = N_("it works, and is what the distribution's packages do if nobody changes them")

RULES: dict[Profile, Rules] = {
    Profile.DEFAULT: Rules(N_("what each probe says by itself")),
    Profile.STRICT: Rules(
        N_("internet.nl's bar of 2025/26, with the TLS guidelines of NCSC-NL"),
        Bar(also=("dns.dnssec", "dns.dnssec-mx", "dns.delegation", "dns.rpki", "dns.wildcard")),
        (
            Rule("tls.versions", "", (WARN,), FAIL, _NCSC),
            Rule("tls.ciphers", "", (WARN,), FAIL, _NCSC),
            Rule("tls.key", "rsa-below-3072", (PASS,), WARN, N_(
                "the TLS guidelines of NCSC-NL (2025) phase out RSA keys of less than 3072 bits"
            ), N_("get a certificate with a key of the curve P-256 for {name} (`key_type: ecdsa` in `tls`)")),
            Rule("dane.tlsa", "no-dnssec", (SKIP, WARN), FAIL, _DANE, N_(
                "sign the zone of {name} and give its DS record to the registry, then publish the TLSA record "
                "(mailprov apply does)"
            )),
            Rule("dane.tlsa", "no-record", (SKIP, WARN), FAIL, _DANE, N_(
                "take `tlsa: off` out of `tls`, and run mailprov apply"
            )),
            Rule("dane.tlsa", "not-vouched", (WARN,), FAIL, _DANE),
            Rule("zone.tlsa", "no-record", (SKIP, WARN), FAIL, _DANE, N_(
                "publish a TLSA record (3 1 1) for port 25 of each MX, in a signed zone"
            )),
            Rule("dns.dnssec*", "unsigned", (WARN,), FAIL, _SIGNED),
            Rule("dns.dnssec*", "not-vouched", (WARN,), FAIL, _SIGNED),
            Rule("dns.dmarc", "no-record", (SKIP, WARN), FAIL, _POLICY, N_(
                "publish _dmarc.{name}. TXT \"v=DMARC1; p=quarantine\" "
                "(`dmarc: {{policy: quarantine}}` in the inventory)"
            )),
            Rule("dns.dmarc", "policy-none", (PASS, WARN), FAIL, _POLICY, N_(
                "once reports name nobody else of yours: `dmarc: {{policy: quarantine}}`"
            )),
            Rule("zone.dmarc", "policy-none", (WARN,), FAIL, _POLICY),
            Rule("zone.spf", "neutral", (WARN,), FAIL, N_("internet.nl wants a record that ends in ~all or -all")),
            Rule("delivery.dkim", "unsigned", (WARN,), FAIL, N_("internet.nl wants mail to be signed")),
            Rule("dns.ipv6", "", (WARN,), FAIL, _SIX),
            Rule("zone.caa", "no-record", (SKIP,), WARN, N_(
                "internet.nl recommends that a domain says who may issue certificates for it"
            ), N_("publish {name}. CAA 0 issue \"…\" with the name of your authority, such as letsencrypt.org")),
            Rule("dns.mta-sts", "no-record", (SKIP,), WARN, _BESIDE_DANE, N_(
                "state `mta_sts: {{mode: testing}}` for {name}, and run mailprov apply"
            )),
            Rule("zone.mta-sts", "no-record", (SKIP,), WARN, _BESIDE_DANE, N_(
                "publish _mta-sts.{name}. TXT \"v=STSv1; id=1\" and serve a policy at mta-sts.{name}"
            )),
            Rule("zone.tls-rpt", "no-record", (SKIP,), WARN, _BESIDE_DANE, N_(
                "publish _smtp._tls.{name}. TXT \"v=TLSRPTv1; rua=mailto:postmaster@{name}\""
            )),
        ),
    ),
    Profile.LAB: Rules(
        N_("hosts of a lab: an authority of its own, and names that nobody outside knows"),
        Bar(pins=True),
        (
            Rule("tls.chain", "self-signed", (WARN, FAIL), PASS, _OWN_CA),
            Rule("tls.chain", "unknown-issuer", (FAIL,), PASS, _OWN_CA),
            Rule("tls.sni", "unknown-issuer", (WARN, FAIL), PASS, _OWN_CA),
            Rule("dns.mta-sts", "mx-certificate", (WARN, FAIL), SKIP, _OWN_CA),
            Rule("dns.ptr", "", (WARN, FAIL), SKIP, _NO_WORLD),
            Rule("dns.delegation", "", (WARN, FAIL), SKIP, _NO_WORLD),
            Rule("dns.dnssec*", "unsigned", (WARN,), SKIP, _NO_WORLD),
            Rule("dns.dnssec*", "not-vouched", (WARN,), SKIP, _NO_WORLD),
            Rule("dane.tlsa", "no-dnssec", (WARN,), SKIP, _NO_WORLD),
            Rule("dane.tlsa", "not-vouched", (WARN,), SKIP, _NO_WORLD),
            Rule("dns.ipv6", "", (WARN,), SKIP, _NO_WORLD),
        ),
    ),
    Profile.DELIVERABILITY: Rules(
        N_("what large receivers (Gmail, Yahoo, Microsoft) want of a sender"),
        Bar(),
        (
            Rule("delivery.dkim", "unsigned", (WARN,), FAIL, _RECEIVERS),
            Rule("dns.dkim", "testing", (WARN,), FAIL, N_("receivers may take mail signed by such a key as unsigned")),
            Rule("zone.dkim", "testing", (WARN,), FAIL, N_("receivers may take mail signed by such a key as unsigned")),
            Rule("dns.dmarc", "no-record", (SKIP, WARN), FAIL, _RECEIVERS, N_(
                "publish _dmarc.{name}. TXT \"v=DMARC1; p=none\" (`dmarc: {{policy: none}}` in the inventory)"
            )),
            Rule("zone.dmarc", "policy-none", (WARN,), PASS, N_("receivers want a record, with any policy")),
            Rule("dns.ptr", "generic", (WARN,), FAIL, _SENDER),
            Rule("delivery.path", "other-name", (WARN,), FAIL, _SENDER),
            Rule("delivery.path", "other-address", (WARN,), FAIL, _SENDER),
            Rule("delivery.path", "junk", (WARN,), FAIL, N_("mail that a filter puts into Junk is as good as lost")),
            Rule("delivery.results", "no-results", (WARN,), SKIP, N_(
                "it is about the recipient's host, which is not judged here"
            )),
            Rule("dane.tlsa", "", (WARN,), SKIP, _NOT_ASKED),
            Rule("dns.dnssec*", "unsigned", (WARN,), SKIP, _NOT_ASKED),
            Rule("dns.dnssec*", "not-vouched", (WARN,), SKIP, _NOT_ASKED),
            Rule("dns.ipv6", "", (WARN,), SKIP, _NOT_ASKED),
            Rule("web", "", (WARN,), SKIP, _COMFORT),
            Rule("web", "", (FAIL,), WARN, _COMFORT),
            Rule("webmail.page", "", (FAIL,), WARN, _COMFORT),
            Rule("webmail.login", "", (FAIL,), WARN, _COMFORT),
            Rule("smtp.size", "", (FAIL,), WARN, _COMFORT),
        ),
    ),
    Profile.EXAM: Rules(
        N_("servers that a student built by hand: users of the system, mbox, certificates of their own"),
        Bar(pins=True, optional=(465, 995, 110), by_name=True),
        (
            Rule("tls.chain", "self-signed", (WARN, FAIL), PASS, _OWN_HANDS),
            Rule("tls.chain", "unknown-issuer", (FAIL,), PASS, _OWN_HANDS),
            Rule("tls.name", "", (FAIL,), WARN, _OWN_HANDS),
            Rule("auth.not-on-25", "", (FAIL,), WARN, _HABIT),
            Rule("smtp.vrfy", "", (FAIL,), WARN, _HABIT),
            Rule("smuggle.pipelining", "", (FAIL,), WARN, _HABIT),
            Rule("spoof.envelope", "", (FAIL,), WARN, _HABIT),
            Rule("smuggle.in", "", (FAIL,), WARN, _HABIT),
            Rule("delivery.fetch", "mbox", (WARN,), PASS, N_("a mailbox of the format mbox is a right one")),
            Rule("delivery.path", "by-relay", (FAIL,), PASS, N_("mail may leave by a relay (relayhost)")),
            Rule("delivery.path", "other-address", (WARN,), PASS, N_("mail may leave by a relay (relayhost)")),
            Rule("delivery.dkim", "unsigned", (WARN, FAIL), SKIP, _BEYOND),
            Rule("delivery.results", "no-results", (WARN,), SKIP, _BEYOND),
            Rule("delivery.forged", "", (WARN,), SKIP, _BEYOND),
            Rule("delivery.forged", "", (FAIL,), WARN, _BEYOND),
            Rule("dns.dmarc", "no-record", (WARN, FAIL), SKIP, _BEYOND),
            Rule("zone.dmarc", "no-record", (FAIL,), SKIP, _BEYOND),
            Rule("zone.dmarc", "policy-none", (WARN,), PASS, _BEYOND),
            Rule("zone.dkim", "no-record", (FAIL,), SKIP, _BEYOND),
            Rule("dns.mta-sts", "", (WARN,), SKIP, _BEYOND),
            Rule("zone.spf", "no-record", (FAIL,), WARN, _BEYOND),
            Rule("dns.ptr", "", (WARN, FAIL), SKIP, _BEYOND),
            Rule("dns.dnssec*", "unsigned", (WARN,), SKIP, _BEYOND),
            Rule("dns.dnssec*", "not-vouched", (WARN,), SKIP, _BEYOND),
            Rule("dane.tlsa", "", (WARN,), SKIP, _BEYOND),
            Rule("dns.ipv6", "", (WARN,), SKIP, _BEYOND),
            Rule("web", "", (WARN,), SKIP, _BEYOND),
        ),
    ),
}  # fmt: skip


def judged(finding: Finding, profile: Profile) -> Finding:
    rule = next((each for each in RULES[profile].rules if each.fits(finding)), None)
    if rule is None:
        return finding
    form = _("{verdict} by default, {now} in the profile {profile}: {why}")
    words = form.format(
        verdict=finding.verdict.value, now=rule.becomes.value, profile=profile.value, why=_(rule.why)
    )
    right = rule.becomes in (PASS, SKIP)
    name = finding.target.domain or finding.target.host
    return replace(
        finding,
        verdict=rule.becomes,
        by_default=finding.verdict.value,
        judged=words,
        observed=f"{words}; {finding.observed}" if rule.becomes is SKIP else finding.observed,
        advice="" if right else finding.advice or (_(rule.advice).format(name=name) if rule.advice else ""),
        tasks=() if right else finding.tasks,
        remedies=() if right else finding.remedies,
    )


def told(profile: Profile, probe_id: str) -> list[Rule]:
    return [rule for rule in RULES[profile].rules if selects(rule.probes, probe_id)]
