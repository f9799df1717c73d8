"""Signatures of a zone held against its keys, and its keys against the zone above (RFC 4035 section 5). Pure.

    sets(message) -> [Signed]                   what an answer holds, each record set with its signatures
    vouched(zone, ds, keys) -> [DNSKEY]         the keys that the zone above vouches for
    unusable(ds) -> bool                        whether nobody could check them: then the zone counts as unsigned
    flaw(signed, zone, keys, now) -> str        why a validating resolver refuses it; a clause, empty when it does not
    soonest(signed) -> (expires, lifetime)      of the signature that ends first: unix seconds, seconds
    ds_of(zone, keys) -> [str]                  the DS records to enter above, as text

dnspython computes, cryptography checks. A zone with more keys or signatures than any sound one has is refused before
anything is computed (KeyTrap, CVE-2023-50387). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.node
import dns.rdataset
import dns.rdatatype
import dns.rrset
from dns.exception import UnsupportedAlgorithm, ValidationFailure
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS

from mailprov.i18n import _
from mailprov.model.values import dataclass

_MOST_KEYS, _MOST_SIGNATURES = 16, 8
_DIGESTS = {2: "SHA256", 4: "SHA384"}
_SEP = 0x0001  # RFC 4034 section 2.1.1: the key that the zone above is to vouch for
_ZONE = 0x0100


@dataclass(frozen=True)
class Signed:
    """A record set, and the signatures over it."""

    rrset: dns.rrset.RRset
    rrsigs: dns.rrset.RRset | None


def sets(message: dns.message.Message) -> list[Signed]:
    """Of answer and authority."""
    found = []
    for section in (message.answer, message.authority):
        for rrset in section:
            if rrset.rdtype == dns.rdatatype.RRSIG:
                continue
            over = (
                each
                for each in section
                if each.rdtype == dns.rdatatype.RRSIG
                and each.name == rrset.name
                and each.covers == rrset.rdtype
            )
            found.append(Signed(rrset, next(over, None)))
    return found


def unusable(ds: Sequence[DS]) -> bool:
    """RFC 4035 section 5.2: with algorithms and digests that nobody knows, a DS is as good as none."""
    return not any(int(each.digest_type) in _DIGESTS for each in ds)


def vouched(zone: str, ds: Sequence[DS], keys: Sequence[DNSKEY]) -> list[DNSKEY]:
    owner = dns.name.from_text(zone)
    found = []
    for key in keys[:_MOST_KEYS]:
        for each in ds:
            digest = _DIGESTS.get(int(each.digest_type))
            if digest is None or each.key_tag != dns.dnssec.key_id(key) or each.algorithm != key.algorithm:
                continue
            if dns.dnssec.make_ds(owner, key, digest).digest == each.digest:
                found.append(key)
                break
    return found


def flaw(signed: Signed, zone: str, keys: Sequence[DNSKEY], now: float) -> str:
    kind = dns.rdatatype.to_text(signed.rrset.rdtype)
    name = signed.rrset.name.to_text(omit_final_dot=True).lower()
    place = _("{name} {type}").format(name=name, type=kind)
    if signed.rrsigs is None:
        return _("{place} has no signature").format(place=place)
    if len(keys) > _MOST_KEYS or len(signed.rrsigs) > _MOST_SIGNATURES:
        return _("{place} has more keys or signatures than a resolver looks at").format(place=place)
    owner = dns.name.from_text(zone)
    ring: dict[dns.name.Name, dns.node.Node | dns.rdataset.Rdataset] = {
        owner: dns.rrset.from_rdata_list(owner, 0, keys)
    }
    try:
        dns.dnssec.validate(signed.rrset, signed.rrsigs, ring, None, now)
    except (ValidationFailure, UnsupportedAlgorithm, ValueError) as error:
        expires, __ = soonest([signed])
        if expires < now and all(each.expiration < now for each in signed.rrsigs):
            return _("the signature of {place} ended {days} days ago").format(
                place=place, days=max(1, round((now - expires) / 86400))
            )
        if all(each.inception > now for each in signed.rrsigs):
            return _("the signature of {place} is of the future: see the clocks of both machines").format(
                place=place
            )
        return _("the signature of {place} does not fit: {error}").format(place=place, error=error)
    except dns.exception.DNSException as error:
        return _("the signature of {place} cannot be checked: {error}").format(place=place, error=error)
    return ""


def soonest(signed: Sequence[Signed]) -> tuple[float, float]:
    """Of several signatures of a set the last one counts: any of them is enough. (inf, inf) where there is none."""
    ends = []
    for each in signed:
        if each.rrsigs is not None:
            last = max(each.rrsigs, key=lambda rrsig: int(rrsig.expiration))
            ends.append((float(last.expiration), float(last.expiration - last.inception)))
    return min(ends, default=(float("inf"), float("inf")))


def ds_of(zone: str, keys: Sequence[DNSKEY]) -> list[str]:
    owner = dns.name.from_text(zone)
    entries = [key for key in keys[:_MOST_KEYS] if int(key.flags) & _SEP] or [
        key for key in keys[:_MOST_KEYS] if int(key.flags) & _ZONE
    ]
    return [f"{zone}. DS {dns.dnssec.make_ds(owner, key, 'SHA256')}" for key in entries]
