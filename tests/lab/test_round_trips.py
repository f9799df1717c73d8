"""What a far host costs: round trips of the real program to a real host, counted by a proxy that delays.

A no-change apply may take ten whatever the number of resources, and a changed alias those of the go, its events and the
reload besides. Counted, not timed: the delay only keeps apart what waits for an answer and what is merely on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.delayproxy import DelayProxy
from tests.lab.program import Result, run

ONE_WAY = 0.05
LIMIT = 10
CHANGE = 1  # the go

INVENTORY = """\
filter: none
hosts: {mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}}
domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}}
"""


class Far:
    """The lab's host behind the proxy; `apply` gives the result and how many round trips it took."""

    def __init__(self, where: lab.Lab, folder: Path) -> None:
        self.where, self.folder = where, folder
        self.address = where.host("mx1").address

    def inventory(self, address: str, port: int, accounts: int, aliases: str) -> Path:
        key = next(
            line.split(maxsplit=1)[1]
            for line in self.where.known_hosts.read_text().splitlines()
            if self.address in line.split()[0].split(",")
        )
        name = address if port == 22 else f"[{address}]:{port}"
        known = self.folder / f"known_hosts-{port}"
        known.write_text(f"{name} {key}\n")
        people = "".join(
            f"      user{n}: {{password: {{env: PASSWORD}}, quota: 200M}}\n" for n in range(accounts)
        )
        path = self.folder / "mail.yml"
        path.write_text(
            f"ssh: {{user: root, port: {port}, identity_file: {self.where.identity_file}, known_hosts: {known}}}\n"
            f"hosts: {{mx1: {{address: {address}, fqdn: mx1.alpha.test}}}}\n"
            f"domains:\n  alpha.test:\n    hosts: [mx1]\n    aliases: {{{aliases}}}\n    accounts:\n{people}"
        )
        return path

    def near(self, accounts: int, aliases: str) -> Result:
        return _apply(self.inventory(self.address, 22, accounts, aliases))

    def apply(self, accounts: int, aliases: str) -> tuple[Result, int]:
        with DelayProxy(self.address, 22, ONE_WAY) as proxy:
            result = _apply(self.inventory("127.0.0.1", proxy.port, accounts, aliases))
            assert proxy.connections == 1
            return result, proxy.round_trips


def _apply(path: Path) -> Result:
    result = run("apply", "--yes", "--no-verify", str(path), env={"PASSWORD": "s3cret-of-many"})
    assert result.code == 0, result.stderr + str(result.of("ended"))
    return result


@pytest.fixture(scope="module")
def far(ready_lab_factory: Callable[[str], lab.Lab], tmp_path_factory: pytest.TempPathFactory) -> Far:
    return Far(ready_lab_factory(INVENTORY), tmp_path_factory.mktemp("far"))


@pytest.mark.parametrize("accounts", [10, 1000])
def test_no_change_takes_ten_round_trips_whatever_the_number_of_resources(far: Far, accounts: int) -> None:
    assert far.near(accounts, "postmaster: user0").changes("mx1")

    result, round_trips = far.apply(accounts, "postmaster: user0")

    assert result.changes("mx1") == []
    assert round_trips <= LIMIT


@pytest.mark.changes_hosts
def test_one_alias_takes_the_go_besides(far: Far) -> None:
    far.near(10, "postmaster: user0")

    result, round_trips = far.apply(10, "postmaster: user0, info: user1")

    # Where its mail goes, who may send as it, and whose room it has.
    files, reload = [("update", "file")] * 3, [("run", "service")]
    assert [change[:2] for change in result.changes("mx1")] == files + reload
    assert round_trips <= LIMIT + CHANGE
