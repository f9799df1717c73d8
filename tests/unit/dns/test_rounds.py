"""What planning costs on real name servers: questions, and rounds of them one after another."""

from __future__ import annotations

import dataclasses

import dns.message
import dns.update
import pytest

from mailprov import dns as driver
from mailprov.dns import survey
from mailprov.dns.providers.rfc2136 import session
from mailprov.dns.providers.rfc2136.session import Session
from mailprov.dns.zoneplan import ADDRESSES, GOING, LEAVING, OTHERS
from mailprov.errors import DnsFailed
from mailprov.model.inventory import Dmarc, Host, Inventory
from tests.unit.dns.servers import NameServer, inventory


def test_many_questions_are_one_round_and_answered_in_their_order(name_server: NameServer) -> None:
    questions = [dns.message.make_query(f"n{number}.same.test", "A") for number in range(300)]
    before = (session.TRAFFIC.rounds, session.TRAFFIC.questions)
    with Session(name_server.settings().provider) as open_session:
        answers = open_session.ask(questions)
    assert [answer.question for answer in answers] == [question.question for question in questions]
    assert (open_session.traffic.rounds, open_session.traffic.questions) == (1, 300)
    assert (session.TRAFFIC.rounds - before[0], session.TRAFFIC.questions - before[1]) == (1, 300)


def shared_zone(name_server: NameServer, domains: int) -> Inventory:
    """That many mail domains below one zone, one host."""
    base = inventory("rounds1.test", name_server.settings())
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


def test_domains_of_one_zone(name_server: NameServer) -> None:
    """Of each domain MX, SPF, DMARC, its key and its marker are asked for, once, and nothing else."""
    wanted = shared_zone(name_server, 40)
    plans, rounds, questions = cost(wanted)
    assert rounds <= 3
    assert questions <= 40 * 5 + 10
    apply(plans)
    plans, rounds, questions = cost(wanted)
    assert not any(plan.changes for plan in plans)
    assert rounds <= 3
    assert questions <= 40 * 5 + 10


def test_rounds_do_not_grow_with_the_number_of_zones(name_server: NameServer) -> None:
    several = [inventory(f"rounds{n}.test", name_server.settings(), start=n) for n in range(2, 12)]
    wanted = Inventory(
        "inv.yml",
        tuple(host for one in several for host in one.hosts),
        tuple(domain for one in several for domain in one.domains),
        name_server.settings(),
    )
    plans, rounds, questions = cost(wanted)
    assert (len(plans), rounds) == (10, 1)
    assert questions <= 10 * 9
    apply(plans)
    plans, rounds, questions = cost(wanted)
    assert not any(plan.changes for plan in plans)
    assert rounds == 1
    assert questions <= 10 * 9


def test_with_all_that_may_be_met(name_server: NameServer) -> None:
    """A zone of 0.1.0, other people's records, a wildcard, a domain that has left, a host whose zone is elsewhere."""
    first = inventory("rounds12.test", name_server.settings())
    gone = inventory("rounds13.test", name_server.settings(), start=2)
    apply(
        driver.plan(Inventory("inv.yml", first.hosts + gone.hosts, first.domains + gone.domains, first.dns))
    )
    (text,) = name_server.values("_mailprov.rounds12.test", "TXT")
    former = text.replace("v=mailprov2 zone=rounds12.test", "v=mailprov1")
    name_server.change("rounds12.test", lambda m: m.replace("_mailprov.rounds12.test.", 300, "TXT", former))
    name_server.change("rounds12.test", lambda m: m.add("*.rounds12.test.", 300, "A", "192.0.2.1"))
    name_server.change("rounds12.test", lambda m: m.add("rounds12.test.", 300, "TXT", "others"))
    away = dataclasses.replace(first.hosts[0], name="away", fqdn="mx.elsewhere.example")
    new = dataclasses.replace(first.hosts[0], name="new", fqdn="new.rounds12.test")
    wanted = dataclasses.replace(first, hosts=(*first.hosts, away, new))
    plans, rounds, _ = cost(wanted)
    assert {"rounds12.test", "rounds13.test", ""} == {plan.zone for plan in plans}
    assert rounds <= 3
    turns = {plan.zone: plan.turn for plan in plans if plan.zone}
    assert turns == {"rounds13.test": LEAVING, "rounds12.test": ADDRESSES}


def with_wildcards(name_server: NameServer, *, ttl: int = 300, hosts: int = 1) -> Inventory:
    """Eight zones with a wildcard each that answers for the host's address as it is to be; a host in each."""
    several = [inventory(f"stars{n}.test", name_server.settings(), hosts=hosts) for n in range(1, 9)]
    return Inventory(
        "inv.yml",
        tuple(
            dataclasses.replace(host, name=f"{host.name}-{number}")
            for number, one in enumerate(several)
            for host in one.hosts
        ),
        tuple(
            dataclasses.replace(domain, hosts=tuple(f"{name}-{number}" for name in domain.hosts))
            for number, one in enumerate(several)
            for domain in one.domains
        ),
        name_server.settings(ttl=ttl),
    )


