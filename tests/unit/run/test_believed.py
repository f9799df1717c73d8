"""Whatever a host tells: it is that host's failure, named, and the other host goes on; lies about keys among it."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from mailprov.model.answers import KeptMailbox
from mailprov.model.dkim import flaw, owner
from mailprov.model.events import Ended, RunEnded
from mailprov.run import dkim_keys
from mailprov.run.select import select
from mailprov.wire import shapes
from tests.unit.run.every_message import DROP, GOOD, KEY, at, changed, leaves, play, record
from tests.unit.run.scripted import FACTS, FILE, ScriptedAgent, end, hello, inventory, plan

WRONG: tuple[Any, ...] = (
    DROP, None, [], {}, [[]], -1, 2**70, math.nan, math.inf, 1.5, True, "x", "x" * 20_000_000, ["x"] * 3, {"x": 1},
)  # fmt: skip


def ended(run: Any, host: str) -> Ended:
    return next(event for event in run.events if isinstance(event, Ended) and event.subject == host)


def nonsense(message: dict[str, Any]) -> str:
    try:
        shapes.check(message)
    except shapes.Nonsense as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", shapes.MESSAGES)
def test_a_good_message_is_taken(kind: str) -> None:
    shapes.check(GOOD[kind])
    run = play(kind, GOOD[kind])
    assert run.code == (1 if kind == "end" else 0), [
        event for event in run.events if isinstance(event, Ended)
    ]


def test_a_host_says_what_time_it_is_and_not_when_these_tests_were_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A test session that takes longer than clocks may differ was red here."""
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert play("hello", GOOD["hello"]).code == 0


@pytest.mark.parametrize("kind", [kind for kind in shapes.MESSAGES if leaves(kind)])
def test_a_field_that_makes_no_sense_fails_its_host_and_no_other(kind: str) -> None:
    """Every field, at every depth, with everything that it should not be."""
    tried = 0
    for path in leaves(kind):
        steps = [path[:length] for length in range(1, len(path) + 1) if path[length - 1] != 0]
        for step in steps:
            for value in WRONG:
                message = changed(GOOD[kind], step, value)
                if not nonsense(message):
                    continue  # it may be so
                tried += 1
                if value == WRONG[12] or tried % 11:
                    continue  # the fence is the same for all of them
                run = play(kind, message)
                where = f"{kind} {step} {value!r:.50}"
                assert run.code == 1, where
                if kind in ("keys", "bans"):
                    assert ["mx1: " in error for error in run.errors] == [True], where
                    continue
                assert ended(run, "mx1").status == "failed", where
                assert "makes no sense" in ended(run, "mx1").error, where
                assert ended(run, "mx2").status == ("failed" if kind == "end" else "ok"), where
                assert isinstance(run.events[-1], RunEnded), where
    assert tried > 5


@pytest.mark.parametrize("mailboxes", [[{"address": "x"}], [1], None, {"a": 1}, "all", [{"t": []}] * 2])
def test_nonsense_about_mailboxes_ends_no_listing(mailboxes: Any) -> None:
    """Two such messages of one host once ended the listing of all."""
    bad = {"t": "mailboxes", "mailboxes": mailboxes}
    run = play("mailboxes", bad)

    assert run.code == 1
    assert [event.subject for event in run.events if isinstance(event, KeptMailbox)] == ["mx2"]


def test_messages_that_have_no_place_fail_their_host() -> None:
    facts = {"t": "facts", "facts": FACTS}
    for script in (
        [hello(), hello()],
        [hello(), facts, facts],
        [facts],
        [hello(), {"t": "runs", "runs": []}],
        [hello(), GOOD["keys"]],
        [hello(), GOOD["applied"]],
        [hello(), {"t": "ready"}],
        [
            hello(),
            facts,
            plan(),
            {"t": "ready"},
        ],  # the gate that it would wait at opens when every host has planned
        [hello(), facts, plan(FILE), plan(FILE)],
        [hello(), {"t": "explode"}],
        [hello(), {"t": ["hello"]}],
        [hello(), *({"t": "notice", "text": "again"} for _ in range(2000))],
    ):
        run = Applied(mx1=ScriptedAgent(script), mx2=ScriptedAgent([hello(), facts, plan(FILE)]))
        assert (run.code, run.status("mx1"), run.status("mx2")) == (1, "failed", "ok"), script[-1]


class Applied:
    def __init__(self, command: str = "apply", **agents: ScriptedAgent) -> None:
        from mailprov.run import deploy

        self.events: list[Any] = []
        read = inventory(*agents)
        options = deploy.Options(command=command, verify=False)
        verb = deploy.apply if command == "apply" else deploy.plan
        more: Any = {"start": lambda host, job: agents[host.name], "report": self.events.append}
        self.code = verb(read, select(read), options, **more)

    def status(self, host: str) -> str:
        return ended(self, host).status

    def error(self, host: str) -> str:
        return ended(self, host).error


def test_a_plan_never_waits_for_a_go() -> None:
    """A host that says so would keep `plan` for ever."""
    agent = ScriptedAgent([hello(), {"t": "facts", "facts": FACTS}, {**plan(FILE), "waits": True}, end()])
    assert Applied("plan", mx1=agent).code == 0
    assert [message["t"] for message in agent.sent] == ["desired"]


