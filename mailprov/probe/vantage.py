"""From where a probe must look for its verdict to mean anything, and whether this run looks from there.

    Vantage                          what a probe says of itself
    Told, Trusted                    what is known of one host: which of its networks have us
    Vantages(ask)                    .begin(hosts, addresses)   asks the hosts, beside everything else
                                     .told(host)                waits for the answer
                                     .inside(host, address, port)    the network that has us, None where none is known
                                     .judges(finding)        whether it hangs on that
    judged(vantages, finding)        the finding as it counts: an error where it was seen from the wrong side

What Postfix refuses strangers it lets hosts of `mynetworks` do: relay, end lines with a bare LF. Dovecot takes
passwords in clear from `login_trusted_networks`. So neither a pass nor a fail that was seen from there says anything of
strangers. A network that has most of the Internet is none of those: seen from there is as seen by anybody. Raises
nothing.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Host
from mailprov.model.values import dataclass, field

PROBE = "net.vantage"
_ASKERS = 50
_WIDEST = {4: 7, 6: 15}  # prefixes up to this one have strangers in them, whoever wrote them


class Vantage(Enum):
    ANYWHERE = "anywhere"
    OUTSIDE = "outside"  # of every network that the host trusts
    HOST = "host"  # on the host, over SSH


WORDS = {
    Vantage.ANYWHERE: N_("anywhere"),
    Vantage.OUTSIDE: N_(
        "outside of the networks that the server trusts (mynetworks, login_trusted_networks)"
    ),
    Vantage.HOST: N_("outside, and on the host over SSH"),
}


@dataclass(frozen=True)
class Trusted:
    """At `port` of `address`, the host's `setting` has `network`, and that has `own`, by which we come."""

    address: str
    port: int
    setting: str
    network: str
    own: str


@dataclass(frozen=True)
class Told:
    """`own`: address of the host → ours, as it sees us; "" where that is not known. `why`: a clause, where the host did
    not tell; then `near` is what can be seen from here: a network that has both, which servers often trust. `answers`:
    at which addresses port 25 takes a connection from the host itself.
    """

    trusted: tuple[Trusted, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)
    answers: frozenset[str] = frozenset()
    why: str = ""
    near: str = ""


# A host, and where it is looked at.
Ask = Callable[[Host, Collection[str]], Told]


class Vantages:
    """`ask` is called in threads. Without one nothing is known, and every finding counts as it is."""

    def __init__(self, ask: Ask | None, outside: Collection[str] = ()) -> None:
        """`outside`: ids of the probes that must look from there."""
        self._ask = ask
        self._outside = frozenset(outside)
        self._told: dict[str, Future[Told]] = {}
        self._pool: ThreadPoolExecutor | None = None

    @property
    def asked(self) -> bool:
        return self._ask is not None

    def begin(self, hosts: Collection[Host], addresses: Mapping[str, Collection[str]]) -> None:
        if self._ask is None or not hosts:
            return
        self._pool = ThreadPoolExecutor(min(_ASKERS, len(hosts)), thread_name_prefix="vantage")
        for host in hosts:
            self._told[host.name] = self._pool.submit(self._ask, host, addresses.get(host.name, ()))

    def finish(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def judges(self, finding: Finding) -> bool:
        saw = finding.verdict not in (Verdict.ERROR, Verdict.SKIP)
        return self.asked and saw and finding.id in self._outside

    def told(self, name: str) -> Told:
        future = self._told.get(name)
        try:
            return future.result() if future is not None else Told(why=_("it was not asked"))
        except Exception as error:
            return Told(why=f"{type(error).__name__}: {error}")

    def inside(self, name: str, address: str, port: int) -> Trusted | None:
        for each in self.told(name).trusted:
            if (each.address, each.port) == (address, port) and not has_strangers(each.network):
                return each
        return None


def has_strangers(network: str) -> bool:
    """Whether a network is so wide that it has most of the Internet in it, or a good part."""
    try:
        found = ipaddress.ip_network(network.replace("[", "").replace("]", ""), strict=False)
    except ValueError:  # a table
        return False
    return not found.is_private and found.prefixlen <= _WIDEST[found.version]


def within(setting: str, host: str, network: str, own: str) -> str:
    if network == own:
        form = _("seen from within {setting} of {host} ({own}): says nothing of strangers")
    else:
        form = _("seen from within {setting} of {host} ({network} has {own}): says nothing of strangers")
    return form.format(setting=setting, host=host, network=network, own=own)


ELSEWHERE = N_(
    "look from another host of the inventory (--via HOST), or run verify outside of these networks"
)
_NEAR = N_(
    "{observed} (seen from {network}, where this machine and the server both are: servers often trust such)"
)


def judged(vantages: Vantages, finding: Finding) -> Finding:
    """What a probe saw that must look from outside; where the host trusts us there, that is an error."""
    target = finding.target
    found = vantages.inside(target.host, target.address, target.port)
    if found is not None:
        return dataclasses.replace(
            finding,
            verdict=Verdict.ERROR,
            observed=within(found.setting, target.host, found.network, found.own),
            advice=_(ELSEWHERE),
            tasks=(),
            waits_for=f"{PROBE} {target.host}",
        )
    near = vantages.told(target.host).near
    if near and finding.verdict is Verdict.FAIL:
        return dataclasses.replace(finding, observed=_(_NEAR).format(observed=finding.observed, network=near))
    return finding
