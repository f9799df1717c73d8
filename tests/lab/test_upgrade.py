"""An upgrade in place: a host provisioned on Debian 12 becomes Debian 13, by its admin's hand (Dovecot 2.3 → 2.4).

Debian's own upgrade ends with an error, because Dovecot 2.4 does not start with a configuration for 2.3, and leaves
dovecot-core half configured; Postfix goes on as a process of the old release. `verify` says what is out of service
and what to do, `apply` heals it, no mail is lost, and what users have (a password of their own, one of a program,
states, a shell) is theirs as before. The tests build on each other in their order. With webmail, which is most of the
packages: tests/users, long form.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.people import People, accounts
from tests.lab.program import Result, run

INVENTORY = """\
filter: none
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {{release: debian-12}}}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
{accounts}
"""
UPGRADE = """
export DEBIAN_FRONTEND=noninteractive
sed -i s/bookworm/trixie/g /etc/apt/sources.list
apt-get -qq update && apt-get -q -y -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 full-upgrade
"""
LETTER = "printf 'Subject: {0}\\n\\ntext\\n' | sendmail -f ana@alpha.test ana@alpha.test"
SUBJECTS = "grep -rhoE '^Subject: (before|meanwhile|after)$' /var/vmail | sort"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("key") / "id"


@pytest.fixture(scope="module")
def before(ready_lab_factory: Callable[[str], lab.Lab], key: Path) -> People:
    made = ready_lab_factory(INVENTORY.format(accounts=accounts("una", key)))
    first = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert first.code == 0, first.ended("mx1")
    run_on(made, "mx1", LETTER.format("before"))
    people = People(made, "mx1", "alpha.test", "una", key)
    people.chooses("chosen before the upgrade")
    return people


@pytest.fixture(scope="module")
def host(before: People) -> lab.Lab:
    """The host right after its upgrade: with one message from before, and one from while Dovecot is down."""
    upgrade(before.lab)
    run_on(before.lab, "mx1", LETTER.format("meanwhile"))
    return before.lab


def upgrade(where: lab.Lab) -> None:
    done = subprocess.run(
        where.ssh_argv("mx1", [UPGRADE]), capture_output=True, text=True, timeout=1800, check=False
    )
    assert "dovecot-core" in done.stderr, done.stdout[-2000:]


@pytest.fixture(scope="module")
def healed(host: lab.Lab) -> Result:
    return run("apply", "--yes", "--no-verify", str(host.inventory_path))


def test_verify_says_what_is_out_of_service_and_what_to_do(host: lab.Lab) -> None:
    result = run("verify", "--probe", "net", str(host.inventory_path))

    refused = {finding["target"]["port"]: finding["advice"] for finding in result.of("found", verdict="fail")}
    assert (result.code, sorted(refused)) == (1, [110, 143, 993, 995])
    assert "see on the host that dovecot runs (systemctl status dovecot)" in refused[143]
    assert "after an upgrade of the system apply writes the configuration anew" in refused[143]


def test_the_plan_is_the_move_to_the_new_versions_and_no_edit_by_hand(host: lab.Lab) -> None:
    plan = run("plan", str(host.inventory_path))

    changes = {(kind, name): action for action, kind, name in plan.changes("mx1")}
    assert changes["package", "dovecot-core"] == "create"
    assert changes["file", "/etc/dovecot/dovecot.conf"] == "update"
    assert changes["service", "dovecot.service"] == "update"
    assert plan.code == 0
    planned = plan.of("planned", subject="mx1")[0]
    assert [change["name"] for change in planned["changes"] if change["drift"]] == []


def test_apply_heals_it(host: lab.Lab, healed: Result) -> None:
    assert healed.code == 0, healed.ended("mx1")
    assert run_on(host, "mx1", "dpkg --audit") == "", "no package is left half configured"
    assert run_on(host, "mx1", "postconf -h mail_version").startswith("3.10.")
    old = run_on(host, "mx1", "ls -l /proc/$(pgrep -o -x master)/exe")
    assert "(deleted)" not in old, "Postfix must not go on as a process of the old release"
    again = run("plan", "--exit-code", str(host.inventory_path))
    assert (again.code, again.changes("mx1")) == (0, [])


def test_users_have_what_they_had(healed: Result, before: People) -> None:
    before.works()
    before.chooses("chosen after the upgrade")
    before.works()


def test_every_probe_passes_and_no_mail_is_lost(host: lab.Lab, healed: Result) -> None:
    run_on(host, "mx1", LETTER.format("after"))
    result = run("verify", str(host.inventory_path))

    bad = [(f["id"], f["observed"]) for f in result.of("found") if f["verdict"] in ("fail", "error")]
    assert bad == []
    run_on(host, "mx1", "postqueue -f")  # what waited for Dovecot is due again minutes later
    subjects = "Subject: after\nSubject: before\nSubject: meanwhile\n"
    wait_until(lambda: run_on(host, "mx1", SUBJECTS) == subjects, "all three messages, once each")
