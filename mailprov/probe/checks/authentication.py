"""What a probe message that arrived tells of trust: who signed it, and what the recipient's host wrote of it.

Public: the probes `delivery.dkim`, `delivery.results`, `delivery.forged`. They look at the message of the
DeliveryContext that `delivery` has sent and fetched. NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Filter, Host
from mailprov.probe.deliveries import SUBMISSION, DeliveryContext
from mailprov.probe.mailauth import dkim, message
from mailprov.probe.registry import Scope, probe

_NOTHING = "nothing to look at (see delivery.submit and delivery.path)"
_GOOD_BITS = 2048
# Fields without which a signature says little of a message (RFC 6376 section 5.4.1).
_EXPECTED = ("from", "subject", "date", "to", "message-id")


@probe(
    "delivery.dkim",
    Scope.DELIVERY,
    "What a user sends is signed, with the key that is published",
    expected="a DKIM signature of the sender's domain that holds, by a key of 2048 bits or Ed25519",
    steps=(
        "Take the message as it was fetched, byte for byte.",
        "For each DKIM signature of the sender's domain, ask the authoritative server for its key.",
        "Verify it: a signature that holds proves that the published key is the host's own.",
    ),
    verdicts={
        "pass": "every signature of the domain holds",
        "warn": "no signature of the domain, an RSA key of less than 2048 bits, a key that is declared a test "
        "(t=y), or a field that should be signed and is not",
        "fail": "no key is published, or a signature does not hold",
        "error": "no message arrived, or no authoritative server answers",
    },
    refs=("RFC 6376", "RFC 8301 section 3.2", "RFC 8463"),
    ports=SUBMISSION,
    after="delivery.path",
)
def delivery_dkim(context: DeliveryContext) -> Iterator[Finding]:
    if (early := _early(context)) is not None:
        yield early
        return
    domain, host = context.plan.sender_domain.name, context.sender_host
    found = [one for one in dkim.signatures(context.fetched) if one.domain == domain]
    if not found:
        yield context.warn(f"the message has no DKIM signature of {domain}", _to_sign(host, domain))
        return
    weak: list[str] = []
    good: list[str] = []
    for one in found:
        answer = context.run.resolver.ask(one.record, "TXT")
        context.transcript.add("-", str(answer))
        texts = [text for text in answer.values if "p=" in text]
        if not texts:
            yield context.failed(
                f"signed with {one.selector}, and there is no key at {one.record}",
                "publish the host's key: mailprov apply, or mailprov dns export --dkim and publish by hand"
                if host.managed
                else f"publish the key that {host.name} signs with as TXT at {one.record}",
            )
            return
        try:
            public = dkim.key_of(texts[0])
            dkim.verify(message.without_mbox_quotes(context.fetched, context.sent), one, public)
        except dkim.BadSignature as reason:
            yield context.failed(
                f"the signature with {one.record} does not hold: {reason}",
                f"compare the record with the host's key{' (mailprov apply)' if host.managed else ''}, and see what "
                "alters mail on the way",
            )
            return
        weak += _weak(one, public)
        good.append(f"{one.selector} ({f'rsa, {public.bits} bits' if public.bits else public.kind})")
    if weak:
        new = "make a new key: mailprov dkim rotate"
        yield context.warn(
            "; ".join(weak), new if host.managed else "make a new key, and sign and publish with that"
        )
    else:
        yield context.passed(f"signed by {domain} with {' and '.join(good)}")


def _to_sign(host: Host, domain: str) -> str:
    if not host.managed:
        return (
            f"on {host.name}: let a milter (OpenDKIM, Rspamd) sign what users send, and publish its key as TXT at "
            f"SELECTOR._domainkey.{domain}; if it should sign already, see its log"
        )
    signer = "opendkim" if host.filter is Filter.NONE else "rspamd"
    return f"on {host.name}: see that {signer} runs (systemctl status {signer}), else mailprov apply"


def _weak(one: dkim.Signature, public: dkim.PublicKey) -> list[str]:
    found = []
    if 0 < public.bits < _GOOD_BITS:
        found.append(f"the key {one.record} has only {public.bits} bits")
    if public.testing:
        found.append(f"the key {one.record} is declared a test (t=y)")
    if missing := [name for name in _EXPECTED if name not in one.signed]:
        found.append(f"{one.selector} does not sign {', '.join(missing)}")
    return found


def _early(context: DeliveryContext) -> Finding | None:
    return None if context.fetched else context.error(_NOTHING)


def _results(context: DeliveryContext) -> list[str]:
    """Authentication-Results of the recipient's host, the topmost first, unfolded."""
    header = context.fetched.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    fields = re.split(r"\r\n(?![ \t])", header)
    found = [field.partition(":") for field in fields]
    values = [
        " ".join(value.split())
        for name, _, value in found
        if name.strip().lower() == "authentication-results"
    ]
    own = context.recipient_host.fqdn
    return [value for value in values if re.sub(r"\([^)]*\)", "", value).split(";")[0].split()[:1] == [own]]


