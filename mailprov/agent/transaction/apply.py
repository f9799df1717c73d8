"""An apply: makes a plan true, or leaves the host as it was.

    apply(run, plan, …) -> None     packages, users, directories; accounts, keys, certificates and files beside their
                                    places; checks; all files to their places; commit point; services, ports, reading
                                    the state again, manifest

Installed packages and made users stay where it is undone. Raises AgentError or Cancelled.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

from mailprov.agent import files, manifest, systemd
from mailprov.agent.apt import installation
from mailprov.agent.changes import Change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError, joined
from mailprov.agent.journal import Journal
from mailprov.agent.plan.diff import Plan
from mailprov.agent.resources import drift, local_settings, packages, passwd_file, unwanted_services
from mailprov.agent.resources.accounts import Accounts
from mailprov.agent.resources.base import Made, Resource, Running, Staged
from mailprov.agent.resources.obsolete_services import ObsoleteService
from mailprov.agent.resources.packages import Package
from mailprov.agent.resources.registry import entries
from mailprov.agent.resources.services import Service
from mailprov.agent.resources.unwanted_services import UnwantedService
from mailprov.agent.resources.users import User
from mailprov.agent.sentences import _, ngettext
from mailprov.agent.transaction import daemons
from mailprov.agent.transaction.base import Spec, Transaction, still_differs
from mailprov.agent.transaction.staging import Stage


def apply(
    run: ApplyContext,
    plan: Plan,
    *,
    begin: Dict[str, Any],
    zones: Sequence[Dict[str, Any]],
    again: Callable[[], Plan],
) -> None:
    """`begin` and `zones` are for the journal; `again` compares state and host anew. The session counts the changes."""
    record = Apply(run, plan, again).run(begin, zones)
    for change in plan.drifted:
        copy = record.copy_of(change["name"])
        if copy:
            run.session.notice(
                _("{path} as it was edited by hand is kept in {copy}").format(path=change["name"], copy=copy)
            )


class Apply(Transaction):
    def __init__(self, context: ApplyContext, plan: Plan, again: Callable[[], Plan]) -> None:
        super().__init__(context.session)
        self.context, self.plan, self.again = context, plan, again
        self.manifest = context.manifest

    def specs(self) -> List[Spec]:
        return [service.spec for service in self.plan.of(Service)]

    def checked_specs(self) -> List[Spec]:
        return [spec for spec in self.specs() if spec["checks"]]

    def before_commit(self, record: Journal) -> None:
        plan = self.plan
        self.context.private = record.directory
        self.check()
        self._still_as_planned()
        if plan.of(Package):
            names = [package.name for package in plan.of(Package)]
            self.say(
                ngettext("installing {count} package", "installing {count} packages", len(names)).format(
                    count=len(names)
                )
            )
            record.note({"r": "packages", "names": names})
            packages.install(plan.of(Package), self.context, record.directory + "/apt.log")
        if plan.of(User):
            record.note({"r": "users", "names": [user.spec["name"] for user in plan.of(User)]})
        self._put(plan.of(User))
        own = [manifest.PATH, passwd_file.FINGERPRINTS, passwd_file.PEPPER]
        record.remember([*own, *(path for one in plan.resources for path in one.paths())])
        units: List[Running] = [*plan.of(UnwantedService), *plan.of(ObsoleteService), *plan.of(Service)]
        if units:
            record.note({"r": "services", "was": [unit.snapshot(plan.observed) for unit in units]})
        self._put(plan.of(Made))
        self.put_in_place(record, self._staged())

    def _put(self, resources: Sequence[Resource]) -> None:
        for one in resources:
            self.check()
            one.put(self.context)
            self.applied(one.changes)

    def _staged(self) -> Stage:
        """Every new file beside its place, where no daemon sees it yet."""
        stage = Stage(self.tree)
        staged = sorted(self.plan.of(Staged), key=lambda one: one.stage_order)
        count = sum(one.stage_order < 2 for one in staged)
        if count:
            self.say(ngettext("writing {count} file", "writing {count} files", count).format(count=count))
        for one in staged:
            self.check()
            one.stage(self.context, stage)
        return stage

    def before_swap(self) -> None:
        self.context.passwords.save()
        self.manifest.describe(entries(self.context.state), self.context.digests, self.context.known)
        self.manifest.save()

    def committed(self) -> Sequence[Change]:
        return [change for one in self.plan.of(Staged) for change in one.changes]

    def failed(self) -> None:
        self.manifest.save()

    def _still_as_planned(self) -> None:
        """People take their time to say go, and an edit made meanwhile must not be lost."""
        for path in (path for one in self.plan.of(Staged) for path in one.as_planned()):
            data = files.read(self.tree.at(path))
            if (files.sha256(data) if data is not None else None) != self.plan.digests.get(path):
                raise _changed_meanwhile(path)
        for path, digest in self.plan.locals.items():
            theirs = local_settings.read(self.tree, path)
            if digest != ("absent" if theirs is None else files.sha256(theirs)):
                raise _changed_meanwhile(path)

    def after_commit(self) -> None:
        of = self.plan.of
        released = installation.release_units(self.tree, [spec["unit"] for spec in self.specs()])
        written = [path for one in of(Staged) for path in one.paths()]
        if released or any(path.startswith("/etc/systemd/") for path in written):
            systemd.reload_systemd()
        failures: List[AgentError] = []
        # What is obsolete comes last: then nobody asks it any more.
        for one in [*of(UnwantedService), *of(Service), *of(ObsoleteService)]:
            try:
                one.serve(self.context)
            except AgentError as error:
                failures.append(error)
        if failures:
            raise joined(failures)
        daemons.await_passwd_reload(self.tree, [path for one in of(Accounts) for path in one.paths()])
        self._read_again()

    def _read_again(self) -> None:
        """The proof: nothing is left to change."""
        self.manifest.keep_services({spec["unit"] for spec in self.context.state["services"]})
        left = self.again()
        self.manifest.unwanted = unwanted_services.as_they_are(self.context.state, left.observed.units)
        if left.transaction:
            raise still_differs(left.transaction)
        self.manifest.describe(entries(self.context.state), left.digests, left.known)
        self.context.passwords.save()
        self.manifest.save()
        drift.keep(self.tree, self.manifest, self.channel.redact)


def _changed_meanwhile(path: str) -> AgentError:
    return AgentError(
        _("{path} was changed after the plan was made").format(path=path),
        _("look at the new plan, then apply again"),
    )
