"""Makes a plan true, or leaves the host as it was.

    apply(run) -> None          packages, users, directories; accounts, certificates and files beside their places;
                                checks; all files to their places; commit point; services, ports, reading the
                                state again, manifest
    put_back(session, record, error)    what happens before the commit point when that fails
    why(error), ended(session)      the words of the history for a run that was undone, and for one that was done

Before the commit point every AgentError, Cancelled or other exception puts back all files, directories and modes,
and goes on to the caller; installed packages and made users stay. After it the agent finishes whatever the
controller does.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Dict, List, Sequence

from mailprov.agent import channel, files, journal, manifest, services
from mailprov.agent.apt import installation, packages, policy_rc_d
from mailprov.agent.changes import Work
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError, Cancelled
from mailprov.agent.plan import drift, local_settings
from mailprov.agent.plan.diff import Plan
from mailprov.agent.resources import accounts, acme, bans, dkim_keys, obsolete_services
from mailprov.agent.session import Session
from mailprov.agent.system import make_user
from mailprov.agent.transaction import daemons, staging, writing


def apply(run: ApplyContext) -> None:
    """Do the plan. Raises AgentError or Cancelled; `run.done` counts the changes that were made."""
    record = journal.begin(run.tree, **run.begin)
    if run.zones:
        record.note({"r": "zones", "zones": run.zones})
    run.channel.log_to(record.directory + "/events")
    try:
        _before_commit(run, record)
        record.commit()
    except BaseException as error:
        put_back(run.session, record, error)
        raise
    for kind in (run.plan.keys, run.plan.certificates, run.plan.files, run.plan.accounts, run.plan.leaving):
        for work in kind:
            run.applied(work.changes)
    try:
        _after_commit(run)
    except AgentError:
        run.manifest.save()
        record.close("failed after the commit point", run.session.done)
        raise
    record.close(ended(run.session), run.session.done)
    for change in run.plan.drifted:
        copy = record.copy_of(change["name"])
        if copy:
            run.session.notice(f"{change['name']} as it was edited by hand is kept in {copy}")


def ended(session: Session) -> str:
    """How the history tells a run that came to its end."""
    return "ok" if not session.channel.lost else journal.ALONE


def why(error: BaseException) -> str:
    """In a few words, for the history."""
    if isinstance(error, Cancelled):
        words = {"cancelled": "interrupted by the user", channel.LOST: journal.NO_CONTROLLER}
        return words.get(str(error), str(error))
    said = (
        error.what if isinstance(error, AgentError) else error.strerror if isinstance(error, OSError) else ""
    )
    if not said:
        return f"an error in mailprov ({type(error).__name__})"
    full = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
    return "disk full" if any(one in said for one in full) else said[:200]


def put_back(session: Session, record: journal.Journal, error: BaseException) -> None:
    """The end of a run that failed or was stopped before its commit point."""
    policy_rc_d.release(session.tree, session.say)
    try:
        if record.first("swap"):
            record.note({"r": "back"})
        count = record.undo()
        daemons.reload(session.tree, staging.readers_of(record) if record.first("swap") else ())
    except OSError as problem:
        raise AgentError(
            f"{error}; and putting back failed: {problem.strerror}", "the next apply tries again"
        ) from error
    record.close("undone: " + session.channel.mask(why(error)))
    session.done = 0
    if isinstance(error, AgentError) and record.first("was"):
        how = "everything was put back" if count else "the configuration was left as it was"
        error.what += f"; {how}, and the host serves as before"
    elif isinstance(error, Cancelled) and count:
        error.args = (f"{error}; what had been written was put back",)


def _before_commit(run: ApplyContext, record: journal.Journal) -> None:
    plan, tree, check = run.plan, run.tree, run.check
    check()
    _still_as_planned(run)
    if plan.packages:
        names = [work.spec["name"] for work in plan.packages]
        run.say(f"installing {len(names)} package{'s' if len(names) > 1 else ''}")
        record.note({"r": "packages", "names": names})
        log = record.directory + "/apt.log"
        assert plan.observed is not None
        units = plan.observed.units
        installation.hold_units(tree, [unit for unit in units if units[unit].load == "not-found"])
        installation.install(
            tree,
            names,
            debconf=run.state["debconf"],
            lists=run.lists,
            log=log,
            say=run.say,
            check=check,
        )
        run.applied([change for work in plan.packages for change in work.changes])
        _versions(run)
    if plan.users:
        record.note({"r": "users", "names": [work.spec["name"] for work in plan.users]})
    for work in plan.users:
        check()
        make_user(work)
        run.applied(work.changes)
    record.remember(_paths(plan))
    if plan.services or plan.retiring:
        was = [_before(plan, work) for work in [*plan.retiring, *plan.services]]
        record.note({"r": "services", "was": was})
    for work in plan.directories:
        check()
        spec = work.spec
        real = tree.at(spec["path"])
        _parents(real)
        files.make_directory(real, int(spec["mode"], 8), *files.ids(spec["owner"], spec["group"]))
        run.applied(work.changes)
    for work in plan.placeholders:
        acme.placeholder(tree, work.spec, record.directory)
        run.applied(work.changes)
    stage = writing.staged(run, record.directory)
    checked = _checked(run, stage)
    run.passwords.save()
    run.manifest.describe(run.state, plan.digests, plan.known)
    run.manifest.save()
    check()
    specs = [work.spec for work in plan.services]
    moves = daemons.in_order(tree, stage.moves, specs)
    record.note({"r": "swap", "moves": moves, "checked": checked})
    staging.swap(tree, moves, specs if checked else ())
    if not checked:
        _check(run, ())
        daemons.reload(tree, specs)


def _checked(run: ApplyContext, stage: staging.Stage) -> bool:
    """The daemons' own checks before anything is in its place; False where this host allows no such view."""
    if not any(work.spec["checks"] for work in run.plan.services):
        return True
    with stage.view() as prefix:
        if prefix is not None:
            _check(run, prefix)
        return prefix is not None


