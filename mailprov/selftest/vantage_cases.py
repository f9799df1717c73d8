"""Where verify looks from: hosts whose networks have it, and what probes that must look from outside say then.

Public: fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Verdict
from mailprov.model.inventory import Host
from mailprov.probe.vantage import Ask, Told, Trusted
from mailprov.selftest.fixture import Fixture, Wanted, on_lab

PASS, FAIL, ERROR = Verdict.PASS, Verdict.FAIL, Verdict.ERROR
_RELAY = (25, "mynetworks")
_CLEAR = (143, "login_trusted_networks")


def _tells(*trusted: tuple[int, str], network: str = "127.0.0.0/8") -> Ask:
    def ask(host: Host, addresses: Collection[str]) -> Told:
        found = tuple(
            Trusted(address, port, setting, network, "127.0.0.1")
            for address in addresses
            for port, setting in trusted
        )
        return Told(found, dict.fromkeys(addresses, "127.0.0.1"))

    return ask


def fixtures() -> Iterator[Fixture]:
    outside = (Wanted("net.vantage", PASS, "127.0.0.1", "mx1"),)
    yield Fixture(
        "sound-vantage",
        (),
        (Wanted("net.vantage", PASS), *outside),
        on_lab(hosts=("mx1",), trusted=_tells()),
    )
    words = "mynetworks"
    relays = ("net.vantage", "relay.classic", "smuggle.in", "smuggle.pipelining")
    what = _("the host trusts the network that verify looks from")
    yield Fixture(
        "vantage-mynetworks",
        (what,),
        tuple(Wanted(probe, ERROR, words, "mx1") for probe in relays),
        on_lab(hosts=("mx1",), port=25, trusted=_tells(_RELAY)),
    )
    yield Fixture(
        "vantage-mynetworks+open-relay",
        (what, _(_OPEN)),
        (Wanted("relay.classic", ERROR, words, "mx1", 25),),
        on_lab(faults="open-relay", hosts=("mx1",), port=25, trusted=_tells(_RELAY)),
    )
    words = "login_trusted_networks"
    yield Fixture(
        "vantage-login-trusted",
        (what,),
        tuple(
            Wanted(probe, ERROR, words, "mx1", 143 if probe != "net.vantage" else 0)
            for probe in ("net.vantage", "tls.enforced", "imap.capability")
        ),
        on_lab(hosts=("mx1",), port=143, trusted=_tells(_CLEAR)),
    )
    # Everybody is in such a network: what is seen from there is what anybody sees.
    yield Fixture(
        "vantage-everybody+open-relay",
        (_("the host trusts the whole Internet"), _(_OPEN)),
        (Wanted("relay.classic", FAIL, "of 25", "mx1", 25), *outside),
        on_lab(faults="open-relay", hosts=("mx1",), port=25, trusted=_tells(_RELAY, network="0.0.0.0/0")),
    )


_OPEN = N_("it is an open relay")
