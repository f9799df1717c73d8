"""The texts of the policy records: SPF (RFC 7208) and DMARC (RFC 9989). Pure.

    domain_spf(hosts, …)        for the name behind the @
    helo_spf()                  for the name a host says in EHLO
    dmarc(policy, rua)          for _dmarc.<domain>

Why SPF says `mx` and not `ip4:`/`ip6:`. The hosts that send a domain's mail are exactly its MX hosts, so
`mx` states that fact once: when a host changes its address, or gets an IPv6 address, only its A/AAAA
records change, and no copy of the address in an SPF record of every domain goes stale in caches. It also
holds for hosts whose addresses the inventory does not know (`address` is a name), and students see MX and
SPF say the same thing. The price is one of the ten lookups RFC 7208 section 4.6.4 allows, which nothing
else of ours uses. The same section makes `mx` a permanent error for more than ten MX hosts; such a domain
gets its addresses listed.

Where an MX is somebody else's (a filter in front, a backup), or a host of the domain is none, `mx` would say another
thing, and each host is named: `a:mx1.example.org`.

`-all`: mailprov knows every sender of the domain, because it makes them or the inventory names them (`spf:
{include: …}`); mail from elsewhere is not the domain's. `spf: {all: soft}` says `~all` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from mailprov.model.inventory import Host, Spf

# RFC 7208 section 4.6.4: more than ten names behind one "mx" mechanism are a permerror.
MX_NAMES_LIMIT = 10
_NOBODY_ELSE = Spf()


def domain_spf(
    hosts: Sequence[Host], also_a: bool = False, *, are_mx: bool = True, others: Spf = _NOBODY_ELSE
) -> str:
    """The SPF text of a domain that sends through `hosts`, and whomever `others` names.

    `are_mx`: they are the domain's MX hosts, all of them and nobody else. `also_a`: the domain's own name is a host's
    EHLO name too; there can be only one SPF record at a name, so it must cover both identities.
    """
    if not are_mx and len(hosts) <= MX_NAMES_LIMIT:
        terms = [f"a:{host.fqdn}" for host in hosts]
    elif are_mx and len(hosts) <= MX_NAMES_LIMIT:
        terms = ["mx"]
    else:
        terms = []
        for host in hosts:
            known = [f"ip4:{address}" for address in host.ipv4] + [f"ip6:{address}" for address in host.ipv6]
            terms += known or [f"a:{host.fqdn}"]
    terms += [f"include:{domain}" for domain in others.include]
    return " ".join(["v=spf1", *(["a"] if also_a else []), *terms, "~all" if others.soft else "-all"])


def helo_spf() -> str:
    """The SPF text at a host's EHLO name: it sends from its own addresses only (RFC 7208 section 2.3)."""
    return "v=spf1 a -all"


def dmarc(policy: str, rua: str | None) -> str:
    """The DMARC text. No `pct`: RFC 9989 removed it. `rua` is an address; `,` and `!` in it must not stand
    bare.

    Strict about SPF (`aspf=s`, a tag of RFC 9989): what a host of ours forwards leaves under a sender of that host
    (SRS) and passes SPF there. Were mx1.example.org as good as example.org, anybody's forged `From:` would pass DMARC
    by being forwarded.
    """
    text = f"v=DMARC1; p={policy}; aspf=s"
    return f"{text}; rua=mailto:{quote(rua, safe='@')}" if rua else text