LIES = [
    ("alpha.test mx2-rsa-1 signing -", {}, "which is mx2's to tell"),
    ("alpha.test corp-mx2-rsa-1 signing -", {}, "which is mx2's to tell"),
    ("alpha.test mx1-rsa-1 signing -", {KEY: "v=DKIM1; k=rsa; p="}, "is not of the form"),
    ("alpha.test mx1-rsa-1 signing -", {KEY: "any text"}, "is not of the form"),
    ("alpha.test mx1-rsa-1 signing -", {KEY: "v=DKIM1; k=rsa; p=AAAA"}, "holds no RSA key"),
    ("alpha.test mx1-rsa-1 signing -", {KEY: "v=DKIM1; k=ed25519; p=" + "A" * 44}, "another kind"),
    ("alpha.test mx1-rsa-1 signing -", {KEY: "v=DKIM1; t=y; k=rsa; p=AAAA"}, "is not of the form"),
    ("alpha.test mx1-rsa-1 waiting 9999-01-01T00:00:00Z", {}, "no time before now"),
    ("alpha.test mx1-rsa-1 waiting never", {}, "no time before now"),
    ("alpha.test mx1-rsa-1 retired 2024-13-99", {}, "no time before now"),
]


@pytest.mark.parametrize(("state", "public", "why"), LIES)
def test_dkim_keys_that_are_not_this_hosts_or_no_keys_fail_it(
    state: str, public: dict[str, str], why: str
) -> None:
    facts = {"t": "facts", "facts": {**FACTS, "dkim": {"state": state, "public": public}}}
    honest = ScriptedAgent([hello(), {"t": "facts", "facts": FACTS}, plan(FILE)])
    agent = ScriptedAgent([hello(), facts, plan(FILE)])
    run = Applied(mx1=agent, mx2=honest)

    assert (run.code, run.status("mx2")) == (1, "ok")
    assert why in run.error("mx1")
    assert agent.sent == [], "no state is made from it"

    read = inventory("mx1", "mx2")
    told = {"t": "keys", "dkim": {"state": state, "public": public}}
    good = {"t": "keys", "dkim": {"state": "alpha.test mx2-rsa-1 signing -", "public": {}}}
    scripts = {"mx1": [hello(), told, end()], "mx2": [hello(), good, end()]}
    found = dkim_keys.ask(
        read,
        read.hosts,
        command="dns plan",
        start=lambda host, job: ScriptedAgent(scripts[host.name]),
        report=lambda event: None,
    )
    assert [error.exit_code for error in found.errors] == [1]
    assert why in str(found.errors[0])
    assert list(found.states) == ["mx2"]


@pytest.mark.parametrize(
    "told",
    [
        {"alpha.test.mx2-rsa-1": "good"},
        {"alpha.test.*": "good"},
        {"*._domainkey.alpha.test": "good"},
        {"beta.test.mx1-rsa-1": "good"},
        {KEY: "any text"},
        {KEY: "v=DKIM1; k=rsa; p="},
        {KEY: ""},  # an apply has made them all: what is to be made would be published as it is shown
    ],
)
def test_a_plan_tells_of_the_keys_that_were_asked_for_and_no_others(told: dict[str, str]) -> None:
    told = {name: record() if text == "good" else text for name, text in told.items()}
    agent = ScriptedAgent([hello(), GOOD["facts"], {**plan(FILE), "keys": told}])
    run = Applied(mx1=agent)

    assert run.code == 1
    assert "DKIM key" in run.error("mx1")
    assert [message["t"] for message in agent.sent] == ["desired"], "no go"


def test_the_keys_of_others_domains_are_passed_over() -> None:
    """Of a domain that has left this host, say."""
    state = "beta.test mx2-rsa-1 signing -\nalpha.test mx1-rsa-1 signing -"
    read = inventory("mx1", "mx2")
    message = {"t": "keys", "dkim": {"state": state, "public": {"beta.test.mx2-rsa-1": "x", KEY: record()}}}
    found = dkim_keys.ask(
        read,
        read.hosts[:1],
        command="dns plan",
        start=lambda host, job: ScriptedAgent([hello(), message, end()]),
        report=lambda event: None,
    )
    assert (found.errors, found.public) == ([], {"mx1": {KEY: record()}})


def test_whose_a_selector_is() -> None:
    hosts = ["mx1", "a-mx1", "mx2"]
    assert owner("mx1-rsa-1", hosts) == "mx1"
    assert owner("a-mx1-rsa-1", hosts) == "a-mx1"
    assert owner("corp-mx1-ed25519-12", hosts) == "mx1"
    assert owner("old-rsa-1", hosts) == ""
    assert owner("*", hosts) == ""
    assert owner("mx1-rsa-" + "1" * 80, hosts) == ""


def test_which_records_are_keys() -> None:
    ed25519 = "v=DKIM1; k=ed25519; p=" + "A" * 43 + "="
    assert flaw("mx1-rsa-1", record()) == flaw("mx1-ed25519-1", ed25519) == ""
    for text in (
        record() + " ", record()[:-8], record().replace("p=", "p= "), record() + "\n", record() + "; s=x",
        "v=DKIM1; k=rsa; p=" + "MIIB" * 2000, record().replace("rsa", "ed25519"), ed25519[:-8], "",
    ):  # fmt: skip
        assert flaw("mx1-rsa-1", text), text
    assert at(GOOD["keys"], ("dkim", "public", KEY)) == record()
