"""Mode queue_act: messages of the queue are tried again, held, released or deleted: each one named, and none else.

    act(session)                  plans, waits for go, acts
    put_right(session, left)      what a killed run had on hold while it deleted is released again

A short queue id is used again after its message has gone. So a message is known by its id, the time when it arrived and
its sender, as postcat(1) has them, and is compared before anything is done to it; what is to be deleted is held first,
because nothing delivers it then, and its id stays its own: postsuper(1) by itself may hit another message (WARNING in
its manual page). All programs are called with one id that ids.py knows for a whole one; there is no way to name more.

The text of a deleted message stays beside the journal of the run, for as long as the history has it (agent/runs.py).
Nothing of this reaches a commit point: there is nothing that a rollback could undo.

Raises AgentError or Cancelled.
"""

from __future__ import annotations

import calendar
import hashlib
import os
import re
import shlex
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from mailprov.agent import commands, files, journal, runs, streaming
from mailprov.agent.changes import Change, change
from mailprov.agent.errors import AgentError
from mailprov.agent.journal import Journal
from mailprov.agent.mail_queue import ids, reading, telling
from mailprov.agent.mail_queue.reading import Instance, Message
from mailprov.agent.sentences import N_, _, joined, ngettext
from mailprov.agent.session import Session
from mailprov.agent.trees import readable

ACTIONS = {
    "flush": ("update", N_("try again now")),
    "hold": ("update", N_("hold")),
    "release": ("update", N_("release")),
    "delete": ("delete", N_("delete")),
}
# What is as wanted already, and what cannot be done where a message is now.
_ALREADY = {
    "flush": {"active": N_("{id} is being delivered now"), "incoming": N_("{id} is about to be delivered")},
    "hold": {"hold": N_("{id} is held already")},
    "release": {queue: N_("{id} is not held") for queue in ("active", "deferred", "incoming", "maildrop")},
    "delete": {},
}  # type: Dict[str, Dict[str, str]]
_NOT_HERE = N_("{id} was not taken in by Postfix yet, so nothing was done to it")
_CANNOT = {
    "flush": {"hold": N_("{id} is held, so nothing was done to it"), "maildrop": _NOT_HERE},
    "hold": {"maildrop": _NOT_HERE},
    "release": {},
    "delete": {"maildrop": _NOT_HERE},
}  # type: Dict[str, Dict[str, str]]
_ADVICE = {
    "hold": N_("release it, and it is tried again"),
    "maildrop": N_("it waits in maildrop: see whether Postfix runs on the host, then try again"),
}
_NAMED = 5  # recipients in a line
_PATIENCE = 120  # seconds for a program of Postfix
_ARRIVED = re.compile(r"^message_arrival_time: (.*)$", re.MULTILINE)
_SENDER = re.compile(r"^sender: ?(.*)$", re.MULTILINE)
_COPY = ".eml"
_RECIPIENTS = ".recipients"


class Envelope(NamedTuple):
    """Who a message is, beside its id."""

    arrived: int
    sender: str


class Task(NamedTuple):
    message: Message
    envelope: Envelope


def act(session: Session) -> None:
    """The whole rest of the conversation, except `end`."""
    for name in session.job.ids:
        if not ids.is_id(name):  # the controller refuses it as well
            raise AgentError(_("{id} is not a queue id").format(id=repr(name)[:80]))
    if session.job.action not in ACTIONS or not (session.job.ids or session.job.action == "flush"):
        raise AgentError(_("no message is named"))
    (_Acting(session) if session.job.ids else _Flush(session)).work()


