"""Ubuntu's habits (release `ubuntu-like`) from the first boot on: install, every probe, a change, and the way back.

The first apply begins while cloud-init and unattended-upgrades are still at work, as on a machine that a cloud has just
given; it logs in as `ubuntu`, whose sudo is sudo-rs. The tests build on each other in their order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import run_on
from tests.lab.program import Result, run

INVENTORY = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: ubuntu-like}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, filter: none, lab: {release: debian-13}}
domains:
  alpha.test:
    hosts: [mx1]
    quota: 50M
    accounts:
      ana: {password: {env: P}}
      luis: {password: {env: P}, forward: {to: [eva@beta.test], keep: true}}
    dmarc: {policy: none}
  beta.test:
    hosts: [mx2]
    accounts: {eva: {password: {env: P}}}
    dmarc: {policy: none}
"""


@pytest.fixture(scope="module")
def hosts(lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return lab_factory(INVENTORY)


@pytest.fixture(scope="module")
def first(hosts: lab.Lab) -> Result:
    """Begins at once; whoever waits for the machine to be ready has waited for what this is about."""
    return run("apply", "--yes", str(hosts.inventory_path), timeout=900)


def bad(result: Result) -> list[tuple[str, dict[str, str], str]]:
    return [
        (found["id"], found["target"], found["observed"])
        for found in result.of("found")
        if found["verdict"] not in ("pass", "skip")
    ]


def test_a_new_machine_is_waited_for_and_installed_and_every_probe_passes(
    hosts: lab.Lab, first: Result
) -> None:
    assert (first.code, bad(first)) == (0, []), first.events[-3:]
    told = [event["text"] for event in first.of("progress", subject="mx1")]
    assert "waiting for cloud-init, which still sets up this machine" in told
    assert any(re.match(r"waiting for unattended-upgr\S* \(pid \d+\)", text) for text in told), told
    for probe in ("smuggle.in", "delivery.results", "auth.ok", "auth.bad-password"):
        assert first.of("found", id=probe), f"{probe} must have run"
    assert (
        run_on(hosts, "mx1", "dpkg-query -W -f '${Version} ${db:Status-Status}' lab-update") == "2 installed"
    )
    assert run_on(hosts, "mx1", "dpkg --audit") == ""


def test_the_host_has_ubuntus_habits(hosts: lab.Lab, first: Result) -> None:
    """Else all that passes here shows nothing. What was there before the apply is there after it."""
    assert "user: ubuntu" in Path(hosts.inventory_path).read_text()
    said = run_on(
        hosts,
        "mx1",
        "sudo --version; cp --version | head -1; readlink /etc/resolv.conf; systemctl is-active systemd-networkd "
        "systemd-resolved ssh.socket; ls /run/systemd/network /etc/netplan; ufw status; cloud-init status",
        check=False,
    )
    for habit in (
        r"sudo-rs", r"cp \(uutils coreutils\)", r"stub-resolv\.conf", r"(active\n){3}", r"netplan-host0\.network",
        r"50-cloud-init\.yaml", r"Status: inactive", r"status: done",
    ):  # fmt: skip
        assert re.search(habit, said), said
    assert run_on(hosts, "mx1", "systemctl is-system-running", check=False).strip() == "running", run_on(
        hosts, "mx1", "systemctl --failed", check=False
    )


def test_a_second_apply_changes_nothing(hosts: lab.Lab, first: Result) -> None:
    second = run("apply", "--yes", str(hosts.inventory_path))
    assert (second.code, second.of("applied"), second.of("found")) == (0, [], [])
    assert [second.changes(host) for host in ("mx1", "mx2")] == [[], []]


def test_a_change_comes_and_goes_back(hosts: lab.Lab, first: Result) -> None:
    path = Path(hosts.inventory_path)
    before = path.read_text()
    here = ", ".join(f'"{net}"' for net in (hosts.subnet, hosts.subnet6) if net)
    keys = f"    firewall: ufw\n    fail2ban: {{ignore: [{here}]}}\n"
    changed = before.replace("    fqdn: mx1.alpha.test\n", f"    fqdn: mx1.alpha.test\n{keys}")
    changed = changed.replace("    dmarc:\n", "    aliases: {sales: ana}\n    dmarc:\n", 1)
    assert changed.count("sales") == changed.count("ufw") == 1
    path.write_text(changed)
    applied = run("apply", "--yes", str(path), timeout=600)
    assert (applied.code, bad(applied)) == (0, []), applied.events[-3:]
    assert ("create", "package", "fail2ban") in applied.changes("mx1")
    assert "Status: active" in run_on(hosts, "mx1", "ufw status")

    gone_back = run("rollback", "--yes", str(path))
    assert gone_back.code == 0, gone_back.events[-3:]
    assert "Status: inactive" in run_on(hosts, "mx1", "ufw status")
    path.write_text(before)
    again = run("plan", "--exit-code", str(path))
    assert (again.code, again.changes("mx1")) == (0, [])
    verified = run("verify", str(path), timeout=600)
    assert (verified.code, bad(verified)) == (0, []), verified.events[-3:]
