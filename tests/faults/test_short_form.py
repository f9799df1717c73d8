"""The fault campaign in its short form: each fault once, where the host changes its state; `make faults` does it all.

Real hosts, the real program, a stream of numbered messages to the host all the while. After each fault the host must
serve as before or as wanted; the next apply must say what it found and converge; and every message that was accepted
with 250 must be in its mailbox.

The lab mounts its overlays `volatile`: fsync does nothing there. Power loss therefore means that all processes of the
host end at once and its disk keeps what was written; what a disk may lose with the power cannot be shown here (that
files and directories are synced in the right order is tested in tests/agent).
"""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailprov import lab
from tests.faults import wire
from tests.faults.__main__ import LAB, prepared
from tests.faults.campaign import Campaign, Sample, label
from tests.faults.host import Machine, poll
from tests.faults.table import table

# host → (phase, fault, the event it strikes at: the first that begins with these words)
PLAN = {
    "mx1": [
        ("change", "kill agent", "progress checking the configuration of dovecot"),
        ("change", "kill controller", "progress writing"),
        ("change", "power loss", "progress checking the configuration of postfix"),
        ("change", "full disk", "planned"),
        ("change", "second apply", "progress writing"),
        ("install", "apt broken", "progress apt: Setting up"),
    ],
    "mx2": [
        ("change", "cut network", "progress writing"),
        ("change", "Ctrl-C", "progress checking the configuration of postfix"),
        ("change", "kill agent", "progress restarting postfix"),
        ("rollback", "power loss", "progress checking"),
        ("change", "reboot", "applied certificate"),
        ("install", "dpkg lock", "planned"),
    ],
}


@pytest.fixture(scope="module")
def campaigns(lab_factory: Callable[[str], lab.Lab]) -> dict[str, Campaign]:
    return prepared(lab_factory(LAB))


def work(campaign: Campaign, samples: list[Sample], failures: list[BaseException]) -> None:
    try:
        for phase, kind, words in PLAN[campaign.machine.name]:
            events = [label(event) for event in campaign.streams[phase]]
            point = next(event for event in events if event.startswith(words))
            samples.append(campaign.sample(phase, kind, point))
    except BaseException as error:
        failures.append(error)


def test_each_fault_once_where_the_state_changes(
    campaigns: dict[str, Campaign], capsys: pytest.CaptureFixture[str]
) -> None:
    samples: list[Sample] = []
    failures: list[BaseException] = []
    threads = [threading.Thread(target=work, args=(each, samples, failures)) for each in campaigns.values()]
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
    assert sum(sample.accepted for sample in samples) > 10 * len(samples)
    assert [sample for sample in samples if sample.lost] == []


# `trace --wire`: the fault and the step at which it strikes.
STRUCK = {"mx1": ("kill agent and guardian", "main.cf laid"), "mx2": ("cut network", "listening")}


def test_trace_wire_leaves_a_host_as_it_was(
    campaigns: dict[str, Campaign], capsys: pytest.CaptureFixture[str]
) -> None:
    """One of the 108 of `make faults ONLY=wire` on each host, side by side."""

    def struck(campaign: Campaign) -> Sample:
        campaign.machine.start("old")
        return wire.tried(campaign.machine, *STRUCK[campaign.machine.name])

    with ThreadPoolExecutor() as pool:
        samples = list(pool.map(struck, campaigns.values()))
    with capsys.disabled():
        print("\n" + table(samples))
    assert [f"{one.host}, {one.kind} at {one.point}: {one.problems}" for one in samples if one.problems] == []
    assert [(one.host, one.hit, one.lost) for one in samples] == [("mx1", True, 0), ("mx2", True, 0)]
    assert all(one.accepted > 10 for one in samples)


INBOX = "/var/vmail/faults.test/ana/Maildir"
# What makes Dovecot refuse mail that Postfix has accepted: before, what shows that it is so, and after.
REFUSALS = {
    "an account that Dovecot does not know (yet)": (
        "cp -p /etc/dovecot/mailprov-users /root/users && sed -i /^ana@/d /etc/dovecot/mailprov-users",
        "doveadm user ana@faults.test >/dev/null 2>&1 || echo yes",
        "cp -p /root/users /etc/dovecot/mailprov-users && touch /etc/dovecot/mailprov-users",
        "doveadm user ana@faults.test >/dev/null 2>&1 && echo yes",
    ),
    "a disk without room for one more file": (
        f"mount -t tmpfs -o nr_inodes=1,mode=0777 full {INBOX}/tmp",
        f"setpriv --reuid=vmail --regid=vmail --clear-groups touch {INBOX}/tmp/x 2>/dev/null || echo yes",
        f"umount {INBOX}/tmp",
        "echo yes",
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_what_was_accepted_waits_while_dovecot_refuses_it(campaigns: dict[str, Campaign], why: str) -> None:
    for campaign in campaigns.values():
        if why == next(iter(REFUSALS)):
            campaign.machine.start("old")
        refuse_for_a_while(campaign.machine, *REFUSALS[why])


def refuse_for_a_while(machine: Machine, before: str, so: str, after: str, over: str) -> None:
    count = send_and_count(machine)
    assert poll(lambda: inbox(machine) == count, 20), "mail flows"

    machine.shell(before)
    assert poll(lambda: machine.shell(so) == "yes\n", 20)
    send_and_count(machine)
    assert poll(lambda: deferred(machine), 20), "kept in the queue, not returned to its sender"
    assert inbox(machine) == count

    machine.shell(after)
    assert poll(lambda: machine.shell(over) == "yes\n", 20)
    machine.shell("postqueue -f")
    assert poll(lambda: inbox(machine) == count + 1, 20), machine.shell("postqueue -p")


def send_and_count(machine: Machine) -> int:
    """One message, accepted with 250; how many there are in the mailbox then, with this one."""
    count = inbox(machine)
    with smtplib.SMTP(machine.address, 25, timeout=120) as client:
        refused = client.sendmail("ana@faults.test", ["ventas@faults.test"], "Subject: accepted\r\n\r\nx\r\n")
    assert not refused
    return count + 1


def inbox(machine: Machine) -> int:
    return sum(len(list(machine.at(f"{INBOX}/{part}").glob("*"))) for part in ("new", "cur"))


def deferred(machine: Machine) -> list[str]:
    return [path.name for path in machine.at("/var/spool/postfix/deferred").rglob("*") if path.is_file()]