@probe(
    "delivery.results",
    Scope.DELIVERY,
    "The recipient's host has checked SPF, DKIM and DMARC, and they pass",
    expected="Authentication-Results of the recipient's host with spf=pass, dkim=pass and dmarc=pass",
    steps=("Read the topmost Authentication-Results field that the recipient's host has written.",),
    verdicts={
        "pass": "all three pass",
        "warn": "the host has checked nothing: its filter does not answer; or the message was not signed; or the "
        "sender's domain has no DMARC policy in the inventory, so that nobody is told what to do with forgeries",
        "fail": "one of them does not pass",
        "error": "no message arrived",
        "skip": "`filter: none` there, or both domains on one host",
    },
    refs=("RFC 8601", "RFC 7208", "RFC 9989"),
    ports=SUBMISSION,
    after="delivery.path",
)
def delivery_results(context: DeliveryContext) -> Iterator[Finding]:
    if (early := _early(context)) is not None:
        yield early
        return
    host = context.recipient_host
    if host.filter is Filter.NONE:
        yield context.skip(f"`filter: none` on {host.name}: nothing is checked there")
        return
    if context.plan.local:
        yield context.skip("both domains are on one host, which does not check its own users")
        return
    ours = [value for value in _results(context) if message.FORGED not in value]
    if not ours:
        yield context.warn(
            f"no Authentication-Results of {host.fqdn}: mail goes in there unchecked",
            f"on {host.name}: see that rspamd runs (systemctl status rspamd)",
        )
        return
    context.transcript.add("-", ours[0])
    plain = re.sub(r"\([^)]*\)", "", ours[0])
    seen = {name: re.findall(rf";\s*{name}=(\w+)", plain) for name in ("spf", "dkim", "dmarc")}
    wrong = [name for name, values in seen.items() if set(values) != {"pass"}]
    shown = ", ".join(f"{name}={'/'.join(values)}" for name, values in seen.items() if values)
    domain = context.plan.sender_domain
    if wrong == ["dkim"] and seen["dkim"] == ["none"]:
        yield context.warn(f"{host.fqdn} says {shown}", "see delivery.dkim: the message was not signed")
    elif wrong == ["dmarc"] and domain.dmarc is None and set(seen["dmarc"]) <= {"none"}:
        yield context.warn(
            f"{host.fqdn} says {shown}: {domain.name} has no DMARC policy",
            f"give domains.{domain.name} a policy, to begin with dmarc: {{policy: none}}",
        )
    elif wrong:
        yield context.failed(
            f"{host.fqdn} says {shown or 'nothing of them'}",
            "see dns.spf and delivery.dkim for the sender's domain, and the log of the recipient's filter",
        )
    else:
        yield context.passed(f"{host.fqdn} says {shown}")


@probe(
    "delivery.forged",
    Scope.DELIVERY,
    "Nobody can forge Authentication-Results in the name of the recipient's host",
    expected="a forged Authentication-Results with that name does not arrive",
    steps=(
        "The probe message carries an Authentication-Results field in the name of the recipient's host.",
        "Look whether it is still there on arrival.",
    ),
    verdicts={
        "pass": "it was taken out",
        "warn": "it arrived on a server with `managed: false` and no filter: nothing there writes such results, so "
        "nobody should believe any",
        "fail": "it arrived: mail programs and filters would believe it",
        "error": "no message arrived",
    },
    refs=("RFC 8601 section 5",),
    ports=SUBMISSION,
    after="delivery.path",
)
def delivery_forged(context: DeliveryContext) -> Iterator[Finding]:
    if (early := _early(context)) is not None:
        yield early
    elif any(message.FORGED in value for value in _results(context)):
        host = context.recipient_host
        unread = not host.managed and host.filter is Filter.NONE
        yield context.finding(
            Verdict.WARN if unread else Verdict.FAIL,
            f"the forged field in the name of {host.fqdn} arrived",
            "postconf -e 'header_checks = regexp:/etc/postfix/header_checks' with a line that IGNOREs it, or let "
            "the filter remove such fields",
        )
    else:
        yield context.passed("it was taken out")
