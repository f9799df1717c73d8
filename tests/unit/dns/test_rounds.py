"""What planning costs on real name servers: questions, and rounds of them one after another."""

from __future__ import annotations

import dataclasses

import dns.message

from mailprov import dns as driver
from mailprov.dns import session
from mailprov.dns.session import Session
from mailprov.model.inventory import Dmarc, Inventory
from tests.unit.dns.servers import Named, inventory


def test_many_questions_are_one_round_and_answered_in_their_order(named: Named) -> None:
    questions = [dns.message.make_query(f"n{number}.same.test", "A") for number in range(300)]
    before = (session.TRAFFIC.rounds, session.TRAFFIC.questions)
    with Session(named.settings()) as open_session:
        answers = open_session.ask(questions)
    assert [answer.question for answer in answers] == [question.question for question in questions]
    assert (open_session.traffic.rounds, open_session.traffic.questions) == (1, 300)
    assert (session.TRAFFIC.rounds - before[0], session.TRAFFIC.questions - before[1]) == (1, 300)


def shared_zone(named: Named, domains: int) -> Inventory:
    """That many mail domains below one zone, one host."""
    base = inventory("rounds1.test", named.settings())
    (domain,) = base.domains
    several = [
        dataclasses.replace(domain, name=f"d{n}.rounds1.test", dmarc=Dmarc("none", None))
        for n in range(domains)
    ]
    return dataclasses.replace(base, domains=tuple(several))


def keys(wanted: Inventory) -> dict[str, dict[str, str]]:
    """A DKIM key of each host for each domain."""
    return {
        host.name: {
            f"{domain.name}.{host.name}-rsa-1": "v=DKIM1; k=rsa; p=AAAA"
            for domain in wanted.domains
            if host.name in domain.hosts
        }
        for host in wanted.hosts
    }


def cost(wanted: Inventory) -> tuple[list[driver.ZonePlan], int, int]:
    """Plan; rounds and questions that it took."""
    before = (session.TRAFFIC.rounds, session.TRAFFIC.questions)
    plans = driver.plan(wanted, keys=keys(wanted))
    return plans, session.TRAFFIC.rounds - before[0], session.TRAFFIC.questions - before[1]


def apply(plans: list[driver.ZonePlan]) -> None:
    for plan in plans:
        driver.apply(plan, lambda event: None)


def test_domains_of_one_zone(named: Named) -> None:
    """Of each domain MX, SPF, DMARC, its key and its marker are asked for, once, and nothing else."""
    wanted = shared_zone(named, 40)
    plans, rounds, questions = cost(wanted)
    assert rounds <= 3
    assert questions <= 40 * 5 + 10
    apply(plans)
    plans, rounds, questions = cost(wanted)
    assert not any(plan.changes for plan in plans)
    assert rounds <= 3
    assert questions <= 40 * 5 + 10


def test_rounds_do_not_grow_with_the_number_of_zones(named: Named) -> None:
    several = [inventory(f"rounds{n}.test", named.settings(), start=n) for n in range(2, 12)]
    wanted = Inventory(
        "inv.yml",
        tuple(host for one in several for host in one.hosts),
        tuple(domain for one in several for domain in one.domains),
        named.settings(),
    )
    plans, rounds, questions = cost(wanted)
    assert (len(plans), rounds) == (10, 1)
    assert questions <= 10 * 9
    apply(plans)
    plans, rounds, questions = cost(wanted)
    assert not any(plan.changes for plan in plans)
    assert rounds == 1
    assert questions <= 10 * 9


def test_with_all_that_may_be_met(named: Named) -> None:
    """A zone of 0.1.0, other people's records, a wildcard, a domain that has left, a host whose zone is elsewhere."""
    first = inventory("rounds12.test", named.settings())
    gone = inventory("rounds13.test", named.settings(), start=2)
    apply(
        driver.plan(Inventory("inv.yml", first.hosts + gone.hosts, first.domains + gone.domains, first.dns))
    )
    (text,) = named.values("_mailprov.rounds12.test", "TXT")
    former = text.replace("v=mailprov2 zone=rounds12.test", "v=mailprov1")
    named.change("rounds12.test", lambda m: m.replace("_mailprov.rounds12.test.", 300, "TXT", former))
    named.change("rounds12.test", lambda m: m.add("*.rounds12.test.", 300, "A", "192.0.2.1"))
    named.change("rounds12.test", lambda m: m.add("rounds12.test.", 300, "TXT", "others"))
    away = dataclasses.replace(first.hosts[0], name="away", fqdn="mx.elsewhere.example")
    new = dataclasses.replace(first.hosts[0], name="new", fqdn="new.rounds12.test")
    wanted = dataclasses.replace(first, hosts=(*first.hosts, away, new))
    plans, rounds, _ = cost(wanted)
    assert {"rounds12.test", "rounds13.test", ""} == {plan.zone for plan in plans}
    assert rounds <= 6, "three more for what a wildcard makes up, however many zones"
