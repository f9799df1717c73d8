"""The fault campaign in its short form: each fault once, where the host changes its state; `make faults` does it all.

Real hosts, the real program, a stream of numbered messages to the host all the while. After each fault the host must
serve as before or as wanted; the next apply must say what it found and converge; and every message that was accepted
with 250 must be in its mailbox.

The lab mounts its overlays `volatile`: fsync does nothing there. Power loss therefore means that all processes of the
host end at once and its disk keeps what was written; what a disk may lose with the power cannot be shown here (that
files and directories are synced in the right order is tested in tests/agent).
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mailprov import lab
from tests.faults.__main__ import LAB
from tests.faults.campaign import Campaign, Sample, label
from tests.faults.host import Machine
from tests.faults.table import table

# host → (phase, fault, the event it strikes at: the first that begins with these words)
PLAN = {
    "mx1": [
        ("change", "kill agent", "progress checking the configuration of dovecot"),
        ("change", "kill controller", "progress writing"),
        ("change", "power loss", "progress checking the configuration of postfix"),
        ("change", "full disk", "planned"),
        ("install", "apt broken", "progress apt: Setting up"),
    ],
    "mx2": [
        ("change", "cut network", "progress writing"),
        ("change", "Ctrl-C", "progress checking the configuration of postfix"),
        ("change", "kill agent", "progress restarting postfix"),
        ("change", "second apply", "progress writing"),
        ("rollback", "power loss", "progress checking"),
        ("change", "reboot", "applied certificate"),
        ("install", "dpkg lock", "planned"),
    ],
}


def work(made: lab.Lab, host: str, samples: list[Sample], failures: list[BaseException]) -> None:
    try:
        campaign = Campaign(Machine(made, host))
        for phase, kind, words in PLAN[host]:
            events = [label(event) for event in campaign.streams[phase]]
            index = next(n for n, event in enumerate(events) if event.startswith(words))
            samples.append(campaign.sample(phase, kind, index))
    except BaseException as error:
        failures.append(error)


def test_each_fault_once_where_the_state_changes(
    lab_factory: Callable[[str], lab.Lab], capsys: pytest.CaptureFixture[str]
) -> None:
    made = lab_factory(LAB)
    samples: list[Sample] = []
    failures: list[BaseException] = []
    threads = [threading.Thread(target=work, args=(made, host, samples, failures)) for host in PLAN]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    text = table(samples)
    with capsys.disabled():
        print("\n" + text)
        for one in samples:
            print(f"{one.host} {one.phase} {one.kind}: {one.seconds:.0f} s ({one.parts})")
    if failures:
        raise failures[0]
    assert [sample for sample in samples if not sample.hit] == [], "every fault must have struck"
    assert [f"{one.phase}, {one.kind}: {one.problems}" for one in samples if one.problems] == []
    assert sum(sample.accepted for sample in samples) > 20 * len(samples)
    assert [sample for sample in samples if sample.lost] == []
