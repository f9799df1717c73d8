"""Every new file of an apply beside its place, where no daemon sees it yet.

    staged(run, private) -> Stage     accounts, keys, certificates, files; `private` is a directory for what is secret

New passwords are hashed here, and self-signed certificates made.

Raises AgentError and Cancelled: nothing is in place then.
"""

from __future__ import annotations

import time

from mailprov.agent import files
from mailprov.agent.changes import Work
from mailprov.agent.context import ApplyContext
from mailprov.agent.resources import accounts, certificates, dkim_keys
from mailprov.agent.transaction import staging


def staged(run: ApplyContext, private: str) -> staging.Stage:
    """Every new file beside its place. Accounts first: no address may be accepted before its mailbox has an owner."""
    stage = staging.Stage(run.tree)
    works = [*run.plan.accounts, *run.plan.keys, *run.plan.certificates, *run.plan.files]
    if works:
        run.say(f"writing {len(works)} file{'s' if len(works) > 1 else ''}")
    for work in works:
        run.check()
        if "certificate" in work.spec:
            _certificate(run, work, stage, private)
        elif "public" in work.spec:
            _signing_key(run, work, stage)
        else:
            _file(run, work, stage)
    for work in run.plan.leaving:
        stage.drop(work.spec["path"])
        run.plan.digests.pop(work.spec["path"], None)
    return stage


def _file(run: ApplyContext, work: Work, stage: staging.Stage) -> None:
    spec, content = work.spec, work.data
    path, mode = spec["path"], int(spec["mode"], 8)
    owner = files.ids(spec["owner"], spec["group"])
    if isinstance(content, tuple):
        lines, rewrite = content
        content = accounts.render(spec, lines, run.passwords, run.check) if rewrite else None
    if content is None:
        stage.own(path, mode, *owner)
        return
    # Postfix waits until a file is two seconds old, for fear of half-written ones; these never are.
    stage.put(path, content, mode, *owner, mtime_ns=time.time_ns() - 3 * 10**9)
    run.plan.digests[path] = files.sha256(content)


def _certificate(run: ApplyContext, work: Work, stage: staging.Stage, private: str) -> None:
    spec = work.spec
    certificate, key = spec["certificate"], spec["key"]
    owner = (-1, -1) if run.tree.root else (0, 0)
    if not work.data:
        stage.own(certificate, 0o644, *owner)
        stage.own(key, 0o600, *owner)
        return
    made = certificates.make(spec, private)
    run.plan.known[certificate] = certificates.describe(stage.put(certificate, made[0], 0o644, *owner))
    stage.put(key, made[1], 0o600, *owner)
    for path, data in ((certificate, made[0]), (key, made[1])):
        run.plan.digests[path] = files.sha256(data)


def _signing_key(run: ApplyContext, work: Work, stage: staging.Stage) -> None:
    spec = work.spec
    for path in dkim_keys.paths(spec):
        group, mode = ("root", 0o644) if path == spec["public"] else (spec["group"], 0o640)
        owner = (-1, -1) if run.tree.root else files.ids("root", group)
        if work.data is None:
            stage.own(path, mode, *owner)
        else:
            stage.put(path, work.data[path], mode, *owner)
            run.plan.digests[path] = files.sha256(work.data[path])
