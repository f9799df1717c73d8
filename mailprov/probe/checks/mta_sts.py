"""The MTA-STS policy of a domain (RFC 8461), fetched as senders fetch it and held against the domain's MX.

    served(context, ca_file) -> Policy | Finding    what is at the domain's web server
    look(context, ca_file) -> list[Finding]         the record, the policy and what the two are worth; nothing where
                                                    there is neither

Public besides: the probe `zone.mta-sts`, of a domain that no inventory describes. NoAnswer passes through; the runner
makes it an error.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from mailprov.i18n import N_, _
from mailprov.model import mta_sts
from mailprov.model.findings import Finding
from mailprov.model.mta_sts import Policy
from mailprov.probe.clients import https, tls
from mailprov.probe.clients.connection import Connection
from mailprov.probe.clients.errors import ProbeError, Refused, TlsError, Unreachable
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe

_HTTPS = 443
_SERVE = N_("serve the policy, as text/plain and without a redirect; curl -i {url} shows what is there")


@probe(
    "zone.mta-sts",
    Scope.FOREIGN,
    N_("Senders get the MTA-STS policy, and it is for the domain's MX"),
    expected=N_("one TXT record at _mta-sts with an id, and a policy over HTTPS that names every MX"),
    steps=(
        N_("Ask for TXT at _mta-sts of the domain; where there is none nothing more is looked at."),
        N_(
            "Fetch https://mta-sts.DOMAIN/.well-known/mta-sts.txt with the certificate verified: no redirect is "
            "followed, and no more than 64 KiB are read."
        ),
        N_("Read the policy, and compare its mx with the MX records."),
    ),
    verdicts={
        "pass": N_("senders that know MTA-STS deliver over verified TLS alone (mode: enforce)"),
        "warn": N_(
            "mode is testing or none; it is testing and an MX is missing; or senders forget the policy within a week"
        ),
        "fail": N_(
            "several records or no id; no host, or one whose certificate is not valid for that name; no policy there, "
            "a redirect, another type than text/plain, or a policy that cannot be read; or mode is enforce and an MX "
            "is missing, so that mail to it is not delivered"
        ),
        "error": N_("no authoritative server answers, or the host with the policy is not reached from here"),
        "skip": N_("there is no record"),
    },
    cases={
        "no-record": N_("there is no MTA-STS record"),
    },
    refs=("RFC 8461 section 3", "RFC 8461 section 4.1"),
    unless=N_("the domain is in an inventory; see the probes dns.*"),
)
def zone_mta_sts(context: DomainContext) -> Iterator[Finding]:
    yield from look(context) or [context.skip(_("no MTA-STS record"), case="no-record")]


def look(context: DomainContext, ca_file: Path | None = None) -> list[Finding]:
    """`ca_file`: an authority that is trusted besides those of this machine."""
    name = f"_mta-sts.{context.name}"
    found = mta_sts.records(context.follow(name, "TXT").values)
    if not found:
        return []
    advice = _('publish {name}. TXT "v=STSv1; id=1", and nothing else that starts with v=STSv1')
    if len(found) > 1:
        several = _("several records, of which senders take none: {records}")
        observed = several.format(records=" | ".join(found))
        return [context.failed(observed, advice.format(name=name))]
    if flaw := mta_sts.record_flaw(found[0]):
        return [context.failed(f"{found[0]}: {flaw}", advice.format(name=name))]
    policy = served(context, ca_file)
    return [policy if isinstance(policy, Finding) else _judged(context, found[0], policy)]


def served(context: DomainContext, ca_file: Path | None) -> Policy | Finding:
    """The policy as senders get it, or why they get none."""
    host = mta_sts.host(context.name)
    url = f"https://{host}{mta_sts.POLICY_PATH}"
    addresses = (*context.follow(host, "A").values, *context.follow(host, "AAAA").values)
    if not addresses:
        return context.failed(
            _("{host} has no address, so senders find no policy").format(host=host),
            _("publish its addresses, or remove the record at _mta-sts"),
        )
    serve = _(_SERVE).format(url=url)
    try:
        page = _fetch(context, host, addresses, ca_file)
    except ssl.SSLCertVerificationError as error:
        form = _("the certificate of {host} is not valid: {reason}")
        return context.failed(
            form.format(host=host, reason=tls.why_untrusted(error)),
            _("get one from an authority that everybody knows: certbot certonly -d {host}").format(host=host),
        )
    except (Refused, TlsError) as error:
        return context.failed(f"{url}: {error}", serve)
    except ProbeError as error:
        return context.error(f"{url}: {error}", _("see whether it is reached from another network"))
    if 300 <= page.status < 400:
        form = _("{url} redirects to {location}, which senders do not follow")
        return context.failed(form.format(url=url, location=page.location or "?"), serve)
    if page.status != 200:
        form = _("{url} answers {status}")
        return context.failed(form.format(url=url, status=f"{page.status} {page.reason}".strip()), serve)
    if page.kind != "text/plain":
        form = _("{url} is of the type {kind}, so senders do not take it for a policy")
        return context.failed(form.format(url=url, kind=page.kind or _("none")), serve)
    if page.body is None:
        form = _("{url} is longer than the {count} bytes that senders read")
        return context.failed(form.format(url=url, count=mta_sts.MOST), serve)
    try:
        return mta_sts.parse(page.body.decode("utf-8"))
    except UnicodeDecodeError:
        return context.failed(_("{url} is not text in UTF-8").format(url=url), serve)
    except mta_sts.BadPolicy as error:
        form = _("the policy cannot be read: {reason}")
        return context.failed(
            form.format(reason=error),
            _("write it as `version: STSv1`, `mode: enforce`, `mx: …` for each MX, `max_age: 604800`"),
        )


def _fetch(context: DomainContext, host: str, addresses: tuple[str, ...], ca_file: Path | None) -> https.Page:
    """From the first address that takes a connection, as senders do."""
    trusted = context.run.verifying_context(ca_file)
    last: ProbeError | None = None
    for address in addresses:
        port = context.run.port_map.get((address, _HTTPS), _HTTPS)
        try:
            connection = Connection.connect(
                address,
                port,
                context.deadline,
                context.transcript,
                context.run.timing.connect,
                way=context.run.way,
            )
        except (Refused, Unreachable) as error:
            last = error
            continue
        with connection:
            return https.get(connection, host, mta_sts.POLICY_PATH, trusted, mta_sts.MOST)
    assert last is not None
    raise last


def _judged(context: DomainContext, record: str, policy: Policy) -> Finding:
    targets = [one for one in dict.fromkeys(context.run.resolver.mail_servers(context.name)) if one != "."]
    observed = f"{record}; mode: {policy.mode}, mx: {', '.join(policy.mx)}, max_age: {policy.max_age}"
    left = policy.uncovered(targets) if policy.mode != "none" else []
    if left:
        form = _("the policy names no mx for {names}")
        advice = _("add `mx: {name}` to the policy, and give the record at _mta-sts a new id")
        told = context.failed if policy.mode == "enforce" else context.warn
        return told(form.format(names=", ".join(left)), advice.format(name=left[0]))
    if found := mta_sts.doubts(policy):
        return context.warn(
            f"{observed}: {'; '.join(found)}",
            _("set `mode: enforce` and a max_age of weeks once the reports show no failures"),
        )
    return context.passed(observed)
