"""Who has a domain's zone, as far as the names of its name servers tell.

    provider_of(domain) -> Provider | None
    zone_of(name) -> str

Asks the resolver of this machine for the zone and its NS. Raises nothing: where DNS does not answer, nothing is known.
"""

from __future__ import annotations

from mailprov.dns import providers
from mailprov.dns.provider import Provider
from mailprov.schema import names

SECONDS = 3.0  # for all of it


def provider_of(domain: str) -> Provider | None:
    return providers.at_name_servers(_name_servers(domain))


def zone_of(name: str) -> str:
    """Empty where only its parent is there: the root, or a top-level domain."""
    try:
        import dns.resolver

        resolver = dns.resolver.Resolver()
        zone = dns.resolver.zone_for_name(names.domain(name), resolver=resolver, lifetime=SECONDS)
        return "" if len(zone.labels) < 3 else zone.to_text(omit_final_dot=True).lower()
    except Exception:  # a proposal is no reason to stop, whatever a resolver says
        return ""


def _name_servers(domain: str) -> list[str]:
    zone = zone_of(domain)
    if not zone:
        return []
    try:
        import dns.resolver

        answer = dns.resolver.Resolver().resolve(f"{zone}.", "NS", lifetime=SECONDS)
        return [rdata.target.to_text(omit_final_dot=True).lower() for rdata in answer]
    except Exception:  # as above
        return []
