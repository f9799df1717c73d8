"""Rollback, history and two applies at once on real hosts: Debian 12 and 13, so both Dovecot lines.

The tests of this file build on each other in their order: the first install is rolled back and forward again, then a
change is rolled back.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.program import COMMAND, run
from tests.lab.test_service import MAIL_PORTS, answers, change_zone, edited, password_lines, processes

INVENTORY = """\
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {password: {env: ANA}}
      luis: {password: {env: LUIS}}
    aliases: {postmaster: ana}
  beta.test:
    hosts: [mx2]
    accounts: {eva: {password: {env: EVA}}}
    aliases: {postmaster: eva}
  gamma.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}, aliases: {postmaster: ana}}
"""
HOSTS = ("mx1", "mx2")
# What a rollback must leave exactly so: content, mode, owner and time of every file of the configuration.
CONFIGURATION = (
    "find /etc /var/vmail -xdev \\( -type f -printf '%p %m %u %g %s %T@\\n' -o -printf '%p %m %u %g %l\\n' \\) | sort; "
    "find /etc /var/vmail -xdev -type f -print0 | sort -z | xargs -0 sha256sum"
)


@pytest.fixture(scope="module")
def hosts(lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return lab_factory(INVENTORY)


@pytest.fixture(scope="module")
def inventory(hosts: lab.Lab) -> Path:
    return hosts.inventory_path


def ports(hosts: lab.Lab, host: str) -> set[int]:
    """Mail ports that listen."""
    lines = run_on(hosts, host, "cat /proc/net/tcp /proc/net/tcp6").splitlines()
    fields = [line.split() for line in lines if " 0A " in line]
    return {int(field[1].rpartition(":")[2], 16) for field in fields} & MAIL_PORTS


def units(hosts: lab.Lab, host: str) -> list[str]:
    """Whether postfix and dovecot start at boot, and whether they run."""
    command = "systemctl is-enabled postfix dovecot; systemctl is-active postfix dovecot; true"
    return run_on(hosts, host, command).split()


def records(hosts: lab.Lab) -> dict[str, list[str]]:
    wanted = {"alpha.test": "MX TXT", "beta.test": "MX TXT", "gamma.test": "MX TXT", "mx1.alpha.test": "A"}
    wanted |= {"mx2.beta.test": "A AAAA TXT"}
    wanted |= {f"_mailprov.{zone}.test": "TXT" for zone in ("alpha", "beta", "gamma")}
    return {
        f"{name} {kind}": answers(hosts, name, kind)
        for name, kinds in wanted.items()
        for kind in kinds.split()
    }


def configuration(hosts: lab.Lab) -> dict[str, str]:
    return {host: run_on(hosts, host, CONFIGURATION) for host in HOSTS}


def login(hosts: lab.Lab, host: str, user: str, secret: str) -> str:
    """What Dovecot says to this password."""
    password = (hosts.directory / "secrets" / secret).read_text().strip()
    return run_on(hosts, host, f"doveadm auth test -- {user} '{password}' 2>&1; true")


def test_a_first_install_is_rolled_back_and_forward_again(hosts: lab.Lab, inventory: Path) -> None:
    pristine = records(hosts)
    assert run("apply", "--yes", "--no-verify", str(inventory)).code == 0
    installed, published = configuration(hosts), records(hosts)
    assert published["alpha.test MX"] == ["10 mx1.alpha.test."]

    back = run("rollback", "--yes", str(inventory))

    assert back.code == 0, back.events[-4:]
    for host in HOSTS:
        assert ports(hosts, host) == set()
        assert units(hosts, host) == ["disabled", "disabled", "inactive", "inactive"]
        assert ("delete", "service", "dovecot.service") in back.changes(host)
        assert any("postfix" in notice["text"] for notice in back.of("notice", subject=host))
        left = "ls -d /etc/dovecot/mailprov-users /etc/postfix/mailprov /etc/mailprov; true"
        assert run_on(hosts, host, left + " 2>/dev/null") == ""
    assert ("delete", "account", "ana@alpha.test") in back.changes("mx1")
    assert records(hosts) == pristine
    # All is to be done again but what stayed: packages and the user.
    kinds = {kind for _, kind, _ in run("plan", str(inventory)).changes("mx1")}
    assert {"file", "account", "service"} <= kinds
    assert not {"package", "user"} & kinds

    forward = run("rollback", "--yes", str(inventory))

    assert forward.code == 0, forward.events[-4:]
    assert configuration(hosts) == installed
    assert records(hosts) == published
    for host in HOSTS:
        assert ports(hosts, host) == MAIL_PORTS
        assert units(hosts, host) == ["enabled", "enabled", "active", "active"]
    assert run("plan", "--exit-code", str(inventory)).code == 0
    proved = run("verify", str(inventory), "--probe", "auth.ok")
    assert proved.code == 0, proved.events[-1]


def test_a_change_is_rolled_back_and_the_host_serves_as_before(hosts: lab.Lab, inventory: Path) -> None:
    (inventory.parent / "secrets" / "nuevo").write_text("nuevo secreto 1\n")
    before, published, running = configuration(hosts), records(hosts), processes(hosts)
    lines = password_lines(hosts, "mx1")
    copy = edited(
        inventory,
        "change",
        (r"accounts:\n( +)ana:", r"accounts:\n\1nuevo: {password: {file: secrets/nuevo}}\n\1ana:"),
        ("file: secrets/luis@alpha.test", "file: secrets/nuevo"),
        (r"ttl: 3600", "ttl: 1800"),
    )
    change = run("apply", "--yes", "--no-verify", copy)
    assert change.code == 0, change.events[-3:]
    assert ("update", "account", "luis@alpha.test") in change.changes("mx1")
    assert "auth succeeded" in login(hosts, "mx1", "luis@alpha.test", "nuevo")
    run_on(hosts, "mx1", "echo 'Subject: hola' | sendmail -i nuevo@alpha.test")
    wait_until(
        lambda: run_on(hosts, "mx1", "ls /var/vmail/alpha.test/nuevo/*/new/* 2>/dev/null; true").strip(),
        "the message to the new account",
    )

    back = run("rollback", "--yes", str(inventory))

    assert back.code == 0, back.events[-4:]
    shown = json.dumps(back.events)
    assert "nuevo secreto" not in shown
    assert "$6$" not in shown
    assert ("delete", "account", "nuevo@alpha.test") in back.changes("mx1")
    assert ("update", "account", "luis@alpha.test") in back.changes("mx1")
    assert ("update", "record", "beta.test MX") in back.changes("zone beta.test")
    assert password_lines(hosts, "mx1") == lines
    assert "auth succeeded" in login(hosts, "mx1", "luis@alpha.test", "luis@alpha.test")
    assert "auth failed" in login(hosts, "mx1", "nuevo@alpha.test", "nuevo")
    assert records(hosts) == published
    assert processes(hosts) == running, "no daemon was restarted"
    mail = "ls /var/vmail/alpha.test/nuevo/*/new/*; rm -r /var/vmail/alpha.test/nuevo"
    assert run_on(hosts, "mx1", mail).strip(), "mail is never touched"
    run_on(hosts, "mx1", "rmdir /var/vmail/alpha.test 2>/dev/null; true")
    assert configuration(hosts) == before
    assert run("plan", "--exit-code", str(inventory)).code == 0


def test_edits_by_other_people_are_not_overwritten(hosts: lab.Lab, inventory: Path) -> None:
    """Only records change on mx2's side: its undo is kept all the same. A record and a file are edited afterwards."""
    copy = edited(inventory, "edits", (r"ttl: 3600", "ttl: 1800"), (r"postmaster: ana", "postmaster: luis"))
    change = run("apply", "--yes", "--no-verify", copy)
    assert change.code == 0, change.events[-3:]
    path = next(name for _, kind, name in change.changes("mx1") if kind == "file")
    change_zone(
        hosts,
        "beta.test",
        remove=[("beta.test.", "TXT", '"v=spf1 mx -all"')],
        add=[("beta.test.", "TXT", '"v=spf1 mx ip4:192.0.2.80 -all"')],
    )
    run_on(hosts, "mx1", f"echo '# by hand' >> {path}")
    try:
        refused = run("rollback", "--yes", str(inventory))
        assert refused.code == 1
        assert f"edited by hand since that run: {path}" in refused.ended("mx1")["error"]
        assert "--accept-drift" in refused.ended("mx1")["error"]
        assert refused.of("applied") == [], "all or nothing"

        back = run("rollback", "--yes", "--accept-drift", str(inventory))
        assert back.code == 1, "a record is left as it is, and that is not all as before"
        notices = [notice["text"] for notice in back.of("notice", subject="zone beta.test")]
        assert any("ip4:192.0.2.80" in text and "left alone" in text for text in notices), notices
        assert answers(hosts, "beta.test", "TXT") == ['"v=spf1 mx ip4:192.0.2.80 -all"']
        assert "beta.test TXT" in back.events[-1]["summary"]
    finally:
        change_zone(
            hosts,
            "beta.test",
            remove=[("beta.test.", "TXT", '"v=spf1 mx ip4:192.0.2.80 -all"')],
            add=[("beta.test.", "TXT", '"v=spf1 mx -all"')],
        )
    assert run("apply", "--yes", "--no-verify", str(inventory)).code == 0


