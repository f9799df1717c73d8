"""What a probe message that arrived tells of trust: who signed it, and what the recipient's host wrote of it.

Public: the probes `delivery.dkim`, `delivery.results`, `delivery.forged`. They look at the message of the
DeliveryContext that `delivery` has sent and fetched. NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _, ngettext
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Filter, Host
from mailprov.probe.deliveries import SUBMISSION, DeliveryContext
from mailprov.probe.mailauth import dkim, message, received, spf
from mailprov.probe.registry import Scope, probe

_NOTHING = N_("no message to look at (see delivery.submit and delivery.path)")
_GOOD_BITS = 2048
# Fields without which a signature says little of a message (RFC 6376 section 5.4.1).
_EXPECTED = ("from", "subject", "date", "to", "message-id")


@probe(
    "delivery.dkim",
    Scope.DELIVERY,
    N_("What a user sends is signed, with the key that is published"),
    expected=N_("a valid DKIM signature of the sender's domain, by a key of 2048 bits or Ed25519"),
    steps=(
        N_("Take the message as it was fetched, byte for byte."),
        N_("For each DKIM signature of the sender's domain, ask the authoritative server for its key."),
        N_("Verify it: a valid signature proves that the published key is the host's own."),
        N_(
            "As a control, verify it of the same message with one octet more in the body, and one in From: must fail."
        ),
    ),
    verdicts={
        "pass": N_("every signature of the domain is valid"),
        "warn": N_(
            "an RSA key of less than 2048 bits, a key that is declared a test (t=y), a field that should be signed and "
            "is not; or no signature of the domain, from a server with `managed: false`"
        ),
        "fail": N_("no signature of the domain, no key is published, or a signature is not valid"),
        "error": N_(
            "no message arrived, no authoritative server answers, or the signature seems valid for an altered message"
        ),
    },
    cases={
        "unsigned": N_("there is no signature of the domain"),
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
        yield context.finding(
            Verdict.FAIL if host.managed else Verdict.WARN,  # ours sign, whatever the inventory says
            _("the message has no DKIM signature of {domain}").format(domain=domain),
            _to_sign(host, domain),
            case="unsigned",
        )
        return
    weak: list[str] = []
    good: list[str] = []
    for one in found:
        answer = context.run.resolver.ask(one.record, "TXT")
        context.transcript.add("-", str(answer))
        texts = [text for text in answer.values if "p=" in text]
        if not texts:
            yield context.failed(
                _("signed with {selector}, and there is no key at {record}").format(
                    selector=one.selector, record=one.record
                ),
                _("publish the host's key: mailprov apply, or mailprov dns export --dkim and publish by hand")
                if host.managed
                else _("publish the key that {host} signs with as TXT at {record}").format(
                    host=host.name, record=one.record
                ),
            )
            return
        try:
            public = dkim.key_of(texts[0])
            text = message.without_mbox_quotes(context.fetched, context.sent)
            dkim.verify(text, one, public)
        except dkim.BadSignature as reason:
            yield context.failed(
                _("the signature with {record} is not valid: {reason}").format(
                    record=one.record, reason=reason
                ),
                _(
                    "compare the record with the host's key (mailprov apply), and see what alters mail on the way"
                )
                if host.managed
                else _("compare the record with the host's key, and see what alters mail on the way"),
            )
            return
        if any(_holds(changed, one, public) for changed in dkim.tampered(text)):
            yield context.error(
                _("the signature seems valid for an altered message, too: the check is no good")
            )
            return
        weak += _weak(one, public)
        size = ngettext("{type}, {count} bit", "{type}, {count} bits", public.bits)
        kind = size.format(type=public.kind, count=public.bits) if public.bits else public.kind
        good.append(f"{one.selector} ({kind})")
    if weak:
        new = _("make a new key: {command}").format(command="mailprov dkim rotate")
        yield context.warn(
            "; ".join(weak), new if host.managed else _("make a new key, publish it, and sign with it")
        )
    else:
        yield context.passed(_("signed by {domain} with {keys}").format(domain=domain, keys=", ".join(good)))


def _holds(text: bytes, signature: dkim.Signature, public: dkim.PublicKey) -> bool:
    try:
        dkim.verify(text, signature, public)
    except dkim.BadSignature:
        return False
    return True


def _to_sign(host: Host, domain: str) -> str:
    if not host.managed:
        return _(
            "on {host}: let a milter (OpenDKIM, Rspamd) sign what users send, and publish its key as TXT at {record}; "
            "if it should sign already, see its log"
        ).format(host=host.name, record=f"SELECTOR._domainkey.{domain}")
    signer = "opendkim" if host.filter is Filter.NONE else "rspamd"
    return _("on {host}: see that {signer} runs (systemctl status {signer}), else mailprov apply").format(
        host=host.name, signer=signer
    )


def _weak(one: dkim.Signature, public: dkim.PublicKey) -> list[str]:
    found = []
    if 0 < public.bits < _GOOD_BITS:
        found.append(_("the key {record} has only {count} bits").format(record=one.record, count=public.bits))
    if public.testing:
        found.append(_("the key {record} is declared a test (t=y)").format(record=one.record))
    if missing := [name for name in _EXPECTED if name not in one.signed]:
        found.append(
            _("{selector} does not sign {fields}").format(selector=one.selector, fields=", ".join(missing))
        )
    return found


def _early(context: DeliveryContext) -> Finding | None:
    return None if context.fetched else context.error(_(_NOTHING))


def _results(context: DeliveryContext) -> list[str]:
    """Authentication-Results of the recipient's host, the topmost first, unfolded."""
    header = context.fetched.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    fields = re.split(r"\r\n(?![ \t])", header)
    found = [field.partition(":") for field in fields]
    values = [
        " ".join(value.split())
        for name, __, value in found
        if name.strip().lower() == "authentication-results"
    ]
    own = context.recipient_host.fqdn
    return [value for value in values if re.sub(r"\([^)]*\)", "", value).split(";")[0].split()[:1] == [own]]


