"""The oldest and the newest release that is supported, Debian 11 and testing; most tests are on Debian 12 and 13.

From pristine hosts, with the packages as the distribution serves them today and the filter that is used when nothing is
said; then without it, for the delivery matrix. The tests of test_mailboxes that are imported run here with these hosts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.errors import LabError
from mailprov.selftest import mailbox_cases
from tests.lab.labs import run_on
from tests.lab.matrix import FQDN, cases, inventory, misplaced, posted
from tests.lab.program import Result, run
from tests.lab.test_mailboxes import (  # noqa: F401
    test_a_mailbox_warns_and_then_refuses_by_all_its_names,
    test_users_filters_run_and_vacation_answers_once,
    test_users_write_under_their_own_names_only,
)

VERSIONS = {"mx1": ("3.5.", "2.3.13"), "mx2": ("3.11.", "2.4.")}
DOMAINS = ("alpha.test", "beta.test")
DMARC = "dmarc: {policy: none}"
UNFILTERED = inventory("debian-11", "debian-testing", DOMAINS).replace(DMARC, f"quota: 50M\n    {DMARC}")
INVENTORY = UNFILTERED.replace("filter: none\n", "")
CASES = cases(DOMAINS, ("stranger", "user"))
# What apt says of a suite that a mirror does not have (any more). Whatever else goes wrong is a failure.
NOT_THERE = re.compile(r"404 +Not Found|does not have a Release file")


@pytest.fixture(scope="module")
def pristine(lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    try:
        return lab_factory(INVENTORY)
    except LabError as error:
        if NOT_THERE.search(str(error)):
            pytest.skip(f"this machine's mirror does not have the release: {error}")
        raise


@pytest.fixture(scope="module")
def first(pristine: lab.Lab) -> Result:
    return run("apply", "--yes", str(pristine.inventory_path), timeout=600)


@pytest.fixture(scope="module")
def second(pristine: lab.Lab, first: Result) -> Result:
    return run("apply", "--yes", str(pristine.inventory_path))


@pytest.fixture(scope="module")
def hosts(pristine: lab.Lab, second: Result) -> lab.Lab:
    """Without the filter, to which letters of a stranger without a name in DNS look like spam."""
    path = Path(pristine.inventory_path)
    path.write_text(path.read_text().replace("filter: rspamd", "filter: none"))
    result = run("apply", "--yes", "--no-verify", str(path))
    assert result.code == 0, result.events[-3:]
    assert ("create", "service", "opendkim.service") in result.changes("mx1")
    return pristine


def test_a_pristine_host_is_installed_and_every_probe_passes(pristine: lab.Lab, first: Result) -> None:
    # Three of the eight accounts of each domain; no address is a public one, no zone is signed, no host serves a
    # policy, no account is for tests, and each host takes mail for any name (catch_all).
    probes = ("auth.ok", "dns.ptr", "dane.tlsa", "dns.mta-sts", "dsn.bounce", *mailbox_cases.PROBES)
    chosen = {(probe, "skip") for probe in probes}
    bad = [
        (f["id"], f["target"], f["observed"])
        for f in first.of("found")
        if f["verdict"] != "pass" and (f["id"], f["verdict"]) not in chosen
    ]
    assert (first.code, bad) == (0, []), first.events[-3:]
    both = {"alpha.test->beta.test", "beta.test->alpha.test"}
    for probe in ("delivery.path", "delivery.dkim", "delivery.results", "delivery.forged"):
        assert {f["target"]["domain"] for f in first.of("found", id=probe)} == both
    for host, (postfix, dovecot) in VERSIONS.items():
        assert ("create", "package", "postfix") in first.changes(host)
        assert run_on(pristine, host, "postconf -h mail_version").startswith(postfix)
        assert run_on(pristine, host, "dovecot --version").startswith(dovecot)


def test_a_second_apply_changes_nothing(second: Result) -> None:
    assert (second.code, second.of("applied"), second.of("found")) == (0, [], [])
    assert [second.changes(host) for host in FQDN] == [[], []]


def test_each_message_is_where_it_belongs_and_nowhere_else(hosts: lab.Lab) -> None:
    assert misplaced(CASES, posted(hosts, CASES)) == []
