"""Where mail ends by the inventory: through each kind of name, and in no circle."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov.inventory import SecretMode, load
from mailprov.trace.expected import account_of, domain_of, ends

INVENTORY = """\
hosts: {mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {password: {env: P}}
      eva: {password: {env: P}, forward: {to: [x@else.test], keep: true}}
      away: {password: {env: P}, forward: {to: [sales], keep: false}}
    aliases: {sales: ana, office: sales}
    lists: {team: [office, eva, y@else.test]}
    domain_aliases: [alfa.test]
  gamma.test:
    hosts: [mx1]
    accounts: {ana: {password: {env: P}}}
    catch_all: ana
"""
CASES = {
    "ana@alpha.test": ["ana@alpha.test"],
    "ana@alfa.test": ["ana@alpha.test"],
    "ana+shop@alpha.test": ["ana@alpha.test"],
    "office@alfa.test": ["ana@alpha.test"],
    "away@alpha.test": ["ana@alpha.test"],
    "eva@alpha.test": ["eva@alpha.test", "x@else.test"],
    "team@alpha.test": ["ana@alpha.test", "eva@alpha.test", "x@else.test", "y@else.test"],
    "nobody@alpha.test": [],
    "whoever@gamma.test": ["ana@gamma.test"],
    "z@else.test": ["z@else.test"],
}


@pytest.mark.parametrize("address", CASES)
def test_each_kind_of_name_ends_where_the_inventory_says(tmp_path: Path, address: str) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(INVENTORY)
    read = load(path, SecretMode.IGNORE)

    assert list(ends(read, address)) == CASES[address]
    assert (domain_of(read, address) is None) == address.endswith("else.test")
    assert (account_of(read, address) is not None) == (
        address in ("ana@alpha.test", "eva@alpha.test", "away@alpha.test")
    )
