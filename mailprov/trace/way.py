"""The way of a message, from all that is known of it.

    way(seen) -> Trace          of the message that this program handed over
    ways(seen) -> [Trace]       of every message that the logs tell of, one each: none was sent by this program

Nothing is joined by time: what belongs together says so itself, by a queue id, a Message-ID or the name of a session
(join.py). Records may come in any order, more than once, and among those of other messages. Pure.
"""

from __future__ import annotations

from mailprov.i18n import _, ngettext
from mailprov.model import cleaning
from mailprov.model.trace import Agent, Clock, Evidence, Outcome, Trace
from mailprov.model.values import replace
from mailprov.trace import mailbox
from mailprov.trace.branches import Branches
from mailprov.trace.expected import ends
from mailprov.trace.join import Web
from mailprov.trace.lives import Life
from mailprov.trace.observed import Dialogue, Seen
from mailprov.trace.story import Story


def way(seen: Seen) -> Trace:
    web = Web(seen.logs)
    story = Story(seen, web)
    dialogue = seen.dialogue
    assert dialogue is not None, "this program has handed it over"
    life = web.life(dialogue.host, dialogue.queue_id, seen.message_id) if dialogue.queue_id else None
    if life is None and not dialogue.queue_id and dialogue.taken and dialogue.code != 250:
        life = web.refused(dialogue.host, seen.message_id)
    first = _handed_in(story, dialogue, life)
    for recipient, reply in dialogue.refused:
        text = _("Refused for {recipient}: {reply}").format(recipient=recipient, reply=reply)
        story.arrived(recipient, recipient, Outcome.REFUSED, text, first)
    taken = dialogue.taken if dialogue.queue_id or dialogue.code == 250 else ()
    if life is not None:
        Branches(story).inside(life, first, {})
    elif taken:
        last = _not_told(story, dialogue, first)
        mailbox.visited(story, story.by_headers(last))
    elif dialogue.taken and dialogue.code:
        for recipient in dialogue.taken:
            text = _("Refused: {reply}").format(reply=dialogue.reply)
            story.arrived(recipient, recipient, Outcome.REFUSED, text, first)
    _rest(story, first)
    _same_id(story, life)
    return _made(story)


def ways(seen: Seen) -> list[Trace]:
    """In the order of hosts' names and queue ids. A report about a message is told with it, not by itself."""
    web = Web(seen.logs)
    return [_of_root(seen, web, root) for root in web.roots()]


def _of_root(seen: Seen, web: Web, root: Life) -> Trace:
    began = min((line.record.t for line in root.lines), default=0) / 1e6
    offset = next((log.offset for log in seen.logs if log.host == root.host), None) or 0.0
    sender = root.queued.sender if root.queued is not None else ""
    named = tuple(dict.fromkeys(each.original or each.recipient for _line, each in root.deliveries))
    message_id = root.message_ids[0] if root.message_ids else ""
    about = replace(
        seen,
        message_id=cleaning.line(message_id),
        sender=cleaning.line(sender),
        recipients=named,
        began=began - offset,
    )
    story = Story(about, web)
    branches = Branches(story)
    branches.inside(root, branches.came_in(root), {})
    _rest(story, len(story.steps), expects=False)
    _same_id(story, root)
    return _made(story)


def _made(story: Story) -> Trace:
    seen = story.seen
    clocks = tuple(Clock(log.host, round(log.offset, 3)) for log in seen.logs if log.offset is not None)
    gaps = tuple(dict.fromkeys((*seen.gaps, *(gap for log in seen.logs for gap in log.gaps))))
    return Trace(
        seen.message_id,
        seen.sender,
        seen.recipients,
        seen.began,
        tuple(story.steps),
        tuple(story.arrivals),
        seen.subject,
        clocks,
        gaps,
        tuple(map(cleaning.line, (*story.web.doubts, *story.doubts))),
    )


def _handed_in(story: Story, dialogue: Dialogue, life: Life | None) -> int:
    if dialogue.error:
        text = _("It could not be handed over: {error}").format(error=dialogue.error)
    elif dialogue.code == 250 and dialogue.taken:
        text = (
            _("The message was handed over, with a login as {login}").format(login=dialogue.login)
            if dialogue.login
            else _("The message was handed over as a stranger does it")
        )
        if dialogue.tls:
            text = _("{sentence}, over TLS").format(sentence=text)
    else:
        text = _("The server refused: {reply}").format(reply=dialogue.reply)
    arrival = life.arrival if life is not None else None
    written = ngettext(
        "A mail program wrote a message of {count} byte",
        "A mail program wrote a message of {count} bytes",
        story.seen.size,
    )
    mua = story.add(
        0,
        Agent.MUA,
        Evidence.OBSERVED,
        _("{sentence}: it is mailprov itself").format(sentence=written.format(count=story.seen.size)),
        at=0.0,
    )
    return story.add(
        mua,
        Agent.SUBMISSION if dialogue.port != 25 else Agent.SMTP,
        Evidence.OBSERVED,
        text,
        host=dialogue.host,
        port=dialogue.port,
        at=dialogue.at,
        seconds=dialogue.seconds,
        queue_id=dialogue.queue_id,
        lines=(*dialogue.lines, *story.lines([arrival.record] if arrival is not None else [])),
        headers=story.received(dialogue.queue_id),
    )


def _not_told(story: Story, dialogue: Dialogue, first: int) -> int:
    """The server has taken it, and its log says nothing, or cannot be read."""
    return story.add(
        first,
        Agent.QUEUE,
        Evidence.MISSING,
        _("What this server did with it is not known: there is nothing of it in a log that was read"),
        host=dialogue.host,
        queue_id=dialogue.queue_id,
        hint=_("look there for the queue id: {command}").format(
            command=f"journalctl --grep {dialogue.queue_id}" if dialogue.queue_id else "journalctl -t postfix"
        ),
    )


def _rest(story: Story, step: int, *, expects: bool = True) -> None:
    """Recipients, and whom they stand for by the inventory, of whom nothing was told."""
    told = {(arrival.recipient, arrival.final) for arrival in story.arrivals}
    over = {recipient for recipient, final in told if recipient == final}
    for recipient in story.seen.recipients:
        finals = ends(story.seen.inventory, recipient) if expects else ()
        wanted = finals or (recipient,)
        for final in wanted:
            known = recipient in over or (recipient, final) in told
            if known or (not finals and any(recipient == each for each, _final in told)):
                continue
            text = _("Nothing tells whether it arrived at {recipient}").format(recipient=final)
            if story.seen.dialogue is not None and story.seen.dialogue.error:
                text = _("It was not sent to {recipient}").format(recipient=final)
            last = story.steps[-1].number if story.steps else step
            where = story.steps[last - 1].host if last else ""
            then = _("It was last seen on {host}: look into its log and its queue (mailprov queue)")
            story.arrived(
                recipient, final, Outcome.UNKNOWN, text, last, then=then.format(host=where) if where else ""
            )


def _same_id(story: Story, life: Life | None) -> None:
    """Another message with the same Message-ID, which is not this one."""
    ids = set(life.message_ids) if life is not None else {story.seen.message_id}
    others = [
        root
        for root in story.web.roots()
        if ids.intersection(root.message_ids) and (life is None or root.key != life.key)
    ]
    if others:
        story.doubts.append(
            ngettext(
                "{count} other message has the same Message-ID ({where}), and is not shown here",
                "{count} other messages have the same Message-ID ({where}), and are not shown here",
                len(others),
            ).format(count=len(others), where=", ".join(f"{each.host} {each.queue_id}" for each in others))
        )
