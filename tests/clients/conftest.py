"""Hosts to try real mail programs on, as most users have them: filter, web corner, certificates of an authority.

    MAILPROV_CLIENTS=long    Debian 12 and 13 (`make test-clients`); else Debian 13 alone (SHORT=1)
    MAILPROV_CLIENTS_LAB     a lab that is up and applied already, for work on the tests themselves
    place                    one of the hosts, with its domain: each test runs once for each

All modules share the hosts. Each test leaves them as it found them, but for mail.
"""

from __future__ import annotations

import os
import platform
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.desired import needed_packages
from mailprov.inventory import SecretMode, load
from tests.clients.places import LONG, Place
from tests.lab.conftest import no_orphans
from tests.lab.labs import lab_name, silent
from tests.lab.program import run

__all__ = ["no_orphans"]  # fixtures

HERE = Path(__file__).parent
CAN = platform.system() == "Linux" and os.geteuid() == 0
# host, domain, release
PLACES = (("mx2", "beta.test", "debian-13"), ("mx1", "alpha.test", "debian-12"))[: 2 if LONG else 1]
ACCOUNTS = ("ana", "ben", "eva", "leo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and "place" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)
            if not CAN:
                item.add_marker(pytest.mark.skip(reason="needs root on Linux: mail programs meet real hosts"))


def inventory() -> str:
    hosts = "".join(
        f"  {host}: {{address: 192.0.2.{number}, fqdn: {host}.{domain}, lab: {{release: {release}}}}}\n"
        for number, (host, domain, release) in enumerate(PLACES, 1)
    )
    people = ", ".join(f"{name}: {{password: {{env: PASSWORD}}}}" for name in ACCOUNTS)
    domains = "".join(
        f"  {domain}: {{hosts: [{host}], accounts: {{{people}}}}}\n" for host, domain, _ in PLACES
    )
    first = textwrap.dedent("""\
        dns: {provider: rfc2136, server: 192.0.2.9, tsig: {name: k, secret: {env: K}}, ttl: 5}
        tls: {mode: acme, email: postmaster@beta.test}
        web: true
    """)
    return f"{first}hosts:\n{hosts}domains:\n{domains}"


@pytest.fixture(scope="session")
def hosts(no_orphans: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Lab]:
    if name := os.environ.get("MAILPROV_CLIENTS_LAB"):
        yield lab.load(name)
        return
    path = tmp_path_factory.mktemp("inventory") / "inventory.yml"
    path.write_text(inventory())
    read = load(path, SecretMode.IGNORE)
    packages = {host.name: needed_packages(read, host) for host in read.hosts}
    made = lab.up(read, name=lab_name("clients"), packages=packages, emit=silent)
    try:
        done = run("apply", "--yes", "--no-verify", str(made.inventory_path), timeout=540)
        assert done.code == 0, (done.stderr, done.events[-3:])
        yield made
    finally:
        lab.down(made.name, silent)


@pytest.fixture(scope="session", params=PLACES, ids=[release for *_, release in PLACES])
def place(hosts: lab.Lab, request: pytest.FixtureRequest) -> Place:
    host, domain, _ = request.param
    return Place(hosts, host, domain)
