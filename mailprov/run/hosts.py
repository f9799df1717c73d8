"""One host's conversation from connect to end, in a thread of its own.

`HostSession.run` drives `wire.messages` over whatever channel the transport gives: hello → … → plan → (gate) → go →
applied… → end. It never raises: the outcome says how it went, and every step is an event.

What is common to all modes lives here; what a mode answers to the agent's questions (`facts`, `runs`) is a Mode:

    run/desired_mode.py    modes plan and apply: facts are answered with the desired state
    run/rollback.py        which run is undone
    run/inquiry.py         keeps the one thing that the host is asked for: its runs, mailboxes, DKIM keys, bans
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from mailprov.errors import HostFailed, MailprovError, NotBelieved, Unreachable, bug
from mailprov.i18n import _, ngettext
from mailprov.model.events import Action, Applied, Change, Emit, Ended, Notice, Planned, Progress
from mailprov.model.inventory import Host
from mailprov.model.sentences import shown
from mailprov.model.values import dataclass, field
from mailprov.plan import roles
from mailprov.run.believed import CLOCK_LIMIT
from mailprov.run.desired_mode import DesiredMode
from mailprov.run.gate import Gate
from mailprov.run.tls_keys import Told
from mailprov.transport.channel import Channel
from mailprov.wire import shapes
from mailprov.wire.sentences import understood

# A host says no more than this in one run, beats not counted: 100,000 accounts take that many.
MOST_MESSAGES = 250_000
MOST_NOTICES = 1_000
_STAY = {"package": "packages", "user": "users"}  # an undone run leaves them (agent/transaction/apply.py)

# Starts in progress. Hosts may share a machine or a jump host: of 200 logins at once on one machine (bench/fleet.py), a
# third had no agent after a minute; fifty at a time, all had. Connected hosts are not limited: all wait for the go.
CONNECTING = 50
_CONNECTING = threading.BoundedSemaphore(CONNECTING)

Start = Callable[[Host, dict[str, Any]], Channel]


def owner(command: str) -> str:
    """Who runs this, for the lock on the host: `ana@laptop: mailprov apply mail.yml`."""
    return f"{getpass.getuser()}@{socket.gethostname()}: {command} (pid {os.getpid()})"


@dataclass
class Outcome:
    """How a conversation went, as far as it got."""

    status: str = "interrupted"
    changes: tuple[Change, ...] = ()
    changed: int = 0  # as the plan counts: without what follows from it
    effects: int = 0  # services that were reloaded or restarted
    planned: bool = False  # it has told what it would change
    confirmed: bool = False  # it was told to go on
    keys: dict[str, str] | None = None  # its DKIM keys, public halves; None until it has told them
    tls: Told = field(default_factory=Told)  # and the keys of its certificates
    error: MailprovError | None = None


class Mode(Protocol):
    """What one mode adds to the conversation."""

    job: dict[str, Any]  # what the job holds besides tag, owner and root; `mode` at least

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """The reply to a question of the agent, None when it expects none. May block; may raise MailprovError."""

    def go(self) -> dict[str, Any]:
        """What travels with the go besides the fingerprint; called when it is go."""

    # Also: compared: str, what is told in place of the host's words where the controller knows better;
    # permit(tls), which raises where the host's plan must not be done; greeted(time), where a clock that is wrong is
    # no failure.


class HostSession:
    """The work on one host. `started` is set once the agent runs there, `planned` once its plan is known, `ended` when
    all is over, and the other two then as well.

    `ready` is set when its mail service runs and it waits, at the gate `published`, until the zones are published:
    a certificate authority looks there before it issues.
    """

    def __init__(
        self,
        host: Host,
        mode: Mode,
        *,
        command: str,
        emit: Emit,
        gate: Gate,
        start: Start,
        published: Gate | None = None,
        milestone: Callable[[], threading.Event] = threading.Event,
    ) -> None:
        self.host = host
        self.mode = mode
        self.outcome = Outcome()
        self.started, self.planned, self.ready, self.ended = (milestone() for each in range(4))
        self._published = published
        self._emit = emit
        self._gate = gate
        self._start = start
        self._channel: Channel | None = None
        self._cancelled = False
        self._brought: set[str] = set()  # what stays on the host when the rest of this run is undone
        self._effects = 0  # reloads and restarts that it has told
        self._declined = False  # the plan was not confirmed; that is an end, not a failure
        self._began = time.monotonic()
        self._job = {
            "tag": secrets.token_hex(8),
            "owner": owner(command),
            "root": "",
            "packages": [],
            **mode.job,
        }

    def launch(self) -> None:
        threading.Thread(target=self.run, name=f"host {self.host.name}", daemon=True).start()

    def run(self) -> None:
        output: tuple[str, ...] = ()
        try:
            self._say(_("connecting to {address}").format(address=self.host.address))
            with _CONNECTING:
                self._channel = self._start(self.host, self._job)
            self.started.set()
            if self._cancelled:
                self._channel.send({"t": "cancel"})
            self._say(_("starting the agent"))
            output = self._converse(self._channel)
        except Unreachable as error:
            self.outcome.status, self.outcome.error = "unreachable", error
        except MailprovError as error:
            self.outcome.status, self.outcome.error = "failed", error
        except Exception as error:
            self.outcome.status, self.outcome.error = "failed", bug(self.host.name, error)
        finally:
            if self._channel is not None:
                self._channel.close()
            if self._cancelled and self.outcome.status != "ok":
                self.outcome.status = "interrupted"
            error_text = str(self.outcome.error) if self.outcome.error else ""
            self._emit(
                Ended(
                    self.host.name,
                    self.outcome.status,
                    self.outcome.changed,
                    error_text,
                    output,
                    time.monotonic() - self._began,
                )
            )
            for event in (self.started, self.planned, self.ended):
                event.set()

    def stopping(self) -> None:
        """Somebody has pressed Ctrl-C: whatever ends from now on was interrupted, not declined."""
        self._cancelled = True

    def cancel(self) -> None:
        """Ask the agent to stop at its next safe point; before there is a connection, the host is left alone."""
        self._cancelled = True
        if self._channel is not None:
            self._channel.send({"t": "cancel"})

    def abandon(self) -> None:
        """Cut the connection now (second Ctrl-C); the agent undoes or finishes on its own."""
        self._cancelled = True
        if self._channel is not None:
            self._channel.close()

    def _converse(self, channel: Channel) -> tuple[str, ...]:
        seen: Counter[str] = Counter()
        for raw in channel.messages():
            kind = self._fence(raw, seen)
            message = understood(raw)
            self.outcome.tls.hear(self.host, message)
            if kind == "hello":
                getattr(self.mode, "greeted", self._check_clock)(message["time"])
                self._say(_("reading facts"))
            elif kind in shapes.ANSWERED:
                if (reply := self.mode.answer(message)) is not None:
                    channel.send(reply)
            elif kind == "plan":
                self._plan(channel, message)
            elif kind == "ready":
                self.ready.set()
                go = self._published is None or self._published.wait()
                channel.send({"t": "issue" if go else "cancel"})
            elif kind == "progress":
                self._say(shown(message["text"]))
            elif kind == "notice":
                self._emit(Notice(self.host.name, shown(message["text"])))
            elif kind == "applied":
                change = self._change(message["change"])
                if change.kind in _STAY and change.action is Action.CREATE:
                    self._brought.add(_STAY[change.kind])
                self._effects += change.action is Action.RUN
                self._emit(Applied(change, message["seconds"]))
            elif kind == "end":
                return self._end(message)
        raise HostFailed(
            self.host.name,
            _("the connection was lost before the agent reported its end"),
            _(
                "Run the same command again: the agent undoes or finishes what it had begun, and the next run says so"
            ),
        )

    def _fence(self, message: dict[str, Any], seen: Counter[str]) -> str:
        """The type of a message that may come now. Raises NotBelieved."""
        try:
            kind = shapes.check(message)
        except shapes.Nonsense as error:
            raise NotBelieved(
                self.host.name, _("it sends what makes no sense ({error})").format(error=error)
            ) from None
        seen[kind] += kind != "beat"
        if (
            kind not in shapes.ORDER[self._job["mode"]]
            or (kind in shapes.ONCE and seen[kind] > 1)
            or (kind not in ("hello", "end") and not seen["hello"] and kind not in shapes.ANYTIME)
            or (kind == "applied" and not seen["plan"])
            # It waits at the gate for the zones, and they for every plan: before its own plan is confirmed, for ever.
            or (kind == "ready" and not self.outcome.confirmed)
        ):
            raise NotBelieved(
                self.host.name,
                _("it sends {kind!r} where that is not expected (mode {mode})").format(
                    kind=kind, mode=self._job["mode"]
                ),
            )
        if seen.total() > MOST_MESSAGES or seen["notice"] > MOST_NOTICES:
            raise NotBelieved(
                self.host.name,
                _("it keeps sending messages ({count} until now)").format(count=seen.total()),
            )
        return kind

    def _plan(self, channel: Channel, message: dict[str, Any]) -> None:
        applies = self._job["mode"] != "plan"
        self.outcome.changes = tuple(self._change(change) for change in message["changes"])
        waits = applies and bool(message.get("waits", self.outcome.changes))
        if isinstance(self.mode, DesiredMode):
            self.outcome.keys = self.mode.public(message, made=waits)
        getattr(self.mode, "permit", lambda told: None)(self.outcome.tls)
        self.outcome.planned = True
        compared = getattr(self.mode, "compared", "") or message["compared"]
        losses = tuple(message.get("takes_over", ()))
        self._emit(Planned(self.host.name, self.outcome.changes, compared, losses))
        if isinstance(self.mode, DesiredMode):
            for sentence in roles.moved(self.outcome.changes):
                self._emit(Notice(self.host.name, sentence))
        if not waits:
            return
        self.planned.set()
        if self._gate.wait():
            self.outcome.confirmed = True
            channel.send({"t": "go", "fingerprint": message["fingerprint"], **self.mode.go()})
        else:
            self._declined = True
            channel.send({"t": "cancel"})

    def _end(self, message: dict[str, Any]) -> tuple[str, ...]:
        status = message["status"]
        if status == "cancelled" and self._declined and not self._cancelled:
            self.outcome.status = "skipped"
            return ()
        self.outcome.effects = min(self._effects, message["changed"])
        self.outcome.changed = message["changed"] - self.outcome.effects
        self.outcome.status = {"ok": "ok", "cancelled": "interrupted"}.get(status, "failed")
        if status == "cancelled":
            self.outcome.error = HostFailed(self.host.name, self._stopped(message["what"]))
        elif message["what"]:
            advice = shown(message["advice"])  # a clause, as the agent writes it; here it follows a full stop
            error = HostFailed(self.host.name, shown(message["what"]), advice[:1].upper() + advice[1:])
            if status == "ok":
                self._emit(Notice(self.host.name, str(error)))
            else:
                self.outcome.error = error
        return tuple(message["output"])

    def _stopped(self, what: str) -> str:
        """Why the agent stopped, and whether anything is another thing on the host now."""
        why = shown(what) or _("interrupted")
        if count := self.outcome.changed or self.outcome.effects:
            return ngettext(
                "{why}; {count} change is done, and a rollback undoes that",
                "{why}; {count} changes are done, and a rollback undoes that",
                count,
            ).format(why=why, count=count)
        if self._brought:
            return _("{why}; {things} that this run installed stay").format(
                why=why, things=_(" and ").join(sorted(self._brought))
            )
        return why if ";" in what else _("{why}; nothing was changed").format(why=why)

    def _check_clock(self, theirs: float) -> None:
        offset = theirs - time.time()
        if abs(offset) > CLOCK_LIMIT:
            raise HostFailed(
                self.host.name,
                (
                    _(
                        "its clock is {minutes:.0f} minutes ahead, so certificates, TSIG and DKIM signatures "
                        "would be refused"
                    )
                    if offset > 0
                    else _(
                        "its clock is {minutes:.0f} minutes behind, so certificates, TSIG and DKIM signatures "
                        "would be refused"
                    )
                ).format(minutes=abs(offset) / 60),
                _(
                    "Set it (timedatectl set-ntp true on the host, or correct this machine's clock) and run again"
                ),
            )

    def _change(self, raw: dict[str, Any]) -> Change:
        return Change(
            self.host.name,
            raw["kind"],
            Action(raw["action"]),
            raw["name"],
            raw.get("detail", ""),
            raw.get("diff", ""),
            raw.get("drift", False),
            raw.get("edit", ""),
            tuple(raw.get("because", ())),
        )

    def _say(self, text: str) -> None:
        self._emit(Progress(self.host.name, text))
