"""The lookup tables: read back as Postfix reads them, and followed as Postfix follows them."""

from __future__ import annotations

import dataclasses
import random

import pytest
from desired_cases import account, alpha, delta

from mailprov.components.postfix.addresses import other_names, tables, texthash
from mailprov.errors import InputError
from mailprov.model.accounts import Forward
from mailprov.model.inventory import Domain


def parsed(text: str) -> dict[str, list[str]]:
    """As texthash: does: `#` lines are comments, the first blank ends the key (dict_thash.c, virtual(5))."""
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        key, value = line.split(None, 1)
        assert key not in rows, "a key twice: Postfix would warn and keep the first"
        rows[key] = value.split(", ")
    return rows


def deliver(maps: dict[str, str], address: str) -> set[str]:
    """Recursive expansion as cleanup(8) does it: an address that maps to itself is final."""
    virtual, found, todo = parsed(maps["virtual"]), set(), [address]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        targets = virtual.get(name, [name])
        if name in targets or name in seen:
            found.add(name)
        seen.add(name)
        todo += [target for target in targets if target not in seen]
        if targets == [name]:
            found.add(name)
    return found


MAPS = tables((alpha(), delta()), "mx1.alpha.test")


@pytest.mark.parametrize(
    ("address", "reaches"),
    [
        ("ana@alpha.test", {"ana@alpha.test"}),
        ("ana@alfa.test", {"ana@alpha.test"}),
        ("info@alpha.test", {"ana@alpha.test"}),  # alias → alias → account
        ("info@alfa.test", {"ana@alpha.test"}),
        ("profes@alpha.test", {"ana@alpha.test", "luis@alpha.test", "luis@beta.test", "x+y#z@else.test"}),
        ("todos@alfa.test", {"ana@alpha.test", "luis@alpha.test", "luis@beta.test", "x+y#z@else.test"}),
        ("luis@alpha.test", {"luis@alpha.test", "luis@beta.test"}),  # keeps a copy
        ("luis@alfa.test", {"luis@alpha.test", "luis@beta.test"}),
        ("marta@alpha.test", {"eva@beta.test", "m@else.test"}),  # keeps none
        ("o'hara=x@alfa.test", {"o'hara=x@alpha.test"}),
        ("postmaster@alpha.test", {"ana@alpha.test"}),
        ("abuse@alfa.test", {"ana@alpha.test"}),
        ("postmaster@delta.test", {"zoe@delta.test"}),  # the first account as written, not in the alphabet
        ("abuse@delta.test", {"zoe@delta.test"}),
        ("postmaster", {"ana@alpha.test"}),
        ("root", {"ana@alpha.test"}),
    ],
)
def test_where_mail_goes(address: str, reaches: set[str]) -> None:
    assert deliver(MAPS, address) == reaches


def test_who_exists() -> None:
    assert set(parsed(MAPS["domains"])) == {"alpha.test", "delta.test"}
    assert set(parsed(MAPS["alias_domains"])) == {"alfa.test"}
    assert set(parsed(MAPS["mailboxes"])) == {
        "ana@alpha.test",
        "luis@alpha.test",
        "marta@alpha.test",
        "o'hara=x@alpha.test",
        "zoe@delta.test",
        "adam@delta.test",
    }


def test_no_line_accepts_a_whole_domain() -> None:
    for text in MAPS.values():
        assert not [key for key in parsed(text) if key.startswith("@")]


def test_every_address_has_its_twin_and_no_more() -> None:
    virtual = parsed(MAPS["virtual"])
    own = {
        key.partition("@")[0] for key in (*virtual, *parsed(MAPS["mailboxes"])) if key.endswith("@alpha.test")
    }
    assert {key.partition("@")[0] for key in virtual if key.endswith("@alfa.test")} == own


def test_who_may_send_as_whom() -> None:
    logins = parsed(MAPS["logins"])
    mine = {sender for sender, owners in logins.items() if "ana@alpha.test" in owners}
    assert mine == {
        f"{name}@{domain}"
        for name in ("ana", "ventas", "info", "postmaster", "abuse")
        for domain in ("alpha.test", "alfa.test")
    }
    # A list has several members and none of them owns it, nor does an alias of a list.
    assert not {"profes@alpha.test", "todos@alpha.test", "profes@alfa.test"} & set(logins)
    # Forwarding away does not give the target a right to the name.
    assert logins["marta@alpha.test"] == ["marta@alpha.test"]
    assert all(len(owners) == 1 for owners in logins.values())


