"""Modes plan and apply: the host beside the state that it must have, and then as that state.

    work(session, …)      desired → plan → (go → apply → (ready → issue) → served); facts are sent by opening.py

`ask` gives what is known of packages by their names, as packages.query does. In mode plan nothing is written. Raises
AgentError or Cancelled.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

from mailprov.agent import files, manifest, runs, systemd
from mailprov.agent.apt import packages
from mailprov.agent.changes import Observed
from mailprov.agent.errors import AgentError
from mailprov.agent.plan import diff
from mailprov.agent.redaction import Redactor, secrets_of
from mailprov.agent.resources import (
    dkim_keys,
    drift,
    obsolete_services,
    passwd_file,
    tls_keys,
    unwanted_services,
)
from mailprov.agent.resources.dkim_keys import DkimKey
from mailprov.agent.resources.registry import entries
from mailprov.agent.sentences import _
from mailprov.agent.session import Session
from mailprov.agent.transaction.recovery import Interrupted

Found = Dict[str, Any]  # packages as packages.query gives them


def work(
    session: Session,
    interrupted: Interrupted,
    lists: packages.Lists,
    ask: Callable[[Sequence[str]], Found],
    found: Found,
) -> None:
    """`found`: what was asked of packages already."""
    _Deployment(session, interrupted, lists, ask).work(found)


class _Deployment:
    def __init__(
        self,
        session: Session,
        interrupted: Interrupted,
        lists: packages.Lists,
        ask: Callable[[Sequence[str]], Found],
    ) -> None:
        self.session, self.interrupted, self.lists, self.ask = session, interrupted, lists, ask
        self.tree, self.applying = session.tree, session.job.mode == "apply"
        self.state: Dict[str, Any] = {}

    def work(self, found: Found) -> None:
        session, job = self.session, self.session.job
        self.state = state = session.channel.wait("desired")["state"]
        session.channel.redact = Redactor(secrets_of(state))
        if self.tree.root and (state["packages"] or state["users"] or state["services"]):
            advice = _("root is for tests of files")
            raise AgentError(_("packages, users and services cannot be managed under a root"), advice)
        self.manifest, self.passwords = manifest.load(self.tree), passwd_file.Passwords(self.tree)
        plan = self._look(found)
        losses = self._losses(plan)
        drifted = [] if job.accept_drift else plan.drifted
        asks = bool(losses) and not job.take_over_host
        waits = self.applying and bool(plan.changes) and not drifted and not asks
        self._tell(plan, losses, waits)
        if not self.applying:
            return
        if asks:
            from mailprov.agent.plan import takeover

            raise takeover.stop(losses)
        if drifted:
            raise drift.stop(drifted, runs.DIRECTORY + "/", plan.mends)
        if plan.changes:
            self._apply(plan)
        else:
            self._keep_as_found(plan)

    def _look(self, found: Found) -> diff.Plan:
        retired = [spec["unit"] for spec in obsolete_services.units(self.state, self.manifest)]
        unwanted = unwanted_services.units(self.state, self.manifest)
        return diff.compare(
            self.tree,
            self.state,
            self._observe(found, [*retired, *unwanted]),
            manifest=self.manifest,
            passwords=self.passwords,
            redact=self.session.channel.redact,
            excused=self.interrupted.excused,
        )

    def _observe(self, found: Found, more: List[str]) -> Observed:
        """Packages, units and ports that this state is about; asks for packages that `found` lacks."""
        asked = [*self.state["packages"], *(name for name, _version in self.state["rendered_for"])]
        # Of some it was asked only whether they are installed.
        if not all(any(found.get(name, {}).values()) for name in asked):
            found = self.ask(asked)
        units = [*(spec["unit"] for spec in self.state["services"]), *more]
        return Observed(found, systemd.states(units), systemd.listening() if units else set())

    def _losses(self, plan: diff.Plan) -> List[str]:
        """What of the host's own a first apply would hide or replace."""
        if not self.interrupted.first_apply(self.tree):
            return []
        from mailprov.agent.plan import takeover

        before = self.interrupted.content_before
        return takeover.losses(self.tree, plan, self.state, lambda path: before(self.tree, path))

    def _tell(self, plan: diff.Plan, losses: List[str], waits: bool) -> None:
        """The plan; where an apply may follow, with DKIM keys that are made now, for the records in DNS."""
        session, made = self.session, {}  # type: Session, Dict[str, bytes]
        making = [key for key in plan.of(DkimKey) if waits and key.pair is not None]
        pairs = dkim_keys.make_all([key.spec for key in making], session.say, session.check)
        for number, key in enumerate(making):
            key.pair = pairs[number]
            made.update(pairs[number])
        told: Dict[str, Any] = {"compared": plan.compared, "fingerprint": plan.fingerprint, "waits": waits}
        told["keys"] = dkim_keys.public_keys(self.tree, self.state, made)
        told["tls"] = tls_keys.after(self.tree, self.state)
        for notice in plan.notices:
            session.notice(notice)
        if losses:
            told["takes_over"] = [session.channel.redact(one) for one in losses]
        session.channel.say("plan", changes=plan.changes, **told)

    def _keep_as_found(self, plan: diff.Plan) -> None:
        """What was found as wanted is managed from now on; both write only when that is news."""
        files.make_state(self.tree)
        self.manifest.describe(entries(self.state), plan.digests, plan.known)
        self.manifest.keep_services({spec["unit"] for spec in self.state["services"]})
        self.manifest.unwanted = unwanted_services.as_they_are(self.state, plan.observed.units)
        self.manifest.save()
        self.passwords.save()
        drift.keep(self.tree, self.manifest, self.session.channel.redact)

    def _apply(self, plan: diff.Plan) -> None:
        from mailprov.agent.context import ApplyContext
        from mailprov.agent.resources import acme
        from mailprov.agent.transaction.apply import apply

        session, job = self.session, self.session.job
        changed = AgentError(_("the plan has changed"), _("look at the new plan, then apply again"))
        go = session.await_go(plan.fingerprint, changed)
        begin = {"owner": job.owner, "run": job.run, "kind": "apply", "continues": self.interrupted.continues}
        context = ApplyContext(
            session=session,
            state=self.state,
            observed=plan.observed,
            remembered=self.manifest,
            passwords=self.passwords,
            lists=self.lists,
            digests=plan.digests,
            known=plan.known,
        )
        zones = go.get("zones", [])
        if plan.transaction or zones:
            apply(context, plan, begin=begin, zones=zones, again=lambda: self._look({}))
        issues = plan.of(acme.Issue)
        try:
            if issues:
                acme.obtain(context, issues)
        finally:  # for records in DNS, which may only follow
            served = tls_keys.facts(self.tree)
            if served["served"] or served["next"]:
                session.channel.say("served", tls=served)
