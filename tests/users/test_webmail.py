"""Webmail on real hosts: it comes, takes logins, is closed, fails so that one sees why, goes, and comes back.

Long form: Debian 12 and 13 (Roundcube 1.6 on PHP 8.2 and 8.4) from hosts with nothing on them. The tests build on each
other in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.matrix import address
from tests.lab.program import Result, run
from tests.users.conftest import LONG, RELEASES
from tests.users.visitor import Visitor

HOSTS = {f"mx{number}": release for number, release in enumerate(RELEASES, 1)}
INVENTORY = "\n".join(
    [
        "filter: none",
        "web: true",
        "hosts:",
        *(
            f"  {name}: {{address: 192.0.2.{name[2:]}, fqdn: {name}.{name}.test, lab: {{release: {release}}}}}"
            for name, release in HOSTS.items()
        ),
        "domains:",
        *(
            f"  {name}.test: {{hosts: [{name}], webmail: roundcube, accounts: {{ana: {{password: {{env: ANA}}}}}}}}"
            for name in HOSTS
        ),
        "",
    ]
)
STATE = "/var/lib/mailprov-webmail"
long_form = pytest.mark.skipif(not LONG, reason="in the long form (make test-users)")
PROBES = ("webmail.closed", "webmail.login", "webmail.page")
FAILED = "journalctl -t roundcube -o cat --no-pager | grep 'Failed login for ana '"
LOCK = (
    f"systemd-run --quiet --unit=lock python3 -c 'import sqlite3, time; base = sqlite3.connect("
    f'"{STATE}/roundcube.db", isolation_level=None); base.execute("BEGIN EXCLUSIVE"); time.sleep(600)\''
)


@pytest.fixture(scope="module")
def hosts(lab_factory: Callable[..., lab.Lab], ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = lab_factory(INVENTORY) if LONG else ready_lab_factory(INVENTORY)
    first = apply(made.inventory_path, dns=True)
    assert first.code == 0, (first.stderr, first.events[-3:])
    return made


def apply(inventory: Path, *, dns: bool = False) -> Result:
    only = () if dns else ("--only", "hosts")
    return run("apply", "--yes", "--no-verify", *only, str(inventory), timeout=580)


def verdicts(hosts: lab.Lab, host: str) -> dict[str, tuple[str, str]]:
    """Probe → verdict and what was observed."""
    result = run("verify", "--probe", "webmail", "--host", host, str(hosts.inventory_path))
    return {each["id"]: (each["verdict"], each["observed"]) for each in result.of("found")}


def all_well(hosts: lab.Lab, host: str) -> None:
    def well() -> bool:
        found = verdicts(hosts, host)
        return sorted(found) == sorted(PROBES) and {verdict for verdict, _ in found.values()} == {"pass"}

    wait_until(well, f"webmail of {host} is as it should be", timeout=240)


def without_changes(hosts: lab.Lab) -> None:
    plan = run("plan", "--exit-code", "--only", "hosts", str(hosts.inventory_path))
    assert plan.code == 0, [plan.changes(name) for name in HOSTS]


def visitor(hosts: lab.Lab, host: str) -> Visitor:
    return Visitor(address(hosts, host), f"webmail.{host}.test")


def password(hosts: lab.Lab, host: str) -> str:
    folder = hosts.inventory_path.parent / "secrets"
    return (folder / f"ana@{host}.test").read_text().strip()


def test_a_user_logs_in_by_the_name_and_sees_the_letter(hosts: lab.Lab) -> None:
    for host in HOSTS:
        run_on(
            hosts,
            host,
            f"printf 'Subject: from the web\\n\\ntext\\n' | sendmail -f ana@{host}.test ana@{host}.test",
        )
        all_well(hosts, host)
        for typed in ("ana", f"ana@{host}.test"):  # a name alone is one of the domain
            session = visitor(hosts, host)
            assert session.log_in(typed, password(hosts, host)), typed
            wait_until(lambda session=session: "from the web" in session.inbox(), "the letter is listed")


def test_a_second_apply_and_upgrades_of_the_packages_change_nothing(hosts: lab.Lab) -> None:
    without_changes(hosts)
    for host in HOSTS if LONG else ():
        before = run_on(hosts, host, f"sha256sum {STATE}/des_key")
        run_on(
            hosts,
            host,
            "export DEBIAN_FRONTEND=noninteractive; apt-get -qq install --reinstall -y roundcube-core nginx-common "
            "php*.*-fpm >/dev/null 2>&1; for each in roundcube-core nginx-common php*.*-fpm; do "
            "dpkg-reconfigure $(dpkg-query -W -f '${Package}\\n' \"$each\") >/dev/null 2>&1; done; "
            "systemctl restart mailprov-webmail",
        )
        assert run_on(hosts, host, f"sha256sum {STATE}/des_key") == before
        all_well(hosts, host)
    if LONG:
        without_changes(hosts)


def test_what_its_packages_bring_besides_does_not_run(hosts: lab.Lab) -> None:
    for host in HOSTS:
        assert run_on(hosts, host, "dpkg-query -W -f '${Package}\\n' | grep -c apache || true").strip() == "0"
        runs = run_on(
            hosts, host, "systemctl list-units --plain --no-legend --state=active 'mailprov-webmail*'"
        )
        assert sorted(line.split()[0] for line in runs.splitlines()) == [
            "mailprov-webmail-clean.timer",
            "mailprov-webmail.service",
        ]
        if LONG:  # a host that had nothing before
            files = run_on(
                hosts, host, "systemctl list-unit-files --no-legend 'php*-fpm.service' 'roundcube-*.timer'"
            )
            assert {line.split()[1] for line in files.splitlines()} == {"disabled"}, files
        run_on(hosts, host, "systemctl start mailprov-webmail-clean.service")


def test_the_key_and_the_database_are_for_it_alone(hosts: lab.Lab) -> None:
    for host in HOSTS:
        key = run_on(hosts, host, f"cat {STATE}/des_key").strip()
        assert len(key) == 24
        found = run_on(hosts, host, f"grep -rlF '{key}' /etc /var/lib/mailprov /var/log || true")
        assert found == ""
        assert "denied" in run_on(hosts, host, f"runuser -u www-data -- ls {STATE} 2>&1 || true")
        status = run_on(hosts, host, "cat /proc/$(systemctl show -P MainPID mailprov-webmail)/status")
        told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert (told["CapEff"], told["CapBnd"], told["NoNewPrivs"], told["Seccomp"]) == (
            "0" * 16,
            "0" * 16,
            "1",
            "2",
        )


def test_the_log_has_the_address_that_the_request_came_from(hosts: lab.Lab) -> None:
    for host in HOSTS:
        session = visitor(hosts, host)
        forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Client-IP": "203.0.113.9"}
        assert not session.log_in("ana", "wrong", forged)
        wait_until(lambda host=host: run_on(hosts, host, FAILED, check=False), "the failure is in the log")
        lines = run_on(hosts, host, FAILED)
        assert "203.0.113.9" not in lines
        assert f" from {address(hosts, host).rpartition('.')[0]}." in lines


@long_form
def test_another_certificate_than_that_of_the_hosts_name_is_refused(hosts: lab.Lab) -> None:
    file = "/etc/mailprov/webmail/config.inc.php"
    for host in HOSTS:
        right, wrong = f"'peer_name' => '{host}.", "'peer_name' => 'other."
        run_on(hosts, host, f'sed -i "s/{right}/{wrong}/" {file}')
        assert not visitor(hosts, host).log_in("ana", password(hosts, host))
        run_on(hosts, host, f'sed -i "s/{wrong}/{right}/" {file}')
        assert visitor(hosts, host).log_in("ana", password(hosts, host))


@long_form
def test_verify_says_what_is_broken_and_mail_goes_on(hosts: lab.Lab) -> None:
    host = next(iter(HOSTS))
    run_on(hosts, host, "systemctl stop mailprov-webmail")
    found = verdicts(hosts, host)
    assert found["webmail.page"][0] == "fail"
    assert "PHP does not" in found["webmail.login"][1]
    mail = run("verify", "--probe", "imap", "--host", host, str(hosts.inventory_path))
    assert mail.code == 0
    run_on(hosts, host, "systemctl start mailprov-webmail")

    run_on(hosts, host, LOCK)
    found = verdicts(hosts, host)
    assert "database is locked" in found["webmail.login"][1], found
    run_on(hosts, host, "systemctl stop lock")
    all_well(hosts, host)

    # A disk with room for what is there and no more.
    run_on(
        hosts,
        host,
        f"systemctl stop mailprov-webmail; mkdir /run/full; cp -a {STATE}/. /run/full; "
        f"mount -t tmpfs -o size=1M,mode=700,uid=mailprov-webmail,gid=mailprov-webmail full {STATE}; "
        f"cp -a /run/full/. {STATE}; systemctl start mailprov-webmail; cat /dev/zero >{STATE}/fill || true",
    )
    found = verdicts(hosts, host)
    # Roundcube cannot even open its database there, and shows a page of its own.
    assert {verdict for verdict, _ in (found["webmail.login"], found["webmail.page"])} == {"fail"}, found
    assert "mail goes on" in found["webmail.login"][1], found
    run_on(
        hosts,
        host,
        f"systemctl stop mailprov-webmail; umount {STATE}; rm -r /run/full; systemctl start mailprov-webmail",
    )
    all_well(hosts, host)


def test_without_the_key_it_goes_and_what_users_have_there_stays(hosts: lab.Lab) -> None:
    path = hosts.inventory_path.with_name("without-webmail.yml")
    path.write_text(hosts.inventory_path.read_text().replace("    webmail: roundcube\n", ""))
    users = f'python3 -c \'import sqlite3; print(sqlite3.connect("{STATE}/roundcube.db").execute("select username from users").fetchall())\''  # noqa: E501
    before = {host: run_on(hosts, host, f"sha256sum {STATE}/des_key; {users}") for host in HOSTS}
    gone = apply(path)
    assert gone.code == 0, (gone.stderr, gone.events[-3:])
    for host in HOSTS:
        left = run_on(
            hosts,
            host,
            "ls -d /etc/mailprov/webmail/* /etc/systemd/system/mailprov-webmail* 2>/dev/null || true",
        )
        assert left == ""
        assert "inactive" in run_on(hosts, host, "systemctl is-active mailprov-webmail || true")
        assert visitor(hosts, host).status() == 0
    again = run("plan", "--exit-code", "--only", "hosts", str(path))
    assert again.code == 0, [again.changes(name) for name in HOSTS]
    purge = run("purge", str(path))
    for host in HOSTS:
        assert [each for each in purge.of("notice", subject=host) if STATE in each["text"]], purge.events

    back = apply(hosts.inventory_path)
    assert back.code == 0, (back.stderr, back.events[-3:])
    for host in HOSTS:
        all_well(hosts, host)
        assert run_on(hosts, host, f"sha256sum {STATE}/des_key; {users}") == before[host]
    assert not [
        each for each in run("purge", str(hosts.inventory_path)).of("notice") if STATE in each["text"]
    ]


@long_form
def test_a_rollback_takes_it_away_and_another_brings_it_back(hosts: lab.Lab) -> None:
    for status in (0, 200):
        undone = run("rollback", "--yes", str(hosts.inventory_path), timeout=580)
        assert undone.code == 0, (undone.stderr, undone.events[-3:])
        for host in HOSTS:
            wait_until(
                lambda host=host, status=status: visitor(hosts, host).status() == status,
                f"webmail of {host} answers {status}",
            )
    without_changes(hosts)
