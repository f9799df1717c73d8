"""One thing to try probes against: sound, or broken in one way, and what each probe must say of it.

Public: Fixture, Wanted, Outcome, on_lab. A fixture is looked at as a whole, by the probes that it is for; `Outcome`
says of each of them whether it said what it must. Raises nothing but bugs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from mailprov.model.findings import USUAL_ACCOUNTS, Finding, Verdict
from mailprov.model.values import dataclass
from mailprov.probe.queues import Ask
from mailprov.probe.vantage import Ask as AskTrusted
from mailprov.selftest.certificates import Authority
from mailprov.selftest.scripted_lab import PATIENCE, SLOW_ONLY, ScriptedLab

PASS, SKIP = Verdict.PASS, Verdict.SKIP
Look = Callable[[Authority, Collection[str]], list[Finding]]
RED = (Verdict.FAIL, Verdict.WARN)
_SHORT = 1.0  # a connection is there by then, and then nobody says anything


@dataclass(frozen=True)
class Wanted:
    """What `probe` must say at `port` and `place` (a host, a domain, or an account): this verdict, with these words."""

    probe: str
    verdict: Verdict
    words: str = ""
    place: str = ""
    port: int = 0

    def of(self, findings: list[Finding]) -> list[Finding]:
        return [
            item
            for item in findings
            if item.id == self.probe
            and (not self.place or self.place in (item.target.host, item.target.domain, item.target.account))
            and (not self.port or self.port == item.target.port)
        ]

    def said(self, findings: list[Finding]) -> bool:
        """Of something sound: it passed, and where there was nothing to look at it said so."""
        mine = self.of(findings)
        if self.verdict is PASS and not self.words:
            verdicts = {item.verdict for item in mine}
            return PASS in verdicts and verdicts <= {PASS, SKIP}
        return bool(mine) and all(
            item.verdict is self.verdict and self.words in item.observed for item in mine
        )


@dataclass(frozen=True)
class Outcome:
    """`seen`: the findings of that probe where it should have said something, however many."""

    fixture: Fixture
    wanted: Wanted
    good: bool
    seen: tuple[Finding, ...]


@dataclass(frozen=True)
class Fixture:
    """`name`: stable, for programs. `what` is broken, each a sentence in the user's language; empty: nothing is."""

    name: str
    what: tuple[str, ...]
    wanted: tuple[Wanted, ...]
    look: Look

    @property
    def sound(self) -> bool:
        return not self.what

    def tried(self, authority: Authority, probes: Collection[str]) -> Iterator[Outcome]:
        """With these of its probes."""
        wanted = [each for each in self.wanted if each.probe in probes]
        findings = self.look(authority, tuple(dict.fromkeys(each.probe for each in wanted)))
        for each in wanted:
            yield Outcome(self, each, each.said(findings), tuple(each.of(findings)))


def on_lab(
    prepare: Callable[[ScriptedLab], None] = lambda lab: None,
    *,
    faults: str = "",
    certificate: str = "",
    port: int = 0,
    delivery: float = PATIENCE,
    hosts: tuple[str, ...] = (),
    domains: tuple[str, ...] = (),
    signing: dict[str, dict[str, str]] | None = None,
    queues: Ask | None = None,
    accounts: int | None = USUAL_ACCOUNTS,
    trusted: AskTrusted | None = None,
) -> Look:
    """The scripted hosts, once `prepare` has changed them. What only a deadline ends has a short one."""

    def look(authority: Authority, probes: Collection[str]) -> list[Finding]:
        lab = ScriptedLab(authority)
        try:
            lab.spoil(faults, certificate)
            prepare(lab)
            wait = _SHORT if SLOW_ONLY & set(faults.split()) else PATIENCE
            return lab.verify(
                " ".join(probes),
                port,
                wait=wait,
                delivery=delivery,
                hosts=hosts,
                domains=domains,
                signing=signing,
                queues=queues,
                accounts=accounts,
                trusted=trusted,
            )
        finally:
            lab.close()

    return look
