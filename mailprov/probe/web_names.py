"""Whether a name of a domain's web server leads to its host, by DNS as everybody sees it.

elsewhere(context, host, name) -> Finding | None
kept_away(context, host) -> Finding | None         whether fail2ban there keeps this machine from the web
"""

from __future__ import annotations

from mailprov.i18n import _, all_of
from mailprov.model.findings import Finding
from mailprov.model.inventory import Host
from mailprov.probe.context import DomainContext


def elsewhere(context: DomainContext, host: Host, name: str) -> Finding | None:
    """A finding where programs do not come to this host by that name, or this machine does not."""
    if away := kept_away(context, host):
        return away
    found = [value for kind in ("A", "AAAA") for value in context.follow(name, kind).values]
    ours = {*host.ipv4, *host.ipv6, *context.run.addresses[host.name]}
    strange = sorted(set(found) - ours)
    if not found:
        advice = _("publish {records}").format(records=f"{name}. CNAME {host.fqdn}.")
        if context.run.inventory.dns.at(context.name).provider.publishes:
            advice = _("run {command}").format(command="mailprov dns apply")
        return context.warn(_("{name} does not exist").format(name=name), advice)
    if strange:
        form = _("{name} leads to {addresses}, which is not {host}")
        record = f"{name}. CNAME {host.fqdn}."
        advice = _("publish {record} alone, if mail programs are to find the servers of {domain} by it")
        return context.warn(
            form.format(name=name, addresses=all_of(strange), host=host.name),
            advice.format(record=record, domain=context.name),
        )
    return None


def kept_away(context: DomainContext, host: Host) -> Finding | None:
    if host.name not in context.run.web_held:
        return None
    form = _("fail2ban on {host} has banned this machine from the web; see webmail.page of that host")
    return context.skip(form.format(host=host.name))
