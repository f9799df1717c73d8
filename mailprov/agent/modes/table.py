"""The modes of the agent, one row each: what a run of it may do, and the function that does it.

    MODES       name → Mode; the names are those of a job (wire.messages)

A function imports what it needs when it is called: each run pays for the modules of its own mode alone, which the host
compiles anew each time.
"""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple

from mailprov.agent.session import Session
from mailprov.agent.transaction.recovery import Interrupted

Work = Callable[[Session, Interrupted], None]


class Mode(NamedTuple):
    """`work` is the conversation between the recovery and `end`.

    writes      it takes the lock, and what a killed run left behind is put right first
    deploys     it brings the host to a desired state: where cloud-init is still at work, that goes first
    tells       who is at work now, and what became of a run that lost its controller, is told
    rescued     a kill leaves it to the watchdog to bring the host to a safe state
    """

    work: Work
    writes: bool = False
    deploys: bool = False
    tells: bool = False
    rescued: bool = False


def _deploy(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent.modes import opening

    opening.work(session, interrupted)


def _roll_back(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent.modes import rollback

    rollback.work(session)


def _history(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent import history

    session.channel.say("runs", runs=history.runs_of(session.tree))


def _keep_zones(session: Session, interrupted: Interrupted) -> None:
    """DNS changes that no other run of this host can keep; what belongs to the last one is undone together with it."""
    import os

    from mailprov.agent import journal

    job, last = session.job, journal.last(session.tree)
    same = last is not None and last.committed and last.first("begin").get("run") == job.run
    continues = os.path.basename(last.directory) if last is not None and same else ""
    record = journal.begin(session.tree, job.owner, run=job.run, kind="zones", continues=continues)
    record.note({"r": "zones", "zones": job.zones})
    record.commit()
    record.close("ok")


def _mailboxes(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent import mailboxes

    mailboxes.tell(session)


def _purge(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent import mailboxes

    mailboxes.purge(session)


def _keys(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent.resources import dkim_keys, tls_keys

    tree = session.tree
    session.channel.say("keys", dkim=dkim_keys.facts(tree), tls=tls_keys.facts(tree))


def _bans(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent import facts
    from mailprov.agent.resources import bans

    held = [{"jail": ban.jail, "address": ban.address} for ban in bans.held()]
    session.channel.say("bans", bans=held, peer=facts.peer())


def _maillog(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent.maillog import answer

    answer.work(session)


def _wire(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent.modes import wire

    wire.work(session)


def _trace(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent.traced import answer

    answer.work(session)


def _queue(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent.mail_queue import telling

    telling.tell(session)


def _queue_gone(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent.mail_queue import leaving

    leaving.wait(session)


def _trusts(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent import trusted_networks

    trusted_networks.tell(session)


def _relay(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent import relay

    relay.work(session)


def _queue_act(session: Session, interrupted: Interrupted) -> None:
    from mailprov.agent.mail_queue import acting

    acting.act(session)


MODES: Dict[str, Mode] = {
    "plan": Mode(_deploy, deploys=True, tells=True),
    "apply": Mode(_deploy, writes=True, deploys=True, tells=True, rescued=True),
    "rollback": Mode(_roll_back, writes=True, tells=True, rescued=True),
    "zones": Mode(_keep_zones, writes=True),
    "purge": Mode(_purge, writes=True),
    "history": Mode(_history),
    "mailboxes": Mode(_mailboxes),
    "keys": Mode(_keys),
    "bans": Mode(_bans),
    "maillog": Mode(_maillog),
    "wire": Mode(_wire, writes=True, rescued=True),
    "trace": Mode(_trace),
    "queue": Mode(_queue),
    "queue_gone": Mode(_queue_gone),
    "trusts": Mode(_trusts),
    "relay": Mode(_relay),
    "queue_act": Mode(_queue_act, writes=True, rescued=True),
}
