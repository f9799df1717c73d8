"""All that users have, webmail with it, on the oldest release and the newest one, and through an upgrade in place.

The long form only: from hosts that have nothing yet to the end, which takes minutes. A part of it is in
tests/lab/test_web_releases.py and tests/lab/test_upgrade.py. The tests build on each other in their order.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.errors import LabError
from tests.lab.labs import run_on, wait_until
from tests.lab.people import People, accounts
from tests.lab.program import run
from tests.lab.test_upgrade import upgrade
from tests.lab.test_web_releases import NOT_THERE
from tests.users.conftest import LONG
from tests.users.visitor import Visitor

pytestmark = pytest.mark.skipif(not LONG, reason="in the long form (make test-users)")

DATABASE = "/var/lib/mailprov-webmail/roundcube.db"
UNITS = "systemctl list-units --all --plain --no-legend 'php*-fpm.service' 'roundcube-*' 'apache*.service'"
LIFETIME = 25 * 60.0  # seconds, a little less than `session_lifetime`
OLD = "select count(*) from session where sess_id = 'of-long-ago'"
FRIEND = {
    "_source": "0",
    "_gid": "",
    "_cid": "",
    "_name": "Bob Friend",
    "_firstname": "Bob",
    "_surname": "Friend",
    "_subtype_email[]": "home",
    "_email[]": "bob@else.test",
}
HOSTS = {"mx1": ("alpha.test", "una", "debian-11"), "mx2": ("beta.test", "dora", "debian-testing")}


def _inventory(hosts: dict[str, tuple[str, str, str]], key: Path) -> str:
    lines = ["filter: none", "web: true", "text_mua: [alpine, mutt]", "hosts:"]
    for number, (host, (domain, _, release)) in enumerate(hosts.items(), 1):
        where = f"address: 192.0.2.{number}, fqdn: {host}.{domain}"
        lines.append(f"  {host}: {{{where}, lab: {{release: {release}}}}}")
    lines.append("domains:")
    for host, (domain, user, _) in hosts.items():
        lines += [f"  {domain}:", f"    hosts: [{host}]", "    webmail: roundcube", "    accounts:"]
        lines.append(accounts(user, key).rstrip("\n"))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("key") / "id"


@pytest.fixture(scope="module")
def both(lab_factory: Callable[[str], lab.Lab], key: Path) -> dict[str, People]:
    try:
        made = lab_factory(_inventory(HOSTS, key))
    except LabError as error:
        if NOT_THERE.search(str(error)):
            pytest.skip(f"this machine's mirror does not have the release: {error}")
        raise
    done = run("apply", "--yes", str(made.inventory_path), timeout=900)
    bad = [
        (f["id"], f["target"], f["observed"]) for f in done.of("found") if f["verdict"] in ("fail", "error")
    ]
    assert (bad, done.code) == ([], 0), done.events[-3:]
    return {host: People(made, host, domain, user, key) for host, (domain, user, _) in HOSTS.items()}


def sql(people: People, statement: str) -> str:
    """The first value of the answer."""
    program = f"import sqlite3\nwith sqlite3.connect('{DATABASE}') as base:\n    print(*base.execute({statement!r}))"
    return run_on(people.lab, people.host, f"python3 - <<'END'\n{program}\nEND")


def session(people: People, name: str, password: str) -> Visitor:
    visitor = Visitor(people.address, f"webmail.{people.domain}")
    assert visitor.log_in(name, password)
    return visitor


def posts(visitor: Visitor, page: str, action: str, fields: dict[str, str]) -> str:
    """What the answer says."""
    token = re.search(r'"request_token":"([^"]*)"', visitor.ask(page)[1])
    assert token is not None, page
    return visitor.ask(action, {"_token": token[1], **fields})[1]


def befriends(visitor: Visitor) -> None:
    posts(visitor, "/?_task=addressbook", "/?_task=addressbook&_action=save", {**FRIEND, "_framed": "1"})


def knows(visitor: Visitor) -> bool:
    token = re.search(r'"request_token":"([^"]*)"', visitor.ask("/?_task=addressbook")[1])
    assert token is not None
    asked = "/?_task=addressbook&_action=list&_source=0&_remote=1"
    return "bob@else.test" in visitor.ask(asked, headers={"X-Roundcube-Request": token[1]})[1]


def chooses_in_webmail(people: People, new: str) -> None:
    visitor = session(people, "own", people.own)
    fields = {"_curpasswd": people.own, "_newpasswd": new, "_confpasswd": new}
    said = posts(
        visitor,
        "/?_task=settings&_action=plugin.password",
        "/?_task=settings&_action=plugin.password-save",
        fields,
    )
    assert '"confirmation"' in said, said[-2000:]
    people.own = new


def test_one_apply_gives_all_of_it_on_both_ends(both: dict[str, People]) -> None:
    for people in both.values():
        people.works()
        befriends(session(people, "ana", people.secret("ana")))
        assert knows(session(people, "ana", people.secret("ana")))
        chooses_in_webmail(people, "chosen by its user")
        people.works()
        assert run_on(people.lab, people.host, f"{UNITS} --state=active") == ""
    plan = run("plan", "--exit-code", str(both["mx1"].lab.inventory_path))
    assert plan.code == 0, [plan.changes(host) for host in both]


def test_sessions_that_are_over_go_from_the_database(both: dict[str, People]) -> None:
    """Debian 11 has no tool for it."""
    for people in both.values():
        row = "('of-long-ago', '2020-01-01 00:00:00', '192.0.2.9', '')"
        sql(people, f"insert into session (sess_id, changed, ip, vars) values {row}")
        visitor = Visitor(people.address, f"webmail.{people.domain}")

        def gone(people: People = people, visitor: Visitor = visitor) -> bool:
            assert [visitor.status() for _ in range(20)] == [200] * 20
            return sql(people, OLD).strip() == "(0,)"

        wait_until(gone, f"the old session goes on {people.host}", timeout=600)


@pytest.fixture(scope="module")
def upgraded(lab_factory: Callable[[str], lab.Lab], key: Path) -> tuple[People, Visitor, float]:
    """A host that has become Debian 13, a session from before in which somebody reads mail, and when that began."""
    made = lab_factory(_inventory({"mx1": ("alpha.test", "una", "debian-12")}, key))
    done = run("apply", "--yes", "--no-verify", str(made.inventory_path), timeout=900)
    assert done.code == 0, done.events[-3:]
    people = People(made, "mx1", "alpha.test", "una", key)
    since, visitor = time.monotonic(), session(people, "ana", people.secret("ana"))
    befriends(visitor)
    chooses_in_webmail(people, "chosen before the upgrade")
    upgrade(made)
    return people, visitor, since


def test_the_plan_after_an_upgrade_has_what_it_brought_and_the_webmail_anew(
    upgraded: tuple[People, Visitor, float],
) -> None:
    people, *_ = upgraded
    runs = run_on(people.lab, "mx1", "cat /proc/$(systemctl show -P MainPID mailprov-webmail)/comm")
    assert runs.strip() == "php-fpm8.2", "the old PHP goes on"
    plan = run("plan", str(people.lab.inventory_path))
    stopped = {name for action, kind, name in plan.changes("mx1") if (action, kind) == ("delete", "service")}
    assert "php8.4-fpm.service" in stopped
    assert ("apache2.service" in stopped) is ("apache2.service" in run_on(people.lab, "mx1", UNITS))
    assert ("update", "file", "/etc/mailprov/webmail/setup") in plan.changes("mx1")
    assert ("run", "service", "mailprov-webmail.service") in plan.changes("mx1")


def test_an_apply_mends_it_and_users_find_everything_again(upgraded: tuple[People, Visitor, float]) -> None:
    people, visitor, since = upgraded
    done = run("apply", "--yes", str(people.lab.inventory_path), timeout=900)
    bad = [
        (f["id"], f["target"], f["observed"]) for f in done.of("found") if f["verdict"] in ("fail", "error")
    ]
    assert (bad, done.code) == ([], 0), done.events[-3:]
    assert run_on(people.lab, "mx1", f"{UNITS} --state=active") == ""
    runs = run_on(people.lab, "mx1", "cat /proc/$(systemctl show -P MainPID mailprov-webmail)/comm")
    assert runs.strip() == "php-fpm8.4"
    again = run("plan", "--exit-code", str(people.lab.inventory_path))
    assert (again.code, again.changes("mx1")) == (0, [])
    if time.monotonic() - since < LIFETIME:
        assert knows(visitor), "who was logged in still is"
    assert knows(session(people, "ana", people.secret("ana")))
    people.works()
    chooses_in_webmail(people, "chosen after the upgrade")
    people.works()


def test_what_an_administrator_has_started_since_is_left_alone(
    upgraded: tuple[People, Visitor, float],
) -> None:
    people, *_ = upgraded
    run_on(people.lab, "mx1", "systemctl enable --now php8.4-fpm.service")
    plan = run("plan", "--exit-code", str(people.lab.inventory_path))
    assert (plan.code, plan.changes("mx1")) == (0, []), "an administrator's own business"