def written(plans: list[driver.ZonePlan]) -> dict[str, int]:
    """Write each zone; the rounds that it took."""
    rounds = {}
    for plan in plans:
        before = session.TRAFFIC.rounds
        driver.apply(plan, lambda event: None)
        rounds[plan.zone] = session.TRAFFIC.rounds - before
    return rounds


def test_wildcards_in_many_zones(name_server: NameServer) -> None:
    """What they make up, and what they lose: planned in three rounds, and written in three."""
    wanted = with_wildcards(name_server)
    plans, rounds, _ = cost(wanted)
    assert (len(plans), rounds) == (8, 3)
    for number, plan in enumerate(plans, 1):
        assert f"mx1.stars{number}.test A" in {change.name for change in plan.changes}, (
            "the wildcard's, not ours"
        )
        (lost,) = [notice for notice in plan.notices if "RFC 4592" in notice]
        assert f"mx1.stars{number}.test (MX)" in lost
    assert set(written(plans).values()) == {3}
    plans, rounds, _ = cost(wanted)
    assert not any(plan.changes for plan in plans)
    assert rounds <= 3

    # A second host; and another TTL, which the guard holds by the serial that the plan saw.
    plans, rounds, _ = cost(with_wildcards(name_server, ttl=600, hosts=2))
    assert rounds == 3
    assert set(written(plans).values()) == {3}
    images = [image for plan in plans if (image := driver.before_image(plan))]
    before = session.TRAFFIC.rounds
    back = driver.plan_undo(wanted, [{**image, "told": ["mx1-0"]} for image in images])
    assert session.TRAFFIC.rounds - before <= 2
    assert len([plan for plan in back if plan.changes]) == 8
    assert set(written(back).values()) == {3}
    assert not any(plan.changes for plan in driver.plan(wanted, keys=keys(wanted)))


def test_a_zone_that_was_changed_since_the_plan_takes_one_more(name_server: NameServer) -> None:
    """The serial is another one than the plan saw: the TTLs are read once more after it."""
    base = inventory("rounds11.test", name_server.settings())
    apply(driver.plan(base))
    (plan,) = driver.plan(inventory("rounds11.test", name_server.settings(ttl=900)))
    name_server.change("rounds11.test", lambda m: m.add("others.rounds11.test.", 60, "TXT", "x"))
    assert written([plan]) == {"rounds11.test": 4}


def test_the_turns_of_zones(name_server: NameServer) -> None:
    """An MX leads to an address at any time, also when a host in another zone comes, moves or goes."""
    first, second = (inventory(f"turns{n}.test", name_server.settings(), start=n) for n in (1, 2))

    def turns(hosts: tuple[Host, ...], names: tuple[str, ...]) -> dict[str, int]:
        domains = tuple(dataclasses.replace(domain, hosts=names) for domain in first.domains + second.domains)
        plans = driver.plan(Inventory("inv.yml", hosts, domains, name_server.settings()))
        found = {plan.zone: plan.turn for plan in plans if plan.changes}
        apply(sorted(plans, key=lambda plan: plan.turn))
        return found

    both = first.hosts + second.hosts
    assert turns(first.hosts, ("mx1",)) == {"turns1.test": ADDRESSES, "turns2.test": OTHERS}
    assert turns(both, ("mx1", "mx2")) == {"turns1.test": OTHERS, "turns2.test": ADDRESSES}
    assert turns(second.hosts, ("mx2",)) == {"turns1.test": GOING, "turns2.test": OTHERS}


def test_markers_that_lead_on_without_end(name_server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write texts may forge a chain of them; each one costs a round."""
    zone = "rounds10.test"

    def forge(message: dns.update.UpdateMessage) -> None:
        for n in range(12):
            name = f"d{n}.{zone}" if n else zone
            text = f"v=mailprov2 zone={zone} for={name},d{n + 1}.{zone}"
            message.add(f"_mailprov.{name}.", 60, "TXT", f'"{text}"')

    name_server.change(zone, forge)
    plans, rounds, _ = cost(inventory(zone, name_server.settings()))
    assert plans
    assert rounds > 10
    monkeypatch.setattr(survey, "MOST_ROUNDS", 6)
    with pytest.raises(
        DnsFailed, match=r"markers lead on from domain to domain without end, at last to d6\.rounds10"
    ):
        driver.plan(inventory(zone, name_server.settings()))


def test_what_is_asked_ahead_changes_nothing_but_the_rounds(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = with_wildcards(name_server, hosts=2)
    gone = dataclasses.replace(wanted, domains=wanted.domains[2:], hosts=wanted.hosts[4:])
    apply(driver.plan(wanted, keys=keys(wanted)))
    for one in (gone, with_wildcards(name_server, ttl=77, hosts=3)):
        ahead, rounds, _ = cost(one)
        with monkeypatch.context() as patched:
            patched.setattr(survey._Reader, "_guesses", lambda self: set())
            patched.setattr(survey._Reader, "_wishes", lambda self: set())
            plain, more, _ = cost(one)
        assert rounds <= 3 <= more
        assert plain == ahead
        assert any(plan.changes for plan in ahead)
    apply(
        driver.plan(
            Inventory("inv.yml", (), (), name_server.settings()),
            served={d.name: [f"mx1.{d.name}", f"mx2.{d.name}"] for d in wanted.domains},
        )
    )
