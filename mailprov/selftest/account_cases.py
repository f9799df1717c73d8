"""The probes of what accounts may do, and of services that are off: each thing that is wrong, and what they say.

Public: WORD, PHONE, give, fixtures(). Raises nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from mailprov.i18n import N_, _
from mailprov.model.findings import Verdict
from mailprov.model.ports import Protocol
from mailprov.model.secret import Secret
from mailprov.model.states import AppPassword, State
from mailprov.probe.registry import LOGIN_PORTS
from mailprov.selftest.broken import described
from mailprov.selftest.fixture import Fixture, Wanted, on_lab
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR
WORD = Secret("env:PHONE", "phone-word")
PHONE = AppPassword("phone", ("imap", "submission"), password=WORD)


def give(lab: ScriptedLab, **zoe: object) -> None:
    """zoe of alpha.test; the world holds to what the inventory says of her."""
    alpha, beta = lab.inventory.domains
    changed = replace(alpha.accounts[1], **zoe)  # type: ignore[arg-type]
    alpha = replace(alpha, accounts=(alpha.accounts[0], changed))
    lab.inventory = replace(lab.inventory, domains=(alpha, beta))
    state = changed.state_at(time.time())
    lab.world.shut |= set() if state.logs_in else {changed.address}
    lab.world.deaf |= set() if state.receives else {changed.address}
    kinds = {"imap": Protocol.IMAP, "pop3": Protocol.POP3, "submission": Protocol.SMTP}
    for app in changed.app_passwords:
        if app.password:
            protocols = {kinds[name] for name in app.protocols if name in kinds}
            lab.world.programs[changed.address, app.password.reveal()] = protocols


# faults, state, (probe, port, verdict, words)
STATES: dict[str, tuple[State, list[tuple[str, int, Verdict, str]]]] = {
    "lets-shut-in": (State.NO_LOGIN, [("state.login", port, FAIL, "zoe@alpha.test") for port in LOGIN_PORTS]),
    "nobody-gets-in": (
        State.NO_LOGIN,
        [("state.login", port, ERROR, "ana@alpha.test is refused as well") for port in (143, 465)],
    ),
    "takes-for-deaf": (State.NO_RECEIVE, [("state.mail", 25, FAIL, "zoe@alpha.test: 250")]),
    "deaf-450-4.2.1": (State.NO_RECEIVE, [("state.mail", 25, ERROR, "temporarily")]),
    "deaf-550-5.1.1": (State.NO_RECEIVE, [("state.mail", 25, WARN, "550 5.1.1")]),
    "refuses-all": (State.NO_RECEIVE, [("state.mail", 25, ERROR, "cannot tell")]),
    "dropped": (State.NO_RECEIVE, [("state.mail", 25, ERROR, "closed the connection")]),
}
PROGRAMS = {"programs-anywhere": (995, 4190), "programs-nowhere": (143, 993, 465, 587)}


def fixtures() -> Iterator[Fixture]:
    sound = (Wanted("state.login", PASS), Wanted("state.mail", PASS))
    yield Fixture("state-sound", (), sound, on_lab(_giving(state=State.SUSPENDED)))
    for faults, (state, cases) in STATES.items():
        wanted = tuple(Wanted(probe, verdict, words, "mx1", port) for probe, port, verdict, words in cases)
        yield Fixture(
            f"state-{faults}", described(faults), wanted, on_lab(_giving(state=state), faults=faults)
        )
    programs = _giving(app_passwords=(PHONE,))
    yield Fixture("programs-sound", (), (Wanted("state.app-password", PASS),), on_lab(programs))
    for faults, ports in PROGRAMS.items():
        wanted = tuple(Wanted("state.app-password", FAIL, "", "mx1", port) for port in ports)
        yield Fixture(faults, described(faults), wanted, on_lab(programs, faults=faults))
    yield Fixture("off-sound", (), (Wanted("net.closed", PASS),), on_lab(_off))
    what = (_(N_("a service that is off answers")),)
    yield Fixture(
        "off-answers", what, (Wanted("net.closed", FAIL, "", "mx1", 110),), on_lab(_off_and_answers)
    )


def _giving(**zoe: object) -> Callable[[ScriptedLab], None]:
    return lambda lab: give(lab, **zoe)


def _off(lab: ScriptedLab) -> None:
    lab.switch_off("mx1", "pop3", "pop3s")


def _off_and_answers(lab: ScriptedLab) -> None:
    _off(lab)
    lab.world.off["127.0.0.1"] = {"pop3s"}
