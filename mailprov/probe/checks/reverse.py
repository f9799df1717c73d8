"""The probe `dns.ptr`: whether the addresses from which a host sends have its name.

NoAnswer of a public address passes through; the runner makes it an error.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.clients.resolver import NoAnswer
from mailprov.probe.context import HostContext
from mailprov.probe.registry import Scope, probe


@probe(
    "dns.ptr",
    Scope.HOST,
    N_("The host's addresses have its name"),
    expected=N_("the PTR record of each address of the host is the host's fqdn"),
    steps=(
        N_(
            "Ask for the PTR record of each address of the host; whether the name leads back there dns.a looks at."
        ),
    ),
    verdicts={
        "pass": N_("each address has the host's name"),
        "fail": N_("an address has no name or another one: large receivers refuse its mail"),
        "error": N_("no authoritative server of the address answers"),
        "skip": N_("the addresses are private and have no name: other mail servers do not see them"),
    },
    refs=("RFC 1912 section 2.1", "RFC 8499 section 7"),
)
def dns_ptr(context: HostContext) -> Iterator[Finding]:
    host = context.host
    addresses = (*host.ipv4, *host.ipv6) or context.run.addresses.get(host.name, ())
    named: list[str] = []
    for address in addresses:
        names = _names(context, address)
        if host.fqdn in names:
            named.append(address)
        elif names or ipaddress.ip_address(address).is_global:
            seen = ", ".join(names) or _("nothing")
            advice = _("have the owner of the address give it the name {name} (PTR)").format(name=host.fqdn)
            yield context.failed(
                _("{address} is {names}, not {name}").format(address=address, names=seen, name=host.fqdn),
                advice,
            )
            return
    if named:
        yield context.passed(", ".join(named))
    else:
        yield context.skip(_("no public address: other mail servers do not see it"))


def _names(context: HostContext, address: str) -> tuple[str, ...]:
    """Of a private address only the inventory's own name server may know something."""
    known = ipaddress.ip_address(address)
    public, name = known.is_global, known.reverse_pointer
    if not public and context.run.inventory.dns.at(name).provider.name_server is None:
        return ()
    try:
        answer = context.run.resolver.ask(name, "PTR")
    except NoAnswer:
        if public:
            raise
        return ()
    context.transcript.add("-", str(answer))
    return answer.values
