"""The agent's main line: one conversation as wire.messages describes it. Read this first.

    run(job, stdin) -> None     never returns: the process ends with code 0 after the `end` message

hello → support → lock → recovery → facts → desired → plan → go → apply → (ready → issue) → end.
In mode plan nothing is written. The modes that are about earlier runs part after the recovery: see history.py.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, BinaryIO, Dict, List, Optional, Set, Tuple

from mailprov.agent import facts, files, first_boot, journal, lock, manifest, runs, services, watchdog
from mailprov.agent.apt import installation, packages, policy_rc_d
from mailprov.agent.changes import Observed
from mailprov.agent.channel import Channel
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError, Cancelled
from mailprov.agent.plan import diff, drift, takeover
from mailprov.agent.redaction import Mask, secrets_of
from mailprov.agent.resources import accounts, acme, bans, dkim_keys, obsolete_services
from mailprov.agent.transaction import staging
from mailprov.agent.transaction.apply import apply

VERSION = 1  # of the conversation


def run(job: Dict[str, Any], stdin: BinaryIO) -> None:
    """Serve one run. `stdin` gives the control lines; `job` is as in wire.messages."""
    os.umask(0o077)
    if job["mode"] in ("apply", "rollback"):
        watchdog.watch(lambda number: _rescue(job, stdin, number))
    started = time.monotonic()
    link = Channel(job["tag"], stdin)
    session = _Session(job, link)
    status, what, advice, output = "ok", "", "", []  # type: Tuple[str, str, str, List[str]]
    try:
        session.work()
    except AgentError as stop:
        status, what, advice, output = "failed", stop.what, stop.advice, stop.output
    except Cancelled as reason:
        status, what = "cancelled", str(reason)
    except Exception as error:
        status, what, advice, output = "failed", *_explain(error)
    finally:
        session.lists.close()
    seconds = round(time.monotonic() - started, 3)
    end = {"status": status, "changed": session.changed, "seconds": seconds}
    link.say("end", what=what, advice=advice, output=output, **end)
    # The reader thread sits in a blocking read; an ordinary exit of the interpreter would trip over its lock.
    os._exit(0)


def _rescue(job: Dict[str, Any], stdin: BinaryIO, number: int) -> None:
    """The agent was killed: bring the host to a safe state at once, and tell the controller if it is there."""
    link = Channel(job["tag"], stdin)
    try:
        how = _Session(job, link).rescue()
    except Exception as error:
        how = "it could not be brought to an end: " + (
            str(error) if isinstance(error, AgentError) else _explain(error)[0]
        )
    what = f"the agent on the host was killed (signal {number}); {how}"
    advice = "run the same command again"
    link.say("end", status="failed", changed=0, seconds=0.0, what=what, advice=advice, output=[])


class _Session:
    def __init__(self, job: Dict[str, Any], link: Channel) -> None:
        self.job, self.link = job, link
        self.tree = files.Tree(job["root"])
        self.lists = packages.Lists()
        self.run: Any = None  # an ApplyContext, a history.Past, or a mailboxes.Mailboxes
        # Paths of an interrupted run, which a plan leaves as they are.
        self.excused: Set[str] = set()
        self._left: Any = (
            None  # journal of a run that was killed before its commit point, which a plan does not undo
        )
        self.continues = ""  # the run that was killed after its commit point, which this one finishes

    @property
    def changed(self) -> int:
        return self.run.done if self.run else 0

    def say(self, text: str) -> None:
        self.link.say("progress", text=text)

    def work(self) -> None:
        """The whole conversation after protecting stdout. Raises AgentError or Cancelled."""
        job, link, tree = self.job, self.link, self.tree
        python = ".".join(str(part) for part in sys.version_info[:3])
        link.say("hello", version=VERSION, python=python, pid=os.getpid(), uid=os.geteuid(), time=time.time())
        facts.refuse_unsupported(tree)
        if job["mode"] in ("plan", "apply"):
            first_boot.wait(tree, self.say, link.check)
        applying = job["mode"] not in ("plan", "history", "mailboxes", "keys", "bans")
        held = self._lock() if applying else None
        self._recover(applying)
        if job["mode"] in ("mailboxes", "purge"):
            from mailprov.agent import mailboxes

            self.run = mailboxes.Mailboxes(job, tree, link)
            self.run.work()
            return
        if job["mode"] == "bans":
            held_now = [{"jail": ban.jail, "address": ban.address} for ban in bans.held()]
            link.say("bans", bans=held_now, peer=facts.peer())
            return
        if job["mode"] == "keys":
            link.say("keys", dkim=dkim_keys.facts(tree))
            return
        if job["mode"] not in ("plan", "apply"):
            from mailprov.agent import history

            self.run = history.Past(job, tree, link)
            self.run.work()
            return
        found = self._packages(job["packages"])
        link.say("facts", facts=facts.facts(tree, found))
        state = link.wait("desired")["state"]
        link.mask = Mask(secrets_of(state))
        if tree.root and (state["packages"] or state["users"] or state["services"]):
            advice = "root is for tests of files"
            raise AgentError("packages, users and services cannot be managed under a root", advice)
        remembered, passwords = manifest.load(tree), accounts.Passwords(tree)

        def look(found: Dict[str, Any]) -> diff.Plan:
            observed = self._observe(
                state, found, [spec["unit"] for spec in obsolete_services.units(state, remembered)]
            )
            return diff.compare(
                tree,
                state,
                observed,
                manifest=remembered,
                passwords=passwords,
                mask=link.mask,
                excused=self.excused,
            )

        plan = look(found)
        fingerprint = plan.fingerprint
        losses = takeover.losses(tree, plan, state, self._before) if self._first() else []
        drifted = [] if job.get("accept_drift") else plan.drifted
        asks = bool(losses) and not job.get("take_over_host")
        waits = applying and bool(plan.changes) and not drifted and not asks
        made: Dict[str, bytes] = {}
        making = [work for work in plan.keys if waits and work.data is not None]
        pairs = dkim_keys.make_all([work.spec for work in making], self.say, link.check)
        for number, work in enumerate(making):
            work.data.update(pairs[number])
            made.update(pairs[number])
        public = dkim_keys.public_keys(tree, state, made)
        told = {"compared": plan.compared, "fingerprint": fingerprint, "waits": waits, "keys": public}
        for notice in plan.notices:
            link.say("notice", text=notice)
        if losses:
            told["takes_over"] = [link.mask(one) for one in losses]
        link.say("plan", changes=plan.changes, **told)
        if not applying:
            return
        if asks:
            raise takeover.stop(losses)
        if drifted:
            raise drift.stop(drifted, runs.DIRECTORY + "/", plan.mends)
        if not plan.changes:
            # What was found as wanted is managed from now on; both write only when that is news.
            files.make_state(tree)
            remembered.describe(state, plan.digests, plan.known)
            remembered.keep_services({spec["unit"] for spec in state["services"]})
            remembered.save()
            passwords.save()
            drift.keep(tree, remembered, link.mask)
            return
        go = link.wait("go")
        if go["fingerprint"] != fingerprint:
            raise AgentError("the plan has changed", "look at the new plan, then apply again")
        self.run = run = ApplyContext(
            tree=tree,
            link=link,
            state=state,
            plan=plan,
            remembered=remembered,
            passwords=passwords,
            lists=self.lists,
            begin={
                "owner": job["owner"],
                "run": job.get("run", ""),
                "kind": "apply",
                "continues": self.continues,
            },
            zones=go.get("zones", []),
            again=lambda: look({}),
        )
        if plan.transaction or run.zones:
            apply(run)
        if plan.issues:
            acme.obtain(run)
        if held is not None:
            os.close(held)

    def _first(self) -> bool:
        """Whether mailprov has never come to the end of an apply here. A killed one that only a plan looks at does not
        count."""
        if files.look(self.tree.at(manifest.PATH)) is None:
            return True
        left = self._left
        return left is not None and any(
            one["r"] == "was" and one["path"] == manifest.PATH and one["was"] is None for one in left.records
        )

    def _before(self, path: str) -> Optional[bytes]:
        """What a file of the host held before a killed run came to it."""
        for record in self._left.records if self._left is not None else ():
            if record["r"] == "was" and record["path"] == path:
                was = record["was"]
                return self._left.content(was) if was is not None and was["kind"] == "file" else None
        return files.read(self.tree.at(path), follow=True)

    def _packages(self, names: List[str]) -> Dict[str, Any]:
        if self.tree.root:
            return {name: {"installed": None, "candidate": None} for name in names}
        return packages.query(names, self.lists, self.say)

    def _observe(self, state: Dict[str, Any], found: Dict[str, Any], retired: List[str]) -> Observed:
        """Packages, units and ports that this state is about; asks for packages that `found` lacks."""
        asked = [*state["packages"], *(name for name, _ in state["rendered_for"])]
        if any(name not in found for name in asked):
            found = self._packages(asked)
        units = [*(spec["unit"] for spec in state["services"]), *retired]
        return Observed(found, services.states(units), services.listening() if units else set())

    def _lock(self) -> int:
        told: List[str] = []

        def wait(holder: str) -> None:
            if not told:
                told.append(holder)
                self.link.say("notice", text=f"waiting for the lock, which is held by {holder}")
            self.link.check()

        held = lock.take(self.tree, self.job["owner"], self.job.get("lock_timeout", 0), wait)
        self.link.on_lost = lambda: lock.orphaned(self.tree)
        if self.link.lost:  # meanwhile
            lock.orphaned(self.tree)
        return held

    def _tell_of_others(self, applying: bool) -> None:
        """Another run at work now, and the last one if its controller was killed: nobody else tells how that ended.

        An apply tells the latter once, as far as this host's memory reaches; a plan writes nothing, and tells it again.
        """
        if not applying and lock.holder(self.tree):
            self.link.say("notice", text=f"at work on this host now: {lock.holder(self.tree)}")
            return
        last = journal.last(self.tree)
        status = last.first("end").get("status", "") if last is not None else ""
        if last is None or not status.endswith((journal.NO_CONTROLLER, journal.ALONE)):
            return
        told, name = self.tree.at(lock.TOLD), os.path.basename(last.directory).encode("ascii")
        if files.read(told) == name:
            return
        how = (
            "it was finished all the same" if status == journal.ALONE else "what it had written was put back"
        )
        self.link.say(
            "notice",
            text=f"the last run on this host, of {last.owner} at {last.since}, lost its controller; {how}",
        )
        if applying:
            files.write(told, name, 0o600, sync=False)

    def rescue(self) -> str:
        """After a kill. Behind the commit point the daemons get the files that they must read together."""
        held = self._lock()
        left = journal.unfinished(self.tree)
        if left is None:
            return "it had changed nothing"
        ahead = left.committed or staging.begun(left)
        if not ahead or left.first("begin").get("kind") != "apply":
            self._recover(True)
            return "its work was brought to its end" if ahead else "what it had written was put back"
        policy_rc_d.release(self.tree, self.say)
        staging.complete(self.tree, left)
        units = left.first("services").get("was", [])
        if installation.release_units(self.tree, [unit["spec"]["unit"] for unit in units]):
            services.reload_systemd()
        for unit in units:
            if unit["spec"].get("counts"):
                bans.count_from_now(unit["spec"]["counts"])
            if unit["verb"]:
                services.enable(unit["spec"]["unit"])
                services.act(unit["spec"], unit["verb"])
        os.close(held)
        return "the new configuration is in force, and the next apply finishes the rest"

    def _recover(self, applying: bool) -> None:
        """Bring what a killed run left to a safe state; when nothing may be written only say so."""
        left = journal.unfinished(self.tree)
        if self.job["mode"] in ("plan", "apply", "rollback"):
            self._tell_of_others(applying)
        if left is None or (not applying and lock.holder(self.tree)):
            return
        if left.first("begin").get("kind") == "purge":
            if applying:
                left.close("interrupted")
            what = f"a purge of {left.first('begin').get('address', '')} by {left.owner} at {left.since}"
            rest = "what is left of that mailbox goes with the next purge in its domain"
            self.link.say("notice", text=f"{what} was interrupted; {rest}")
            return
        who = f"an earlier run of {left.owner} at {left.since} was interrupted"
        begun = left.committed or staging.begun(left)
        where = "after its commit point" if begun else "before its commit point"
        if not applying:
            what = "finishes it" if begun else "puts back what it had written"
            self.excused = {record["path"] for record in left.records if record["r"] == "was"}
            self._left = None if begun else left
            self.link.say("notice", text=f"{who} {where}; the next apply {what}")
            return
        policy_rc_d.release(self.tree, self.say)
        staging.complete(self.tree, left)
        if left.committed:
            from mailprov.agent import history

            self.continues = history.finish(left, self.say)
            what = "this run finishes it" if self.job["mode"] == "apply" else "the next apply finishes it"
            self.link.say(
                "notice", text=f"{who} {where}; {what if self.continues else 'its end was made up for'}"
            )
            return
        count = left.undo()
        if left.first("begin").get("kind") == "rollback":
            from mailprov.agent.transaction import rollback

            rollback.restart_stopped(left, self.say)
        left.close("interrupted; what it had written was put back")
        paths = f"{count} path{'' if count == 1 else 's'}"
        self.link.say("notice", text=f"{who} {where}; what it had written was put back ({paths})")


def _explain(error: Exception) -> Tuple[str, str, List[str]]:
    """An error that nobody foresaw, as what, advice and output; without any values, which may be secrets."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}", "mend that on the host, then try again", []
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    what = f"the agent met an unforeseen {type(error).__name__} at {places[-1]}"
    return what, "report this as a bug in mailprov", places