def test_a_redirect_without_copy_does_not_ask_for_room() -> None:
    assert set(parsed(MAPS["redirects"])) == {"marta@alpha.test", "marta@alfa.test"}


def test_implicit_postmaster_is_told_in_a_comment() -> None:
    assert "# postmaster@delta.test is not in the inventory; it goes to zoe@delta.test." in MAPS["virtual"]
    assert "postmaster@alpha.test is not" not in MAPS["virtual"]


def test_a_postmaster_account_is_left_alone() -> None:
    domain = Domain("d.test", ("mx1",), accounts=(account("ana@d.test"), account("postmaster@d.test")))
    maps = tables((domain,), "mx1.d.test")
    assert deliver(maps, "postmaster@d.test") == {"postmaster@d.test"}
    assert deliver(maps, "abuse@d.test") == {"postmaster@d.test"}
    assert parsed(maps["logins"])["postmaster@d.test"] == ["postmaster@d.test"]


def test_domain_without_accounts_asks_the_hosts_first() -> None:
    empty = Domain("e.test", ("mx1",), lists=(("all@e.test", ("x@else.test",)),))
    maps = tables((empty, delta()), "mx1.e.test")
    assert deliver(maps, "postmaster@e.test") == {"zoe@delta.test"}
    assert "postmaster" not in tables((empty,), "mx1.e.test")["virtual"]


def test_host_without_domains_has_empty_maps() -> None:
    assert all(parsed(text) == {} for text in tables((), "mx1.alpha.test").values())


def test_forward_to_itself_and_twice_is_one() -> None:
    loop = account("a@d.test", forward=Forward(("a@d.test", "b@e.test", "b@e.test"), keep=True))
    maps = tables((Domain("d.test", ("mx1",), accounts=(loop,)),), "mx1.d.test")
    assert parsed(maps["virtual"])["a@d.test"] == ["a@d.test", "b@e.test"]


def test_order_of_the_inventory_changes_no_byte_but_the_first_account() -> None:
    domain = alpha()
    for seed in range(5):
        shuffle = random.Random(seed)
        mixed = dataclasses.replace(
            domain,
            accounts=tuple(shuffle.sample(domain.accounts, len(domain.accounts))),
            aliases=tuple(shuffle.sample(domain.aliases, len(domain.aliases))),
        )
        assert tables((mixed,), "mx1.alpha.test") == tables((domain,), "mx1.alpha.test")


@pytest.mark.parametrize("name", ["a+b", "o'hara", "a=b", "a#b", "x!y", "{z}", "a/b"])
def test_special_characters_survive(name: str) -> None:
    assert parsed(texthash({f"{name}@d.test": (f"{name}@e.test",)})) == {f"{name}@d.test": [f"{name}@e.test"]}


@pytest.mark.parametrize(
    "bad",
    [
        "#a@d.test",
        "a b@d.test",
        'a"b@d.test',
        "a,b@d.test",
        "a\\b@d.test",
        "a\n@d.test",
        "é@d.test",
        "",
        "@d.test",
    ],
)
@pytest.mark.parametrize("side", ["key", "value"])
def test_what_postfix_would_misread_is_refused(bad: str, side: str) -> None:
    rows = {bad: ("x@d.test",)} if side == "key" else {"x@d.test": (bad,)}
    with pytest.raises(InputError):
        texthash(rows)


@pytest.mark.parametrize("bad", ["a/b@d.test", "a+b@d.test", "a:b@d.test", "a%u@d.test"])
def test_account_that_cannot_be_a_directory_is_refused(bad: str) -> None:
    with pytest.raises(InputError, match="cannot be a login"):
        tables((Domain("d.test", ("mx1",), accounts=(account(bad),)),), "mx1.d.test")


