"""The way of a message, from all that is known of it.

    way(seen) -> Trace

Pure. Nothing is joined by time: what belongs together says so itself, by a queue id, a Message-ID or a session's name.
"""

from __future__ import annotations

from mailprov.i18n import _
from mailprov.model.trace import Agent, Arrival, Evidence, Outcome, Step, Trace
from mailprov.trace.observed import Dialogue, Seen, Visit


def way(seen: Seen) -> Trace:
    steps: list[Step] = []
    arrivals: list[Arrival] = []
    if seen.dialogue is not None:
        steps.append(_handed_in(seen.dialogue, seen.sender))
    for visit in seen.visits:
        steps.append(_visited(visit, len(steps) + 1, 1 if steps else 0))
    refused = dict(seen.dialogue.refused) if seen.dialogue is not None else {}
    for recipient in seen.recipients:
        found = next(
            (each for each in steps if each.agent is Agent.IMAP and each.recipient == recipient), None
        )
        there = next((each.folder for each in seen.visits if each.account == recipient and each.folder), "")
        if recipient in refused:
            text = _("Refused for {recipient}: {reply}")
            arrivals.append(
                Arrival(
                    recipient,
                    recipient,
                    Outcome.REFUSED,
                    text.format(recipient=recipient, reply=refused[recipient]),
                    1,
                )
            )
        elif there and found is not None:
            text = _("It arrived: in {folder} of {recipient}").format(folder=there, recipient=recipient)
            arrivals.append(
                Arrival(recipient, recipient, Outcome.DELIVERED, text, found.number, mailbox=there)
            )
        else:
            text = _("Nothing tells whether it arrived at {recipient}").format(recipient=recipient)
            arrivals.append(Arrival(recipient, recipient, Outcome.UNKNOWN, text, len(steps)))
    return Trace(
        seen.message_id,
        seen.sender,
        seen.recipients,
        seen.began,
        tuple(steps),
        tuple(arrivals),
        seen.subject,
        gaps=seen.gaps,
    )


def _handed_in(dialogue: Dialogue, sender: str) -> Step:
    if dialogue.error:
        text = _("It could not be handed over: {error}").format(error=dialogue.error)
    elif dialogue.queue_id or dialogue.code == 250:
        text = (
            _("The message was handed over as {login}").format(login=dialogue.login)
            if dialogue.login
            else _("The message was handed over as a stranger would")
        )
    else:
        text = _("The message was refused: {reply}").format(reply=dialogue.reply)
    return Step(
        1,
        0,
        Agent.SUBMISSION if dialogue.login else Agent.SMTP,
        Evidence.OBSERVED,
        text,
        dialogue.host,
        dialogue.port,
        dialogue.at,
        seconds=dialogue.seconds,
        queue_id=dialogue.queue_id,
        lines=dialogue.lines,
    )


def _visited(visit: Visit, number: int, after: int) -> Step:
    if visit.error:
        text = _("The mailbox could not be read: {error}").format(error=visit.error)
    elif not visit.folder:
        text = _("The message is not in the mailbox")
    elif visit.removed:
        text = _("The message was read from {folder}, and deleted").format(folder=visit.folder)
    else:
        text = _("The message was read from {folder}, and stays there").format(folder=visit.folder)
    return Step(
        number,
        after,
        Agent.POP3 if visit.protocol == "pop3" else Agent.IMAP,
        Evidence.MISSING if visit.error else Evidence.OBSERVED,
        text,
        visit.host,
        visit.port,
        visit.at,
        seconds=visit.seconds,
        recipient=visit.account,
        lines=visit.lines,
    )
