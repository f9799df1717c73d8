"""A host's files while one of its two domains moves (model/moving.py): whose mail it takes, where the rest goes."""

from __future__ import annotations

import dataclasses

import pytest
from desired_cases import BOOKWORM, TRIXIE, account, delta, facts, host, inventory

from mailprov import desired
from mailprov.model.hosted import OTHER, Hosted
from mailprov.model.inventory import Domain
from mailprov.model.moving import HOSTS, Moving, Step

HERE = "mailprov/"
ALPHA = Domain(
    "alpha.test",
    ("mx1",),
    accounts=(account("ana@alpha.test"), account("luis@alpha.test")),
    aliases=(("info@alpha.test", "ana@alpha.test"),),
    lists=(("all@alpha.test", ("ana@alpha.test", "luis@alpha.test")),),
    catch_all="ana@alpha.test",
    hosted=Hosted(OTHER, ((10, "in.mail.example"),)),
)
DELTA = dataclasses.replace(delta(), aliases=(("old@delta.test", "ana@alpha.test"),))
TAKES = [("other", Step.TTLS), ("other", Step.BOTH), ("other", Step.MX), (HOSTS, Step.MX)]
TAKES_NOT = [("other", Step.AWAY), (HOSTS, Step.TTLS), (HOSTS, Step.BOTH)]


def files(to: str, step: Step, packages: dict[str, str], first: Domain = DELTA) -> dict[str, str]:
    """By name, without comments. The other domain is the first of the host."""
    moving = dataclasses.replace(ALPHA, moving=Moving(to, step, 0, 300))
    domains = (moving,) if first is ALPHA else (first, moving)
    state = desired.build(
        inventory(*domains, on=host(fqdn="mx1.host.test")), host(fqdn="mx1.host.test"), facts(packages)
    )
    return {
        file.path.removeprefix("/etc/postfix/").removeprefix(HERE): "\n".join(
            line for line in file.content.splitlines() if not line.startswith("#")
        )
        for file in state.files
    }


BOTH_LINES = pytest.mark.parametrize("packages", [BOOKWORM, TRIXIE], ids=["dovecot-2.3", "dovecot-2.4"])


@BOTH_LINES
@pytest.mark.parametrize(("to", "step"), TAKES)
def test_a_side_that_may_get_mail_takes_it(to: str, step: Step, packages: dict[str, str]) -> None:
    made = files(to, step, packages)
    assert "alpha.test mail" in made["domains"]
    assert "ana@alpha.test mailbox" in made["mailboxes"]
    assert "info@alpha.test ana@alpha.test" in made["virtual"]
    assert "moved_checks" not in made
    assert "moved_checks" not in made["main.cf"]


@BOTH_LINES
@pytest.mark.parametrize(("to", "step"), TAKES_NOT)
def test_a_side_that_gets_none_sends_it_to_the_mx(to: str, step: Step, packages: dict[str, str]) -> None:
    made = files(to, step, packages)
    assert made["domains"] == "delta.test mail"
    assert "alpha.test" not in made["mailboxes"]
    keys = {line.split()[0] for line in made["virtual"].splitlines()}
    assert not [key for key in keys if key.endswith("@alpha.test")], "the new side knows its own aliases"
    assert "old@delta.test ana@alpha.test" in made["virtual"], "what leads there goes there"
    assert made["moved_checks"].startswith("/@alpha\\.test$/ 450 4.4.4 ")
    restrictions = [
        line for line in made["main.cf"].splitlines() if line.startswith("smtpd_relay_restrictions")
    ]
    first = "permit_mynetworks, check_recipient_access regexp:/etc/postfix/mailprov/moved_checks, "
    assert restrictions == [f"smtpd_relay_restrictions = {first}reject_unauth_destination"]
    # The mailboxes are open, and who has his program here still may send.
    assert "ana@alpha.test ana@alpha.test" in made["logins"]
    assert "info@alpha.test ana@alpha.test" in made["logins"]


@pytest.mark.parametrize(("to", "step"), [*TAKES, *TAKES_NOT])
def test_mail_in_its_name_is_sent_on_as_anybodys_while_the_provider_sends(to: str, step: Step) -> None:
    made = files(to, step, BOOKWORM)
    ours = (to, step) == ("other", Step.TTLS)
    assert ("@alpha.test smtp:" in made["own_senders"]) == ours
    assert ("alpha\\.test" in made["own_domains_checks"]) == ours
    assert "@delta.test smtp:" in made["own_senders"]


def test_a_host_with_no_other_domain_has_somebody_who_reads_its_own_mail() -> None:
    made = files("other", Step.AWAY, BOOKWORM, ALPHA)
    assert made["domains"] == ""
    assert "root ana@alpha.test" in made["virtual"]
