"""The names by which mail programs and other servers ask the web server of a domain's host. Pure.

    LABELS                              what stands before the domain's name
    has(host) -> bool                   whether the inventory asks for a web server there
    trusted(host) -> bool               whether others trust its certificate; only then it has files that rest on that
    host_of(inventory, domain)          the host that these names lead to: its first one that has; None where none has
    names_below(inventory, domain, name) -> (name, …)   of the domain itself or of one of its domain aliases
    names(inventory, domain) -> (name, …)               all of these
    webmail(domain) -> str              the one of its webmail; "" where it has none
    with_webmail(hosts, domains)        the same hosts; each knows for which domains it has webmail
    webmail_on(host) -> (name, …)       that
    policy(inventory, domain) -> Policy | None      its MTA-STS policy, if it is to have one (RFC 8461); the same for
                                                    its domain aliases, whose mail goes to the same MX
    policy_id(domain, policy)                       for the record at _mta-sts: another policy, another id

The id follows from the policy's text, so whoever publishes needs no memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mailprov.model.inventory import Domain, Host, Inventory, TlsMode

if TYPE_CHECKING:
    from mailprov.model.mta_sts import Policy

_FOR_ALL = ("autoconfig", "autodiscover", "mta-sts")  # of every domain, and of its aliases
_TRUSTED = "ua-auto-config"  # of domains, not of their aliases (client/pacc.py says why)
LABELS = (*_FOR_ALL, _TRUSTED)
WEBMAIL = "webmail"  # of those that have it


def has(host: Host) -> bool:
    return bool(host.settings.get("web"))


def trusted(host: Host) -> bool:
    return host.tls.mode is not TlsMode.SELF_SIGNED


def host_of(inventory: Inventory, domain: Domain) -> Host | None:
    return next((host for host in map(inventory.host, domain.hosts) if has(host)), None)


def names_below(inventory: Inventory, domain: Domain, name: str) -> tuple[str, ...]:
    if name != domain.name:
        return tuple(f"{label}.{name}" for label in _FOR_ALL)
    host = host_of(inventory, domain)
    labels = LABELS if host is not None and trusted(host) else _FOR_ALL
    own = (its,) if (its := webmail(domain)) else ()
    return (*(f"{label}.{name}" for label in labels), *own)


def names(inventory: Inventory, domain: Domain) -> tuple[str, ...]:
    return tuple(below for name in domain.names for below in names_below(inventory, domain, name))


def webmail(domain: Domain) -> str:
    return f"{WEBMAIL}.{domain.name}" if domain.webmail else ""


def with_webmail(hosts: tuple[Host, ...], domains: tuple[Domain, ...]) -> tuple[Host, ...]:
    having = {
        host.name: tuple(each.name for each in domains if each.webmail and each.hosts[:1] == (host.name,))
        for host in hosts
    }
    return tuple(
        replace(host, settings={**host.settings, WEBMAIL: having[host.name]}) if having[host.name] else host
        for host in hosts
    )


def webmail_on(host: Host) -> tuple[str, ...]:
    return tuple(host.settings.get(WEBMAIL, ()))


# How long senders remember it, in seconds. Of testing a day, in which nobody refuses anything; of enforce two weeks:
# whoever can keep senders from the policy for that long has switched it off (RFC 8461 section 3.2 expects weeks).
MAX_AGE = {"testing": 86_400, "enforce": 1_209_600, "none": 86_400}


def policy(inventory: Inventory, domain: Domain) -> Policy | None:
    """None where no host serves it or others would not trust its certificate, and while the domain moves."""
    host = host_of(inventory, domain)
    mode = "none" if domain.leaving else domain.mta_sts or "testing"
    if host is None or mode == "off" or domain.hosted is not None or not trusted(host):
        return None
    from mailprov.model.mta_sts import Policy  # few hosts have a web server

    ours = {one.name: one for one in map(inventory.host, domain.hosts)}
    if domain.mta_sts is None and not all(map(trusted, ours.values())):
        return None
    mx = tuple(ours[each.host].fqdn if each.ours else each.host for each in domain.exchangers)
    return Policy(mode, MAX_AGE[mode], mx if mode != "none" else ()) if mx else None


def policy_id(domain: Domain, policy: Policy) -> str:
    """1 to 32 letters and digits (RFC 8461 section 3.1)."""
    if domain.leaving:
        return f"none{domain.leaving}"
    import hashlib

    return hashlib.sha256(policy.text().encode("ascii")).hexdigest()[:20]
