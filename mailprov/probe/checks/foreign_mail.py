"""A domain that mailprov does not manage: where its mail goes, who may send in its name, and what receivers are told.

Public: the probes `zone.mx`, `zone.spf`, `zone.dkim` and `zone.dmarc`. Nothing is known of what its owner wants, so
they judge what every domain needs. NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import dns.inet

from mailprov.i18n import N_, _
from mailprov.model.dkim import record_name
from mailprov.model.findings import Finding
from mailprov.model.hosted import key_doubt, key_flaw, tags
from mailprov.probe.clients.resolver import Answer
from mailprov.probe.context import DomainContext
from mailprov.probe.mailauth import dmarc, spf
from mailprov.probe.registry import Scope, probe

# Addresses for documentation (RFC 5737, RFC 3849): nobody sends from there.
_FOREIGN = ("192.0.2.1", "2001:db8::1")
_WITHOUT_TEST = re.compile(r"\s*\bt\s*=\s*y\s*;?|;\s*t\s*=\s*y\s*$")
_SET_ASIDE = re.compile(r"(?<=\bp)\s*=\s*none\b")
_NO_ANSWER = N_("no authoritative server answers")
_DESCRIBED = N_("the domain is in an inventory; see the probes dns.*")


def _text(name: str, text: str) -> str:
    return f'{name}. TXT "{text}"'


def _ask(context: DomainContext, name: str, kind: str) -> Answer:
    answer = context.run.resolver.ask(name, kind)
    context.transcript.add("-", str(answer))
    return answer


@probe(
    "zone.mx",
    Scope.FOREIGN,
    N_("Mail for the domain finds a server"),
    expected=N_("MX records with names of servers that have addresses, or a null MX alone"),
    steps=(
        N_("Ask the authoritative server for the MX records of the domain."),
        N_("Look up the addresses of each target; at most 16 are looked at."),
    ),
    verdicts={
        "pass": N_("each target has an address, or the domain says that it takes no mail"),
        "warn": N_("there is no MX and mail goes to the domain's own address, or a target is named twice"),
        "fail": N_(
            "there is nowhere to send mail to; a target is a CNAME, an address, or has no address; or a null MX is not "
            "alone"
        ),
        "error": _NO_ANSWER,
    },
    refs=("RFC 5321 section 5.1", "RFC 2181 section 10.3", "RFC 7505"),
    unless=_DESCRIBED,
)
def zone_mx(context: DomainContext) -> Iterator[Finding]:
    resolver = context.run.resolver
    answer = _ask(context, context.name, "MX")
    targets = resolver.mail_servers(context.name)
    observed = ", ".join(answer.values)
    if answer.absent:
        yield context.failed(
            _("there is no domain {name}").format(name=context.name), _("see how it is written")
        )
    elif not targets:
        yield _without_mx(context, answer)
    elif "." in targets:
        if len(targets) == 1:
            yield context.passed(_("a null MX: the domain says that it takes no mail"))
        else:
            form = _("{values}: a null MX beside others")
            yield context.failed(form.format(values=observed), _("remove the null MX (0 .), or all others"))
    elif wrong := [
        each for each in (_bad_target(context, name) for name in dict.fromkeys(targets[:16])) if each
    ]:
        yield context.failed(
            "; ".join(wrong), _("point the MX at names that have A or AAAA records themselves")
        )
    elif len(set(targets)) < len(targets):
        form = _("{values}: a target is named twice")
        yield context.warn(form.format(values=observed), _("remove one of the two"))
    else:
        yield context.passed(observed)


def _without_mx(context: DomainContext, answer: Answer) -> Finding:
    if answer.alias:
        form = _("{name} is a CNAME to {alias}, which a mail domain cannot be")
        observed = form.format(name=context.name, alias=answer.alias)
        return context.failed(observed, _("write the records of the domain itself in its place"))
    if addresses := context.run.resolver.addresses(context.name):
        form = _("no MX record, so mail goes to the domain's own addresses ({addresses})")
        observed = form.format(addresses=", ".join(addresses))
        return context.warn(observed, _no_mail(context.name))
    observed = _("no MX record and no address, so no mail arrives")
    return context.failed(observed, _no_mail(context.name))


def _no_mail(name: str) -> str:
    return _("publish an MX, or {record} if the domain takes no mail").format(record=f"{name}. MX 0 .")


def _bad_target(context: DomainContext, target: str) -> str:
    if dns.inet.is_address(target):
        return _("the target {target} is an address, not a name").format(target=target)
    answers = [_ask(context, target, kind) for kind in ("A", "AAAA")]
    if any(answer.alias for answer in answers):
        return _("the target {target} is a CNAME").format(target=target)
    if not any(answer.values for answer in answers):
        return _("the target {target} has no address").format(target=target)
    return ""


@probe(
    "zone.spf",
    Scope.FOREIGN,
    N_("Not everybody may send in the domain's name"),
    expected=N_("exactly one SPF record, within the limits, which foreign addresses do not pass"),
    steps=(
        N_("Ask the authoritative server for the TXT records of the domain."),
        N_("Evaluate the SPF record for addresses that nobody has; count its DNS lookups."),
    ),
    verdicts={
        "pass": N_("foreign addresses fail (-all, ~all)"),
        "warn": N_(
            "it does not say what becomes of others (no `all`, or ?all), or has more than 450 characters"
        ),
        "fail": N_(
            "no SPF record or several, a syntax error, a foreign address that passes, more than ten DNS lookups, or "
            "more than two of them in vain"
        ),
        "error": N_(
            "no authoritative server answers, or the record uses macros or ptr, which are not evaluated here"
        ),
    },
    cases={
        "no-record": N_("there is no SPF record"),
        "neutral": N_("it says nothing of others"),
    },
    refs=("RFC 7208 section 3.2", "RFC 7208 section 4.6.4"),
    unless=_DESCRIBED,
)
def zone_spf(context: DomainContext) -> Iterator[Finding]:
    found = spf.records(_ask(context, context.name, "TXT"))
    if not found:
        advice = _('publish {name}. TXT "v=spf1 -all" if nobody sends in its name, else name who does')
        yield context.failed(_("no SPF record"), advice.format(name=context.name), case="no-record")
        return
    if len(found) > 1:
        several = _("several SPF records ({count}): {records}")
        observed = several.format(count=len(found), records=" | ".join(found))
        yield context.failed(observed, _("make one of them that names all who send"))
        return
    record = found[0]
    try:
        results = [spf.check_host(each, context.name, context.follow) for each in _FOREIGN]
    except spf.SpfError as error:
        yield context.failed(f"{error}: {record}", _("change the record so that receivers can evaluate it"))
        return
    except spf.NotEvaluated as error:
        yield context.error(f"{error}: {record}")
        return
    if "pass" in results:
        address = _FOREIGN[results.index("pass")]
        form = _("{record} lets anybody pass (such as {address})")
        yield context.failed(form.format(record=record, address=address), _closed(context.name, record))
    elif {"neutral", "none"} & set(results):
        form = _("{record} says nothing of others, so receivers may take their mail")
        yield context.warn(form.format(record=record), _closed(context.name, record), case="neutral")
    elif len(record) > spf.USUAL_SIZE:
        form = _("it has {count} characters, and some receivers read no more than {limit}: {record}")
        observed = form.format(record=record, count=len(record), limit=spf.USUAL_SIZE)
        yield context.warn(
            observed, _("name networks in place of single addresses, or move some to an include")
        )
    else:
        yield context.passed(record)


def _closed(name: str, record: str) -> str:
    """The same record, with an end."""
    kept = [term for term in record.split() if term.lstrip("+?~-").lower() != "all"]
    text = " ".join([*kept, "~all"])
    return _("end it in ~all or -all: publish {record}").format(record=f'{name}. TXT "{text}"')


@probe(
    "zone.dkim",
    Scope.FOREIGN,
    N_("Receivers find the keys of the selectors that you named"),
    expected=N_("at each selector one record with a whole key of at least 1024 bits"),
    steps=(
        N_("Ask the authoritative server for the TXT record at each selector (`--selector`); follow CNAMEs."),
        N_("Ask for a selector that does not exist as well: what answers there proves nothing."),
        N_(
            "Where no selector was named, ask for _domainkey itself (NXDOMAIN: nothing is below it, RFC 8020)."
        ),
    ),
    verdicts={
        "pass": N_("each selector has a key"),
        "warn": N_(
            "a record says that its key is for tests (t=y), or a key has less than 2048 bits; or no selector was "
            "named, and there is no name below _domainkey at all"
        ),
        "fail": N_("a key is missing, revoked, not whole, too short, or not alone"),
        "error": N_(
            "no authoritative server answers, or a wildcard answers for selectors that do not exist as well"
        ),
        "skip": N_("no selector was named, and DNS has no list of them"),
    },
    cases={
        "no-record": N_("there is no key"),
        "testing": N_("the key is for tests (t=y)"),
    },
    refs=("RFC 6376 section 3.6", "RFC 8301 section 3.2"),
    unless=_DESCRIBED,
)
def zone_dkim(context: DomainContext) -> Iterator[Finding]:
    selectors = context.run.selectors or ()
    if not selectors and _ask(context, f"_domainkey.{context.name}", "TXT").absent:
        yield context.warn(
            _("there is nothing below _domainkey.{name}: no DKIM key").format(name=context.name),
            _("sign the domain's mail, and publish the key; a domain that sends none needs no key"),
            case="no-record",
        )
        return
    if not selectors:
        yield context.skip(
            _(
                "no selector was named, and DNS has no list of them: give the s= of a DKIM-Signature field of its mail "
                "to --selector"
            )
        )
        return
    control = context.follow(record_name(context.name, f"mailprov-{context.run.nonce}"), "TXT").values
    wrong, tests, plain, short, missing = [], [], [], [], 0
    for selector in selectors:
        name = record_name(context.name, selector)
        texts = context.follow(name, "TXT").values
        if texts and texts == control:
            form = _("a wildcard answers for every selector, so that {name} proves nothing")
            yield context.error(form.format(name=name), _("have the owner of the domain remove the wildcard"))
            return
        if len(texts) != 1:
            form = _("{name}: no record") if not texts else _("{name}: {count} records")
            wrong.append(form.format(name=name, count=len(texts)))
            missing += not texts
        elif flaw := key_flaw(texts[0]):
            wrong.append(f"{name} {flaw}")
        elif "y" in tags(texts[0]).get("t", "").split(":"):
            tests.append(name)
            plain.append(f'{name}. TXT "{_WITHOUT_TEST.sub("", texts[0])}"')
        elif doubt := key_doubt(texts[0]):
            short.append(f"{name} {doubt}")
    if wrong:
        yield context.failed(
            "; ".join(wrong),
            _("publish the key with which mail is signed, and nothing beside it"),
            case="no-record" if missing == len(selectors) else "",
        )
    elif tests:
        form = _("{names} says t=y: receivers may treat signed mail as if it were not")
        advice = _("publish it without t=y: {records}").format(records=", ".join(plain))
        yield context.warn(form.format(names=", ".join(tests)), advice, case="testing")
    elif short:
        yield context.warn("; ".join(short), _("sign with a key of 2048 bits, at a selector of its own"))
    else:
        yield context.passed(", ".join(selectors))


@probe(
    "zone.dmarc",
    Scope.FOREIGN,
    N_("Receivers are told what to do with forged mail of the domain"),
    expected=N_("one DMARC record with a policy, of the domain or of one above it"),
    steps=(
        N_(
            "Ask the authoritative server for the TXT records of _dmarc at the domain, and above it if there is none."
        ),
        N_("Ask the domain of each address for reports whether it takes them, where it is another one."),
    ),
    verdicts={
        "pass": N_("forged mail is put aside or refused (p=quarantine, p=reject)"),
        "warn": N_(
            "p=none, which forbids nothing; a tag that weakens the policy, or is not in DMARC any more; reports that "
            "nobody agreed to get"
        ),
        "fail": N_("no DMARC record or several, or no valid policy: large receivers take less of its mail"),
        "error": _NO_ANSWER,
    },
    cases={
        "no-record": N_("there is no DMARC record"),
        "policy-none": N_("the policy is none, which forbids nothing"),
    },
    refs=("RFC 9989 section 4", "RFC 9990 section 4"),
    unless=_DESCRIBED,
)
def zone_dmarc(context: DomainContext) -> Iterator[Finding]:
    ask = context.follow
    found = dmarc.records(ask(f"_dmarc.{context.name}", "TXT"))
    where, effective = context.name, "p"
    if not found:
        where, text = dmarc.found_above(context.name, ask)
        found, effective = [text] if text else [], "sp"
    name = f"_dmarc.{where or context.name}"
    if len(found) != 1:
        form = _("several DMARC records ({count}): {records}") if found else _("no DMARC record")
        observed = form.format(count=len(found), records=" | ".join(found))
        yield context.failed(
            observed,
            _('publish {name}. TXT "v=DMARC1; p=none", and nothing else').format(name=name),
            case="" if found else "no-record",
        )
        return
    record = found[0]
    strength = dmarc.tags(record).get(effective, "").lower() or dmarc.policy(record)
    shown = record if where == context.name else f"{name}: {record}"
    if not dmarc.policy(record):
        yield context.failed(
            _("{record} has no valid policy (p=)").format(record=shown), _("write p=none at least")
        )
    elif strength == "none":
        form = _("{record} forbids nothing")
        yield context.warn(
            form.format(record=shown),
            _("once its reports name nobody else of yours: publish {record}").format(
                record=_text(name, _SET_ASIDE.sub("=quarantine", record))
            ),
            case="policy-none",
        )
    elif doubts := dmarc.doubts(record):
        yield context.warn(f"{shown}: {'; '.join(doubts)}", _("change or remove these tags"))
    elif missing := dmarc.without_consent(where, record, ask):
        form = _("reports to {domains} are not sent, as nothing there says that it takes them")
        observed = form.format(domains=", ".join(domain for domain, __ in missing))
        advice = _("publish {records}").format(records=", ".join(text for __, text in missing))
        yield context.warn(observed, advice)
    else:
        yield context.passed(shown)
