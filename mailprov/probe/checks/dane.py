"""The probe `dane.tlsa`: whether senders that check TLSA records can deliver to a host (RFC 7672).

Such a sender takes a record that it can use for the rule: it delivers to the key that is named there, or not at all.
Where the servers of a signed zone give no proper answer, not even "there is none", it does not deliver either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.tls_keys import record_name, value
from mailprov.probe.clients import tls
from mailprov.probe.clients.resolver import BadAnswer, Trust
from mailprov.probe.context import PortContext
from mailprov.probe.registry import Scope, probe
from mailprov.records.types import tlsa

_OWN, _ISSUER = 3, 2  # usages DANE-EE and DANE-TA; the other two are not for mail (RFC 7672 section 3.1.3)
_DIGESTS = {1: hashlib.sha256, 2: hashlib.sha512}


class _Record(NamedTuple):
    """RFC 6698 section 2.1."""

    usage: int
    selector: int
    matching: int
    data: str

    @property
    def usable(self) -> bool:
        return self.usage in (_OWN, _ISSUER) and self.selector in (0, 1) and self.matching in (0, 1, 2)

    def names(self, leaf: tls.Leaf) -> bool:
        """Whether it is this certificate's, or its key's."""
        octets = leaf.key if self.selector else leaf.der
        digest = _DIGESTS.get(self.matching)
        return (digest(octets).hexdigest() if digest else octets.hex()) == self.data


@probe(
    "dane.tlsa",
    Scope.PORT,
    N_("Senders that check TLSA records find the key that the host shows (DANE)"),
    expected=N_("in a signed zone: TLSA records at _25._tcp.HOST, one of which names the key that is served"),
    steps=(
        N_(
            "Ask the name servers for the TLSA records of port 25 of the host, also where there should be none."
        ),
        N_(
            "Ask them for keys and signatures of the zone, and this machine's resolver whether all of it is valid."
        ),
        N_("Do the TLS handshake on each address of the host, and compare the key with the records."),
    ),
    verdicts={
        "pass": N_("a record names the key that is served, and no doubt about its signatures was found"),
        "warn": N_(
            "the zone is signed and there is no record; or there are records that senders take no notice of, since "
            "the zone is not signed, or has no DS record in the zone above"
        ),
        "fail": N_(
            "no record names the key that is served, or none is of a kind that is used for mail (2 or 3); the name "
            "servers answer with an error; or the signatures are not valid: such senders do not deliver"
        ),
        "error": N_("no certificate could be read, or no name server answers"),
        "skip": N_("the zone is not signed and has no such record, or the inventory wants none"),
    },
    cases={
        "no-dnssec": N_("the zone is not signed"),
        "no-record": N_("a signed zone has no TLSA record for an MX"),
        "not-vouched": N_("the zone above has no DS record"),
    },
    refs=("RFC 7672 section 2.1", "RFC 7672 section 3.1", "RFC 7671 section 5.1", "RFC 6698 section 2.1"),
    ports=(25,),
)
def dane_tlsa(context: PortContext) -> Iterator[Finding]:
    host, resolver = context.host, context.run.resolver
    name = record_name(host.fqdn)
    try:
        answer = resolver.ask(name, "TLSA")
        zone = resolver.zone_of(host.fqdn)
        signed = resolver.signed(zone)
    except BadAnswer as error:
        advice = _(
            "see the log of the name server: senders that check TLSA records hold back their mail until it answers"
        )
        yield from context.of_host(context.failed(str(error), advice))
        return
    context.transcript.add("-", str(answer))
    if not answer.values:
        yield from context.of_host(_absent(context, name, signed))
        return
    if not signed:
        observed = _(
            "the zone of {name} is not signed with DNSSEC, so senders take no notice of its TLSA records"
        ).format(name=name)
        yield from context.of_host(
            context.warn(observed, _("sign the zone, or remove the records"), case="no-dnssec")
        )
        return
    leaf = tls.Leaf.parse(context.served(host, context.address, context.port, tls.looking_context()))
    records = [_parsed(text) for text in answer.values]
    usable = [one for one in records if one.usable]
    matching = [one for one in usable if one.usage == _OWN and one.names(leaf)]
    others = [one for one in usable if one.usage == _ISSUER]
    served = value(hashlib.sha256(leaf.key).hexdigest())
    record = f"{name}. TLSA {served}"
    if not usable:
        yield context.failed(
            _("{records}: none of them is of a kind that is used for mail").format(
                records=", ".join(answer.values)
            ),
            _("publish {record}").format(record=record),
        )
    elif not matching and others:
        yield context.error(
            _(
                "{records}: they name an issuer, and whether it issued this certificate is not looked at"
            ).format(records=", ".join(answer.values)),
            _("publish {record} beside them, which needs no look at the issuer").format(record=record),
        )
    elif not matching:
        yield context.failed(
            _("{records}, but the key that is served is {record}").format(
                records=", ".join(answer.values), record=served
            ),
            _("publish {record} now, and keep the key when the certificate is renewed").format(record=record),
        )
    else:
        yield _judged(context, name, zone, ", ".join(" ".join(map(str, one)) for one in matching))


def _absent(context: PortContext, name: str, signed: bool) -> Finding:
    concerned = tlsa.exchanges(context.host, context.run.inventory)
    if not signed:
        unsigned = _("the zone of {name} is not signed with DNSSEC").format(name=name)
        return context.skip(unsigned, case="no-dnssec" if concerned else "")
    if not tlsa.concerns(context.host, context.run.inventory):
        none = _("the inventory wants none: `tls: {tlsa: off}`, or the host is no MX")
        return context.skip(none, case="no-record" if concerned else "")
    return context.warn(
        _("{name} has no TLSA record, and its zone is signed").format(name=name),
        _("run `mailprov apply`, which publishes it")
        if context.host.managed
        else _("publish one (3 1 1) of the key that the host shows on port 25"),
        case="no-record",
    )


def _judged(context: PortContext, name: str, zone: str, matching: str) -> Finding:
    """A record matches; is it believed?"""
    trust = context.run.resolver.trust(name, "TLSA", zone)
    if trust is Trust.BOGUS:
        return context.failed(
            _(
                "{record} matches, but its signatures are not valid: a resolver that checks them gives no answer"
            ).format(record=matching),
            _("compare the DS record in the zone above with the keys of the zone (delv {name} TLSA)").format(
                name=name
            ),
        )
    if trust is Trust.INSECURE:
        return context.warn(
            _(
                "{record} matches, but the zone above has no DS record, so senders take no notice of it"
            ).format(record=matching),
            _("give the DS record of the zone to the registry of the domain"),
            case="not-vouched",
        )
    if trust is Trust.SECURE:
        return context.passed(
            _("{record}, and this machine's resolver found it valid").format(record=matching)
        )
    return context.passed(
        _("{record}; the zone is signed, and the chain of trust above it could not be looked at here").format(
            record=matching
        )
    )


def _parsed(text: str) -> _Record:
    usage, selector, matching, *data = text.split()
    return _Record(int(usage), int(selector), int(matching), "".join(data).lower())
