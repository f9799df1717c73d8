"""Domains whose mail is at a provider: what providers say of themselves, the forms of what their consoles show. Pure.

    MailProvider, PROVIDERS        Google Workspace, Exchange Online, others
    Hosted, ProviderKey            what the inventory says of such a domain
    mx_flaw(…), dkim_flaw(…), verification_flaw(…)    what is wrong with a value from a console; "" when nothing is
    key_flaw(text), key_doubt(text)    what is wrong with a DKIM key, and what is not as good as it should be
    tags(text)                     the tags of a DKIM or DMARC text
    same_mx(wanted, stands)        whether other MX than those of the inventory do the same
    same_key(wanted, stands)       the same for the target of a DKIM CNAME

Nothing that only the console shows is made up here: it is asked for, and its form is checked.

Sources
- Google: support.google.com/a/answer/174125 (one MX, `1 smtp.google.com`; the five of before 2023 go on working, and
  are not to be mixed with it), /33786 (SPF `v=spf1 include:_spf.google.com ~all`), /174124 and /180504 (the DKIM key is
  a TXT at google._domainkey or another prefix), /183895 (verification by `google-site-verification=…`).
- Microsoft: learn.microsoft.com/microsoft-365/enterprise/external-domain-name-system-records (MX, autodiscover, SPF
  `v=spf1 include:spf.protection.outlook.com -all`), /defender-office-365/email-authentication-dkim-configure (two
  CNAMEs; domains that were added since May 2025 get names below dkim.mail.microsoft with a letter that Microsoft
  assigns, older ones keep those below onmicrosoft.com), /purview/how-smtp-dane-works (an MX below mx.microsoft where
  DNSSEC is on).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping

from mailprov.i18n import N_, _
from mailprov.model.dkim import record_name
from mailprov.model.values import dataclass


@dataclass(frozen=True)
class MailProvider:
    """`mx`: published where the inventory says nothing, as (preference, name). `include`: what SPF names; `soft`:
    whether the provider's own instructions end in ~all. `autodiscover`: where Outlook finds its mailboxes.
    """

    name: str
    title: str
    mx: tuple[tuple[int, str], ...] = ()
    first_preference: int = 10
    include: str = ""
    soft: bool = True
    autodiscover: str = ""


GOOGLE = MailProvider("google-workspace", "Google Workspace", ((1, "smtp.google.com"),), 1, "_spf.google.com")
EXCHANGE = MailProvider(
    "exchange-online",
    "Exchange Online",
    first_preference=0,
    include="spf.protection.outlook.com",
    soft=False,
    autodiscover="autodiscover.outlook.com",
)
# Octets of the shortest such key (RFC 8017 appendix A.1.1; 24 more with its algorithm before it, RFC 5280).
_RSA_2048 = 270

OTHER = MailProvider("other", N_("another provider"))
PROVIDERS = {each.name: each for each in (GOOGLE, EXCHANGE, OTHER)}


@dataclass(frozen=True)
class ProviderKey:
    """What stands at SELECTOR._domainkey: `type` is TXT (the key itself) or CNAME (where the provider has it)."""

    selector: str
    type: str
    value: str


@dataclass(frozen=True)
class Hosted:
    """`mx`: (preference, name); empty only while a domain moves there and the console has not shown it yet.
    `verification`: the text by which the provider sees whose the domain is, or empty. `soft`: how its SPF record ends
    when only the provider sends.
    """

    provider: MailProvider
    mx: tuple[tuple[int, str], ...]
    dkim: tuple[ProviderKey, ...] = ()
    verification: str = ""
    soft: bool = False

    def names(self, domain: str) -> set[str]:
        """Below the domain, where records of the provider are."""
        return {f"autodiscover.{domain}", *(record_name(domain, key.selector) for key in self.dkim)}


_GOOGLE_NEW = frozenset({"smtp.google.com"})
_GOOGLE_OLD = frozenset(
    {"aspmx.l.google.com", *(f"alt{number}.aspmx.l.google.com" for number in (1, 2, 3, 4))}
)
# Google's other proof of ownership, an MX of the lowest rank that no mail goes to.
_GOOGLE_PROOF = re.compile(r"[a-z0-9]+\.mx-verification\.google\.com")
_EXCHANGE_OLD = re.compile(r"[a-z0-9-]+\.mail\.protection\.outlook\.com")
_EXCHANGE_NEW = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+\.mx\.microsoft")
_EXCHANGE_KEY = re.compile(
    r"(?P<selector>selector[12])-(?P<domain>[a-z0-9-]+)\._domainkey\.(?P<tenant>[a-z0-9-]+)\."
    r"(?:onmicrosoft\.com|[a-z0-9]+-v(?P<number>[12])\.dkim\.mail\.microsoft)"
)
_VERIFICATION = {
    GOOGLE: re.compile(r"google-site-verification=[A-Za-z0-9_-]{30,100}"),
    EXCHANGE: re.compile(r"MS=ms[0-9]{5,12}"),
}


def mx_flaw(provider: MailProvider, names: Collection[str]) -> str:
    """Of all MX together, lower case without a final dot: a sentence's end, "" when they can be the provider's."""
    if provider is GOOGLE:
        rest = {name for name in names if not _GOOGLE_PROOF.fullmatch(name)}
        if rest in (_GOOGLE_NEW, _GOOGLE_OLD):
            return ""
        return _(
            "is not what Google names: smtp.google.com alone, or all five of aspmx.l.google.com and alt1 to alt4 "
            "before it"
        )
    if provider is EXCHANGE:
        if len(names) != 1:
            return _("has {count} names; Exchange Online has one, which its admin centre shows").format(
                count=len(names)
            )
        (name,) = names
        if _EXCHANGE_OLD.fullmatch(name) or _EXCHANGE_NEW.fullmatch(name):
            return ""
        return _(
            "is no MX of Exchange Online; the admin centre shows it (Settings, Domains): example-org.mail.protection."
            "outlook.com, or with DNSSEC a name that ends in mx.microsoft"
        )
    return ""


def verification_flaw(provider: MailProvider, text: str) -> str:
    """A sentence's end; "" when the text can be one."""
    if len(text.encode()) > 255:
        return _("is longer than 255 characters, which no such text is")
    form = _VERIFICATION.get(provider)
    if form is None or form.fullmatch(text):
        return ""
    if provider is GOOGLE:
        return _(
            "is not the text that Google's Admin console shows: google-site-verification= and 43 characters"
        )
    return _("is not the text that Microsoft's admin centre shows: MS=ms and digits")


