"""The probe `dns.ptr`: whether the addresses from which a host sends have its name, as receivers look at it.

NoAnswer of a public address passes through; the runner makes it an error.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.clients.resolver import NoAnswer
from mailprov.probe.context import HostContext
from mailprov.probe.registry import Scope, probe

# Words in names that providers give to addresses of their customers' lines (RFC 5782 section 2.1 has such lists;
# Spamhaus' policy list and many receivers go by them).
_OF_LINES = re.compile(
    r"(^|[.-])(dyn(amic)?|dhcp|pool|ppp(oe)?|dial(up|in)?|[axv]?dsl|cable|broadband|unused|unassigned|generic)\d*([.-]|$)"
)
_MOST = 16  # names of one address that are looked at


@probe(
    "dns.ptr",
    Scope.HOST,
    N_("The host's addresses have its name"),
    expected=N_(
        "the PTR record of each address of the host is the host's fqdn, the name in EHLO, and leads back to it"
    ),
    steps=(
        N_("Ask for the PTR record of each address of the host."),
        N_("Look up the addresses of each of these names: one must be the address itself (FCrDNS)."),
    ),
    verdicts={
        "pass": N_("each address has the host's name alone, which leads back to it"),
        "warn": N_(
            "an address has other names as well, of which receivers may take any; or the name looks like one that a "
            "provider gives to every address"
        ),
        "fail": N_(
            "an address has no name, another one, or one that does not lead back to it: large receivers refuse its "
            "mail. A private one needs a name where the inventory publishes it (`dns.reverse`)"
        ),
        "error": N_("no authoritative server of the address, or of its name, answers"),
        "skip": N_("the addresses are private and have no name: other mail servers do not see them"),
    },
    cases={
        "generic": N_("the name looks like one that a provider gives to every address"),
    },
    refs=("RFC 1912 section 2.1", "RFC 8499 section 7", "RFC 8601 section 2.7.3"),
)
def dns_ptr(context: HostContext) -> Iterator[Finding]:
    host = context.host
    addresses = (*host.ipv4, *host.ipv6) or context.run.addresses.get(host.name, ())
    named = [(address, _names(context, address)) for address in addresses]
    seen = [(address, names) for address, names in named if names or _needs_name(context, address)]
    if not seen:
        yield context.skip(_("no public address: other mail servers do not see it"))
        return
    wrong = {address: flaw for address, names in seen if (flaw := _wrong(context, address, names))}
    doubts = {address: doubt for address, names in seen if (doubt := _doubt(context, address, names))}
    if wrong:
        yield _told(context, Verdict.FAIL, wrong)
    elif doubts:
        yield _told(context, Verdict.WARN, doubts, _case(context, doubts))
    else:
        yield context.passed(", ".join(address for address, __ in seen))


def _needs_name(context: HostContext, address: str) -> bool:
    """A public address does, and one whose name the inventory has published."""
    known = ipaddress.ip_address(address)
    return known.is_global or context.run.inventory.dns.reverse_at(known.reverse_pointer)


def _case(context: HostContext, addresses: Iterable[str]) -> str:
    return "generic" if any(_generic(context.host.fqdn, each) for each in addresses) else ""


def _told(context: HostContext, verdict: Verdict, flaws: dict[str, str], case: str = "") -> Finding:
    """What is in a zone of ours `apply` mends; of all else the owner of the address is asked."""
    dns, observed = context.run.inventory.dns, "; ".join(flaws.values())
    theirs = [one for one in flaws if not dns.reverse_at(ipaddress.ip_address(one).reverse_pointer)]
    if not theirs:
        form = _("see the records of {addresses}: only {name} may stand there")
        return context.finding(
            verdict, observed, form.format(addresses=", ".join(flaws), name=context.host.fqdn), case=case
        )
    task = _("have the owner of the address {addresses} give it the name {name} (PTR), and no other")
    return context.for_others(
        verdict, observed, task.format(addresses=", ".join(theirs), name=context.host.fqdn), case=case
    )


def _wrong(context: HostContext, address: str, names: tuple[str, ...]) -> str:
    fqdn = context.host.fqdn
    if fqdn not in names:
        return _("{address} is {names}, not {name}").format(
            address=address, names=", ".join(names[:_MOST]) or _("nothing"), name=fqdn
        )
    if not _leads_back(context, fqdn, address):
        form = _("{address} is {name}, which does not lead back to it")
        return form.format(address=address, name=fqdn)
    return ""


def _doubt(context: HostContext, address: str, names: tuple[str, ...]) -> str:
    if others := [name for name in names if name != context.host.fqdn]:
        stray = [name for name in others[:_MOST] if not _leads_back(context, name, address)]
        form = _("{address} has several names ({names}), of which receivers may take any")
        if stray:
            form = _("{address} has several names ({names}), and {stray} does not lead back to it")
        return form.format(address=address, names=", ".join(names[:_MOST]), stray=", ".join(stray))
    if _generic(context.host.fqdn, address):
        form = _("{address} is {name}, which looks like a name that a provider gives to every address")
        return form.format(address=address, name=context.host.fqdn)
    return ""


def _leads_back(context: HostContext, name: str, address: str) -> bool:
    kind = "AAAA" if ":" in address else "A"
    wanted = ipaddress.ip_address(address)
    return any(ipaddress.ip_address(one) == wanted for one in context.follow(name, kind).values)


def _generic(name: str, address: str) -> bool:
    """Whether the address is in the name, its numbers in any order or as hexadecimal digits; or a word of _OF_LINES."""
    known = ipaddress.ip_address(address)
    digits = re.sub(r"[^0-9a-f]", "", name)
    if known.version == 4:
        octets = sorted(int(one) for one in address.split("."))
        runs = [int(one) for one in re.findall(r"\d{1,3}", name)]
        found = any(sorted(runs[start : start + 4]) == octets for start in range(len(runs) - 3))
        return found or known.packed.hex() in digits or bool(_OF_LINES.search(name))
    return known.packed[8:].hex() in digits or bool(_OF_LINES.search(name))


def _names(context: HostContext, address: str) -> tuple[str, ...]:
    """Of a private address only the inventory's own name server may know something."""
    known = ipaddress.ip_address(address)
    public, name = known.is_global, known.reverse_pointer
    if not public and context.run.inventory.dns.at(name).provider.name_server is None:
        return ()
    try:
        return context.follow(name, "PTR").values  # RFC 2317: a CNAME leads to the zone of who has it
    except NoAnswer:
        if _needs_name(context, address):
            raise
        return ()
