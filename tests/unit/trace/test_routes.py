"""Where mail leaves through a smarthost, DNS did not lead it; and what the smarthost brings back is the same message.

Lines as Postfix 3.7 (mx1) and 3.10 (mx2) wrote them, where mx1's relayhost was a server that is not of the inventory.
"""

from __future__ import annotations

from typing import Any

import pytest

from mailprov.inventory import SecretMode, load
from mailprov.model.inventory import Inventory
from mailprov.model.trace import Agent, Outcome, Step, Trace
from mailprov.trace.observed import Dialogue, HostLog, Question, Record, Seen, Visit
from mailprov.trace.way import way, ways

INVENTORY = """\
hosts:
  mx1: {address: 10.78.1.11, fqdn: mx1.alpha.test}
  mx2: {address: 10.78.1.12, fqdn: mx2.beta.test}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: P}}}}
  beta.test: {hosts: [mx2], accounts: {bob: {password: {env: P}}, eva: {password: {env: P}}}}
"""
ID = "<a9e33fae1fcac0c8bcdd0c7f@alpha.test>"
_RELAY = (
    "relay=mx3.gamma.test[10.78.1.13]:587, delay=0.16, delays=0.01/0/0.11/0.05, dsn=2.0.0, status=sent "
    "(250 2.0.0 Ok: queued as 3CAE6FCC849)"
)
SENT = [
    (
        "postfix/submission/smtpd",
        "client=unknown[10.78.1.1], sasl_method=PLAIN, sasl_username=ana@alpha.test",
    ),
    ("postfix/submission-cleanup/cleanup", f"message-id={ID}"),
    ("postfix/qmgr", "from=<ana@alpha.test>, size=813, nrcpt=2 (queue active)"),
    ("postfix/smtp", f"to=<bob@beta.test>, {_RELAY}"),
    ("postfix/smtp", f"to=<eva@beta.test>, {_RELAY}"),
    ("postfix/qmgr", "removed"),
]
_LMTP = (
    "relay=mx2.beta.test[private/dovecot-lmtp], delay=0.05, delays=0.01/0/0.03/0.01, dsn=2.0.0, status=sent"
)
CAME = [
    ("postfix/smtpd", "client=unknown[fd61:2d23:5e00:1::d]"),
    ("postfix/incoming-cleanup/cleanup", f"message-id={ID}"),
    (
        "postfix/qmgr",
        "from=<SRS0=gBWaZ4kS=JT=alpha.test=ana@mx3.gamma.test>, size=2353, nrcpt=2 (queue active)",
    ),
    ("postfix/lmtp", f"to=<bob@beta.test>, {_LMTP} (250 2.0.0 <bob@beta.test> 060NKoAMDWvNGQAAEHk4WA Saved)"),
    ("postfix/lmtp", f"to=<eva@beta.test>, {_LMTP} (250 2.0.0 <eva@beta.test> MvihKoAMDWvPGQAAEHk4WA Saved)"),
    ("postfix/qmgr", "removed"),
]
DOWN = "relay=none, delay=0.01, delays=0.01/0/0/0, dsn=4.4.1, status=deferred (connect to mx3.gamma.test[10.78.1.13]:587: Connection refused)"  # noqa: E501
SMARTHOST = {"mx1": {"relayhost": "[mx3.gamma.test]:587"}}
MX = Question("mx1", "beta.test", "MX", "10.78.1.2", ("10 mx2.beta.test",), observed=True)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    path = tmp_path_factory.mktemp("inventory") / "mail.yml"
    path.write_text(INVENTORY)
    return load(path, SecretMode.IGNORE)


def records(host: str, queue_id: str, lines: list[tuple[str, str]]) -> tuple[Record, ...]:
    began = 1_796_017_280_000_000 + (1_000_000 if host == "mx2" else 0)
    return tuple(
        Record(host, began + number * 1_000, ident, 7, f"{queue_id}: {text}")
        for number, (ident, text) in enumerate(lines)
    )


def seen(inventory: Inventory, sent: Any = SENT, came: Any = CAME, **more: Any) -> Seen:
    logs = (
        HostLog("mx1", "mx1.alpha.test", ("10.78.1.11",), records("mx1", "166A4FCC848", sent), 0.0),
        HostLog("mx2", "mx2.beta.test", ("10.78.1.12",), records("mx2", "A3B4EFCE00E", came), 0.0),
    )
    values: dict[str, Any] = {
        "dialogue": Dialogue(
            "mx1", 587, 0.0, 0.1, login="ana@alpha.test", code=250, queue_id="166A4FCC848",
            taken=("eva@beta.test", "bob@beta.test"),
        ),
        "logs": logs,
        "settings": SMARTHOST,
        "questions": (MX,),
        **more,
    }  # fmt: skip
    return Seen(
        inventory, ID, "ana@alpha.test", ("eva@beta.test", "bob@beta.test"), 1_796_017_280.0, **values
    )


