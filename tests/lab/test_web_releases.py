"""The web corner of the oldest and the newest release that is supported: nginx 1.18 of Debian 11, and that of testing.

Webmail besides on Debian 11 (both releases in tests/users, long form), and what users have on both: passwords of their
own and of programs, states, a shell. The tests of test_web that are imported run here with these hosts, in whatever
order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.errors import LabError
from tests.lab import test_web
from tests.lab.labs import run_on
from tests.lab.people import People, accounts
from tests.lab.program import run
from tests.lab.test_web import (  # noqa: F401
    meant,
    test_a_second_apply_changes_nothing_and_the_package_is_as_it_came,
    test_each_file_is_served_as_programs_ask_for_it,
    test_strangers_names_and_paths_get_nothing,
    test_what_an_authority_asks_for_is_served_on_port_80,
)
from tests.users.visitor import Visitor

INVENTORY = """\
filter: none
web: true
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {{release: debian-11}}}}
  mx2: {{address: 192.0.2.2, fqdn: mx2.beta.test, lab: {{release: debian-testing}}}}
domains:
  gamma.test: {{hosts: [mx1], mail_name: mail.alpha.test, accounts: {{zoe: {{password: {{env: ZOE}}}}}}}}
  alpha.test:
    hosts: [mx1]
    mail_name: mail.alpha.test
    webmail: roundcube
    accounts:
{alpha}
  beta.test:
    hosts: [mx2]
    accounts:
{beta}
"""
USERS = {"mx1": ("alpha.test", "una"), "mx2": ("beta.test", "dora")}
# What apt says of a suite that a mirror does not have (any more). Whatever else goes wrong is a failure.
NOT_THERE = re.compile(r"404 +Not Found|does not have a Release file")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("key") / "id"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab], key: Path) -> lab.Lab:
    try:
        made = ready_lab_factory(INVENTORY.format(alpha=accounts("una", key), beta=accounts("dora", key)))
    except LabError as error:
        if NOT_THERE.search(str(error)):
            pytest.skip(f"this machine's mirror does not have the release: {error}")
        raise
    first = test_web.apply(made.inventory_path)
    assert first.code == 0, (first.stderr, first.events[-3:])
    return made


def test_users_have_all_that_they_have_elsewhere(hosts: lab.Lab, key: Path) -> None:
    assert "nginx-core" in run_on(hosts, "mx1", "dpkg-query -W -f '${Package} '")
    for host, (domain, user) in USERS.items():
        people = People(hosts, host, domain, user, key)
        people.works()
        old = people.own
        people.chooses("chosen by its user")
        people.works()
        assert not people.imap("own", old)
        if host == "mx1":
            visitor = Visitor(people.address, f"webmail.{domain}")
            assert visitor.log_in("own", people.own)
            assert not Visitor(people.address, f"webmail.{domain}").log_in("own", old)


def test_verify_finds_nothing_wrong(hosts: lab.Lab) -> None:
    done = run("apply", "--yes", str(hosts.inventory_path), timeout=540)
    bad = [
        (f["id"], f["target"], f["observed"]) for f in done.of("found") if f["verdict"] in ("fail", "error")
    ]
    assert (bad, done.code) == ([], 0), done.events[-3:]
    assert {f["verdict"] for f in done.of("found", id="webmail.login")} == {"pass"}


def test_it_leaves_and_a_rollback_brings_it_back(hosts: lab.Lab) -> None:
    test_web.test_it_leaves_with_its_key(hosts)
    test_web.test_a_rollback_brings_it_back(hosts)
