"""The move of a domain between own hosts and a provider, step by step.

    Move(inventory, domain, to, …).run() -> exit code
                                  .preview() -> exit code      the steps, and what the next one would change
    domain_to_move(inventory, name, to) -> Domain              raises InputError

Each step is an apply of its own for the domain's hosts and its zone, with a plan, a question and a way back. Where the
move stands is told by the zone (run/moves.py), so any machine goes on with it, after whatever interrupted it; what it
finds done in part it does first. Between two steps it waits for all name servers, and then for as long as caches may
keep what the step replaced.

The order makes that no mail is lost or returned. Whoever sends does so by an answer of DNS that may be as old as its
TTL; so TTLs come down first, and both sides can send, before the MX change. Behind that change the old side goes on
taking mail until nobody can have the old answer. Then own hosts send mail for the domain on to its MX, and put off who
still comes. The old side's SPF and DKIM go last, when what it has sent has arrived.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import replace

from mailprov import __version__
from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.answers import MoveStep
from mailprov.model.events import Emit, Notice, Progress, RunEnded, RunStarted
from mailprov.model.hosted import PROVIDERS
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.moving import (
    HOSTS,
    Moving,
    Step,
    following,
    order,
    record_name,
    turned,
)
from mailprov.model.values import dataclass
from mailprov.probe.propagation import not_yet
from mailprov.run import move_words as words
from mailprov.run import moves
from mailprov.run.deploy import toward_desired
from mailprov.run.event_queue import EventQueue
from mailprov.run.hosts import Start
from mailprov.run.options import Options
from mailprov.run.select import Selection, domain_named

POLL = 2.0  # seconds between looks at the name servers
LIMIT = 900.0  # seconds until servers that lag are named and the command ends
# A step's time in the zone is that of its plan. So much later it may have been written, when another run reads it.
MARGIN = 600
STALE = 300.0  # seconds: a question that was answered later is about a plan that is made anew
LONGEST = 86_400.0  # seconds to wait for; who must wait longer is told when to come again
GRACE = 7 * 86_400  # seconds in which mail that the old side signed may be on its way


@dataclass(frozen=True)
class Waiting:
    """`seconds`: between steps, in place of TTLs and GRACE. `never`: say when to come again, and end."""

    seconds: float | None = None
    never: bool = False


@dataclass
class Move:
    """One run of the command; `run` does it."""

    inventory: Inventory
    domain: Domain
    to: str
    selection: Selection
    options: Options
    waiting: Waiting
    start: Start
    report: Emit
    began: float = 0.0
    applied: Moving | None = None  # the step that this run has applied, whole
    published: float | None = None  # when, if it changed something

    def run(self) -> int:
        self._begin()
        try:
            self._overview(self._look())
            while True:
                code = self._next()
                if code is not None:
                    return code
        except KeyboardInterrupt:
            return self._end(130, _("stopped; the same command goes on from here"))

    def preview(self) -> int:
        """The steps, and what the next one would change. Nothing is changed."""
        self._begin()
        if not self.inventory.dns.at(self.domain.name).provider.publishes:
            self._overview(moves.State(None, ""))
            return self._end(
                0, _("mailprov publishes no records here, so these steps are to be done by hand")
            )
        now = self._look()
        self._overview(now)
        if now.moving is None and now.side == self.to:
            return self._end(0, words.arrived(self.inventory, self.domain, self.to))
        step = self._coming(now)
        wanted = self._at(self.to)
        if step is not None:
            wanted = replace(self.domain, moving=Moving(self.to, step, int(time.time()), _ttl(step, now)))
        options = replace(self.options, command="dns plan", confirm=None, moves=self.domain.name)
        inventory = _with(self.inventory, wanted)
        return toward_desired(inventory, self.selection, options, "plan", self.start, self.report).run()

    def _begin(self) -> None:
        self.began = time.monotonic()
        started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self.report(RunStarted(self.options.command, self.inventory.source, __version__, started))

    def _look(self) -> moves.State:
        text = _("asking the zone where the mail of {domain} is").format(domain=self.domain.name)
        self.report(Progress("dns", text))
        now = moves.state(self.inventory, self.domain)
        if now.moving is None:
            moves.as_now(self.inventory, self.domain, now)  # raises where the MX lead to neither side
        return now

    def _coming(self, now: moves.State) -> Step | None:
        """The next step; None: the end."""
        here = now.moving
        if here is None:
            return Step.TTLS
        return following(here) if here.to == self.to else turned(here)

    def _overview(self, now: moves.State) -> None:
        steps = [*order(self.to), None]
        arrived = now.moving is None and now.side == self.to
        coming = len(steps) if arrived else steps.index(self._coming(now))
        for number, step in enumerate(steps):
            until, state = 0.0, "done" if number < coming else "later"
            if number == coming - 1 and now.moving and now.moving.to == self.to and step:
                until = self._until(now.moving)
                state = "waiting" if until > time.time() else "done"
            self.report(
                step_event(self.domain, self.to, number + 1, state, until if state == "waiting" else 0)
            )

    def _next(self) -> int | None:
        """One step; the exit code when the command is over."""
        now = self._look()
        here = now.moving
        if here is None:
            if now.side == self.to:
                return self._end(0, words.arrived(self.inventory, self.domain, self.to))
        elif here.to != self.to:
            self._say(words.turned(self.domain, here))
        else:
            if self.applied != here and (code := self._apply(here, self.domain)):
                return code
            if (waited := self._wait(here)) is not None:
                return waited
        return self._take(self._coming(now), now)

    def _take(self, step: Step | None, now: moves.State) -> int | None:
        if step is Step.MX and self.to != HOSTS and not (self.domain.hosted and self.domain.hosted.mx):
            raise words.no_mx(self.inventory, self.domain)
        if step is None:
            for text in (
                words.before_the_end(self.domain, self.to) if now.moving and now.moving.to == self.to else ()
            ):
                self._say(text)
            self._tell(None)
            return self._apply(None, self._at(self.to)) or None
        for text in words.before(self.domain, self.to, step):
            self._say(text)
        planned = Moving(self.to, step, int(time.time()), _ttl(step, now))
        self._tell(planned)
        return self._apply(planned, self.domain) or None

    def _at(self, side: str) -> Domain:
        return self.domain.at_hosts() if side == HOSTS else self.domain.at_provider()

    def _apply(self, moving: Moving | None, domain: Domain) -> int:
        """0 when all of the step is done."""
        wanted = domain if moving is None else replace(domain, moving=moving)
        planned_at, late = time.time(), False
        ask = self.options.confirm

        def confirm(counts: dict[str, int]) -> bool:
            nonlocal late
            yes = ask is None or ask(counts)
            late = yes and time.time() - planned_at > STALE
            return yes and not late

        options = replace(self.options, confirm=confirm, moves=self.domain.name)
        inventory = _with(self.inventory, wanted)
        deployment = toward_desired(inventory, self.selection, options, "apply", self.start, self.report)
        code = deployment.run()
        if late:
            self._say(_("the plan was too old when it was answered, so it is made anew"))
            return 0
        if code == 0:
            self.applied = moving
            self.published = time.time() if deployment.zones.changed else None
        return code

    def _wait(self, here: Moving) -> int | None:
        """None when it is time for the next step."""
        events = EventQueue(self.report)  # it gives signs of life
        began = time.monotonic()
        wanted = {record_name(self.domain.name): here.text}
        while missing := not_yet(self.inventory.dns, wanted):
            place = next(iter(missing.values()))
            if self.waiting.never or time.monotonic() - began > LIMIT:
                code = 4 if self.waiting.never else 3
                text = _("not published everywhere yet: {place}; run the same command again later")
                return self._end(code, text.format(place=place))
            events.wake(Progress("dns", _("waiting for the name servers: {place}").format(place=place)))
            time.sleep(POLL)
        until = self._until(here)
        left = until - time.time()
        if left <= 0:
            return None
        for text in words.meanwhile(self.domain, self.to, here.step):
            self._say(text)
        why = words.why_wait(self.domain, self.to, here, following(here) is None)
        self._tell(here, until)
        if self.waiting.never or left > LONGEST:
            text = _("go on at {time}, by the same command: {why}")
            return self._end(4, text.format(time=words.moment(until), why=why))
        text = _("waiting until {time} ({duration}): {why}; Ctrl-C ends this, and the same command goes on")
        self._say(text.format(time=words.moment(until), duration=words.duration(left), why=why))
        while (left := until - time.time()) > 0:
            doing = _("the next step may be taken in {duration}").format(duration=words.duration(left))
            events.wake(Progress("dns", doing))
            time.sleep(min(left, POLL))
        return None

    def _until(self, here: Moving) -> float:
        """Unix seconds. What this run has published it knows to the second; of others it knows the plan's time."""
        last = following(here) is None
        seconds: float = max(here.ttl, GRACE) if last else here.ttl
        known = self.published if self.applied == here else None
        if self.waiting.seconds is not None:
            return (known or here.since) + self.waiting.seconds
        return known + seconds if known is not None else here.since + MARGIN + seconds

    def _tell(self, here: Moving | None, until: float = 0.0) -> None:
        """Which step is being done; None: the last one, the end of the move."""
        steps = order(self.to)
        number = len(steps) + 1 if here is None else steps.index(here.step) + 1
        self.report(step_event(self.domain, self.to, number, "waiting" if until else "now", until))

    def _say(self, text: str) -> None:
        self.report(Notice("", text))

    def _end(self, code: int, text: str) -> int:
        self.report(RunEnded(code, text, time.monotonic() - self.began))
        return code


