"""Domain names, host names, mail addresses and IP addresses: checked, and in the one form that is compared.

`domain(text)` and `fqdn(text)` → lower case A-labels without a final dot; `host_address(text)` → what SSH
can connect to; `local_part(text)` → a name in one of our domains; `address(text)` → any address on the
Internet; `host_name(text)` → a host's key in the inventory. Pure. Raise BadName, whose text says what is
wrong with the name, as the end of a sentence that names it.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from mailprov.i18n import _

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_ATEXT = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
)  # RFC 5322 section 3.2.3
_OWN = re.compile(r"[a-z0-9._='-]+")
_USUAL = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*")  # none of our rules objects, but for the length
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_MEANT_AS_IPV4 = re.compile(r"[0-9]+(\.[0-9]+){2,}")
# Where IDNA 2003 and 2008 disagree (RFC 5894 section 7.2), two programs may mean different domains.
_DEVIATIONS = frozenset("ßς\u200c\u200d")
_DOTS = "\u3002\uff0e\uff61"  # full stops that people type with East Asian keyboards (RFC 3490 section 3.1)


class BadName(ValueError):
    """A name that cannot be one; the text is the reason, such as `has an empty label`."""


@lru_cache(maxsize=4096)
def domain(text: str) -> str:
    """A mail domain: `Alpha.TEST.` → `alpha.test`, `señal.test` → `xn--seal-hqa.test`."""
    return _qualified(text, "example.org")


@lru_cache(maxsize=4096)
def fqdn(text: str) -> str:
    """A host's full name."""
    return _qualified(text, "mx1.example.org")


def _qualified(text: str, like: str) -> str:
    name = dns_name(text)
    if "." not in name:
        raise BadName(_("has only one label; write the full name, such as {example}").format(example=like))
    return name


_SPF_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))+")


def spf_domain(text: str) -> str:
    """The domain of an SPF `include`: labels may begin with an underscore (`_spf.example.net`)."""
    name = text.lower().removesuffix(".")
    if "_" not in name:
        return domain(text)
    if name.startswith("include:"):
        raise BadName(_("is a term of SPF; write the domain alone"))
    if not _SPF_DOMAIN.fullmatch(name):
        raise BadName(_("is not a domain name"))
    return name


def zone(text: str) -> str:
    """A zone of the inventory's names, or of addresses: labels may begin with an underscore (`_dmarc.example.org`)."""
    name = text.lower().removesuffix(".")
    if re.fullmatch(r"[0-9.]+", name):
        raise BadName(_("is no zone; that of 192.0.2.1 is such as 2.0.192.in-addr.arpa"))
    if name.startswith("*."):
        raise BadName(_("is a wildcard; write the zone, which holds for all that is below it"))
    return spf_domain(text) if "_" in name else domain(text)


def dns_name(text: str) -> str:
    """One label or more by the rules for hosts: letters, digits, hyphens (RFC 1123 section 2.1), 63 and 253
    octets.
    """
    if not text or text == ".":
        raise BadName(_("is empty"))
    if "@" in text:
        raise BadName(_("is a mail address, not a domain"))
    if "://" in text or "/" in text:
        raise BadName(_("is not a domain name; write the name alone, without http:// or a path"))
    if _is_ip(text):
        raise BadName(_("is an IP address, not a domain name"))
    name = text.lower() if text.isascii() else _to_ascii(text)
    name = name.removesuffix(".")
    labels = name.split(".")
    for label in labels:
        _check_label(label)
    if len(name) > 253:  # 255 octets on the wire (RFC 1035 section 2.3.4)
        raise BadName(_("is {count} characters long; the limit is 253").format(count=len(name)))
    if _MEANT_AS_IPV4.fullmatch(name):
        raise BadName(
            _("is not a valid IPv4 address: it is four numbers from 0 to 255, without leading zeros")
        )
    if labels[-1].isdigit():
        # RFC 3696 section 2: the last label is never all digits, or it could be taken for an IPv4 address.
        raise BadName(_("ends in a number, as only IP addresses do"))
    return name


def _check_label(label: str) -> None:
    if not label:
        raise BadName(_("has an empty label (a dot too many)"))
    if len(label) > 63:
        raise BadName(_("has a label of {count} characters; the limit is 63").format(count=len(label)))
    if not _LABEL.fullmatch(label):
        odd = next((c for c in label if not (c.isascii() and (c.isalnum() or c == "-"))), "")
        if odd == " ":
            raise BadName(_("contains a space"))
        if odd:
            raise BadName(
                _('contains "{character}"').format(character=odd)
                if odd.isprintable()
                else _("contains a control character")
            )
        raise BadName(_("has a label that begins or ends with a hyphen"))
    if label.startswith("xn--"):
        try:
            label[4:].encode("ascii").decode("punycode")
        except UnicodeError:
            raise BadName(_("has a label that begins with xn-- and is not an IDNA label")) from None
    elif label[2:4] == "--":
        raise BadName(_('has a label with "--" in third place, which is reserved (RFC 5891)'))


