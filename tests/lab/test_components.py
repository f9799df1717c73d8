"""A component in one file, which mailprov does not have: it comes to real hosts, leaves, and a rollback brings it back.

Debian 12 and 13, with the package from the hosts' own archive. The tests build on each other in their order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab import program
from tests.lab.labs import run_on
from tests.lab.program import Result, run

INVENTORY = """\
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
"""
REGISTERED = (
    "from mailprov.components import registry; registry.register('tests.lab.node_exporter'); "
    "from mailprov.__main__ import main; main()"
)
HOSTS = ("mx1", "mx2")


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> Iterator[lab.Lab]:
    """Applied without the component; every `mailprov` of this module knows it."""
    made = ready_lab_factory(INVENTORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "COMMAND", (sys.executable, "-c", REGISTERED))
        first = apply(made.inventory_path)
        assert first.code == 0, first.events[-3:]
        yield made


def apply(inventory: Path) -> Result:
    """Hosts only: records are not what this is about."""
    return run("apply", "--yes", "--no-verify", "--only", "hosts", str(inventory), timeout=540)


def answers(hosts: lab.Lab) -> dict[str, bool]:
    asked = "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100/metrics').read().decode())\""
    return {name: "\nnode_load1 " in run_on(hosts, name, f"{asked} 2>/dev/null; true") for name in HOSTS}


def with_exporter(hosts: lab.Lab) -> Path:
    path = hosts.inventory_path.with_name("with-exporter.yml")
    path.write_text(hosts.inventory_path.read_text() + "node_exporter: {}\n")
    return path


def test_it_comes_with_its_package_file_and_service(hosts: lab.Lab) -> None:
    assert answers(hosts) == {"mx1": False, "mx2": False}
    done = apply(with_exporter(hosts))
    assert done.code == 0, (done.stderr, done.events[-3:])
    for name in HOSTS:
        assert ("create", "package", "prometheus-node-exporter") in done.changes(name)
    assert answers(hosts) == {"mx1": True, "mx2": True}
    again = run("plan", "--only", "hosts", str(with_exporter(hosts)))
    assert again.code == 0, again.events[-3:]


def test_it_leaves_with_its_key_and_its_service_starts_at_no_boot(hosts: lab.Lab) -> None:
    done = apply(hosts.inventory_path)
    assert done.code == 0, (done.stderr, done.events[-3:])
    assert answers(hosts) == {"mx1": False, "mx2": False}
    for name in HOSTS:
        unit = run_on(hosts, name, "systemctl is-enabled prometheus-node-exporter.service; true")
        assert unit.strip() == "disabled"


def test_a_rollback_brings_it_back(hosts: lab.Lab) -> None:
    done = run("rollback", "--yes", str(hosts.inventory_path), timeout=540)
    assert done.code == 0, (done.stderr, done.events[-3:])
    assert answers(hosts) == {"mx1": True, "mx2": True}
