"""The one table of probes: what `verify` runs, what `mailprov explain ID` tells.

Public: Entry, Scope, Phase, Probe, probe (the decorator that fills the registry), in_order, PROBED, ALL_PORTS,
ports_where.
Every probe is one function; its texts stand above it, so that they cannot drift away from what it does.
Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum
from typing import Any

from mailprov.i18n import _
from mailprov.model.findings import Finding
from mailprov.model.ports import ALL, Port, Protocol
from mailprov.model.values import dataclass
from mailprov.probe.timing import Timing
from mailprov.probe.vantage import Vantage


@dataclass(frozen=True)
class Entry:
    """What a person can read about one probe. Texts are marked for translation; `translated` has them translated."""

    id: str
    title: str  # what a pass proves, in one line
    expected: str  # what a right server shows, in one line
    steps: tuple[str, ...]
    verdicts: tuple[tuple[str, str], ...]  # (verdict, when)
    refs: tuple[str, ...]
    ports: tuple[int, ...] = ()  # where it looks; empty: it does not look at ports
    intrusive: bool = False  # it runs only where somebody agrees (`verify --intrusive`)
    vantage: Vantage = Vantage.ANYWHERE  # from where it must look
    cases: tuple[tuple[str, str], ...] = ()  # (word of Finding.case, when)

    def translated(self) -> Entry:
        """In the user's language; ids, verdicts and sources are the same in all."""
        return replace(
            self,
            title=_(self.title),
            expected=_(self.expected),
            steps=tuple(_(step) for step in self.steps),
            verdicts=tuple((verdict, _(when)) for verdict, when in self.verdicts),
            cases=tuple((case, _(when)) for case, when in self.cases),
        )


class Scope(Enum):
    """What a probe runs once for. It decides the kind of context its function gets (see `context`)."""

    HOST = "host"
    DOMAIN = "domain"  # and each domain alias
    ZONE = "zone"  # the same, and a domain that no inventory describes
    FOREIGN = "foreign"  # only a domain that no inventory describes
    PORT_OFF = "port_off"  # a port of an address that its host does not offer; no other probe looks there
    PORT = "port"  # of an address; so are all that follow
    PORT_DOMAIN = "port_domain"  # each domain on the host
    PORT_ACCOUNT = "port_account"  # one account of each domain on the host
    PORT_ACCOUNTS = "port_accounts"  # the chosen accounts of each domain on the host
    PORTS = "ports"  # of an address, all that it looks at at once, and one account
    PARTNER = "partner"  # a domain that is to send and get mail
    DELIVERY = "delivery"  # a pair of domains
    ADDRESSES = "addresses"  # the addresses of a domain
    LETTERS = "letters"  # a few messages to one account of a domain
    MAILBOX = "mailbox"  # the mailbox of an account for tests, on each host


class Phase(Enum):
    """Wrong passwords come last: Dovecot then slows down every login from our address, right ones too."""

    LOOK = 1
    WRONG_PASSWORDS = 2


Function = Callable[[Any], Iterable[Finding]]


@dataclass(frozen=True)
class Probe:
    entry: Entry
    scope: Scope
    phase: Phase
    run: Function
    applies: Callable[[Any], bool]
    unless: str = ""  # why it applies to nothing, where it does not
    long: bool = False  # it takes longer than the others, so it begins before them
    after: str = ""  # the id of the probe that it builds on, of the same family
    seconds: Callable[[Timing], float] = lambda timing: timing.probe  # what it may take on one target
    reachability: bool = (
        False  # its id is also that of what keeps a whole port or address from being looked at
    )
    by_name: bool = False  # it runs only where it, or its family, is asked for (`dns check` does)


# The ports that are looked at. The last one is optional: where it does not answer there is nothing to look at.
PROBED: tuple[Port, ...] = ALL

PROBES: list[Probe] = []

