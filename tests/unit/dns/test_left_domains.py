"""A mail domain that leaves the inventory: its own zone is in no plan any more, so somebody must be told of it."""

from __future__ import annotations

from mailprov import dns as driver
from mailprov.dns.memory import left_behind
from mailprov.model.inventory import Inventory
from tests.unit.dns.servers import Named, inventory
from tests.unit.dns.test_rfc2136 import publish


def test_the_zone_of_a_domain_that_left_is_named_with_what_stands_there(named: Named) -> None:
    first, second = (
        inventory("create.test", named.settings()),
        inventory("create2.test", named.settings(), start=2),
    )
    publish(
        Inventory("inv.yml", first.hosts + second.hosts, first.domains + second.domains, named.settings())
    )

    *_, last = driver.plan(first)
    assert last.zone == ""
    assert last.notices == (
        "create2.test has left the inventory, and its zone still leads mail here; remove from create2.test by hand: "
        "_dmarc.create2.test TXT, create2.test MX, create2.test TXT, mx2.create2.test A, mx2.create2.test TXT, "
        "_mailprov.create2.test TXT",
    )

    publish(second)  # another inventory has it now: no leftover of ours
    assert not [notice for plan in driver.plan(first) for notice in plan.notices]


def test_only_texts_of_this_inventory_tell_of_domains_that_left() -> None:
    texts = [
        "v=mailprov1 for=a.test,b.test @/MX=x",
        "v=mailprov1 for=c.test @/MX=x",
        "v=mailprov2 for=a.test,d.test",
    ]

    assert left_behind(texts, ["a.test"]) == ("b.test",)
    assert left_behind(texts, ["a.test", "b.test"]) == ()
