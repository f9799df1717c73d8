"""Ends that are not a mailbox: put off, returned, refused, held, deleted.

    stopped(story, life, after, names) -> bool     whether it came no further than this queue: refused, held, deleted
    ended(story, life, group, after, named) -> number          deliveries that are over for now

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mailprov.i18n import _, ngettext
from mailprov.model.trace import Agent, Evidence, Outcome
from mailprov.trace.lives import Life
from mailprov.trace.postfix import Delivery, Line
from mailprov.trace.routes import routed
from mailprov.trace.story import Story

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}  # postconf(5)
_LONGEST = 500  # characters of a reply in a sentence


def stopped(story: Story, life: Life, after: int, names: Mapping[str, str]) -> bool:
    everybody = dict.fromkeys((*names.values(),)) or dict.fromkeys(story.seen.recipients)
    refused = [(line, says) for line, says in life.refusals if says.what in ("reject", "discard")]
    if refused and life.queued is None:
        says = refused[-1][1]
        outcome = Outcome.REFUSED if says.what == "reject" else Outcome.DELETED
        form = (
            _("The filter refused it: {text}")
            if says.what == "reject"
            else _("A table or a filter threw it away: {text}")
        )
        told = {arrival.recipient for arrival in story.arrivals}
        for each in everybody:
            if each not in told:
                story.arrived(each, each, outcome, form.format(text=_short(says.text)), after)
        return True
    over = {
        each for each, (_line, said) in life.last.items() if said.status in ("sent", "bounced", "expired")
    }
    left = [each for each in everybody if each not in over]
    if life.deleted is not None:
        for each in left:
            text = _("An administrator deleted it from the queue of {host}").format(host=life.host)
            story.arrived(each, each, Outcome.DELETED, text, after)
        return not over
    if life.held is not None:
        then = _("It stays there until somebody releases it: mailprov queue --release {id}")
        for each in left:
            text = _("It is held in the queue of {host}").format(host=life.host)
            story.arrived(each, each, Outcome.HELD, text, after, then=then.format(id=life.queue_id))
        return not over
    if not life.deliveries and life.removed is None:
        for each in left:
            text = _("It is in the queue of {host}, and the log tells of no delivery yet").format(
                host=life.host
            )
            then = _("See mailprov queue, and {unit} on {host}").format(
                unit="postfix.service", host=life.host
            )
            story.arrived(each, each, Outcome.UNKNOWN, text, after, then=then)
        return True
    return False


def ended(
    story: Story,
    life: Life,
    group: Sequence[tuple[Line, Delivery]],
    after: int,
    named: Mapping[str, str],
    *,
    counts: bool = True,
) -> int:
    """The last step."""
    step = after
    for line, delivery in group:
        agent = _agent(line)
        server = delivery.relay if delivery.relay not in ("none", "") else ""
        before, why = routed(story, life, delivery, after) if agent is Agent.SMTP else (after, "")
        outcome, text = _said(delivery)
        place = story.web.place(life, delivery) if agent is Agent.SMTP and server else ""
        step = story.add(
            before,
            agent,
            Evidence.LOGGED,
            text,
            host=(place or server) if agent is Agent.SMTP and server else life.host,
            port=delivery.port if agent is Agent.SMTP else 0,
            **story.at(line.record),
            seconds=delivery.seconds,
            delays=delivery.delays,
            queue_id=life.queue_id,
            recipient=delivery.recipient,
            lines=story.lines([line.record]),
            hint=why,
        )
        if not counts:
            continue
        then = ""
        if outcome is Outcome.DEFERRED:
            then = _later(story.seen.settings.get(life.host, {}), life.host)
        elif outcome is Outcome.BOUNCED:
            then = _("The sender gets a report about it")
        told = {
            Outcome.DEFERRED: _("{host} could not deliver it to {recipient} until now: {text}"),
            Outcome.BOUNCED: _("{recipient} cannot get it, and it was returned: {text}"),
            Outcome.DELIVERED: _("{host} delivered it to {recipient}: {text}"),
            Outcome.DELETED: _("{host} throws away what is for {recipient}: {text}"),
            Outcome.HANDED_ON: _("Another server has it for {recipient}: {text}"),
        }.get(outcome, _("Nothing tells whether it arrived at {recipient}: {text}"))
        story.arrived(
            named.get(delivery.recipient, delivery.recipient),
            delivery.recipient,
            outcome,
            told.format(host=life.host, recipient=delivery.recipient, text=_short(delivery.text)),
            step,
            then=then,
        )
    return step


def _agent(line: Line) -> Agent:
    if line.program == "lmtp":
        return Agent.LMTP
    if line.program in ("local", "virtual"):
        return Agent.MAILBOX
    return Agent.SMTP if line.program == "smtp" else Agent.QUEUE


def _said(delivery: Delivery) -> tuple[Outcome, str]:
    text = delivery.text
    if delivery.status == "deferred":
        return Outcome.DEFERRED, _("It was put off: {text}").format(text=text)
    if delivery.status in ("bounced", "expired"):
        return Outcome.BOUNCED, _("It was refused for good: {text}").format(text=text)
    if delivery.stored:
        return Outcome.DELIVERED, _("It was stored: {text}").format(text=text)
    if delivery.relay == "none" and delivery.status == "sent":
        return Outcome.DELETED, _("It was thrown away: {text}").format(text=text)
    if delivery.status == "sent":
        return Outcome.HANDED_ON, _("The other server took it: {text}").format(text=text)
    return Outcome.UNKNOWN, _("The log says {status}: {text}").format(status=delivery.status, text=text)


def _short(text: str) -> str:
    """What a server of others says may be long; its line is in the step."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _later(settings: Mapping[str, str], host: str) -> str:
    """When Postfix tries again (qmgr(8), postconf(5)), where its settings are known."""
    least, most, whole = (
        _seconds(settings.get(name, ""))
        for name in ("minimal_backoff_time", "maximal_backoff_time", "maximal_queue_lifetime")
    )
    if not (least and most and whole):
        return _("{host} tries again; mailprov queue shows what waits there").format(host=host)
    return _(
        "{host} tries again after {first}, then after longer and longer times, up to {longest} apart; after {life} it "
        "gives up and returns it to the sender"
    ).format(host=host, first=_span(least), longest=_span(most), life=_span(whole))


def _seconds(text: str) -> int:
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if text.strip().isdigit():
        return int(text)
    return int(number) * _UNITS[unit] if number.isdigit() and unit in _UNITS else 0


def _span(seconds: int) -> str:
    if seconds >= 2 * 86400 or seconds == 86400:
        count = seconds // 86400
        return ngettext("{count} day", "{count} days", count).format(count=count)
    if seconds >= 2 * 3600 or seconds == 3600:
        count = seconds // 3600
        return ngettext("{count} hour", "{count} hours", count).format(count=count)
    if seconds >= 120 or seconds == 60:
        count = seconds // 60
        return ngettext("{count} minute", "{count} minutes", count).format(count=count)
    return ngettext("{count} second", "{count} seconds", seconds).format(count=seconds)