class _Flush:
    """All that is deferred on this host."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def work(self) -> None:
        session = self.session
        counts, everything = self._counts()
        count = sum(counts.values())
        compared = ngettext("{count} message in the queue", "{count} messages in the queue", everything)
        detail = ngettext("{count} message: try again now", "{count} messages: try again now", count)
        changes = [change("message", "update", "deferred", detail.format(count=count))]
        told = {"compared": compared.format(count=everything), "fingerprint": f"flush {count}"}
        session.channel.say("plan", changes=changes if count else [], waits=bool(count), **told)
        if not count:
            return
        session.await_go(f"flush {count}", _changed())
        record = journal.begin(
            session.tree, session.job.owner, run=session.job.run, kind="queue", action="flush", ids=[]
        )
        try:
            for instance in counts:
                _run(instance.argv("postqueue", "-f"))
        except AgentError as error:
            record.close(f"failed: {error.what}")
            raise
        record.close("ok", 1)
        session.applied(changes)

    def _counts(self) -> Tuple[Dict[Instance, int], int]:
        counts, everything = {}, 0
        for instance in reading.instances(self.session.tree):
            deferred = 0
            for message in instance.messages(self.session.check):
                everything += 1
                deferred += message is not None and message.queue == "deferred"
            if deferred:
                counts[instance] = deferred
        return counts, everything


class _Acting:
    def __init__(self, session: Session) -> None:
        self.session, self.action = session, session.job.action
        self.gone: List[str] = []  # they were there when they were shown
        self.done = 0

    def work(self) -> None:
        session, channel = self.session, self.session.channel
        found, everything = self._find()
        if found:
            channel.say("queued", messages=[telling.told(one) for one in found])
        tasks = []
        for message in found:
            if cannot := _CANNOT[self.action].get(message.queue):
                raise AgentError(_(cannot).format(id=message.id), _(_ADVICE[message.queue]))
            already = _ALREADY[self.action].get(message.queue)
            envelope = None if already else _envelope(message.instance, message.id)
            if already:
                session.notice(_(already).format(id=message.id))
            elif envelope is not None and envelope.arrived == message.arrived:
                tasks.append(Task(message, envelope))
            else:
                self.gone.append(message.id)
        work = [(task, self._change(task.message)) for task in tasks]
        fingerprint = _fingerprint(self.action, tasks)
        compared = ngettext("{count} message in the queue", "{count} messages in the queue", everything)
        told = {"compared": compared.format(count=everything), "fingerprint": fingerprint}
        channel.say("plan", changes=[one for _task, one in work], waits=bool(work), **told)
        if work:
            session.await_go(fingerprint, _changed())
            session.check()
            self._do(work)
        if self.gone:
            raise _gone(self.gone, self.action)

    def _find(self) -> Tuple[List[Message], int]:
        wanted, found, everything = set(self.session.job.ids), {}, 0  # type: ignore[var-annotated]
        for instance in reading.instances(self.session.tree):
            for message in instance.messages(self.session.check):
                everything += 1
                if message is None or message.id not in wanted:
                    continue
                if message.id in found and found[message.id].instance is not message.instance:
                    raise AgentError(
                        _("{id} is in the queues of two instances of Postfix on this host").format(
                            id=message.id
                        ),
                        _("act on the host: postsuper -c DIRECTORY says which of them is meant"),
                    )
                found[message.id] = message  # one that moves on meanwhile may be read twice
        return list(found.values()), everything

    def _change(self, message: Message) -> Change:
        kind, word = ACTIONS[self.action]
        to = [one.address for one in message.recipients[:_NAMED]]
        if more := message.total - len(to):
            to.append(ngettext("{count} more", "{count} more", more).format(count=more))
        form = _("{action}: from {sender} to {recipients}; {size}, of {time}, {queue}")
        detail = form.format(
            action=_(word),
            sender=message.sender or "<>",
            recipients=joined(to),
            size=readable(message.size),
            time=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(message.arrived)),
            queue="held" if message.queue == "hold" else message.queue,
        )
        return change("message", kind, message.id, detail)

    def _do(self, work: Sequence[Tuple[Task, Change]]) -> None:
        session, job = self.session, self.session.job
        begin = {"kind": "queue", "action": self.action, "ids": [task.message.id for task, _made in work]}
        record = journal.begin(session.tree, job.owner, run=job.run, **begin)
        made, copies = [], []  # type: List[Change], List[Task]
        try:
            for task, one in work:
                if self._one(record, task):
                    made.append(one)
                    copies += [task] if self.action == "delete" else []
                else:
                    self.gone.append(task.message.id)
        except AgentError as error:
            put_right(session, record)
            record.close(f"failed: {error.what}", len(made))
            self._tell(record, made, copies)
            raise
        record.close("ok", len(made))
        self._tell(record, made, copies)

    def _tell(self, record: Journal, made: Sequence[Change], copies: Sequence[Task]) -> None:
        self.session.applied(made)
        if copies:
            self.session.notice(_copied(record, [task.message for task in copies]))

    def _one(self, record: Journal, task: Task) -> bool:
        """False where it is not in the queue any more, as it was shown."""
        message, instance = task.message, task.message.instance
        record.note(
            {
                "r": "message",
                "id": message.id,
                "instance": instance.directory,
                "was": message.queue,
                "arrived": task.envelope.arrived,
                "sender": task.envelope.sender,
            }
        )
        if _envelope(instance, message.id) != task.envelope:
            return False
        if self.action == "flush":
            _run(instance.argv("postqueue", "-i", message.id))
        elif self.action == "release":
            _run(instance.argv("postsuper", "-H", message.id))
        else:
            if message.queue != "hold":
                _run(instance.argv("postsuper", "-h", message.id))
            if _envelope(instance, message.id) != task.envelope:  # its last delivery, and the id taken anew
                _release(instance, message.id)
                return False
            if self.action == "delete":
                self._delete(record, message)
        record.note({"r": "done", "id": message.id})
        return True

    def _delete(self, record: Journal, message: Message) -> None:
        """It is held, so nobody else takes it away."""
        path = f"{record.directory}/{message.id}"
        argv = message.instance.argv("postcat", "-b", "-h", "-q", message.id)
        try:
            copied = streaming.to_file(argv, path + _COPY)
            whole = not copied.code and os.stat(path + _COPY).st_size > 0
            everybody = "".join(f"{one.address}\n" for one in message.recipients)
            files.write(path + _RECIPIENTS, everybody.encode("utf-8", "backslashreplace"), 0o600)
        except OSError as error:
            whole, copied = False, commands.Outcome(1, "", error.strerror or "")
        if not whole:
            files.remove(path + _COPY)
            files.remove(path + _RECIPIENTS)
            raise AgentError(
                _("no copy of {id} could be kept, so it was not deleted: {error}").format(
                    id=message.id, error=(copied.lines(1) or ["postcat printed nothing"])[0]
                ),
                _("make room on the host, or delete it there: postsuper -d {id}").format(id=message.id),
            )
        _run(message.instance.argv("postsuper", "-d", message.id))
        if message.instance.place(message.id) is not None:
            raise AgentError(_("{id} is still in the queue").format(id=message.id))


def put_right(session: Session, left: Journal) -> None:
    """Of a run that came to no end: what it held to delete it, and did not delete."""
    if left.first("begin").get("action") != "delete":
        return
    done = {record["id"] for record in left.records if record["r"] == "done"}
    held = [one for one in left.records if one["r"] == "message" and one["was"] != "hold"]
    for one in held:
        if one["id"] in done or not ids.is_id(one["id"]):
            continue
        _await_end(one["id"])
        for instance in reading.instances(session.tree):
            known = Envelope(one["arrived"], one["sender"])
            if instance.directory == one["instance"] and _envelope(instance, one["id"]) == known:
                _release(instance, one["id"])


def _await_end(name: str) -> None:
    """A program that the killed run had begun outlives it: what it still does is to be put right, too."""
    deadline = time.monotonic() + _PATIENCE
    while _at_work(name) and time.monotonic() < deadline:
        time.sleep(0.02)


def _at_work(name: str) -> bool:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:  # it has ended
            continue
        if name.encode() in words and any(word.rpartition(b"/")[2] == b"postsuper" for word in words):
            return True
    return False


def _release(instance: Instance, name: str) -> None:
    found = instance.place(name)
    if found is not None and found[0] == "hold":
        _run(instance.argv("postsuper", "-H", name))


def _envelope(instance: Instance, name: str) -> Optional[Envelope]:
    """None where there is no such message. Only the envelope is looked at: a message may say what it likes."""
    if instance.place(name) is None:
        return None
    shown = commands.run(instance.argv("postcat", "-e", "-q", name), env={"TZ": "UTC"})
    arrived, sender = _ARRIVED.search(shown.out), _SENDER.search(shown.out)
    if shown.code or arrived is None or sender is None:
        return None
    try:
        at = calendar.timegm(time.strptime(arrived[1].strip(), "%a %b %d %H:%M:%S %Y"))
    except ValueError:
        return None
    return Envelope(at, sender[1])


def _run(argv: Sequence[str]) -> None:
    done = commands.run(argv, timeout=_PATIENCE)
    if done.code:
        raise AgentError(
            _("{program} failed: {error}").format(
                program=argv[0], error=(done.lines(1) or [f"exit code {done.code}"])[0][:500]
            ),
            _("look at the host's mail log, then try again"),
            done.lines(),
        )


def _changed() -> AgentError:
    return AgentError(_("the plan has changed"), _("look at the new plan, then try again"))


def _gone(names: Sequence[str], action: str) -> AgentError:
    what = ngettext(
        "{ids} is no longer in the queue as it was shown, so nothing was done to it ({action})",
        "{ids} are no longer in the queue as they were shown, so nothing was done to them ({action})",
        len(names),
    )
    advice = _("what became of it says: mailprov trace --queue-id {id}").format(id=names[0])
    return AgentError(what.format(ids=joined(names), action=_(ACTIONS[action][1])), advice)


def _copied(record: Journal, messages: Sequence[Message]) -> str:
    """Where the copies are, and how one is sent again: on the host, by root."""
    first = messages[0]
    path = f"{record.directory}/{first.id}"
    # No word of a stranger is read by a shell: addresses come from a file, the sender is one quoted word.
    again = (
        f"xargs -d '\\n' -a {path}{_RECIPIENTS} sh -c 'exec sendmail -i -f \"$0\" -- \"$@\" <{path}{_COPY}'"
    )
    command = f"{again} {shlex.quote(first.sender)}"
    if len(messages) == 1:
        form = _(
            "a copy of {id} stays on the host until {runs} more runs have ended there: {path}; to send it again, as "
            "root on the host: {command}"
        )
        return form.format(id=first.id, runs=runs.KEEP_LOGS, path=path + _COPY, command=command)
    form = _(
        "copies of the {count} messages stay on the host until {runs} more runs have ended there, the first one at "
        "{path}; to send that again, as root on the host: {command}"
    )
    return form.format(count=len(messages), runs=runs.KEEP_LOGS, path=path + _COPY, command=command)


def _fingerprint(action: str, tasks: Sequence[Task]) -> str:
    told: List[Any] = [
        action,
        *((one.message.id, one.message.instance.directory, *one.envelope) for one in tasks),
    ]
    return hashlib.sha256(repr(told).encode("utf-8", "backslashreplace")).hexdigest()[:16]