def step_event(domain: Domain, to: str, number: int, state: str, until: float = 0.0) -> MoveStep:
    steps = order(to)
    step = steps[number - 1] if number <= len(steps) else None
    return MoveStep(
        domain.name,
        to,
        number,
        len(steps) + 1,
        step.value if step else "end",
        words.step(domain, to, step),
        state,
        words.stamp(until) if until else "",
    )


def _ttl(step: Step, now: moves.State) -> int:
    """How long caches may keep what this step replaces."""
    mx = now.ttls.get("MX", 0)
    texts = now.ttls.get("TXT", mx)  # no SPF record yet: as long as what else the domain has
    return {Step.TTLS: max(mx, texts), Step.BOTH: texts, Step.MX: mx, Step.AWAY: 0}[step]


def _with(inventory: Inventory, domain: Domain) -> Inventory:
    domains = tuple(domain if each.name == domain.name else each for each in inventory.domains)
    return replace(inventory, domains=domains)


def domain_to_move(inventory: Inventory, name: str | None, to: str, *, looks: bool) -> Domain:
    """Raises InputError where such a move cannot be. `looks`: nothing is to be changed."""
    if name is None:
        both = [domain.name for domain in inventory.domains if domain.two_sided]
        if len(both) != 1:
            text = _("no domain was named, and {count} of the inventory have `hosts` and `hosted`")
            names = ", ".join(domain.name for domain in inventory.domains)
            advice = _("Name one: {names}").format(names=names)
            raise InputError("dns move", text.format(count=len(both)), advice)
        name = both[0]
    name = domain_named(inventory, "dns move", name)
    domain = next(each for each in inventory.domains if each.name == name)
    where = f"{inventory.source}: domains.{name}"
    if to not in (HOSTS, *PROVIDERS):
        advice = _("Use one of {names}").format(names=", ".join((HOSTS, *PROVIDERS)))
        raise InputError("--to", _('"{to}" is no place for mail').format(to=to), advice)
    if domain.hosted is None:
        text = _("has no `hosted`, so nothing is known of a provider")
        raise InputError(
            where, text, _("Add `hosted` beside `hosts`, with what the provider's console shows")
        )
    if not domain.hosts:
        text = _("has no `hosts`, so nothing is known of own hosts")
        raise InputError(where, text, _("Add `hosts` and `accounts` beside `hosted`"))
    if to not in (HOSTS, domain.hosted.provider.name):
        text = _("has {provider} as its provider, not {to}").format(
            provider=domain.hosted.provider.name, to=to
        )
        advice = _(
            "Use --to {provider} or --to hosts; from one provider to another it moves by way of own hosts"
        )
        advice = advice.format(provider=domain.hosted.provider.name)
        raise InputError(where, text, advice)
    if not looks:
        _check_able(inventory, domain, where)
    return domain


def _check_able(inventory: Inventory, domain: Domain, where: str) -> None:
    if not inventory.dns.at(domain.name).provider.publishes:
        raise InputError(
            where,
            _("cannot be moved by mailprov, which publishes no records here"),
            _("Name the DNS provider under `dns`; `dns move --plan` lists the steps for doing them by hand"),
        )
    foreign = [name for name in domain.hosts if not inventory.host(name).managed]
    if foreign:
        raise InputError(
            where,
            _("is on {hosts}, which others built (`managed: false`)").format(hosts=", ".join(foreign)),
            _("Such hosts take and hand over its mail only when their owners change them"),
        )