@probe(
    "delivery.results",
    Scope.DELIVERY,
    N_("The recipient's host has checked SPF, DKIM and DMARC, and they pass"),
    expected=N_("Authentication-Results of the recipient's host with spf=pass, dkim=pass and dmarc=pass"),
    steps=(
        N_("Read the topmost Authentication-Results field that the recipient's host has written."),
        N_(
            "As a control, evaluate SPF here, for the address that the host saw by its own Received field: must pass."
        ),
    ),
    verdicts={
        "pass": N_("all three pass"),
        "warn": N_(
            "the host has checked nothing: its filter does not answer; or the message was not signed; or the sender's "
            "domain has no DMARC policy in the inventory, so that receivers do not know what to do with forgeries"
        ),
        "fail": N_(
            "one of them does not pass; or SPF does, by its word, though the domain's record says otherwise"
        ),
        "error": N_("no message arrived"),
        "skip": N_("`filter: none` there, or sender and recipient on one host"),
    },
    cases={
        "no-results": N_("nothing checks what arrives"),
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
        form = _("`filter: none` on {host}: nothing is checked there")
        if not context.run.described:
            form = _("nobody has said whether {host} checks what arrives")
        yield context.skip(form.format(host=host.name))
        return
    if context.plan.local:
        yield context.skip(_("sender and recipient are on one host, which does not check its own users"))
        return
    ours = [value for value in _results(context) if message.FORGED not in value]
    if not ours:
        yield context.warn(
            _("no Authentication-Results of {host}: mail is not checked there").format(host=host.fqdn),
            _("on {host}: see that rspamd runs (systemctl status rspamd)").format(host=host.name),
            case="no-results",
        )
        return
    context.transcript.add("-", ours[0])
    plain = re.sub(r"\([^)]*\)", "", ours[0])
    seen = {name: re.findall(rf";\s*{name}=(\w+)", plain) for name in ("spf", "dkim", "dmarc")}
    wrong = [name for name, values in seen.items() if set(values) != {"pass"}]
    shown = ", ".join(f"{name}={'/'.join(values)}" for name, values in seen.items() if values)
    domain = context.plan.sender_domain
    if wrong == ["dkim"] and seen["dkim"] == ["none"]:
        yield context.warn(
            _says(host, shown),
            _("see delivery.dkim: the message was not signed"),
        )
    elif wrong == ["dmarc"] and not (domain.dmarc and domain.dmarc.asked) and set(seen["dmarc"]) <= {"none"}:
        yield context.warn(
            _("{host} says {results}: {domain} has no DMARC policy").format(
                host=host.fqdn, results=shown, domain=domain.name
            ),
            _("give {key} a policy, to begin with {setting}").format(
                key=f"domains.{domain.name}", setting="dmarc: {policy: none}"
            ),
        )
    elif wrong:
        yield context.failed(
            _says(host, shown),
            _("see dns.spf and delivery.dkim for the sender's domain, and the log of the recipient's filter"),
        )
    elif doubt := _other_spf(context):
        yield context.failed(
            _("{host} says {results}, but {doubt}").format(host=host.fqdn, results=shown, doubt=doubt),
            _(
                "see the filter of {host}: it must look at the address that the mail came from, and take no network "
                "for its own"
            ).format(host=host.name),
        )
    else:
        yield context.passed(_says(host, shown))


def _other_spf(context: DeliveryContext) -> str:
    """What SPF really is for the address that the recipient's host saw, where it says pass and that is not so."""
    own, domain = context.recipient_host.fqdn, context.plan.sender_domain.name
    chain = received.hops(context.fetched)
    address = next((hop.from_address for hop in chain if hop.by == own and hop.from_address), "")
    if not address:
        return ""
    try:
        result = spf.check_host(address, domain, context.follow)
    except (spf.SpfError, spf.NotEvaluated) as error:
        context.transcript.add("-", f"SPF: {error}")
        return ""
    context.transcript.add(
        "-",
        _("SPF of {domain} for {address}: {result}").format(domain=domain, address=address, result=result),
    )
    if result == "pass":
        return ""
    return _("SPF of {domain} for {address}, where it came from, is {result}").format(
        domain=domain, address=address, result=result
    )


def _says(host: Host, results: str) -> str:
    if not results:
        return _("{host} says nothing about SPF, DKIM and DMARC").format(host=host.fqdn)
    return _("{host} says {results}").format(host=host.fqdn, results=results)


@probe(
    "delivery.forged",
    Scope.DELIVERY,
    N_("Nobody can forge Authentication-Results in the name of the recipient's host"),
    expected=N_("a forged Authentication-Results with that name does not arrive"),
    steps=(
        N_("The probe message carries an Authentication-Results field in the name of the recipient's host."),
        N_("Look whether it is still there on arrival."),
    ),
    verdicts={
        "pass": N_("it was removed"),
        "warn": N_(
            "it arrived on a server with `managed: false` and no filter: nothing there writes such results, so nobody "
            "should believe any"
        ),
        "fail": N_("it arrived: mail programs and filters would believe it"),
        "error": N_("no message arrived"),
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
            _("the forged field in the name of {host} arrived").format(host=host.fqdn),
            _(
                "{command} with a line there that removes it (IGNORE), or let the filter remove such fields"
            ).format(command="postconf -e 'header_checks = regexp:/etc/postfix/header_checks'"),
        )
    else:
        yield context.passed(_("it was removed"))
