"""The mutations of real hosts are data: each has a name of its own, and probes that there are."""

from __future__ import annotations

import subprocess

import pytest

from mailprov.probe.checks import probes
from tests.mutations.catalogue import HELPERS, MUTATIONS, Mutation

IDS = {each.entry.id for each in probes()}


def test_names_are_not_given_twice() -> None:
    names = [each.name for each in MUTATIONS]
    assert len(set(names)) == len(names) >= 40


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.name)
def test_a_mutation_is_seen_by_probes_that_there_are_and_its_shell_can_be_read(mutation: Mutation) -> None:
    assert set(mutation.seen_by) <= IDS
    assert bool(mutation.put) != bool(mutation.records)
    script = f"{HELPERS}{mutation.put}\n( {mutation.back or ':'} )\n"
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
