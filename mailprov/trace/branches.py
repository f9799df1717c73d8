"""What becomes of a message in a queue, and wherever it goes from there: a branch for each delivery.

    Branches(story).came_in(life) -> number           how it came in, where nothing before that is known
    Branches(story).inside(life, after, names)        filter, queue, deliveries, and all that follows

`names`: recipient here → the one that the sender named; who is not in it is one that the sender named. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from mailprov.i18n import _, all_of, ngettext
from mailprov.model.trace import Agent, Evidence, Outcome
from mailprov.trace import mailbox, outcomes
from mailprov.trace.expected import ends
from mailprov.trace.filters import about
from mailprov.trace.join import FILTERS_OWN
from mailprov.trace.lives import Key, Life
from mailprov.trace.names import meaning
from mailprov.trace.postfix import Delivery, Line
from mailprov.trace.routes import routed
from mailprov.trace.story import Story

_SUBMISSION = ("submission", "submissions")
_REWRITES = "srs"  # the service in master.cf by which mail leaves under another sender
_KINDS = ("Named", "Queued", "Removed", "Note")  # what the queue itself says
_DEEPEST = 40  # hops: RFC 5321 section 6.3 wants no fewer than 100 of Received lines; a log is no program

Group = list[tuple[Line, Delivery]]


class Branches:
    def __init__(self, story: Story) -> None:
        self._story = story
        self._been: set[Key] = set()

    def came_in(self, life: Life) -> int:
        story, arrival = self._story, life.arrival
        says = arrival.says if arrival is not None else None
        login = getattr(says, "login", "")
        agent, text = Agent.SMTP, _("A server or a program handed it over")
        if getattr(says, "uid", None) is not None or life.service in _SUBMISSION:
            agent = Agent.SUBMISSION
            text = _("A program of this host handed it over, by sendmail(1)")
        if login:
            text = _("It was handed over, with a login as {login}").format(login=login)
        elif getattr(says, "address", ""):
            text = _("{client} handed it over").format(client=_client(says))
        known = {"submission": 587, "submissions": 465, "": 25 if agent is Agent.SMTP else 0}
        return story.add(
            0,
            agent,
            Evidence.LOGGED if arrival is not None else Evidence.MISSING,
            text if arrival is not None else _("How it came here is not in the log"),
            host=life.host,
            port=known.get(life.service, 0),
            **story.at(arrival.record if arrival is not None else None),
            queue_id=life.queue_id,
            lines=story.lines([arrival.record] if arrival is not None else []),
            headers=story.received(life.queue_id),
        )

    def inside(self, life: Life, after: int, names: Mapping[str, str], *, counts: bool = True) -> None:
        """`counts`: what is delivered here counts as the message; a report about it does not."""
        if life.key in self._been or len(self._been) > _DEEPEST:
            return
        self._been.add(life.key)
        after = self._filter(life, after)
        after = self._queue(life, after)
        if counts and outcomes.stopped(self._story, life, after, names):
            return
        shared: dict[str, int] = {}
        failed = after
        for group in _groups(life):
            first = self._address(life, group, after, shared)
            failed = self._delivery(life, group, first, names, counts) or failed
        for report in self._story.web.reports(life):
            self._report(life, report, failed)
        for one in self._story.web.redirected(life):
            self._sent_on(life, one, after, names)

    # What every message passes.

    def _filter(self, life: Life, after: int) -> int:
        story = self._story
        judged = about(story.web.records(life.host), life.queue_id)
        # On its way out of a mailbox it passes none; what stands there Sieve has written (see _sent_on).
        headers = story.filtered(life.queue_id, bool(judged.records)) if life.service != FILTERS_OWN else ()
        milter = [line for line, refusal in life.refusals if refusal.milter]
        if not judged.records and not headers and not milter:
            return after
        text = _("The filter looked at it, and added what it found")
        if judged.score is not None and judged.limit is not None:
            text = _("The filter looked at it: {action} ({score:g} of {limit:g} points)").format(
                action=judged.action, score=judged.score, limit=judged.limit
            )
        elif milter:
            text = _("The filter decided about it")
        records = [*judged.records, *(line.record for line in milter)]
        if life.queued is None:  # it came no further, so there is no other step that names it
            records += [line.record for line in life.lines if type(line.says).__name__ in _KINDS]
        return story.add(
            after,
            Agent.FILTER,
            Evidence.LOGGED if records else Evidence.RECONSTRUCTED,
            text,
            host=life.host,
            **story.at(records[0] if records else None),
            queue_id=life.queue_id,
            lines=story.lines(records),
            headers=headers,
        )

    def _queue(self, life: Life, after: int) -> int:
        story, queued = self._story, life.queued
        if queued is None:
            return after
        text = ngettext(
            "It is in the queue: {size} bytes, for {count} recipient",
            "It is in the queue: {size} bytes, for {count} recipients",
            queued.recipients,
        ).format(size=queued.size, count=queued.recipients)
        records = [line.record for line in life.lines if type(line.says).__name__ in _KINDS]
        first = next(line.record for line in life.lines if line.says is queued)
        return story.add(
            after,
            Agent.QUEUE,
            Evidence.LOGGED,
            text,
            host=life.host,
            **story.at(first),
            queue_id=life.queue_id,
            lines=story.lines(records),
        )

    # Deliveries.

    def _address(self, life: Life, group: Group, after: int, shared: dict[str, int]) -> int:
        """Once for all that an address stands for, where the log says that one became another."""
        story = self._story
        origins = {each.original for _line, each in group if each.original not in ("", each.recipient)}
        if len(origins) != 1:
            return after
        (origin,) = origins
        if origin not in shared:
            to = [each.recipient for _line, each in life.deliveries if each.original == origin]
            lines = [line.record for line, each in life.deliveries if each.original == origin]
            shared[origin] = story.add(
                after,
                Agent.ADDRESS,
                Evidence.LOGGED,
                meaning(story.seen.inventory, origin, list(dict.fromkeys(to))),
                host=life.host,
                queue_id=life.queue_id,
                lines=story.lines(lines),
            )
        return shared[origin]

    def _delivery(self, life: Life, group: Group, after: int, names: Mapping[str, str], counts: bool) -> int:
        """The step in which it failed or was put off; else 0."""
        line, delivery = group[0]
        named = {each.recipient: self._named(each, names) for _line, each in group}
        if delivery.status == "sent" and delivery.queued_as:
            self._handed_on(life, group, after, named, counts)
        elif delivery.status == "sent" and line.program == "lmtp":
            for one, each in group:
                mailbox.delivered(self._story, life, one, each, after, named[each.recipient], counts=counts)
        else:
            return outcomes.ended(self._story, life, group, after, named, counts=counts)
        return 0

    def _named(self, delivery: Delivery, names: Mapping[str, str]) -> str:
        """Whom the sender named for this delivery."""
        for each in (delivery.original, delivery.recipient):
            if each in names:
                return names[each]
        recipients = self._story.seen.recipients
        for each in (delivery.original, delivery.recipient):
            if each in recipients:
                return each
        inventory = self._story.seen.inventory
        led = (each for each in recipients if delivery.recipient in ends(inventory, each))
        return next(led, delivery.original or delivery.recipient)

    def _handed_on(self, life: Life, group: Group, after: int, named: dict[str, str], counts: bool) -> None:
        """To another queue: of another host, or of this one under another sender."""
        story = self._story
        line, delivery = group[0]
        following = story.web.next(life, delivery)
        place = story.web.place(life, delivery)
        # By its name in master.cf, or by that of the service that took it: with --wire the client has another name.
        rewrites = _REWRITES in (line.service, following.service if following is not None else "")
        if place == life.host and rewrites:
            sender = following.queued.sender if following is not None and following.queued else ""
            arrival = [following.arrival.record] if following is not None and following.arrival else []
            step = story.add(
                after,
                Agent.ADDRESS,
                Evidence.LOGGED,
                _("It is sent on under another sender, so that it passes SPF there (SRS): {sender}").format(
                    sender=sender or "SRS0=…"
                ),
                host=life.host,
                port=delivery.port,
                **story.at(line.record),
                seconds=delivery.seconds,
                delays=delivery.delays,
                queue_id=delivery.queued_as,
                lines=story.lines([line.record, *arrival]),
                headers=story.received(delivery.queued_as),
            )
        else:
            step = self._across(life, group, after, place, following)
        if following is not None:
            self.inside(following, step, named, counts=counts)
        elif place:
            story.add(
                step,
                Agent.QUEUE,
                Evidence.MISSING,
                _("What became of it there is not known: there is nothing of it in a log that was read"),
                host=place,
                queue_id=delivery.queued_as,
                hint=_("look there for the queue id: {command}").format(
                    command=f"journalctl --grep {delivery.queued_as}"
                ),
            )
            mailbox.visited(story, len(story.steps))
        elif counts:
            for _line, each in group:
                self._outside(life, each, step, named)

    def _outside(self, life: Life, delivery: Delivery, after: int, named: dict[str, str]) -> None:
        """A server of others has it. That may bring it back to a host of ours: a smarthost does, a filter service."""
        story, recipient = self._story, delivery.recipient
        server = delivery.relay or delivery.address
        back = story.web.returned(life, delivery)
        if back is not None and back.arrival is not None:
            if back.key not in self._been:
                text = _("{client} brought it here: it has the Message-ID of what {server} took")
                step = story.add(
                    story.by_headers(after, back.queue_id) if story.received(back.queue_id) else after,
                    Agent.SMTP,
                    Evidence.LOGGED,
                    text.format(client=_client(back.arrival.says), server=server),
                    host=back.host,
                    port=25,
                    **story.at(back.arrival.record),
                    queue_id=back.queue_id,
                    lines=story.lines([back.arrival.record]),
                    headers=story.received(back.queue_id),
                )
                self.inside(back, step, named)
            return
        if any(visit.account == recipient and visit.folder for visit in story.seen.visits):
            mailbox.visited(story, story.by_headers(after), recipient)
            return
        text = _("{server} took it for {recipient}; what becomes of it there cannot be seen from here")
        then = _("Ask who runs that server, with the id that it gave: {id}")
        story.arrived(
            named[recipient],
            recipient,
            Outcome.HANDED_ON,
            text.format(server=server, recipient=recipient),
            after,
            then=then.format(id=delivery.queued_as),
        )

    def _across(self, life: Life, group: Group, after: int, place: str, following: Life | None) -> int:
        """From one host to another over port 25, and before it the question to DNS."""
        story = self._story
        line, delivery = group[0]
        after, why = routed(story, life, delivery, after)
        arrival = [following.arrival.record] if following is not None and following.arrival else []
        text = _("The other server took it")
        if story.secured(delivery.queued_as):
            text = _("{sentence}, over TLS").format(sentence=text)
        recipients = [each.recipient for _line, each in group]
        return story.add(
            after,
            Agent.SMTP,
            Evidence.LOGGED,
            text,
            host=place or delivery.relay or delivery.address,
            port=delivery.port or 25,
            **story.at(line.record),
            seconds=delivery.seconds,
            delays=delivery.delays,
            queue_id=delivery.queued_as,
            recipient=recipients[0] if len(recipients) == 1 else "",
            lines=story.lines([*(each.record for each, _said in group), *arrival]),
            headers=story.received(delivery.queued_as),
            hint=why,
        )

    # What was written because of it.

    def _report(self, life: Life, report: Life, after: int) -> None:
        story = self._story
        to = [each.recipient for _line, each in report.deliveries]
        text = _("A report about that was written")
        if to:
            text = _("A report about that was written to {names}").format(names=all_of(to))
        said = [line.record for line, told in life.reports if told.queue_id == report.queue_id]
        records = [*said, *(line.record for line in report.lines)]
        self._been.add(report.key)
        step = story.add(
            after,
            Agent.QUEUE,
            Evidence.LOGGED,
            text,
            host=report.host,
            **story.at(records[0] if records else None),
            queue_id=report.queue_id,
            lines=story.lines(records),
        )
        for group in _groups(report):
            self._delivery(report, group, step, {}, False)

    def _sent_on(self, life: Life, one: Life, after: int, names: Mapping[str, str]) -> None:
        arrival = [one.arrival.record] if one.arrival is not None else []
        step = self._story.add(
            after,
            Agent.ADDRESS,
            Evidence.LOGGED,
            _("A filter of the user's sends it on"),
            host=one.host,
            **self._story.at(arrival[0] if arrival else None),
            queue_id=one.queue_id,
            lines=self._story.lines(arrival),
            headers=(*self._story.received(one.queue_id), *self._story.filtered(one.queue_id, False)),
        )
        self.inside(one, step, names)


def _groups(life: Life) -> list[Group]:
    """Deliveries, the last word about each recipient; those that became one message of another queue are together."""
    found: dict[tuple[str, str, str], Group] = {}
    for recipient, (line, delivery) in life.last.items():
        key = (delivery.queued_as, delivery.address, "" if delivery.queued_as else recipient)
        found.setdefault(key, []).append((line, delivery))
    # In an order that is the same in each trace of the same message, whoever was quicker.
    return [found[key] for key in sorted(found, key=lambda key: (found[key][0][1].recipient, key))]


def _client(says: object) -> str:
    name, address = getattr(says, "name", ""), getattr(says, "address", "")
    return address if name in ("", "unknown") else f"{name} ({address})"