# Families in the order in which a person would look.
_FAMILIES = (
    "net",
    "smtp",
    "imap",
    "pop",
    "sieve",
    "tls",
    "auth",
    "state",
    "relay",
    "smuggle",
    "unknown",
    "spoof",
    "stranger",
    "delivery",
    "address",
    "dsn",
    "quota",
    "dns",
    "dane",
    "web",
    "webmail",
    "hosted",
    "zone",
)


# Families that had another name before 0.1.0 was released.
_FORMER = {"loop": "delivery"}


def new_name(name: str) -> str:
    """A sentence with the id that the probe, or family, of a former name has now; empty for others."""
    family, dot, rest = name.partition(".")
    return (
        _("Its name is {name} now").format(name=f"{_FORMER[family]}{dot}{rest}") if family in _FORMER else ""
    )


def ports_where(test: Callable[[Any], bool]) -> tuple[int, ...]:
    """Numbers of the ports that satisfy `test`."""
    return tuple(port.number for port in PROBED if test(port))


ALL_PORTS = ports_where(lambda port: True)
LOGIN_PORTS = ports_where(lambda port: port.login)
SMTP_PORTS = ports_where(lambda port: port.protocol is Protocol.SMTP)
IMAP_PORTS = ports_where(lambda port: port.protocol is Protocol.IMAP)
POP_PORTS = ports_where(lambda port: port.protocol is Protocol.POP3)


def probe(
    name: str,
    scope: Scope,
    title: str,
    *,
    expected: str,
    steps: tuple[str, ...],
    verdicts: dict[str, str],
    refs: tuple[str, ...],
    ports: tuple[int, ...] = (),
    cases: dict[str, str] | None = None,
    phase: Phase = Phase.LOOK,
    applies: Callable[[Any], bool] = lambda context: True,
    unless: str = "",
    long: bool = False,
    after: str = "",
    seconds: Callable[[Timing], float] = lambda timing: timing.probe,
    reachability: bool = False,
    by_name: bool = False,
    intrusive: bool = False,
    vantage: Vantage = Vantage.ANYWHERE,
) -> Callable[[Function], Function]:
    """Put the decorated function into the registry under the stable id `name`. Where `applies` says no to a context
    there is nothing to look at, and nothing is said; `unless` is why, for whoever asked for that alone. Texts are
    marked with N_. `after` names
    the probe that must have run before, on the same target. `seconds`: the time it has. `reachability`: the one probe
    that tells, instead of all others, why a port or an address is not looked at. `by_name`: only where it is asked for.
    `intrusive`: only where somebody agrees, as it costs others something (`verify --intrusive`). `vantage`: from where
    it must look for its verdict to mean anything; from elsewhere that is an error (probe/vantage.py).
    `cases`: words for what it may observe, for profiles that judge that otherwise (`profiles`), and when.
    """
    told = tuple((cases or {}).items())
    entry = Entry(
        name, title, expected, steps, tuple(verdicts.items()), refs, ports, intrusive, vantage, told
    )

    def enter(function: Function) -> Function:
        PROBES.append(
            Probe(entry, scope, phase, function, applies, unless, long, after, seconds, reachability, by_name)
        )
        return function

    return enter


def in_order() -> list[Probe]:
    """What the registry holds, in the order in which a reader would look: network, TLS, login, delivery, DNS. A family
    that is not in the list comes last; within one, a probe comes behind those that it builds on.
    """
    known = {probe.entry.id: probe for probe in PROBES}

    def depth(probe: Probe) -> int:
        return 1 + depth(known[probe.after]) if probe.after else 0

    def rank(probe: Probe) -> tuple[int, int]:
        family = probe.entry.id.partition(".")[0]
        return (_FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES)), depth(probe)

    return sorted(PROBES, key=rank)


def reachability() -> Probe:
    """The probe under whose id it is told that a port, or a whole address, was not looked at."""
    return next(probe for probe in PROBES if probe.reachability)