def agents(made: Trace) -> list[str]:
    return [f"{step.agent.value} {step.host}" for step in made.steps]


def only(made: Trace, agent: Agent, host: str) -> Step:
    (found,) = [step for step in made.steps if (step.agent, step.host) == (agent, host)]
    return found


def test_a_smarthost_is_named_and_dns_is_not(inventory: Inventory) -> None:
    made = way(seen(inventory))
    step = only(made, Agent.SMTP, "mx3.gamma.test")

    assert (
        step.hint == "mx1 sends all mail that leaves through its smarthost, [mx3.gamma.test]:587 (relayhost)"
    )
    assert Agent.DNS not in {step.agent for step in made.steps}


def test_what_the_smarthost_brings_back_is_followed_to_the_mailboxes(inventory: Inventory) -> None:
    made = way(seen(inventory))

    assert [(each.recipient, each.outcome) for each in made.arrivals] == [
        ("bob@beta.test", Outcome.DELIVERED),
        ("eva@beta.test", Outcome.DELIVERED),
    ]
    back = only(made, Agent.SMTP, "mx2")
    assert back.after == only(made, Agent.SMTP, "mx3.gamma.test").number
    assert (
        back.text == "fd61:2d23:5e00:1::d brought it here: it has the Message-ID of what mx3.gamma.test took"
    )
    assert made.doubts == (), "it is this message, not another one with its Message-ID"
    assert [len(each.arrivals) for each in ways(seen(inventory))] == [2], (
        "of the past it is one message as well"
    )


def test_another_message_is_not_taken_for_it(inventory: Inventory) -> None:
    """Another Message-ID, another recipient, a login, or two that could be it."""
    other = [(ident, text.replace("a9e33f", "ffffff")) for ident, text in CAME]
    strange = [(ident, text.replace("<bob@", "<x@").replace("<eva@", "<y@")) for ident, text in CAME]
    login = [
        ("postfix/smtpd", "client=x[192.0.2.9], sasl_method=PLAIN, sasl_username=eva@beta.test"),
        *CAME[1:],
    ]
    twice = [*CAME, *CAME]
    for came in (other, strange, login, twice):
        outcomes = [each.outcome for each in way(seen(inventory, came=came)).arrivals]
        assert outcomes == [Outcome.HANDED_ON, Outcome.HANDED_ON], came


def test_a_mailbox_that_has_it_is_enough_where_the_log_cannot_be_read(inventory: Inventory) -> None:
    visit = Visit("mx2", 993, "imap", "eva@beta.test", 1.0, 0.1, folder="INBOX")
    made = way(seen(inventory, came=[], visits=(visit,)))
    assert {each.recipient: each.outcome for each in made.arrivals} == {
        "bob@beta.test": Outcome.HANDED_ON,
        "eva@beta.test": Outcome.DELIVERED,
    }


def test_a_smarthost_that_is_down_is_named_too(inventory: Inventory) -> None:
    sent = [
        *SENT[:3],
        ("postfix/smtp", f"to=<bob@beta.test>, {DOWN}"),
        ("postfix/smtp", f"to=<eva@beta.test>, {DOWN}"),
    ]
    made = way(seen(inventory, sent=sent, came=[]))
    hints = {step.hint for step in made.steps if step.agent is Agent.SMTP}
    assert hints == {"mx1 sends all mail that leaves through its smarthost, [mx3.gamma.test]:587 (relayhost)"}
    assert Agent.DNS not in {step.agent for step in made.steps}


def test_a_server_that_dns_does_not_name_was_not_found_there(inventory: Inventory) -> None:
    made = way(seen(inventory, settings={}))
    assert "DNS does not name this server for beta.test now" in only(made, Agent.SMTP, "mx3.gamma.test").hint
    assert Agent.DNS not in {step.agent for step in made.steps}


@pytest.mark.parametrize(
    ("values", "relayhost"),
    [(("10 MX3.gamma.test.",), ""), ((), "")],
)
def test_dns_led_where_it_names_the_server(
    inventory: Inventory, values: tuple[str, ...], relayhost: str
) -> None:
    """Its name in any case; without an MX record, the domain is the server (RFC 5321 section 5.1)."""
    name = "mx3.gamma.test" if values else "beta.test"
    sent = [(ident, text.replace("mx3.gamma.test", name)) for ident, text in SENT]
    question = Question("mx1", "beta.test", "MX", "10.78.1.2", values, observed=True)
    made = way(seen(inventory, sent=sent, settings={"mx1": {"relayhost": relayhost}}, questions=(question,)))
    assert "dns 10.78.1.2" in agents(made)
