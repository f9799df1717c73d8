"""Domains whose mail is at a provider: whether DNS says of them what the provider needs.

Public: the probes `hosted.mx`, `hosted.dkim`, `hosted.verification`, `hosted.autodiscover` and `hosted.mail`
(`hosted.spf` is in spf_records.py). Nothing logs in there and no mail is sent: mailprov has no account at the provider.
What stands in another form that is as good (model/hosted.py) passes. NoAnswer passes through; the runner makes it an
error.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.dkim import record_name
from mailprov.model.findings import Finding
from mailprov.model.hosted import GOOGLE, Hosted, ProviderKey, is_googles, same_key, same_mx, tags
from mailprov.probe.clients.resolver import Answer
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.wanted import NONE_HOSTED

_NO_ANSWER = N_("no authoritative server answers")


def _hosted(context: DomainContext) -> bool:
    return context.domain.hosted is not None


def _there(context: DomainContext) -> Hosted:
    there = context.domain.hosted
    assert there is not None
    return there


def _ask(context: DomainContext, name: str, kind: str) -> Answer:
    answer = context.run.resolver.ask(name, kind)
    context.transcript.add("-", str(answer))
    return answer


def _publish(context: DomainContext, records: str) -> str:
    if context.run.inventory.dns.at(context.name).provider.publishes:
        return _("run {command}").format(command="mailprov dns apply")
    return _("publish {records}").format(records=records)


@probe(
    "hosted.mx",
    Scope.DOMAIN,
    N_("Mail for the domain is sent to its provider, and nowhere else"),
    expected=N_(
        "the MX of the provider, as the inventory has them or in another form that the provider takes"
    ),
    steps=(
        N_("Ask the authoritative server for the MX records of the domain."),
        N_("Compare them with the inventory's; look up the addresses of each, but for Google's known names."),
    ),
    verdicts={
        "pass": N_("the provider's MX; of Google its one or its five"),
        "warn": N_("the provider's MX in another order, or Google's two forms mixed, or not all five"),
        "fail": N_("no MX, others than the provider's, or one without an address"),
        "error": _NO_ANSWER,
    },
    refs=("RFC 5321 section 5.1",),
    applies=_hosted,
    unless=NONE_HOSTED,
)
def hosted_mx(context: DomainContext) -> Iterator[Finding]:
    there = _there(context)
    wanted = [name for __, name in sorted(there.mx)]
    records = ", ".join(f"{context.name}. MX {rank} {name}." for rank, name in there.mx)
    advice = _publish(context, records)
    answer = _ask(context, context.name, "MX")
    ranks = {value.partition(" ")[2]: int(value.partition(" ")[0]) for value in answer.values}
    observed = ", ".join(answer.values)
    if not ranks:
        yield context.failed(_("no MX record"), advice)
        return
    google = there.provider is GOOGLE
    strange = [name for name in ranks if name not in wanted and not (google and is_googles(name))]
    if strange or not set(ranks) & {*wanted, *(name for name in ranks if google and is_googles(name))}:
        form = _("{values}, but the inventory says {wanted}")
        yield context.failed(form.format(values=observed, wanted=", ".join(wanted)), advice)
        return
    for name in () if google else ranks:
        if not context.run.resolver.addresses(name):
            form = _("the target {target} has no address; look at the provider's console for its name")
            yield context.failed(form.format(target=name), advice)
            return
    if same_mx(wanted, ranks):
        yield context.passed(observed)
    elif google:
        form = _("{values}: this is neither smtp.google.com alone nor all five of the older form")
        yield context.warn(form.format(values=observed), advice)
    elif missing := [name for name in wanted if name not in ranks]:
        form = _("{values}, without {missing}")
        yield context.failed(form.format(values=observed, missing=", ".join(missing)), advice)
    elif sorted(ranks, key=lambda name: (ranks[name], name)) != [name for __, name in sorted(there.mx)]:
        form = _("{values}: the order is not {wanted}")
        yield context.warn(form.format(values=observed, wanted=", ".join(wanted)), advice)
    else:
        yield context.passed(observed)


@probe(
    "hosted.dkim",
    Scope.DOMAIN,
    N_("Receivers find the key with which the provider signs"),
    expected=N_("at each selector of the inventory the provider's key, or a CNAME to it"),
    steps=(
        N_("Ask the authoritative server for the TXT record, or the CNAME, at each selector."),
        N_("Follow each CNAME to the provider's name servers, and look for a key there."),
    ),
    verdicts={
        "pass": N_("all of them lead to the key; behind one of Microsoft's two selectors there need be none"),
        "warn": N_("the inventory names no key, or the provider shows none yet behind any CNAME"),
        "fail": N_("a record is missing, or it is another one"),
        "error": _NO_ANSWER,
    },
    refs=("RFC 6376 section 3.6",),
    applies=_hosted,
    unless=NONE_HOSTED,
)
def hosted_dkim(context: DomainContext) -> Iterator[Finding]:
    keys = _there(context).dkim
    if not keys:
        what = _("the inventory names no DKIM key of the provider, so none was looked for")
        yield context.warn(what, _("copy what the provider's console shows to `hosted: {dkim: …}`"))
        return
    seen: list[str] = []
    behind = 0
    for key in keys:
        name = record_name(context.name, key.selector)
        wrong, found = _wrong_key(context, name, key)
        if wrong:
            record = f"{name}. {key.type} {key.value}"
            yield context.failed(f"{name}: {wrong}", _publish(context, record))
            return
        behind += found
        seen.append(f"{key.selector}: {_('key') if found else _('no key behind it')}")
    observed = "; ".join(seen)
    if behind:
        yield context.passed(observed)
    else:
        yield context.warn(observed, _("switch DKIM signing on in the provider's console"))


def _wrong_key(context: DomainContext, name: str, key: ProviderKey) -> tuple[str, bool]:
    """What is wrong, or empty, and whether there is a key."""
    if key.type == "TXT":
        answer = _ask(context, name, "TXT")
        if not answer.values:
            return (_("it is a CNAME to {alias}") if answer.alias else _("no record")).format(
                alias=answer.alias
            ), False
        if len(answer.values) > 1:
            return _("it has {count} records, and receivers may take any of them").format(
                count=len(answer.values)
            ), False
        same = tags(answer.values[0]).get("p") == tags(key.value).get("p")
        return "" if same else _("it has another key than the inventory"), True
    targets = _ask(context, name, "CNAME").values
    if not targets:
        return _("no CNAME"), False
    if targets[0] != key.value and not same_key(key.value, targets[0]):
        return _("it is a CNAME to {target}").format(target=targets[0]), False
    answer = context.follow(targets[0], "TXT")
    if answer.alias and not answer.values:
        return _("a circle of CNAMEs"), False
    return "", any(tags(text).get("p") for text in answer.values)


@probe(
    "hosted.verification",
    Scope.DOMAIN,
    N_("The provider sees whose the domain is"),
    expected=N_("the text of the provider's console among the TXT records of the domain"),
    steps=(N_("Ask the authoritative server for the TXT records of the domain."),),
    verdicts={
        "pass": N_("it is there"),
        "fail": N_("it is not there, so the provider may end its service"),
        "error": _NO_ANSWER,
    },
    refs=("RFC 1464",),
    applies=lambda context: _hosted(context) and bool(_there(context).verification),
    unless=N_("no domain of the inventory has a text for its provider"),
)
def hosted_verification(context: DomainContext) -> Iterator[Finding]:
    text = _there(context).verification
    if text in _ask(context, context.name, "TXT").values:
        yield context.passed(text)
        return
    advice = _publish(context, f'{context.name}. TXT "{text}"')
    yield context.failed(_("{text} is not there").format(text=text), advice)


@probe(
    "hosted.autodiscover",
    Scope.DOMAIN,
    N_("Outlook finds the mailboxes at Exchange Online"),
    expected=N_("autodiscover at the domain is a CNAME to autodiscover.outlook.com"),
    steps=(N_("Ask the authoritative server for the CNAME."),),
    verdicts={
        "pass": N_("it leads there"),
        "warn": N_(
            "there is none, or it leads elsewhere, as where mailboxes are still at an Exchange server of yours"
        ),
        "error": _NO_ANSWER,
    },
    refs=("RFC 1034 section 3.6.2",),
    applies=lambda context: _hosted(context) and bool(_there(context).provider.autodiscover),
    unless=N_("no domain of the inventory is at Exchange Online"),
)
def hosted_autodiscover(context: DomainContext) -> Iterator[Finding]:
    name, wanted = f"autodiscover.{context.name}", _there(context).provider.autodiscover
    found = _ask(context, name, "CNAME").values
    if found == (wanted,):
        yield context.passed(wanted)
        return
    advice = _publish(context, f"{name}. CNAME {wanted}.")
    leads = _("{name} leads to {target}").format(name=name, target=", ".join(found))
    yield context.warn(leads if found else _("{name} is no CNAME").format(name=name), advice)


@probe(
    "hosted.mail",
    Scope.DOMAIN,
    N_("What only the provider can show"),
    expected=N_("nothing: it is said that nothing of this was looked at"),
    steps=(N_("Nothing is looked at."),),
    verdicts={"skip": N_("always: no login and no delivery is tried at a provider")},
    refs=("RFC 5321",),
    applies=_hosted,
    unless=NONE_HOSTED,
)
def hosted_mail(context: DomainContext) -> Iterator[Finding]:
    form = _(
        "logins, delivery and signatures were not tried: the mailboxes are at {provider}, whose console shows whether "
        "it takes mail for {domain} and signs it"
    )
    yield context.skip(form.format(provider=_(_there(context).provider.title), domain=context.name))
