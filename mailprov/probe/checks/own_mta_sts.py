"""The probe `dns.mta-sts`: whether senders that know MTA-STS get what the inventory wants, and can deliver by it.

A policy and the record that tells of it are in step or worth nothing, and what a policy demands of the MX must be true
of them (RFC 8461 section 4.1): so record, policy, MX and certificates are looked at together.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

from mailprov.i18n import N_, _
from mailprov.model import mta_sts, web
from mailprov.model.findings import Finding
from mailprov.model.inventory import Host
from mailprov.probe.checks.mta_sts import look, served
from mailprov.probe.clients import tls
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.context import DomainContext, port_numbered
from mailprov.probe.registry import Scope, probe
from mailprov.probe.remedies import publish
from mailprov.probe.web_names import kept_away

_APPLY = N_("run `mailprov apply`, which puts the policy there first and the record behind it")


@probe(
    "dns.mta-sts",
    Scope.DOMAIN,
    N_("Senders that know MTA-STS get the domain's policy, and its MX are as the policy says"),
    expected=N_("a record at _mta-sts whose id is that of the policy, and a valid certificate at each MX"),
    steps=(
        N_(
            "Fetch https://mta-sts.DOMAIN/.well-known/mta-sts.txt as senders do, with the certificate verified."
        ),
        N_("Compare it with the policy that follows from the inventory, and its mx with the MX records."),
        N_("Ask for TXT at _mta-sts of the domain, and compare its id with that of the policy."),
        N_("Do the TLS handshake at port 25 of each own MX, with the certificate verified."),
    ),
    verdicts={
        "pass": N_("record, policy, MX and certificates belong together"),
        "warn": N_(
            "there is no record yet, or it tells of another policy; an MX is missing in the policy, or its certificate "
            "is not valid, and mode is testing; or what stands there is somebody else's and not as it should be"
        ),
        "fail": N_(
            "there is a record and no policy; or mode is enforce, and an MX is missing in the policy or its "
            "certificate is not valid, so that mail is not delivered"
        ),
        "error": N_("no authoritative server answers, or the host with the policy is not reached from here"),
        "skip": N_("the inventory wants no policy, and there is none"),
    },
    cases={
        "no-record": N_("there is no policy"),
        "mx-certificate": N_("senders do not trust the certificate of an MX"),
    },
    refs=("RFC 8461 section 3", "RFC 8461 section 4"),
)
def dns_mta_sts(context: DomainContext) -> Iterator[Finding]:
    inventory, domain = context.run.inventory, context.domain
    policy = web.policy(inventory, domain)
    ca_file = next((host.tls.ca_file for host in map(inventory.host, domain.hosts) if host.tls.ca_file), None)
    if policy is None and domain.mta_sts == "off":
        texts = mta_sts.records(context.follow(f"_mta-sts.{context.name}", "TXT").values)
        if len(texts) == 1 and re.fullmatch(r"v=STSv1; id=none\d{10}", texts[0]):
            form = _("{record}: senders are told that the policy has ended, and mailprov removes it in time")
            yield context.passed(form.format(record=texts[0]))
            return
    if policy is None:
        host = web.host_of(inventory, domain)
        form = _("the inventory wants no policy, and there is none")
        if host is not None and not web.trusted(host) and domain.mta_sts is None:
            form = _("{name} has no policy as long as the certificate of {host} is self-signed")
            form = form.format(name=context.name, host=host.name)
        yield from look(context, ca_file) or [context.skip(form, case="no-record")]
        return
    found = mta_sts.records(context.follow(f"_mta-sts.{context.name}", "TXT").values)
    host = web.host_of(inventory, domain)
    if host is not None and (away := kept_away(context, host)):
        yield away
        return
    there = served(context, ca_file)
    if isinstance(there, Finding):
        yield there if found else context.warn(there.observed, _(_APPLY))
        return
    if there.text() != policy.text():
        form = _("the policy that is served is another one than the inventory's: mode: {mode}, mx: {mx}")
        yield context.warn(form.format(mode=there.mode, mx=", ".join(there.mx)), _(_APPLY))
        return
    told = context.failed if policy.mode == "enforce" else context.warn
    wanted = web.policy_id(domain, policy)
    flaw = "" if len(found) == 1 else _("there is no record") if not found else _("there are several records")
    if not flaw and f"id={wanted}" not in found[0].replace(" ", "").split(";"):
        flaw = mta_sts.record_flaw(found[0]) or _("it tells of another policy")
    if flaw:
        observed = _("the policy is served, and the record at _mta-sts does not tell of it: {reason}")
        record = f'_mta-sts.{context.name}. TXT "v=STSv1; id={wanted}"'
        yield context.warn(observed.format(reason=flaw), publish(record))
        return
    targets = [one for one in context.run.resolver.mail_servers(context.name) if one != "."]
    if policy.mode != "none" and (left := policy.uncovered(targets)):
        form = _("the policy names no mx for {names}, to which MX records lead")
        yield told(
            form.format(names=", ".join(left)), _("state them under `mx` in the inventory, then apply")
        )
        return
    bad = [why for host in map(inventory.host, domain.hosts) if (why := _untrusted(context, host, ca_file))]
    if bad and policy.mode != "none":
        yield told(
            _("by the policy senders want a valid certificate at each MX: {reasons}").format(
                reasons="; ".join(bad)
            ),
            _("get certificates from an authority that everybody knows, or write `mta_sts: off`"),
            case="mx-certificate",
        )
        return
    observed = f"{found[0]}; mode: {policy.mode}, mx: {', '.join(policy.mx)}, max_age: {policy.max_age}"
    yield context.passed(observed)


def _untrusted(context: DomainContext, host: Host, ca_file: Path | None) -> str:
    """Why senders do not trust what this host shows; "" where they do, and where it is not reached (tls.* tells)."""
    trusted = context.run.verifying_context(ca_file)
    for address in (*host.ipv4, *host.ipv6) or (host.address,):
        try:
            context.served(host, address, port_numbered(25), trusted)
        except ssl.SSLCertVerificationError as error:
            return f"{host.fqdn} [{address}]: {tls.why_untrusted(error)}"
        except ProbeError:
            continue
    return ""
