"""The agent's main line: one conversation as wire.messages describes it. Read this first.

    run(job, stdin) -> None     never returns: the process ends with code 0 after the `end` message

hello → support → lock → recovery → the mode's own work → end. What a mode may do is a row of modes/table.py; plan and
apply, of which the others are shorter forms, are modes/opening.py and deploy.py.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, BinaryIO, Dict, List, Tuple

from mailprov.agent import facts, watchdog
from mailprov.agent.channel import Channel
from mailprov.agent.errors import AgentError, Cancelled
from mailprov.agent.job import Job
from mailprov.agent.modes.table import MODES, Mode
from mailprov.agent.sentences import _
from mailprov.agent.session import Session
from mailprov.agent.transaction import recovery

VERSION = 1  # of the conversation


def run(job: Dict[str, Any], stdin: BinaryIO) -> None:
    """Serve one run. `stdin` gives the control lines; `job` is as in wire.messages."""
    os.umask(0o077)
    wanted = Job.of(job)
    mode = MODES[wanted.mode]
    if mode.rescued:
        watchdog.watch(lambda number: _rescue(wanted, stdin, number))
    started = time.monotonic()
    session = Session(wanted, Channel(wanted.tag, stdin))
    status, what, advice, output = "ok", "", "", []  # type: Tuple[str, str, str, List[str]]
    try:
        _converse(session, mode)
    except AgentError as error:
        status, what, advice, output = "failed", error.what, error.advice, error.output
    except Cancelled as reason:
        status, what = "cancelled", reason.why
    except Exception as error:
        status, what, advice, output = "failed", *_explain(error)
    seconds = round(time.monotonic() - started, 3)
    end = {"status": status, "changed": session.done, "seconds": seconds}
    session.channel.say("end", what=what, advice=advice, output=output, **end)
    # The reader thread sits in a blocking read; an ordinary exit of the interpreter would trip over its lock.
    os._exit(0)


def _converse(session: Session, mode: Mode) -> None:
    """The whole conversation after protecting stdout, but for `end`. Raises AgentError or Cancelled."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    me = {"pid": os.getpid(), "uid": os.geteuid(), "time": time.time()}
    session.channel.say("hello", version=VERSION, python=python, **me)
    facts.refuse_unsupported(session.tree)
    if mode.deploys:
        from mailprov.agent import first_boot

        first_boot.wait(session.tree, session.say, session.check)
    held = session.lock() if mode.writes else None
    mode.work(session, recovery.recover(session, writes=mode.writes, tells=mode.tells))
    if held is not None:
        os.close(held)


def _rescue(job: Job, stdin: BinaryIO, number: int) -> None:
    """The agent was killed: bring the host to a safe state at once, and tell the controller if it is there."""
    session = Session(job, Channel(job.tag, stdin))
    try:
        how = recovery.rescue(session)
    except Exception as error:
        why = error.what if isinstance(error, AgentError) else _explain(error)[0]
        how = _("it could not be brought to an end: {why}").format(why=why)
    what = _("the agent on the host was killed (signal {number}); {how}").format(number=number, how=how)
    advice = _("run the same command again")
    session.channel.say("end", status="failed", changed=0, seconds=0.0, what=what, advice=advice, output=[])


def _explain(error: Exception) -> Tuple[str, str, List[str]]:
    """An error that nobody foresaw, as what, advice and output; without any values, which may be secrets."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}", _("fix this on the host, then try again"), []
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    what = _("internal error in the agent: {error} at {place}").format(
        error=type(error).__name__, place=places[-1]
    )
    return what, _("report this as a bug in mailprov"), places
