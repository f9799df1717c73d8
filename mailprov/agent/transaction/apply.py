"""An apply: makes a plan true, or leaves the host as it was.

    apply(run) -> None      packages, users, directories; accounts, certificates and files beside their places;
                            checks; all files to their places; commit point; services, ports, reading the state
                            again, manifest

Installed packages and made users stay where it is undone. Raises AgentError or Cancelled.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from mailprov.agent import files, manifest, systemd
from mailprov.agent.apt import installation, packages
from mailprov.agent.changes import Change, Work
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError, joined
from mailprov.agent.journal import Journal
from mailprov.agent.plan import drift, local_settings
from mailprov.agent.plan.diff import Plan
from mailprov.agent.resources import accounts, acme, bans, dkim_keys, obsolete_services
from mailprov.agent.system import make_user
from mailprov.agent.transaction import daemons, writing
from mailprov.agent.transaction.base import Spec, Transaction, still_differs

_COUNTS_EARLIER = (
    "fail2ban could not be told to count from now on: wrong passwords of the last ten minutes count, too"
)


def apply(run: ApplyContext) -> None:
    """Do the plan. Raises AgentError or Cancelled; the session counts the changes that were made."""
    record = Apply(run).run(run.begin, run.zones)
    for change in run.plan.drifted:
        copy = record.copy_of(change["name"])
        if copy:
            run.session.notice(f"{change['name']} as it was edited by hand is kept in {copy}")


class Apply(Transaction):
    def __init__(self, context: ApplyContext) -> None:
        super().__init__(context.session)
        self.context, self.plan, self.manifest = context, context.plan, context.manifest

    def specs(self) -> List[Spec]:
        return [work.spec for work in self.plan.services]

    def checked_specs(self) -> List[Spec]:
        return [work.spec for work in self.plan.services if work.spec["checks"]]

    def before_commit(self, record: Journal) -> None:
        context, plan = self.context, self.plan
        self.check()
        self._still_as_planned()
        if plan.packages:
            self._install(record)
        if plan.users:
            record.note({"r": "users", "names": [work.spec["name"] for work in plan.users]})
        for work in plan.users:
            self.check()
            make_user(work)
            self.applied(work.changes)
        record.remember(_paths(plan))
        if plan.services or plan.retiring:
            was = [self._snapshot(work) for work in [*plan.retiring, *plan.services]]
            record.note({"r": "services", "was": was})
        for work in plan.directories:
            self.check()
            spec = work.spec
            real = self.tree.at(spec["path"])
            _parents(real)
            files.make_directory(real, int(spec["mode"], 8), *files.ids(spec["owner"], spec["group"]))
            self.applied(work.changes)
        for work in plan.placeholders:
            acme.placeholder(self.tree, work.spec, record.directory)
            self.applied(work.changes)
        self.put_in_place(record, writing.staged(context, record.directory))

    def before_swap(self) -> None:
        self.context.passwords.save()
        self.manifest.describe(self.context.state, self.plan.digests, self.plan.known)
        self.manifest.save()

    def committed(self) -> Sequence[Change]:
        plan = self.plan
        kinds = (plan.keys, plan.certificates, plan.files, plan.accounts, plan.leaving)
        return [change for kind in kinds for work in kind for change in work.changes]

    def failed(self) -> None:
        self.manifest.save()

    def _install(self, record: Journal) -> None:
        plan = self.plan
        names = [work.spec["name"] for work in plan.packages]
        self.say(f"installing {len(names)} package{'s' if len(names) > 1 else ''}")
        record.note({"r": "packages", "names": names})
        assert plan.observed is not None
        units = plan.observed.units
        installation.hold_units(self.tree, [unit for unit in units if units[unit].load == "not-found"])
        installation.install(
            self.tree,
            names,
            debconf=self.context.state["debconf"],
            lists=self.context.lists,
            log=record.directory + "/apt.log",
            say=self.say,
            check=self.check,
        )
        self.applied([change for work in plan.packages for change in work.changes])
        self._versions()

    def _still_as_planned(self) -> None:
        """People take their time to say go, and an edit made meanwhile must not be lost."""
        for work in [*self.plan.files, *self.plan.accounts, *self.plan.leaving]:
            path = work.spec["path"]
            data = files.read(self.tree.at(path))
            if (files.sha256(data) if data is not None else None) != self.plan.digests.get(path):
                raise AgentError(
                    f"{path} was changed after the plan was made", "look at the new plan, then apply again"
                )
        for path, digest in self.plan.locals.items():
            own = local_settings.read(self.tree, path)
            if digest != ("absent" if own is None else files.sha256(own)):
                raise AgentError(
                    f"{path} was changed after the plan was made", "look at the new plan, then apply again"
                )

    def _versions(self) -> None:
        """The state was made for certain versions; what got installed must be these."""
        wanted = self.context.state["rendered_for"]
        found = packages.query([name for name, _ in wanted], self.context.lists, self.say)
        for name, prefix in wanted:
            version = found[name]["installed"] or ""
            if not packages.version_matches(version, prefix):
                seen = f"{name} {version or '(nothing)'} got installed"
                what = f"{seen}, and the configuration was made for {prefix}"
                raise AgentError(what, "run again: the new plan starts from what is installed now")

    def after_commit(self) -> None:
        plan = self.plan
        released = installation.release_units(self.tree, [work.spec["unit"] for work in plan.services])
        units = [
            work for work in [*plan.files, *plan.leaving] if work.spec["path"].startswith("/etc/systemd/")
        ]
        if released or units:
            systemd.reload_systemd()
        failures: List[AgentError] = []
        for work in plan.services:
            spec, (enable, verb) = work.spec, work.data
            try:
                if enable:
                    systemd.enable(work.spec["unit"])
                if spec.get("counts") and not bans.count_from_now(spec["counts"]):
                    self.context.session.notice(_COUNTS_EARLIER)
                if verb:
                    self.say(
                        f"{verb}ing {work.spec['unit']}"
                        if verb != "start"
                        else f"starting {work.spec['unit']}"
                    )
                    systemd.act(work.spec, verb)
                if spec.get("unban"):
                    bans.lift(spec["unban"])
            except AgentError as stop:
                failures.append(stop)
                continue
            assert plan.observed is not None
            unit = work.spec["unit"]
            self.manifest.loaded(unit, self._loaded(work), ran=plan.observed.units[unit].runs)
            self.applied(work.changes)
        for work in plan.retiring:  # last: nobody asks them any more
            self.say(f"{'stopp' if work.data == 'stop' else work.data}ing {work.spec['unit']}")
            try:
                obsolete_services.retire(work)
            except AgentError as stop:
                failures.append(stop)
                continue
            self.applied(work.changes)
        if failures:
            raise joined(failures)
        daemons.await_passwd_reload(self.tree, [work.spec["path"] for work in plan.accounts])
        self._read_again()

    def _snapshot(self, work: Work) -> Dict[str, Any]:
        assert self.plan.observed is not None
        verb = "" if isinstance(work.data, str) else work.data[1]
        state = self.plan.observed.units[work.spec["unit"]]
        return systemd.snapshot(work.spec, verb, state, self.plan.observed.ports)

    def _loaded(self, work: Work) -> Dict[str, str]:
        """Digests of what the unit has just read: packages may have brought files since the plan."""
        loaded = {}
        for path in (*work.spec["files"], *work.spec["restart_on"]):
            data = files.read(self.tree.at(path), follow=True)
            loaded[path] = files.sha256(data) if data is not None else "absent"
        return loaded

    def _read_again(self) -> None:
        """The proof: nothing is left to change."""
        self.manifest.keep_services({spec["unit"] for spec in self.context.state["services"]})
        left = self.context.again()
        if left.transaction:
            raise still_differs("done", left.transaction)
        self.manifest.describe(self.context.state, left.digests, left.known)
        self.context.passwords.save()
        self.manifest.save()
        drift.keep(self.tree, self.manifest, self.channel.mask)


def _paths(plan: Plan) -> List[str]:
    """Everything that is about to change, for the journal; the agent's own records among it."""
    paths = [manifest.PATH, accounts.FINGERPRINTS, accounts.PEPPER]
    paths += [work.spec["path"] for work in [*plan.directories, *plan.files, *plan.accounts, *plan.leaving]]
    for work in plan.keys:
        paths += dkim_keys.paths(work.spec)
    for work in plan.certificates:
        paths += [work.spec["certificate"], work.spec["key"]]
    return paths


def _parents(real: str) -> None:
    for parent in files.missing_parents(real):
        files.make_directory(parent)