def test_two_applies_at_once(hosts: lab.Lab, inventory: Path) -> None:
    """The first holds the lock while its question waits for an answer; the second leaves, the third waits."""
    copy = edited(inventory, "two", (r"postmaster: ana", "postmaster: luis"))
    master, slave = pty.openpty()
    first = subprocess.Popen(
        [*COMMAND, "apply", "--host", "mx1", "--no-verify", copy], stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(master, 65536)
    try:
        second = run("apply", "--yes", "--no-verify", "--host", "mx1", copy)
        assert second.code == 1
        error = second.ended("mx1")["error"]
        assert error.startswith("mx1: locked by ")
        assert f"apply (pid {first.pid}) since 20" in error
        assert "--lock-timeout" in error

        third = subprocess.Popen(
            [
                *COMMAND,
                "apply",
                "--yes",
                "--no-verify",
                "--host",
                "mx1",
                "--lock-timeout",
                "60",
                "--json",
                copy,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert third.stdout is not None
        waiting = next(line for line in third.stdout if '"notice"' in line)
        assert f"waiting for the lock, which is held by root@{os.uname().nodename}" in waiting
    finally:
        os.write(master, b"n\n")
        assert first.wait(timeout=180) == 1  # declined is not done
        os.close(master)
    rest = third.stdout.read()
    assert third.wait(timeout=180) == 0
    assert rest.count('"waiting for the lock') == 0, "said once"
    assert '"status": "ok"' in rest


def test_history_tells_all_of_it(hosts: lab.Lab, inventory: Path) -> None:
    result = run("history", str(inventory))

    assert result.code == 0
    told = result.of("past_run", subject="mx1")
    kinds = [(run["kind"], run["status"]) for run in told]
    assert kinds[:5] == [
        ("apply", "ok"), ("rollback", "ok"), ("rollback", "ok"), ("apply", "ok"), ("rollback", "ok"),
    ]  # fmt: skip
    assert told[1]["undoes"] == told[0]["run"]
    assert told[0]["zones"] == ["alpha.test", "gamma.test"]
    assert told[0]["changed"] > 20
    assert told[0]["owner"].endswith(")")
    assert [run["next"] for run in told] == [False] * (len(told) - 1) + [True]
    assert {run["run"] for run in result.of("past_run", subject="mx2")} <= {run["run"] for run in told}
    assert result.of("past_run", subject="mx2", run=told[0]["run"]), "one run, one id on all hosts"

    text = subprocess.run([*COMMAND, "history", str(inventory)], capture_output=True, text=True, check=True)
    assert "a rollback returns to the state before the apply of" in text.stdout


def test_several_runs_are_undone_in_one_on_hosts_and_in_zones(hosts: lab.Lab, inventory: Path) -> None:
    assert run("apply", "--yes", "--no-verify", str(inventory)).code == 0
    before, published = configuration(hosts), records(hosts)
    last = run("history", str(inventory)).of("past_run", subject="mx1")[-1]["run"]
    (inventory.parent / "secrets" / "nuevo").write_text("nuevo secreto 1\n")
    account = (r"accounts:\n( +)ana:", r"accounts:\n\1nuevo: {password: {file: secrets/nuevo}}\n\1ana:")
    for name, *changes in (
        ("first", (r"ttl: 3600", "ttl: 900")),
        ("second", (r"ttl: 3600", "ttl: 600"), account, ("aliases:", "spf: {all: soft}\n    aliases:")),
    ):
        assert run("apply", "--yes", "--no-verify", edited(inventory, name, *changes)).code == 0
    assert records(hosts) != published
    assert configuration(hosts) != before

    back = run("rollback", "--yes", "--to", last, str(inventory))

    assert back.code == 0, back.events[-4:]
    assert configuration(hosts) == before
    assert records(hosts) == published
    told = run("history", str(inventory)).of("past_run", subject="mx1")[-1]
    assert (told["kind"], told["to"]) == ("rollback", last)
    assert run("plan", "--exit-code", str(inventory)).code == 0


# What somebody with root on a host can do to what mailprov keeps there: the last run's log gets another line.
REWRITE = """python3 - <<'END'
import json, os
runs = "/var/lib/mailprov/runs"
log = os.path.join(runs, max(os.listdir(runs), key=lambda name: int(name.rpartition("-")[2])), "log")
if not os.path.exists("/root/log"):
    os.rename(log, "/root/log")
lines = [json.loads(line) for line in open("/root/log")]
for line in lines:
    if line["r"] == "begin":
        line.update(BEGIN)
    if line["r"] == "zones":
        line["zones"] += IMAGES
open(log, "w").writelines(json.dumps(line) + "\\n" for line in lines)
END"""


def test_a_host_whose_journal_was_rewritten_harms_no_other(hosts: lab.Lab, inventory: Path) -> None:
    """It tells what another host's zone was before, or of a run that is yet to come; the others go back without it."""
    evil = {"ttl": 60, "values": ["5 evil.example"]}
    lie = {"zone": "beta.test", "sets": [{"name": "beta.test", "type": "MX", "before": evil, "after": None}]}
    good = answers(hosts, "beta.test", "MX")
    copy = edited(inventory, "lied", (r"ttl: 3600", "ttl: 1200"))
    assert run("apply", "--yes", "--no-verify", copy).code == 0
    for begin, images, words in (
        ({"run": "99991231T235959Z-ffffff"}, [], "which is later than now"),
        ({}, [lie], "it reports what zone beta.test was before, in which it serves no domain"),
    ):
        text = REWRITE.replace("BEGIN", repr(begin)).replace("IMAGES", repr(images))
        run_on(hosts, "mx1", text)
        back = run("rollback", "--yes", str(inventory))

        assert back.code == 1
        assert words in back.ended("mx1")["error"]
        assert back.ended("mx2")["status"] == "ok"
        assert back.of("planned", subject="zone beta.test"), "it goes back, without mx1"
        assert answers(hosts, "beta.test", "MX") == good
    assert run("apply", "--yes", "--no-verify", str(inventory)).code == 0


def test_what_ran_before_mailprov_came_runs_again(ready_lab_factory: Callable[[str], lab.Lab]) -> None:
    """Postfix and Dovecot as the distribution sets them up, taken over by a first apply that is then rolled back."""
    made = ready_lab_factory(INVENTORY)
    theirs = "cd /etc && find postfix dovecot -type f -print0 | sort -z | xargs -0 sha256sum"
    before = {host: (run_on(made, host, theirs), units(made, host), ports(made, host)) for host in HOSTS}
    assert all(25 in listening for _, _, listening in before.values())
    assert run("apply", "--yes", "--no-verify", str(made.inventory_path)).code == 0
    assert all(run_on(made, host, theirs) != before[host][0] for host in HOSTS)

    back = run("rollback", "--yes", str(made.inventory_path))

    assert back.code == 0, back.events[-4:]
    for host in HOSTS:
        assert (run_on(made, host, theirs), units(made, host), ports(made, host)) == before[host]
