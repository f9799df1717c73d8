"""Mode wire: Postfix tells more about the mail of one trace, until the controller has what it wants.

    work(session)     hello, verbose, (collect), dialogues, end

The session stays open meanwhile. Whatever ends it takes everything back: the controller's word, its connection, a
signal, an error, the time in the job; the watchdog where this process is killed; and the host itself, by the unit of
verbose/overlay.py, where nobody is left. In its journal (kind `wire`) stand what main.cf and master.cf were, and where
the clones' sockets are; with the end it goes, for nothing of it is to be rolled back.

Raises AgentError or Cancelled.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List

from mailprov.agent import files, journal, manifest
from mailprov.agent.apt import dpkg_lock
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _
from mailprov.agent.session import Session
from mailprov.agent.verbose import clones, dialogue, overlay

LIMIT = 600  # seconds; a job that asks for more gets these


def work(session: Session) -> None:
    seconds = max(1, min(int(session.job.seconds), LIMIT))
    if files.look(session.tree.at(manifest.PATH)) is None:
        _without(
            session, seconds, [_("mailprov has not set up this host, so it changes nothing here for a trace")]
        )
        return
    # Postfix's package writes main.cf when it is upgraded, which it could not now.
    packages = dpkg_lock.take(session.tree, session.say, session.check)
    try:
        overlay.guard(seconds, session.job.owner)
        record = journal.begin(session.tree, session.job.owner, run=session.job.run, kind="wire")
        try:
            heard = _listen(session, record, seconds)
        finally:
            overlay.take_back(str(record.first("wire").get("queue", overlay.QUEUE)))
            record.discard()
    finally:
        os.close(packages)
    session.channel.say("dialogues", dialogues=heard)


def _listen(session: Session, record: journal.Journal, seconds: int) -> List[Dict[str, Any]]:
    job = session.job
    files.make_directory(overlay.DIRECTORY, 0o700)
    made = clones.make(session.tree, overlay.DIRECTORY, job.senders, job.recipients)
    record.remember([f"{clones.CONFIGURATION}/{name}" for name in ("main.cf", "master.cf")])
    record.note({"r": "wire", "queue": made.queue, "services": list(made.services)})
    began = time.time()
    if made.services:
        session.check()
        overlay.turn_on(made.services, made.queue, seconds, job.owner)
    asked = _await(session, seconds, made.gaps)
    if not made.services:
        return []
    return [one.to_wire() for one in dialogue.read(began - 1, asked)]


def _without(session: Session, seconds: int, gaps: List[str]) -> None:
    _await(session, seconds, gaps)
    session.channel.say("dialogues", dialogues=[])


def _await(session: Session, seconds: int, gaps: Any) -> List[str]:
    """Tells that it is so far, and waits for the queue ids of the controller's message."""
    session.channel.say("verbose", seconds=seconds, gaps=[{"text": gap} for gap in gaps])
    asked = session.channel.wait_for("collect", seconds)
    if asked is None:
        raise AgentError(
            _(
                "nobody asked for what Postfix said within {seconds} s; it tells as much as before again"
            ).format(seconds=seconds),
            _("run the trace again"),
        )
    return [str(one) for one in asked.get("queue_ids", ())]
