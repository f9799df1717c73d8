"""A domain that mailprov does not manage: what it says of certificates and TLS, if it says anything.

Public: the probes `zone.caa`, `zone.tlsa` and `zone.tls-rpt`; `zone.mta-sts` is in mta_sts.py. Having none of them is
no fault. NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe

_NO_ANSWER = N_("no authoritative server answers")
_DESCRIBED = N_("the domain is in an inventory; see the probes dns.*")
_MOST = 16  # MX that are looked at
# RFC 6698 section 2.1.3: octets of each matching type.
_SIZES = {"1": 32, "2": 64}


def _values(context: DomainContext, name: str, kind: str) -> tuple[str, ...]:
    return context.follow(name, kind).values


@probe(
    "zone.caa",
    Scope.FOREIGN,
    N_("CAA records can be understood"),
    expected=N_("CAA records with tags that authorities know, for the domain and for each MX"),
    steps=(
        N_(
            "For the domain and for each MX, at most 16: ask for CAA at the name, and then at each name above it until "
            "there are some."
        ),
    ),
    verdicts={
        "pass": N_("they name who may issue certificates, or nobody"),
        "fail": N_("a record has the critical flag and a tag that no authority knows, so that none issues"),
        "error": _NO_ANSWER,
        "skip": N_("there are none, so that every authority may issue certificates"),
    },
    cases={
        "no-record": N_("there is no CAA record"),
    },
    refs=("RFC 8659",),
    unless=_DESCRIBED,
)
def zone_caa(context: DomainContext) -> Iterator[Finding]:
    targets = [one for one in context.run.resolver.mail_servers(context.name) if one != "."][:_MOST]
    found: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys((context.name, *targets)):
        found.update(_certified(context, name))
    for name, values in found.items():
        fields = [value.split(maxsplit=2) for value in values]
        known = ("issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone")
        strange = [each for each in fields if int(each[0]) & 128 and each[1].lower() not in known]
        if strange:
            form = _("{name} has a critical CAA record with the unknown tag {tag}")
            observed = form.format(name=name, tag=strange[0][1])
            yield context.failed(observed, _("remove it, or write 0 in place of 128"))
            return
    if found:
        yield context.passed("; ".join(f"{name}: {', '.join(values)}" for name, values in found.items()))
    else:
        yield context.skip(_("no CAA record, so every authority may issue certificates"), case="no-record")


def _certified(context: DomainContext, name: str) -> dict[str, tuple[str, ...]]:
    """Where the records are that hold for this name (RFC 8659 section 3), and which."""
    labels = name.split(".")
    for start in range(len(labels) - 1):
        above = ".".join(labels[start:])
        if values := _values(context, above, "CAA"):
            return {above: values}
    return {}


@probe(
    "zone.tlsa",
    Scope.FOREIGN,
    N_("TLSA records of the MX can be used"),
    expected=N_("TLSA records of usage 2 or 3 with whole digests, in a signed zone"),
    steps=(
        N_("Ask for TLSA at _25._tcp of each MX, at most 16."),
        N_("Where there are some, ask whether the zone of the MX has keys (DNSKEY)."),
    ),
    verdicts={
        "pass": N_("they can be used; whether they fit the certificate is not looked at here"),
        "warn": N_("the zone is not signed, so that no sender looks at them"),
        "fail": N_(
            "a record has another usage, which senders ignore (RFC 7672), or a digest that is not whole"
        ),
        "error": _NO_ANSWER,
        "skip": N_("there are none"),
    },
    cases={
        "no-record": N_("no MX has a TLSA record"),
        "no-dnssec": N_("the zone is not signed"),
    },
    refs=("RFC 7672 section 3.1", "RFC 6698 section 2.1"),
    unless=_DESCRIBED,
)
def zone_tlsa(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    found, wrong, unsigned = [], [], []
    for target in [each for each in dict.fromkeys(resolver.mail_servers(context.name)) if each != "."][
        :_MOST
    ]:
        name = f"_25._tcp.{target}"
        values = _values(context, name, "TLSA")
        found += [f"{target}: {value}" for value in values]
        for value in values:
            usage, __, matching, digest = (value.split(maxsplit=3) + [""] * 4)[:4]
            digest = "".join(digest.split())
            if usage not in ("2", "3"):
                form = _("{name} has usage {usage}, which senders of mail ignore")
                wrong.append(form.format(name=name, usage=usage))
            elif matching in _SIZES and len(digest) != 2 * _SIZES[matching]:
                wrong.append(_("{name} has a digest that is not whole").format(name=name))
        if values and not _values(context, resolver.zone_of(target), "DNSKEY"):
            unsigned.append(target)
    if not found:
        yield context.skip(_("no MX has TLSA records"), case="no-record")
    elif wrong:
        yield context.failed("; ".join(wrong), _("publish them as `3 1 1` with the SHA-256 of the key"))
    elif unsigned:
        form = _("the zone of {names} is not signed, so no sender looks at its TLSA records")
        yield context.warn(
            form.format(names=", ".join(unsigned)),
            _("have it signed (DNSSEC), or remove them"),
            case="no-dnssec",
        )
    else:
        yield context.passed("; ".join(found))


@probe(
    "zone.tls-rpt",
    Scope.FOREIGN,
    N_("The TLS-RPT record can be used"),
    expected=N_("one TXT record at _smtp._tls with an address for reports"),
    steps=(N_("Ask for TXT at _smtp._tls of the domain."),),
    verdicts={
        "pass": N_("it names who gets reports"),
        "fail": N_("several records, or no address (mailto: or https:), so that nobody gets reports"),
        "error": _NO_ANSWER,
        "skip": N_("there is none"),
    },
    cases={
        "no-record": N_("there is no TLS-RPT record"),
    },
    refs=("RFC 8460 section 3",),
    unless=_DESCRIBED,
)
def zone_tls_rpt(context: DomainContext) -> Iterator[Finding]:
    name = f"_smtp._tls.{context.name}"
    found = [text for text in _values(context, name, "TXT") if text.startswith("v=TLSRPTv1")]
    if not found:
        yield context.skip(_("no TLS-RPT record"), case="no-record")
    elif len(found) > 1 or not re.search(
        r";\s*rua=\s*(mailto:[^@\s;]+@[^@\s;]+|https://[^\s;]+)", found[0], re.I
    ):
        form = _("{records}: it must be one, with rua=mailto: or rua=https:")
        advice = _('publish {name}. TXT "v=TLSRPTv1; rua=mailto:postmaster@{domain}", and nothing else there')
        yield context.failed(
            form.format(records=" | ".join(found)), advice.format(name=name, domain=context.name)
        )
    else:
        yield context.passed(found[0])