def _to_ascii(text: str) -> str:
    from dns.exception import DNSException
    from dns.name import IDNA_2003, from_text

    if odd := next((c for c in text if c in _DEVIATIONS), ""):
        if odd.isprintable():
            text = _(
                'contains "{character}", which older and newer standards read differently; write the name as xn--…'
            )
        else:
            text = _(
                "contains an invisible joiner, which older and newer standards read differently; write the name as "
                "xn--…"
            )
        raise BadName(text.format(character=odd))
    for dot in _DOTS:
        text = text.replace(dot, ".")
    if re.search(r"[\\\"();\s\x00-\x20]", text):  # these mean something in a zone file's names
        raise BadName(_("contains a space or another character that no domain has"))
    try:
        return from_text(text, origin=None, idna_codec=IDNA_2003).to_text().lower()
    except (DNSException, UnicodeError):
        raise BadName(_("is not an international domain name (IDNA)")) from None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def ip(text: str, version: int) -> str:
    """An IPv4 (4) or IPv6 (6) address in canonical form."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        if version == 4 and _MEANT_AS_IPV4.fullmatch(text):
            why = _("is not a valid IPv4 address: it is four numbers from 0 to 255, without leading zeros")
        else:
            why = _("is not a valid IPv{version} address").format(version=version)
        raise BadName(why) from None
    if found.version != version:
        raise BadName(
            _("is an IPv{version} address; here stand IPv{wanted} addresses").format(
                version=found.version, wanted=version
            )
        )
    if "%" in text:
        raise BadName(_("has a zone (%), which DNS cannot publish"))
    return str(found)


def host_address(text: str) -> str:
    """What a connection goes to: IPv4, IPv6 (a zone such as %eth0 allowed) or a name, also of one label."""
    if "@" in text:
        raise BadName(_("contains a user; write that as `ssh: {user: …}`"))
    if text.startswith("["):
        raise BadName(_("has brackets; write an IPv6 address without them"))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    head, colon, tail = text.rpartition(":")
    if colon and ":" not in head and tail.isdigit():
        raise BadName(_("contains a port; write that as a key of its own, `port`"))
    return dns_name(text)


def host_name(text: str) -> str:
    """A host's key in the inventory: shown to people and given to --host."""
    if len(text) > 63 or not _HOST_NAME.fullmatch(text):
        raise BadName(_("is not a valid host name; use up to 63 letters, digits and - _ . between them"))
    return text


def local_part(text: str) -> str:
    """What stands before the @ in one of our own domains; lower case.

    Narrower than RFC 5321: the name becomes a directory, a key of lookup tables and a login, and `+`
    already separates a name from its detail (ana+shop@ reaches ana@).
    """
    name = text.lower()
    if len(name) <= 64 and _USUAL.fullmatch(name):
        return name
    _check_local(name)
    if "+" in name:
        raise BadName(
            _('contains "+", which separates a name from its detail: mail for ana+shop reaches ana')
        )
    if not _OWN.fullmatch(name):
        odd = next(c for c in name if not _OWN.fullmatch(c))
        text = _('contains "{character}"; a name here has letters, digits and . _ - = \'')
        raise BadName(text.format(character=odd))
    if name.startswith("-"):
        raise BadName(_("begins with a hyphen, which mail programs take for an option"))
    return name


def _check_local(name: str) -> None:
    """RFC 5321 section 4.1.2 (Dot-string) and 4.5.3.1.1 (64 octets)."""
    if not name:
        raise BadName(_("is empty"))
    if "@" in name:
        raise BadName(_("contains @; write only what stands before it"))
    if not name.isascii():
        raise BadName(_("has letters outside ASCII before the @, which many mail hosts refuse (RFC 6531)"))
    if len(name) > 64:
        raise BadName(_("has {count} characters before the @; the limit is 64").format(count=len(name)))
    if name.startswith('"'):
        raise BadName(_("is quoted before the @, which is not supported; write the name without quotes"))
    if name.startswith(".") or name.endswith(".") or ".." in name:
        raise BadName(_("has a dot at the beginning or end, or two in a row, before the @"))
    if not _ATEXT.fullmatch(name):
        odd = next(c for c in name if c != "." and not _ATEXT.fullmatch(c))
        if odd == " ":
            raise BadName(_("contains a space"))
        if not odd.isprintable():
            raise BadName(_("contains a control character"))
        raise BadName(_('contains "{character}"').format(character=odd))


@lru_cache(maxsize=65536)
def address(text: str) -> str:
    """A full address anywhere, in lower case with the domain in A-labels.

    At most 254 octets (RFC 5321 4.5.3.1.3).
    """
    local, at, after = text.rpartition("@")
    if not at:
        raise BadName(_("has no @"))
    if not local:
        raise BadName(_("has nothing before the @"))
    if after.startswith("["):
        raise BadName(_("has an IP address behind the @, which is not supported; write a domain"))
    if "@" in local and not local.startswith('"'):
        raise BadName(_("has more than one @"))
    local = local.lower()
    _check_local(local)
    if local[0] in "|/-":
        raise BadName(
            _(
                'begins with "{character}", which mail programs take for a command, a file or an option'
            ).format(character=local[0])
        )
    try:
        name = domain(after)
    except BadName as error:
        raise BadName(_("has a wrong domain: it {reason}").format(reason=error)) from None
    whole = f"{local}@{name}"
    check_length(whole)
    return whole


def check_length(whole: str) -> None:
    if len(whole) > 254:
        raise BadName(_("is {count} characters long; the limit is 254").format(count=len(whole)))
