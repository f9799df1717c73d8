"""Publishing on real BIND, Knot and PowerDNS: what is created, what stays, what is refused, and who wins a race."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Sequence

import dns.message
import dns.rdata
import dns.update
import pytest

from mailprov import dns as driver
from mailprov.dns import publishing
from mailprov.dns.driver import Place
from mailprov.dns.providers.rfc2136 import ABILITIES, update
from mailprov.dns.providers.rfc2136.driver import UpdateDriver
from mailprov.dns.providers.rfc2136.session import Session
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.dns.rrsets import RRset, Stored, as_records
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import DnsFailed
from mailprov.model.events import Action, Applied, Event
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls
from mailprov.run.select import select
from tests.unit.dns.servers import NameServer, free_port, inventory


def publish(wanted: Inventory, take_over: bool = False) -> list[Applied]:
    events: list[Event] = []
    for zone_plan in driver.plan(wanted, take_over):
        driver.apply(zone_plan, events.append)
    return [event for event in events if isinstance(event, Applied)]


def only(wanted: Inventory, take_over: bool = False) -> ZonePlan:
    (zone_plan,) = driver.plan(wanted, take_over)
    return zone_plan


def test_create_in_two_zones(name_server: NameServer) -> None:
    first, second = (
        inventory("create.test", name_server.settings()),
        inventory("create2.test", name_server.settings(), start=2),
    )
    both = Inventory(
        "inv.yml", first.hosts + second.hosts, first.domains + second.domains, name_server.settings()
    )
    plans = driver.plan(both)
    assert [plan.subject for plan in plans] == ["zone create.test", "zone create2.test"]
    assert [plan.compared for plan in plans] == ["5 records", "5 records"]
    events: list[Event] = []
    for plan in plans:
        driver.apply(plan, events.append)
    applied = [event.change for event in events if isinstance(event, Applied)]
    assert applied == [change for plan in plans for change in plan.changes]
    assert name_server.values("create.test", "MX") == {"10 mx1.create.test."}
    assert name_server.values("create2.test", "MX") == {"10 mx2.create2.test."}
    assert name_server.values("create.test", "TXT") == {'"v=spf1 mx -all"'}
    assert name_server.values("mx1.create.test", "A") == {"10.0.0.1"}
    assert name_server.values("mx1.create.test", "TXT") == {'"v=spf1 a -all"'}
    # The text holds a semicolon, which is a comment in zone files: all of it must be there.
    assert name_server.values("_dmarc.create.test", "TXT") == {
        '"v=DMARC1; p=none; aspf=s; rua=mailto:postmaster@create.test"'
    }
    assert not any(plan.changes for plan in driver.plan(both))


@pytest.mark.parametrize("other", ["theirs.test", "broken.test", "nowhere.test"])
def test_a_zone_that_was_not_chosen_stops_nothing(name_server: NameServer, other: str) -> None:
    """Values of others in it, a zone that could not be loaded, one that is on another server."""
    mine = inventory("chosen.test", name_server.settings())
    theirs = inventory(other, name_server.settings(), start=2)
    both = Inventory(
        "inv.yml", mine.hosts + theirs.hosts, mine.domains + theirs.domains, name_server.settings()
    )
    chosen = select(both, domains=["chosen.test"])

    plans = driver.plan(both, covers=chosen.covers_zone)

    assert [(plan.zone, len(plan.changes) > 0) for plan in plans] == [("chosen.test", True)]
    for names in (["chosen.test", other], None):
        with pytest.raises(DnsFailed):
            driver.plan(both, covers=select(both, domains=names).covers_zone)


def test_no_change_sends_no_update(name_server: NameServer) -> None:
    wanted = inventory("same.test", name_server.settings())
    publish(wanted)
    serial = name_server.serial("same.test")
    again = only(wanted)
    assert (again.changes, again.unchanged) == ((), 5)
    assert publish(wanted) == []
    assert name_server.serial("same.test") == serial
    # Not even a connection: the server of this plan does not exist.
    work = again.work
    assert work is not None
    gone = dataclasses.replace(work, settings=name_server.settings(port=free_port()))
    driver.apply(dataclasses.replace(again, work=gone), lambda event: None)


def test_change_and_removal(name_server: NameServer) -> None:
    publish(inventory("change.test", name_server.settings(), hosts=2))
    assert name_server.values("mx1.change.test", "A") == {"10.0.0.1"}
    applied = publish(inventory("change.test", name_server.settings(), start=2, hosts=2))
    assert [
        (a.change.action, a.change.name, a.change.detail)
        for a in applied
        if a.change.name == "change.test MX"
    ] == [
        (
            Action.UPDATE,
            "change.test MX",
            "10 mx1.change.test, 20 mx2.change.test → 10 mx2.change.test, 20 mx3.change.test",
        )
    ]
    assert name_server.values("change.test", "MX") == {"10 mx2.change.test.", "20 mx3.change.test."}
    assert name_server.values("mx1.change.test", "A") == set()
    assert name_server.values("mx1.change.test", "TXT") == set()


def test_foreign_texts_stay_octet_for_octet(name_server: NameServer) -> None:
    wanted = inventory("foreign.test", name_server.settings())
    before = name_server.values("foreign.test", "TXT")
    assert len(before) == 2
    with pytest.raises(DnsFailed) as caught:
        driver.plan(wanted)
    assert str(caught.value) == (
        "zone foreign.test: foreign.test has MX that mailprov did not write: 5 old.foreign.test "
        "(wanted: 10 mx1.foreign.test). Delete what is not wanted, or run again with --take-over to replace "
        "it; name others who take its mail under the domain's `mx` first."
    )
    publish(wanted, take_over=True)
    assert name_server.values("foreign.test", "TXT") == before | {'"v=spf1 mx -all"'}
    assert name_server.values("foreign.test", "MX") == {"10 mx1.foreign.test."}
    publish(inventory("foreign.test", name_server.settings(), start=2))
    assert name_server.values("foreign.test", "TXT") == before | {'"v=spf1 mx -all"'}


def test_a_change_by_somebody_else_in_between_is_kept(name_server: NameServer) -> None:
    plan = only(inventory("race.test", name_server.settings()))
    name_server.change("race.test", lambda m: m.add("race.test.", 300, "TXT", '"from somebody else"'))
    events: list[Event] = []
    driver.apply(plan, events.append)
    assert name_server.values("race.test", "TXT") == {'"before"', '"from somebody else"', '"v=spf1 mx -all"'}
    assert len([e for e in events if isinstance(e, Applied)]) == len(plan.changes)


def test_what_was_not_shown_is_not_done(name_server: NameServer) -> None:
    wanted = inventory("race2.test", name_server.settings())
    plan = only(wanted)
    name_server.change("race2.test", lambda m: m.add("race2.test.", 300, "MX", "5 ns.race2.test."))
    serial = name_server.serial("race2.test")
    with pytest.raises(DnsFailed, match=r"race2.test has MX that mailprov did not write: 5 ns"):
        driver.apply(plan, lambda event: None)
    assert name_server.serial("race2.test") == serial
    # With leave to take over the new record is still one that nobody agreed to lose.
    name_server.change("race2.test", lambda m: m.delete("race2.test.", "MX"))
    plan = only(wanted, take_over=True)
    name_server.change("race2.test", lambda m: m.add("race2.test.", 300, "MX", "5 ns.race2.test."))
    with pytest.raises(DnsFailed, match=r"was changed since the plan was made.*nothing was written"):
        driver.apply(plan, lambda event: None)
    assert name_server.values("race2.test", "MX") == {"5 ns.race2.test."}


def test_changes_in_between_without_end_end_in_a_clear_error(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    plan = only(inventory("race3.test", name_server.settings()))
    name_server.change("race3.test", lambda m: m.add("race3.test.", 300, "TXT", "one"))
    again = publishing._Publishing._again
    monkeypatch.setattr(publishing, "LONGEST_PAUSE", 0)

    def and_changed(*args: object) -> object:
        result = again(*args)  # type: ignore[arg-type]
        tries.append(f'"{len(tries)}"')
        name_server.change("race3.test", lambda m: m.add("race3.test.", 300, "TXT", tries[-1]))
        return result

    monkeypatch.setattr(publishing._Publishing, "_again", and_changed)
    with pytest.raises(DnsFailed) as caught:
        driver.apply(plan, lambda event: None)
    assert str(caught.value) == (
        "zone race3.test: its records were changed by somebody else 10 times in a row; nothing was written. "
        "Run the command again."
    )
    assert name_server.values("race3.test", "TXT") == {'"one"', *tries}


def test_an_answer_made_by_a_wildcard_is_nobodys_record(name_server: NameServer) -> None:
    wanted = inventory("wild.test", name_server.settings())
    sub = dataclasses.replace(wanted.domains[0], name="sub.wild.test", dmarc=None)
    real = dataclasses.replace(wanted.hosts[0], name="real", fqdn="real.wild.test", ipv4=("192.0.2.1",))
    wanted = dataclasses.replace(wanted, hosts=(*wanted.hosts, real), domains=(*wanted.domains, sub))
    publish(wanted)
    assert name_server.values("mx1.wild.test", "A") == {"10.0.0.1"}
    assert name_server.values("sub.wild.test", "MX") == {"10 mx1.wild.test."}
    assert name_server.values("sub.wild.test", "TXT") == {'"v=spf1 mx -all"'}
    assert name_server.values("other.wild.test", "MX") == {"5 elsewhere.test."}
    # An own record that says the same as the wildcard is there all the same.
    assert "real.wild.test A" not in {change.name for plan in driver.plan(wanted) for change in plan.changes}
    assert not any(plan.changes for plan in driver.plan(wanted))


def test_a_selector_with_another_key_is_nobodys_to_write(name_server: NameServer) -> None:
    wanted = inventory("dkim.test", name_server.settings())
    keys = {"mx1": {"dkim.test.mx1-rsa-1": "v=DKIM1; k=rsa; p=b3Vycw=="}}
    with pytest.raises(
        DnsFailed, match=r"^zone dkim\.test: mx1-rsa-1\._domainkey\.dkim\.test has DKIM key that mailprov"
    ):
        driver.plan(wanted, keys=keys)
    for plan in driver.plan(wanted, take_over=True, keys=keys):
        driver.apply(plan, lambda event: None)
    assert name_server.values("mx1-rsa-1._domainkey.dkim.test", "TXT") == {'"v=DKIM1; k=rsa; p=b3Vycw=="'}
    assert not any(plan.changes for plan in driver.plan(wanted, keys=keys))


def test_a_cname_in_the_way(name_server: NameServer) -> None:
    with pytest.raises(DnsFailed, match=r"mx1\.cname\.test is a CNAME of target\.cname\.test"):
        driver.plan(inventory("cname.test", name_server.settings()))


def test_a_dname_above_is_told_as_one(name_server: NameServer) -> None:
    wanted = inventory("dname.test", name_server.settings())
    host = dataclasses.replace(wanted.hosts[0], fqdn="mx1.sub.dname.test")
    if (
        name_server.kind == "powerdns"
    ):  # by default it does nothing with a DNAME (dname-processing), so none is in the way
        assert driver.plan(dataclasses.replace(wanted, hosts=(host,)))
        return
    with pytest.raises(DnsFailed) as caught:
        driver.plan(dataclasses.replace(wanted, hosts=(host,)))
    assert str(caught.value) == (
        "zone dname.test: mx1.sub.dname.test is below a DNAME to other.example, so it cannot have a A record. "
        "Remove the DNAME above mx1.sub.dname.test, or choose another name."
    )


def test_a_dmarc_that_was_delegated_is_told_and_the_rest_is_published(name_server: NameServer) -> None:
    plan, rest = driver.plan(inventory("dmarc.test", name_server.settings()))
    assert rest.notices == (
        f"_dmarc.dmarc.test is in no zone of DNS server 127.0.0.1 port {name_server.port} (_dmarc.dmarc.test is "
        "delegated from dmarc.test to other servers); publish by hand where it belongs: TXT v=DMARC1; p=none; aspf=s; "
        "rua=mailto:postmaster@dmarc.test",
    )
    driver.apply(plan, lambda event: None)
    assert name_server.values("dmarc.test", "MX") == {"10 mx1.dmarc.test."}


def test_the_zone_of_a_cname_is_not_that_of_its_target(name_server: NameServer) -> None:
    wanted = inventory("split.test", name_server.settings())
    host = dataclasses.replace(wanted.hosts[0], fqdn="www.sub.split.test")
    with pytest.raises(
        DnsFailed, match=r"^zone sub\.split\.test: www\.sub\.split\.test is a CNAME of gone\.split"
    ):
        driver.plan(dataclasses.replace(wanted, hosts=(host,)))


def test_the_soa_behind_a_cname_is_not_taken_for_the_names_own() -> None:
    """PowerDNS follows a CNAME into its other zones and gives the SOA there, which may be above the name."""
    text = (
        "id 1\nopcode QUERY\nrcode NXDOMAIN\nflags QR AA\n;QUESTION\nwww.sub.split.test. IN SOA\n;ANSWER\n"
        "www.sub.split.test. 300 IN CNAME gone.split.test.\n;AUTHORITY\n"
        "split.test. 60 IN SOA ns.split.test. root.split.test. 1 2 3 4 5\n;ADDITIONAL\n"
    )

    class Answering(Session):
        def ask(
            self, messages: Sequence[dns.message.Message], proofs: Sequence[dns.message.Message] = ()
        ) -> list[dns.message.Message]:
            own = text.replace("www.sub", "sub").replace(
                "300 IN CNAME gone.split.test.", "60 IN SOA a. b. 1 2 3 4 5"
            )
            apex = dns.message.from_text(own.replace("NXDOMAIN", "NOERROR"))
            texts = {"www.sub.split.test.": dns.message.from_text(text), "sub.split.test.": apex}
            nobody = dns.message.from_text("id 1\nopcode QUERY\nrcode REFUSED\nflags QR\n")
            return [texts.get(message.question[0].name.to_text(), nobody) for message in messages]

    settings = Rfc2136Settings("127.0.0.1")
    asking = UpdateDriver(settings, ABILITIES)
    asking.session = Answering(settings)
    found = asking.query(names=["www.sub.split.test"]).places
    assert found == {"www.sub.split.test": Place("sub.split.test")}


def test_the_order_in_which_a_server_gives_a_set_does_not_matter() -> None:
    stored = [Stored(value) for value in ("100 c.test", "20 b.test", "3 a.test")]
    for order in (stored, stored[::-1]):
        records = as_records({("a.test", "MX"): RRset(60, tuple(order))})
        assert [record.value for record in records] == ["3 a.test", "20 b.test", "100 c.test"]


def test_each_name_goes_to_its_own_zone(name_server: NameServer) -> None:
    wanted = inventory("sub.split.test", name_server.settings())
    host = dataclasses.replace(wanted.hosts[0], fqdn="mx1.split.test")
    plans = driver.plan(dataclasses.replace(wanted, hosts=(host,)))
    assert [plan.zone for plan in plans] == ["split.test", "sub.split.test"]
    for plan in plans:
        driver.apply(plan, lambda event: None)
    assert name_server.values("sub.split.test", "MX") == {"10 mx1.split.test."}
    assert name_server.values("mx1.split.test", "A") == {"10.0.0.1"}


def test_a_host_elsewhere_is_a_notice_and_a_domain_elsewhere_an_error(name_server: NameServer) -> None:
    host = Host("mx9", "10.0.0.9", "mx9.foreign.example", SshSettings(), Tls(), ("10.0.0.9",))
    wanted = Inventory("i", (host,), (Domain("split.test", ("mx9",)),), name_server.settings())
    zone, rest = driver.plan(wanted)
    assert (zone.zone, rest.zone, rest.changes) == ("split.test", "", ())
    assert rest.subject == "dns"
    (notice,) = rest.notices
    assert notice.startswith("mx9.foreign.example is in no zone of DNS server 127.0.0.1")
    assert "publish by hand where it belongs: A 10.0.0.9, TXT v=spf1 a -all" in notice
    with pytest.raises(DnsFailed) as caught:
        driver.plan(inventory("nowhere.example", name_server.settings()))
    assert str(caught.value) == (
        f"DNS server 127.0.0.1 port {name_server.port}: the zone of nowhere.example is not there (looked for "
        f"nowhere.example, example; it answered REFUSED{' without a signature' * (name_server.kind == 'knot')}). "
        "Create the zone on that server, or name the server that has it in dns.server."
    )


def test_a_delegated_name_is_not_in_the_parent_zone(name_server: NameServer) -> None:
    with pytest.raises(DnsFailed, match=r"deleg\.split\.test is delegated from split\.test to other servers"):
        driver.plan(inventory("deleg.split.test", name_server.settings()))


def test_a_server_that_closes_after_every_answer(name_server: NameServer, tcp_server) -> None:  # type: ignore[no-untyped-def]
    def one_each(connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", name_server.port)) as upstream:
            head = connection.recv(2, socket.MSG_WAITALL)
            body = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
            upstream.sendall(head + body)
            head = upstream.recv(2, socket.MSG_WAITALL)
            connection.sendall(head + upstream.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
            connection.shutdown(socket.SHUT_WR)

    publish(inventory("closing.test", name_server.settings(port=tcp_server(one_each))))
    assert name_server.values("closing.test", "MX") == {"10 mx1.closing.test."}


def test_sixty_hosts_in_one_update(name_server: NameServer) -> None:
    wanted = inventory("many.test", name_server.settings(), hosts=60)
    publish(wanted)
    assert len(name_server.values("many.test", "MX")) == 60
    assert len(next(iter(name_server.values("_mailprov.many.test", "TXT"))).split('" "')) > 5
    again = only(wanted)
    assert (again.changes, again.unchanged) == ((), 182)


def test_a_domain_that_no_message_holds_is_said_and_nothing_is_done(name_server: NameServer) -> None:
    serial = name_server.serial("large.test")
    with pytest.raises(
        DnsFailed,
        match=r"^zone large\.test: the changed records of large\.test do not fit in one DNS message of 64 KiB, so ",
    ):
        publish(inventory("large.test", name_server.settings(), hosts=600))
    assert name_server.serial("large.test") == serial


def test_a_text_that_stands_cut_otherwise_is_the_same_text(name_server: NameServer) -> None:
    plan = only(inventory("chunks.test", name_server.settings()), take_over=True)
    assert "chunks.test TXT" not in {change.name for change in plan.changes}
    driver.apply(plan, lambda event: None)
    publish(inventory("chunks.test", name_server.settings(ttl=60)))
    assert name_server.values("chunks.test", "TXT") == {'"v=spf1 " "mx -all"'}
    assert name_server.ask("chunks.test", "TXT").answer[0].ttl == 60


def test_an_accepted_update_that_had_no_effect_is_a_failure(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may say NOERROR and drop an addition: seen by reading back."""
    send = update._send

    def without_mx(session: Session, zone: str, message: dns.update.UpdateMessage, count: int) -> bool:
        message.update = [rrset for rrset in message.update if rrset.rdtype != dns.rdatatype.MX]
        return send(session, zone, message, count)

    monkeypatch.setattr(update, "_send", without_mx)
    events: list[Event] = []
    with pytest.raises(DnsFailed, match=r"when read back readback\.sub\.split\.test MX is not as wanted"):
        driver.apply(only(inventory("readback.sub.split.test", name_server.settings())), events.append)
    told = {event.change.name for event in events if isinstance(event, Applied)}
    assert "readback.sub.split.test TXT" in told, "it stands"
    assert "readback.sub.split.test MX" not in told


def test_a_ttl_that_a_server_did_not_change_is_a_failure(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(inventory("ttl.test", name_server.settings()))
    send = update._send

    def without_addresses(session: Session, zone: str, message: dns.update.UpdateMessage, count: int) -> bool:
        message.update = [rrset for rrset in message.update if rrset.rdtype != dns.rdatatype.A]
        return send(session, zone, message, count)

    monkeypatch.setattr(update, "_send", without_addresses)
    with pytest.raises(
        DnsFailed, match=r"when read back the TTL of mx1\.ttl\.test A \(300, wanted 60\) is not as"
    ):
        publish(inventory("ttl.test", name_server.settings(ttl=60)))
    monkeypatch.undo()
    publish(inventory("ttl.test", name_server.settings(ttl=60)))
    ttls = {
        name_server.ask(name, kind).answer[0].ttl
        for name, kind in (("ttl.test", "MX"), ("mx1.ttl.test", "A"))
    }
    assert ttls == {60}
