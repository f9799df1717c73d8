"""Mode rollback: tells the run to undo, waits for `target`, plans, waits for go, undoes.

    work(session)

With a job that has "to" it tells all runs, and undoes those that `target` names: the last ones, as one. A rollback
undoes the last run that reached its commit point, so the rollback of a rollback goes forward again.

Raises AgentError or Cancelled.
"""

from __future__ import annotations

from mailprov.agent import history, journal
from mailprov.agent.errors import AgentError
from mailprov.agent.redaction import Redactor
from mailprov.agent.resources import tls_keys
from mailprov.agent.sentences import _, ngettext
from mailprov.agent.session import Session
from mailprov.agent.transaction import rollback, rollback_plan


def work(session: Session) -> None:
    job, channel = session.job, session.channel
    ended = journal.finished(session.tree)
    chain = [one for one in reversed(ended) if one.committed] if job.to else history.chain(ended)
    if job.to:
        told = [{**history.describe(one), "images": history.images([one])} for one in ended]
    else:
        told = [{**history.describe(chain[0]), "images": history.images(chain)}] if chain else []
    channel.say("runs", runs=told, tls=tls_keys.facts(session.tree))
    if ended and ended[-1].first("begin").get("kind") == "queue":
        told_last = _("the last run here, of {time}, was about messages of the queue; that is not undone")
        session.notice(told_last.format(time=ended[-1].since))
    target = channel.wait("target")
    channel.redact = Redactor(target["mask"])
    if job.to:
        chain = history.asked(chain, target.get("undo", []))
    elif chain and target["run"] != told[0]["run"]:
        chain = []
    if not chain:
        channel.say("plan", changes=[], compared=_("nothing to undo"), fingerprint="", waits=False)
        return

    def look() -> rollback_plan.Plan:
        return rollback_plan.look(session.tree, chain, channel.redact, job.accept_drift)

    plan = look()
    for notice in plan.notices:
        session.notice(notice)
    which = _("{compared} of the run of {time}").format(compared=plan.compared, time=chain[0].since)
    if job.to and len(chain) > 1:
        which = ngettext(
            "{compared} of the {count} run from {first} to {last}",
            "{compared} of the {count} runs from {first} to {last}",
            len(chain),
        ).format(compared=plan.compared, count=len(chain), first=chain[-1].since, last=chain[0].since)
    fingerprint, keys = plan.fingerprint, tls_keys.restored(session.tree, plan.contents)
    # Also without a change on this host there may be zones to undo, and the run is to be in the history.
    channel.say("plan", changes=plan.changes, compared=which, fingerprint=fingerprint, waits=True, tls=keys)
    changed = AgentError(
        _("the host has changed since the plan was made"), _("look at the new plan, then try again")
    )
    go = session.await_go(fingerprint, changed)
    if look().fingerprint != fingerprint:
        raise changed
    begin = {"owner": job.owner, "run": job.run, "kind": "rollback"}
    begin["undoes"] = history.describe(chain[0])["run"]
    if job.to:
        begin["to"] = target["run"]
    rollback.Rollback(session, plan, look).run(begin, go.get("zones", []))
