"""Who reads postmaster@ and abuse@ is told when it changes because of the order of accounts."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from mailprov.components.postfix.addresses import tables
from mailprov.inventory import SecretMode, load
from mailprov.model.events import Action, Change
from mailprov.plan.roles import TABLE, moved

TEXT = """\
hosts: {{mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test}}}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts: {{{accounts}}}
    aliases: {{{aliases}}}
"""
ANA, ZOE = "ana: {password: {env: A}}", "zoe: {password: {env: Z}}"


def table(tmp_path: Path, accounts: str, aliases: str = "") -> str:
    """Postfix's table as it is really written for this inventory."""
    path = tmp_path / "mail.yml"
    path.write_text(TEXT.format(accounts=accounts, aliases=aliases))
    read = load(path, SecretMode.IGNORE)
    return tables(read.domains, "mx1.alpha.test")["virtual"]


def plan(old: str, new: str) -> list[str]:
    diff = "\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), TABLE, TABLE, lineterm=""))
    return moved([Change("mx1", "file", Action.UPDATE, TABLE, "", diff)])


def test_an_account_above_the_others_takes_both_over(tmp_path: Path) -> None:
    told = plan(table(tmp_path, ANA), table(tmp_path, f"{ZOE}, {ANA}"))

    assert [sentence.partition(",")[0] for sentence in told] == [
        "postmaster@alpha.test goes to zoe@alpha.test instead of ana@alpha.test",
        "abuse@alpha.test goes to zoe@alpha.test instead of ana@alpha.test",
    ]


@pytest.mark.parametrize("more", [ZOE, "luis: {password: {env: L}}, " + ZOE])
def test_an_account_below_the_first_changes_nothing(tmp_path: Path, more: str) -> None:
    assert plan(table(tmp_path, ANA), table(tmp_path, f"{ANA}, {more}")) == []


def test_who_is_named_in_the_inventory_is_the_users_own_choice(tmp_path: Path) -> None:
    both = f"{ANA}, {ZOE}"
    (told,) = plan(table(tmp_path, both), table(tmp_path, both, "postmaster: zoe"))
    assert told.startswith("abuse@alpha.test goes to postmaster@alpha.test instead of ana@alpha.test")

    assert plan(table(tmp_path, both), table(tmp_path, both, "postmaster: zoe, abuse: zoe")) == []
    assert plan("", table(tmp_path, ANA)) == [], "a first plan moves nobody"


def test_a_role_that_leaves_the_inventory_is_told_where_it_goes_now(tmp_path: Path) -> None:
    both = f"{ANA}, {ZOE}"
    told = plan(table(tmp_path, both, "postmaster: zoe"), table(tmp_path, both))

    assert told[0].startswith("postmaster@alpha.test goes to ana@alpha.test instead of zoe@alpha.test")