def dkim_flaw(provider: MailProvider, domain: str, key: ProviderKey) -> str:
    """A sentence's end; "" when this can stand at the selector."""
    if provider is EXCHANGE:
        found = _EXCHANGE_KEY.fullmatch(key.value) if key.type == "CNAME" else None
        if found is None:
            return _(
                "is no DKIM name of Exchange Online; Get-DkimSigningConfig shows it: selector1-example-org._domainkey."
                "TENANT.onmicrosoft.com, or since May 2025 a name that ends in dkim.mail.microsoft"
            )
        if found["selector"] != key.selector or (found["number"] or key.selector[-1]) != key.selector[-1]:
            return _("is the name of {other}, not of {selector}").format(
                other=found["selector"], selector=key.selector
            )
        # Of a domain that has hyphens itself Microsoft makes names in ways that it does not tell.
        if "-" not in domain and found["domain"] != domain.replace(".", "-"):
            return _("is a name of another domain ({other})").format(other=found["domain"])
        return ""
    if provider is GOOGLE and key.type == "CNAME":
        return _("is no key; Google's Admin console shows a text that begins with v=DKIM1")
    return "" if key.type == "CNAME" else key_flaw(key.value)


def tags(text: str) -> dict[str, str]:
    """RFC 6376 section 3.2. Tags in lower case, values without white space."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, __, value in pairs if name.strip()}


def key_flaw(text: str) -> str:
    """Of the text of a DKIM key (RFC 6376 section 3.6.1, RFC 8301, RFC 8463): a sentence's end."""
    found = tags(text)
    if found.get("v", "DKIM1") != "DKIM1" or "p" not in found:
        return _("is no DKIM key; it has the form v=DKIM1; k=rsa; p=…")
    if not found["p"]:
        return _("is a DKIM key that was revoked (p= is empty)")
    try:
        octets = base64.b64decode(found["p"], validate=True)
    except ValueError:
        return _("is a DKIM key with something else than base64 in p=; it may have been cut")
    kind = found.get("k", "rsa").lower()
    if kind == "ed25519":
        return (
            ""
            if len(octets) == 32
            else _("is an Ed25519 key of {count} octets, not 32").format(count=len(octets))
        )
    if kind != "rsa":
        return _("is a key of the unknown kind {kind}").format(kind=kind)
    # A SEQUENCE as long as it says (X.690 section 8.1.3): else it was cut when it was copied.
    size = (
        4 + int.from_bytes(octets[2:4], "big")
        if octets[1:2] == b"\x82"
        else 3 + (octets[2] if octets[2:] else 0)
    )
    if octets[:1] != b"0" or size != len(octets):
        return _("is an RSA key that is not whole; copy all of it")
    return "" if len(octets) > 128 else _("is an RSA key of less than 1024 bits, which receivers refuse")


def key_doubt(text: str) -> str:
    """Of a key without a flaw: what is valid, and less than receivers ask for (RFC 8301 section 3.2)."""
    found = tags(text)
    if found.get("k", "rsa").lower() == "rsa" and len(base64.b64decode(found["p"])) < _RSA_2048:
        return _("is an RSA key of less than 2048 bits")
    return ""


def same_mx(wanted: Collection[str], stands: Mapping[str, int]) -> bool:
    """Google's one MX for its five, and the other way round. `stands`: names and preferences. In the old form the name
    that has all the load comes first.
    """
    if frozenset(wanted) not in (_GOOGLE_NEW, _GOOGLE_OLD):
        return False
    rest = {name: rank for name, rank in stands.items() if not _GOOGLE_PROOF.fullmatch(name)}
    if rest.keys() == _GOOGLE_NEW:
        return True
    return rest.keys() == _GOOGLE_OLD and min(rest, key=lambda name: rest[name]) == "aspmx.l.google.com"


def same_key(wanted: str, stands: str) -> bool:
    """Microsoft's names of before and after May 2025: of one selector, one domain and one tenant."""
    one, other = _EXCHANGE_KEY.fullmatch(wanted), _EXCHANGE_KEY.fullmatch(stands)
    parts = ("selector", "domain", "tenant")
    return one is not None and other is not None and all(one[part] == other[part] for part in parts)


def is_googles(name: str) -> bool:
    """Whether mail for this name goes to Google, in the new form or the old one."""
    return name in _GOOGLE_NEW | _GOOGLE_OLD or _GOOGLE_PROOF.fullmatch(name) is not None
