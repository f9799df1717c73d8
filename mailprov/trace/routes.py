"""Why a message went to the server that it went to: DNS names it, or a setting of the host does.

    routed(story, life, delivery, after) -> (number, hint)      a step for DNS, where DNS decided; else the hint says
                                                                what did: a smarthost (relayhost), another setting

What Postfix was answered stands in no log, so DNS was asked again; and that tells the way of a message only where the
server is one that DNS names, and the host sends to no smarthost. Pure.
"""

from __future__ import annotations

import re

from mailprov.i18n import _
from mailprov.model.trace import Agent, Evidence, Source, TraceLine
from mailprov.trace.lives import Life
from mailprov.trace.observed import Question
from mailprov.trace.postfix import Delivery
from mailprov.trace.story import Story


def routed(story: Story, life: Life, delivery: Delivery, after: int) -> tuple[int, str]:
    server = delivery.relay.lower() if delivery.relay != "none" else ""
    domain = delivery.recipient.rpartition("@")[2]
    smarthost = story.seen.settings.get(life.host, {}).get("relayhost", "")
    question = next(
        (
            each
            for each in story.seen.questions
            if each.host == life.host and each.name == domain and each.type == "MX"
        ),
        None,
    )
    named = _named(domain, question)
    if smarthost and (not server or server == _name(smarthost) or server not in named):
        hint = _("{host} sends all mail that leaves through its smarthost, {smarthost} (relayhost)")
        return after, hint.format(host=life.host, smarthost=smarthost)
    if question is None:
        return after, ""
    if server and server not in named:
        hint = _(
            "DNS does not name this server for {domain} now: a setting of {host} led there (transport_maps, for "
            "one), or the answer has changed"
        )
        return after, hint.format(host=life.host, domain=domain)
    return _asked(story, life, delivery, after, question), ""


def _named(domain: str, question: Question | None) -> set[str]:
    """The servers that the answer names; without an MX record it is the domain itself (RFC 5321 section 5.1)."""
    values = question.values if question is not None else ()
    return {value.partition(" ")[2].rstrip(".").lower() for value in values} or {domain.lower()}


def _name(setting: str) -> str:
    """Of `[host]:port`, as postconf(5) has it."""
    found = re.match(r"\[?([^\]:]+)", setting)
    return found[1].lower() if found is not None else ""


def _asked(story: Story, life: Life, delivery: Delivery, after: int, question: Question) -> int:
    domain = question.name
    followed = [
        each
        for each in story.seen.questions
        if each.host == life.host and each.type in ("A", "AAAA") and each.name in " ".join(question.values)
    ]
    lines = [
        TraceLine(source, text)
        for each in (question, *followed)
        for source, text in (
            (Source.SENT, f"{each.name} {each.type}?"),
            (
                Source.RECEIVED,
                f"{each.server}: {each.name} {each.type} {', '.join(each.values) or each.answer}",
            ),
        )
    ]
    names = ", ".join(
        _("{server} (MX {preference})").format(server=server, preference=preference)
        for preference, _sign, server in (value.partition(" ") for value in question.values)
    )
    addresses = list(dict.fromkeys(value for each in followed for value in each.values))
    text = (
        (
            _("Mail for {domain} goes to {servers}, at {addresses}")
            if addresses
            else _("Mail for {domain} goes to {servers}")
        ).format(domain=domain, servers=names, addresses=", ".join(addresses))
        if names
        else _("{domain} has no MX record: {answer}").format(domain=domain, answer=question.answer)
    )
    # What Postfix itself was answered stands in no log: it was asked again.
    hint = (
        _("the host's resolver answered so when it was asked again, after the delivery")
        if question.observed
        else _("this machine asked the name servers; what the host was answered is not in its log")
    )
    return story.add(
        after,
        Agent.DNS,
        Evidence.RECONSTRUCTED,
        text,
        host=question.server,
        port=53,
        seconds=question.seconds,
        recipient=delivery.recipient,
        lines=tuple(lines),
        hint=hint,
    )
