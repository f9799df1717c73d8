"""SPF: which hosts send a domain's mail (RFC 7208), for the name behind the @ and for the name a host says in EHLO.

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

import re
from collections.abc import Collection, Iterator, Sequence

from mailprov.i18n import N_, _
from mailprov.model.hosted import Hosted
from mailprov.model.inventory import Domain, Host, Spf
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Follows, Need, Own, RecordType, Wishes

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


def hosted_spf(there: Hosted, others: Spf, also_a: bool = False) -> str:
    """The SPF text of a domain whose mail is at a provider; empty where nothing tells who sends its mail. `also_a`: as
    in domain_spf.
    """
    named = dict.fromkeys(filter(None, (there.provider.include, *others.include)))
    terms = [f"include:{domain}" for domain in named]
    if not terms:
        return ""
    return " ".join(["v=spf1", *(["a"] if also_a else []), *terms, "~all" if others.soft else "-all"])


def of_both(domain: Domain) -> Spf:
    """Whom else to name while hosts and a provider send."""
    there = domain.hosted
    assert there is not None, "asked of a domain with a provider"
    named = dict.fromkeys(filter(None, (there.provider.include, *domain.spf.include)))
    return Spf(tuple(named), domain.spf.soft or there.soft)


def lets_send(text: str) -> frozenset[str] | None:
    """The terms of an SPF text by which somebody may send, in lower case; None where it does not end in ~all or -all,
    so that everybody may, or nobody can tell.
    """
    terms = text.lower().split()[1:]
    if not terms or terms[-1] not in ("~all", "-all"):
        return None
    return frozenset(term.removeprefix("+") for term in terms[:-1])


def helo_spf() -> str:
    """The SPF text at a host's EHLO name: it sends from its own addresses only (RFC 7208 section 2.3)."""
    return "v=spf1 a -all"


# As 0.1.0 wrote it: it knew no `include:`, and a host must not bring one in. Later images are sealed.
_OURS = re.compile(r"v=spf1( (a|mx|a:[a-z0-9.-]+|ip4:[0-9.]+|ip6:[0-9a-f:]+))* -all")


class SpfRecord(RecordType):
    name = "SPF"
    need = Need.REQUIRED
    follows = Follows.SENDERS
    why = N_("receivers take the domain's mail from these hosts only")
    otherwise = N_("name others who send its mail under the domain's `spf: {include: […]}` first")
    instead = N_("See that it lets the host's own addresses pass (`a`), or remove it")
    key = N_("domains.DOMAIN.spf: who else may send, and ~all")
    places = (("TXT", re.compile(PLAIN)),)

    def of_host(self, host: Host, wishes: Wishes) -> Iterator[Record]:
        if host.fqdn not in wishes.mail_names:
            why = _(
                "SPF of the name that {host} gives in EHLO: mail comes from its own addresses only"
            ).format(host=host.name)
            need = Need.RECOMMENDED.value
            yield Record(host.fqdn, "TXT", helo_spf(), wishes.ttl, why, need=need, asked=False)
        own = wishes.inventory.sender_domain(host)
        if own != host.fqdn:
            why = _("SPF of the name under which {host} forwards mail of others").format(host=host.name)
            yield Record(own, "TXT", domain_spf([host]), wishes.ttl, why)

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        hosts = wishes.hosts(domain)
        both = domain.provider_sends
        others = of_both(domain) if both else domain.spf
        included = (_("those whom {domain} names").format(domain=one) for one in others.include)
        senders = ", ".join([*(host.name for host in hosts), *included])
        # While a provider sends as well, they may be the MX no longer, or not yet.
        are_mx = not both and {each.host for each in domain.exchangers} == set(domain.hosts)
        text = domain_spf(hosts, name in wishes.ehlo_names, are_mx=are_mx, others=others)
        why = _("SPF: mail of {domain} is sent by {senders}").format(domain=name, senders=senders)
        yield Record(name, "TXT", text, wishes.ttl, why)

    def of_hosted(self, there: Hosted, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if domain.hosts and domain.hosts_send:
            return  # both sides send, and what lets them is one record (of_name)
        if text := hosted_spf(there, domain.spf, domain.name in wishes.ehlo_names):
            why = _("SPF: mail of {name} is sent by {provider}").format(
                name=domain.name, provider=_(there.provider.title)
            )
            yield Record(domain.name, "TXT", text, wishes.ttl, why)

    def serves(self, wanted: Collection[str], stands: Collection[str]) -> bool:
        """Whoever sends by others' servers (`include:` alone) often lets more of them send, and is soft or not."""
        if len(wanted) != 1 or len(stands) != 1:
            return False
        needed, there = lets_send(*wanted), lets_send(*stands)
        if needed is None or there is None or not any(term.startswith("include:") for term in needed):
            return False
        return all(term == "a" or term.startswith("include:") for term in needed) and needed <= there

    def alone(self, name: str, kind: str, value: str) -> bool:
        # RFC 7208 section 4.5: the version ends at a space or at the end of the text.
        start = value.lower()
        return kind == "TXT" and (start == "v=spf1" or start.startswith("v=spf1 "))

    def judge(self, values: Sequence[str], wanted: str) -> str:
        if len(values) > 1:
            return _("more than one, which is an error to receivers")
        if values[0].lower().split()[1:] in (["-all"], ["~all"]):
            return _("it says that nobody sends under this name, so bounces of the host fail SPF")
        return ""

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return kind == "TXT" and name in own.domains | own.addresses and _OURS.fullmatch(value) is not None


SPF = SpfRecord()