def _check(run: ApplyContext, prefix: Sequence[str]) -> None:
    for work in run.plan.services:
        run.check()
        if work.spec["checks"]:
            run.say(f"checking the configuration of {work.spec['unit']}")
            services.check(work.spec, prefix)


def _still_as_planned(run: ApplyContext) -> None:
    """People take their time to say go, and an edit made meanwhile must not be lost."""
    for work in [*run.plan.files, *run.plan.accounts, *run.plan.leaving]:
        path = work.spec["path"]
        data = files.read(run.tree.at(path))
        if (files.sha256(data) if data is not None else None) != run.plan.digests.get(path):
            raise AgentError(
                f"{path} was changed after the plan was made", "look at the new plan, then apply again"
            )
    for path, digest in run.plan.locals.items():
        own = local_settings.read(run.tree, path)
        if digest != ("absent" if own is None else files.sha256(own)):
            raise AgentError(
                f"{path} was changed after the plan was made", "look at the new plan, then apply again"
            )


def _versions(run: ApplyContext) -> None:
    """The state was made for certain versions; what got installed must be these."""
    wanted = run.state["rendered_for"]
    found = packages.query([name for name, _ in wanted], run.lists, run.say)
    for name, prefix in wanted:
        version = found[name]["installed"] or ""
        if not packages.version_matches(version, prefix):
            seen = f"{name} {version or '(nothing)'} got installed"
            what = f"{seen}, and the configuration was made for {prefix}"
            raise AgentError(what, "run again: the new plan starts from what is installed now")


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


_COUNTS_EARLIER = (
    "fail2ban could not be told to count from now on: wrong passwords of the last ten minutes count, too"
)


def _after_commit(run: ApplyContext) -> None:
    plan = run.plan
    released = installation.release_units(run.tree, [work.spec["unit"] for work in plan.services])
    units = [work for work in [*plan.files, *plan.leaving] if work.spec["path"].startswith("/etc/systemd/")]
    if released or units:
        services.reload_systemd()
    failures: List[AgentError] = []
    for work in plan.services:
        spec, (enable, verb) = work.spec, work.data
        try:
            if enable:
                services.enable(work.spec["unit"])
            if spec.get("counts") and not bans.count_from_now(spec["counts"]):
                run.session.notice(_COUNTS_EARLIER)
            if verb:
                run.say(
                    f"{verb}ing {work.spec['unit']}" if verb != "start" else f"starting {work.spec['unit']}"
                )
                services.act(work.spec, verb)
            if spec.get("unban"):
                bans.lift(spec["unban"])
        except AgentError as stop:
            failures.append(stop)
            continue
        assert plan.observed is not None
        unit = work.spec["unit"]
        run.manifest.loaded(unit, _loaded(run, work), ran=plan.observed.units[unit].runs)
        run.applied(work.changes)
    for work in plan.retiring:  # last: nobody asks them any more
        run.say(f"{'stopp' if work.data == 'stop' else work.data}ing {work.spec['unit']}")
        try:
            obsolete_services.retire(work)
        except AgentError as stop:
            failures.append(stop)
            continue
        run.applied(work.changes)
    if failures:
        first = failures[0]
        first.what = "; ".join(stop.what for stop in failures)
        first.output = [line for stop in failures for line in stop.output]
        raise first
    daemons.await_passwd_reload(run.tree, [work.spec["path"] for work in plan.accounts])
    _read_again(run)


def _before(plan: Plan, work: Work) -> Dict[str, Any]:
    """What a rollback must know: how the unit was before this run, and how it reads its files again."""
    assert plan.observed is not None
    state, listening = plan.observed.units[work.spec["unit"]], plan.observed.ports
    return {
        "spec": work.spec,
        "verb": "" if isinstance(work.data, str) else work.data[1],
        "load": state.load,
        "enabled": state.starts_at_boot,
        "runs": state.runs,
        "listening": sorted(set(work.spec["ports"]) & listening),
    }


def _loaded(run: ApplyContext, work: Work) -> Dict[str, str]:
    """Digests of what the unit has just read: packages may have brought files since the plan."""
    loaded = {}
    for path in (*work.spec["files"], *work.spec["restart_on"]):
        data = files.read(run.tree.at(path), follow=True)
        loaded[path] = files.sha256(data) if data is not None else "absent"
    return loaded


def _read_again(run: ApplyContext) -> None:
    """The proof: nothing is left to change."""
    run.manifest.keep_services({spec["unit"] for spec in run.state["services"]})
    left = run.again()
    if left.transaction:
        names = ", ".join(f"{change['kind']} {change['name']}" for change in left.transaction[:5])
        raise AgentError(
            f"after everything was done the host still differs: {names}",
            "something else on the host changes it; look at the plan",
            [f"{change['name']}: {change['detail']}" for change in left.transaction],
        )
    run.manifest.describe(run.state, left.digests, left.known)
    run.passwords.save()
    run.manifest.save()
    drift.keep(run.tree, run.manifest, run.channel.mask)
