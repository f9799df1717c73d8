"""Mode `trace`: what only the host itself can see of the way of a message. Reads only.

work(session)     says `traced` of wire.messages: where the message's file lies, what the host's own resolver answers,
                  and how Postfix is set
"""

from __future__ import annotations

import time
from typing import Any, Dict, List

from mailprov.agent import commands
from mailprov.agent.session import Session
from mailprov.agent.traced import maildir, resolver

_MOST = 50  # of each kind of question


def work(session: Session) -> None:
    keys = session.job.keys
    message_id = str(keys.get("message_id", ""))
    near = float(keys.get("near", 0.0))
    files: List[Dict[str, Any]] = []
    for address in list(keys.get("accounts", ()))[:_MOST]:
        session.check()
        found = maildir.find(
            session.tree, session.job.mail_root, str(address), message_id, near, bool(keys.get("headers"))
        )
        if found is not None:
            files.append({"address": str(address), **found._asdict()})
    answers = []
    for name, kind in list(keys.get("questions", ()))[:_MOST]:
        session.check()
        answers.append(resolver.ask(session.tree, str(name), str(kind))._asdict())
    session.channel.say(
        "traced",
        files=files,
        answers=answers,
        settings=_settings([str(name) for name in list(keys.get("settings", ()))[:_MOST]]),
        now=time.time(),
    )


def _settings(names: List[str]) -> Dict[str, str]:
    """Of Postfix, as they are in force; none where there is no Postfix."""
    good = [name for name in names if name.replace("_", "").isalnum()]
    if not good or not commands.have("postconf"):
        return {}
    told = commands.run(["postconf", *good], timeout=30)
    pairs = (line.partition(" = ") for line in told.out.splitlines())
    return {name: value for name, sign, value in pairs if sign and name in good}
