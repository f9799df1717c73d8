"""Whether the DKIM keys in DNS are those with which the hosts sign: they are asked, over SSH.

Public: the probe `dns.dkim`. Without that (`mailprov verify`) `delivery.dkim` proves the same with a signed message.
NoAnswer passes through; the runner makes it an error.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.hosted import tags
from mailprov.probe.clients.resolver import Answer
from mailprov.probe.context import DomainContext
from mailprov.probe.registry import Scope, probe
from mailprov.probe.remedies import publish_alone
from mailprov.probe.wanted import signing_keys


@probe(
    "dns.dkim",
    Scope.DOMAIN,
    N_("Receivers find the keys with which the hosts sign"),
    expected=N_("at each selector one record, with the key of the host"),
    steps=(
        N_("Ask each host of the domain over SSH for the public keys with which it signs, or soon will."),
        N_("Ask the authoritative server for the TXT record at each selector; dns.servers asks the others."),
        N_("Compare the keys."),
    ),
    verdicts={
        "pass": N_("each selector has the key of its host, and no other record"),
        "warn": N_("the record says that the key is for tests (t=y), so receivers may ignore signatures"),
        "fail": N_("a key is missing, revoked (an empty p=), another one than the host's, or not alone"),
        "error": N_("no authoritative server answers"),
        "skip": N_(
            "a host could not be asked for its keys; who publishes records need not have a login there"
        ),
    },
    cases={
        "testing": N_("the key is for tests (t=y)"),
    },
    refs=("RFC 6376 section 3.6.1", "RFC 8301 section 3.2"),
    applies=lambda context: context.run.signing is not None and bool(_hosts(context)),
    unless=N_("only `mailprov dns check` asks hosts for their keys, those that mailprov has built"),
    by_name=True,
)
def dns_dkim(context: DomainContext) -> Iterator[Finding]:
    keys = signing_keys(context)
    right: list[str] = []
    wrong: list[str] = []
    todo: list[str] = []
    tests: list[str] = []
    for key in (each for each in keys if each.text):
        answer = context.run.resolver.ask(key.name, "TXT")
        context.transcript.add("-", str(answer))
        if flaw := _flaw(answer, key.text):
            wrong.append(f"{key.name}: {flaw}")
            todo.append(publish_alone(f'{key.name}. TXT "{key.text}"', "v=DKIM1"))
            continue
        right.append(key.name.partition(".")[0])
        if "y" in tags(answer.values[0]).get("t", "").split(":"):
            tests.append(f'{key.name}. TXT "{key.text}"')
    asked = {key.host for key in keys}
    unknown = [host for host in _hosts(context) if host not in (context.run.signing or {})]
    keyless = [host for host in _hosts(context) if host not in (*asked, *unknown)]
    if wrong:
        yield context.failed("; ".join(wrong), "; ".join(todo))
    elif unknown:
        form = _(
            "{hosts} could not be asked for the keys with which mail is signed; delivery.dkim of `mailprov verify` "
            "looks at a signed message"
        )
        yield context.skip(form.format(hosts=", ".join(unknown)))
    elif keyless:
        form = _("{hosts} has no key for {domain}, so its mail leaves without a signature")
        advice = _("run {command}").format(command="mailprov apply")
        yield context.failed(form.format(hosts=", ".join(keyless), domain=context.domain.name), advice)
    elif tests:
        form = _("{names} says t=y: receivers may treat signed mail as if it were not")
        names = ", ".join(record.partition(". ")[0] for record in tests)
        advice = _("publish it without t=y: {records}").format(records=", ".join(tests))
        yield context.warn(form.format(names=names), advice, case="testing")
    else:
        yield context.passed(", ".join(right))


def _hosts(context: DomainContext) -> list[str]:
    """Those that mailprov has built: nobody else tells a key."""
    inventory = context.run.inventory
    return [name for name in context.domain.hosts if inventory.host(name).managed]


def _flaw(answer: Answer, wanted: str) -> str:
    values = answer.values
    if not values:
        form = _("it is a CNAME to {alias}") if answer.alias else _("no record")
        return form.format(alias=answer.alias)
    if len(values) > 1:
        return _("it has {count} records, and receivers may take any of them").format(count=len(values))
    said = tags(values[0])
    if "p" in said and not said["p"]:
        return _("the key is revoked (p= is empty)")
    if _octets(said.get("p", "")) != _octets(tags(wanted).get("p", "")):
        return _("it has another key than the host")
    return ""


def _octets(text: str) -> bytes | str:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return text