def test_a_catch_all_shadows_no_name_of_its_domain_and_takes_none_of_a_domain_alias() -> None:
    domain = dataclasses.replace(alpha(), catch_all="ana@alpha.test")
    maps = tables((domain, delta()), "mx1.alpha.test")
    virtual = parsed(maps["virtual"])
    assert virtual["@alpha.test"] == ["ana@alpha.test"]
    assert "@alfa.test" not in virtual
    assert "@delta.test" not in virtual
    for address in parsed(maps["mailboxes"]):  # Postfix asks for `@domain` before virtual_mailbox_maps
        if address.endswith("@alpha.test"):
            assert deliver(maps, address) == deliver(MAPS, address)
            assert address in virtual
    assert parsed(maps["logins"]) == parsed(MAPS["logins"])  # who gets stray mail may not write as everybody


def test_room_is_asked_for_wherever_one_mailbox_is_behind_a_name() -> None:
    domain = dataclasses.replace(alpha(), catch_all="info@alpha.test")
    found = {name: account.address for name, account in other_names((domain, delta())).items()}
    for name in ("ventas@alpha.test", "info@alfa.test", "ana@alfa.test", "abuse@alpha.test", "@alpha.test"):
        assert found[name] == "ana@alpha.test"
    assert found["abuse@delta.test"] == "zoe@delta.test"
    assert found["luis@alfa.test"] == "luis@alpha.test"  # forwards, and keeps a copy
    assert not [name for name in found if name.startswith(("marta@", "profes@", "todos@"))]
    # With a catch-all the question would find its mailbox for a name that is no mailbox's.
    roomless = parsed(tables((domain, delta()), "mx1.alpha.test")["redirects"])
    assert {"profes@alpha.test", "todos@alpha.test", "marta@alpha.test", "marta@alfa.test"} == set(roomless)


def test_what_goes_on_to_other_hosts_is_known_through_all_names() -> None:
    rows = parsed(MAPS["sent_on"])
    away = {"profes", "todos", "luis", "marta"}
    expected = {f"{name}@{domain}" for name in away for domain in ("alpha.test", "alfa.test")}
    assert set(rows) == expected
    for name in parsed(MAPS["virtual"]):
        if "@" in name:
            leaves = any(not to.endswith(("@alpha.test", "@delta.test")) for to in deliver(MAPS, name))
            assert (name in rows) is leaves, name


def test_names_of_the_system_that_lead_elsewhere_do_so_at_every_name_of_the_host() -> None:
    root, ana = account("root@delta.test"), account("ana@delta.test")
    to = Forward(("far@else.test",), keep=True)
    postmaster = dataclasses.replace(account("postmaster@delta.test"), forward=to)
    domain = Domain("delta.test", ("mx1",), (root, ana, postmaster), domain_aliases=("also.test",))
    rows = parsed(tables((domain,), "mx1.delta.test")["sent_on"])
    away = ["strangers_senders"]
    assert {
        name: rows.pop(f"{name}@") for name in ("abuse", "mailer-daemon", "postmaster", "root", "www-data")
    } == (dict.fromkeys(("abuse", "mailer-daemon", "postmaster", "root", "www-data"), away))
    for name in ("delta.test", "also.test"):
        assert (rows.pop(f"postmaster@{name}"), rows.pop(f"abuse@{name}")) == (away, away)
        assert rows.pop(f"root@{name}") == ["DUNNO"]  # its own mailbox, or nobody's
        assert (rows.pop(f"www-data@{name}"), rows.pop(f"mailer-daemon@{name}")) == (["DUNNO"], ["DUNNO"])
    assert rows == {}
    stays = dataclasses.replace(domain, accounts=(root, ana))
    assert parsed(tables((stays,), "mx1.delta.test")["sent_on"]) == {}


def test_a_catch_all_elsewhere_stands_for_its_domain_and_who_stays_is_named() -> None:
    ana, eva = account("ana@delta.test"), account("eva@delta.test")
    domain = Domain("delta.test", ("mx1",), (ana, eva), catch_all="all@else.test")
    rows = parsed(tables((domain,), "mx1.alpha.test")["sent_on"])
    stay = ("ana", "eva", "postmaster", "abuse")
    assert rows == {"delta.test": ["strangers_senders"], **{f"{name}@delta.test": ["DUNNO"] for name in stay}}
